"""What the formulas of figures are of: counts of the cells, scores, rankings, and what a value takes.

Formulas of counts take those of one sample or of all draws of a bootstrap, and those of a ranking weights,
so that an interval needs no formula of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

# Cells: twice the truth, plus the verdict; of two detectors, twice the first's verdict, plus the second's.
TRUE_NEGATIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE = range(4)
RIGHT = frozenset({TRUE_NEGATIVE, TRUE_POSITIVE})


class Counts(NamedTuple):
    """How many pairs each cell holds, in the order of the cells: float64, one number or one a draw."""

    tn: Floats
    fp: Floats
    fn: Floats
    tp: Floats

    @classmethod
    def of(cls, cells: np.ndarray) -> Counts:
        """cells: shape (..., 4)."""
        return cls(*np.moveaxis(np.asarray(cells, np.float64), -1, 0))

    @property
    def contradictions(self) -> Floats:
        return self.tp + self.fn

    @property
    def others(self) -> Floats:
        return self.tn + self.fp

    @property
    def called(self) -> Floats:
        """Those that the detector called contradictions."""
        return self.tp + self.fp

    @property
    def passed(self) -> Floats:
        return self.tn + self.fn


def cells_of(truth: np.ndarray, verdicts: np.ndarray) -> Floats:
    """float64 (4,): how many pairs each cell holds. truth, verdicts: int8 (n,), 1 or 0."""
    return np.bincount(2 * truth + verdicts, minlength=4).astype(np.float64)


def known_mean(values: Floats) -> Floats:
    """Along the last axis over what is no NaN; 1/2 where all is."""
    count = (~np.isnan(values)).sum(axis=-1)
    return np.asarray(np.where(count, np.nansum(values, axis=-1) / np.maximum(count, 1), 0.5))


class Ranking:
    """Pairs by falling score. truth: int8 or bool (n,), 1 for a contradiction. scores: float64 (n,)."""

    def __init__(self, truth: np.ndarray, scores: np.ndarray) -> None:
        self.order = np.argsort(-scores, kind="stable")
        self._truth = truth[self.order] == 1
        self._last_of_ties = np.flatnonzero(np.diff(scores[self.order], append=-np.inf))

    def counts(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(contradictions, pairs) that score at least a threshold, as it falls over the distinct scores.

        weights: float64 (..., n), how often a resample has each pair, in their order; None for once.
        """
        if weights is None:
            return np.cumsum(self._truth)[self._last_of_ties], self._last_of_ties + 1
        hits, called = np.cumsum(weights * self._truth, axis=-1), np.cumsum(weights, axis=-1)
        return hits.take(self._last_of_ties, axis=-1), called.take(self._last_of_ties, axis=-1)


@dataclass(frozen=True)
class OfCounts:
    """Of how many pairs each cell holds. among: the cells, where it is their share of right verdicts."""

    formula: Callable[[Counts], Floats]
    among: tuple[int, ...] = ()

    def __call__(self, cells: np.ndarray) -> np.ndarray:
        """cells: shape (..., 4); gives shape (...)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.formula(Counts.of(cells)))

    def value(self, truth: np.ndarray, verdicts: np.ndarray, scores: np.ndarray) -> float:
        return float(self(cells_of(truth, verdicts)))


def right_share(counts: Counts, among: tuple[int, ...]) -> Floats:
    """The share of right verdicts among the pairs of these cells."""
    right = sum(counts[cell] for cell in among if cell in RIGHT)
    wrong = sum(counts[cell] for cell in among if cell not in RIGHT)
    return np.asarray(right / (right + wrong))


def right_among(*cells: int) -> OfCounts:
    return OfCounts(partial(right_share, among=cells), cells)


@dataclass(frozen=True)
class OfScores:
    """Of the scores as a whole."""

    formula: Callable[[np.ndarray, np.ndarray], float]

    def value(self, truth: np.ndarray, verdicts: np.ndarray, scores: np.ndarray) -> float:
        return self.formula(truth, scores)


@dataclass(frozen=True)
class OfRanking:
    """Of the order of the scores: of the counts of a `Ranking`."""

    formula: Callable[[np.ndarray, np.ndarray], Floats]

    def value(self, truth: np.ndarray, verdicts: np.ndarray, scores: np.ndarray) -> float:
        return float(self.formula(*Ranking(truth, scores).counts()))


@dataclass(frozen=True)
class MeanLoss:
    """The mean of what each pair's score costs, float64 (n,)."""

    loss: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def value(self, truth: np.ndarray, verdicts: np.ndarray, scores: np.ndarray) -> float:
        return float(self.loss(truth, scores).mean())


Formula: TypeAlias = OfCounts | OfScores | OfRanking | MeanLoss


@dataclass(frozen=True)
class Requirement:
    """What pairs must hold for a figure to have a value, and the reason that is given where they do not."""

    holds: Callable[[Counts], object]
    reason: str
