"""The third decision: what would have to be labelled to know."""

from __future__ import annotations

from typing import Any

from benchmarks.report import notes, words
from benchmarks.report.conclusions import (
    Conclusion,
    Question,
    Summary,
    compared,
    is_local_beside_judge,
    why_not_estimated,
)
from benchmarks.report.notes import FEW_LABELS, SMOKE_TEST
from benchmarks.report.shown_differences import shown_in
from kimera.console import printable

QUESTION = "What would have to be labelled to know?"
FIRST_LABELS = 100


def label_question(summary: Summary) -> Question:
    return Question(QUESTION, (_conclusion(summary),))


def _conclusion(summary: Summary) -> Conclusion:
    labelled = summary["dataset"]["labelled"]
    if not labelled and summary["dataset"]["pairs"] <= FIRST_LABELS:
        pairs = words.counted(summary["dataset"]["pairs"], "pair")
        return Conclusion(f"All {pairs}, and more like these: {pairs} are few. report.html takes the labels.")
    if not labelled:
        return Conclusion(
            f"{FIRST_LABELS} pairs, drawn at random, are enough for a first estimate for all pairs. "
            "report.html draws as many or more, for accuracies within 5 points, and takes the labels."
        )
    if one_class := notes.one_class(summary):
        return Conclusion(f"Pairs of the other class: {one_class}")
    labels = words.counted(labelled, "label")
    if why := why_not_estimated(summary):
        return Conclusion(
            f"Pairs drawn at random: the {labels} are of no random part of all. report.html draws some, and "
            "takes the labels.",
            printable(f"{why}."),
        )
    if labelled <= SMOKE_TEST:
        claim = (
            f"At least {FEW_LABELS} pairs: {labels} ({SMOKE_TEST} or fewer) make a smoke test, which shows "
            "that things run and decides nothing."
        )
        return Conclusion(f"{claim} {_seen(summary)}".strip())
    return _more(summary, labels)


def _more(summary: Summary, labels: str) -> Conclusion:
    """Whether more labels than a smoke test's would say more."""
    entries = [entry for entry in compared(summary) if "accuracy" in entry["differences"]]
    if not entries:
        return Conclusion(f"There are {labels}, and no two detectors to decide between.")
    labels = words.counted(min(entry["differences"]["pairs"] for entry in entries), "label")
    is_open = any(not _is_settled(summary, entry) for entry in entries)
    claim = (
        f"More pairs than these: {labels} do not settle it."
        if is_open
        else f"No more for pairs like these: {labels} settle it."
    )
    return Conclusion(f"{claim} {_seen(summary)}".strip())


def _is_settled(summary: Summary, entry: dict[str, Any]) -> bool:
    """A local one may replace a judge that it is shown to be no worse than, better or not."""
    found = shown_in(summary, entry)
    if found is None:
        return False
    replaces = is_local_beside_judge(summary, entry) and found.is_no_worse
    return replaces or found.is_real or found.is_equivalent


def _seen(summary: Summary) -> str:
    """How large a difference these labels would have shown by themselves: the worst of those compared."""
    minima = [
        entry["differences"]["least_difference"]
        for entry in compared(summary)
        if "least_difference" in entry["differences"] and "accuracy" not in (entry.get("estimates") or {})
    ]
    if not minima:
        return ""
    return f"They would have shown a difference of {100 * max(minima):.0f} points, four times of five."
