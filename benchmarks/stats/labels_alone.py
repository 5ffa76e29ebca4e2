"""What labels alone tell of all pairs: the figures beside those by prediction-powered inference.

Where labelled pairs were drawn with unequal probabilities, each counts by the inverse of its own (Hajek
1971). Arrays are of the labelled pairs, shape (n,): truth and verdicts int8, clusters int64, weight float64
or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import ndtri

from benchmarks.stats.evidence import Sample, share_interval
from benchmarks.stats.figure import Interval
from benchmarks.stats.formulas import Floats, OfCounts
from benchmarks.stats.intervals import LEVEL, clusters_of, quantile, wilson
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.paired import accuracy_difference_interval, design_effect
from benchmarks.stats.quality_figures import f1

Measure = tuple[float, Interval]
# (which pairs a share is among, which of them count) of truth and verdicts.
SHARES: Mapping[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "accuracy": lambda truth, said: (truth >= 0, truth == said),
    "precision": lambda truth, said: (said == 1, truth == 1),
    "recall": lambda truth, said: (truth == 1, said == 1),
    "false_alarm_rate": lambda truth, said: (truth == 0, said == 1),
    "miss_rate": lambda truth, said: (truth == 1, said == 0),
}


def measured_alone(
    name: str, truth: np.ndarray, said: np.ndarray, clusters: np.ndarray, weight: Floats | None = None
) -> Measure:
    """(a detector's figure, its interval). Raises UndefinedMetricError where labels tell nothing of it."""
    if name == "f1":
        if weight is None:
            value, interval = Sample(truth, said, clusters_of(clusters)).measure(OfCounts(f1))
            if interval is None:
                raise UndefinedMetricError("nothing varies")
            return value, interval
        among = (truth == 1) | (said == 1)
        both = (truth == 1) & (said == 1)
        return share_alone(both[among], clusters[among], (weight * (1 + both))[among])
    among, counts = SHARES[name](truth, said)
    return share_alone(counts[among], clusters[among], None if weight is None else weight[among])


def share_alone(right: np.ndarray, clusters: np.ndarray, weight: Floats | None = None) -> Measure:
    """(the share, Wilson's interval over the effective number of labels). right: bool (n,)."""
    if not right.size:
        raise UndefinedMetricError("there is no such pair")
    if weight is None:
        return float(right.mean()), share_interval(right, clusters)
    share = float((weight * right).sum() / weight.sum())
    return share, wilson(share, _effective(right, clusters, weight), quantile(clusters_of(clusters)))


def _effective(values: np.ndarray, clusters: np.ndarray, weight: Floats) -> float:
    """How many labels of equal weight, that share no text, tell as much of the mean of these.

    By Kish (1965), and by the variance over clusters where that says fewer.
    """
    equal = float(weight.sum() ** 2 / np.square(weight).sum())
    apart = values - float((weight * values).sum() / weight.sum())
    spread = float((weight * np.square(apart)).sum() / weight.sum())
    sums = np.bincount(clusters_of(clusters), weights=weight * apart)
    variance = float(np.square(sums).sum()) * sums.size / max(1, sums.size - 1) / float(weight.sum()) ** 2
    if variance > 0:
        return min(equal, spread / variance)
    return min(equal, float(sums.size))


def difference_alone(
    truth: np.ndarray, a: np.ndarray, b: np.ndarray, clusters: np.ndarray, weight: Floats | None = None
) -> Measure:
    """(accuracy of a minus that of b, Tango's interval)."""
    right_a, right_b, among = a == truth, b == truth, clusters_of(clusters)
    only_a, only_b, n = right_a & ~right_b, right_b & ~right_a, float(truth.size)
    z = quantile(among)
    if weight is None:
        effect = design_effect(right_a, right_b, among)
        counts = int(only_a.sum()), int(only_b.sum())
        return (counts[0] - counts[1]) / n, accuracy_difference_interval(*counts, n, effect, z)
    share_a, share_b = (float((weight * only).sum() / weight.sum()) for only in (only_a, only_b))
    size = _effective(only_a.astype(np.float64) - only_b, clusters, weight)
    return share_a - share_b, accuracy_difference_interval(share_a * size, share_b * size, size, 1.0, z)


def rogan_gladen(
    called: int, pairs: int, found: int, contradictions: int, alarms: int, others: int
) -> Measure:
    """(prevalence by a detector's rates, its interval) (Rogan and Gladen 1978; Lang and Reiczigel 2014).

    called: of so many pairs, those called contradictions. found: of so many labelled contradictions. alarms:
    of so many other labelled pairs. It needs only that labelled contradictions are like all contradictions,
    and other labelled pairs like all others; how many of either are labelled plays no part. Raises
    UndefinedMetricError for a detector that is no better than chance, and where no prevalence fits its rates.
    """
    z = float(ndtri(0.5 + LEVEL / 2))
    if not contradictions or not others:
        raise UndefinedMetricError("all labels are alike")
    beyond_chance = found / contradictions - alarms / others
    rates, sizes = _corrected(found, contradictions), _corrected(others - alarms, others)
    (recall, n_recall), (passed, n_passed) = rates, sizes
    apparent = (called + z * z / 2) / (pairs + z * z)
    above = recall + passed - 1
    if beyond_chance <= 0 or above <= 0:
        raise UndefinedMetricError("the detector is no better than chance on the labelled pairs")
    centre = (apparent + passed - 1) / above
    of_recall, of_passed = recall * (1 - recall) / n_recall, passed * (1 - passed) / n_passed
    moved = centre + 2 * z * z * (centre * of_recall - (1 - centre) * of_passed)
    variance = apparent * (1 - apparent) / (pairs + z * z)
    variance += centre**2 * of_recall + (1 - centre) ** 2 * of_passed
    half = z * float(np.sqrt(variance)) / above
    if moved + half < 0 or moved - half > 1:
        raise UndefinedMetricError("no share of contradictions fits its rates on the labelled pairs")
    value = (called / pairs - alarms / others) / beyond_chance
    return min(1.0, max(0.0, value)), (max(0.0, moved - half), min(1.0, moved + half))


def _corrected(right: int, n: int) -> tuple[float, float]:
    """(share, size) with one more of each kind."""
    return (right + 1) / (n + 2), float(n + 2)
