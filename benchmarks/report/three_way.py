"""The tables of three classes: of each detector that tells them, pairs by label and by verdict."""

from __future__ import annotations

from typing import Any

from benchmarks.report import words
from kimera.pairs import RELATIONS

HEADING = "Three classes, in pairs"


def tables(summary: dict[str, Any]) -> list[list[words.Row]]:
    """Of each detector that tells them a head with its title, then a row for each class of the labels."""
    titles = words.titles(summary)
    return [
        [(titles[name], *(f"says {said}" for said in RELATIONS)), *_rows(detector["three_way"]["confusion"])]
        for name, detector in summary["detectors"].items()
        if "three_way" in detector
    ]


def sentences(summary: dict[str, Any]) -> list[str]:
    """Of each detector that tells classes on some of its pairs only: how many its figures are over."""
    titles = words.titles(summary)
    return [
        f"Three-way figures of {titles[name]} are over {figures['pairs']:,} of its "
        f"{words.counted(detector['labelled_answered'], 'labelled pair')} with a verdict: on the others its "
        "verdict or the label does not tell which of three classes it is."
        for name, detector in summary["detectors"].items()
        if (figures := detector.get("three_way"))
        if figures["pairs"] < detector["labelled_answered"]
    ]


def _rows(confusion: dict[str, dict[str, int]]) -> list[words.Row]:
    return [(f"labelled {gold}", *(f"{confusion[gold][said]:,}" for said in RELATIONS)) for gold in RELATIONS]
