"""What a run proves: an interval for each figure of a detector, and each two detectors compared.

Pure functions of the run's arrays (see `metrics` for what they hold), seeded. `clusters` is int64 (n,): pairs
of one number share a text, and are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks import metrics
from benchmarks.intervals import (
    RESAMPLED,
    ClusterCounts,
    Interval,
    OfCounts,
    WeightedScores,
    auc_components,
    auc_interval,
    calibration_error_interval,
    clusters_of,
    count_interval,
    effective_size,
    quantile,
    wilson,
)
from benchmarks.metrics import UndefinedMetricError
from benchmarks.paired import (
    Equivalence,
    accuracy_difference_interval,
    auc_difference,
    conclusion,
    design_effect,
    equivalence,
    mcnemar_clustered,
    mcnemar_exact,
    min_detectable_difference,
)
from benchmarks.results import FAILED, DetectorResult

# Cells of one detector: twice the truth, plus the verdict.
TRUE_NEGATIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE = range(4)


def quality_intervals(
    labels: np.ndarray,
    verdicts: np.ndarray,
    scores: np.ndarray,
    clusters: np.ndarray,
    *,
    are_ranked: bool = True,
    figures: Container[str] | None = None,
    seed: int = 0,
) -> dict[str, Interval]:
    """95 % intervals of what `metrics.quality` measures; none where a figure has none, or nothing varies.

    figures: those that are wanted; None for all.

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
    if are_ranked:
        wanted |= {
            "roc_auc": lambda: auc_interval(auc_components(truth, score), among),
            "calibration_error": lambda: calibration_error_interval(truth, score, among, seed),
        }
    found: dict[str, Interval] = {}
    for name, interval in wanted.items():
        try:
            if figures is None or name in figures:
                found[name] = interval()
        except UndefinedMetricError:
            continue
    if are_ranked and (figures is None or any(name in figures for name in RESAMPLED)):
        resampled = WeightedScores(truth, score, among).intervals(seed)
        found |= {
            name: ends
            for name, ends in resampled.items()
            if not isinstance(ends, str) and (figures is None or name in figures)
        }
    return found


@dataclass(frozen=True)
class Differences:
    """Detector a beside detector b, on the labelled pairs that both answered.

    differences: a minus b, of accuracy, F1, MCC and the area under the ROC curve. intervals: of those, and of
    `kappa`. mcnemar_p: of a test that both are as accurate; `holm` may adjust it for several. mcnemar:
    "exact", or "clustered" where pairs share texts. equivalence_p: of the test that their accuracies are
    `margin` or more apart. min_detectable_difference: of accuracies, that this run would have shown 4 times
    of 5.
    names: of a and b. absent: what has no value, and why.
    """

    pairs: int
    differences: Mapping[str, float]
    intervals: Mapping[str, Interval]
    mcnemar_p: float | None = None
    mcnemar: str = ""
    margin: float = 0.0
    equivalence_p: float | None = None
    min_detectable_difference: float | None = None
    names: tuple[str, str] = ("", "")
    absent: Mapping[str, str] = field(default_factory=dict)

    def conclusion(self, p: float) -> str:
        """One sentence, by this p of McNemar's test: the adjusted one, where there were several."""
        if self.equivalence_p is None:
            raise UndefinedMetricError("no labelled pair was answered by both")
        return conclusion(
            *self.names,
            self.differences["accuracy"],
            self.intervals["accuracy"],
            p,
            Equivalence(self.margin, self.equivalence_p),
            self.pairs,
        )


@dataclass(frozen=True)
class Side:
    """What one detector said: its name, and arrays as in `metrics`."""

    name: str
    verdicts: np.ndarray
    scores: np.ndarray
    are_ranked: bool = True


def compare(
    labels: np.ndarray,
    a: Side,
    b: Side,
    clusters: np.ndarray,
    *,
    margin: float,
    figures: Container[str] | None = None,
    seed: int = 0,
) -> Differences:
    """Two detectors, paired. margin: the difference of accuracies that does not matter, above 0.

    figures: beside accuracy, which differences and whether kappa's interval are wanted; None for all.
    """
    both = (a.verdicts != FAILED) & (b.verdicts != FAILED)
    intervals: dict[str, Interval] = {}
    absent: dict[str, str] = {}
    if both.any() and (figures is None or "kappa" in figures):
        cells = 2 * a.verdicts[both] + b.verdicts[both]
        counts = ClusterCounts.of(cells, clusters_of(clusters[both]), 4)
        _keep(intervals, absent, "kappa", lambda: count_interval(kappa_of, counts, counts.draws(seed)))
    used = both & (labels >= 0)
    n = int(used.sum())
    if not n:
        return Differences(
            0,
            {},
            intervals,
            names=(a.name, b.name),
            absent={"differences": "no labelled pair was answered by both"},
        )
    truth, said_a, said_b = labels[used], a.verdicts[used], b.verdicts[used]
    right_a, right_b = said_a == truth, said_b == truth
    among = clusters_of(clusters[used])
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    effect = design_effect(right_a, right_b, among)
    differences = {"accuracy": (only_a - only_b) / n}
    intervals["accuracy"] = accuracy_difference_interval(only_a, only_b, n, effect, quantile(among))

    wanted = [each for each in OF_COUNTS.items() if figures is None or each[0] in figures]
    counts = ClusterCounts.of(4 * truth + 2 * said_a + said_b, among, 8)
    draws = counts.draws(seed) if wanted else np.empty((0, 8))
    for name, of_counts in wanted:
        difference = partial(_difference, of_counts)
        found = float(difference(counts.total.astype(np.float64)))
        if not np.isnan(found):
            differences[name] = found
            _keep(intervals, absent, name, partial(count_interval, difference, counts, draws))
    if a.are_ranked and b.are_ranked and (figures is None or "roc_auc" in figures):
        try:
            curve_a, curve_b = (auc_components(truth, side.scores[used]) for side in (a, b))
            differences["roc_auc"], intervals["roc_auc"], _ = auc_difference(curve_a, curve_b, among)
        except UndefinedMetricError as reason:
            absent["roc_auc"] = str(reason)
    is_clustered = int(among.max()) + 1 < n
    p = mcnemar_clustered(right_a, right_b, among) if is_clustered else mcnemar_exact(only_a, only_b)
    alike = equivalence(only_a, only_b, n, margin, effect)
    minimum: float | None = None
    try:
        minimum = min_detectable_difference(n / effect, (only_a + only_b) / n)
    except UndefinedMetricError as reason:
        absent["least_difference"] = str(reason)
    return Differences(
        pairs=n,
        differences=differences,
        intervals=intervals,
        mcnemar_p=p,
        mcnemar="clustered" if is_clustered else "exact",
        margin=margin,
        equivalence_p=alike.p,
        min_detectable_difference=minimum,
        names=(a.name, b.name),
        absent=absent,
    )


