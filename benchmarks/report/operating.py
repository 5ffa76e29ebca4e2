"""Thresholds, prevalence and calibration in the summary: quality of other verdicts, pairs and scores."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.stats import (
    AT_PREVALENCE,
    AT_THRESHOLD,
    BEST_THRESHOLD,
    CALIBRATED,
    FAILED,
    CrossFitted,
    OneDetector,
    Sample,
    UndefinedMetricError,
    at_prevalence,
    clusters_of,
    cross_validated_threshold,
    metrics,
    of_counts,
    quality_intervals,
)
from kimera.detectors import THRESHOLD


def at_best_threshold(one: OneDetector) -> metrics.Measured:
    """Of a local detector: its verdicts by the threshold that is best in cross-validation."""
    found = metrics.Measured({}, {})
    used = (one.labels >= 0) & one.detector.answered
    truth, among = one.labels[used], clusters_of(one.clusters[used])
    try:
        best = cross_validated_threshold(truth, one.detector.scores[used], among)
    except UndefinedMetricError as reason:
        found.absent[BEST_THRESHOLD.name] = str(reason)
        return found
    found.values[BEST_THRESHOLD.name] = best.threshold
    sample = Sample(truth, best.verdicts, among)
    for name, formula in of_counts(AT_THRESHOLD).items():
        found.take(name, partial(sample.measure, formula))
    return found


def restated(one: OneDetector, prevalence: float) -> metrics.Measured:
    """The same verdicts where so large a share of all pairs contradict."""
    found = metrics.Measured({}, {})
    used = (one.labels >= 0) & one.detector.answered
    sample = Sample(one.labels[used], one.detector.verdicts[used], clusters_of(one.clusters[used]))
    for name, formula in of_counts(AT_PREVALENCE).items():
        found.take(name, partial(sample.measure, at_prevalence(formula, prevalence)))
    return found


def recalibrated(one: OneDetector, calibration: CrossFitted | str) -> metrics.Measured:
    """The figures of calibrated scores, whose verdicts are by 0.5; or why there are none.

    Their intervals take the maps as they are.
    """
    plain = {figure.name.partition(".")[2]: figure.name for figure in CALIBRATED}
    if isinstance(calibration, str):
        return metrics.Measured({}, dict.fromkeys(plain.values(), calibration))
    scores = calibration.scores
    verdicts = np.where(one.detector.answered, scores >= THRESHOLD, FAILED).astype(np.int8)
    quality = metrics.quality(one.labels, verdicts, scores)
    intervals = quality_intervals(one.labels, verdicts, scores, one.clusters, figures=plain)
    return metrics.Measured(
        {name: quality.values[figure] for figure, name in plain.items() if figure in quality.values},
        {name: quality.absent[figure] for figure, name in plain.items() if figure in quality.absent},
        {name: intervals[figure] for figure, name in plain.items() if figure in intervals},
    )
