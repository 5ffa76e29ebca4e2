"""What the numbers are: pure functions of arrays.

Throughout, `labels` are int8 (n,): 1 contradiction, 0 not, -1 no gold label; `verdicts` int8 (n,): 1, 0, or
FAILED where the detector gave none; `scores`, P(contradiction), and `latency_ms` are float64 (n,), NaN where
it failed. `truth` is `labels` where every pair carries one.

A metric that has no value on its arrays raises `UndefinedMetricError` with the reason; the functions that
give several metrics collect the reasons in `Measured.absent`. Nothing is invented, not even a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.results import FAILED
from kimera.calibration import calibration_error as expected_calibration_error

MIN_LIKELIHOOD = 1e-15  # a score of exactly 0 or 1 that is wrong costs 34.5, not infinity
MIN_SCORES = 10  # of fewer distinct ones there is no ranking and no calibration to speak of
AMORTISED = "pairs are timed by the batch, so there is only a mean"


class UndefinedMetricError(Exception):
    """A metric has no value on these arrays; the message says why, for a person."""


@dataclass(frozen=True)
class Measured:
    """Metrics that have a value, as plain Python numbers, and the reasons of those that have none."""

    values: dict[str, float]
    absent: dict[str, str]


def _collect(metrics: Mapping[str, Callable[[], float]]) -> Measured:
    measured = Measured({}, {})
    for name, metric in metrics.items():
        try:
            measured.values[name] = metric()
        except UndefinedMetricError as reason:
            measured.absent[name] = str(reason)
    return measured


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise UndefinedMetricError(reason)


def accuracy(truth: np.ndarray, verdicts: np.ndarray) -> float:
    """Share of verdicts that equal the truth; FAILED equals neither."""
    _require(truth.size, "no labelled pair was answered")
    return float((truth == verdicts).mean())


def balanced_accuracy(truth: np.ndarray, verdicts: np.ndarray) -> float:
    """Mean of the shares that are right among contradictions and among the others."""
    _require_both_classes(truth)
    return float(np.mean([(verdicts[truth == value] == value).mean() for value in (0, 1)]))


def precision(truth: np.ndarray, verdicts: np.ndarray) -> float:
    """Share of contradictions among the pairs called so."""
    _require(truth.size, "no labelled pair was answered")
    _require((verdicts == 1).any(), "the detector called no labelled pair a contradiction")
    return float((truth[verdicts == 1] == 1).mean())


def recall(truth: np.ndarray, verdicts: np.ndarray) -> float:
    """Share of the contradictions that were called so."""
    _require(truth.size, "no labelled pair was answered")
    _require((truth == 1).any(), "no answered pair is labelled a contradiction")
    return float((verdicts[truth == 1] == 1).mean())


def f1(truth: np.ndarray, verdicts: np.ndarray) -> float:
    """2 TP / (2 TP + FP + FN): 0 where contradictions exist and none was found."""
    _require(truth.size, "no labelled pair was answered")
    _require((truth == 1).any() or (verdicts == 1).any(), "no contradiction, neither labelled nor called")
    found = ((truth == 1) & (verdicts == 1)).sum()
    return float(2 * found / ((truth == 1).sum() + (verdicts == 1).sum()))


def mcc(truth: np.ndarray, verdicts: np.ndarray) -> float:
    """Matthews correlation coefficient, -1 to 1: Pearson's correlation of the two columns."""
    _require_both_classes(truth)
    _require(np.unique(verdicts).size == 2, "the detector gave every labelled pair the same verdict")
    return float(np.corrcoef(truth == 1, verdicts == 1)[0, 1])


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """P(a contradiction scores above another pair), ties counted half: Mann and Whitney's U (1947)."""
    _require_both_classes(truth)
    positive, others = scores[truth == 1], np.sort(scores[truth != 1])
    below = np.searchsorted(others, positive, side="left") + np.searchsorted(others, positive, side="right")
    return float(below.sum() / 2 / (positive.size * others.size))


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Precision at each contradiction, averaged down the ranking (no interpolation)."""
    _require_both_classes(truth)
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(truth[order] == 1)
    last_of_ties = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    precision_there = found[last_of_ties] / (last_of_ties + 1)
    return float((precision_there * np.diff(found[last_of_ties], prepend=0)).sum() / found[-1])


def log_loss(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean negative logarithm (natural) of the probability given to what is true."""
    _require(truth.size, "no labelled pair was answered")
    likelihood = np.where(truth == 1, scores, 1 - scores)
    return float(-np.log(np.maximum(likelihood, MIN_LIKELIHOOD)).mean())


