"""Files of labelled or unlabelled pairs -> Pairs, streamed; what a row must hold is checked here.

Columns are found by the names that `kimera.files.pair_columns` knows, or by those that the user states. Only
the two texts are needed. Without an id a pair is called after its row, counted from 1; no two pairs have the
same id.

The labels true and 1 mean contradiction. With a claim and its evidence, they need a label map: there true
often says that the claim holds.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from kimera.errors import UserError
from kimera.files.pair_columns import (
    Cell,
    ColumnFault,
    Columns,
    Roles,
    find_columns,
    is_wanted,
    shown,
    unused,
)
from kimera.files.pair_labels import (
    MAX_SHOWN,
    NO_GOLD_LABEL,
    LabelColumn,
    LabelReader,
    UnclearTruth,
    UnknownLabel,
    are_named_labels,
    looks_like_labels,
    parse_label_map,
)
from kimera.files.rows import Row, Table, is_no_text, shorten
from kimera.files.tables import TableFormat, open_table
from kimera.pairs import Pair

__all__ = [
    "ReadCounts",
    "Roles",
    "TableFormat",
    "dropped_rows",
    "label_hint",
    "notes_on",
    "pairs_of_table",
    "parse_label_map",
    "read_pairs",
    "unused_columns",
]

_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_MAX_UNUSED = 100
_TRIED_ROWS = 200
_MAX_DEPTH = 10
_LOOKED_AT = 1000
MAX_ROWS_SHOWN = 5
PROBABILITY = "the probability with which this labelled pair was drawn, above 0 and up to 1"
MAX_WEIGHT = 1e6
WEIGHT = f"what this pair counts in a fit, above 0 and up to {MAX_WEIGHT:,.0f}"


@dataclass
class ReadCounts:
    """What a pass has met so far: all data rows, of them those dropped, and the columns of no use."""

    rows: int = 0
    no_gold_label: int = 0
    bad_rows: int = 0
    labelled: int = field(default=0, compare=False)
    unused: dict[str, None] = field(default_factory=dict, compare=False)


def read_pairs(
    path: str | Path,
    *,
    name: str | None = None,
    format: TableFormat | None = None,
    roles: Roles | None = None,
    label_map: Mapping[str, str] | None = None,
    skip_bad_rows: bool = False,
    on_bad_row: Callable[[str], None] | None = None,
    on_note: Callable[[str], object] | None = None,
    counts: ReadCounts | None = None,
) -> Iterator[Pair]:
    """The pairs of a file of delimited text, JSON (each perhaps .gz) or Parquet, in file order.

    name: how messages call the file. format: how it is written, where its content is not to say.
    roles: which column is what.
    label_map: what the label column's values mean, as `parse_label_map` gives it.
    skip_bad_rows: leave out rows that are no pair, telling `on_bad_row` of each; else the first is an error.
    on_note: is told what was recognised, which columns are of no use, and where labels may be overlooked.
    counts: is kept up to date while the pairs are taken.

    Memory does not grow with the texts, only by an integer a pair: a hash of its id, or the row's number.
    Raises UserError: at once if the file cannot be opened, else on the way.
    """
    roles = roles or Roles()
    table = open_table(path, is_wanted(roles), format, name)
    counts = ReadCounts() if counts is None else counts
    pairs = pairs_of_table(
        table,
        roles=roles,
        label_map=label_map,
        skip_bad_rows=skip_bad_rows,
        on_bad_row=on_bad_row,
        counts=counts,
    )
    return pairs if on_note is None else _noted(pairs, table, roles, counts, on_note)


def _noted(
    pairs: Iterator[Pair], table: Table, roles: Roles, counts: ReadCounts, on_note: Callable[[str], object]
) -> Iterator[Pair]:
    yield from pairs
    for note in notes_on(table, roles, counts):
        on_note(note)


def notes_on(table: Table, roles: Roles, counts: ReadCounts) -> list[str]:
    """What to say of a table after a pass over it. counts: of that pass."""
    notes = [*table.notes]
    if counts.unused:
        notes.append(unused_columns(table, counts))
    if not counts.labelled:
        notes += filter(None, [label_hint(table, roles)])
    return notes


def unused_columns(table: Table, counts: ReadCounts) -> str:
    return f"{table.name}: columns not used: {shown(list(counts.unused))}"


def label_hint(table: Table, roles: Roles) -> str:
    """Which columns look like labels although none is read as one; "" where none does."""
    likely = _unused_like(table, roles, looks_like_labels)
    if not likely:
        return ""
    which = "the column looks" if len(likely) == 1 else "the columns look"
    return (
        f"{table.name}: no pair is labelled, and {which} like labels: {shown(likely)}; name the label "
        "column with --label NAME"
    )


def _unused_like(table: Table, roles: Roles, test: Callable[[list[object]], bool]) -> list[str]:
    """The columns of no use, and the fields in them, of which the first cells are as `test` has it."""
    cells_by_path: dict[str, list[object]] = {}
    used: set[str] = set()
    for row in islice((table.read_all or table.read)(), _LOOKED_AT):
        if row.fault:
            continue
        try:
            columns = find_columns(row.names, roles)
        except ColumnFault:
            continue
        used |= {row.names[index] for index in columns.used}
        for name in unused(row.names, columns):
            for path, value in _leaves(row.values[row.names.index(name)], name):
                cells_by_path.setdefault(path, []).append(value)
    return [name for name, cells in cells_by_path.items() if name not in used and test(cells)]


def _leaves(value: object, path: str, depth: int = 0) -> Iterator[tuple[str, object]]:
    """What lies in lists and objects, with its path; a value that is neither is itself."""
    if depth < _MAX_DEPTH and isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}", depth + 1)
    elif depth < _MAX_DEPTH and isinstance(value, list) and len(value) < _MAX_DEPTH:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{index}", depth + 1)
    else:
        yield path, value


def pairs_of_table(
    table: Table,
    *,
    roles: Roles | None = None,
    label_map: Mapping[str, str] | None = None,
    skip_bad_rows: bool = False,
    on_bad_row: Callable[[str], None] | None = None,
    counts: ReadCounts | None = None,
) -> Iterator[Pair]:
    """`read_pairs` for rows that come from elsewhere than a file."""
    counts = ReadCounts() if counts is None else counts
    roles = roles or Roles()
    parser = _RowParser(table, roles, label_map, counts)
    parser.check_header()
    kept = False
    first_fault = ""
    for row in table.read():
        counts.rows += 1
        try:
            pair = parser.parse(row, counts.rows)
        except _BadRow as fault:
            message = f"{table.name}, {table.unit} {row.number}: {fault}"
            if not skip_bad_rows:
                also = parser.other_labels() if isinstance(fault, _BadLabel) else ""
                raise UserError(f"{message}{also}{_way_on(table, roles, label_map, fault)}") from None
            first_fault = first_fault or message
            counts.bad_rows += 1
            if on_bad_row is not None:
                on_bad_row(message)
            continue
        if pair is None:
            counts.no_gold_label += 1
        else:
            kept = True
            counts.labelled += pair.label is not None
            yield pair
    if not kept:
        first = f"; the first bad one: {first_fault}" if first_fault else ""
        raise UserError(
            f"{table.name}: there is no usable pair in it (rows: {counts.rows}, of them without a gold label:"
            f" {counts.no_gold_label}, bad: {counts.bad_rows}){first}"
        )


def _way_on(table: Table, roles: Roles, label_map: Mapping[str, str] | None, fault: _BadRow) -> str:
    """What can be done about a bad row: where all rows are like it, it would not help to leave them out."""
    parser = _RowParser(table, roles, label_map, ReadCounts())
    tried = 0
    for tried, row in enumerate(islice(table.read(), _TRIED_ROWS), 1):
        try:
            parser.parse(row, tried)
        except _BadRow:
            continue
        except UserError:
            return ""
        break
    else:
        if isinstance(fault, _BadColumns):
            return ""  # that names its own remedy
        if tried > 1:
            read_as = [note.removeprefix(f"{table.name}: ") for note in table.notes]
            none = f"none of the first {tried} rows can be used, so this is not a fault of single rows"
            return "".join(f"; {said}" for said in (none, *read_as))
    return "; correct the row, or leave out such rows with --skip-bad-rows"


def dropped_rows(messages: Sequence[str]) -> str:
    """How many rows were left out, and why the first of them."""
    more = [f"... and {len(messages) - MAX_ROWS_SHOWN} more"] if len(messages) > MAX_ROWS_SHOWN else []
    rows = "1 row" if len(messages) == 1 else f"{len(messages):,} rows"
    return "\n  ".join([f"{rows} dropped:", *messages[:MAX_ROWS_SHOWN], *more])


class _BadRow(Exception):  # noqa: N818 (a value on its way to the message of a UserError)
    """A row that is no pair; the message says why."""


class _BadColumns(_BadRow):
    """A row whose columns give no pair."""


class _BadLabel(_BadRow):
    """A row whose label is not known."""


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

    def __init__(
        self, table: Table, roles: Roles, label_map: Mapping[str, str] | None, counts: ReadCounts
    ) -> None:
        self._table = table
        self._roles = roles
        self._labels = LabelReader(
            table.name,
            lambda: _label_cells(table, roles),
            label_map,
            lambda: shown(_unused_like(table, roles, are_named_labels)),
        )
        self._names: Sequence[str] = ()
        self._columns: Columns | None = None
        self._label_column = LabelColumn()
        self._counts = counts
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
        text2 = _text(row, columns.text2, one=True)
        given_id = _plain(row, columns.id)
        category = _plain(row, columns.category)
        label = self._label(row, columns)
        if label == NO_GOLD_LABEL:
            return None
        drawn = _number(row, columns.label_weights, PROBABILITY, 1.0) if label else None
        weight = _number(row, columns.sample_weight, WEIGHT, MAX_WEIGHT) if label else None
        pair_id = self._ids.claim(given_id, position)
        return Pair(text1, text2, pair_id, label, category, drawn, 1.0 if weight is None else weight)

    def _columns_of(self, row: Row) -> Columns:
        if self._columns is not None and row.names == self._names:
            return self._columns
        try:
            columns = find_columns(row.names, self._roles)
        except ColumnFault as fault:
            if not self._table.has_header:
                raise _BadColumns(str(fault)) from None
            place = f", {self._table.unit} {row.number}" if self._table.header and row.number else ""
            raise UserError(f"{self._table.name}{place}: {fault}") from None
        if len(self._counts.unused) < _MAX_UNUSED:
            self._counts.unused.update(dict.fromkeys(unused(row.names, columns)))
        for index in columns.used:  # of JSON, where an earlier row had it without its being of use
            self._counts.unused.pop(row.names[index], None)
        self._columns, self._names = columns, row.names
        if columns.label:
            self._label_column = LabelColumn(
                self._table.class_names.get(row.names[columns.label.index], ()),
                columns.meanings,
                columns.unclear_truth,
                columns.of_contradiction,
            )
        return columns

    def _label(self, row: Row, columns: Columns) -> str | None:
        if columns.label is None:
            return None
        try:
            return self._labels.read(columns.label.of(row), self._label_column)
        except UnknownLabel as error:
            raise _BadLabel(f"{error} (column {shorten(columns.label.name)})") from None
        except UnclearTruth as error:
            raise UserError(f"{self._table.name}, {self._table.unit} {row.number}: {error}") from None

    def other_labels(self) -> str:
        """All labels of the column that are not known, so that one label map can name them; "" for one."""
        unknown = self._labels.unknown(self._label_column)
        if len(unknown) < 2:
            return ""
        title = f"the first {MAX_SHOWN}" if len(unknown) == MAX_SHOWN else "all"
        return f"; {title} that are not known: {', '.join(map(shorten, unknown))}"


def _label_cells(table: Table, roles: Roles) -> Iterator[object]:
    names: Sequence[str] = ()
    label: Cell | None = None
    for row in table.read():
        if row.fault:
            continue
        if row.names != names:
            try:
                label = find_columns(row.names, roles).label
            except ColumnFault:
                label = None
            names = row.names
        if label:
            yield label.of(row)


def _text(row: Row, column: Cell, one: bool = False) -> str:
    """one: of several texts in a list each may be a statement of its own; else they are passages of one."""
    value = column.of(row)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        if one and len(value) > 1:
            raise _BadRow(f"{column.name} holds {len(value)} texts; expected one: write a row for each")
        value = "\n".join(value)
    if not isinstance(value, str):
        raise _BadRow(f"{column.name} is {shorten(value)}; expected a text")
    if not value.strip():
        raise _BadRow(f"{column.name} is empty ({shorten(value)}); expected a text")
    if is_no_text(value):
        raise _BadRow(f"{column.name} is {shorten(value)}, which stands for no text; expected a text")
    return _unicode(value, column.name)


def _plain(row: Row, column: Cell | None) -> str:
    """An id or a category as text, "" if there is none."""
    value = None if column is None else column.of(row)
    if isinstance(value, float):  # integers of a column with gaps
        value = int(value) if value.is_integer() else None if value != value else value
    if value is None or column is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _BadRow(f"{column.name} is {shorten(value)}; expected a text or an integer")
    return _unicode(str(value), column.name)


def _number(row: Row, column: Cell | None, expected: str, maximum: float) -> float | None:
    """Above 0 and up to a maximum; None where there is no such column. expected: in words."""
    if column is None:
        return None
    value = column.of(row)
    try:
        number = float(value) if isinstance(value, str | int | float) else 0.0
    except (ValueError, OverflowError):
        number = 0.0
    if not 0 < number <= maximum:
        raise _BadRow(f"{column.name} is {shorten(value)}; expected {expected}")
    return number


def _unicode(text: str, name: str) -> str:
    wrong = _NOT_TEXT.search(text)
    if wrong is not None:
        raise _BadRow(f"{name} holds {wrong[0]!r} in {shorten(text)}; expected Unicode text without NULs")
    return text
