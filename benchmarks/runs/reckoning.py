"""What a plan of labels reckons with: measured where labels and local verdicts tell it, else assumed.

Local detectors read a sample of the pairs, and all labelled ones of it; that costs nothing, and a run finds
what they computed in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import Dataset, pairs_at
from benchmarks.settings import RunSettings
from benchmarks.stats import (
    FAILED,
    MIN_LABELS,
    ExpectedSide,
    discordance_of,
    expected_cells,
    share_alone,
)
from benchmarks.wanted_labels import LABELS_PER_HOUR, WantedLabels
from kimera.console import progress_bar
from kimera.detectors import VerdictSource
from kimera.pairs import Verdict

READ_AT_RANDOM = READ_LABELLED = 500  # pairs that a local detector reads
LOCAL_ACCURACY, JUDGE_ACCURACY = 0.8, 0.9
CONTRADICTIONS = 1 / 3
MET_WITHIN = 0.005  # of an agreement that was told


@dataclass(frozen=True)
class Reckoned:
    """A number, what it is of, and where it comes from."""

    name: str
    value: float
    source: str


@dataclass(frozen=True)
class PlannedSide:
    """verdicts: int8 (m,) of the pairs read; None where it is not asked, or not on this machine."""

    name: str
    is_judge: bool
    verdicts: np.ndarray | None = None


@dataclass(frozen=True)
class PairsRead:
    """places: int64 (m,), ascending. is_random: bool (m,), whether these are of the random part."""

    places: np.ndarray
    is_random: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset, seed: int) -> PairsRead:
        order = np.random.default_rng(seed).permutation(len(dataset))
        at_random = order[:READ_AT_RANDOM]
        labelled = order[dataset.labels[order] >= 0][:READ_LABELLED]
        places = np.union1d(at_random, labelled)
        return cls(places, np.isin(places, at_random))

    def verdicts_of(
        self, dataset: Dataset, name: str, source: VerdictSource, workers: int | None, *, quiet: bool
    ) -> np.ndarray:
        """int8 (m,): FAILED where there is none."""
        pairs = pairs_at(dataset, self.places.tolist())
        with source, progress_bar(name, self.places.size, quiet=quiet) as bar:
            told = list(source.stream(pairs, workers, bar.update))
        return np.array(
            [int(each.contradiction) if isinstance(each, Verdict) else FAILED for each in told], np.int8
        )


@dataclass(frozen=True)
class Reckoning:
    """cells: float64 (2, 2, 2), of `stats.expected_cells`. rows: what they follow from.

    missed: by the first detector, the share of the labelled contradictions, its interval, and how many these
    are; None where there is none.
    """

    cells: np.ndarray
    rows: Sequence[Reckoned]
    sides: Sequence[PlannedSide]
    contradictions: float
    labels_per_hour: float
    missed: tuple[float, tuple[float, float], int] | None


def read_sides(
    settings: RunSettings,
    dataset: Dataset,
    read: PairsRead,
    sources: Mapping[str, VerdictSource],
    local: Sequence[tuple[str, bool]],
    judges: Sequence[str],
) -> list[PlannedSide]:
    """The two detectors that the plan is of: the first local one and the first judge, where there are both.

    sources: local detectors that are on this machine. local: (name, whether a judge gave what it says).
    """
    chosen = [*local[: 1 if judges else 2], *((name, True) for name in judges)][:2]
    sides = []
    for name, is_judge in chosen:
        source = sources.get(name)
        verdicts = (
            read.verdicts_of(dataset, name, source, settings.mp, quiet=settings.quiet) if source else None
        )
        sides.append(PlannedSide(name, is_judge, verdicts))
    return sides


def reckoned(
    wanted: WantedLabels, dataset: Dataset, read: PairsRead, sides: Sequence[PlannedSide]
) -> Reckoning:
    contradictions = _contradictions(wanted, dataset, read, sides)
    rows = [contradictions]
    expected = []
    for side in sides:
        accuracy = _accuracy(wanted, dataset, read, side)
        rows.append(accuracy)
        expected.append(ExpectedSide(accuracy.value, _called(read, side)))
    second = expected[1] if len(expected) > 1 else None
    agreement = _agreement(wanted, sides) if second else None
    cells = expected_cells(contradictions.value, expected[0], second, agreement.value if agreement else None)
    if second:
        rows.append(_met(agreement, 1 - discordance_of(cells)))
    rate = wanted.labels_per_hour
    rows.append(Reckoned("labels an hour", rate or LABELS_PER_HOUR, _told(rate, "labels-per-hour")))
    return Reckoning(
        cells, rows, sides, contradictions.value, rows[-1].value, _missed(dataset, read, sides[0])
    )


def _told(given: float | None, key: str) -> str:
    return "as given" if given else f"assumed; {key}= changes it"


def _contradictions(
    wanted: WantedLabels, dataset: Dataset, read: PairsRead, sides: Sequence[PlannedSide]
) -> Reckoned:
    name = "share of contradictions"
    if wanted.contradictions:
        return Reckoned(name, wanted.contradictions, "as given")
    labelled = dataset.labels >= 0
    if labelled.sum() >= MIN_LABELS:
        return _measured(name, dataset, labelled, dataset.labels[labelled] == 1)
    for side in sides:
        called = _called(read, side)
        if called:
            return Reckoned(name, called, f"as many as {side.name} calls so; contradictions= changes it")
    return Reckoned(name, CONTRADICTIONS, _told(None, "contradictions"))


def _measured(name: str, dataset: Dataset, places: np.ndarray, counts: np.ndarray) -> Reckoned:
    """places: an index, of the labelled pairs that `counts` is of."""
    share, (low, high) = _share(dataset, places, counts)
    return Reckoned(name, share, f"from {counts.size:,} labels ({low:.2f} to {high:.2f})")


def _share(dataset: Dataset, places: np.ndarray, counts: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Each label counts by the inverse of the probability with which it was drawn, where that is known."""
    drawn = dataset.drawn[places]
    return share_alone(counts, dataset.clusters[places], None if np.isnan(drawn).any() else 1 / drawn)


