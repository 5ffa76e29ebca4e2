"""Delimited text -> rows: CSV after RFC 4180 and what people send under that name.

Recognised are the delimiter (comma, semicolon, tab or pipe; a first line such as `sep=;` says it) and whether
quotation marks quote. With tabs they do not, by IANA's definition, unless the whole file uses them as writers
of quoted text do. A mark that is never closed in its row would take the rows after it along; such a row is
found by what it would swallow, and is one row's fault: reading goes on at the next line.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from kimera.errors import UserError
from kimera.files.rows import Row, Table, Wanted, shorten
from kimera.files.text_files import Encoding, not_valid, text_lines

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
QUOTINGS = ("csv", "none")
_TITLES = {delimiter: title for title, delimiter in DELIMITERS.items()}
# A quote left open makes the rest of a file one field; this bounds what such a file can take of the memory.
_MAX_FIELD = 1 << 24
_MAX_HEADER_LINES = 10
_SAMPLE_LINES = 200
_MIN_USUAL_ROWS, _MAX_USUAL_ROWS = 10, 10_000
_BLANKS = " \t\r\n"
_SEP = re.compile(r'"?sep=(?:(.)"?|)(?:\r\n?|\n|)', re.IGNORECASE)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_RULE = re.compile(r"\s*:?-{2,}:?\s*")
_NUMBER = re.compile(r"[+-]?[0-9.,]+(?:e[+-]?[0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a delimited file is written.

    quoted: a field may stand in quotation marks. skip_blanks: blanks after a delimiter are no part of a
    field. first_line: of the header, where a line such as `sep=;` may stand before it. stated: the user says
    how the file is quoted, so that a field over several lines is taken for one.
    """

    delimiter: str
    quoted: bool = True
    skip_blanks: bool = False
    first_line: int = 1
    stated: bool = False


class _Lines(Iterator[str]):
    """Lines that can be given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._ahead: deque[str] = deque()
        self.number = 0  # of the line that was given last

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self.number += 1
        return line

    def give_back(self, lines: Sequence[str]) -> None:
        self._ahead.extendleft(reversed(lines))
        self.number -= len(lines)


@dataclass(slots=True)
class _Column:
    """What the cells of one column have in common, in rows that nothing is wrong with."""

    empty: bool = False
    blank_first: bool = False
    blanks: bool = False
    numbers: bool = True

    def add(self, cell: str) -> None:
        if not cell.strip():
            self.empty = True
            return
        self.blank_first |= cell[0].isspace()
        self.blanks |= " " in cell.strip()
        self.numbers &= bool(_NUMBER.fullmatch(cell.strip()))

    def takes(self, cell: str, known: bool) -> bool:
        """Whether a cell looks like the others. known: there are enough to tell what kind they are of."""
        bare = cell.strip().strip('"').strip()
        if not bare:
            return self.empty
        if cell[0].isspace() and not self.blank_first:
            return False
        if not known:
            return True
        if self.numbers and not _NUMBER.fullmatch(bare):
            return False
        return self.blanks or " " not in bare


@dataclass
class _Usual:
    """What rows of a file look like: those that stand on one line and have the header's width."""

    width: int
    rows: int = 0
    columns: list[_Column] = field(default_factory=list)

    def add(self, cells: Sequence[str]) -> None:
        self.columns = self.columns or [_Column() for _ in range(self.width)]
        self.rows += 1
        for column, cell in zip(self.columns, cells, strict=True):
            column.add(cell)

    def takes(self, cells: Sequence[str]) -> bool:
        """Whether these cells could be a row."""
        if len(cells) != self.width or self.width < 2:
            return False
        columns = self.columns or [_Column() for _ in range(self.width)]
        return all(
            column.takes(cell, self.rows >= _MIN_USUAL_ROWS)
            for column, cell in zip(columns, cells, strict=True)
        )


@dataclass(frozen=True)
class _Source:
    """A file of text in one dialect."""

    path: Path
    name: str
    encoding: Encoding
    dialect: Dialect

    def lines(self) -> Iterator[str]:
        return text_lines(self.path, self.encoding, self.name)

    @cached_property
    def usual(self) -> _Usual:
        """Reads as many rows as tell; only where a field that goes over lines asks for it."""
        with closing(_records(self.lines(), self.dialect, lambda: _Usual(0))) as records:
            header = next(records, None)
            usual = _Usual(len(header.cells) if header else 0)
            alone = (record.cells for record in records if record.lines == 1 and not record.fault)
            for cells in islice((cells for cells in alone if len(cells) == usual.width), _MAX_USUAL_ROWS):
                usual.add(cells)
        return usual