def differences_part(paired: Differences, adjusted: Iterator[float]) -> dict[str, Any]:
    """JSON-ready. adjusted: McNemar's p-values by Holm, of those that have one; the next is taken."""
    if paired.mcnemar_p is None:
        return {"pairs": 0, "absent": dict(paired.absent)}
    p_holm = next(adjusted)
    values = {name: float(value) for name, value in paired.differences.items()}
    found: dict[str, Any] = {
        "pairs": paired.pairs,
        **values,
        "intervals": {name: list(paired.intervals[name]) for name in values if name in paired.intervals},
        "mcnemar": {"p": paired.mcnemar_p, "p_holm": p_holm, "method": paired.mcnemar},
        "equivalence": {"margin": paired.margin, "p": paired.equivalence_p},
        "conclusion": paired.conclusion(p_holm),
        "absent": dict(paired.absent),
    }
    if paired.min_detectable_difference is not None:
        found["least_difference"] = paired.min_detectable_difference
    return found


def side_of(detector: DetectorResult) -> Side:
    measured = detector.measured
    verdicts = detector.verdicts if measured is None else np.where(measured, detector.verdicts, FAILED)
    return Side(detector.title, verdicts, detector.scores, not why_unranked(detector))


def why_unranked(detector: DetectorResult) -> str:
    """Why the scores rank nothing and are not calibrated; empty where they do and may be."""
    if detector.unranked:
        return detector.unranked
    if detector.info.role == "judge" and metrics.distinct_scores(detector.scores) < metrics.MIN_SCORES:
        return f"there are fewer than {metrics.MIN_SCORES} different scores"
    return ""


def _keep(
    intervals: dict[str, Interval], absent: dict[str, str], name: str, interval: Callable[[], Interval]
) -> None:
    try:
        intervals[name] = interval()
    except UndefinedMetricError as reason:
        absent[name] = str(reason)


def _difference(of_counts: OfCounts, counts: np.ndarray) -> np.ndarray:
    """A metric of a minus that of b, of counts of eight cells: four times the truth, twice a's, plus b's."""
    return np.asarray(of_counts(_cells_of(counts, 1)) - of_counts(_cells_of(counts, 2)))


def _cells_of(counts: np.ndarray, place: int) -> np.ndarray:
    """Counts of four cells, shape (..., 4), of one of two detectors, from those of eight; place: 1 or 2."""
    eight = counts.reshape(*counts.shape[:-1], 2, 2, 2)  # truth, a, b
    return np.asarray(eight.sum(axis=-1 if place == 1 else -2).reshape(*counts.shape[:-1], 4))


def share_interval(right: np.ndarray, clusters: np.ndarray) -> Interval:
    """Wilson's, of a share over the effective number of pairs. right: bool (n,)."""
    if not right.size:
        raise UndefinedMetricError("there is no such pair")
    among = clusters_of(clusters)
    return wilson(float(right.mean()), effective_size(right.astype(np.float64), among), quantile(among))


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


def kappa_of(counts: np.ndarray) -> np.ndarray:
    """Cohen's, of counts of the cells of two verdicts (twice a's, plus b's), shape (..., 4): shape (...)."""
    neither, only_b, only_a, both = np.moveaxis(counts.astype(np.float64), -1, 0)
    n = neither + only_b + only_a + both
    with np.errstate(invalid="ignore", divide="ignore"):
        yes_a, yes_b = (only_a + both) / n, (only_b + both) / n
        by_chance = yes_a * yes_b + (1 - yes_a) * (1 - yes_b)
        return np.asarray(((neither + both) / n - by_chance) / np.where(by_chance < 1, 1 - by_chance, np.nan))


OF_COUNTS: Mapping[str, OfCounts] = {"f1": f1_of, "mcc": mcc_of}
