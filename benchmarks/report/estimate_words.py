"""What is estimated for all pairs from the labels of some, in rows and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report.agreements import couple_of
from benchmarks.report.conclusions import why_not_estimated
from benchmarks.report.words import MISSING, Row, counted, from_to, titles
from benchmarks.stats import ESTIMATES, LABELS_ALONE, by_labels_alone
from kimera.console import printable

HEADING = "Estimated for all pairs from the labels of some (95 % intervals)"
REFUSED = "Of the pairs without a label this says nothing: the labelled ones are no random part of all."

Part = dict[str, Any]


def rows(summary: Part) -> list[Row]:
    """A header, then two rows a figure: for all pairs, and by the labels alone; none where nothing is."""
    parts = [detector.get("estimates") for detector in summary["detectors"].values()]
    if not any(part and part["methods"] for part in parts):
        return []
    table: list[Row] = [("", *titles(summary).values())]
    for figure, of_labels in zip(ESTIMATES, by_labels_alone(ESTIMATES), strict=True):
        name = figure.name.rpartition(".")[2]
        table.append((figure.label, *(_cell(part, name) for part in parts)))
        alone = (_cell(part and part["labels_alone"], name) for part in parts)
        table.append((of_labels.label, *alone))
    return table


def _cell(part: Part | None, name: str) -> str:
    if not part or name not in part:
        return MISSING
    return f"{part[name]:.3f} ({from_to(part['intervals'][name])})"


def sentences(summary: Part) -> list[str]:
    """Accuracies, their differences and prevalence; or why nothing is estimated."""
    whole = summary.get("estimates")
    if not whole:
        return []
    if why := why_not_estimated(summary):
        return [printable(f"Nothing is estimated for all pairs: {why}.")]
    return [*_accuracies(summary), *_differences(summary), *_prevalence(whole)]


def _accuracies(summary: Part) -> Iterator[str]:
    names = titles(summary)
    for name, detector in summary["detectors"].items():
        if part := detector.get("estimates"):
            yield from _sentence(f"Accuracy of {names[name]}", part, "accuracy")


def _differences(summary: Part) -> Iterator[str]:
    for entry in summary["agreement"]:
        if part := entry.get("estimates"):
            a, b = couple_of(summary, entry)
            yield from _sentence(f"Accuracy of {a} minus that of {b}", part, "accuracy", "+")


def for_decision(summary: Part, name: str) -> str:
    """A detector's accuracy for all pairs, beside that on labelled ones; empty where none is estimated."""
    if why_not_estimated(summary):
        return REFUSED
    part = summary["detectors"][name].get("estimates") or {}
    if "accuracy" not in part:
        return ""
    ends = from_to(part["intervals"]["accuracy"], 100, 1)
    alone = " from the labels alone" if part["methods"]["accuracy"] == LABELS_ALONE else ""
    return f"Estimated for all pairs{alone}: {part['accuracy']:.1%} (95 % interval {ends})."


def shares(summary: Part, entry: Part) -> str:
    """What share of all pairs two detectors have right, and the difference; empty where none is estimated.

    Where the labels alone give the difference, they give the shares too, so that one is the other's.
    """
    difference = entry.get("estimates") or {}
    parts = [summary["detectors"][entry[side]].get("estimates") or {} for side in "ab"]
    if any("accuracy" not in part for part in (*parts, difference)):
        return ""
    by_labels = difference["methods"]["accuracy"] == LABELS_ALONE
    right = [f"{(part['labels_alone'] if by_labels else part)['accuracy']:.1%}" for part in parts]
    a, b = couple_of(summary, entry)
    ends = difference["intervals"]["accuracy"]
    if difference["accuracy"] < 0:
        ends = [-end for end in reversed(ends)]
    points = f"{100 * abs(difference['accuracy']):.1f} points (95 % interval {from_to(ends, 100, 1)})"
    if by_labels:
        how = "estimated for all pairs from the labels alone"
        return f"{how}, {a} has {right[0]} right, {b} {right[1]}, a difference of {points}"
    shares = f"estimated for all pairs, {a} has {right[0]} right and {b} {right[1]}"
    return f"{shares}; their difference, estimated by itself, is {points}"


def beside_the_estimate(summary: Part, entry: Part) -> str:
    """Why verdicts or labels say less than they might of two detectors; empty where they do not."""
    if why_not_estimated(summary):
        return REFUSED
    difference = entry.get("estimates") or {}
    if difference.get("methods", {}).get("accuracy") != LABELS_ALONE:
        return ""
    return f"The verdicts on the other pairs narrow nothing: {difference['reasons']['accuracy']}."


def difference_of_runs(part: Part, couple: tuple[str, str]) -> list[str]:
    """Of a detector in two runs. part: as `kimera diff` has it; empty where nothing is estimated."""
    if "estimates" not in part:
        return []
    later, earlier = couple
    what = f"For all pairs in both runs, accuracy of {later} minus that of {earlier}"
    return [*_sentence(what, part["estimates"], "accuracy", "+")]


def _prevalence(whole: Part) -> Iterator[str]:
    yield from _sentence("Share of contradictions", whole, "prevalence")


def _sentence(what: str, part: Part, name: str, sign: str = "") -> Iterator[str]:
    if name not in part["methods"]:
        if name in part["absent"]:
            yield f"{what}: not estimated, since {part['absent'][name]}."
        return
    value = f"{part[name]:{sign}.3f} ({from_to(part['intervals'][name])})"
    labels = f"from {counted(part['labels'], 'label')}"
    if part["methods"][name] == LABELS_ALONE:
        yield f"{what}: {value} {labels} alone: {part['reasons'][name]}."
        return
    alone = part["labels_alone"]
    yield (
        f"{what}: {value} {labels} and {counted(part['verdicts'], 'verdict')}; from the labels alone "
        f"{alone[name]:{sign}.3f} ({from_to(alone['intervals'][name])})."
    )


def more_sentences(summary: Part) -> list[str]:
    """What only a longer report says: how the labels count, and prevalence by rates of error."""
    whole = summary.get("estimates")
    if not whole:
        return []
    names = titles(summary)
    by_rates = [
        f"Share of contradictions by the error rates of {names[name]}: {found['prevalence']:.3f} "
        f"({from_to(found['interval'])}). It holds too where contradictions are commoner or rarer among the "
        "labelled pairs than among all, if the labelled ones of either kind are like the others of that kind."
        for name, found in whole.get("rogan_gladen", {}).items()
    ]
    weighted = ["Each label counts by the inverse of the probability with which its pair was drawn."]
    return [*(weighted if whole["weighted"] else []), *by_rates]
