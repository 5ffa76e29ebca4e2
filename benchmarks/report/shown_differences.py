"""What is shown of two accuracies: for all pairs where that is estimated, else on the labelled ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scipy.special import ndtr, ndtri

from benchmarks.report.observations import SIGNIFICANT

Summary = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of the accuracy of one detector minus that of another.

    is_no_worse: the first is less accurate by no more than the margin, if at all. for_all: it is estimated
    for all pairs, of which some are labelled; else it is of the labelled pairs that both answered.
    """

    difference: float
    is_real: bool
    is_equivalent: bool
    is_no_worse: bool
    for_all: bool


def shown(summary: Summary, first: str, second: str) -> Shown | None:
    """Of the first minus the second; None where there is no difference of accuracies."""
    entry = _entry_of(summary, first, second)
    return None if entry is None else shown_in(summary, entry)


def shown_in(summary: Summary, entry: Summary) -> Shown | None:
    """Of an agreement's first detector minus its second."""
    found, of_all = entry["differences"], entry.get("estimates") or {}
    if "accuracy" not in found:
        return None
    margin = found["equivalence"]["margin"]
    if "accuracy" not in of_all:
        is_no_worse = bool(found["intervals"]["accuracy"][0] > -margin)
        return Shown(found["accuracy"], is_real(found), is_equivalent(found), is_no_worse, for_all=False)
    (low, high), difference = of_all["intervals"]["accuracy"], of_all["accuracy"]
    is_equal = bool(-margin < low and high < margin)
    p = min(1.0, _tests(summary) * _p_of(difference, low, high))
    return Shown(difference, p < SIGNIFICANT, is_equal, bool(low > -margin), for_all=True)


def _p_of(value: float, low: float, high: float) -> float:
    """Two-sided, of a value whose interval of 95 % has these ends: below 0.05 where they leave 0 out."""
    error = (value - low if value > 0 else high - value) / float(ndtri(0.975))
    return float(2 * ndtr(-abs(value) / error)) if error > 0 else float(value == 0)


def _tests(summary: Summary) -> int:
    return sum("accuracy" in (entry.get("estimates") or {}) for entry in summary["agreement"])


def are_same(summary: Summary, first: str, second: str) -> bool:
    """Whether both gave the same verdict on every labelled pair that both answered."""
    entry = _entry_of(summary, first, second) or {}
    return entry.get("only_a") == entry.get("only_b") == 0


def is_real(found: dict[str, Any]) -> bool:
    """Whether a difference of accuracies is shown, by the adjusted p and by its interval."""
    low, high = found["intervals"]["accuracy"]
    return bool(found["mcnemar"]["p_holm"] < SIGNIFICANT and (low > 0 or high < 0))


def is_equivalent(found: dict[str, Any]) -> bool:
    return bool(found["equivalence"]["p"] < SIGNIFICANT)


def between(summary: Summary, first: str, second: str) -> dict[str, Any] | None:
    """The paired differences of these two, of the first minus the second; None where there is no accuracy."""
    entry = _entry_of(summary, first, second)
    return entry["differences"] if entry and "accuracy" in entry["differences"] else None


def _entry_of(summary: Summary, first: str, second: str) -> Summary | None:
    """The agreement of these two, the first minus the second; None where there is none."""
    for entry in summary["agreement"]:
        if {entry["a"], entry["b"]} == {first, second}:
            return entry if entry["a"] == first else _turned(entry)
    return None


def _turned(entry: Summary) -> Summary:
    """As if its second detector were its first."""
    turned = {**entry, "a": entry["b"], "b": entry["a"]}
    for part in ("differences", "estimates"):
        found = entry.get(part)
        if found and "accuracy" in found:
            low, high = found["intervals"]["accuracy"]
            turned[part] = {**found, "accuracy": -found["accuracy"], "intervals": {"accuracy": [-high, -low]}}
    return turned
