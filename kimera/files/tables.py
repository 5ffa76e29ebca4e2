"""Files of rows -> rows, one at a time: delimited text, JSON and Parquet; text may also be gzipped.

What the columns mean is not known here. A row that cannot be split into cells is given with its fault, so
that the caller decides whether to go on; a fault of the whole file is a UserError.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from kimera.errors import UserError
from kimera.files.delimited_tables import delimited_table, looks_delimited
from kimera.files.json_tables import is_array_of_objects, is_json_lines, json_lines_table, json_table
from kimera.files.parquet_tables import parquet_table
from kimera.files.rows import Row, Table, Wanted, shorten
from kimera.files.text_files import Encoding, find_encoding, open_binary, text_head

__all__ = ["EXTENSIONS", "Row", "Table", "TableFormat", "Wanted", "open_table", "recognised_kind", "shorten"]

_KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".psv": "psv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
}
EXTENSIONS = (*_KINDS, *(f"{kind}.gz" for kind in _KINDS if kind != ".parquet"))
_DELIMITERS = {"csv": ",", "tsv": "\t", "psv": "|"}
_TEXT_FLAGS = ("delimiter", "quoting", "encoding")
_PARQUET_MAGIC, _ZIP_MAGIC, _OLD_EXCEL_MAGIC = b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
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
    kind = _kind_by_name(path) or recognised_kind(path, name, wanted, stated)
    if kind != "parquet":
        _check_is_text(path, name)
    if not kind:
        raise UserError(
            f"{name}: neither its name nor its content says what kind of file it is; expected a name that "
            f"ends in {', '.join(_KINDS)}, each but the last also with .gz; or give the delimiter with "
            "--delimiter"
        )
    if kind == "parquet":
        return _noting(parquet_table(path, name, wanted), stated, _TEXT_FLAGS, "Parquet")
    encoding = find_encoding(path, name, stated.encoding)
    if kind == "json":
        lines = path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson"))
        by_line = _is_by_line(path, name, encoding) if lines else is_json_lines(path, name, encoding)
        table = (
            json_lines_table(path, name, encoding) if by_line else json_table(path, name, encoding, wanted)
        )
        return _noting(table, stated, _TEXT_FLAGS[:2], "JSON")
    return delimited_table(path, name, _DELIMITERS[kind], wanted, encoding, stated.delimiter, stated.quoting)


def recognised_kind(path: Path, name: str, wanted: Wanted, stated: TableFormat | None = None) -> str:
    """The kind of a table by its content alone, "" if it is none: "json", "csv", "tsv", "psv" or "parquet".

    Delimited text is recognised by a header with a column that is wanted.
    """
    stated = stated or TableFormat()
    with open_binary(path, name) as file:
        start = file.read(4)
    if start == _PARQUET_MAGIC:
        return "parquet"
    if stated.delimiter:
        return "csv"
    if start.startswith((_ZIP_MAGIC, _OLD_EXCEL_MAGIC)):
        return ""
    encoding = find_encoding(path, name, stated.encoding)
    head = text_head(path, encoding, name)
    if is_array_of_objects(head) or head.lstrip().startswith('{"'):
        return "json"
    delimiter = looks_delimited(head.splitlines()[:_SAMPLE_LINES], wanted)
    return next((kind for kind, mark in _DELIMITERS.items() if mark == delimiter), "csv") if delimiter else ""


def _kind_by_name(path: Path) -> str:
    plain = path.name.lower()
    return next((kind for end, kind in _KINDS.items() if plain.removesuffix(".gz").endswith(end)), "")


def _is_by_line(path: Path, name: str, encoding: Encoding) -> bool:
    """Whether a file that is called JSON Lines is: some hold an array, or objects that go over lines."""
    head = text_head(path, encoding, name)
    return not (is_array_of_objects(head) or re.match(r"\s*\{[ \t\r]*\n", head))


def _noting(table: Table, stated: TableFormat, flags: Sequence[str], kind: str) -> Table:
    """The table, with a note on flags that do nothing to files of this kind."""
    idle = [f"--{flag}" for flag in flags if getattr(stated, flag)]
    if not idle:
        return table
    return replace(table, notes=[*table.notes, f"{table.name}: without effect on {kind}: {', '.join(idle)}"])


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