@dataclass(frozen=True, slots=True)
class _Record:
    """What stands from a line on: cells, or a fault. lines: over how many it goes; text: all of it."""

    number: int
    text: str
    cells: Sequence[str] = ()
    lines: int = 1
    fault: str = ""


def delimited_table(
    path: Path,
    name: str,
    usual_delimiter: str,
    wanted: Wanted,
    encoding: Encoding,
    delimiter: str | None = None,
    quoting: str | None = None,
) -> Table:
    """usual_delimiter: what the file's name promises. delimiter, quoting: what the user says.

    Raises UserError for a delimiter that can be none.
    """
    # The limit belongs to the whole process. It is only ever raised, so no other reader can be hurt.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD))
    stated = parse_delimiter(delimiter) if delimiter else ""
    dialect = _find_dialect(path, name, usual_delimiter, wanted, encoding, stated)
    notes = [encoding.note] if encoding.note else []
    if dialect.delimiter != usual_delimiter and not stated:
        notes.append(f"the delimiter is the {_TITLES.get(dialect.delimiter, repr(dialect.delimiter))}")
    if quoting:
        dialect = replace(dialect, quoted=quoting == "csv", stated=True)
    elif dialect.delimiter == "\t":
        quoted = _quotes_as_writers_do(_Source(path, name, encoding, dialect))
        dialect = replace(dialect, quoted=bool(quoted))
        notes += _said_of_tabs(quoted)
    source = _Source(path, name, encoding, dialect)
    notes = [f"{name}: {note}" for note in notes]

    def header() -> Row | None:
        with closing(_rows(source, notes)) as rows:
            return next(rows, None)

    return Table(name, "line", lambda: islice(_rows(source, notes), 1, None), header=header, notes=notes)


def _said_of_tabs(quoted: bool | None) -> list[str]:
    if quoted is None:
        return []
    if quoted:
        return ["quoted fields are read without their quotation marks (--quoting none keeps the marks)"]
    return ["quotation marks are read as text (--quoting csv takes them for quotes)"]


def parse_delimiter(stated: str) -> str:
    """A delimiter by its name or itself. Raises UserError."""
    delimiter = DELIMITERS.get(stated.casefold(), "\t" if stated == "\\t" else stated)
    if len(delimiter) != 1 or delimiter in '"\r\n\ufeff':
        raise UserError(f"--delimiter {stated!r}: give one character, or {', '.join(DELIMITERS)}")
    return delimiter


def looks_delimited(lines: Sequence[str], wanted: Wanted) -> str | None:
    """The delimiter under which the first of these lines is a header with a column that is wanted, if any."""
    lines = [line for line in lines if line.strip()]
    if lines and (stated := _sep_of(lines[0])) is not None:
        return stated or ","
    scores = {delimiter: _score(lines, delimiter, wanted, ",") for delimiter in _TITLES}
    best = max(scores, key=lambda delimiter: scores[delimiter])
    known, widths, *_ = scores[best]
    return best if known and widths else None


def _find_dialect(
    path: Path, name: str, usual: str, wanted: Wanted, encoding: Encoding, stated: str
) -> Dialect:
    with closing(text_lines(path, encoding, name)) as lines:
        sample = list(islice(lines, _SAMPLE_LINES))
    first_line = 1
    said = _sep_of(sample[0]) if sample else None
    if said is not None:
        first_line = 2
        sample = sample[1:]
    rows = [line for line in sample if line.strip()]
    delimiter = stated or said or max(_TITLES, key=lambda each: _score(rows, each, wanted, usual))
    header = _split(rows[0], delimiter) if rows else []
    skip_blanks = len(header) > 1 and all(cell.startswith(" ") for cell in header[1:])
    return Dialect(delimiter, True, skip_blanks and delimiter != "\t", first_line)


def _sep_of(line: str) -> str | None:
    """The delimiter that a first line `sep=;` states, for Excel; "" if it states none, None if it is none."""
    said = _SEP.fullmatch(line)
    return None if said is None else said[1] or ""


def _score(lines: Sequence[str], delimiter: str, wanted: Wanted, usual: str) -> tuple[float, ...]:
    """How well a delimiter explains the lines, the first of which is the header."""
    if not lines:
        return (0.0, 0.0, delimiter == usual, 0.0)
    names = _split(lines[0], delimiter)
    known = sum(map(wanted, names))
    if len(names) < 2:
        return (known, 0.0, delimiter == usual, 0.0)
    alike = sum(len(_split(line, delimiter)) == len(names) for line in lines[1:])
    share = alike / len(lines[1:]) if lines[1:] else 1.0
    return (known, share or 0.01, delimiter == usual, len(names))


