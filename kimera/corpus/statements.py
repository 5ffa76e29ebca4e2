"""Files to statements, each with the file and the line on which it stands.

A table (delimited text, JSON, Parquet) holds a statement a row. Prose and documents (notebooks, Word, PDF)
are split into sentences; questions and what has fewer than `MIN_WORDS` words state nothing and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from kimera.corpus.documents import DOCUMENTS, DocumentError, Part
from kimera.corpus.ignore_marks import without_marks
from kimera.corpus.prose import CODE, READERS
from kimera.corpus.sentences import sentences_of_text
from kimera.corpus.texts import NO_CONTEXT, Context, Moment, Statement, moment_of
from kimera.errors import UserError
from kimera.files import (
    EXTENSIONS,
    STANDARD_INPUT,
    Cell,
    ColumnFault,
    Encoding,
    Row,
    Table,
    TableFormat,
    Wanted,
    find_encoding,
    is_no_text,
    is_table_by_content,
    not_valid,
    open_table,
    plain,
    shorten,
    shown,
    spooled,
    stated_column,
    text_head,
    text_lines,
    unused_names,
)

COLUMNS = ("text", "statement", "sentence", "claim", "content", "memory", "assertion", "proposition")
"""Names of the columns that hold statements; of several that a table has, the first counts."""

MIN_WORDS = 3  # of a sentence
MAX_BYTES = 64 << 20  # of a file of prose or a document, which is read whole
INPUT_FORMATS = tuple(
    dict.fromkeys(ending.removeprefix(".") for ending in (*READERS, *DOCUMENTS, *EXTENSIONS))
)
"""What standard input may be read as."""

_MAX_OTHERS = 100
_AS_TABLE = "name its delimiter (--delimiter comma, also of a single column) and its column (--column NAME)"
_WAY_ON = "; correct the row, or leave out such rows with --skip-bad-rows"
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # of texts none, but the escapes of a terminal's log


class Columns(NamedTuple):
    """Of tables, the columns that hold the statements, their subjects and their times."""

    text: str | None = None
    subject: str | None = None
    time: str | None = None


def is_table(name: str) -> bool:
    """Whether a file is a table by its name."""
    return name.lower().endswith(EXTENSIONS)


def read_statements(
    name: str,
    *,
    column: str | None = None,
    subject: str | None = None,
    time: str | None = None,
    format: TableFormat | None = None,
    input_format: str | None = None,
    path: Path | None = None,
    on_bad_row: Callable[[str], object] | None = None,
    on_blank: Callable[[], object] = lambda: None,
    on_note: Callable[[str], object] = lambda _: None,
    on_ignored: Callable[[], object] = lambda: None,
) -> Iterator[Statement]:
    """The statements of a file, in file order, with their blanks made single spaces.

    name: what the file's kind is told by: tables, documents (`DOCUMENTS`) and marked-up texts (`READERS`) by
    the extension, anything else is plain text; "-" is standard input, of which the content tells a table.
    column, subject, time: of tables, see `Columns`; statements by default in the first of `COLUMNS`.
    format: how a table is written, where its content is not to say. input_format: of standard input, one of
    `INPUT_FORMATS`, by which it is read like a file of that extension. path: where the file lies, where that
    is not its name.
    on_bad_row: is told of each row that holds no text, which is then left out, and of a file of prose that is
    no text; without it the first such is an error. on_blank: is called for each row whose cell is blank.
    on_note: is told what was recognised, and which columns are of no use. on_ignored: is called for each
    statement that a mark keeps out.
    Raises UserError: for a file that cannot be read, on the way.
    """
    with ExitStack() as stack:
        path, title = path or Path(name), name
        columns = Columns(column, subject, time)
        wanted = _is_wanted(columns)
        table = is_table(name)
        if name == STANDARD_INPUT:
            path, title = stack.enter_context(spooled()), "stdin"
            if input_format:
                path = path.rename(path.with_suffix(f".{input_format}"))
            table = is_table(path.name) or (
                not input_format and is_table_by_content(path, title, wanted, format)
            )
            if any(columns) and not table:
                flag = next(
                    f"--{name}"
                    for name, value in (("column", column), ("subject", subject), ("time", time))
                    if value
                )
                raise UserError(
                    f"standard input is not a table, so {flag} has no effect; leave it out, or {_AS_TABLE}"
                )
        if table:
            opened = open_table(path, wanted, format, title)
            yield from _of_table(opened, columns, on_bad_row, on_blank, on_note)
        else:
            yield from _of_prose(path, title, format, on_bad_row, on_note, on_ignored)
            if name == STANDARD_INPUT and not input_format and _begins_with_one_word(path, title, format):
                on_note(f"{title}: read as plain text; if it is a table, {_AS_TABLE}")


def _begins_with_one_word(path: Path, name: str, format: TableFormat | None) -> bool:
    """As the header of a table of one column does, which nothing else tells from plain text."""
    head = text_head(path, find_encoding(path, name, format.encoding if format else None), name)
    return len(head.partition("\n")[0].split()) == 1


def _of_prose(
    path: Path,
    name: str,
    format: TableFormat | None,
    on_bad_file: Callable[[str], object] | None,
    on_note: Callable[[str], object],
    on_ignored: Callable[[], object],
) -> Iterator[Statement]:
    context = NO_CONTEXT
    for part in _parts(path, name, format, on_bad_file, on_note):
        text, ignored = without_marks(part.text, part.code)
        for sentence, line, end, table, headings in part.split(text):
            before = "" if table or headings != context.headings else context.before
            here, context = Context(headings, before), Context(headings, "" if table else sentence)
            if len(sentence.split()) < MIN_WORDS or sentence.endswith("?"):
                continue
            if ignored.intersection(range(line, end + 1)):
                on_ignored()
            elif part.unit:
                begin = table and part.offset + table
                yield Statement(
                    sentence, name, part.number, begin, by_line=False, unit=part.unit, context=here
                )
            else:
                yield Statement(sentence, name, line, table, end, context=here)


def _parts(
    path: Path,
    name: str,
    format: TableFormat | None,
    on_bad_file: Callable[[str], object] | None,
    on_note: Callable[[str], object],
) -> Iterator[Part]:
    _require_size(path, name)
    kind = path.suffix.lower()
    if kind not in DOCUMENTS:
        text = _read_prose(path, name, format, on_bad_file, on_note)
        yield Part(text, READERS.get(kind, sentences_of_text), CODE.get(kind))
        return
    try:
        yield from DOCUMENTS[kind](path)
    except DocumentError as fault:
        if not on_bad_file:
            raise UserError(f"{name}: {fault}; or leave it out with --skip-bad-rows") from None
        on_bad_file(f"{name}: {fault}")


def _require_size(path: Path, name: str) -> None:
    """Raises UserError for what is no file, and for one that is too large to be read whole."""
    try:
        about = path.stat()
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror}; check the name") from None
    if not S_ISREG(about.st_mode):
        raise UserError(f"{name}: this is no file; give its content to standard input, and - as the name")
    if about.st_size > MAX_BYTES:
        raise UserError(
            f"{name}: has {about.st_size >> 20:,} MiB; prose is read whole, and at most "
            f"{MAX_BYTES >> 20} MiB of it: split the file, or give a table with a statement a row"
        )


def _read_prose(
    path: Path,
    name: str,
    format: TableFormat | None,
    on_bad_file: Callable[[str], object] | None,
    on_note: Callable[[str], object],
) -> str:
    """ "" where the file is no text, and `on_bad_file` is told so."""
    encoding = find_encoding(path, name, format.encoding if format else None)
    lines = list(text_lines(path, encoding, name, "\n"))
    number, fault = next(
        ((number, fault) for number, line in enumerate(lines, 1) if (fault := _no_text(line, encoding))),
        (0, ""),
    )
    if fault and on_bad_file:
        on_bad_file(f"{name}, line {number}: {fault}")
        return ""
    if fault:
        raise UserError(
            f"{name}, line {number}: {fault}; leave out what is not text with --skip-bad-rows. Tables end in "
            f"{', '.join(EXTENSIONS)}"
        )
    if encoding.note:
        on_note(f"{name}: {encoding.note}")
    return "".join(lines).replace("\r\n", "\n").replace("\r", "\n")


def _no_text(line: str, encoding: Encoding) -> str:
    """What shows that a line is none of a text, or ""."""
    if match := _CONTROL.search(line):
        return f"holds {match[0]!r}, so this is not text"
    return not_valid(line, encoding)


def _is_wanted(columns: Columns) -> Wanted:
    stated = {plain(part) for name in columns if name for part in (name, name.split(".")[0])}
    if columns.text:
        return lambda name: plain(name) in stated
    return lambda name: plain(name) in stated or plain(name.rpartition(".")[2]) in COLUMNS


def _of_table(
    table: Table,
    columns: Columns,
    on_bad_row: Callable[[str], object] | None,
    on_blank: Callable[[], object],
    on_note: Callable[[str], object],
) -> Iterator[Statement]:
    finder = _Finder(table, columns)
    if table.header and (header := table.header()):
        finder.cell_of(header)
    for row in table.read():
        text, fault = finder.text_of(row)
        moment: Moment | None = None
        if text and not fault:
            try:
                moment = moment_of(finder.value_of(row, "--time", columns.time))
            except ValueError as error:
                fault = str(error)
        if fault:
            message = f"{table.name}, {table.unit} {row.number}: {fault}"
            if on_bad_row is None:
                raise UserError(f"{message}{'' if finder.hopeless else _WAY_ON}")
            on_bad_row(message)
        elif text:
            subject = finder.value_of(row, "--subject", columns.subject)
            yield Statement(
                text,
                table.name,
                row.number,
                end=row.number + row.lines - 1 if row.lines > 1 else 0,
                subject="" if subject is None else " ".join(str(subject).split()),
                moment=moment,
                by_line=table.unit == "line",
                is_row=True,
            )
        else:
            on_blank()
    for note in (*table.notes, *finder.notes()):
        on_note(note)


class _Finder:
    """Finds the statement of each row of a table, and remembers the columns of no use."""

    def __init__(self, table: Table, columns: Columns) -> None:
        self._table = table
        self._column = columns.text
        self._columns = columns
        self._beside: dict[str, Cell] = {}
        self._names: Sequence[str] | None = None
        self._cell: Cell | None = None
        self._used = ""
        self._others: dict[str, None] = {}

    @property
    def hopeless(self) -> bool:
        """Whether no row so far had the column, so that to leave out such rows would leave nothing."""
        return not self._used

    def cell_of(self, row: Row) -> Cell:
        """Where the statement stands. Raises UserError if the row has no such column."""
        if self._cell is None or row.names != self._names:
            try:
                self._cell = self._find(row.names)
            except ColumnFault as fault:
                raise UserError(f"{self._table.name}: {fault}") from None
            self._names, self._used = row.names, self._cell.name
            self._beside.clear()
            if len(self._others) < _MAX_OTHERS:
                self._others.update(dict.fromkeys(unused_names(row.names, {self._cell.index})))
        return self._cell

    def _find(self, names: Sequence[str]) -> Cell:
        if self._column:
            return stated_column(names, "--column", self._column)
        for wanted in COLUMNS:
            for bare in (plain, _last_part):
                columns = [index for index, name in enumerate(names) if bare(name) == wanted]
                if len(columns) > 1:
                    raise ColumnFault(
                        f"each of the columns {shown([names[index] for index in columns])} could hold the "
                        "statements; name the one that does with --column"
                    )
                if columns:
                    return Cell(columns[0], names[columns[0]])
        raise ColumnFault(
            f"the columns are {shorten(list(names), 200)}; expected {' or '.join(COLUMNS)}: name the one "
            "that holds the statements with --column"
        )

    def value_of(self, row: Row, flag: str, column: str | None) -> object:
        """Of a column beside the statements', in a row whose statement was found. Raises UserError."""
        if column is None:
            return None
        if flag not in self._beside:
            try:
                self._beside[flag] = stated_column(row.names, flag, column)
            except ColumnFault as fault:
                raise UserError(f"{self._table.name}: {fault}") from None
        return self._beside[flag].of(row)

    def text_of(self, row: Row) -> tuple[str, str]:
        """(the row's statement, or "" where its cell is blank; what is wrong with the row, or "")."""
        if row.fault:
            return "", row.fault
        try:
            value = self.cell_of(row).of(row)
        except UserError as error:
            if self._table.has_header:
                raise
            return "", str(error).removeprefix(f"{self._table.name}: ")
        if value is None or (isinstance(value, float) and value != value):
            return "", ""
        if not isinstance(value, str):
            return "", f"{shorten(value)} is not a text; the column is {shorten(self._used)}"
        return "" if is_no_text(value) else " ".join(value.split()), ""

    def notes(self) -> list[str]:
        used = {self._used, *(plain(name) for name in self._columns[1:] if name)}
        others = [name for name in self._others if name not in used and plain(name) not in used]
        if not others:
            return []
        read = f"{self._table.name}: statements are read from the column {shorten(self._used)}"
        return [f"{read}; not used: {shown(others)}"]


def _last_part(name: str) -> str:
    return plain(name.rpartition(".")[2])
