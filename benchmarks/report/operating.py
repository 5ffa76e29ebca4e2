"""Thresholds and prevalence in the summary: the figures of quality of other verdicts, and of other pairs."""

from __future__ import annotations

from functools import partial

from benchmarks.stats import (
    AT_PREVALENCE,
    AT_THRESHOLD,
    BEST_THRESHOLD,
    OneDetector,
    Sample,
    UndefinedMetricError,
    at_prevalence,
    clusters_of,
    cross_validated_threshold,
    metrics,
    of_counts,
)


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
