"""Thresholds, prevalence and cost in the summary: what a detector is worth at its working point."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.stats import (
    DetectorResult,
    Interval,
    Sample,
    Shown,
    UndefinedMetricError,
    at_prevalence,
    clusters_of,
    cost_of_found,
    cross_validated_threshold,
    of_counts,
    ratio_interval,
    share_interval,
    shown_in,
)
from kimera.reactor import THRESHOLD


class Group:
    """Figures with their intervals, and the reasons of those that have no value, as the summary has them."""

    def __init__(self, **facts: Any) -> None:
        self._values: dict[str, Any] = facts
        self._intervals: dict[str, list[float]] = {}
        self.absent: dict[str, str] = {}

    def add(self, name: str, figure: Callable[[], tuple[float, Interval | None]]) -> None:
        try:
            value, ends = figure()
        except UndefinedMetricError as reason:
            self.absent[name] = str(reason)
            return
        self._values[name] = value
        if ends is not None:
            self._intervals[name] = list(ends)

    def as_dict(self) -> dict[str, Any]:
        return {**self._values, "intervals": self._intervals}


def thresholds(labels: np.ndarray, detector: DetectorResult, clusters: np.ndarray) -> Group:
    """The reactor's verdicts by the threshold that is best in cross-validation, beside its own."""
    used = (labels >= 0) & detector.answered
    group = Group(default=THRESHOLD)
    truth, among = labels[used], clusters_of(clusters[used])
    try:
        best = cross_validated_threshold(truth, detector.scores[used], among)
    except UndefinedMetricError as reason:
        group.absent["cross_validated"] = str(reason)
        return group
    group.add("cross_validated", lambda: (best.threshold, None))
    sample = Sample(truth, best.verdicts, among)
    for name, formula in of_counts(shown_in(Shown.ELSEWHERE)).items():
        group.add(name, partial(sample.measure, formula))
    return group


def restated(labels: np.ndarray, detector: DetectorResult, clusters: np.ndarray, share: float) -> Group:
    """The same verdicts where so large a share of all pairs contradict."""
    used = (labels >= 0) & detector.answered
    group = Group(prevalence=share)
    sample = Sample(labels[used], detector.verdicts[used], clusters_of(clusters[used]))
    for name, formula in at_prevalence(share).items():
        group.add(name, partial(sample.measure, formula))
    if detector.dollars_of_pair is not None:
        group.add("dollars_per_contradiction", lambda: _dollars_elsewhere(labels, detector, clusters, share))
    return group


def _dollars_elsewhere(
    labels: np.ndarray, detector: DetectorResult, clusters: np.ndarray, share: float
) -> tuple[float, Interval | None]:
    """Per contradiction found there: a pair that fails costs money, and its contradiction is not found."""
    dollars, asked = _paid(labels, detector)
    contradictions = asked & (labels == 1)
    is_found = detector.verdicts[contradictions] == 1
    interval = share_interval(is_found, clusters[contradictions])
    return cost_of_found(float(dollars[asked].mean()), float(is_found.mean()), interval, share)


def _paid(labels: np.ndarray, detector: DetectorResult) -> tuple[np.ndarray, np.ndarray]:
    """(dollars of each pair; bool (n,), the labelled ones that were asked, with or without an answer)."""
    dollars = detector.dollars_of_pair
    if dollars is None:
        raise UndefinedMetricError(detector.dollars_absent)
    if detector.from_cache:
        raise UndefinedMetricError("replies came from the cache, so their cost is not known")
    asked = (labels >= 0) & (detector.answered | (dollars > 0))
    if not asked.any():
        raise UndefinedMetricError("no labelled pair was asked")
    return dollars, asked


def cost(labels: np.ndarray, detector: DetectorResult, clusters: np.ndarray) -> Group:
    """Dollars for each correct verdict and for each contradiction found, of all labelled pairs it was asked.

    A pair that failed has cost money too.
    """
    group = Group()
    for name, wanted in (("per_correct", labels), ("per_contradiction", np.where(labels == 1, 1, -1))):
        group.add(name, lambda wanted=wanted: _dollars_each(labels, detector, clusters, wanted))  # type: ignore[misc]  # mypy has no type for such a default
    return group


def _dollars_each(
    labels: np.ndarray, detector: DetectorResult, clusters: np.ndarray, wanted: np.ndarray
) -> tuple[float, Interval]:
    """Per verdict that is as wanted, int8 (n,); -1 where none is."""
    dollars, asked = _paid(labels, detector)
    right = (detector.verdicts == wanted) & detector.answered & (wanted >= 0)
    return ratio_interval(dollars[asked], right[asked].astype(np.float64), clusters_of(clusters[asked]))
