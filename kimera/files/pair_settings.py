"""How files of pairs are read: the settings of every command that reads pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kimera.console import option
from kimera.files.pair_columns import Roles, known_names
from kimera.files.pair_labels import parse_label_map
from kimera.files.tables import KINDS_OF_TABLES, TableFormat

FILES = f"a file ({KINDS_OF_TABLES})"


@dataclass(frozen=True, kw_only=True)
class FormatSettings:
    """Delimited text and its encoding, which are recognised where nothing is given."""

    delimiter: str | None = option(
        None,
        "--delimiter",
        metavar="D",
        identity=True,
        help="delimiter of a text table: one character, or comma, semicolon, tab or pipe (default: the one "
        "that fits the header and the rows)",
    )
    quoting: str | None = option(
        None,
        "--quoting",
        choices=("csv", "none"),
        identity=True,
        help="csv: quotation marks quote fields; none: they are text (default: csv; with tabs none, unless "
        "the quotes of every row are balanced)",
    )
    encoding: str | None = option(
        None,
        "--encoding",
        metavar="NAME",
        identity=True,
        help="encoding of text files, e.g. windows-1252 (default: UTF-8 or UTF-16, or else a guess, which is "
        "reported)",
    )

    @property
    def table_format(self) -> TableFormat:
        return TableFormat(self.delimiter, self.quoting, self.encoding)


@dataclass(frozen=True, kw_only=True)
class _ColumnSettings:
    """Which column is what of a pair."""

    text1: str | None = option(
        None,
        "--text1",
        metavar="NAME",
        identity=True,
        help="the column with the first text, the premise; a path such as a.b names a nested field",
    )
    text2: str | None = option(
        None,
        "--text2",
        metavar="NAME",
        identity=True,
        help="the column with the second text, the hypothesis",
    )
    label: str | None = option(
        None,
        "--label",
        metavar="NAME",
        identity=True,
        help="the column with the labels; by default pairs are unlabelled if no column is recognised as one",
    )
    id: str | None = option(None, "--id", metavar="NAME", identity=True, help="the column with the ids")
    category: str | None = option(
        None,
        "--category",
        metavar="NAME",
        identity=True,
        help="the column with the categories. Columns of these names, in any case and with blanks, hyphens "
        f"or underscores, are recognised without a flag: {known_names()}",
    )


@dataclass(frozen=True, kw_only=True)
class PairSettings(FormatSettings, _ColumnSettings):  # the fields of the last base come first
    """All of them."""

    label_map: str | None = option(
        None,
        "--label-map",
        metavar="MAP",
        identity=True,
        help="what the labels mean, e.g. 0=entailment,1=neutral,2=contradiction; by default true and 1 mean "
        "contradiction, so files of claims and evidence with true/false labels need "
        "true=entailment,false=contradiction",
    )
    skip_bad_rows: bool = option(
        False,
        "--skip-bad-rows",
        identity=True,
        help="drop rows that cannot be used, and report how many; by default they are errors",
    )


def pair_columns_of(settings: PairSettings) -> dict[str, str]:
    """Of id, text1 and text2, the names of their columns, where they are told."""
    told = {"id": settings.id, "text1": settings.text1, "text2": settings.text2}
    return {part: name for part, name in told.items() if name}


def reading_of(settings: PairSettings) -> dict[str, Any]:
    """What `read_pairs` and `load_dataset` take as keywords. Raises UserError for what is no label map."""
    return {
        "format": settings.table_format,
        "roles": Roles(settings.text1, settings.text2, settings.label, settings.id, settings.category),
        "label_map": parse_label_map(settings.label_map) if settings.label_map else None,
        "skip_bad_rows": settings.skip_bad_rows,
    }
