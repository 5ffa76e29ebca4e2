"""Figures of a run's arrays, or the reason why there is none: pure functions.

Throughout, `labels` are int8 (n,): 1 contradiction, 0 not, -1 no gold label; `verdicts` int8 (n,): 1, 0, or
FAILED where the detector gave none; `scores`, P(contradiction), and `latency_ms` are float64 (n,), NaN where
it failed. `truth` is `labels` where every pair carries one.

A metric that has no value on its arrays raises `UndefinedMetricError` with the reason; the functions that
give several metrics collect the reasons in `Measured.absent`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.stats.figures import BRIER, KAPPA, QUALITY, TIMES, QualityFigure, Time
from benchmarks.stats.formulas import Counts, OfCounts, cells_of
from benchmarks.stats.results import FAILED

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


def value(
    figure: QualityFigure, truth: np.ndarray, verdicts: np.ndarray, scores: np.ndarray | None = None
) -> float:
    """Of pairs that all have a label and a verdict, or, for figures of two detectors, two verdicts."""
    counts = Counts.of(cells_of(truth, verdicts))
    for need in figure.needs:
        _require(need.holds(counts), need.reason)
    return figure.of.value(truth, verdicts, np.empty(0) if scores is None else scores)


def quality(labels: np.ndarray, verdicts: np.ndarray, scores: np.ndarray, *, unranked: str = "") -> Measured:
    """Agreement with the dataset's labels, over the pairs that carry one and were answered.

    unranked: why a ranking and a calibration of these scores would mean nothing; empty where they would.
    """
    labelled = labels >= 0
    figures = sorted(QUALITY, key=lambda figure: figure.over_all)
    if not labelled.any():
        return Measured({}, dict.fromkeys((figure.name for figure in figures), "no pair carries a label"))
    answered = labelled & (verdicts != FAILED)
    truth, said, score = labels[answered], verdicts[answered], scores[answered]
    said_or_wrong = np.where(verdicts == FAILED, 1 - labels, verdicts)

    def measure(figure: QualityFigure) -> float:
        if figure.over_all:
            return value(figure, labels[labelled], said_or_wrong[labelled])
        _require(truth.size, "no labelled pair was answered")
        _require(isinstance(figure.of, OfCounts) or not unranked, unranked)
        return value(figure, truth, said, score)

    return _collect({figure.name: partial(measure, figure) for figure in figures})


def distinct_scores(scores: np.ndarray) -> int:
    """How many different scores a detector gave; few of them make a coarse ROC curve.

    Rounded to nine decimals first: 1 - 0.9 and 0.1 are one score.
    """
    return int(np.unique(np.round(scores[~np.isnan(scores)], 9)).size)


def latency(latency_ms: np.ndarray, amortised: bool) -> Measured:
    """Mean and percentiles in milliseconds over the answered pairs; of amortised times only the mean."""
    times = latency_ms[~np.isnan(latency_ms)]

    def measure(time: Time) -> float:
        _require(times.size, "no answer was timed")
        _require(not (amortised and time.of_each), AMORTISED)
        return float(time.formula(times))

    return _collect({time.name: partial(measure, time) for time in TIMES})


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
    counted = both & (labels >= 0)

    def of(values: np.ndarray) -> float:
        _require(from_logprobs.any(), "no answer came with usable logprobs")
        _require(both.any(), "no answer with logprobs stated a confidence")
        _require(counted.any(), "no labelled pair has such a score")
        return value(BRIER, labels[counted], labels[counted], values[counted])

    return _collect(
        {
            "pairs": lambda: int(counted.sum()),
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
            "kappa": lambda: value(KAPPA, a, b),
            "both_right": lambda: count(a_right & b_right),
            "only_a": lambda: count(a_right & ~b_right),
            "only_b": lambda: count(~a_right & b_right),
            "both_wrong": lambda: count(~a_right & ~b_right),
        }
    )
