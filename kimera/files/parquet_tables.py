"""Parquet -> rows, through pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path

from kimera.console import how_to_install
from kimera.errors import UserError
from kimera.files.rows import Row, Table, Wanted

_BATCH_ROWS = 1024


def parquet_table(path: Path, name: str, wanted: Wanted) -> Table:
    """Columns that are not wanted stay unread: their values are None."""
    if find_spec("pyarrow") is None:
        raise UserError(f"{name}: reading Parquet needs pyarrow; run: {how_to_install('parquet')}")
    # An extra, which takes long.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{name}: this is not a readable Parquet file ({error})") from error
    class_names = _class_names((schema.metadata or {}).get(b"huggingface", b"{}"))
    header = Row(0, tuple(schema.names))
    return Table(
        name,
        "row",
        partial(_rows, path, name, wanted),
        class_names=class_names,
        header=lambda: header,
        read_all=partial(_rows, path, name, lambda _: True),
    )


def _class_names(metadata: bytes) -> dict[str, list[str]]:
    """Names of class-label columns, from what the `datasets` library notes in a Parquet file's schema."""
    try:
        features = json.loads(metadata)["info"]["features"]
        return {name: list(map(str, kind["names"])) for name, kind in features.items() if "names" in kind}
    except (ValueError, KeyError, TypeError, AttributeError):  # no note, or not of the form that is known
        return {}


def _rows(path: Path, title: str, wanted: Wanted) -> Iterator[Row]:
    # As above.
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = tuple(file.schema_arrow.names)
            kept = [name for name in names if wanted(name)]
            for batch in file.iter_batches(_BATCH_ROWS, columns=kept):
                cells = {name: batch.column(name).to_pylist() for name in kept}
                for values in zip(
                    *(cells.get(name, repeat(None, batch.num_rows)) for name in names), strict=True
                ):
                    number += 1
                    yield Row(number, names, values)
    except (pa.ArrowException, KeyError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{title}: cannot be read after row {number}: {error}") from error
