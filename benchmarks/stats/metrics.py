"""The values of figures on a run's arrays, or the reason why there is none: pure functions.

Throughout, `labels` are int8 (n,): 1 contradiction, 0 not, -1 no gold label; `verdicts` int8 (n,): 1, 0, or
FAILED where the detector gave none; `scores`, P(contradiction), and `latency_ms` are float64 (n,), NaN where
it failed. `truth` is `labels` where every pair carries one.

A metric that has no value on its arrays raises `UndefinedMetricError` with the reason; the functions that
give several metrics collect the reasons in `Measured.absent`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.stats.figure import DetectorFigure, Interval, QualityFigure
from benchmarks.stats.formulas import Counts, OfCounts, cells_of
from benchmarks.stats.quality_figures import QUALITY
from benchmarks.stats.results import FAILED, OneDetector

MIN_SCORES = 10  # of fewer distinct ones there is no ranking and no calibration to speak of


class UndefinedMetricError(Exception):
    """A metric has no value on these arrays; the message says why, for a person."""


@dataclass(frozen=True)
class Measured:
    """Figures that have a value, as plain Python numbers, and the reasons of those that have none.

    intervals: of those that are measured with one.
    """

    values: dict[str, float]
    absent: dict[str, str]
    intervals: dict[str, Interval] = field(default_factory=dict)

    def take(self, name: str, figure: Callable[[], float | tuple[float, Interval | None] | None]) -> None:
        """Adds what the figure gives: its value, that and its interval, or nothing; or why there is none."""
        try:
            found = figure()
        except UndefinedMetricError as reason:
            self.absent[name] = str(reason)
            return
        value, interval = found if isinstance(found, tuple) else (found, None)
        if value is not None:
            self.values[name] = value
        if interval is not None:
            self.intervals[name] = interval

    def __or__(self, other: Measured) -> Measured:
        return Measured(
            self.values | other.values, self.absent | other.absent, self.intervals | other.intervals
        )


def collect(figures: Mapping[str, Callable[[], float]]) -> Measured:
    measured = Measured({}, {})
    for name, figure in figures.items():
        measured.take(name, figure)
    return measured


def require(condition: object, reason: str) -> None:
    if not condition:
        raise UndefinedMetricError(reason)


def value(
    figure: QualityFigure, truth: np.ndarray, verdicts: np.ndarray, scores: np.ndarray | None = None
) -> float:
    """Of pairs that all have a label and a verdict, or, for figures of two detectors, two verdicts."""
    counts = Counts.of(cells_of(truth, verdicts))
    for need in figure.needs:
        require(need.holds(counts), need.reason)
    return figure.of.value(truth, verdicts, np.empty(0) if scores is None else scores)


def quality(labels: np.ndarray, verdicts: np.ndarray, scores: np.ndarray, *, unranked: str = "") -> Measured:
    """Agreement with the dataset's labels, over the pairs that carry one and were answered.

    unranked: why a ranking and a calibration of these scores would mean nothing; empty where they would.
    """
    labelled = labels >= 0
    figures = sorted(QUALITY, key=lambda figure: figure.over_all)
    if not labelled.any():
        return Measured({}, dict.fromkeys((figure.name for figure in figures), "no pair carries a label"))
    answered = labelled & (verdicts != FAILED)
    truth, said, score = labels[answered], verdicts[answered], scores[answered]
    said_or_wrong = np.where(verdicts == FAILED, 1 - labels, verdicts)

    def measure(figure: QualityFigure) -> float:
        if figure.over_all:
            return value(figure, labels[labelled], said_or_wrong[labelled])
        require(truth.size, "no labelled pair was answered")
        require(isinstance(figure.of, OfCounts) or not unranked, unranked)
        return value(figure, truth, said, score)

    return collect({figure.name: partial(measure, figure) for figure in figures})


def distinct_scores(scores: np.ndarray) -> int:
    """How many different scores a detector gave; few of them make a coarse ROC curve.

    Rounded to nine decimals first: 1 - 0.9 and 0.1 are one score.
    """
    return int(np.unique(np.round(scores[~np.isnan(scores)], 9)).size)


def measured(figures: Iterable[DetectorFigure], one: OneDetector) -> Measured:
    """Those of these figures that there are, by their names, and the reasons of the others.

    A figure of which nobody asked has neither.
    """
    found = Measured({}, {})
    for figure in figures:
        reason = figure.why_none(one)
        if reason is None and figure.only_of(one.info):
            found.take(figure.name, partial(figure.of, one))
        elif reason:
            found.absent[figure.name] = reason
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Figures by dotted names as `summary.json` has them: those of a group in an object of their own."""
    whole: dict[str, Any] = {}
    for name, value in values.items():
        group, _, figure = name.rpartition(".")
        (whole.setdefault(group, {}) if group else whole)[figure] = value
    return whole
