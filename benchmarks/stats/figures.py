"""Every figure of a detector, declared once: its name, meaning and formula, its interval, where it is shown.

Rows, plots and captions of reports, gates, `kimera diff`, the JSON schema and the table in docs/statistics.md
follow from this. A new figure is one entry; `python -m benchmarks.stats.figure_tables` writes the last two
anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum, Flag, auto
from functools import partial

import numpy as np

from benchmarks.detector_info import DetectorInfo
from benchmarks.stats.formulas import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    TRUE_NEGATIVE,
    TRUE_POSITIVE,
    Counts,
    Floats,
    Formula,
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


def kappa(counts: Counts) -> Floats:
    n = counts.contradictions + counts.others
    by_chance = counts.others / n * (counts.passed / n) + counts.contradictions / n * (counts.called / n)
    return ((counts.tn + counts.tp) / n - by_chance) / (1 - by_chance)


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


def average_precision(found: np.ndarray, called: np.ndarray) -> float:
    """Of the counts of a `Ranking`, without interpolation."""
    if found[-1] in (0, called[-1]):
        return float("nan")
    precision = found / np.maximum(called, 1e-300)  # a resample may leave out the highest scores
    return float((precision * np.diff(found, prepend=0)).sum() / found[-1])


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
ANSWERED_BY_BOTH = Requirement(np.any, "no pair was answered by both")
NOT_ALL_ALIKE = Requirement(
    lambda counts: np.logical_and(counts.contradictions + counts.called, counts.others + counts.passed),
    "both gave every pair the same verdict",
)


class Unit(Enum):
    """Each report writes it in its way; `benchmarks.stats.figure_tables` has its type in JSON."""

    SHARE = "from 0 to 1"
    CORRELATION = "up to 1"
    LOSS = "from 0"
    DIFFERENCE = "of either sign"
    COUNT = "pairs or requests"
    MILLISECONDS = "ms"
    SECONDS = "s"
    PER_SECOND = "1/s"
    IN_FLIGHT = "requests at once"
    DOLLARS = "dollars of a run, perhaps not known"
    DOLLARS_EACH = "dollars for one"


class Method(Enum):
    """Of a 95 % interval; its words are those of the schema and of docs/statistics.md."""

    WILSON = "Wilson (1927), over the effective number of pairs"
    BOOTSTRAP = "BCa bootstrap (Efron 1987), 2,000 draws of clusters"
    DELONG = "DeLong et al. (1988), by its logit; over clusters by Obuchowski (1997)"
    INVERSION = "inversion of its test; it may lie below the figure"
    TANGO = "Tango (1998), widened by the design effect of the clusters"
    PAIRED_BOOTSTRAP = "paired BCa bootstrap, 2,000 draws of clusters"
    PAIRED_DELONG = "DeLong et al. (1988), paired"
    RATIO = "of a ratio, by its logarithm, over clusters (Cochran 1977)"
    BY_RECALL = "by the interval of recall"


class Shown(Flag):
    """Where a figure is shown beside the summary, or what else it is measured on."""

    NOWHERE = 0
    TABLE = auto()  # a row for all detectors side by side
    PLOT = auto()  # the page's plot of quality
    PICTURE = auto()  # comparison.png
    CATEGORIES = auto()  # of each category
    DIFFERENCES = auto()  # of two detectors, and of two runs
    ELSEWHERE = auto()  # of verdicts at another threshold, and of a cascade
    PREVALENCE = auto()  # restated by --prevalence
    OF_RUNS = auto()  # of two runs, over all pairs


# Of which detectors a figure is, whatever the pairs.


def is_any(_: DetectorInfo) -> bool:
    return True


def is_one(info: DetectorInfo) -> bool:
    """Whether its scores are one detector's: those of two are no ranking."""
    return info.sides is None


def is_local(info: DetectorInfo) -> bool:
    return info.role == "local"


def is_paid(info: DetectorInfo) -> bool:
    return info.is_paid


def is_asked(info: DetectorInfo) -> bool:
    """Whether it is asked pair by pair, and so as often and for as much as is wanted."""
    return info.is_paid and is_one(info)


def is_timed_by_pair(info: DetectorInfo) -> bool:
    return not info.is_amortised


@dataclass(frozen=True)
class Figure:
    """One number of a detector, or of two, in summary.json.

    name: its key; of one in a group it is dotted, "latency_ms.p95". meaning: one line, for the schema and the
    documents. only_of: the detectors that can have it.
    """

    name: str
    label: str
    meaning: str
    unit: Unit = Unit.SHARE
    shown: Shown = Shown.TABLE
    interval: Method | None = None
    takes_labels: bool = False
    only_of: Callable[[DetectorInfo], bool] = is_any


