"""The published JSON Schema of summary.json, and which figures it knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

ENDS = ("low", "high")  # of an interval, in this order

Schema = dict[str, Any]


def load_schema() -> Schema:
    """JSON Schema, draft 2020-12, with a description of every field."""
    text = (files("benchmarks.stats") / "summary.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def figures(definition: str) -> frozenset[str]:
    """The numbers in an object that the schema defines under this name ("detector", "agreement").

    Those of groups are dotted ("latency_ms.p95"); the ends of intervals are named by their figure
    ("f1.low", "differences.accuracy.high").
    """
    schema = load_schema()
    return frozenset(_figures(schema["$defs"][definition], schema["$defs"], ""))


def _figures(node: Schema, definitions: Schema, prefix: str) -> Iterator[str]:
    for name, field in node["properties"].items():
        definition = resolved(field, definitions)
        if name == "intervals":
            yield from (f"{prefix}{figure}.{end}" for figure in definition["properties"] for end in ENDS)
        elif "properties" in definition:
            yield from _figures(definition, definitions, f"{prefix}{name}.")
        elif {"number", "integer"} & set(_types(definition)):
            yield prefix + name


def resolved(field: Schema, definitions: Schema) -> Schema:
    """The object that a field refers to, or the field."""
    definition: Schema = definitions[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
    return definition


def _types(field: Schema) -> list[str]:
    types = field.get("type", [])
    return [types] if isinstance(types, str) else list(types)
