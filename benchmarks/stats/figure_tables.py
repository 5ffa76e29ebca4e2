"""Writes what follows from the figures: those of summary.schema.json, and the table in docs/statistics.md.

python -m benchmarks.stats.figure_tables
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.stats.agreement_figures import KAPPA, OF_TWO
from benchmarks.stats.estimate_figures import DIFFERENCE, PREVALENCE, by_labels_alone
from benchmarks.stats.figure import Figure, QualityFigure, Unit
from benchmarks.stats.figures import OF_DETECTORS
from benchmarks.stats.quality_figures import DIFFERENCES, OF_CASCADES, OF_CATEGORIES, QUALITY
from benchmarks.stats.schema import Schema, load_schema, resolved

SCHEMA = Path(__file__).with_name("summary.schema.json")
STATISTICS = Path(__file__).parents[2] / "docs" / "statistics.md"
HEAD = "| figure | in summary.json | what it is | 95 % interval |\n| --- | --- | --- | --- |\n"
NUMBER: Schema = {"type": "number", "minimum": 0}
TYPES: dict[Unit, Schema] = {
    Unit.SHARE: {"$ref": "#/$defs/share"},
    Unit.CORRELATION: {"type": "number", "minimum": -1, "maximum": 1},
    Unit.LOSS: NUMBER,
    Unit.DIFFERENCE: {"type": "number"},
    Unit.COUNT: {"$ref": "#/$defs/count"},
    Unit.MILLISECONDS: NUMBER,
    Unit.SECONDS: {"$ref": "#/$defs/seconds"},
    Unit.PER_SECOND: NUMBER,
    Unit.IN_FLIGHT: NUMBER,
    Unit.DOLLARS: {"$ref": "#/$defs/dollars"},
    Unit.DOLLARS_EACH: NUMBER,
}
# The definitions of the schema that hold figures, or whose groups do.
FIGURES_OF: dict[str, tuple[Figure, ...]] = {
    "detector": OF_DETECTORS,
    "category_figures": OF_CATEGORIES,
    "curve_point": OF_CASCADES,
    "agreement": (*OF_TWO, DIFFERENCE, *by_labels_alone([DIFFERENCE])),
    "run_estimates": (PREVALENCE, *by_labels_alone([PREVALENCE])),
    "differences": DIFFERENCES,
}


def with_figures(schema: Schema) -> Schema:
    """The schema with every declared figure and interval. Its other fields, and their order, stay."""
    places = list(_places(schema))
    for properties, figure in places:
        if figure.interval:
            _intervals(schema, properties).clear()
    for properties, figure in places:
        name = figure.name.rpartition(".")[2]
        properties[name] = {**TYPES[figure.unit], "description": figure.meaning}
        if figure.interval:
            _intervals(schema, properties)[name] = {
                "$ref": "#/$defs/interval",
                "description": f"Of {name}: {figure.interval.value}.",
            }
    return schema


def _places(schema: Schema) -> Iterator[tuple[Schema, Figure]]:
    """Each figure with the fields of the object that it stands in."""
    for definition, figures in FIGURES_OF.items():
        for figure in figures:
            node = schema["$defs"][definition]
            for group in figure.name.split(".")[:-1]:
                node = resolved(node["properties"][group], schema["$defs"])
            yield node["properties"], figure


def _intervals(schema: Schema, properties: Schema) -> Schema:
    intervals: Schema = resolved(properties["intervals"], schema["$defs"])["properties"]
    return intervals


def written(node: Any, key: str = "", indent: str = "") -> str:
    """As JSON with a line for each field; one without fields of its own takes a line as a whole."""
    if not isinstance(node, dict) or not (
        key in ("properties", "$defs") or "properties" in node or next(iter(node)) == "description"
    ):
        return json.dumps(node, ensure_ascii=False)
    inner = indent + "  "
    fields = (f"{inner}{json.dumps(name)}: {written(field, name, inner)}" for name, field in node.items())
    return "{\n" + ",\n".join(fields) + f"\n{indent}}}"


def figures_table() -> str:
    """Markdown: every figure of quality, what it is, where its formula and its interval come from."""
    return HEAD + "".join(f"| {' | '.join(_row(figure))} |\n" for figure in (*QUALITY, KAPPA))


def _row(figure: QualityFigure) -> tuple[str, str, str, str]:
    source = f" ({figure.source})" if figure.source else ""
    meaning = f"{figure.meaning.removesuffix('.')}{source}"
    return figure.label, f"`{figure.name}`", meaning, figure.interval.value if figure.interval else "none"


def with_table(page: str) -> str:
    return re.sub(re.escape(HEAD) + r"(\|.*\n)*", lambda _: figures_table(), page)


def main() -> int:
    SCHEMA.write_text(written(with_figures(load_schema())) + "\n", encoding="utf-8")
    STATISTICS.write_text(with_table(STATISTICS.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