def _split(line: str, delimiter: str) -> list[str]:
    """The fields of one line, however its marks stand."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # longer than any field may be, which is a matter of the row that it stands in
        return line.split(delimiter)


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _rows(source: _Source, notes: list[str]) -> Generator[Row]:
    """The first is the header, names without values; `Row.number` is the line on which a row begins.

    notes: where there is one column, nothing tells a text of several lines from rows that an open mark joins,
    so that the first such is told.
    """
    said = f"{source.name}: texts of several lines, as the one from line "
    names: tuple[str, ...] = ()
    for record in _records(source.lines(), source.dialect, lambda: source.usual):
        if not names:
            names = _header(record, source)
            yield Row(record.number, names)
            continue
        fault = record.fault or not_valid("".join(record.cells), source.encoding)
        if not fault and len(record.cells) != len(names):
            fault = _ragged(len(record.cells), len(names), source.dialect)
        elif not fault and _is_header_again(record.cells, names):
            fault = "the header stands here again, as where files were joined"
        elif not fault and all(map(_RULE.fullmatch, record.cells)):
            fault = "a rule of hyphens, as tools draw under a header, is no row"
        if len(names) == 1 and record.lines > 1 and not any(note.startswith(said) for note in notes):
            end = record.number + record.lines - 1
            notes.append(f"{said}{record.number} to {end}, are one row each (--quoting none: a row a line)")
        if fault:
            yield Row(record.number, fault=fault)
        else:
            yield Row(record.number, names, record.cells, lines=record.lines)


def _is_header_again(cells: Sequence[str], names: Sequence[str]) -> bool:
    return cells[-1] == names[-1] and [cells[0].removeprefix("\ufeff"), *cells[1:]] == list(names)


def _header(record: _Record, source: _Source) -> tuple[str, ...]:
    fault = record.fault or not_valid("".join(record.cells), source.encoding)
    swallows = any("\n" in cell and source.dialect.delimiter in cell for cell in record.cells)
    if swallows or record.lines > _MAX_HEADER_LINES:
        fault = "a quotation mark is not closed in the header; close it, or give --quoting none"
    if fault:
        raise UserError(f"{source.name}, line {record.number}: {fault}")
    return tuple(record.cells)


def _ragged(found: int, expected: int, dialect: Dialect) -> str:
    remedy = (
        "quote fields that contain the delimiter"
        if dialect.quoted
        else "a field must not contain the delimiter"
    )
    return f"{found} fields where the header has {expected}; {remedy}"


def _records(text: Iterable[str], dialect: Dialect, usual: Callable[[], _Usual]) -> Generator[_Record]:
    """All records, the header first; lines with nothing but blanks and delimiters are none."""
    lines = _Lines(text)
    for _ in range(dialect.first_line - 1):
        next(lines, None)
    header: _Record | None = None
    for line in lines:
        number = lines.number
        if dialect.quoted and '"' in line:
            record = _quoted_record(line, lines, dialect, header, usual)
        else:
            record = _Record(number, line, _plain_cells(line, dialect))
        if not record.text.strip(dialect.delimiter + _BLANKS):
            continue
        header = header or record
        yield record


def _plain_cells(line: str, dialect: Dialect) -> list[str]:
    cells = _without_end(line).split(dialect.delimiter)
    return [cells[0], *(cell.lstrip(" ") for cell in cells[1:])] if dialect.skip_blanks else cells


def _quoted_record(
    line: str, lines: _Lines, dialect: Dialect, header: _Record | None, usual: Callable[[], _Usual]
) -> _Record:
    """A record that begins with this line. header: of the file, None where this is it."""
    number = lines.number
    if line.startswith('\ufeff"'):  # of files that were joined; in a text it would stand behind the mark
        line = line[1:]
    taken = [line]
    length = len(line)

    def feed() -> Iterator[str]:
        nonlocal length
        yield line
        for more in lines:
            taken.append(more)
            length += len(more)
            if length > _MAX_FIELD:
                return
            yield more

    reader = csv.reader(
        feed(), delimiter=dialect.delimiter, strict=True, skipinitialspace=dialect.skip_blanks
    )
    try:
        cells = next(reader)
    except csv.Error as error:
        lines.give_back(taken[1:])
        return _Record(number, line, fault=_out_of_place(line, error))
    if len(taken) == 1:
        return _Record(number, line, cells)
    text = "".join(taken)
    if header and not dialect.stated and _takes_rows_along(_as_rows(taken, header), dialect, usual(), cells):
        lines.give_back(taken[1:])
        return _Record(number, line, fault=_swallows(line, len(taken) - 1))
    return _Record(number, text, cells, len(taken))


def _as_rows(lines: Sequence[str], header: _Record) -> list[str]:
    """Lines that end as the header does: within a cell spreadsheets write another end of line."""
    end = _line_end(header.text)
    rows = [""]
    for line in lines:
        rows[-1] += line
        if _line_end(line) == end:
            rows.append("")
    return [row for row in rows if row]


def _line_end(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :][-2:]


def _takes_rows_along(rows: Sequence[str], dialect: Dialect, usual: _Usual, cells: Sequence[str]) -> bool:
    """Whether a record joins what would be rows if its first mark were text. cells: of the record."""
    if len(rows) < 2:
        return False
    alone = [_without_end(rows[0]).split(dialect.delimiter), *(_alone(row, dialect) for row in rows[1:])]
    if dialect.delimiter == "\t":  # which no prose holds, so that the number of fields tells enough
        begins, *others = [len(fields) == usual.width > 1 for fields in alone]
    else:
        begins, *others = [usual.takes(fields) for fields in alone]
    return any(others[:-1]) or (others[-1] and (begins or len(cells) != usual.width))


def _alone(line: str, dialect: Dialect) -> list[str]:
    """The fields of a line that is read by itself, none where its marks are out of place."""
    reader = csv.reader(
        _LINE.findall(line),
        delimiter=dialect.delimiter,
        strict=True,
        skipinitialspace=dialect.skip_blanks,
    )
    try:
        return next(reader)
    except csv.Error:
        return []


def _out_of_place(line: str, error: csv.Error) -> str:
    if "expected after" in str(error):
        return (
            f"quotes are out of place ({error}) in {shorten(_without_end(line))}; double each quote inside a "
            "quoted field, or give --quoting none to read them as text"
        )
    return (
        f"quotes are out of place: one is opened and not closed in {shorten(_without_end(line))}; close it, "
        "or give --quoting none to read quotes as text"
    )


def _swallows(line: str, more: int) -> str:
    rows = f"{more} rows" if more > 1 else "row"
    return (
        f"quotes are out of place: one is opened in {shorten(_without_end(line))}, and its field would take "
        f"the next {rows} along; close it, or give --quoting none to read quotes as text, or --quoting csv "
        "if it is one text"
    )


def _quotes_as_writers_do(source: _Source) -> bool | None:
    """Whether the marks of a whole file quote its fields; None where it has none.

    They do if every row balances, and the marks are where writers of quoted text put them.
    """
    usual = _Usual(0)
    marks = _Marks(source.dialect.delimiter)
    with closing(_records(source.lines(), source.dialect, lambda: usual)) as records:
        for header in islice(records, 1):
            usual = _Usual(len(header.cells))
            marks.add(header)
        for record in records:
            if record.fault or ('"' in record.text and len(record.cells) != usual.width):
                return False
            marks.add(record)
            if record.lines == 1 and len(record.cells) == usual.width:
                usual.add(record.cells)
    return marks.quote if marks.seen else None


class _Marks:
    """Where quotation marks stand in the fields of a file.

    Writers quote fields that hold a delimiter, a line end or a mark, some those with a comma too, and then
    all of these; or else all of a column, its header too. None leaves a mark in a field that is not quoted.
    """

    def __init__(self, delimiter: str) -> None:
        self.seen = False
        self._delimiter = delimiter
        quoted_or_not = rf'(?:^|{re.escape(delimiter)})("(?:[^"]|"")*"|[^{re.escape(delimiter)}]*)'
        self._field = re.compile(quoted_or_not)
        self._needless: set[int] = set()  # columns with a field that is quoted for no reason
        self._bare: set[int] = set()  # columns with a field, or a header, that is not quoted
        self._inside_bare = self._comma_bare = self._comma_quoted = False

    def add(self, record: _Record) -> None:
        fields = record.cells
        if '"' in record.text:
            self.seen = True
            fields = self._field.findall(_without_end(record.text))
        for column, text in enumerate(fields):
            if text.startswith('"'):
                self._add_quoted(column, text[1:-1])
            elif text:
                self._bare.add(column)
                self._inside_bare |= '"' in text
                self._comma_bare |= "," in text

    def _add_quoted(self, column: int, text: str) -> None:
        if any(mark in text for mark in (self._delimiter, "\n", "\r", '""')):
            return
        if "," in text:
            self._comma_quoted = True
        else:
            self._needless.add(column)

    @property
    def quote(self) -> bool:
        return not (
            self._inside_bare or (self._comma_quoted and self._comma_bare) or self._needless & self._bare
        )
