"""95 % confidence intervals of one detector's figures: Wilson's, DeLong's, and a BCa bootstrap.

Pairs that share a text are not independent: they are a cluster, and clusters are what is resampled, or what
the variance is taken over. `clusters` is int64 (n,), numbers from 0 without gaps. All is seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri, stdtrit

from benchmarks.stats.figure import Interval
from benchmarks.stats.formulas import MeanLoss, OfRanking, Ranking
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.quality_figures import QUALITY, times_above
from kimera.models import CALIBRATION_BINS, equal_mass_bins

LEVEL = 0.95
DRAWS = 2000
MAX_GROUPS = 200  # left out one by one for a bootstrap's acceleration
MIN_BINNED = 100  # pairs
# Figures of `WeightedScores`.
RANKED = {figure.name: figure.of for figure in QUALITY if isinstance(figure.of, OfRanking)}
LOSSES = {figure.name: figure.of for figure in QUALITY if isinstance(figure.of, MeanLoss)}
RESAMPLED = (*RANKED, *LOSSES)
NUMBERS_AT_ONCE = 4_000_000  # of a bootstrap's table of draws
NUMBERS_IN_CACHE = 20_000  # of a table of resamples
NEIGHBOURS = (1, 2, 3, 2, 1)  # weights of a bin and of two on either side
PATTERN_KNOWN = 0.8  # of the error that is allowed; the rest is for the smoothed gaps' own (by simulation)
MAX_UNDEFINED = 0.05  # share of draws in which a metric may have no value

# Counts of the K cells, shape (..., K), to a metric of shape (...), NaN where it has no value.
OfCells: TypeAlias = Callable[[np.ndarray], np.ndarray]


def clusters_of(texts: np.ndarray) -> np.ndarray:
    """Cluster numbers, int64 (n,), of what pairs share: their first texts, say, or hashes of them."""
    return np.unique(texts, return_inverse=True)[1].astype(np.int64)


def effective_size(values: np.ndarray, clusters: np.ndarray) -> float:
    """How many independent pairs tell as much about the mean of these as the n that there are.

    n over the design effect: the variance of the mean over clusters (a ratio estimate's linearisation),
    divided by that over independent pairs (Kish 1965). At most n; where the values do not vary the design
    effect cannot be seen, and it is the number of clusters.
    """
    n, k = values.size, int(clusters.max()) + 1
    if k == n:
        return float(n)
    apart = values - values.mean()
    independent = float(np.square(apart).sum())
    if independent == 0:
        return float(k)
    clustered = float(np.square(np.bincount(clusters, weights=apart)).sum()) * k / max(1, k - 1)
    return n / max(1.0, clustered / independent)


def quantile(clusters: np.ndarray, level: float = LEVEL) -> float:
    """Of an interval's two ends: the normal's, or Student's with a degree less than there are clusters.

    The latter where pairs share clusters: then the variance is taken over these, and they may be few.
    """
    size = int(clusters.max()) + 1 if clusters.size else 0
    return float(
        ndtri(0.5 + level / 2) if size == clusters.size else stdtrit(max(1, size - 1), 0.5 + level / 2)
    )


def wilson(share: float, n: float, z: float | None = None) -> Interval:
    """Of a proportion seen in n pairs (Wilson 1927); n may be an effective size, and no whole number.

    z: of `quantile`, where pairs form clusters.
    """
    z = float(ndtri(0.5 + LEVEL / 2)) if z is None else z
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def ratio_interval(
    above: np.ndarray, below: np.ndarray, clusters: np.ndarray, level: float = LEVEL
) -> tuple[float, Interval]:
    """(sum of `above` over sum of `below`, its interval): dollars per correct verdict, say.

    By the logarithm of the ratio, its variance linearised over clusters (Cochran 1977, chapter 6). Raises
    UndefinedMetricError where either sum is 0, or there is one cluster.
    """
    total, size = float(above.sum()), int(clusters.max()) + 1 if clusters.size else 0
    if not total > 0 or not below.sum() > 0 or size < 2:
        raise UndefinedMetricError("there is nothing to divide")
    ratio = total / float(below.sum())
    apart = np.bincount(clusters, weights=above - ratio * below)
    spread = np.sqrt(float(np.square(apart).sum()) * size / (size - 1)) / total
    half = quantile(clusters, level) * spread
    return ratio, (ratio * float(np.exp(-half)), ratio * float(np.exp(half)))


@dataclass(frozen=True)
class AucComponents:
    """What the variance of areas under ROC curves is made of (DeLong, DeLong and Clarke-Pearson 1988).

    auc: the area. placement: float64 (n,), of each pair the share of the other class that it is on the right
    side of. truth: bool (n,).
    """

    auc: float
    placement: np.ndarray
    truth: np.ndarray


def auc_components(truth: np.ndarray, scores: np.ndarray) -> AucComponents:
    """truth: int8 or bool (n,), 1 for a contradiction. Ties count half. n log n steps (Sun and Xu 2014)."""
    positive = truth == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        raise UndefinedMetricError("all labelled pairs that were answered carry the same label")
    placement = times_above(truth, scores) / np.where(positive, n, m)
    placement[~positive] = 1 - placement[~positive]
    return AucComponents(float(placement[positive].mean()), placement, positive)


def auc_variance(deviations: np.ndarray, truth: np.ndarray, clusters: np.ndarray) -> float:
    """Variance of an area, or of a difference of two, over clusters (Obuchowski 1997).

    deviations: float64 (n,), placements minus their area, or the difference of two such. With a pair a
    cluster it is DeLong's. NaN where a class has fewer than two clusters.
    """
    size = int(clusters.max()) + 1
    sums, counts, totals = [], [], []
    for side in (truth, ~truth):
        sums.append(np.bincount(clusters[side], weights=deviations[side], minlength=size))
        counts.append(int(np.unique(clusters[side]).size))
        totals.append(int(side.sum()))
    if min(counts) < 2:
        return float("nan")
    own = sum(
        count / (count - 1) * float(np.square(cluster_sums).sum()) / total**2
        for cluster_sums, count, total in zip(sums, counts, totals, strict=True)
    )
    between = size / (size - 1) * float((sums[0] * sums[1]).sum()) / (totals[0] * totals[1])
    return own + 2 * between


def auc_interval(components: AucComponents, clusters: np.ndarray, level: float = LEVEL) -> Interval:
    """Of an area under the ROC curve, by its logit, which keeps it between 0 and 1 (Pepe 2003)."""
    auc = components.auc
    variance = auc_variance(components.placement - auc, components.truth, clusters)
    if not 0 < auc < 1 or not variance > 0:
        raise UndefinedMetricError(
            "the scores of the two classes do not overlap, so the value has no variance"
        )
    half = quantile(clusters, level) * np.sqrt(variance) / (auc * (1 - auc))
    return float(expit(logit(auc) - half)), float(expit(logit(auc) + half))


@dataclass(frozen=True)
class ClusterCounts:
    """How many pairs of each cell the clusters hold, equal clusters together.

    kinds: int64 (u, K), the distinct rows of counts. times: int64 (u,), how many clusters have each.
    """

    kinds: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, cells: np.ndarray, clusters: np.ndarray, count: int) -> ClusterCounts:
        """cells: int (n,), the cell of each pair, below count."""
        size = int(clusters.max()) + 1 if clusters.size else 0
        table = np.bincount(clusters * count + cells, minlength=size * count).reshape(size, count)
        kinds, times = np.unique(table, axis=0, return_counts=True)
        return cls(kinds, times)

    @property
    def total(self) -> np.ndarray:
        """int64 (K,): the counts over all clusters."""
        return np.asarray(self.times @ self.kinds)

    def draws(self, seed: int, draws: int = DRAWS) -> np.ndarray:
        """Counts of each bootstrap draw of as many clusters, float64 (draws, K)."""
        random = np.random.default_rng(seed)
        clusters = int(self.times.sum())
        shares = self.times / clusters
        rows = max(1, NUMBERS_AT_ONCE // len(self.times))
        parts = [
            random.multinomial(clusters, shares, size=min(rows, draws - start)) @ self.kinds
            for start in range(0, draws, rows)
        ]
        return np.concatenate(parts).astype(np.float64)

    def without_one(self) -> np.ndarray:
        """Counts without a cluster of each kind, float64 (u, K): the jackknife's."""
        return np.asarray(self.total - self.kinds, np.float64)


def count_interval(
    metric: OfCells, counts: ClusterCounts, draws: np.ndarray, level: float = LEVEL
) -> Interval:
    """BCa interval of a metric of counts. draws: of `ClusterCounts.draws`, shared by several metrics."""
    estimate = float(metric(counts.total.astype(np.float64)))
    return bca(estimate, metric(draws), metric(counts.without_one()), counts.times, level)


class WeightedScores:
    """Figures of scores under weights of the pairs, each in one pass over pairs sorted by their score.

    truth: 1 for a contradiction. scores: P(contradiction). A weight says how often a resample has a pair.
    """

    def __init__(self, truth: np.ndarray, scores: np.ndarray, clusters: np.ndarray) -> None:
        self._ranking = Ranking(truth, scores)
        self._clusters = clusters[self._ranking.order]
        self._size = int(clusters.max()) + 1
        sorted_truth, sorted_scores = truth[self._ranking.order], scores[self._ranking.order]
        self._losses = np.stack([figure.loss(sorted_truth, sorted_scores) for figure in LOSSES.values()])

    def intervals(self, seed: int, draws: int = DRAWS, level: float = LEVEL) -> dict[str, Interval | str]:
        """BCa intervals of `RESAMPLED`, or the reason why there is none."""
        random = np.random.default_rng(seed)
        everyone = np.ones((1, self._size))
        resamples = (
            np.bincount(random.integers(self._size, size=self._size), minlength=self._size)
            for _ in range(draws)
        )
        drawn = self._figures_of_all(resamples)
        groups = np.arange(self._size) % min(self._size, MAX_GROUPS)
        left_out = self._figures_of_all(groups != group for group in range(groups.max() + 1))
        (estimates,) = self._figures(everyone)
        intervals: dict[str, Interval | str] = {}
        for column, name in enumerate(RESAMPLED):
            try:
                times = np.ones(len(left_out))
                intervals[name] = bca(estimates[column], drawn[:, column], left_out[:, column], times, level)
            except UndefinedMetricError as reason:
                intervals[name] = str(reason)
        return intervals

    def _figures_of_all(self, resamples: Iterator[np.ndarray]) -> np.ndarray:
        """Of so many at once that their tables stay in a processor's cache."""
        rows = max(1, NUMBERS_IN_CACHE // len(self._clusters))
        blocks = iter(lambda: list(islice(resamples, rows)), [])
        return np.concatenate([self._figures(np.array(block)) for block in blocks])

    def _figures(self, times: np.ndarray) -> np.ndarray:
        """Those of `RESAMPLED`, float64 (r, figures). times: (r, clusters), how often each is there."""
        weights = times.take(self._clusters, axis=1).astype(np.float64)
        ranked = self._ranking.counts(weights)
        with np.errstate(invalid="ignore"):  # of a resample that holds nothing: NaN
            losses = (weights @ self._losses.T) / weights.sum(axis=1, keepdims=True)
        return np.column_stack([*(figure.formula(*ranked) for figure in RANKED.values()), losses])


def calibration_error_interval(
    truth: np.ndarray, scores: np.ndarray, clusters: np.ndarray, seed: int, level: float = LEVEL
) -> Interval:
    """Of the expected calibration error over bins of equal mass.

    The error of a sample is on average greater than that of all pairs: chance alone makes each bin's gap
    between score and frequency. So it is asked which errors make the one that was seen likely: the gaps that
    were seen, smoothed over neighbouring bins and times a factor, with chance added (the test is inverted
    along that factor; its least is 0). Raises UndefinedMetricError for fewer than `MIN_BINNED` pairs.
    """
    if truth.size < MIN_BINNED:
        raise UndefinedMetricError(
            f"fewer than {MIN_BINNED} pairs are too few to estimate it in {CALIBRATION_BINS} bins"
        )
    bins = equal_mass_bins(scores, truth == 1, CALIBRATION_BINS)
    pairs, score, share = (np.array(column, dtype=np.float64) for column in zip(*bins, strict=True))
    seen = float((pairs * np.abs(score - share)).sum() / pairs.sum())
    gap = _smoothed(pairs * (score - share)) / _smoothed(pairs)
    effective = effective_size((truth == 1) - scores, clusters) / truth.size
    chance = np.random.default_rng(seed).standard_normal((DRAWS, len(bins)))

    def errors(factor: float) -> np.ndarray:
        frequency = np.clip(score - factor * gap, 0, 1)
        spread = np.sqrt(np.maximum(frequency * (1 - frequency), 0.25 / pairs) / (pairs * effective))
        return np.asarray((np.abs(score - frequency + chance * spread) @ pairs) / pairs.sum())

    def factor_where(share_below: float) -> float:
        low, high = 0.0, 1.0
        while (errors(high) <= seen).mean() > share_below and high < 64:
            low, high = high, 2 * high
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if (errors(middle) <= seen).mean() > share_below else (low, middle)
        return low

    def error_of(factor: float) -> float:
        return float((pairs * np.abs(score - np.clip(score - factor * gap, 0, 1))).sum() / pairs.sum())

    tail = PATTERN_KNOWN * (1 - level) / 2
    return error_of(factor_where(1 - tail)), max(seen, error_of(factor_where(tail)))


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Each with its neighbours: chance jumps from bin to bin, what is wrong with a detector seldom does."""
    reach = len(NEIGHBOURS) // 2
    return np.convolve(np.pad(values, reach, mode="edge"), NEIGHBOURS, "valid")


def bca(
    estimate: float, draws: np.ndarray, left_out: np.ndarray, times: np.ndarray, level: float = LEVEL
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval (Efron 1987).

    draws: float64 (B,), the metric in each draw. left_out: (u,), without one unit, or one group of units, and
    times: how often each occurs. NaN where the metric has no value there.
    """
    usable = draws[~np.isnan(draws)]
    if np.isnan(estimate) or usable.size < (1 - MAX_UNDEFINED) * draws.size:
        raise UndefinedMetricError("in too many resamples the metric has no value")
    if np.ptp(usable) < 1e-12:
        raise UndefinedMetricError("it is the same in every resample, so it has no variance")
    below = (
        (usable < estimate - 1e-12).sum() + 0.5 * (np.abs(usable - estimate) <= 1e-12).sum()
    ) / usable.size
    bias = ndtri(np.clip(below, 1 / usable.size, 1 - 1 / usable.size))
    acceleration = _acceleration(left_out, times)
    tail = ndtri((1 - level) / 2)
    ends = []
    for z in (tail, -tail):
        shifted = bias + z
        ends.append(float(ndtr(bias + shifted / (1 - acceleration * shifted))))
    low, high = np.quantile(usable, np.clip(ends, 0, 1))
    return float(low), float(high)


def _acceleration(left_out: np.ndarray, times: np.ndarray) -> float:
    kept = ~np.isnan(left_out)
    values, weights = left_out[kept], times[kept]
    if not values.size:
        return 0.0
    apart = np.average(values, weights=weights) - values
    spread = float((weights * apart**2).sum())
    return float((weights * apart**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
