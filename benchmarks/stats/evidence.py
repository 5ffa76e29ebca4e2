"""What a run proves: an interval for each figure of a detector, and each two detectors compared.

Pure functions of the run's arrays (see `metrics` for what they hold), seeded. `clusters` is int64 (n,): pairs
of one number share a text, and are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from benchmarks.stats import metrics
from benchmarks.stats.agreement_figures import RESAMPLED_OF_TWO
from benchmarks.stats.figure import Interval, Method, QualityFigure
from benchmarks.stats.formulas import OfCounts
from benchmarks.stats.intervals import (
    RESAMPLED,
    ClusterCounts,
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
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.paired import (
    Equivalence,
    accuracy_difference_interval,
    auc_difference,
    conclusion,
    conclusion_of_same,
    design_effect,
    equivalence,
    mcnemar_clustered,
    mcnemar_exact,
    min_detectable_difference,
)
from benchmarks.stats.quality_figures import DIFFERENCES, QUALITY, of_counts
from benchmarks.stats.results import FAILED, SCORE_SOURCES, DetectorResult


@dataclass(frozen=True)
class Sample:
    """Pairs that have a label and a verdict: truth, said int8 (n,), clusters without gaps."""

    truth: np.ndarray
    said: np.ndarray
    clusters: np.ndarray
    seed: int = 0

    @cached_property
    def counts(self) -> ClusterCounts:
        return ClusterCounts.of(2 * self.truth + self.said, self.clusters, 4)

    @cached_property
    def draws(self) -> np.ndarray:
        """Float64 (draws, 4), shared by all figures."""
        return self.counts.draws(self.seed)

    def interval(self, of: OfCounts) -> Interval:
        if not of.among:
            return count_interval(of, self.counts, self.draws)
        among = np.isin(2 * self.truth + self.said, of.among)
        return share_interval((self.truth == self.said)[among], self.clusters[among])

    def measure(self, of: OfCounts) -> tuple[float, Interval | None]:
        """(the figure, its interval where it has one). Raises UndefinedMetricError where it has no value."""
        if not self.truth.size:
            raise UndefinedMetricError("no labelled pair was answered")
        value = float(of(self.counts.total))
        if np.isnan(value):
            raise UndefinedMetricError("it is undefined for these verdicts")
        try:
            return value, self.interval(of)
        except UndefinedMetricError:
            return value, None


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
    """
    used = (labels >= 0) & (verdicts != FAILED)
    if not used.any():
        return {}
    answered = Sample(labels[used], verdicts[used], clusters_of(clusters[used]), seed)
    labelled = labels >= 0
    said_or_wrong = np.where(verdicts == FAILED, 1 - labels, verdicts)
    whole = Sample(labels[labelled], said_or_wrong[labelled], clusters_of(clusters[labelled]), seed)
    wanted = [figure for figure in QUALITY if figure.interval and (figures is None or figure.name in figures)]
    by_name: dict[str, Interval] = {}
    for figure in wanted:
        if isinstance(figure.of, OfCounts):
            sample = whole if figure.over_all else answered
            _keep(by_name, {}, figure.name, partial(sample.interval, figure.of))
        elif are_ranked and figure.interval in OF_SCORES:
            interval = OF_SCORES[figure.interval]
            ends = partial(interval, answered.truth, scores[used], answered.clusters, seed)
            _keep(by_name, {}, figure.name, ends)
    names = {figure.name for figure in wanted}.intersection(RESAMPLED)
    if are_ranked and names:
        resampled = WeightedScores(answered.truth, scores[used], answered.clusters).intervals(seed)
        by_name |= {
            name: ends for name, ends in resampled.items() if name in names and not isinstance(ends, str)
        }
    return by_name


def _auc_interval(truth: np.ndarray, scores: np.ndarray, clusters: np.ndarray, seed: int) -> Interval:
    return auc_interval(auc_components(truth, scores), clusters)


OF_SCORES: Mapping[Method | None, Callable[[np.ndarray, np.ndarray, np.ndarray, int], Interval]] = {
    Method.DELONG: _auc_interval,
    Method.INVERSION: calibration_error_interval,
}


