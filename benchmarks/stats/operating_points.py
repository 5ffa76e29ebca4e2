"""Where a detector's scores become verdicts, and what its verdicts are worth where contradictions are rarer.

Arrays as in `metrics` and `intervals`: truth int8 (n,), scores float64 (n,), clusters int64 (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.stats.figure import Interval
from benchmarks.stats.formulas import Counts, Floats, OfCounts, Ranking
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.quality_figures import f1

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
    fold = folds_of(clusters, seed)
    verdicts = np.zeros(truth.size, np.int8)
    thresholds = []
    for number in range(FOLDS):
        here = fold == number
        thresholds.append(best_threshold(truth[~here], scores[~here]))
        verdicts[here] = scores[here] >= thresholds[-1]
    return CrossValidated(float(np.median(thresholds)), verdicts)


def folds_of(clusters: np.ndarray, seed: int = 0) -> np.ndarray:
    """int64 (n,), each pair's fold, from 0 to FOLDS - 1; pairs of a cluster are in the same one.

    clusters: without gaps. Raises UndefinedMetricError for fewer of them than folds.
    """
    size = int(clusters.max()) + 1 if clusters.size else 0
    if size < FOLDS:
        raise UndefinedMetricError(f"cross-validation needs at least {FOLDS} pairs that share no text")
    return np.asarray((np.random.default_rng(seed).permutation(size) % FOLDS)[clusters])


def best_threshold(truth: np.ndarray, scores: np.ndarray) -> float:
    """Half-way between the two scores that F1 is best between."""
    ranking = Ranking(truth, scores)
    hits, called = ranking.counts()
    if not hits.size or not hits[-1]:
        raise UndefinedMetricError("no labelled pair that was answered is a contradiction")
    missed, alarms = hits[-1] - hits, called - hits
    best = int(f1(Counts(tn=alarms[-1] - alarms, fp=alarms, fn=missed, tp=hits)).argmax())
    kept, ordered = called[best], scores[ranking.order]
    following = ordered[kept] if kept < scores.size else 0.0
    return float((ordered[kept - 1] + following) / 2)


def at_prevalence(of: OfCounts, prevalence: float) -> OfCounts:
    """A figure where so large a share of the pairs contradict, of the four cells of this run."""
    return OfCounts(partial(_restated, of.formula, prevalence))


def _restated(formula: Callable[[Counts], Floats], prevalence: float, counts: Counts) -> Floats:
    """Both rates are kept: of contradictions that are found, and of others that are called so (Bayes)."""
    recall, alarms = counts.tp / counts.contradictions, counts.fp / counts.others
    contradictions, others = prevalence, 1 - prevalence
    return formula(
        Counts(
            tn=others * (1 - alarms),
            fp=others * alarms,
            fn=contradictions * (1 - recall),
            tp=contradictions * recall,
        )
    )


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
