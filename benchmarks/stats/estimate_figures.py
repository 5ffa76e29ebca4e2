"""The figures that are estimated for all pairs where only a part of them is labelled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from benchmarks.stats.figure import Figure, Method, Shown, Unit

GROUP = "estimates"
OF_ALL, OF_LABELS = ", all pairs", ", labels alone"
_estimate = partial(Figure, shown=Shown.NOWHERE, interval=Method.FEW_LABELS, takes_labels=True)


def _of_all(name: str, label: str, meaning: str) -> Figure:
    meaning = f"{meaning}, over all pairs that it answered."
    return _estimate(f"{GROUP}.{name}", f"{label}{OF_ALL}", meaning)


ESTIMATES = (
    _of_all("accuracy", "accuracy", "Share of verdicts that are right"),
    _of_all("precision", "precision", "Share of contradictions among the pairs called so"),
    _of_all("recall", "recall", "Share of the contradictions that were called so"),
    _of_all("f1", "F1", "Harmonic mean of precision and recall"),
    _of_all("false_alarm_rate", "false alarms", "Share of the other pairs that were called contradictions"),
    _of_all("miss_rate", "misses", "Share of the contradictions that were not called so"),
)
PREVALENCE = _estimate(
    "prevalence", "prevalence", "Share of contradictions among all pairs.", shown=Shown.NOWHERE
)
DIFFERENCE = _estimate(
    f"{GROUP}.accuracy",
    "difference of accuracies",
    "Accuracy of a minus that of b, over all pairs that both answered.",
    unit=Unit.DIFFERENCE,
)


def by_labels_alone(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """The same, as they stand in the group of what labels alone give."""
    return tuple(
        replace(
            figure,
            name=".".join([*filter(None, [figure.group]), "labels_alone", figure.name.rpartition(".")[2]]),
            label=f"{figure.label.removesuffix(OF_ALL)}{OF_LABELS}",
            meaning="From the labels alone.",
            interval=Method.LABELS_ALONE,
        )
        for figure in figures
    )
