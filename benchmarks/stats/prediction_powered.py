"""Figures of all pairs where only a part of them is labelled, by stratified prediction-powered inference.

Detectors' verdicts are known on all N pairs. Strata are made of them alone; in each, the share of
contradictions is estimated by PPI++ (Angelopoulos, Duchi and Zrnic 2023) from its labels and the scores of
all its pairs; strata count by how many of all pairs they hold (Fisch et al. 2024). A figure follows from
these shares and its interval from `score_intervals`. Arrays are of shape (N,), in the order of the pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from benchmarks.stats.formulas import Floats
from benchmarks.stats.intervals import clusters_of, effective_size
from benchmarks.stats.score_intervals import OfShares, Shares

MIN_OF_A_STRATUM = 5  # labels
MIN_TUNED = 10  # labels of either kind in a stratum, before scores correct its share


def strata_of(
    cells: np.ndarray, splits: Iterable[np.ndarray], is_labelled: np.ndarray, minimum: int = MIN_OF_A_STRATUM
) -> np.ndarray:
    """int64 (N,): each pair's stratum, numbers from 0 without gaps.

    cells: int (N,), which are kept apart in any case. splits: bool (N,) each; a stratum is split by one where
    both parts keep at least `minimum` labels. No label's value plays a part, so that no figure is biased.
    """
    strata = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    for split in splits:
        parts = 2 * strata + split
        held = np.bincount(parts[is_labelled], minlength=2 * int(strata.max(initial=0)) + 2).reshape(-1, 2)
        is_split = held.min(axis=1) >= minimum
        strata = np.unique(np.where(is_split[strata], parts, 2 * strata), return_inverse=True)[1]
    return strata


@dataclass(frozen=True)
class PartlyLabelled:
    """Pairs of which some are labelled.

    labels: int8, -1 where there is none. strata: of `strata_of`. clusters: int64. proxy: float64, what a
    detector's score says of the label, None where nothing does. drawn: float64, the probability with which a
    labelled pair was drawn; None where all had the same.
    """

    labels: np.ndarray
    strata: np.ndarray
    clusters: np.ndarray
    proxy: Floats | None = None
    drawn: Floats | None = None

    @cached_property
    def at(self) -> np.ndarray:
        """Where the labels are."""
        return np.flatnonzero(self.labels >= 0)

    @cached_property
    def count(self) -> int:
        return int(self.strata.max(initial=-1)) + 1

    @cached_property
    def weight(self) -> Floats:
        """float64 (n,): how many pairs each labelled one stands for, but for a factor."""
        return np.ones(self.at.size) if self.drawn is None else 1 / self.drawn[self.at]

    def totals(self, values: np.ndarray) -> Floats:
        """float64 (K,): sums over the labelled pairs of each stratum."""
        return np.asarray(np.bincount(self.strata[self.at], weights=values, minlength=self.count), np.float64)

    def means(self, values: np.ndarray) -> Floats:
        """float64 (K,): of the labelled pairs, weighted (Hajek 1971); 0 where there is none."""
        return self.totals(self.weight * values) / np.maximum(self.totals(self.weight), 1e-300)

    @cached_property
    def sizes(self) -> Floats:
        """float64 (K,): how many labels of equal weight tell as much (Kish 1965)."""
        squares = self.totals(np.square(self.weight))
        return np.square(self.totals(self.weight)) / np.maximum(squares, 1e-300)

    @cached_property
    def estimates(self) -> SharesOfStrata:
        truth, strata = self.labels[self.at].astype(np.float64), self.strata[self.at]
        pairs = np.bincount(self.strata, minlength=self.count)
        raw = self.means(truth)
        plain = Shares(raw, self.sizes, pairs / max(1, self.strata.size), np.array(float(self.strata.size)))
        residuals = truth - raw[strata]
        if self.proxy is None:
            return self._estimates(plain, residuals, np.zeros(self.count))
        centre = np.bincount(self.strata, weights=self.proxy, minlength=self.count) / np.maximum(pairs, 1)
        score = self.proxy[self.at] - centre[strata]
        apart = score - self.means(score)[strata]
        power, gain = self._tuned(residuals, apart, pairs)
        share = np.clip(raw - power * self.means(score), 0, 1)
        return self._estimates(
            replace(plain, share=share, size=self.sizes * gain), residuals - power[strata] * apart, power
        )

    def _tuned(self, residuals: Floats, apart: Floats, pairs: np.ndarray) -> tuple[Floats, Floats]:
        """(lambda, by what it multiplies the size) of each stratum; 0 and 1 where it would not pay.

        lambda: of all pairs' scores, from 0 to 1; of those without a label alone, as in the paper, it is
        smaller by n/N.
        """
        labels = np.bincount(self.strata[self.at], minlength=self.count)
        spread, shared = self.means(np.square(apart)), self.means(residuals * apart)
        own = self.means(np.square(residuals))
        with np.errstate(invalid="ignore", divide="ignore"):
            power = np.clip(np.where(spread > 0, shared / spread, 0), 0, 1)
            left = own - 2 * power * shared + np.square(power) * spread
            part = labels / np.maximum(pairs, 1)
            gain = own / (left * (labels - 1) / (labels - 2) + part * (own - left))
        rarer = np.minimum(self.totals(self.labels[self.at]), self.totals(1 - self.labels[self.at]))
        pays = (rarer >= MIN_TUNED) & (left > 0) & (gain > 1)
        return np.where(pays, power, 0), np.where(pays, gain, 1)

    def _estimates(self, shares: Shares, residuals: Floats, power: Floats) -> SharesOfStrata:
        labelled = self.strata[self.at]
        each = np.zeros(self.strata.size)
        each[self.at] = self.weight * residuals / np.maximum(self.totals(self.weight), 1e-300)[labelled]
        return SharesOfStrata(shares, self.strata, each, power, self.labels.astype(np.float64))


@dataclass(frozen=True)
class SharesOfStrata:
    """Shares of contradictions by stratum, (K,), and what they follow from.

    residuals: float64 (N,), by how much each pair's label moves its stratum's share. power: lambda, (K,).
    truth: float64 (N,), the labels.
    """

    shares: Shares
    strata: np.ndarray
    residuals: Floats
    power: Floats
    truth: Floats

    def design_effect(self, of: OfShares, clusters: np.ndarray, labelled: np.ndarray) -> float:
        """By what clusters and unequal weights multiply the variance of a figure.

        At least by what clusters multiply that of the labels themselves, since in few clusters what verdicts
        leave of that is seen too small (by simulation). Where labels are alike in all strata it cannot be
        seen, and is the pairs of a cluster. labelled: int64, where the labels are.
        """
        shares, count = self.shares, np.unique(clusters[labelled]).size
        slope, constant = of.slopes(of.value(shares))
        each = slope * shares.share + constant
        within = np.square(shares.weight * slope) * shares.share * (1 - shares.share)
        model = float((within / np.maximum(shares.size, 1e-9)).sum())
        if not model > 0:
            return labelled.size / count
        own = labelled.size / effective_size(self.truth[labelled], clusters_of(clusters[labelled]))
        model += float((shares.weight * np.square(each)).sum()) / self.strata.size
        moved = (shares.weight * slope)[self.strata] * self.residuals + each[self.strata] / self.strata.size
        sums = np.bincount(clusters, weights=moved)
        return max(own, float(np.square(sums).sum()) * count / max(1, count - 1) / model)


def figures_of(verdicts: np.ndarray) -> dict[str, OfShares]:
    """A detector's figures of the shares of contradictions. verdicts: (K,), 1 or 0, of each stratum."""
    called, none, all_ = verdicts.astype(np.float64), np.zeros(verdicts.size), np.ones(verdicts.size)
    return {
        "precision": OfShares(called, none, none, called),
        "recall": OfShares(called, none, all_, none),
        "f1": OfShares(2 * called, none, all_, called),
        "false_alarm_rate": OfShares(-called, called, -all_, all_),
        "miss_rate": OfShares(1 - called, none, all_, none),
    }


def mean_of(count: int) -> OfShares:
    """The share over all strata."""
    none, all_ = np.zeros(count), np.ones(count)
    return OfShares(all_, none, none, all_)


def accuracy_difference_of(differ: np.ndarray) -> OfShares:
    """Of a minus b, where shares are of the pairs that a has right. differ: bool (K,), whether the two do."""
    gap, none = differ.astype(np.float64), np.zeros(differ.size)
    return OfShares(2 * gap, -gap, none, np.ones(differ.size), lowest=-1.0)
