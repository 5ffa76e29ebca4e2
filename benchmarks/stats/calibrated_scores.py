"""Scores calibrated on the labels of a run, without any pair deciding about itself (`--calibrate`)."""

from __future__ import annotations

import numpy as np

from benchmarks.stats.intervals import clusters_of
from benchmarks.stats.metrics import require
from benchmarks.stats.operating_points import FOLDS, folds_of
from benchmarks.stats.results import CrossFitted
from kimera.models import MapName, fit_score_map

MIN_OF_A_CLASS = 20  # labelled pairs


def cross_fitted(
    labels: np.ndarray, scores: np.ndarray, clusters: np.ndarray, method: MapName, seed: int = 0
) -> CrossFitted:
    """Scores as probabilities. labels, scores: as in `metrics`. clusters: int64 (n,), of shared texts.

    Pairs of a cluster are in the same fold, and no fold depends on labels. Raises UndefinedMetricError for
    fewer than `MIN_OF_A_CLASS` labelled pairs of either class, for scores that are all alike, for fewer
    clusters than folds, and where all pairs of a class are in one fold.
    """
    used = (labels >= 0) & ~np.isnan(scores)
    truth, raw = labels[used] == 1, scores[used]
    fewest = min(int(truth.sum()), int((~truth).sum()))
    require(
        fewest >= MIN_OF_A_CLASS,
        f"calibration needs at least {MIN_OF_A_CLASS} labelled and answered pairs of either class, and there "
        f"are {fewest} of one",
    )
    require(np.ptp(raw) > 0, "calibration needs different scores, and all are alike")
    fold = folds_of(clusters_of(clusters[used]), seed)
    whole = fit_score_map(method, raw, truth)
    calibrated = np.empty(raw.size)
    for number in range(FOLDS):
        here = fold == number
        require(np.unique(truth[~here]).size == 2, "nearly all labelled pairs of one class share their texts")
        calibrated[here] = fit_score_map(method, raw[~here], truth[~here])(raw[here])
    everywhere = whole(scores)
    everywhere[used] = calibrated
    return CrossFitted(method, everywhere, raw.size, whole, FOLDS)
