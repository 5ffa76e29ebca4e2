"""The flags that say how files of pairs are read: declared once, for every command that reads pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kimera.flags import TakesFlags

ROLES = ("text1", "text2", "label", "id", "category")
FORMAT = ("delimiter", "quoting", "encoding")
FLAGS = {name: f"--{name.replace('_', '-')}" for name in (*ROLES, *FORMAT, "label_map", "skip_bad_rows")}
"""The flag of each option."""
FILES = "a file (CSV, TSV, JSON, JSON Lines, each also .gz; Parquet)"


def add_pair_flags(group: TakesFlags) -> None:
    """All of them."""
    from kimera.pair_columns import known_names

    of_role = {
        "text1": "the column with the first text, the premise; a path such as a.b names a nested field",
        "text2": "the column with the second text, the hypothesis",
        "label": "the column with the labels; by default pairs are unlabelled if no column is recognised as "
        "one",
        "id": "the column with the ids",
        "category": "the column with the categories. Columns of these names, in any case and with blanks, "
        f"hyphens or underscores, are recognised without a flag: {known_names()}",
    }
    for role in ROLES:
        group.add_argument(f"--{role}", metavar="NAME", help=of_role[role])
    add_format_flags(group)
    group.add_argument(
        "--label-map",
        metavar="MAP",
        help="what the labels mean, e.g. 0=entailment,1=neutral,2=contradiction; by default true and 1 mean "
        "contradiction, so files of claims and evidence with true/false labels need "
        "true=entailment,false=contradiction",
    )
    group.add_argument(
        "--skip-bad-rows",
        action="store_true",
        help="drop rows that cannot be used, and report how many; by default they are errors",
    )


def add_format_flags(group: TakesFlags) -> None:
    """Those of delimited text and its encoding, which are recognised where none is given."""
    group.add_argument(
        "--delimiter",
        metavar="D",
        help="delimiter of a text table: one character, or comma, semicolon, tab or pipe (default: the one "
        "that fits the header and the rows)",
    )
    group.add_argument(
        "--quoting",
        choices=("csv", "none"),
        help="csv: quotation marks quote fields; none: they are text (default: csv; with tabs none, unless "
        "the quotes of every row are balanced)",
    )
    group.add_argument(
        "--encoding",
        metavar="NAME",
        help="encoding of text files, e.g. windows-1252 (default: UTF-8 or UTF-16, or else a guess, which is "
        "reported)",
    )


def format_of(options: Mapping[str, Any]) -> Any:
    """The `TableFormat` that these options state; those of an earlier version state none."""
    from kimera.tables import TableFormat

    return TableFormat(*(options.get(name) for name in FORMAT))


def reading_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """What `read_pairs` and `load_dataset` take as keywords, from the flags. Raises UserError."""
    from kimera.pair_columns import Roles
    from kimera.pair_labels import parse_label_map

    label_map = options["label_map"]
    return {
        "format": format_of(options),
        "roles": Roles(*(options.get(name) for name in ROLES)),
        "label_map": parse_label_map(label_map) if label_map else None,
        "skip_bad_rows": options["skip_bad_rows"],
    }
