"""The figures of three classes: contradiction, entailment and neutral, by the label and by the verdict.

They are over the pairs whose label is one of the three and whose verdict tells which of them it is.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.stats.figure import DetectorFigure, Interval, Method, Unit
from benchmarks.stats.formulas import Floats
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.results import OneDetector
from kimera.pairs import NO_CLASS, RELATIONS

# The intervals are imported where they are computed: they take scipy, and --help names figures.

CELLS = len(RELATIONS) ** 2
TELLS_TWO = "it tells contradictions from others only"
NONE_ANSWERED = "no labelled pair was answered"
TWO_WAY_LABELS = "the labels tell contradictions from others only"


def why_not_three_way(one: OneDetector) -> str | None:
    """Why there are no such figures, empty where that goes without saying; None where there are."""
    gold, tells = _gold(one), one.detector.classes is not None
    if not (gold.size or tells):
        return ""  # nobody expects it
    if not one.has_labels:
        return "no pair carries a label"
    if not gold.size:
        return TWO_WAY_LABELS
    missing = [name for code, name in enumerate(RELATIONS) if not (gold == code).any()]
    if missing:
        return f"no pair is labelled {' or '.join(missing)}"
    if not one.answered:
        return NONE_ANSWERED
    if not tells:
        return TELLS_TWO
    return (
        None
        if one.of_three_classes.any()
        else "no pair with such a label got a verdict of one of three classes"
    )


def _gold(one: OneDetector) -> np.ndarray:
    """int8 (m,): the classes of the labels that have one."""
    return (
        np.empty(0, np.int8) if one.gold_classes is None else one.gold_classes[one.gold_classes != NO_CLASS]
    )


def cells_of_three(one: OneDetector) -> np.ndarray:
    """int64 (m,): of each pair counted, three times the class of its label plus that of its verdict."""
    gold, said, used = one.gold_classes, one.detector.classes, one.of_three_classes
    if gold is None or said is None:
        return np.empty(0, np.int64)
    return np.asarray(len(RELATIONS) * gold[used].astype(np.int64) + said[used])


def confusion(one: OneDetector) -> dict[str, dict[str, int]]:
    """How many pairs of each class by their label are of each class by the verdict."""
    table = np.bincount(cells_of_three(one), minlength=CELLS).reshape(len(RELATIONS), -1).tolist()
    return {gold: dict(zip(RELATIONS, row, strict=True)) for gold, row in zip(RELATIONS, table, strict=True)}


def macro_f1(cells: np.ndarray) -> Floats:
    """The mean over the classes of F1, 0 for one that is neither labelled nor called. cells: (..., 9)."""
    table = np.asarray(cells, np.float64).reshape(*np.shape(cells)[:-1], len(RELATIONS), -1)
    right = np.diagonal(table, axis1=-2, axis2=-1)
    either = table.sum(axis=-1) + table.sum(axis=-2)  # twice those that are right among them
    return np.asarray((2 * right / np.maximum(either, 1)).mean(axis=-1))


def _accuracy(one: OneDetector) -> tuple[float, Interval]:
    from benchmarks.stats.evidence import share_interval

    cells = cells_of_three(one)
    right = cells // len(RELATIONS) == cells % len(RELATIONS)
    return float(right.mean()), share_interval(right, one.clusters[one.of_three_classes])


def _macro_f1(one: OneDetector) -> tuple[float, Interval | None]:
    from benchmarks.stats.intervals import ClusterCounts, clusters_of, count_interval

    counts = ClusterCounts.of(cells_of_three(one), clusters_of(one.clusters[one.of_three_classes]), CELLS)
    value = float(macro_f1(counts.total))
    try:
        return value, count_interval(macro_f1, counts, counts.draws(seed=0))
    except UndefinedMetricError:
        return value, None


_figure = partial(DetectorFigure, takes_labels=True, why_none=why_not_three_way)

THREE_WAY = (
    _figure(
        "three_way.pairs",
        "pairs of three classes",
        "Pairs that are labelled as one of three classes, and whose verdict tells which it is.",
        Unit.COUNT,
        of=lambda one: int(one.of_three_classes.sum()),
    ),
    _figure(
        "three_way.accuracy",
        "three-way accuracy",
        "Share of those whose class by the verdict is that of the label.",
        interval=Method.WILSON,
        of=_accuracy,
    ),
    _figure(
        "three_way.macro_f1",
        "three-way macro F1",
        "Mean of the F1 of the three classes, over the same pairs.",
        interval=Method.BOOTSTRAP,
        of=_macro_f1,
    ),
)
