"""Files of labelled or unlabelled pairs -> Pairs, streamed; what a row must hold is checked here.

Columns are found by name, in any case: text1/text2, premise/hypothesis, sentence1/sentence2, or
claim/evidence (the evidence is text1, as a premise is, the claim text2); label or gold_label; id, pairID
or uid (the first that is there); category or genre. Only the two texts are needed. Without an id a pair is
called after its row, counted from 1; no two pairs have the same id.

The labels true and 1 mean contradiction. With claim/evidence, true and false need a label map: there true
often says that the claim holds.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from kimera.errors import UserError
from kimera.pair_labels import NO_GOLD_LABEL, LabelReader, UnclearTruth, UnknownLabel, parse_label_map
from kimera.pairs import Pair
from kimera.tables import Row, Table, open_table, shorten

__all__ = ["COLUMNS", "ReadCounts", "dropped_rows", "pairs_of_table", "parse_label_map", "read_pairs"]

_CLAIM = ("evidence", "claim")
_TEXTS = (("text1", "text2"), ("premise", "hypothesis"), ("sentence1", "sentence2"), _CLAIM)
_LABELS = ("label", "gold_label")
_IDS = ("id", "pairid", "uid")
_CATEGORIES = ("category", "genre")

COLUMNS = frozenset({*(name for texts in _TEXTS for name in texts), *_LABELS, *_IDS, *_CATEGORIES})
"""Lower-case names of all columns that are read."""

_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_MAX_COLUMNS_SHOWN = 20
MAX_ROWS_SHOWN = 5


@dataclass
class ReadCounts:
    """What a pass has met so far: all data rows, and of them those dropped."""

    rows: int = 0
    no_gold_label: int = 0
    bad_rows: int = 0


def read_pairs(
    path: str | Path,
    *,
    label_map: Mapping[str, str] | None = None,
    skip_bad_rows: bool = False,
    on_bad_row: Callable[[str], None] | None = None,
    counts: ReadCounts | None = None,
) -> Iterator[Pair]:
    """The pairs of a CSV, TSV or JSON Lines file (each perhaps .gz) or a Parquet file, in file order.

    label_map: what the label column's values mean, as `parse_label_map` gives it.
    skip_bad_rows: leave out rows that are no pair, telling `on_bad_row` of each; else the first is an error.
    counts: is kept up to date while the pairs are taken.

    Memory does not grow with the texts, only by an integer a pair: a hash of its id, or the row's number.
    Raises UserError: at once if the file cannot be opened, else on the way.
    """
    return pairs_of_table(
        open_table(path, COLUMNS),
        label_map=label_map,
        skip_bad_rows=skip_bad_rows,
        on_bad_row=on_bad_row,
        counts=counts,
    )


def pairs_of_table(
    table: Table,
    *,
    label_map: Mapping[str, str] | None = None,
    skip_bad_rows: bool = False,
    on_bad_row: Callable[[str], None] | None = None,
    counts: ReadCounts | None = None,
) -> Iterator[Pair]:
    """`read_pairs` for rows that come from elsewhere than a file."""
    counts = ReadCounts() if counts is None else counts
    parser = _RowParser(table, label_map)
    parser.check_header()
    kept = False
    for row in table.read():
        counts.rows += 1
        try:
            pair = parser.parse(row, counts.rows)
        except _BadRow as fault:
            message = f"{table.name}, {table.unit} {row.number}: {fault}"
            if not skip_bad_rows:
                raise UserError(
                    f"{message}; mend the row, or leave out such rows with --skip-bad-rows"
                ) from None
            counts.bad_rows += 1
            if on_bad_row is not None:
                on_bad_row(message)
            continue
        if pair is None:
            counts.no_gold_label += 1
        else:
            kept = True
            yield pair
    if not kept:
        raise UserError(
            f"{table.name}: holds no pair to use (rows: {counts.rows}, of them without a gold label:"
            f" {counts.no_gold_label}, bad: {counts.bad_rows})"
        )


def dropped_rows(messages: Sequence[str]) -> str:
    """How many rows were left out, and why the first of them."""
    more = [f"... and {len(messages) - MAX_ROWS_SHOWN} more"] if len(messages) > MAX_ROWS_SHOWN else []
    return "\n  ".join([f"{len(messages)} rows dropped:", *messages[:MAX_ROWS_SHOWN], *more])


class _BadRow(Exception):  # noqa: N818 (a value on its way to the message of a UserError)
    """A row that is no pair; the message says why."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a row each part of a pair stands; None where the table has no such column.

    of_claim: the texts are a claim and its evidence.
    """

    text1: int
    text2: int
    label: int | None
    id: int | None
    category: int | None
    of_claim: bool


class _Ids:
    """The ids of one pass: those given, as hashes, and the numbers of the rows that give none, ascending."""

    def __init__(self) -> None:
        self._given: set[int] = set()
        self._numbered = array("Q")

    def claim(self, given: str, position: int) -> str:
        """The id of a pair, which is its row's number where none is given. Raises _BadRow if it is taken."""
        pair_id = given or str(position)
        # 64 bits: among a million ids two different ones meet with a chance of 3e-8.
        digest = int.from_bytes(blake2b(pair_id.encode(), digest_size=8).digest())
        if digest in self._given:
            fault = (
                f"the id {shorten(given)} stands on an earlier row"
                if given
                else f"the row has no id, and its row number {position} is the id of an earlier row"
            )
            raise _BadRow(f"{fault}; give every pair an id of its own")
        if not given:
            self._numbered.append(position)
            return pair_id
        if self._is_numbered(given, position):
            raise _BadRow(
                f"the id {shorten(given)} is the row number of an earlier row, which has no id; give every"
                " pair an id of its own"
            )
        self._given.add(digest)
        return pair_id

    def _is_numbered(self, given: str, position: int) -> bool:
        """Whether a row before `position` without an id is called this."""
        if len(given) > len(str(position)) or not given.isdecimal() or str(int(given)) != given:
            return False
        index = bisect_left(self._numbered, int(given))
        return index < len(self._numbered) and self._numbered[index] == int(given)