@dataclass(frozen=True, kw_only=True)
class QualityFigure(Figure):
    """A figure of verdicts and scores beside the truth, or of the verdicts of two.

    needs: beside any pair, in this order, for a value. over_all: whether it is over all labelled pairs, one
    without a verdict counted as wrong. source: of the formula.
    """

    of: Formula
    needs: tuple[Requirement, ...] = ()
    over_all: bool = False
    source: str = ""


EVERYWHERE = Shown.TABLE | Shown.PLOT | Shown.PICTURE | Shown.CATEGORIES
_quality = partial(QualityFigure, takes_labels=True)
_ranked = partial(_quality, only_of=is_one)

ACCURACY = _quality(
    "accuracy",
    "accuracy",
    "Share of verdicts that equal the label.",
    of=right_among(TRUE_NEGATIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE),
    interval=Method.WILSON,
    shown=EVERYWHERE | Shown.DIFFERENCES | Shown.ELSEWHERE | Shown.PREVALENCE,
)
F1 = _quality(
    "f1",
    "F1",
    "Harmonic mean of precision and recall.",
    of=OfCounts(f1),
    interval=Method.BOOTSTRAP,
    needs=(LABELLED_OR_CALLED,),
    shown=EVERYWHERE | Shown.DIFFERENCES | Shown.ELSEWHERE | Shown.PREVALENCE,
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
        source="Good 1952",
    ),
    _ranked(
        "calibration_error",
        "calibration error",
        "Expected calibration error over bins of equal mass.",
        of=OfScores(calibration_error),
        interval=Method.INVERSION,
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
    """Of the figure's difference between two detectors; see `benchmarks.stats.evidence.compare`."""
    if figure is ACCURACY:
        return Method.TANGO
    return Method.PAIRED_BOOTSTRAP if isinstance(figure.of, OfCounts) else Method.PAIRED_DELONG


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
AT_THRESHOLD = tuple(
    replace(
        figure,
        name=f"thresholds.{figure.name}",
        label=f"{figure.label} at that threshold",
        meaning="Of each fold's verdicts at the threshold that is best for the others.",
        only_of=is_local,
    )
    for figure in shown_in(Shown.ELSEWHERE)
)
AT_PREVALENCE = tuple(
    replace(
        figure,
        name=f"at_prevalence.{figure.name}",
        label=f"restated {figure.label}",
        meaning=f"{figure.meaning.removesuffix('.')}, at that prevalence.",
        interval=Method.BOOTSTRAP,
    )
    for figure in shown_in(Shown.PREVALENCE)
)


@dataclass(frozen=True)
class Time:
    """Of the milliseconds that pairs took. of_each: whether a batch's time over its pairs will not do.

    with_retries: whether it is also shown of a pair's failed attempts and waiting together.
    """

    name: str
    label: str
    meaning: str
    formula: Callable[[np.ndarray], np.floating]
    of_each: bool = True
    with_retries: bool = False


TIMES = (
    Time("mean", "mean", "Mean over the answered pairs.", np.mean, of_each=False, with_retries=True),
    Time("p50", "median", "Median.", partial(np.percentile, q=50)),
    Time("p95", "p95", "95th percentile.", partial(np.percentile, q=95), with_retries=True),
    Time("p99", "p99", "99th percentile.", partial(np.percentile, q=99)),
)

# What else is known of one detector: figures that a row, a sentence or nothing but the summary tells.
_count = partial(Figure, unit=Unit.COUNT, shown=Shown.NOWHERE)
PAIRS = (
    _count("answered", "pairs answered", "Pairs with a verdict.", shown=Shown.OF_RUNS),
    _count("failed", "pairs failed", "Pairs without one.", shown=Shown.OF_RUNS),
    _count("called", "called contradictions", "Pairs called contradictions, labelled or not."),
    _count(
        "labelled_answered",
        "pairs counted",
        "Labelled pairs with a verdict: what the figures of quality are over.",
        shown=Shown.TABLE,
    ),
)
DISTINCT_SCORES = _count(
    "distinct_scores",
    "distinct scores",
    "Different scores given: few make a coarse ranking.",
    shown=Shown.TABLE,
)
SPEED = (
    *(
        Figure(
            f"latency_ms.{time.name}",
            f"{time.label} latency",
            time.meaning,
            Unit.MILLISECONDS,
            shown=Shown.TABLE if time.of_each else Shown.TABLE | Shown.OF_RUNS,
            only_of=is_timed_by_pair if time.of_each else is_any,
        )
        for time in TIMES
    ),
    *(
        Figure(
            f"pair_ms.{time.name}",
            f"{time.label} with retries",
            time.meaning,
            Unit.MILLISECONDS,
            shown=Shown.TABLE if time.with_retries else Shown.NOWHERE,
            only_of=is_timed_by_pair,
        )
        for time in TIMES
    ),
    Figure(
        "pairs_per_s",
        "pairs a second",
        "Answered pairs a second, the loading of models left out.",
        Unit.PER_SECOND,
    ),
    Figure(
        "mean_in_flight",
        "mean in flight",
        "Of a judge: summed latency over wall time.",
        Unit.IN_FLIGHT,
        only_of=is_timed_by_pair,
    ),
    Figure("wall_s", "wall time", "Seconds from the first question to the last answer.", Unit.SECONDS),
)
_each = partial(Figure, unit=Unit.DOLLARS_EACH, takes_labels=True, only_of=is_paid)
COSTS = (
    _each(
        "cost.per_correct",
        "dollars per correct verdict",
        "Dollars per correct verdict.",
        interval=Method.RATIO,
    ),
    _each(
        "cost.per_contradiction",
        "dollars per contradiction found",
        "Dollars per contradiction found.",
        interval=Method.RATIO,
    ),
)
COST_AT_PREVALENCE = _each(
    "at_prevalence.dollars_per_contradiction",
    "restated dollars per contradiction",
    "Dollars for each contradiction found, at that prevalence.",
    interval=Method.BY_RECALL,
)
_paid_count = partial(_count, only_of=is_paid)
REQUESTS = (
    _paid_count("attempts", "requests sent", "Of a judge: requests sent."),
    _paid_count(
        "from_cache",
        "replies from the cache",
        "Of a judge: replies that were kept from an earlier run, and not paid for.",
    ),
    _paid_count("tokens.prompt", "prompt tokens", "Tokens sent."),
    _paid_count("tokens.completion", "completion tokens", "Tokens received."),
    _paid_count("tokens.cached", "cached tokens", "Tokens of the prompt that the endpoint had in its cache."),
    _paid_count("tokens.reasoning", "reasoning tokens", "Tokens of the completion that were reasoning."),
    Figure(
        "dollars",
        "cost",
        "Of a judge: what the run cost; null where it is not known, for the reason in absent. Of a simulated "
        "one, what it would have cost.",
        Unit.DOLLARS,
        shown=Shown.OF_RUNS,
        only_of=is_paid,
    ),
)
_checked = partial(Figure, shown=Shown.NOWHERE, only_of=is_asked)
CHECKS = (
    _checked(
        "stability.flip_rate",
        "share of verdicts that changed",
        "Share of pairs whose repeated verdicts differ.",
    ),
    _checked(
        "stability.order_disagreement",
        "disagreement between the orders of the texts",
        "Share of pairs whose verdict depends on the order of the texts.",
    ),
    _checked(
        "calibration.brier",
        "Brier score from logprobs",
        "Brier score of the scores from logprobs.",
        takes_labels=True,
    ),
    _checked(
        "calibration.brier_stated",
        "Brier score as stated",
        "Brier score of the stated confidences.",
        takes_labels=True,
    ),
    _checked(
        "thresholds.cross_validated",
        "cross-validated threshold",
        "The best for F1: the median of ten folds.",
        takes_labels=True,
        only_of=is_local,
    ),
)
OF_DETECTORS = (
    *(*PAIRS, *QUALITY, DISTINCT_SCORES, *SPEED, *REQUESTS, *CHECKS, *AT_THRESHOLD, *COSTS),
    *(*AT_PREVALENCE, COST_AT_PREVALENCE),
)
OF_RUNS = tuple(figure for figure in OF_DETECTORS if Shown.OF_RUNS in figure.shown)

KAPPA = QualityFigure(
    "kappa",
    "kappa",
    "Cohen's kappa: agreement beyond chance.",
    Unit.CORRELATION,
    of=OfCounts(kappa),
    interval=Method.BOOTSTRAP,
    needs=(ANSWERED_BY_BOTH, NOT_ALL_ALIKE),
    source="Cohen 1960",
)
WHO_WAS_RIGHT = (
    _count("both_right", "both right", "Labelled pairs that both have right.", takes_labels=True),
    _count("only_a", "only first right", "Labelled pairs that only a has right.", takes_labels=True),
    _count("only_b", "only second right", "Labelled pairs that only b has right.", takes_labels=True),
    _count("both_wrong", "both wrong", "Labelled pairs that both have wrong.", takes_labels=True),
)
OF_TWO = (
    _count("both_answered", "pairs that both answered", "Pairs that both answered."),
    Figure("rate", "same verdict", "Share of these with the same verdict.", shown=Shown.NOWHERE),
    KAPPA,
    *WHO_WAS_RIGHT,
)

BY_NAME = {figure.name: figure for figure in (*OF_DETECTORS, *OF_TWO)}
