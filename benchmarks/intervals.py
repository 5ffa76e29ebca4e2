"""95 % confidence intervals of one detector's figures: Wilson's, DeLong's, and a BCa bootstrap.

Pairs that share a text are not independent: they are a cluster, and clusters are what is resampled, or what
the variance is taken over. `clusters` is int64 (n,), numbers from 0 without gaps. All is seeded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from benchmarks.metrics import UndefinedMetricError

LEVEL = 0.95
DRAWS = 2000
NUMBERS_AT_ONCE = 4_000_000  # of a bootstrap's table of draws
MOST_UNDEFINED = 0.05  # share of draws in which a metric may have no value

Interval: TypeAlias = tuple[float, float]
# Counts of the K cells, shape (..., K), to a metric of shape (...), NaN where it has no value.
OfCounts: TypeAlias = Callable[[np.ndarray], np.ndarray]


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


def wilson(share: float, n: float, level: float = LEVEL) -> Interval:
    """Of a proportion seen in n pairs (Wilson 1927); n may be an effective size, and no whole number."""
    z = float(ndtri(0.5 + level / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


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
    placement = np.empty(truth.size)
    for own, others, count in ((positive, ~positive, n), (~positive, positive, m)):
        there = np.sort(scores[others])
        below = np.searchsorted(there, scores[own], "left") + np.searchsorted(there, scores[own], "right")
        placement[own] = below / 2 / count
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
        count / (count - 1) * float(np.square(of).sum()) / total**2
        for of, count, total in zip(sums, counts, totals, strict=True)
    )
    between = size / (size - 1) * float((sums[0] * sums[1]).sum()) / (totals[0] * totals[1])
    return own + 2 * between


def auc_interval(components: AucComponents, clusters: np.ndarray, level: float = LEVEL) -> Interval:
    """Of an area under the ROC curve, by its logit, which keeps it between 0 and 1 (Pepe 2003)."""
    auc = components.auc
    variance = auc_variance(components.placement - auc, components.truth, clusters)
    if not 0 < auc < 1 or not variance > 0:
        raise UndefinedMetricError("the scores of both classes do not overlap, so nothing is seen to vary")
    half = float(ndtri(0.5 + level / 2)) * np.sqrt(variance) / (auc * (1 - auc))
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
        return self.times @ self.kinds

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
        return (self.total - self.kinds).astype(np.float64)


def count_interval(
    metric: OfCounts, counts: ClusterCounts, draws: np.ndarray, level: float = LEVEL
) -> Interval:
    """BCa interval of a metric of counts. draws: of `ClusterCounts.draws`, shared by several metrics."""
    estimate = float(metric(counts.total.astype(np.float64)))
    return bca(estimate, metric(draws), metric(counts.without_one()), counts.times, level)


def bca(
    estimate: float, draws: np.ndarray, left_out: np.ndarray, times: np.ndarray, level: float = LEVEL
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval (Efron 1987).

    draws: float64 (B,), the metric in each draw. left_out: (u,), without one unit, or one group of units, and
    times: how often each occurs. NaN where the metric has no value there.
    """
    usable = draws[~np.isnan(draws)]
    if np.isnan(estimate) or usable.size < (1 - MOST_UNDEFINED) * draws.size:
        raise UndefinedMetricError("in too many resamples the metric has no value")
    if np.ptp(usable) < 1e-12:
        raise UndefinedMetricError("it is the same in every resample, so nothing is seen to vary")
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
