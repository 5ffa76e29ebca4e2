"""Names, numbers and the data of a summary in words, for all that is laid out.

Names come from data and models: here they are made printable; escaping is left to whoever lays them out.
Every sentence starts with words of ours, so that no name can open a heading or a list.
"""

from __future__ import annotations

from typing import Any

from benchmarks.stats import BY_NAME
from kimera.console import printable

Detector = dict[str, Any]
Row = tuple[str, ...]

MISSING = "-"


def label(figure: str) -> str:
    """What people call a figure; of one without a label, its name in the summary as words."""
    return BY_NAME[figure].label if figure in BY_NAME else figure.replace("_", " ").replace(".", ": ")


def title(name: str, simulated: bool, width: int | None = None) -> str:
    """The name as people see it, cut to `width`; a simulated judge is called so, even then."""
    suffix = " (simulated)" if simulated else ""
    shown = printable(name)
    if width and len(shown) + len(suffix) > width:
        shown = f"{shown[: width - len(suffix) - 1]}…"
    return shown + suffix


def titles(summary: dict[str, Any]) -> dict[str, str]:
    return {name: title(name, detector["simulated"]) for name, detector in summary["detectors"].items()}


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def quantity(value: float) -> str:
    """Three digits, or whole from 100 up: 0.92, 45.1, 812, 12,345."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def dataset_sentence(summary: dict[str, Any]) -> str:
    dataset = summary["dataset"]
    pairs, labelled = dataset["pairs"], dataset["labelled"]
    sampled = (
        f" of {dataset['available']:,}, sampled with seed {dataset['seed']}" if "seed" in dataset else ""
    )
    if "shard" in dataset:
        sampled += f", shard {dataset['shard']}"
    how_many = {pairs: "all labelled", 0: "none labelled"}.get(labelled, f"{labelled:,} labelled")
    contradictions = f", {counted(dataset['contradictions'], 'contradiction')}" if labelled else ""
    return printable(
        f"Dataset: {dataset['name']}, {counted(pairs, 'pair')}{sampled}, {how_many}{contradictions}"
        f"{_dropped(dataset)}{_people(dataset.get('people'))}"
    )


def _people(people: dict[str, Any] | None) -> str:
    """Whose labels count, and how far they agree."""
    if not people:
        return ""
    who = ", ".join(f"{each['name']} ({each['labels']:,})" for each in people["who"])
    told = f"; labels by people count on {counted(people['labelled'], 'pair')}: {who}"
    several = people["by_several"]
    measures = {"Cohen's kappa": people.get("kappa"), "Krippendorff's alpha": people.get("alpha")}
    agree = [f"{name} {value:.2f}" for name, value in measures.items() if value is not None]
    if len(people["who"]) > 1:
        told += f"; {counted(several, 'pair')} labelled by several" + "".join(f", {each}" for each in agree)
    if people["ties"]:
        told += f"; {counted(people['ties'], 'tie')}, left without a label"
    return told


def _dropped(dataset: dict[str, Any]) -> str:
    reasons = {"bad_rows": "that could not be used", "no_gold_label": "without a gold label"}
    parts = (f"{counted(dataset[key], 'row')} {why}" for key, why in reasons.items() if dataset.get(key))
    dropped = " and ".join(parts)
    return f"; dropped: {dropped}" if dropped else ""


def from_to(ends: list[float], scale: float = 1.0, digits: int = 3) -> str:
    return " to ".join(f"{scale * end:.{digits}f}" for end in ends)
