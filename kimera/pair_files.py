"""Files of labelled or unlabelled pairs -> Pairs, streamed; what a row must hold is checked here.

Columns are found by name, in any case: text1/text2, premise/hypothesis, sentence1/sentence2, or
claim/evidence (the evidence is text1, as a premise is, the claim text2); label or gold_label; id, pairID
or uid (the first that is there); category or genre. Only the two texts are needed. Without an id a pair is
called after its row, counted from 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from kimera.errors import UserError
from kimera.pair_labels import NO_GOLD_LABEL, LabelReader, UnknownLabel, parse_label_map
from kimera.pairs import Pair
from kimera.tables import Row, Table, open_table, shorten

__all__ = ["COLUMNS", "ReadCounts", "pairs_of_table", "parse_label_map", "read_pairs"]

_TEXTS = (("text1", "text2"), ("premise", "hypothesis"), ("sentence1", "sentence2"), ("evidence", "claim"))
_LABELS = ("label", "gold_label")
_IDS = ("id", "pairid", "uid")
_CATEGORIES = ("category", "genre")

COLUMNS = frozenset({*(name for texts in _TEXTS for name in texts), *_LABELS, *_IDS, *_CATEGORIES})
"""Lower-case names of all columns that are read."""

_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_MOST_COLUMNS_SHOWN = 20


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

    Memory does not grow with the texts, only by a set of 8-byte hashes of the ids, if the file gives ids.
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


class _BadRow(Exception):  # noqa: N818 (a value on its way to the message of a UserError)
    """A row that is no pair; the message says why."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a row each part of a pair stands; None where the table has no such column."""

    text1: int
    text2: int
    label: int | None
    id: int | None
    category: int | None


class _RowParser:
    """Makes pairs of one pass's rows; knows the ids it has met."""

    def __init__(self, table: Table, label_map: Mapping[str, str] | None) -> None:
        self._table = table
        self._labels = LabelReader(table.name, lambda: _label_cells(table), label_map)
        self._names: Sequence[str] = ()
        self._columns: _Columns | None = None
        self._id_hashes: set[int] = set()

    def parse(self, row: Row, position: int) -> Pair | None:
        """The row's pair, or None if it says that it has no gold label. Raises _BadRow, UserError."""
        if row.fault:
            raise _BadRow(row.fault)
        columns = self._columns_of(row)
        text1 = _text(row, columns.text1)
        text2 = _text(row, columns.text2)
        pair_id = _plain(row, columns.id) or str(position)
        category = _plain(row, columns.category)
        label = self._label(row, columns.label)
        if label == NO_GOLD_LABEL:
            return None
        if columns.id is not None:
            self._claim_id(pair_id)
        return Pair(text1, text2, pair_id, label, category)

    def _columns_of(self, row: Row) -> _Columns:
        if self._columns is None or row.names != self._names:
            try:
                self._columns = _find_columns(row.names)
            except _BadRow as fault:
                if self._table.has_header:
                    raise UserError(f"{self._table.name}: {fault}") from None
                raise
            self._names = row.names
        return self._columns

    def _label(self, row: Row, column: int | None) -> str | None:
        if column is None:
            return None
        try:
            return self._labels.read(row.values[column], self._table.class_names.get(row.names[column], ()))
        except UnknownLabel as error:
            raise _BadRow(str(error)) from None

    def _claim_id(self, pair_id: str) -> None:
        # 64 bits: among a million ids two different ones meet with a chance of 3e-8.
        digest = int.from_bytes(blake2b(pair_id.encode(), digest_size=8).digest())
        if digest in self._id_hashes:
            raise _BadRow(
                f"the id {shorten(pair_id)} stands on an earlier row; give every pair an id of its own"
            )
        self._id_hashes.add(digest)


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
        lowered.index(text1), lowered.index(text2), first(_LABELS), first(_IDS), first(_CATEGORIES)
    )


def _shown(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _MOST_COLUMNS_SHOWN else ""
    return ", ".join(shorten(name) for name in names[:_MOST_COLUMNS_SHOWN]) + more


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
