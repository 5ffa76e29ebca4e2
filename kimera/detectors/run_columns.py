"""The columns of a run's results.csv, which are named after its detectors: NAME_score, NAME_contradiction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_VERDICTS = ("contradiction", "verdict")
# By part of a row, the ends of the columns that may hold it. What a run has beside a score says no more.
_ENDS: Mapping[str, Sequence[str]] = {
    "score": ("score",),
    "score_source": ("score_source",),
    "verdict": _VERDICTS,
    "confidence": ("confidence",),
    "reasoning": ("reasoning",),
    "latency_ms": ("latency_ms",),
    "cost": ("cost",),
    "entailment": ("entailment",),
    "neutral": ("neutral",),
    "relation": ("relation",),
}


def is_of_run(name: str) -> bool:
    """Whether this may be a column of one of a run's detectors."""
    return any(name.endswith(f"_{end}") for ends in _ENDS.values() for end in ends)


def detectors_in(names: Sequence[str]) -> list[str]:
    """Those that have both a score and a verdict among these columns, in their order.

    Both, since NAME_calibrated_score and NAME_screen_score are of no other detector.
    """
    scored = [name.removesuffix("_score") for name in names if name.endswith("_score")]
    return [name for name in scored if name and any(f"{name}_{end}" in names for end in _VERDICTS)]


def columns_of(detector: str, names: Sequence[str]) -> dict[str, str]:
    """By part, the column of this detector; empty where it has none."""
    found = {
        part: next((column for end in ends if (column := f"{detector}_{end}") in names), None)
        for part, ends in _ENDS.items()
    }
    return {part: column for part, column in found.items() if column}