def calibration_error(truth: np.ndarray, scores: np.ndarray) -> float:
    """Expected calibration error; see `kimera.calibration`."""
    _require(truth.size, "no labelled pair was answered")
    return expected_calibration_error(scores, truth == 1)


def _require_both_classes(truth: np.ndarray) -> None:
    _require(truth.size, "no labelled pair was answered")
    _require(np.unique(truth).size == 2, "all labelled pairs that were answered carry the same label")


def quality(labels: np.ndarray, verdicts: np.ndarray, scores: np.ndarray, *, unranked: str = "") -> Measured:
    """Agreement with the dataset's labels, over the pairs that carry one and were answered.

    `accuracy_failed_as_wrong` is over all labelled pairs: a pair without a verdict counts as wrong.
    unranked: why a ranking and a calibration of these scores would mean nothing; empty where they would.
    """
    labelled = labels >= 0
    scored = labelled & (verdicts != FAILED)
    truth, said, score = labels[scored], verdicts[scored], scores[scored]

    def of_scores(metric: Callable[[np.ndarray, np.ndarray], float]) -> float:
        _require(truth.size, "no labelled pair was answered")
        _require(not unranked, unranked)
        return metric(truth, score)

    measured = _collect(
        {
            "accuracy": lambda: accuracy(truth, said),
            "balanced_accuracy": lambda: balanced_accuracy(truth, said),
            "precision": lambda: precision(truth, said),
            "recall": lambda: recall(truth, said),
            "f1": lambda: f1(truth, said),
            "mcc": lambda: mcc(truth, said),
            "roc_auc": lambda: of_scores(roc_auc),
            "average_precision": lambda: of_scores(average_precision),
            "brier": lambda: of_scores(brier),
            "log_loss": lambda: of_scores(log_loss),
            "calibration_error": lambda: of_scores(calibration_error),
            "accuracy_failed_as_wrong": lambda: accuracy(labels[labelled], verdicts[labelled]),
        }
    )
    if not labelled.any():
        return Measured({}, dict.fromkeys(measured.absent, "no pair carries a label"))
    return measured


def distinct_scores(scores: np.ndarray) -> int:
    """How many different scores a detector gave; few of them make a coarse ROC curve.

    Rounded to nine decimals first: 1 - 0.9 and 0.1 are one score.
    """
    return int(np.unique(np.round(scores[~np.isnan(scores)], 9)).size)


def latency(latency_ms: np.ndarray, amortised: bool) -> Measured:
    """Mean and percentiles in milliseconds over the answered pairs; of amortised times only the mean."""
    times = latency_ms[~np.isnan(latency_ms)]

    def mean() -> float:
        _require(times.size, "no answer was timed")
        return float(times.mean())

    def percentile(q: int) -> float:
        _require(times.size, "no answer was timed")
        _require(not amortised, AMORTISED)
        return float(np.percentile(times, q))

    return _collect(
        {
            "mean": mean,
            "p50": lambda: percentile(50),
            "p95": lambda: percentile(95),
            "p99": lambda: percentile(99),
        }
    )


def throughput(
    answered: int, busy_s: float, wall_s: float, amortised: bool, replies_from_cache: int = 0
) -> Measured:
    """Answered pairs a second, and requests in flight on average: summed latency over wall time.

    Replies from a cache take no time to speak of, so with them there is no speed of the endpoint.
    """

    def per_second(amount: float) -> float:
        _require(answered > 0, "no pair was answered")
        _require(wall_s > 0, "no time was measured")
        return float(amount / wall_s)

    def pairs_per_s() -> float:
        _require(not replies_from_cache, "replies came from the cache")
        return per_second(answered)

    def mean_in_flight() -> float:
        _require(not amortised, "pairs are computed in batches, not sent one by one")
        return per_second(busy_s)

    return _collect({"pairs_per_s": pairs_per_s, "mean_in_flight": mean_in_flight})


