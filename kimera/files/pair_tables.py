"""Pairs from tables that are in memory already: a DataFrame, dictionaries, tuples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, Sized
from itertools import chain
from os import PathLike
from typing import Any

from kimera.errors import UserError
from kimera.files.pair_columns import Roles
from kimera.files.pair_files import pairs_of_table
from kimera.files.pair_labels import parse_label_map
from kimera.files.rows import Row, Table, shorten
from kimera.pairs import Pair, pair_of

_NAME = "the table"
_LABEL_MAP = re.compile(r"--label-map (\w+=\w+(?:,\w+=\w+)*)")


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

    table: a DataFrame (pandas, Polars), a pyarrow table, a `datasets.Dataset`, a list of dictionaries or of
    other rows that name their values (named tuples, `sqlite3.Row`), a dictionary of columns, or a list of
    `Pair`s or of two texts.
    text1, text2, label, id, category: names of columns, where the known names (see docs/files.md) do not say.
    label_map: what the label column's values mean, say {"0": "entailment", "2": "contradiction"}.

    Rows are read as those of a file are. Raises UserError for the first that is no pair, and
    for what is no table.
    """
    rows: Any = _columns(table)
    if rows is None:
        rows = [_named(row) for row in _listed(table)]
        if not any(isinstance(row, Mapping) for row in rows):
            return [_two_texts(row, number) for number, row in enumerate(rows)]
    read = Table(_NAME, "row", lambda: _rows(rows), False, class_names=_class_names(table))
    try:
        roles = Roles(text1, text2, label, id, category)
        return list(pairs_of_table(read, roles=roles, label_map=label_map))
    except UserError as error:
        raise UserError(_in_python(str(error))) from None


def _in_python(message: str) -> str:
    """What is a flag of the commands is an argument here."""
    message = message.replace("--label-map VALUE=LABEL", "label_map={VALUE: LABEL}")
    message = _LABEL_MAP.sub(lambda found: f"label_map={dict(parse_label_map(found[1]))}", message)
    message = re.sub(r", or leave out such rows with --skip-bad-rows", "", message)
    message = re.sub(r"--(text1|text2|label|id|category) NAME", r'\1="NAME"', message)
    return re.sub(r"--(text1|text2|label|id|category)\b", r"\1", message)


def _listed(table: Any) -> list[Any]:
    if isinstance(table, str | bytes | PathLike):
        raise UserError(f"{shorten(table)} is no table; files are read by kimera.files.read_pairs")
    try:
        return list(table)
    except TypeError:
        raise UserError(
            f"{shorten(table)} is no table; expected a DataFrame, a list of dictionaries, or what else "
            "kimera.pairs_of names"
        ) from None


def _named(row: Any) -> Any:
    """A row that names its values, as named tuples and rows of data bases do, as a dictionary."""
    if hasattr(row, "_asdict"):
        return row._asdict()
    if hasattr(row, "keys") and not isinstance(row, Mapping):
        return {name: row[name] for name in row.keys()}  # noqa: SIM118 (sqlite3.Row has no other way)
    return row


def _two_texts(row: Any, number: int) -> Pair:
    try:
        return pair_of(row, number)
    except ValueError:
        raise UserError(
            f"{_NAME}, row {number + 1}: {shorten(row)} is no pair; expected two texts, a Pair, or a "
            'dictionary such as {"text1": "...", "text2": "...", "label": "..."}'
        ) from None


def _columns(table: Any) -> dict[str, Any] | None:
    """The columns of a table that has such, each of which can be passed over again and again."""
    names = list(table) if isinstance(table, Mapping) else _names(table)
    if not names and not isinstance(table, Mapping):
        return None
    if twice := [name for name, count in Counter(map(str, names)).items() if count > 1]:
        raise UserError(f"{_NAME}: {shorten(twice[0])} is the name of more than one column; rename them")
    columns = {str(name): table[name] for name in names}
    if columns and all(isinstance(column, Mapping) for column in columns.values()):
        columns = _by_index(columns)
    columns = {name: _column(name, column) for name, column in columns.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{shorten(name)} has {length}" for name, length in lengths.items())
        raise UserError(f"{_NAME}: its columns are of different lengths: {listed}")
    return columns


def _by_index(columns: Mapping[str, Mapping[Any, Any]]) -> dict[str, list[Any]]:
    """Columns as objects with the rows' index as keys, as `DataFrame.to_dict` gives them."""
    index = next(iter(columns.values())).keys()
    for name, column in columns.items():
        if column.keys() != index:
            raise UserError(f"{_NAME}: the column {shorten(name)} has other rows than the first")
    return {name: [column[key] for key in index] for name, column in columns.items()}


def _column(name: str, column: Any) -> Any:
    """A column that has a length and an order; what can be passed over once only is kept."""
    if isinstance(column, str | bytes | Mapping | Set) or not isinstance(column, Iterable):
        raise UserError(
            f"{_NAME}: the column {shorten(name)} is {shorten(column)}; expected a list, a value for each row"
        )
    return column if isinstance(column, Sized) and not isinstance(column, Iterator) else list(column)


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
    columns = map(_values, table.values())
    for number, cells in enumerate(zip(*columns, strict=True), 1):
        yield Row(number, tuple(table), [_plain(value) for value in cells])


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
