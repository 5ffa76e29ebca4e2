"""The rule that reads no text: always the commoner label. What does no better than it is said to do so."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.report import words
from benchmarks.stats import CONFUSION


class TrivialRule(NamedTuple):
    """always: what it says of every pair. accuracy: its share of right verdicts. f1: of contradictions."""

    always: str
    accuracy: float
    f1: float

    @property
    def title(self) -> str:
        return f'always "{self.always}"'


def trivial_rule(summary: dict[str, Any]) -> TrivialRule | None:
    """Of this run's labels; None where there are none, or of one class alone."""
    labelled, contradictions = (summary["dataset"].get(name, 0) for name in ("labelled", "contradictions"))
    return _commoner(contradictions, labelled)


def _commoner(contradictions: float, labelled: float) -> TrivialRule | None:
    return _of_share(contradictions / labelled) if labelled else None


def _of_share(contradictions: float) -> TrivialRule | None:
    if not 0 < contradictions < 1:
        return None
    if contradictions > 0.5:
        return TrivialRule("contradiction", contradictions, 2 * contradictions / (1 + contradictions))
    return TrivialRule("no contradiction", 1 - contradictions, 0.0)


def no_better(summary: dict[str, Any], name: str) -> str:
    """A sentence where this detector's accuracy is no higher than the rule's; empty where it is higher.

    Both are for all pairs where that is estimated, else of the labelled ones that the detector answered.
    """
    detector, whole = summary["detectors"][name], summary.get("estimates") or {}
    part = detector.get("estimates") or {}
    if "accuracy" in part and "prevalence" in whole:
        rule, accuracy = _of_share(whole["prevalence"]), part["accuracy"]
    else:
        found, missed, alarms, passed = (detector.get(count.name, 0) for count in CONFUSION)
        rule = _commoner(found + missed, found + missed + alarms + passed)
        accuracy = detector.get("accuracy")
    if rule is None or accuracy is None or accuracy > rule.accuracy:
        return ""
    how = "more than" if accuracy < rule.accuracy else "as many as"
    title = words.titles(summary)[name]
    return f"A rule that reads nothing, {rule.title}, has {rule.accuracy:.1%} right: {how} {title}."