def _accuracy(wanted: WantedLabels, dataset: Dataset, read: PairsRead, side: PlannedSide) -> Reckoned:
    name = f"accuracy of {side.name}"
    key, default = ("judge-accuracy", JUDGE_ACCURACY) if side.is_judge else ("local-accuracy", LOCAL_ACCURACY)
    given = wanted.judge_accuracy if side.is_judge else wanted.local_accuracy
    if given:
        return Reckoned(name, given, "as given")
    labels = dataset.labels[read.places]
    if side.verdicts is not None:
        known = (labels >= 0) & (side.verdicts != FAILED)
        if known.sum() >= MIN_LABELS:
            return _measured(name, dataset, read.places[known], labels[known] == side.verdicts[known])
    return Reckoned(name, default, _told(None, key))


def _called(read: PairsRead, side: PlannedSide) -> float | None:
    """The share of the pairs that it calls contradictions, of a random part of them."""
    if side.verdicts is None:
        return None
    said = side.verdicts[read.is_random & (side.verdicts != FAILED)]
    return float(said.mean()) if said.size else None


def _agreement(wanted: WantedLabels, sides: Sequence[PlannedSide]) -> Reckoned | None:
    name = "agreement of the two"
    if wanted.agreement:
        return Reckoned(name, wanted.agreement, "as given")
    a, b = (side.verdicts for side in sides)
    if a is None or b is None:
        return None
    both = (a != FAILED) & (b != FAILED)
    return Reckoned(name, float((a == b)[both].mean()), f"on {both.sum():,} pairs") if both.any() else None


def _met(agreement: Reckoned | None, reckoned_with: float) -> Reckoned:
    """The agreement that the cells have, which these accuracies allow."""
    if agreement is None:
        source = "assumed, as if they erred independently; agreement= changes it"
        return Reckoned("agreement of the two", reckoned_with, source)
    if abs(agreement.value - reckoned_with) <= MET_WITHIN:
        return agreement
    source = f"the nearest to {agreement.value:.2f} that these accuracies allow"
    return Reckoned(agreement.name, reckoned_with, source)


def _missed(
    dataset: Dataset, read: PairsRead, side: PlannedSide
) -> tuple[float, tuple[float, float], int] | None:
    if side.verdicts is None:
        return None
    among = (dataset.labels[read.places] == 1) & (side.verdicts != FAILED)
    if not among.any():
        return None
    rate, ends = _share(dataset, read.places[among], side.verdicts[among] == 0)
    return rate, ends, int(among.sum())
