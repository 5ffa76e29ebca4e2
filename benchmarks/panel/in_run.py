"""A panel in a run: what it says of each pair, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.judge import kind_of
from benchmarks.panel.rules import Rule
from benchmarks.stats import FAILED
from kimera.pairs import Failure, Verdict

DIVIDED = "divided"
SOURCE = "panel"


@dataclass(frozen=True, eq=False)
class PanelRun:
    """A panel in a run.

    members: the names of its judges. verdicts, scores: of each pair, as of `benchmarks.panel.decide`.
    """

    rule: Rule
    members: tuple[str, ...]
    verdicts: np.ndarray
    scores: np.ndarray

    def findings(
        self, names: Sequence[str], rows: Iterator[Sequence[Verdict | Failure]]
    ) -> Iterator[tuple[Verdict | Failure | None, ...]]:
        """What detectors of these names found of each pair in order, with the panel's finding at the end."""
        places = [names.index(name) for name in self.members]
        for index, row in enumerate(rows):
            yield (*row, self.finding(index, *(row[place] for place in places)))

    def finding(self, index: int, *results: Verdict | Failure) -> Verdict | Failure:
        """The panel's finding of one pair, from those of its members in their order.

        Its reasoning is that of the first member that agrees, its latency that of all one after the other.
        """
        waited = round(sum(result.wait_ms for result in results), 3)
        if self.verdicts[index] == FAILED:
            return _undecided(results, waited)
        said, score = bool(self.verdicts[index]), float(self.scores[index])
        given = [result for result in results if isinstance(result, Verdict)]
        return Verdict(
            said,
            score if said else 1.0 - score,
            next(verdict.reasoning for verdict in given if verdict.contradiction == said),
            round(sum(verdict.latency_ms for verdict in given), 3),
            waited,
            SOURCE,
        )


def _undecided(results: Sequence[Verdict | Failure], waited: float) -> Failure:
    failures = [result for result in results if isinstance(result, Failure)]
    yes = sum(isinstance(result, Verdict) and result.contradiction for result in results)
    told = f"{yes} yes, {len(results) - len(failures) - yes} no"
    kind = kind_without_verdict([failure.kind for failure in failures])
    if not failures:
        return Failure(kind, f"the members of the panel are divided: {told}", waited)
    message = next(failure.message for failure in failures if failure.kind == kind)
    return Failure(kind, f"too few members of the panel gave a verdict: {told}; {message}", waited)


def kind_without_verdict(kinds: Sequence[str]) -> str:
    """The kind of a panel's failure. kinds: of the failures of those members that gave no verdict."""
    if not kinds:
        return DIVIDED
    unasked = (kind for kind in kinds if kind_of(kind).is_unasked)
    return next(unasked, Counter(kinds).most_common(1)[0][0])
