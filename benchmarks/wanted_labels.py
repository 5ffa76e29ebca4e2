"""What --plan is told: the widths or differences that are wanted, and what to reckon with."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass, fields

from kimera.console import open_share, positive

LABELS_PER_HOUR = 120.0  # half a minute a pair


@dataclass(frozen=True)
class WantedLabels:
    """width: half of the interval of an accuracy. difference: of two accuracies. At least one is given.

    The others are what to reckon with, None where that is measured or a default.
    """

    width: float | None = None
    difference: float | None = None
    contradictions: float | None = None
    local_accuracy: float | None = None
    judge_accuracy: float | None = None
    agreement: float | None = None
    labels_per_hour: float | None = None


KEYS = {declared.name.replace("_", "-"): declared.name for declared in fields(WantedLabels)}


def wanted_labels(text: str) -> WantedLabels:
    """As in width=0.03 or difference=0.05,judge-accuracy=0.9."""
    values: dict[str, float] = {}
    for part in text.split(","):
        key, is_told, value = part.strip().partition("=")
        if key not in KEYS or not is_told:
            raise ArgumentTypeError(f"{part.strip()!r} is none of {', '.join(f'{name}=' for name in KEYS)}")
        if KEYS[key] in values:
            raise ArgumentTypeError(f"{key} is given twice")
        try:
            values[KEYS[key]] = positive(value) if key == "labels-per-hour" else open_share(value)
        except ArgumentTypeError as error:
            raise ArgumentTypeError(f"{key}: {error}") from None
    wanted = WantedLabels(**values)
    if wanted.width is None and wanted.difference is None:
        raise ArgumentTypeError("width= or difference= is needed, such as width=0.03")
    return wanted
