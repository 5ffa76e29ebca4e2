"""ScoresFile: verdicts or scores that something else wrote, as a detector."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from kimera.console import note
from kimera.detectors.score_index import ConflictError, ScoreIndex, ScoresRow
from kimera.detectors.score_names import KNOWN, is_wanted_of_scores
from kimera.detectors.score_rows import BadCell, RecordReader
from kimera.detectors.verdict_source import VerdictSource
from kimera.errors import UserError
from kimera.files import TableFormat, open_table, shorten, shown
from kimera.pairs import Failure, Pair, Verdict, pair_of

__all__ = ["ScoresFile", "ScoresRow"]

PARTS = ("id", "text1", "text2", *KNOWN)
_TOLD_EVERY = 1000  # pairs


class ScoresFile(VerdictSource):
    """What a file (CSV, TSV, JSON, JSON Lines, each also .gz; Parquet) says of the pairs that it is given.

    Rows are matched with pairs by id if both have one, or else by both texts, in which blanks do not count.
    Where a row has an id and texts, the texts have to be the pair's too; if they are not, the row that has
    the pair's texts counts, and without such a row it is an error.

    columns: of any of `PARTS`, the name of its column; others are found by names that are known: a score is
    P(contradiction); a verdict is a word such as contradiction or entailment, true or false, 1 or 0, perhaps
    with a confidence. Columns for entailment and neutral are the probabilities of these classes; as verdicts
    the two words tell the classes apart where the file has both. latency_ms (or latency_s) and cost, in
    dollars, may stand beside them; `row_of` gives
    these. A run's results.csv, with NAME_score and NAME_contradiction, is read as well. detector: which NAME,
    where it holds several. pair_columns: of id, text1 and text2, how the pairs' own columns are called; where
    the file has such columns, these are taken. format: how the file is written, where that is not to be
    found out. role: "judge" for verdicts that a judge gave elsewhere; then `kind` says so.
    must_match: whether it is an error if no row is of any of the pairs; not so for a part of a run's.
    trained_on: titles of the data sets that whatever wrote it was fitted on; None: nobody knows.

    A pair without a row is a `Failure` of kind "no_row"; one whose row has an empty answer, of "no_verdict".
    `latency_ms` of a verdict is the file's, 0 where it has none. Pairs are taken one at a time, and workers
    have no effect.

    Notes on standard error say what was recognised, and how many rows are double, have no answer, or belong
    to no pair. The whole file is read at once; its reasonings are kept in a temporary file.

    Raises `UserError` for a file that cannot be read, a value that is none, and rows that contradict each
    other on one pair.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        columns: Mapping[str, str] | None = None,
        format: TableFormat | None = None,
        role: Literal["local", "judge"] = "local",
        trained_on: list[str] | None = None,
        must_match: bool = True,
        detector: str = "",
        pair_columns: Mapping[str, str] | None = None,
    ) -> None:
        if unknown := [part for part in columns or {} if part not in PARTS]:
            raise UserError(f"columns has {shorten(unknown[0])}; expected any of {', '.join(PARTS)}")
        self.path = Path(path)
        self.role = role
        self._trained_on = trained_on
        self._columns: dict[str, str] = {}
        self._rows = 0
        self._index = self._read(dict(columns or {}), format, detector, dict(pair_columns or {}))
        self._sha256 = _sha256(self.path)
        self._is_of_these = not must_match  # or once a pair was found in it

    @property
    def kind(self) -> str:
        return "judge's results file" if self.role == "judge" else "scores file"

    @property
    def settings(self) -> dict[str, Any]:
        """columns: of each part that the file has, the name of its column."""
        return {
            "file": self.path.name,
            "sha256": self._sha256,
            "rows": self._rows,
            "columns": dict(self._columns),
        }

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"file": self._sha256}

    @property
    def trained_on(self) -> list[str] | None:
        return self._trained_on

    @property
    def counts(self) -> dict[str, float]:
        """No model reads a pair."""
        return {"read": 0}

    @property
    def has_latencies(self) -> bool:
        return not self._columns.keys().isdisjoint({"latency_ms", "latency_s"})

    def row_of(self, pair: Pair) -> ScoresRow | None:
        """What the file says of a pair, its cost in dollars and its latency too; None where it has no row.

        Raises `UserError` where it is not clear which row is the pair's.
        """
        try:
            at = self._index.find(pair)
        except ConflictError as fault:
            raise UserError(f"{self.path}: {fault}") from None
        return None if at is None else self._index.row(at)

    def check(self, pairs: Iterable[Pair]) -> None:
        """Raises `UserError` if no row of the file is of any of these, the pairs of a whole run.

        `stream` does this too, where it was not done before; but the part of a run that is left to be done
        may have no rows although the run has.
        """
        first: Pair | None = None
        for pair in pairs:
            first = first or pair
            if self._is_of_these or self.row_of(pair) is not None:
                self._is_of_these = True
                return
        self._require_match(first)

    def stream(
        self,
        pairs: Iterable[Pair | tuple[str, str]],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        """Raises `UserError` before it gives anything if no row is of any of these pairs."""
        return (result for result, _ in self.with_costs(pairs, on_progress))

    def with_costs(
        self,
        pairs: Iterable[Pair | tuple[str, str]],
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[tuple[Verdict | Failure, float | None]]:
        """`stream`, and beside each result its cost in dollars, None where the file has none."""
        first: Pair | None = None
        missing = Failure("no_row", f"{self.path.name} has no row for this pair")
        withheld = 0  # pairs without a row, until one is found that has
        for number, given in enumerate(pairs):
            pair = pair_of(given, number)
            first = first or pair
            row = self.row_of(pair)
            if on_progress is not None and number % _TOLD_EVERY == _TOLD_EVERY - 1:
                on_progress(_TOLD_EVERY)
            if row is None and not self._is_of_these:
                withheld += 1
                continue
            self._is_of_these = True
            yield from [(missing, None)] * withheld
            withheld = 0
            yield (missing, None) if row is None else (self._outcome(row), row.cost)
        if on_progress is not None and first is not None and (number + 1) % _TOLD_EVERY:
            on_progress((number + 1) % _TOLD_EVERY)
        self._require_match(first)
        if self._index.unmatched:
            note(f"{self.path}: rows that are of none of the pairs asked about: {self._index.unmatched}")

    def _outcome(self, row: ScoresRow) -> Verdict | Failure:
        if row.verdict is not None:
            return row.verdict
        return Failure(
            "no_verdict", f"{self.path.name} has a row for this pair, without a score or a verdict"
        )

    def _require_match(self, first: Pair | None) -> None:
        row = self._index.first
        if self._is_of_these or first is None or row is None:
            return
        has_both_ids = bool(row.id and first.id)
        theirs = f"the id {shorten(row.id)}" if has_both_ids or not row.texts else _texts(*row.texts)
        ours = f"the id {shorten(first.id)}" if has_both_ids else _texts(first.text1, first.text2)
        if has_both_ids and row.texts:
            theirs, ours = (
                f"{theirs} and {_texts(*row.texts)}",
                f"{ours} and {_texts(first.text1, first.text2)}",
            )
        raise UserError(
            f"{self.path}: no row is of any of the pairs. Its first row has {theirs}; the first pair has "
            f"{ours}. Give the rows the ids of the pairs, which without any are the numbers of their rows "
            "from 1, or both texts as they are in the pairs"
        )

    def _read(
        self,
        stated: dict[str, str],
        format: TableFormat | None,
        detector: str,
        pair_columns: dict[str, str],
    ) -> ScoreIndex:
        wanted = {*stated.values(), *pair_columns.values()}
        table = open_table(self.path, lambda name: name in wanted or is_wanted_of_scores(name), format)
        index = ScoreIndex(table.unit)
        reader = RecordReader(
            str(self.path),
            stated,
            has_header=table.has_header,
            detector=detector,
            pair_columns=pair_columns,
        )
        number = 0
        try:
            for row in table.read():
                number = row.number
                if row.fault:
                    raise BadCell(row.fault)
                record = reader.read(row)
                self._rows += 1
                if record.id or record.texts:
                    index.add(record)
            number = 0
            if not self._rows:
                raise BadCell("it has no rows; give it one for each pair, below the names of the columns")
            reader.require_answer()
        except BadCell as fault:
            where = f", {table.unit} {number}" if number else ""
            raise UserError(f"{self.path}{where}: {fault}") from None
        except ConflictError as fault:
            raise UserError(f"{self.path}: {fault}") from None
        if not len(index):
            raise UserError(f"{self.path}: none of its {self._rows} rows has an id or both texts")
        self._columns = dict(sorted(reader.taken.items()))
        for told in (*table.notes, *self._notes(index, list(reader.unused))):
            note(told)
        return index

    def _notes(self, index: ScoreIndex, unused: list[str]) -> Iterator[str]:
        taken = ", ".join(f"{part} from {shorten(name)}" for part, name in self._columns.items())
        yield f"{self.path}: {self._rows} rows; {taken}"
        if unused:
            yield f"{self.path}: columns not used: {shown(unused)}"
        if index.doubles:
            yield f"{self.path}: rows that repeat an earlier one of the same pair: {index.doubles}"
        if index.without_verdict:
            yield f"{self.path}: rows without a score or a verdict: {index.without_verdict}"
        if keyless := self._rows - len(index) - index.doubles:
            yield f"{self.path}: rows without an id and both texts, left out: {keyless}"


def _texts(text1: str, text2: str) -> str:
    return f"the texts {shorten(text1)} and {shorten(text2)}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
