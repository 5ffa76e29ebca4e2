"""What a run proves: an interval for each figure of a detector, and each two detectors compared.

Pure functions of the run's arrays (see `metrics` for what they hold), seeded. `clusters` is int64 (n,): pairs
of one number share a text, and are not independent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import metrics
from benchmarks.intervals import (
    ClusterCounts,
    Interval,
    WeightedScores,
    auc_components,
    auc_interval,
    calibration_error_interval,
    clusters_of,
    count_interval,
    effective_size,
    wilson,
)
from benchmarks.metrics import UndefinedMetricError
from benchmarks.results import FAILED

# Cells of one detector: twice the truth, plus the verdict.
TRUE_NEGATIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE = range(4)


def quality_intervals(
    labels: np.ndarray, verdicts: np.ndarray, scores: np.ndarray, clusters: np.ndarray, seed: int = 0
) -> dict[str, Interval]:
    """95 % intervals of what `metrics.quality` measures; none where a figure has none, or nothing varies.

    Shares by Wilson over the effective number of pairs; the area under the ROC curve by DeLong; balanced
    accuracy, F1, MCC, average precision, Brier score and log loss by a BCa bootstrap of clusters; calibration
    error by inverting its test.
    """
    used = (labels >= 0) & (verdicts != FAILED)
    labelled = labels >= 0
    if not used.any():
        return {}
    truth, said, score = labels[used], verdicts[used], scores[used]
    among = clusters_of(clusters[used])
    counts = ClusterCounts.of(2 * truth + said, among, 4)
    draws = counts.draws(seed)
    whole = labels[labelled] == verdicts[labelled]
    wanted: dict[str, Callable[[], Interval]] = {
        "accuracy": lambda: share_interval(truth == said, among),
        "balanced_accuracy": lambda: count_interval(balanced_accuracy_of, counts, draws),
        "precision": lambda: share_interval((truth == said)[said == 1], among[said == 1]),
        "recall": lambda: share_interval((truth == said)[truth == 1], among[truth == 1]),
        "f1": lambda: count_interval(f1_of, counts, draws),
        "mcc": lambda: count_interval(mcc_of, counts, draws),
        "accuracy_failed_as_wrong": lambda: share_interval(whole, clusters_of(clusters[labelled])),
    }
    if metrics.distinct_scores(score) >= metrics.FEWEST_SCORES:
        wanted |= {
            "roc_auc": lambda: auc_interval(auc_components(truth, score), among),
            "calibration_error": lambda: calibration_error_interval(truth, score, among, seed),
        }
    found: dict[str, Interval] = {}
    for name, interval in wanted.items():
        try:
            found[name] = interval()
        except UndefinedMetricError:
            continue
    if "calibration_error" in wanted:
        resampled = WeightedScores(truth, score, among).intervals(seed)
        found |= {name: ends for name, ends in resampled.items() if not isinstance(ends, str)}
    return found


def share_interval(right: np.ndarray, clusters: np.ndarray) -> Interval:
    """Wilson's, of a share over the effective number of pairs. right: bool (n,)."""
    if not right.size:
        raise UndefinedMetricError("there is no such pair")
    return wilson(float(right.mean()), effective_size(right.astype(np.float64), clusters_of(clusters)))


def balanced_accuracy_of(counts: np.ndarray) -> np.ndarray:
    """Of counts of the four cells, shape (..., 4): shape (...)."""
    with np.errstate(invalid="ignore"):
        positive = counts[..., TRUE_POSITIVE] / (counts[..., TRUE_POSITIVE] + counts[..., FALSE_NEGATIVE])
        negative = counts[..., TRUE_NEGATIVE] / (counts[..., TRUE_NEGATIVE] + counts[..., FALSE_POSITIVE])
    return np.asarray((positive + negative) / 2)


def f1_of(counts: np.ndarray) -> np.ndarray:
    """Of counts of the four cells, shape (..., 4): shape (...)."""
    found = 2 * counts[..., TRUE_POSITIVE]
    with np.errstate(invalid="ignore"):
        return np.asarray(found / (found + counts[..., FALSE_POSITIVE] + counts[..., FALSE_NEGATIVE]))


def mcc_of(counts: np.ndarray) -> np.ndarray:
    """Of counts of the four cells, shape (..., 4): shape (...)."""
    tn, fp, fn, tp = np.moveaxis(counts.astype(np.float64), -1, 0)
    with np.errstate(invalid="ignore"):
        return np.asarray((tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
