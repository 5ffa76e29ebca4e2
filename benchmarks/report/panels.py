"""The panel in the summary: how far its members agree with it, and what it bought for its price."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.panel import cost_of
from benchmarks.runs import RunResult
from benchmarks.stats import FAILED, DetectorResult

Part = dict[str, Any]

NO_LABELS = "no labelled pair was answered by all members"
NO_COSTS = "not every member's cost is known"
SAME_COST = "all members cost the same"


def panel_run(run: RunResult, agreements: list[Part]) -> Part:
    """Each member's agreement with the panel, and the panel beside its best and its cheapest member.

    agreements: of the summary, from which differences of accuracies are taken.
    """
    panel = run.panel
    if panel is None:
        raise ValueError("this run had no panel")
    members, whole = [run.detector(name) for name in panel.members], run.detectors[-1]
    beside = {entry["a"]: entry for entry in agreements if entry["b"] == whole.name}
    right = _right(run.labels, members)
    chosen = {"best": _best(right, members), "cheapest": _cheapest(right, members)}
    groups = {
        place: _gain(member, whole, beside[member.name]["differences"])
        for place, member in chosen.items()
        if member
    }
    return {
        "rule": panel.rule,
        "members": [_member(member, beside[member.name]) for member in members],
        **groups,
        "dollars": cost_of(whole),
        "absent": _absent({"best": NO_LABELS, "cheapest": _why_no_cheapest(members)}, groups),
    }


def _member(member: DetectorResult, entry: Part) -> Part:
    """entry: of the member and the panel."""
    agreement = {"agreement": entry["rate"]} if "rate" in entry else {}
    return {
        "name": member.name,
        "both_answered": entry["both_answered"],
        **agreement,
        "dollars": cost_of(member),
    }


def _right(labels: np.ndarray, members: list[DetectorResult]) -> dict[str, int]:
    """How many verdicts of each are right, of the labelled pairs that all answered; empty without any."""
    verdicts = np.stack([member.verdicts for member in members])
    used = (labels >= 0) & (verdicts != FAILED).all(axis=0)
    counts = (verdicts == labels)[:, used].sum(axis=1).tolist()
    return {member.name: count for member, count in zip(members, counts, strict=True)} if used.any() else {}


def _best(right: dict[str, int], members: list[DetectorResult]) -> DetectorResult | None:
    """The most accurate one; of several the cheapest where costs are known, then the first."""
    if not right:
        return None
    return min(members, key=lambda member: (-right[member.name], cost_of(member) or 0.0))


def _cheapest(right: dict[str, int], members: list[DetectorResult]) -> DetectorResult | None:
    """Of several the most accurate, then the first; None as `_why_no_cheapest` says."""
    if _why_no_cheapest(members):
        return None
    return min(members, key=lambda member: (cost_of(member) or 0.0, -right.get(member.name, 0)))


def _why_no_cheapest(members: list[DetectorResult]) -> str:
    costs = {cost_of(member) for member in members}
    if None in costs:
        return NO_COSTS
    return SAME_COST if len(costs) == 1 else ""


def _gain(member: DetectorResult, panel: DetectorResult, differences: Part) -> Part:
    """differences: of the member minus the panel."""
    own, whole = cost_of(member), cost_of(panel)
    gain: Part = {"name": member.name, "pairs": differences["pairs"], "intervals": {}}
    if "accuracy" in differences:
        low, high = differences["intervals"]["accuracy"]
        gain |= {"accuracy_gained": 0.0 - differences["accuracy"]}
        gain["intervals"] = {"accuracy_gained": [0.0 - high, 0.0 - low]}
    if own is not None and whole is not None:
        gain["dollars_more"] = whole - own
    return gain


def _absent(reasons: dict[str, str], groups: Part) -> dict[str, str]:
    """reasons: why a group may be absent."""
    absent = {place: reason for place, reason in reasons.items() if place not in groups}
    for place, group in groups.items():
        if "accuracy_gained" not in group:
            absent[f"{place}.accuracy_gained"] = "no labelled pair was answered by both"
        if "dollars_more" not in group:
            absent[f"{place}.dollars_more"] = NO_COSTS
    return absent
