"""How many labels a wanted interval takes, or a wanted difference, before there are any.

What is expected of the pairs is a table of shares by label and verdicts; from it follow the strata that so
many labels would make, and the intervals of `prediction_powered` and `labels_alone`, by their own formulas.
Cells are float64 (2, 2, 2): label, verdict of the first detector, verdict of the second, 1 for a
contradiction; they add up to 1. Scores may narrow intervals further, and pairs that share texts widen them:
neither is reckoned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from benchmarks.stats.few_labels import MIN_LABELS, MIN_THAT_DIFFER, stacked_figures, stacked_shares
from benchmarks.stats.formulas import Floats, known_mean
from benchmarks.stats.intervals import LEVEL, wilson
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.paired import pairs_to_detect
from benchmarks.stats.prediction_powered import MIN_OF_A_STRATUM, mean_of
from benchmarks.stats.score_intervals import Shares, score_interval

BLOCK_HALF_WIDTH = 0.05  # of the accuracies' intervals, by a random block
MIN_BLOCK, MAX_BLOCK = 100, 400  # labels
ASSUMED = 0.8  # accuracy, where there are too few labels
ENDLESS = 10_000_000  # labels that nobody gives
STEPS = 160  # of numbers of labels, each a few per cent more than the one before


@dataclass(frozen=True)
class ExpectedSide:
    """What is expected of a detector.

    accuracy: the share of its verdicts that are right. called: the share of all pairs that it calls
    contradictions; None where nobody knows it, and then it errs as often on either class.
    """

    accuracy: float
    called: float | None = None

    def right(self, contradictions: float) -> tuple[float, float]:
        """(of the other pairs, of the contradictions) the shares that it has right."""
        if self.called is None or not 0 < contradictions < 1:
            return self.accuracy, self.accuracy
        found = (self.accuracy + self.called - (1 - contradictions)) / 2  # rightly called, of all pairs
        found = float(
            np.clip(found, max(0.0, self.accuracy - 1 + contradictions), min(contradictions, self.accuracy))
        )
        return (self.accuracy - found) / (1 - contradictions), found / contradictions


def expected_cells(
    contradictions: float,
    first: ExpectedSide,
    second: ExpectedSide | None = None,
    agreement: float | None = None,
) -> Floats:
    """The cells of these shares; without a second detector its verdicts are all 0.

    agreement: the share of pairs on which both say the same; None where they err independently. One that
    these accuracies do not allow becomes the nearest that they do.
    """
    mass = np.array([1 - contradictions, contradictions])
    a = np.array(first.right(contradictions))
    b = np.array(second.right(contradictions)) if second else np.array([1.0, 0.0])
    both = a * b
    if agreement is not None:
        missing = agreement - float((mass * _agree(a, b, both)).sum())
        end = np.minimum(a, b) if missing > 0 else np.maximum(0, a + b - 1)
        room = float((mass * 2 * (end - both)).sum())
        both = both + (end - both) * (min(1.0, missing / room) if room else 0.0)
    cells = np.zeros((2, 2, 2))
    for label in (0, 1):
        right, wrong = label, 1 - label
        cells[label, right, right] = both[label]
        cells[label, right, wrong] = a[label] - both[label]
        cells[label, wrong, right] = b[label] - both[label]
        cells[label, wrong, wrong] = 1 - a[label] - b[label] + both[label]
        cells[label] *= mass[label]
    return np.clip(cells, 0, 1)


def _agree(a: Floats, b: Floats, both: Floats) -> Floats:
    return np.asarray(1 - a - b + 2 * both)


def discordance_of(cells: Floats) -> float:
    """The share of pairs on which the two say different things: one of them is right."""
    return float(cells[:, 0, 1].sum() + cells[:, 1, 0].sum())


def accuracy_of(cells: Floats, side: int) -> float:
    """side: 0 for the first detector, 1 for the second."""
    return float(sum(np.moveaxis(cells, 1 + side, 1)[label, label].sum() for label in (0, 1)))


def half_width_alone(cells: Floats, side: int, labels: int) -> float:
    """Of the interval of an accuracy, by the labels alone (Wilson)."""
    low, high = wilson(accuracy_of(cells, side), labels)
    return (high - low) / 2


def half_widths(cells: Floats, side: int, labels: Sequence[int], pairs: int) -> Floats:
    """The same with both detectors' verdicts on all pairs, of each number of labels.

    As in a run, the narrower of the two intervals counts.
    """
    strata = [_strata(cells, side, count) for count in labels]
    shares = stacked_shares(
        [
            Shares(share, count * weight, weight, np.array(float(pairs)))
            for count, (weight, share) in zip(labels, strata, strict=True)
        ]
    )
    of = stacked_figures([mean_of(weight.size) for weight, _ in strata])
    low, high = score_interval(of, shares, float(ndtri(0.5 + LEVEL / 2)))
    alone = [half_width_alone(cells, side, count) for count in labels]
    return np.minimum((high - low) / 2, alone)


def _strata(cells: Floats, side: int, labels: int) -> tuple[Floats, Floats]:
    """(weight, share of right verdicts) of the strata that `strata_of` makes of so many labels."""
    by_own = np.moveaxis(cells, 1 + side, 1)  # label, own verdict, the other's
    told, right = by_own.sum(axis=0), np.stack([by_own[0, 0], by_own[1, 1]])
    parts = [(told, right)]
    for axis in (0, 1):
        parts = [piece for part in parts for piece in _split(part, axis, labels)]
    weight = np.array([told.sum() for told, _ in parts])
    share = np.array([right.sum() for _, right in parts])
    return weight, np.clip(share / np.maximum(weight, 1e-300), 0, 1)


def _split(part: tuple[Floats, Floats], axis: int, labels: int) -> list[tuple[Floats, Floats]]:
    """In two along an axis, where either would hold enough labels."""
    told, right = part
    halves = [(told.take([at], axis), right.take([at], axis)) for at in range(told.shape[axis])]
    enough = all(labels * told.sum() >= MIN_OF_A_STRATUM for told, _ in halves)
    return halves if enough else [part]


@dataclass(frozen=True)
class Needed:
    """How many labels it takes. alone: by the labels alone. powered: with verdicts on all pairs.

    None where all the pairs together would not do. unbounded: by the labels alone, were there any number of
    pairs; None where no number would do.
    """

    alone: int | None
    powered: int | None
    unbounded: int | None


@dataclass(frozen=True)
class WidthPlan:
    """What numbers of labels make of the intervals of accuracies.

    labels: ascending. widths: float64, half the width of the widest of the detectors' intervals.
    """

    cells: Floats
    sides: int
    pairs: int
    labels: list[int]
    widths: Floats

    @classmethod
    def of(cls, cells: Floats, sides: int, pairs: int) -> WidthPlan:
        """sides: how many of the two detectors there are."""
        spaced = np.geomspace(min(MIN_LABELS, pairs), pairs, STEPS)
        labels = sorted(set(np.rint(spaced).astype(int).tolist()))
        widths = np.max([half_widths(cells, side, labels, pairs) for side in range(sides)], axis=0)
        return cls(cells, sides, pairs, labels, widths)

    def needed(self, wanted: float) -> Needed:
        """For intervals of which half is at most this wide."""
        alone = _fewest(lambda labels: self._alone(labels) <= wanted, ENDLESS)
        enough = np.flatnonzero(self.widths <= wanted)
        powered = self.labels[enough[0]] if enough.size else None
        if alone and alone <= self.pairs:
            return Needed(alone, min(powered or alone, alone), alone)
        return Needed(None, powered, alone)

    @property
    def narrowest(self) -> float:
        """With all pairs labelled."""
        return float(self.widths[-1])

    def _alone(self, labels: int) -> float:
        return max(half_width_alone(self.cells, side, labels) for side in range(self.sides))


def labels_for_difference(cells: Floats, wanted: float, pairs: int) -> Needed:
    """For a difference of two accuracies to be told, 4 times of 5, where there is one of this size."""
    discordance = discordance_of(cells)
    try:
        alone = max(MIN_LABELS, pairs_to_detect(wanted, discordance))
        powered = pairs_to_detect(wanted, discordance, are_verdicts_known=True)
    except UndefinedMetricError:
        return Needed(None, None, None)
    powered = min(alone, max(MIN_LABELS, powered, int(np.ceil(MIN_THAT_DIFFER / discordance))))
    return Needed(alone if alone <= pairs else None, powered if powered <= pairs else None, alone)


def _fewest(is_enough: Callable[[int], bool], maximum: int) -> int | None:
    """By bisection: more labels are never worse."""
    low, high = MIN_LABELS, maximum
    if not is_enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return low


def block_size(labels: np.ndarray, scores: Floats) -> int:
    """How many pairs without a label to ask about for accuracies within 5 points: 100 to 400 of them.

    labels: int8 (N,), -1 without a label. scores: float64 (D, N), P(contradiction) by each detector, NaN
    where one gave none. Of the two detectors that labels say are right the least often; where there are too
    few labels, of the first two, as if they were right on 80 % of the pairs.
    """
    unlabelled = int((labels < 0).sum())
    if unlabelled <= MIN_BLOCK or not len(scores):
        return min(unlabelled, MIN_BLOCK)
    said = np.where(np.isnan(scores), np.nan, scores >= 0.5)
    known = labels >= 0
    right = np.where(known & ~np.isnan(said), said == labels, np.nan)
    accuracies = [ASSUMED if known.sum() < MIN_LABELS else float(known_mean(row)) for row in right]
    order = np.argsort(accuracies, kind="stable")[:2]
    sides = [ExpectedSide(float(accuracies[place]), float(known_mean(said[place]))) for place in order]
    second, agreement = (sides[1], _agreement(*said[order])) if len(sides) > 1 else (None, None)
    share = float((labels[known] == 1).mean()) if known.sum() >= MIN_LABELS else sides[0].called
    cells = expected_cells(share or 0.0, sides[0], second, agreement)
    needed = WidthPlan.of(cells, len(sides), max(MAX_BLOCK, labels.size)).needed(BLOCK_HALF_WIDTH).powered
    return int(np.clip(needed or MAX_BLOCK, MIN_BLOCK, MAX_BLOCK))


def _agreement(a: Floats, b: Floats) -> float | None:
    both = ~np.isnan(a) & ~np.isnan(b)
    return float((a == b)[both].mean()) if both.any() else None
