"""Pairs from tables that are in memory already: a DataFrame, dictionaries, tuples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from kimera.errors import UserError
from kimera.pair_columns import Roles
from kimera.pair_files import pairs_of_table
from kimera.pairs import Pair, pair_of
from kimera.rows import Row, Table

_NAME = "the table"


def pairs_of(
    table: Any,
    *,
    text1: str | None = None,
    text2: str | None = None,
    label: str | None = None,
    id: str | None = None,
    category: str | None = None,
    label_map: Mapping[str, str] | None = None,
) -> list[Pair]:
    """The pairs of a table in memory.

    table: a DataFrame (pandas, Polars), a pyarrow table, a `datasets.Dataset`, a list of dictionaries, a
    dictionary of columns, or a list of `Pair`s or of two texts.
    text1, text2, label, id, category: names of columns, where the known names (see docs/files.md) do not say.
    label_map: what the label column's values mean, say {"0": "entailment", "2": "contradiction"}.

    Rows are read as those of a file are. Raises UserError for the first that is no pair.
    """
    rows = table if isinstance(table, Mapping) or _names(table) else list(table)
    if isinstance(rows, list) and not any(isinstance(row, Mapping) for row in rows):
        return [pair_of(row, number) for number, row in enumerate(rows)]
    read = Table(_NAME, "row", lambda: _rows(rows), False, class_names=_class_names(table))
    try:
        roles = Roles(text1, text2, label, id, category)
        return list(pairs_of_table(read, roles=roles, label_map=label_map))
    except UserError as error:
        raise UserError(_in_python(str(error))) from None


def _in_python(message: str) -> str:
    """What is a flag of the commands is an argument here."""
    message = message.replace("--label-map VALUE=LABEL", "label_map={VALUE: LABEL}")
    message = re.sub(r", or leave out such rows with --skip-bad-rows", "", message)
    message = re.sub(r"--(text1|text2|label|id|category) NAME", r'\1="NAME"', message)
    return re.sub(r"--(text1|text2|label|id|category)\b", r"\1", message)


def _names(table: Any) -> list[Any]:
    """Of the columns of a table of a library, none of anything else."""
    for attribute in ("column_names", "columns"):
        names = getattr(table, attribute, None)
        if isinstance(names, Iterable) and hasattr(table, "__getitem__"):
            names = list(names)
            return names if all(isinstance(name, str | int | tuple) for name in names) else []
    return []


def _class_names(table: Any) -> dict[str, Sequence[str]]:
    features = getattr(table, "features", None)
    if not isinstance(features, Mapping):
        return {}
    return {name: kind.names for name, kind in features.items() if getattr(kind, "names", None)}


def _rows(table: Any) -> Iterator[Row]:
    if isinstance(table, list):
        for number, row in enumerate(table, 1):
            if isinstance(row, Mapping):
                yield Row(number, tuple(map(str, row)), [_plain(value) for value in row.values()])
            else:
                yield Row(number, fault=f"{row!r:.60} is not a dictionary, although other rows are")
        return
    names = list(table) if isinstance(table, Mapping) else _names(table)
    columns = [_values(table[name]) for name in names]
    for number, cells in enumerate(zip(*columns, strict=True), 1):
        yield Row(number, tuple(map(str, names)), [_plain(value) for value in cells])


def _values(column: Any) -> Iterable[Any]:
    """Python's own values where a library has a way to give them."""
    for method in ("to_pylist", "tolist", "to_list"):
        if hasattr(column, method):
            values: Iterable[Any] = getattr(column, method)()
            return values
    return chain(column)


def _plain(value: Any) -> Any:
    """A scalar of numpy's as Python's, and what pandas writes where there is none as None."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value
