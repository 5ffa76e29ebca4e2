"""Figures of all pairs from the labels of some: by prediction-powered inference, or by the labels alone.

Both are measured, and the narrower interval is given: where verdicts buy nothing, the labels alone are.
Arrays are of shape (N,), in the order of the pairs; verdicts are int8, FAILED where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.stats.figure import Interval
from benchmarks.stats.formulas import Floats
from benchmarks.stats.intervals import clusters_of, quantile
from benchmarks.stats.labels_alone import Measure, difference_alone, measured_alone, share_alone
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.prediction_powered import (
    MIN_OF_A_STRATUM,
    PartlyLabelled,
    accuracy_difference_of,
    figures_of,
    mean_of,
    strata_of,
)
from benchmarks.stats.results import FAILED
from benchmarks.stats.score_intervals import OfShares, Shares, score_interval

PREDICTION_POWERED, LABELS_ALONE = "prediction_powered", "labels_alone"
MIN_LABELS = 20
MIN_OF_A_SHARE = 5  # labels that a share is among
MIN_THAT_DIFFER = 10  # labelled pairs on which two detectors do
MAX_LABELLED = 0.9  # of the pairs; beyond, the rest narrows no interval by more than 5 %
BUY_NOTHING = "the verdicts on the other pairs buy nothing"
TOO_FEW_THERE = f"fewer than {MIN_OF_A_STRATUM} labels are of one of its verdicts"
TOO_FEW_DIFFER = f"the two differ on fewer than {MIN_THAT_DIFFER} labelled pairs"
FEW = f"fewer than {MIN_LABELS} labels"


@dataclass(frozen=True)
class KnownPairs:
    """What is known of the pairs beside one detector's verdicts.

    labels: int8, -1 where there is none. splits: bool, what strata are made by, in this order. proxy:
    float64, scores that may correct shares. drawn: float64, the probability with which a labelled pair was
    drawn; None where all had the same. refused: why nothing is inferred of all pairs, empty where it is.
    """

    labels: np.ndarray
    clusters: np.ndarray
    splits: Sequence[np.ndarray] = ()
    proxy: Floats | None = None
    drawn: Floats | None = None
    refused: str = ""

    def at(self, here: np.ndarray) -> KnownPairs:
        """Of these pairs alone: bool."""
        return replace(
            self,
            labels=self.labels[here],
            clusters=self.clusters[here],
            splits=[split[here] for split in self.splits],
            proxy=None if self.proxy is None else self.proxy[here],
            drawn=None if self.drawn is None else self.drawn[here],
        )

    def right(self, said: np.ndarray) -> KnownPairs:
        """With whether these verdicts are right in the place of labels. said: 1 or 0."""
        labels = np.where(self.is_labelled, self.labels == said, -1).astype(np.int8)
        proxy = None if self.proxy is None else np.where(said == 1, self.proxy, 1 - self.proxy)
        return replace(self, labels=labels, proxy=proxy)

    @property
    def is_labelled(self) -> np.ndarray:
        return np.asarray(self.labels >= 0)

    @property
    def weight(self) -> Floats | None:
        """Of the labelled pairs."""
        return None if self.drawn is None else 1 / self.drawn[self.is_labelled]


@dataclass(frozen=True)
class Question:
    """A figure of shares, before its interval is computed. z: the quantile."""

    of: OfShares
    shares: Shares
    z: float


@dataclass(frozen=True)
class Estimate:
    """A figure of all pairs. alone: it and its interval by the labels alone. reason: why it is these."""

    value: float
    interval: Interval
    method: str
    alone: Measure
    reason: str = ""


@dataclass(frozen=True)
class Estimates:
    """Of one detector, of two, or of the pairs. labels, verdicts: how many pairs have one."""

    labels: int
    verdicts: int
    figures: Mapping[str, Estimate]
    absent: Mapping[str, str] = field(default_factory=dict)
    alone: Mapping[str, Measure] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "verdicts": self.verdicts,
            **{name: figure.value for name, figure in self.figures.items()},
            "intervals": {name: list(figure.interval) for name, figure in self.figures.items()},
            "methods": {name: figure.method for name, figure in self.figures.items()},
            "reasons": {name: figure.reason for name, figure in self.figures.items() if figure.reason},
            "labels_alone": {
                **{name: value for name, (value, _) in self.alone.items()},
                "intervals": {name: list(interval) for name, (_, interval) in self.alone.items()},
            },
            "absent": dict(self.absent),
        }


def are_estimated(labels: np.ndarray) -> bool:
    """Whether enough pairs have no label for their verdicts to matter, and some have one."""
    share = float((labels >= 0).mean()) if labels.size else 0.0
    return 0 < share < MAX_LABELLED


def mean_of_scores(scores: Sequence[np.ndarray]) -> np.ndarray | None:
    """float64 (n,): over those that there are; where there is none, the middle."""
    if not scores:
        return None
    stacked = np.stack(scores)
    known = ~np.isnan(stacked)
    total, count = np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), 0.5))


def estimates_of_detector(known: KnownPairs, verdicts: np.ndarray) -> Estimates:
    """Accuracy, precision, recall, F1, and the rates of false alarms and misses, over what it answered."""
    here = verdicts != FAILED
    known, said = known.at(here), verdicts[here]
    labelled = known.is_labelled
    truth, told = known.labels[labelled], said[labelled]
    among = {
        "precision": (int(told.sum()), "were called a contradiction"),
        **dict.fromkeys(("recall", "f1", "miss_rate"), (int(truth.sum()), "are contradictions")),
        "false_alarm_rate": (int((truth == 0).sum()), "are no contradiction"),
    }
    alone = {
        name: partial(measured_alone, name, truth, told, known.clusters[labelled], known.weight)
        for name in ("accuracy", "precision", "recall", "f1", "false_alarm_rate", "miss_rate")
    }
    return _estimates(known, alone, partial(questions_of_detector, known, said), among)


def estimates_of_pairs(known: KnownPairs) -> Estimates:
    """The share of contradictions."""
    labelled = known.is_labelled
    alone = partial(share_alone, known.labels[labelled] == 1, known.clusters[labelled], known.weight)
    return _estimates(known, {"prevalence": alone}, partial(questions_of_pairs, known), {})


def estimates_of_two(known: KnownPairs, a: np.ndarray, b: np.ndarray) -> Estimates:
    """Accuracy of a minus that of b, over what both answered."""
    here = (a != FAILED) & (b != FAILED)
    known, a, b = known.at(here), a[here], b[here]
    labelled = known.is_labelled
    sides = known.labels[labelled], a[labelled], b[labelled]
    alone = partial(difference_alone, *sides, known.clusters[labelled], known.weight)
    ask = partial(questions_of_two, known, a, b)
    return _estimates(known, {"accuracy": alone}, ask, {}, TOO_FEW_DIFFER)


def questions_of_detector(known: KnownPairs, said: np.ndarray) -> dict[str, Question]:
    strata = strata_of(said, known.splits, known.is_labelled)
    first = np.unique(strata, return_index=True)[1]
    mixed = strata_of(np.zeros(said.size, np.int8), [said == 1, *known.splits], known.is_labelled)
    return {
        **_asked(known.right(said), mixed, {"accuracy": mean_of(int(mixed.max(initial=0)) + 1)}),
        **_asked(known, strata, figures_of(said[first])),
    }


def questions_of_pairs(known: KnownPairs) -> dict[str, Question]:
    strata = strata_of(np.zeros(known.labels.size, np.int8), known.splits, known.is_labelled)
    return _asked(known, strata, {"prevalence": mean_of(int(strata.max(initial=0)) + 1)})


def questions_of_two(known: KnownPairs, a: np.ndarray, b: np.ndarray) -> dict[str, Question]:
    # Pairs on which both say the same are one stratum: they have no part in the difference.
    if (known.is_labelled & (a != b)).sum() < MIN_THAT_DIFFER:
        return {}
    strata = strata_of(a != b, [(a == 1) & (b != 1)], known.is_labelled)
    first = np.unique(strata, return_index=True)[1]
    return _asked(known.right(a), strata, {"accuracy": accuracy_difference_of((a != b)[first])})


def _asked(known: KnownPairs, strata: np.ndarray, figures: Mapping[str, OfShares]) -> dict[str, Question]:
    """Those of the figures that have enough labels in every stratum that they are of."""
    pairs = PartlyLabelled(known.labels, strata, known.clusters, known.proxy, known.drawn)
    estimates, asked = pairs.estimates, {}
    for name, of in figures.items():
        counts = (of.top != 0) | (of.bottom != 0)
        if not counts.any() or (pairs.totals(np.ones(pairs.at.size))[counts] < MIN_OF_A_STRATUM).any():
            continue
        shares = of.among(estimates.shares)
        among = pairs.at[shares.weight[strata[pairs.at]] > 0]
        clusters = clusters_of(known.clusters[among])
        if known.drawn is not None or np.unique(clusters).size < clusters.size:
            effect = estimates.design_effect(of, known.clusters, among)
            shares = replace(shares, size=shares.size / effect)
        asked[name] = Question(of, shares, quantile(clusters))
    return asked


def answered(questions: Mapping[str, Question]) -> dict[str, Measure]:
    """Each figure that has a value, with its interval; all are computed at once."""
    if not questions:
        return {}
    asked = list(questions.values())
    of, shares = stacked_figures([each.of for each in asked]), stacked_shares([each.shares for each in asked])
    low, high = score_interval(of, shares, np.array([each.z for each in asked]))
    values = of.value(shares)
    return {
        name: (float(value), (float(ends[0]), float(ends[1])))
        for name, value, *ends in zip(questions, values, low, high, strict=True)
        if not np.isnan(value)
    }


def stacked_figures(figures: Sequence[OfShares]) -> OfShares:
    return OfShares(
        _stacked([of.top for of in figures]),
        _stacked([of.top_constant for of in figures]),
        _stacked([of.bottom for of in figures]),
        _stacked([of.bottom_constant for of in figures]),
        figures[0].lowest,
    )


def stacked_shares(shares: Sequence[Shares]) -> Shares:
    return Shares(
        _stacked([each.share for each in shares]),
        _stacked([each.size for each in shares]),
        _stacked([each.weight for each in shares]),
        np.array([float(each.pairs) for each in shares]),
    )


def _stacked(rows: Sequence[Floats]) -> Floats:
    """Shape (rows, K), the shorter ones filled with zeros."""
    width = max(row.size for row in rows)
    return np.stack([np.pad(row, (0, width - row.size)) for row in rows])


def _estimates(
    known: KnownPairs,
    alone: Mapping[str, Callable[[], Measure]],
    ask: Callable[[], dict[str, Question]],
    among: Mapping[str, tuple[int, str]],
    too_few: str = TOO_FEW_THERE,
) -> Estimates:
    """among: by figure, of how many labels it is, and what they are. too_few: why `ask` may not give one."""
    labels = int(known.is_labelled.sum())
    of_labels: dict[str, Measure] = {}
    absent: dict[str, str] = {}
    for name, measure in alone.items():
        count, what = among.get(name, (labels, "were answered"))
        if count < MIN_OF_A_SHARE:
            absent[name] = f"{count} labelled pairs {what}, and {MIN_OF_A_SHARE} are needed"
            continue
        try:
            of_labels[name] = measure()
        except UndefinedMetricError as undefined:
            absent[name] = str(undefined)
    if known.refused:
        refused = dict.fromkeys(of_labels, known.refused)
        return Estimates(labels, known.labels.size, {}, absent | refused, of_labels)
    powered = answered(ask()) if labels >= MIN_LABELS else {}
    reason = too_few if labels >= MIN_LABELS else FEW
    figures = {name: chosen(powered.get(name), measure, reason) for name, measure in of_labels.items()}
    return Estimates(labels, known.labels.size, figures, absent, of_labels)


def chosen(powered: Measure | None, alone: Measure, reason: str = "") -> Estimate:
    """The one with the narrower interval. reason: why there is only the latter."""
    if powered and _width(powered) < _width(alone):
        return Estimate(*powered, PREDICTION_POWERED, alone)
    return Estimate(*alone, LABELS_ALONE, alone, BUY_NOTHING if powered else reason)


def _width(measure: Measure) -> float:
    return measure[1][1] - measure[1][0]
