"""Files to statements, each with the file and the line on which it stands.

A table (CSV, TSV, JSON Lines, Parquet) holds a statement a row. Markdown and plain text are split into
sentences; questions and what has fewer than `MIN_WORDS` words state nothing and are left out, and so are
Markdown's headings, tables, code blocks and front matter.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kimera.errors import UserError
from kimera.installation import how_to_install
from kimera.passages import sentences
from kimera.tables import EXTENSIONS, Row, Table, open_table, shorten

if TYPE_CHECKING:
    from markdown_it.token import Token

STANDARD_INPUT = "-"
COLUMNS = ("text", "statement", "sentence", "claim", "content")
"""Lower-case names of the columns that hold statements; of several that a table has, the first counts."""

MIN_WORDS = 3  # of a sentence
_MARKDOWN = (".md", ".markdown")
_PROSE = (*_MARKDOWN, ".txt", ".text")
_FRONT_MATTER = re.compile(r"\A---\n(?=[\w\"'-]+ *:|#)(?:.*\n)*?(?:---|\.\.\.)\n")  # else it is a rule


@dataclass(frozen=True, slots=True)
class Statement:
    """A text, and where it stands: a file, and a line of it (of Parquet a row), counted from 1."""

    text: str
    file: str
    line: int


@dataclass
class Corpus:
    """Distinct texts in the order in which they were met, and the places ("file:line") of each."""

    texts: list[str] = field(default_factory=list)
    places: list[list[str]] = field(default_factory=list)
    _rows: dict[str, int] = field(default_factory=dict)

    def add(self, statement: Statement) -> None:
        row = self._rows.setdefault(statement.text, len(self.texts))
        if row == len(self.texts):
            self.texts.append(statement.text)
            self.places.append([])
        self.places[row].append(f"{statement.file}:{statement.line}")

    @property
    def statements(self) -> int:
        return sum(map(len, self.places))


def files_of(names: Iterable[str]) -> list[str]:
    """The names, with each folder replaced by the Markdown and plain text files in it, sorted.

    Each file once; hidden files and folders are passed over. Raises UserError for a folder without any.
    """
    found: dict[str, str] = {}
    for name in names:
        if name == STANDARD_INPUT or not Path(name).is_dir():
            found.setdefault(name if name == STANDARD_INPUT else os.path.realpath(name), name)
            continue
        inside = sorted(path for path in Path(name).rglob("*") if _is_prose(path, Path(name)))
        if not inside:
            raise UserError(f"{name}: holds no file that ends in {', '.join(_PROSE)}; name the files")
        for path in inside:
            found.setdefault(os.path.realpath(path), str(path))
    return list(found.values())


def _is_prose(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in _PROSE and path.is_file()


def read_statements(
    name: str,
    *,
    column: str | None = None,
    on_bad_row: Callable[[str], object] | None = None,
    on_blank: Callable[[], object] = lambda: None,
) -> Iterator[Statement]:
    """The statements of a file, in file order, with their blanks made single spaces.

    name: what the file's kind is told by: a table by its extension, Markdown by .md or .markdown, anything
    else is plain text; "-" is standard input. column: of tables, the one that holds the statements; by
    default the first of `COLUMNS`. on_bad_row: is told of each row that holds no text, which is then left
    out, and of a file of prose that is not UTF-8; without it the first such is an error. on_blank: is
    called for each row whose cell is blank.
    Raises UserError: for a file that cannot be read, on the way.
    """
    if name.lower().endswith(EXTENSIONS):
        yield from _of_table(name, column, on_bad_row, on_blank)
        return
    text = _read_prose(name, on_bad_row)
    split = _of_markdown if name.lower().endswith(_MARKDOWN) else _of_text
    file = "stdin" if name == STANDARD_INPUT else name
    for sentence, line in split(text):
        if len(sentence.split()) >= MIN_WORDS and not sentence.endswith("?"):
            yield Statement(sentence, file, line)


def _read_prose(name: str, on_bad_file: Callable[[str], object] | None) -> str:
    """ "" where the file is no text, and `on_bad_file` is told so."""
    try:
        content = sys.stdin.buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror}; check the name") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fault = f"{name}, line {line}: the byte 0x{content[error.start]:02x} is not valid UTF-8"
        if on_bad_file:
            on_bad_file(fault)
            return ""
        raise UserError(
            f"{fault}; save a text as UTF-8, or leave out what is none with --skip-bad-rows. Tables end in "
            f"{', '.join(EXTENSIONS)}"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _of_text(text: str, line: int = 1) -> Iterator[tuple[str, int]]:
    """(sentence, the line on which it begins); `line` is that of the text's beginning.

    Line ends in a paragraph do not end a sentence, blank lines do.
    """
    at = 0
    for sentence in sentences(text) if text.strip() else ():
        begin = max(text.find(sentence, at), at)
        line += text.count("\n", at, begin)
        yield " ".join(sentence.split()), line
        at = begin + len(sentence)
        line += sentence.count("\n")


def _of_markdown(text: str) -> Iterator[tuple[str, int]]:
    """The sentences of paragraphs, list items and quotations."""
    if find_spec("markdown_it") is None:
        raise UserError(f"reading Markdown needs markdown-it-py; run: {how_to_install('scan')}")
    from markdown_it import MarkdownIt

    front_matter = _FRONT_MATTER.match(text)
    if front_matter:
        text = "\n" * front_matter[0].count("\n") + text[front_matter.end() :]
    around = ""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "inline" and around == "paragraph_open" and token.map:
            yield from _of_text(_shown(token.children or ()), token.map[0] + 1)
        around = token.type


def _shown(tokens: Iterable[Token]) -> str:
    """What a reader sees of a paragraph, without its marks; its line ends are kept."""
    ends = {"softbreak": "\n", "hardbreak": "\n"}
    return "".join(
        token.content if token.type in ("text", "code_inline") else ends.get(token.type, "")
        for token in tokens
    )


def _of_table(
    name: str,
    column: str | None,
    on_bad_row: Callable[[str], object] | None,
    on_blank: Callable[[], object],
) -> Iterator[Statement]:
    wanted = (column.strip().lower(),) if column else COLUMNS
    table = open_table(name, wanted)
    if table.header and (header := table.header()):
        _cell_at(header.names, wanted, table)
    for row in table.read():
        text, fault = _text_of(row, wanted, table)
        if fault:
            message = f"{name}, {table.unit} {row.number}: {fault}"
            if on_bad_row is None:
                raise UserError(f"{message}; mend the row, or leave out such rows with --skip-bad-rows")
            on_bad_row(message)
        elif text:
            yield Statement(text, name, row.number)
        else:
            on_blank()


def _text_of(row: Row, wanted: Sequence[str], table: Table) -> tuple[str, str]:
    """(the row's statement, or "" where its cell is blank; what is wrong with the row, or "")."""
    if row.fault:
        return "", row.fault
    try:
        value = row.values[_cell_at(row.names, wanted, table)]
    except UserError as error:
        if table.has_header:
            raise
        return "", str(error).removeprefix(f"{table.name}: ")
    if value is None:
        return "", ""
    if not isinstance(value, str):
        return "", f"{shorten(value)} is not a text"
    return " ".join(value.split()), ""


def _cell_at(names: Sequence[str], wanted: Sequence[str], table: Table) -> int:
    lowered = [name.strip().lower() for name in names]
    for name in wanted:
        if name in lowered:
            return lowered.index(name)
    raise UserError(
        f"{table.name}: the columns are {shorten(list(names), 200)}; expected {' or '.join(wanted)}: name "
        "the one that holds the statements with --column"
    )