@dataclass(frozen=True)
class Differences:
    """Detector a beside detector b, on the labelled pairs that both answered.

    differences: a minus b, of accuracy, F1, MCC and the area under the ROC curve. intervals: of those, and of
    `kappa`. mcnemar_p: of a test that both are as accurate; `holm` may adjust it for several. mcnemar:
    "exact", or "clustered" where pairs share texts. equivalence_p: of the test that their accuracies are
    `margin` or more apart. min_detectable_difference: of accuracies, that this run would have shown 4 times
    of 5.
    are_same: whether their verdicts are the same on all these pairs. names: of a and b. absent: what has no
    value, and why.
    """

    pairs: int
    differences: Mapping[str, float]
    intervals: Mapping[str, Interval]
    mcnemar_p: float | None = None
    mcnemar: str = ""
    margin: float = 0.0
    equivalence_p: float | None = None
    min_detectable_difference: float | None = None
    are_same: bool = False
    names: tuple[str, str] = ("", "")
    absent: Mapping[str, str] = field(default_factory=dict)

    def conclusion(self, p: float) -> str:
        """One sentence, by this p of McNemar's test: the adjusted one, where there were several."""
        if self.equivalence_p is None:
            raise UndefinedMetricError("no labelled pair was answered by both")
        equivalent = Equivalence(self.margin, self.equivalence_p)
        if self.are_same:
            return conclusion_of_same(*self.names, equivalent, self.pairs)
        difference, interval = self.differences["accuracy"], self.intervals["accuracy"]
        return conclusion(*self.names, difference, interval, p, equivalent, self.pairs)


@dataclass(frozen=True)
class Side:
    """What one detector said: its name, and arrays as in `metrics`."""

    name: str
    verdicts: np.ndarray
    scores: np.ndarray
    are_ranked: bool = True

    def at(self, pairs: np.ndarray) -> Side:
        """On these pairs alone: bool (n,), or int (m,) in that order."""
        return replace(self, verdicts=self.verdicts[pairs], scores=self.scores[pairs])


@dataclass(frozen=True)
class Paired:
    """The labelled pairs that two detectors answered: arrays as in `metrics`, clusters without gaps."""

    truth: np.ndarray
    a: Side
    b: Side
    clusters: np.ndarray
    seed: int

    @cached_property
    def is_right(self) -> tuple[np.ndarray, np.ndarray]:
        """bool (n,) of each: where its verdict equals the label."""
        return self.a.verdicts == self.truth, self.b.verdicts == self.truth

    @cached_property
    def only_right(self) -> tuple[int, int]:
        """How many pairs only a has right, and only b."""
        right_a, right_b = self.is_right
        return int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())

    @cached_property
    def effect(self) -> float:
        return design_effect(*self.is_right, self.clusters)

    @cached_property
    def counts(self) -> ClusterCounts:
        return ClusterCounts.of(4 * self.truth + 2 * self.a.verdicts + self.b.verdicts, self.clusters, 8)

    @cached_property
    def draws(self) -> np.ndarray:
        """float64 (draws, 8), shared by all figures."""
        return self.counts.draws(self.seed)

    @property
    def are_ranked(self) -> bool:
        return self.a.are_ranked and self.b.are_ranked


# A figure of a minus that of b, NaN where there is none, and what gives its interval. Either raises
# UndefinedMetricError.
Difference = tuple[float, Callable[[], Interval]]


def _of_accuracies(_: QualityFigure, paired: Paired) -> Difference:
    (only_a, only_b), n = paired.only_right, paired.truth.size
    z = quantile(paired.clusters)
    return (only_a - only_b) / n, lambda: accuracy_difference_interval(only_a, only_b, n, paired.effect, z)


def _of_counts(figure: QualityFigure, paired: Paired) -> Difference:
    difference = partial(_difference, of_counts((figure,))[figure.name])
    value = float(difference(paired.counts.total.astype(np.float64)))
    return value, lambda: count_interval(difference, paired.counts, paired.draws)


def _of_areas(_: QualityFigure, paired: Paired) -> Difference:
    curve_a, curve_b = (auc_components(paired.truth, side.scores) for side in (paired.a, paired.b))
    value, interval, _p = auc_difference(curve_a, curve_b, paired.clusters)
    return value, lambda: interval


