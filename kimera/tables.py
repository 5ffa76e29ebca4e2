"""Files of rows -> rows, one at a time: CSV, TSV and JSON Lines (each also gzipped) and Parquet.

What the columns mean is not known here. A row that cannot be split into cells is given with its fault, so
that the caller decides whether to go on; a fault of the whole file is a UserError.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from io import TextIOWrapper
from itertools import islice, repeat
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from kimera.errors import UserError
from kimera.installation import how_to_install

EXTENSIONS = (".csv", ".tsv", ".jsonl", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".parquet")

# A quote left open makes the rest of a file one field; this bounds what such a file can take of the memory.
_LONGEST_FIELD = 1 << 24
_PARQUET_BATCH_ROWS = 1024
_STRAY_BYTE = re.compile("[\udc80-\udcff]")  # what errors="surrogateescape" makes of a byte that is not UTF-8


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `names` and `values` are of equal length, or `fault` says why there are no values."""

    number: int
    names: Sequence[str] = ()
    values: Sequence[object] = ()
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """Rows that can be read again and again.

    name: how messages call it; unit: what `Row.number` counts from 1, "line" or "row".
    read: starts a new pass; raises UserError for a fault of the whole file.
    has_header: every row has the same columns; rows of JSON Lines each name their own.
    class_names: of a column that holds indices of named classes, the names.
    header: reads the columns alone, as a Row without values whose number is 0 where they stand on no line;
        gives None if the file has none. Raises UserError as `read` does.
    """

    name: str
    unit: str
    read: Callable[[], Iterator[Row]]
    has_header: bool = True
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    header: Callable[[], Row | None] | None = None


def open_table(path: str | Path, wanted: Collection[str]) -> Table:
    """The table in a file, by the file's extension (one of `EXTENSIONS`, in any case).

    wanted: lower-case names of the columns that matter; Parquet leaves the others unread (their values
    are None). Raises UserError if there is no such file or its kind is not known.
    """
    path = Path(path)
    _check_is_file(path)
    extension = next((known for known in EXTENSIONS if path.name.lower().endswith(known)), "")
    match extension.removesuffix(".gz"):
        case ".csv":
            return _delimited_table(path, ",")
        case ".tsv":
            return _delimited_table(path, "\t")
        case ".jsonl":
            return Table(str(path), "line", partial(_json_rows, path), has_header=False)
        case ".parquet":
            return _parquet_table(path, wanted)
    raise UserError(
        f"{path}: the name does not say what kind of file it is; expected an end of {', '.join(EXTENSIONS)}"
    )


def shorten(value: object, longest: int = 60) -> str:
    """The value as Python would write it, on one line and free of control characters, cut to `longest`."""
    text = repr(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _check_is_file(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be opened: {error.strerror}; check the name") from error
    if S_ISDIR(status.st_mode):
        raise UserError(f"{path}: is a directory; name a file in it")
    if not S_ISREG(status.st_mode):
        raise UserError(f"{path}: is not a regular file, and it has to be read more than once; save it first")
    if not status.st_size:
        raise UserError(f"{path}: the file is empty; expected a row at least")


def _text_lines(path: Path, newline: str) -> Iterator[str]:
    """Lines with their ends, a BOM left out; bytes that are not UTF-8 come as `_STRAY_BYTE`s."""
    number = 0
    try:
        with (
            gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as binary,
            TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline=newline) as lines,
        ):
            for line in lines:
                yield line
                number += 1
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(
            f"{path}: the gzip data is broken after line {number} ({error}); fetch or pack the file again"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read after line {number}: {error.strerror or error}") from error


def _not_utf8(text: str) -> str:
    """The fault of a text that was not UTF-8, or ""."""
    stray = _STRAY_BYTE.search(text)
    if stray is None:
        return ""
    return f"the byte 0x{ord(stray[0]) - 0xDC00:02x} is not valid UTF-8; save the file as UTF-8"


def _delimited_table(path: Path, delimiter: str) -> Table:
    def header() -> Row | None:
        with closing(_delimited_rows(path, delimiter)) as rows:
            return next(rows, None)

    return Table(str(path), "line", lambda: islice(_delimited_rows(path, delimiter), 1, None), header=header)


def _delimited_rows(path: Path, delimiter: str) -> Generator[Row]:
    """Rows of CSV after RFC 4180, or the same with tabs; `Row.number` is the line on which a row begins.

    The first is the header, names without values.
    """
    # The limit belongs to the whole process. It is only ever raised, so no other reader can be hurt.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    # Strict: a quote out of place is an error, where the default would quietly join rows.
    reader = csv.reader(_text_lines(path, newline=""), delimiter=delimiter, strict=True)
    names: tuple[str, ...] = ()
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = f"quotes are out of place ({error}); double each quote inside a quoted field"
            # A quote that took further lines along may have taken good rows: not one row's fault.
            if not names or reader.line_num > start:
                raise UserError(f"{path}, line {start} to line {reader.line_num}: {fault}") from error
            yield Row(start, fault=fault)
            continue
        if not cells:
            continue
        fault = _not_utf8("".join(cells))
        if not names:
            if fault:
                raise UserError(f"{path}, line {start}: {fault}")
            names = tuple(cells)
            yield Row(start, names)
        elif fault or len(cells) != len(names):
            yield Row(start, fault=fault or _ragged(len(cells), len(names)))
        else:
            yield Row(start, names, cells)


def _ragged(found: int, expected: int) -> str:
    return f"{found} fields where the header has {expected}; quote a field that holds the delimiter"


def _json_rows(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_text_lines(path, newline="\n"), 1):
        if line.strip():
            yield _json_row(number, line)


def _json_row(number: int, line: str) -> Row:
    if fault := _not_utf8(line):
        return Row(number, fault=fault)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of too many digits
        return Row(number, fault=f"{shorten(line.strip())} is not valid JSON ({error})")
    if not isinstance(value, dict):
        return Row(number, fault=f"{shorten(value)} is not a JSON object with a value for each column")
    return Row(number, tuple(value), tuple(value.values()))


def _parquet_table(path: Path, wanted: Collection[str]) -> Table:
    if find_spec("pyarrow") is None:
        raise UserError(f"{path}: reading Parquet needs pyarrow; run: {how_to_install('parquet')}")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: is not a readable Parquet file ({error})") from error
    class_names = _class_names((schema.metadata or {}).get(b"huggingface", b"{}"))
    header = Row(0, tuple(schema.names))
    read = partial(_parquet_rows, path, wanted)
    return Table(str(path), "row", read, class_names=class_names, header=lambda: header)


def _class_names(metadata: bytes) -> dict[str, list[str]]:
    """Names of class-label columns, from what the `datasets` library notes in a Parquet file's schema."""
    try:
        features = json.loads(metadata)["info"]["features"]
        return {name: list(map(str, kind["names"])) for name, kind in features.items() if "names" in kind}
    except (ValueError, KeyError, TypeError, AttributeError):  # no note, or not of the form that is known
        return {}


def _parquet_rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = tuple(file.schema_arrow.names)
            kept = [name for name in names if name.strip().lower() in wanted]
            for batch in file.iter_batches(_PARQUET_BATCH_ROWS, columns=kept):
                cells = {name: batch.column(name).to_pylist() for name in kept}
                for values in zip(
                    *(cells.get(name, repeat(None, batch.num_rows)) for name in names), strict=True
                ):
                    number += 1
                    yield Row(number, names, values)
    except (pa.ArrowException, KeyError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read after row {number}: {error}") from error
