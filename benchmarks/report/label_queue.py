"""The pairs that a person may label in report.html: which, in which order, and what the page holds of them.

Labels are given blind: what detectors say of a pair lies in the page, and is shown after its label. What goes
into the page is bounded, as in `pair_table`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from benchmarks.report.pair_table import FOR_SCRIPT, MAX_OF_A_TEXT, clipped, said, shown
from benchmarks.report.results_csv import RowResult
from benchmarks.runs import RunResult, key_of
from benchmarks.stats import DOUBTFUL, NEXT, RANDOM, Asked, asked_pairs, block_size
from kimera.files import marked
from kimera.pairs import Pair

MAX_OF_ALL_ROWS = 4_000_000  # characters of JSON


class LabelQueue:
    """Takes a run's rows as they pass, and keeps those of the pairs that a person is asked about.

    max_characters: of all rows; pairs beyond are left out, the last ones first.
    """

    def __init__(self, run: RunResult, max_characters: int = MAX_OF_ALL_ROWS) -> None:
        self.run, self.max_characters = run, max_characters
        self.asked = asked_of(run)
        self._wanted = {asked.place: asked for asked in self.asked}
        self._rows: dict[int, str] = {}

    def watching(
        self, rows: Iterable[tuple[Pair, Sequence[RowResult]]]
    ) -> Iterator[tuple[Pair, Sequence[RowResult]]]:
        """The same rows, one at a time."""
        for place, (pair, findings) in enumerate(rows):
            if asked := self._wanted.get(place):
                row = json.dumps(
                    _row(asked, pair, self._label(place), findings), ensure_ascii=False, separators=(",", ":")
                )
                self._rows[place] = row.translate(FOR_SCRIPT)
            yield pair, findings

    def _label(self, place: int) -> int | None:
        """The dataset's own, whatever people said since."""
        label = int(self.run.first_labels[place])
        return None if label < 0 else label

    def counts(self) -> dict[str, int]:
        """How many pairs of each block are on the page."""
        held = [asked.block for asked, _ in self._held()]
        return {block: held.count(block) for block in (RANDOM, DOUBTFUL, NEXT)}

    def as_json(self, **more: Any) -> str:
        """{"run", "detectors", "rows"} and more, safe within a script element."""
        about = {"run": key_of(self.run), "detectors": [shown(each.title) for each in self.run.detectors]}
        about |= more
        start = json.dumps(about, ensure_ascii=False).translate(FOR_SCRIPT).removesuffix("}")
        return f'{start},"rows":[{",".join(row for _, row in self._held())}]}}'

    def _held(self) -> list[tuple[Asked, str]]:
        held, characters = [], 0
        for asked in self.asked:
            row = self._rows.get(asked.place, "")
            characters += len(row)
            if row and characters <= self.max_characters:
                held.append((asked, row))
        return held


def asked_of(run: RunResult) -> list[Asked]:
    """The pairs of this run that a person is asked about, in order."""
    labels, scores = run.first_labels, run.own_scores
    return asked_pairs(labels, scores, key_of(run), block_size(labels, scores))


def _row(asked: Asked, pair: Pair, label: int | None, findings: Sequence[RowResult]) -> list[Any]:
    """[place, id, block, probability, label, segments, segments, category, [[verdict, score, words]]]."""
    first, second = marked(clipped(pair.text1, MAX_OF_A_TEXT), clipped(pair.text2, MAX_OF_A_TEXT))
    found = [said(finding) for finding in findings]
    where = [asked.place, shown(pair.id), asked.block, asked.probability]
    return [*where, label, first, second, shown(pair.category), found]
