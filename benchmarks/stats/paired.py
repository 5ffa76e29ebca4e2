"""Whether two detectors differ on the same pairs: tests, intervals of differences, and what could be seen.

`right_a` and `right_b` are bool (n,): where each detector's verdict equals the label; `clusters` as in
`intervals`. A difference is that of a minus b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, ndtr, ndtri, stdtr

from benchmarks.stats.figure import Interval
from benchmarks.stats.intervals import LEVEL, AucComponents, auc_variance
from benchmarks.stats.metrics import UndefinedMetricError

POWER = 0.8


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided p of as many pairs that only one of two detectors has right, if both were as good.

    A binomial test of the discordant pairs (McNemar 1947); 1 without any. For independent pairs.
    """
    discordant = only_a + only_b
    if not discordant:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), discordant, 0.5)))


def mcnemar_clustered(right_a: np.ndarray, right_b: np.ndarray, clusters: np.ndarray) -> float:
    """The same where pairs of a cluster are alike: p of the statistic of Durkalski et al. (2003).

    Each cluster's difference of shares counts once. Its root is held against Student's t with a degree less
    than there are clusters, which matters where they are few; with many it is their chi-squared.
    """
    difference = right_a.astype(np.float64) - right_b
    mean = np.bincount(clusters, weights=difference) / np.bincount(clusters)
    spread = float(np.square(mean).sum())
    if not spread > 0:
        return 1.0
    z = -abs(float(mean.sum())) / np.sqrt(spread)
    alone = mean.size == difference.size  # every pair is a cluster of its own
    return 2 * float(ndtr(z) if alone else stdtr(max(1, mean.size - 1), z))


