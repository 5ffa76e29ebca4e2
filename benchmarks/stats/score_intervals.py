"""Score intervals of figures that follow from the shares of strata: means, ratios and differences of them.

A figure is (sum of a_k p_k + a'_k) / (sum of b_k p_k + b'_k), where p_k is the share of contradictions in
stratum k. That it equals t is a linear condition on the shares, and t lies in the interval unless its score
statistic rejects it, whose variance is taken where the condition holds (Mee 1984; Miettinen and Nurminen
1985). With one stratum this is Wilson's interval. Arrays are float64, strata on the last axis; those before
it are any number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.stats.formulas import Floats

STEPS = 36  # of each bisection: eleven digits
MAX_TILT = 40.0  # of the shares, by its logarithm


@dataclass(frozen=True)
class Shares:
    """Estimated shares of strata: each of shape (..., K), and `pairs` of shape (...).

    share: the estimates. size: how many independent labels tell as much, 0 where a stratum has none.
    weight: the stratum's part of all pairs, 0 where there is no such stratum. pairs: how many these are.
    """

    share: Floats
    size: Floats
    weight: Floats
    pairs: Floats


@dataclass(frozen=True)
class OfShares:
    """A figure of shares, per pair of a stratum: each of shape (..., K). lowest: what it may be, up to 1."""

    top: Floats
    top_constant: Floats
    bottom: Floats
    bottom_constant: Floats
    lowest: float = 0.0

    def value(self, shares: Shares) -> Floats:
        """Shape (...), NaN where there is nothing to divide by."""
        below = self.below(shares)
        above = (shares.weight * (self.top * shares.share + self.top_constant)).sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(below > 0, above / below, np.nan))

    def below(self, shares: Shares) -> Floats:
        each = self.bottom * shares.share + self.bottom_constant
        return np.asarray((shares.weight * each).sum(axis=-1))

    def among(self, shares: Shares) -> Shares:
        """Of the strata that the figure is of: their weights add up to 1, and `pairs` are theirs."""
        of = self.top, self.top_constant, self.bottom, self.bottom_constant
        weight = np.where(np.any([part != 0 for part in of], axis=0), shares.weight, 0.0)
        total = weight.sum(axis=-1)
        parts = weight / np.maximum(total, 1e-300)[..., None]
        return replace(shares, weight=parts, pairs=shares.pairs * total)

    def slopes(self, value: Floats) -> tuple[Floats, Floats]:
        """(slope, constant) of each stratum's pairs in the condition that the figure has this value."""
        at = value[..., None]
        return self.top - at * self.bottom, self.top_constant - at * self.bottom_constant


def score_interval(of: OfShares, shares: Shares, z: Floats | float) -> tuple[Floats, Floats]:
    """(low, high), shape (...), NaN where the figure has no value. z: the quantile, shape (...).

    The strata's parts of all pairs are taken as they are, and what that leaves out is added to both distances
    from the figure, in squares (Zou and Donner 2008): the ends of what is possible do not hide it.
    """
    middle, wanted = of.value(shares), np.square(z)
    beside = wanted * _of_weights(of, shares, middle)
    ends = []
    for limit in (of.lowest, 1.0):
        inside, outside = middle, np.full_like(middle, limit)
        for _ in range(STEPS):
            half = (inside + outside) / 2
            is_inside = statistic(of, shares, half) < wanted
            inside, outside = np.where(is_inside, half, inside), np.where(is_inside, outside, half)
        distance = np.sqrt(np.square((inside + outside) / 2 - middle) + beside)
        ends.append(np.clip(middle + np.where(limit > of.lowest, distance, -distance), of.lowest, 1.0))
    return ends[0], ends[1]


def _of_weights(of: OfShares, shares: Shares, value: Floats) -> Floats:
    """The variance of the figure that comes of the strata's parts of all pairs, shape (...)."""
    slope, constant = of.slopes(value)
    each = slope * shares.share + constant
    between = (shares.weight * np.square(each)).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(between / shares.pairs / np.square(of.below(shares)))


def statistic(of: OfShares, shares: Shares, value: Floats) -> Floats:
    """The squared score statistic of the hypothesis that the figure has this value, shape (...)."""
    slope, constant = of.slopes(value)
    fixed = (shares.weight * constant).sum(axis=-1)
    gap = (shares.weight * slope * shares.share).sum(axis=-1) + fixed
    held = _held_to(shares.weight * slope, fixed, shares)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.where(
            shares.size > 0, np.square(shares.weight * slope) * held * (1 - held) / shares.size, 0.0
        ).sum(axis=-1)
        return np.asarray(np.where(gap == 0, 0.0, np.square(gap) / variance))


def _held_to(slope: Floats, constant: Floats, shares: Shares) -> Floats:
    """The likeliest shares, (..., K), for which the sum of slope times share, plus the constant, is 0.

    Where no shares fulfil that, the nearest ones.
    """
    scale = np.where(shares.size > 0, slope / np.maximum(shares.size, 1e-9), 0.0)
    largest = np.abs(scale).max(axis=-1, keepdims=True)
    scale = scale / np.where(largest > 0, largest, 1.0)
    low, high = np.full(constant.shape, -MAX_TILT), np.full(constant.shape, MAX_TILT)
    for _ in range(STEPS):
        half = (low + high) / 2
        held = tilted(np.sinh(half)[..., None] * scale, shares.share)
        is_above = (slope * held).sum(axis=-1) + constant > 0
        low, high = np.where(is_above, half, low), np.where(is_above, high, half)
    return tilted(np.sinh((low + high) / 2)[..., None] * scale, shares.share)


def tilted(tilt: Floats, share: Floats) -> Floats:
    """What maximises share log p + (1 - share) log(1 - p) - tilt p: the root of a quadratic equation.

    It falls as the tilt grows, and is the share at 0.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        falling, other = np.abs(tilt), np.where(tilt >= 0, share, 1 - share)
        root = np.sqrt(np.maximum(np.square(1 + falling) - 4 * falling * other, 0))
        moved = 2 * other / (1 + falling + root)
    return np.asarray(np.where(tilt >= 0, moved, 1 - moved))
