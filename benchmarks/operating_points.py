"""Where a detector's scores become verdicts, and what its verdicts are worth where contradictions are rarer.

Arrays as in `metrics` and `intervals`: truth int8 (n,), scores float64 (n,), clusters int64 (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.evidence import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_NEGATIVE, TRUE_POSITIVE
from benchmarks.intervals import Interval, OfCounts
from benchmarks.metrics import UndefinedMetricError

FOLDS = 10


@dataclass(frozen=True)
class CrossValidated:
    """threshold: the median of the folds'.

    verdicts: int8 (n,), each pair by the threshold that was best for the other folds.
    """

    threshold: float
    verdicts: np.ndarray


def cross_validated_threshold(
    truth: np.ndarray, scores: np.ndarray, clusters: np.ndarray, seed: int = 0
) -> CrossValidated:
    """The threshold with the best F1, without any pair deciding about itself.

    Pairs of a cluster are in the same fold. Raises UndefinedMetricError for fewer clusters than folds, and
    where what is left of them holds no contradiction.
    """
    size = int(clusters.max()) + 1 if clusters.size else 0
    if size < FOLDS:
        raise UndefinedMetricError(f"cross-validation needs at least {FOLDS} pairs that share no text")
    fold = (np.random.default_rng(seed).permutation(size) % FOLDS)[clusters]
    verdicts = np.zeros(truth.size, np.int8)
    thresholds = []
    for number in range(FOLDS):
        here = fold == number
        thresholds.append(best_threshold(truth[~here], scores[~here]))
        verdicts[here] = scores[here] >= thresholds[-1]
    return CrossValidated(float(np.median(thresholds)), verdicts)


def best_threshold(truth: np.ndarray, scores: np.ndarray) -> float:
    """Half-way between the two scores that F1 is best between."""
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(truth[order] == 1)
    if not found.size or not found[-1]:
        raise UndefinedMetricError("no labelled pair that was answered is a contradiction")
    last_of_ties = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    f1 = 2 * found[last_of_ties] / (last_of_ties + 1 + found[-1])
    best = last_of_ties[int(f1.argmax())]
    following = scores[order[best + 1]] if best + 1 < scores.size else 0.0
    return float((scores[order[best]] + following) / 2)


def at_prevalence(prevalence: float) -> dict[str, OfCounts]:
    """Accuracy, precision and F1 where so large a share of the pairs contradict, as functions of four cells.

    What is kept of the run are both rates: of contradictions that are found, and of others that are called so
    (Bayes' theorem).
    """
    metrics: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
        "accuracy": lambda found, alarms, p: p * found + (1 - p) * (1 - alarms),
        "precision": lambda found, alarms, p: p * found / (p * found + (1 - p) * alarms),
        "f1": lambda found, alarms, p: 2 * p * found / (p + p * found + (1 - p) * alarms),
    }
    return {name: partial(_of_rates, metric, prevalence) for name, metric in metrics.items()}


def _of_rates(
    metric: Callable[[np.ndarray, np.ndarray, float], np.ndarray], prevalence: float, counts: np.ndarray
) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        found = counts[..., TRUE_POSITIVE] / (counts[..., TRUE_POSITIVE] + counts[..., FALSE_NEGATIVE])
        alarms = counts[..., FALSE_POSITIVE] / (counts[..., FALSE_POSITIVE] + counts[..., TRUE_NEGATIVE])
        return np.asarray(metric(found, alarms, prevalence))


def cost_of_found(
    dollars: float, recall: float, recall_interval: Interval | None, prevalence: float
) -> tuple[float, Interval | None]:
    """(dollars per contradiction found, its interval) where a pair costs so much and so many contradict."""
    if recall <= 0:
        raise UndefinedMetricError("no contradiction was found")
    interval = None
    if recall_interval and recall_interval[0] > 0:
        low, high = recall_interval
        interval = dollars / (prevalence * high), dollars / (prevalence * low)
    return dollars / (prevalence * recall), interval