def design_effect(right_a: np.ndarray, right_b: np.ndarray, clusters: np.ndarray) -> float:
    """By what the clusters multiply the variance of the difference of accuracies; at least 1."""
    difference = right_a.astype(np.float64) - right_b
    size = int(clusters.max()) + 1
    apart = difference - difference.mean()
    independent = float(np.square(apart).sum())
    if size == difference.size or independent == 0:
        return 1.0
    of_clusters = float(np.square(np.bincount(clusters, weights=apart)).sum()) * size / max(1, size - 1)
    return max(1.0, of_clusters / independent)


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests (Schuirmann 1987) of a difference of accuracies against a margin.

    p: of the less sure of both sides; below 0.05, the difference is within the margin.
    """

    margin: float
    p: float

    @property
    def is_shown(self) -> bool:
        return self.p < 1 - LEVEL


def equivalence(only_a: int, only_b: int, n: float, margin: float, effect: float = 1.0) -> Equivalence:
    """By Tango's score statistic (1998), which holds its level in small samples too.

    n: pairs. margin: a difference of accuracies, above 0. effect: of `design_effect`.
    """
    below = ndtr(-tango_z(only_a, only_b, n, -margin) / np.sqrt(effect))
    above = ndtr(tango_z(only_a, only_b, n, margin) / np.sqrt(effect))
    return Equivalence(margin, float(max(below, above)))


def tango_z(only_a: float, only_b: float, n: float, difference: float) -> float:
    """Score statistic of the hypothesis that the accuracies differ by so much (Tango 1998, equation 9)."""
    a = 2 * n
    b = -only_a - only_b + (2 * n - only_a + only_b) * difference
    c = -only_b * difference * (1 - difference)
    share = (np.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)  # of pairs that only b has right
    variance = n * (2 * share + difference * (1 - difference))
    gap = only_a - only_b - n * difference
    if variance <= 0:
        return 0.0 if gap == 0 else float(np.copysign(np.inf, gap))
    return float(gap / np.sqrt(variance))


def accuracy_difference_interval(
    only_a: float, only_b: float, n: float, effect: float = 1.0, quantile: float | None = None
) -> Interval:
    """Of the difference of accuracies: what Tango's statistic does not reject.

    only_a, only_b, n: pairs, or effective numbers of them. quantile: of `intervals.quantile`, where pairs
    form clusters.
    """
    z = (float(ndtri(0.5 + LEVEL / 2)) if quantile is None else quantile) * float(np.sqrt(effect))
    middle = (only_a - only_b) / n

    def end(outside: float, wanted: float) -> float:
        inside = middle
        for _ in range(60):  # bisection, down to the last bit
            half = (inside + outside) / 2
            if abs(tango_z(only_a, only_b, n, half)) < wanted:
                inside = half
            else:
                outside = half
        return inside

    return end(-1.0, z), end(1.0, z)


def auc_difference(
    a: AucComponents, b: AucComponents, clusters: np.ndarray, level: float = LEVEL
) -> tuple[float, Interval, float]:
    """(difference of the areas under two ROC curves, its interval, p), paired, over clusters.

    DeLong et al. (1988); Obuchowski (1997) for clusters. Both of the same pairs.
    """
    difference = a.auc - b.auc
    variance = auc_variance(a.placement - b.placement - difference, a.truth, clusters)
    if not variance > 0:
        raise UndefinedMetricError("both detectors rank the pairs alike, so the difference has no variance")
    half = float(ndtri(0.5 + level / 2) * np.sqrt(variance))
    p = 2 * float(ndtr(-abs(difference) / np.sqrt(variance)))
    return difference, (difference - half, difference + half), p


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for as many tests (Holm 1979), in the order given."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, row in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[row]))
        adjusted[row] = highest
    return adjusted


def min_detectable_difference(
    n: float, discordance: float, power: float = POWER, level: float = LEVEL
) -> float:
    """The minimum difference of accuracies that n pairs detect with such power by McNemar's test.

    discordance: share of pairs that only one of the detectors has right. From Connor's sample size (1987),
    solved for the difference. Raises where even a difference as great as the discordance would not do.
    """

    def is_detected(difference: float) -> bool:
        return bool(difference * np.sqrt(n) >= _needed_root(difference, discordance, power, level))

    if discordance <= 0 or not is_detected(discordance):
        raise UndefinedMetricError(
            "the detectors differ on too few pairs for any difference to be detectable"
        )
    low, high = 0.0, discordance
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if is_detected(middle) else (middle, high)
    return high


def pairs_to_detect(
    difference: float,
    discordance: float,
    power: float = POWER,
    level: float = LEVEL,
    *,
    are_verdicts_known: bool = False,
) -> int:
    """How many labelled pairs detect a difference of accuracies above 0 with such power (Connor 1987).

    are_verdicts_known: of both on all pairs, of which these are a random part: then it is known on how many
    the two differ, and only which of them is right there varies. Raises UndefinedMetricError where
    detectors that differ on so few pairs cannot differ so much in accuracy.
    """
    if not 0 < difference <= discordance:
        raise UndefinedMetricError("the detectors differ on fewer pairs than that")
    root = _needed_root(difference, discordance, power, level, are_verdicts_known=are_verdicts_known)
    return int(np.ceil((root / difference) ** 2))


def _needed_root(
    difference: float, discordance: float, power: float, level: float, *, are_verdicts_known: bool = False
) -> float:
    """What the difference times the root of the number of pairs has to reach."""
    known = discordance if are_verdicts_known else 1.0
    spread = np.sqrt(max(0.0, discordance - difference**2 / known))
    return float(ndtri(0.5 + level / 2) * np.sqrt(discordance) + ndtri(power) * spread)


def conclusion(
    a: str, b: str, difference: float, interval: Interval, p: float, equivalent: Equivalence, pairs: int
) -> str:
    """One sentence for the accuracies of two detectors. difference, interval: of a minus b.

    p: of McNemar's test, adjusted where there were several. "Better" takes both: a p below 0.05, and an
    interval on one side of 0 (over clusters the test and the interval weigh the pairs differently).
    """
    within = _within(equivalent)
    if p < 1 - LEVEL and (interval[0] > 0 or interval[1] < 0):
        better, worse = (a, b) if difference > 0 else (b, a)
        claim = f"{better} is better than {worse} by {100 * abs(difference):.1f} points"
        return f"{claim}, and they are {within}" if equivalent.is_shown else claim
    if equivalent.is_shown:
        return f"{a} and {b} are {within}"
    subject = "one pair shows" if pairs == 1 else f"{pairs:,} pairs show"
    return f"{subject} neither a difference between {a} and {b} nor that they are {within}"


def conclusion_of_same(a: str, b: str, equivalent: Equivalence, pairs: int) -> str:
    """The same of two detectors that gave the same verdict on each of these pairs."""
    where = "the one labelled pair" if pairs == 1 else f"all {pairs:,} labelled pairs"
    same = f"{a} and {b} gave the same verdicts on {where} that both answered"
    if equivalent.is_shown:
        return f"{same}, and are {_within(equivalent)}"
    return f"{same}, which are too few to show that they are {_within(equivalent)} elsewhere"


def _within(equivalent: Equivalence) -> str:
    return f"equivalent within {100 * equivalent.margin:g} points"
