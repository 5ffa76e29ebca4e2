"""Pairs that share a statement as one finding: what contradicts eight others is read once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from kimera.corpus.findings import Finding


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one kind, strongest first; where they are several, `text1` of each is what they share."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The strongest."""
        return self.findings[0]


def groups_of(findings: Iterable[Finding]) -> list[Group]:
    """Every finding in one group, the group of the strongest first. findings: strongest first.

    The statement in most pairs takes all of them, then the one in most of those that remain.
    """
    every = list(findings)
    rows_of: defaultdict[Hashable, list[int]] = defaultdict(list)
    for row, finding in enumerate(every):
        for statement in dict.fromkeys(_statements(finding)):
            rows_of[statement].append(row)
    taken: set[int] = set()
    groups: dict[int, Group] = {}
    left = Counter({statement: len(rows) for statement, rows in rows_of.items()})
    heap = [(-count, rows_of[statement][0], place) for place, (statement, count) in enumerate(left.items())]
    heapify(heap)
    statements = list(left)
    while heap:
        count, _, place = heappop(heap)
        rows = [row for row in rows_of[statements[place]] if row not in taken]
        if len(rows) < -count:  # others took some of them since
            if rows:
                heappush(heap, (-len(rows), rows[0], place))
            continue
        taken.update(rows)
        groups[rows[0]] = _group([every[row] for row in rows], statements[place])
    return [groups[row] for row in sorted(groups)]


def _statements(finding: Finding) -> Sequence[Hashable]:
    return [(finding.kind, finding.subject, text) for text in (finding.text1, finding.text2)]


def _group(findings: Sequence[Finding], shared: Hashable) -> Group:
    if len(findings) == 1:
        return Group(tuple(findings))
    return Group(
        tuple(each if _statements(each)[0] == shared else each.turned() for each in findings),
    )
