"""The figures of quality: how well a detector's verdicts and scores agree with the labels.

Each has its formula, from which follow its value, its interval and its difference between two detectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.stats.figure import Method, QualityFigure, Shown, Unit, is_one
from benchmarks.stats.formulas import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    TRUE_NEGATIVE,
    TRUE_POSITIVE,
    Counts,
    Floats,
    MeanLoss,
    OfCounts,
    OfRanking,
    OfScores,
    Requirement,
    right_among,
)
from kimera.models import calibration_error as expected_calibration_error

MIN_LIKELIHOOD = 1e-15  # a score of exactly 0 or 1 that is wrong costs 34.5, not infinity

# Formulas, NaN where a figure has no value: its `needs` say why.


def balanced_accuracy(counts: Counts) -> Floats:
    return (counts.tp / counts.contradictions + counts.tn / counts.others) / 2


def f1(counts: Counts) -> Floats:
    """0 where there are contradictions and none was found."""
    return 2 * counts.tp / (2 * counts.tp + counts.fp + counts.fn)


def mcc(counts: Counts) -> Floats:
    """Pearson's correlation of truth and verdict."""
    tn, fp, fn, tp = counts
    correlation = (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.clip(correlation, -1, 1)  # rounding may leave it a bit beyond


def times_above(truth: np.ndarray, scores: np.ndarray) -> Floats:
    """float64 (n,): of each pair, how many of the other class score below it, ties counted half."""
    above = np.empty(truth.size)
    for own in (truth == 1, truth != 1):
        others = np.sort(scores[~own])
        below, not_above = (np.searchsorted(others, scores[own], side) for side in ("left", "right"))
        above[own] = (below + not_above) / 2
    return above


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """P(a contradiction scores above another pair), ties counted half."""
    positive = truth == 1
    return float(times_above(truth, scores)[positive].sum() / (positive.sum() * (~positive).sum()))


def average_precision(found: np.ndarray, called: np.ndarray) -> Floats:
    """Of the counts of a `Ranking`, without interpolation: shape (..., thresholds) to (...)."""
    all_found = found[..., -1]
    precision = found / np.maximum(called, 1e-300)  # a resample may leave out the highest scores
    hits = np.array(found)
    hits[..., 1:] -= found[..., :-1]
    with np.errstate(invalid="ignore"):
        mean = (precision * hits).sum(axis=-1) / all_found
    return np.where((all_found == 0) | (all_found == called[..., -1]), np.nan, mean)


def squared_error(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.square((truth == 1) - scores))


def surprise(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    likelihood = np.where(truth == 1, scores, 1 - scores)
    return np.asarray(-np.log(np.maximum(likelihood, MIN_LIKELIHOOD)))


def calibration_error(truth: np.ndarray, scores: np.ndarray) -> float:
    return expected_calibration_error(scores, truth == 1)


BOTH_LABELS = Requirement(
    lambda counts: np.logical_and(counts.contradictions, counts.others),
    "all labelled pairs that were answered carry the same label",
)
BOTH_VERDICTS = Requirement(
    lambda counts: np.logical_and(counts.called, counts.passed),
    "the detector gave every labelled pair the same verdict",
)
CALLED = Requirement(lambda counts: counts.called > 0, "the detector called no labelled pair a contradiction")
CONTRADICTIONS = Requirement(
    lambda counts: counts.contradictions > 0, "no answered pair is labelled a contradiction"
)
LABELLED_OR_CALLED = Requirement(
    lambda counts: counts.contradictions + counts.called > 0, "no contradiction, neither labelled nor called"
)

EVERYWHERE = Shown.TABLE | Shown.PLOT | Shown.PICTURE | Shown.CATEGORIES
_quality = partial(QualityFigure, takes_labels=True)
_ranked = partial(_quality, only_of=is_one)

ACCURACY = _quality(
    "accuracy",
    "accuracy",
    "Share of verdicts that equal the label.",
    of=right_among(TRUE_NEGATIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE),
    interval=Method.WILSON,
    shown=EVERYWHERE | Shown.DIFFERENCES | Shown.ELSEWHERE | Shown.PREVALENCE | Shown.CALIBRATED,
)
F1 = _quality(
    "f1",
    "F1",
    "Harmonic mean of precision and recall.",
    of=OfCounts(f1),
    interval=Method.BOOTSTRAP,
    needs=(LABELLED_OR_CALLED,),
    shown=EVERYWHERE | Shown.DIFFERENCES | Shown.ELSEWHERE | Shown.PREVALENCE | Shown.CALIBRATED,
    source="van Rijsbergen 1979",
)
ROC_AUC = _ranked(
    "roc_auc",
    "ROC AUC",
    "Area under the ROC curve: how often a contradiction scores above another pair, ties counted half.",
    of=OfScores(roc_auc),
    interval=Method.DELONG,
    needs=(BOTH_LABELS,),
    shown=EVERYWHERE | Shown.DIFFERENCES,
    source="Mann and Whitney 1947",
)
BRIER = _ranked(
    "brier",
    "Brier score",
    "Mean squared distance of the score from the label.",
    of=MeanLoss(squared_error),
    interval=Method.BOOTSTRAP,
    shown=Shown.TABLE | Shown.CALIBRATED,
    source="Brier 1950",
)

# Of the agreement with the dataset's labels, in the order of the report.
QUALITY = (
    ACCURACY,
    _quality(
        "balanced_accuracy",
        "balanced accuracy",
        "Mean of the shares that are right among contradictions and among the others.",
        of=OfCounts(balanced_accuracy),
        interval=Method.BOOTSTRAP,
        needs=(BOTH_LABELS,),
        shown=Shown.TABLE | Shown.PLOT | Shown.CATEGORIES,
        source="Brodersen et al. 2010",
    ),
    _quality(
        "precision",
        "precision",
        "Share of contradictions among the pairs called so.",
        of=right_among(FALSE_POSITIVE, TRUE_POSITIVE),
        interval=Method.WILSON,
        needs=(CALLED,),
        shown=EVERYWHERE | Shown.PREVALENCE,
    ),
    _quality(
        "recall",
        "recall",
        "Share of the contradictions that were called so.",
        of=right_among(FALSE_NEGATIVE, TRUE_POSITIVE),
        interval=Method.WILSON,
        needs=(CONTRADICTIONS,),
        shown=EVERYWHERE,
    ),
    F1,
    _quality(
        "mcc",
        "MCC",
        "Matthews correlation coefficient.",
        Unit.CORRELATION,
        of=OfCounts(mcc),
        interval=Method.BOOTSTRAP,
        needs=(BOTH_LABELS, BOTH_VERDICTS),
        shown=EVERYWHERE | Shown.DIFFERENCES | Shown.ELSEWHERE,
        source="Matthews 1975",
    ),
    replace(
        ACCURACY,
        name="accuracy_failed_as_wrong",
        label="accuracy, failures as wrong",
        meaning="Accuracy over all labelled pairs, a pair without a verdict counted as wrong.",
        shown=Shown.TABLE,
        over_all=True,
    ),
    ROC_AUC,
    _ranked(
        "average_precision",
        "average precision",
        "Precision at each contradiction, averaged down the ranking.",
        of=OfRanking(average_precision),
        interval=Method.BOOTSTRAP,
        needs=(BOTH_LABELS,),
        shown=Shown.TABLE | Shown.PLOT,
    ),
    BRIER,
    _ranked(
        "log_loss",
        "log loss",
        "Mean negative natural logarithm of the probability given to what is true.",
        Unit.LOSS,
        of=MeanLoss(surprise),
        interval=Method.BOOTSTRAP,
        shown=Shown.TABLE | Shown.CALIBRATED,
        source="Good 1952",
    ),
    _ranked(
        "calibration_error",
        "calibration error",
        "Expected calibration error over bins of equal mass.",
        of=OfScores(calibration_error),
        interval=Method.INVERSION,
        shown=Shown.TABLE | Shown.CALIBRATED,
        source="Nixon et al. 2019",
    ),
)


def shown_in(place: Shown) -> tuple[QualityFigure, ...]:
    """Of the figures of quality, those that are shown there, in the order of the report."""
    return tuple(figure for figure in QUALITY if place in figure.shown)


def names_in(place: Shown) -> tuple[str, ...]:
    return tuple(figure.name for figure in shown_in(place))


def of_counts(figures: Iterable[QualityFigure]) -> dict[str, OfCounts]:
    """By name, those of these figures that follow from counts."""
    return {figure.name: figure.of for figure in figures if isinstance(figure.of, OfCounts)}


def _paired(figure: QualityFigure) -> Method:
    """Of the figure's difference between two detectors; see `benchmarks.stats.evidence.DIFFERENCE_BY`."""
    if figure in (ACCURACY, ROC_AUC):
        return Method.TANGO if figure is ACCURACY else Method.PAIRED_DELONG
    if not isinstance(figure.of, OfCounts):
        raise TypeError(f"{figure.name} has no paired interval, so it cannot be shown in Shown.DIFFERENCES")
    return Method.PAIRED_BOOTSTRAP


# The same figures of other verdicts, or of two detectors.

OF_CATEGORIES = tuple(replace(figure, meaning="As of the whole.") for figure in shown_in(Shown.CATEGORIES))
OF_CASCADES = tuple(replace(figure, meaning="Of the cascade.") for figure in shown_in(Shown.ELSEWHERE))
DIFFERENCES = tuple(
    replace(
        figure,
        meaning=f"{figure.label[0].upper()}{figure.label[1:]} of a minus that of b.",
        unit=Unit.DIFFERENCE,
        interval=_paired(figure),
    )
    for figure in shown_in(Shown.DIFFERENCES)
)