class _RowParser:
    """Makes pairs of one pass's rows; knows the ids it has met."""

    def __init__(self, table: Table, label_map: Mapping[str, str] | None) -> None:
        self._table = table
        self._labels = LabelReader(table.name, lambda: _label_cells(table), label_map)
        self._names: Sequence[str] = ()
        self._columns: _Columns | None = None
        self._ids = _Ids()

    def check_header(self) -> None:
        """Raises UserError if the table has a header that cannot be used, also where no row follows it."""
        header = self._table.header() if self._table.header else None
        if header is not None:
            self._columns_of(header)

    def parse(self, row: Row, position: int) -> Pair | None:
        """The row's pair, or None if it says that it has no gold label. Raises _BadRow, UserError."""
        if row.fault:
            raise _BadRow(row.fault)
        columns = self._columns_of(row)
        text1 = _text(row, columns.text1)
        text2 = _text(row, columns.text2)
        given_id = _plain(row, columns.id)
        category = _plain(row, columns.category)
        label = self._label(row, columns)
        if label == NO_GOLD_LABEL:
            return None
        return Pair(text1, text2, self._ids.claim(given_id, position), label, category)

    def _columns_of(self, row: Row) -> _Columns:
        if self._columns is None or row.names != self._names:
            try:
                self._columns = _find_columns(row.names)
            except _BadRow as fault:
                if not self._table.has_header:
                    raise
                place = f", {self._table.unit} {row.number}" if self._table.header and row.number else ""
                raise UserError(f"{self._table.name}{place}: {fault}") from None
            self._names = row.names
        return self._columns

    def _label(self, row: Row, columns: _Columns) -> str | None:
        if columns.label is None:
            return None
        class_names = self._table.class_names.get(row.names[columns.label], ())
        try:
            return self._labels.read(row.values[columns.label], class_names, columns.of_claim)
        except UnknownLabel as error:
            raise _BadRow(str(error)) from None
        except UnclearTruth as error:
            raise UserError(f"{self._table.name}, {self._table.unit} {row.number}: {error}") from None


def _find_columns(names: Sequence[str]) -> _Columns:
    """Raises _BadRow unless the names hold exactly one pair of text columns and at most one label column."""
    lowered = [name.strip().lower() for name in names]
    texts = [pair for pair in _TEXTS if set(pair) <= set(lowered)]
    labels = [name for name in lowered if name in _LABELS]
    if len(texts) != 1 or any(lowered.count(name) > 1 for name in texts[0]):
        expected = ", ".join("/".join(pair) for pair in _TEXTS)
        raise _BadRow(
            f"the columns are {_shown(names)}; expected exactly one of the pairs {expected}: rename columns"
        )
    if len(labels) > 1:
        raise _BadRow(
            f"the columns are {_shown(names)}; expected one label column: rename all but one of {labels}"
        )

    def first(aliases: Sequence[str]) -> int | None:
        return next((lowered.index(name) for name in aliases if name in lowered), None)

    text1, text2 = texts[0]
    return _Columns(
        text1=lowered.index(text1),
        text2=lowered.index(text2),
        label=first(_LABELS),
        id=first(_IDS),
        category=first(_CATEGORIES),
        of_claim=texts[0] == _CLAIM,
    )


def _shown(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _MAX_COLUMNS_SHOWN else ""
    return ", ".join(shorten(name) for name in names[:_MAX_COLUMNS_SHOWN]) + more


def _label_cells(table: Table) -> Iterator[object]:
    for row in table.read():
        for name, value in zip(row.names, row.values, strict=True):
            if name.strip().lower() in _LABELS:
                yield value


def _text(row: Row, column: int) -> str:
    value = row.values[column]
    if not isinstance(value, str):
        raise _BadRow(f"{row.names[column]} is {shorten(value)}; expected a text")
    if not value.strip():
        raise _BadRow(f"{row.names[column]} is empty ({shorten(value)}); expected a text")
    return _unicode(value, row.names[column])


def _plain(row: Row, column: int | None) -> str:
    """An id or a category as text, "" if there is none."""
    value = None if column is None else row.values[column]
    if value is None or column is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _BadRow(f"{row.names[column]} is {shorten(value)}; expected a text or an integer")
    return _unicode(str(value), row.names[column])


def _unicode(text: str, name: str) -> str:
    wrong = _NOT_TEXT.search(text)
    if wrong is not None:
        raise _BadRow(f"{name} holds {wrong[0]!r} in {shorten(text)}; expected Unicode text without NULs")
    return text
