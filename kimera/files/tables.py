"""Files of rows -> rows, one at a time: delimited text, JSON and Parquet; text may also be gzipped.

What the columns mean is not known here. A row that cannot be split into cells is given with its fault, so
that the caller decides whether to go on; a fault of the whole file is a UserError.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from kimera.errors import UserError
from kimera.files.delimited_tables import delimited_table, looks_delimited
from kimera.files.json_tables import is_array_of_objects, is_json_lines, json_lines_table, json_table
from kimera.files.parquet_tables import parquet_table
from kimera.files.rows import Row, Table, Wanted, shorten
from kimera.files.text_files import Encoding, find_encoding, open_binary, text_head

__all__ = [
    "EXTENSIONS",
    "KINDS_OF_TABLES",
    "Row",
    "Table",
    "TableFormat",
    "Wanted",
    "is_table_by_content",
    "open_table",
    "shorten",
]

_ZIP_MAGIC, _OLD_EXCEL_MAGIC = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_SAMPLE_LINES = 50


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How a table is written, where its user says so: None is for what its content says.

    delimiter: one character, or a name of `kimera.files.delimited_tables.DELIMITERS`. quoting: "csv" or
    "none". encoding: any codec of Python's.
    """

    delimiter: str | None = None
    quoting: str | None = None
    encoding: str | None = None


def open_table(
    path: str | Path, wanted: Wanted, stated: TableFormat | None = None, name: str | None = None
) -> Table:
    """The table in a file, by the end of the file's name (one of `EXTENSIONS`, in any case) and its content.

    wanted: whether a column of this name matters; Parquet leaves the others unread (their values are None).
    name: how messages call the file. Raises UserError if there is no such file or its kind is not known.
    """
    path, stated = Path(path), stated or TableFormat()
    name = str(path) if name is None else name
    _check_is_file(path, name)
    kind = _kind_by_name(path) or _kind_by_content(path, name, wanted, stated)
    if kind is None or kind.is_text:
        _check_is_text(path, name)
    if kind is None:
        raise UserError(
            f"{name}: neither its name nor its content says what kind of file it is; expected a name that "
            f"ends in {', '.join(_ENDINGS)}, each but {_but_binary()} also with .gz; or give the delimiter "
            "with --delimiter"
        )
    return _noting(kind.open(path, name, wanted, stated), stated, kind)


def is_table_by_content(path: Path, name: str, wanted: Wanted, stated: TableFormat | None = None) -> bool:
    """Whether a file of any name holds a table of a kind that can be read.

    Delimited text is recognised by a header with a column that is wanted.
    """
    return _kind_by_content(path, name, wanted, stated or TableFormat()) is not None


def _kind_by_content(path: Path, name: str, wanted: Wanted, stated: TableFormat) -> _Kind | None:
    with open_binary(path, name) as file:
        start = file.read(4)
    if binary := next((kind for kind in _KINDS if kind.magic and start == kind.magic), None):
        return binary
    if stated.delimiter:
        return _CSV
    if start.startswith((_ZIP_MAGIC, _OLD_EXCEL_MAGIC)):
        return None
    head = text_head(path, find_encoding(path, name, stated.encoding), name)
    if is_array_of_objects(head) or head.lstrip().startswith('{"'):
        return _JSON
    delimiter = looks_delimited(head.splitlines()[:_SAMPLE_LINES], wanted)
    return _DELIMITED.get(delimiter, _CSV) if delimiter else None


def _kind_by_name(path: Path) -> _Kind | None:
    plain = path.name.lower().removesuffix(".gz")
    return next((kind for kind in _KINDS if plain.endswith(kind.endings)), None)


def _open_delimited(delimiter: str, path: Path, name: str, wanted: Wanted, stated: TableFormat) -> Table:
    encoding = find_encoding(path, name, stated.encoding)
    return delimited_table(path, name, delimiter, wanted, encoding, stated.delimiter, stated.quoting)


def _open_json(path: Path, name: str, wanted: Wanted, stated: TableFormat) -> Table:
    encoding = find_encoding(path, name, stated.encoding)
    lines = path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson"))
    by_line = _is_by_line(path, name, encoding) if lines else is_json_lines(path, name, encoding)
    return json_lines_table(path, name, encoding) if by_line else json_table(path, name, encoding, wanted)


def _open_parquet(path: Path, name: str, wanted: Wanted, _: TableFormat) -> Table:
    return parquet_table(path, name, wanted)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of table. A new one is an entry of `_KINDS`, and a module that opens it.

    magic: what files of this kind begin with; without one they are text, and may be gzipped. idle: the parts
    of a `TableFormat` that mean nothing to it.
    """

    name: str
    endings: tuple[str, ...]
    open: Callable[[Path, str, Wanted, TableFormat], Table]
    magic: bytes = b""
    idle: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        return not self.magic


_CSV = _Kind("CSV", (".csv",), partial(_open_delimited, ","))
_TSV = _Kind("TSV", (".tsv", ".tab"), partial(_open_delimited, "\t"))
_PSV = _Kind("PSV", (".psv",), partial(_open_delimited, "|"))
_JSON = _Kind("JSON", (".jsonl", ".ndjson", ".json"), _open_json, idle=("delimiter", "quoting"))
_PARQUET = _Kind(
    "Parquet", (".parquet",), _open_parquet, magic=b"PAR1", idle=("delimiter", "quoting", "encoding")
)
KINDS_OF_TABLES = "CSV, TSV, JSON, JSON Lines, each also .gz; Parquet"  # in the words of --help
_KINDS = (_CSV, _TSV, _PSV, _JSON, _PARQUET)
_DELIMITED = {",": _CSV, "\t": _TSV, "|": _PSV}
_ENDINGS = tuple(ending for kind in _KINDS for ending in kind.endings)
EXTENSIONS = (*_ENDINGS, *(f"{ending}.gz" for kind in _KINDS if kind.is_text for ending in kind.endings))


def _but_binary() -> str:
    """The endings that take no .gz, in words."""
    return " and ".join(ending for kind in _KINDS if not kind.is_text for ending in kind.endings)


def _is_by_line(path: Path, name: str, encoding: Encoding) -> bool:
    """Whether a file that is called JSON Lines is: some hold an array, or objects that go over lines."""
    head = text_head(path, encoding, name)
    return not (is_array_of_objects(head) or re.match(r"\s*\{[ \t\r]*\n", head))


def _noting(table: Table, stated: TableFormat, kind: _Kind) -> Table:
    """The table, with a note on flags that do nothing to files of this kind."""
    idle = [f"--{part}" for part in kind.idle if getattr(stated, part)]
    if not idle:
        return table
    note = f"{table.name}: without effect on {kind.name}: {', '.join(idle)}"
    return replace(table, notes=[*table.notes, note])


def _check_is_file(path: Path, name: str) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{name}: cannot be opened: {error.strerror}; check the name") from error
    if S_ISDIR(status.st_mode):
        raise UserError(f"{name}: this is a directory; name a file in it")
    if not S_ISREG(status.st_mode):
        raise UserError(
            f"{name}: this is not a regular file, and it has to be read more than once; save it first, or "
            "pipe it in and give -"
        )
    if not status.st_size:
        raise UserError(f"{name}: the file is empty; expected at least one row")


def _check_is_text(path: Path, name: str) -> None:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((_ZIP_MAGIC, _OLD_EXCEL_MAGIC)):
        raise UserError(
            f"{name}: this is a spreadsheet or an archive, not text; save the sheet as CSV UTF-8, or unpack "
            "the file"
        )