def brier(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean squared distance of P(contradiction) from the label, over labelled pairs with a score."""
    usable = (labels >= 0) & ~np.isnan(scores)
    _require(usable.any(), "no labelled pair has such a score")
    return float(np.square((labels[usable] == 1) - scores[usable]).mean())


def flip_rate(verdicts: np.ndarray) -> float:
    """Share of pairs whose repeated verdicts, int8 (n, k), differ; a pair with a gap is left out."""
    whole = (verdicts >= 0).all(axis=1)
    _require(whole.any(), "no pair was answered every time")
    return float((verdicts[whole].min(axis=1) != verdicts[whole].max(axis=1)).mean())


def stability(variants: np.ndarray, repeat: int, swap: bool) -> Measured:
    """How steady a judge is, as far as it was asked.

    `flip_rate` is over its repeats, if it was asked more than once; `order_disagreement` is between both
    orders of the texts, if it was asked in both.
    """
    asked: dict[str, Callable[[], float]] = {}
    if repeat > 1:
        asked["flip_rate"] = lambda: flip_rate(variants[:, :repeat])
    if swap:
        asked["order_disagreement"] = lambda: flip_rate(variants[:, [0, repeat]])
    return _collect(asked)


def calibration(
    labels: np.ndarray, scores: np.ndarray, stated: np.ndarray, from_logprobs: np.ndarray
) -> Measured:
    """Brier scores of the scores that come from logprobs (`brier`) and of stated ones (`brier_stated`).

    Both over the same `pairs`: labelled ones with a score of each kind. from_logprobs: bool (n,).
    """
    both = from_logprobs & ~np.isnan(scores + stated)

    def of(values: np.ndarray) -> float:
        _require(from_logprobs.any(), "no answer came with usable logprobs")
        _require(both.any(), "no answer with logprobs stated a confidence")
        return brier(labels[both], values[both])

    return _collect(
        {
            "pairs": lambda: int((both & (labels >= 0)).sum()),
            "brier": lambda: of(scores),
            "brier_stated": lambda: of(stated),
        }
    )


def agreement(labels: np.ndarray, verdicts_a: np.ndarray, verdicts_b: np.ndarray) -> Measured:
    """How often two detectors say the same, and who was right where the dataset says.

    Over the pairs both answered: `both_answered`, `rate`, Cohen's `kappa`; over those that also carry a label
    the counts `both_right`, `only_a`, `only_b`, `both_wrong`.
    """
    both = (verdicts_a != FAILED) & (verdicts_b != FAILED)
    a, b, truth = verdicts_a[both], verdicts_b[both], labels[both]
    a_right, b_right, labelled = a == truth, b == truth, truth >= 0

    def rate() -> float:
        _require(a.size, "no pair was answered by both")
        return float((a == b).mean())

    def count(where: np.ndarray) -> int:
        _require((labels >= 0).any(), "no pair carries a label")
        _require(labelled.any(), "no labelled pair was answered by both")
        return int((where & labelled).sum())

    return _collect(
        {
            "both_answered": lambda: int(both.sum()),
            "rate": rate,
            "kappa": lambda: kappa(a, b),
            "both_right": lambda: count(a_right & b_right),
            "only_a": lambda: count(a_right & ~b_right),
            "only_b": lambda: count(~a_right & b_right),
            "both_wrong": lambda: count(~a_right & ~b_right),
        }
    )


def kappa(a: np.ndarray, b: np.ndarray) -> float:
    """Cohen's kappa: agreement beyond what the two verdict rates give by chance."""
    _require(a.size, "no pair was answered by both")
    _require(np.unique(np.concatenate([a, b])).size == 2, "both gave every pair the same verdict")
    observed = float((a == b).mean())
    by_chance = sum(float((a == value).mean() * (b == value).mean()) for value in (0, 1))
    return (observed - by_chance) / (1 - by_chance)