DIFFERENCE_BY: Mapping[Method | None, Callable[[QualityFigure, Paired], Difference]] = {
    Method.TANGO: _of_accuracies,
    Method.PAIRED_BOOTSTRAP: _of_counts,
    Method.PAIRED_DELONG: _of_areas,
}


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
    wanted = [name for name in RESAMPLED_OF_TWO if figures is None or name in figures]
    if wanted and both.any():
        said = Sample(a.verdicts[both], b.verdicts[both], clusters_of(clusters[both]), seed)
        for name in wanted:
            _keep(intervals, absent, name, partial(said.interval, RESAMPLED_OF_TWO[name]))
    used = both & (labels >= 0)
    names = (a.name, b.name)
    if not used.any():
        reason = {"differences": "no labelled pair was answered by both"}
        return Differences(0, {}, intervals, names=names, absent=reason)
    paired = Paired(labels[used], a.at(used), b.at(used), clusters_of(clusters[used]), seed)
    differences: dict[str, float] = {}
    for figure in DIFFERENCES:
        is_wanted = figures is None or figure.name in figures or figure.interval is Method.TANGO
        if not is_wanted or not (paired.are_ranked or isinstance(figure.of, OfCounts)):
            continue
        try:
            value, interval = DIFFERENCE_BY[figure.interval](figure, paired)
        except UndefinedMetricError as reason:
            absent[figure.name] = str(reason)
            continue
        if not np.isnan(value):
            differences[figure.name] = value
            _keep(intervals, absent, figure.name, interval)
    found = Differences(paired.truth.size, differences, intervals, margin=margin, names=names, absent=absent)
    return _tested(found, paired)


def _tested(found: Differences, paired: Paired) -> Differences:
    """With the tests of the accuracies, against the margin that these differences have."""
    (only_a, only_b), n = paired.only_right, found.pairs
    is_clustered = int(paired.clusters.max()) + 1 < n
    tested = replace(
        found,
        mcnemar_p=mcnemar_clustered(*paired.is_right, paired.clusters)
        if is_clustered
        else mcnemar_exact(only_a, only_b),
        mcnemar="clustered" if is_clustered else "exact",
        equivalence_p=equivalence(only_a, only_b, n, found.margin, paired.effect).p,
        are_same=not (only_a or only_b),
    )
    try:
        minimum = min_detectable_difference(n / paired.effect, (only_a + only_b) / n)
    except UndefinedMetricError as reason:
        return replace(tested, absent={**found.absent, "least_difference": str(reason)})
    return replace(tested, min_detectable_difference=minimum)


def differences_part(paired: Differences, adjusted: Iterator[float]) -> dict[str, Any]:
    """JSON-ready. adjusted: McNemar's p-values by Holm, of those that have one; the next is taken."""
    if paired.mcnemar_p is None:
        return {"pairs": 0, "absent": dict(paired.absent)}
    p_holm = next(adjusted)
    values = {name: float(value) for name, value in paired.differences.items()}
    part: dict[str, Any] = {
        "pairs": paired.pairs,
        **values,
        "intervals": {name: list(paired.intervals[name]) for name in values if name in paired.intervals},
        "mcnemar": {"p": paired.mcnemar_p, "p_holm": p_holm, "method": paired.mcnemar},
        "equivalence": {"margin": paired.margin, "p": paired.equivalence_p},
        "conclusion": paired.conclusion(p_holm),
        "absent": dict(paired.absent),
    }
    if paired.min_detectable_difference is not None:
        part["least_difference"] = paired.min_detectable_difference
    return part


def side_of(detector: DetectorResult) -> Side:
    measured = detector.measured
    verdicts = detector.verdicts if measured is None else np.where(measured, detector.verdicts, FAILED)
    return Side(detector.title, verdicts, detector.scores, not why_unranked(detector))


def why_unranked(detector: DetectorResult) -> str:
    """Why the scores rank nothing and are not calibrated; empty where they do and may be."""
    if detector.unranked:
        return detector.unranked
    if _gives_verdicts_only(detector):
        return "it gives verdicts without scores"
    distinct = metrics.distinct_scores(detector.scores)
    # A local detector computes its scores, so that on few pairs they are few and yet a ranking.
    enough = detector.answered.sum() if detector.info.role == "local" else metrics.MIN_SCORES
    if distinct < min(metrics.MIN_SCORES, enough):
        return f"there are fewer than {metrics.MIN_SCORES} different scores"
    return ""


def _gives_verdicts_only(detector: DetectorResult) -> bool:
    """Whether each score, 1 or 0, stands for a bare verdict."""
    if detector.score_sources is None:
        return False
    sources = detector.score_sources[detector.answered]
    return bool(sources.size) and bool((sources == SCORE_SOURCES.index("verdict")).all())


def _keep(
    intervals: dict[str, Interval], absent: dict[str, str], name: str, interval: Callable[[], Interval]
) -> None:
    try:
        intervals[name] = interval()
    except UndefinedMetricError as reason:
        absent[name] = str(reason)


def _difference(of: OfCounts, counts: np.ndarray) -> np.ndarray:
    """A metric of a minus that of b, of counts of eight cells: four times the truth, twice a's, plus b's."""
    return np.asarray(of(_cells_of(counts, 1)) - of(_cells_of(counts, 2)))


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
