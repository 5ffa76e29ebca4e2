"""What a run found: the arrays and facts that figures turn into numbers and the report into files.

Texts and reasonings stay on disk, in the dataset and the journal; only numbers are held here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.detector_info import DetectorInfo
from kimera.models import MapName, ScoreMap
from kimera.pairs import NO_CLASS
from kimera.pairs import SCORE_SOURCES as SOURCES

FAILED = -1
NO_PRICE = "no price is known"
NO_FEE = "a local endpoint costs nothing"
SCORE_SOURCES = ("", *SOURCES)


def title_of(name: str, simulated: bool) -> str:
    """A simulated judge is called so wherever its numbers appear."""
    return f"{name} (simulated)" if simulated else name


@dataclass(frozen=True)
class DetectorResult:
    """One detector over the n pairs of a run. Arrays are in the order of the pairs.

    info: what it is.
    verdicts: int8 (n,), 1 contradiction, 0 not, FAILED where the detector gave no verdict.
    scores: float64 (n,), P(contradiction), NaN where it failed.
    latency_ms, wait_ms: float64 (n,), as `kimera.pairs.Verdict` defines them, NaN where it failed.
    mode: "single", "mp" or "ray" where it is local, "sync", "async" or "batch" for a judge.
    asked, used: how many processes (local) or requests in flight (judge) were asked for, which
        may be "auto", and used.
    done_s: float32 (n,), seconds into the run at which the answer was there, NaN where it failed or came from
        a cache.
    score_sources: uint8 (n,), where each score comes from: indices into SCORE_SOURCES.
    errors: failures by kind. tokens: {"prompt", "completion", ...} over all attempts, None of a local one.
    tokens_of_pair: the same by pair, uint64 (n,) of each kind.
    settings: those of `info`, and what the run counted beside them, JSON-ready.

    Of a judge also:
    busy_s: time in flight, summed over all attempts. attempts: requests sent. attempt_errors:
        those of them that brought no verdict, by kind. from_cache: replies that
    were not paid for again. cut_off: passes that ended with requests in flight, of which nothing is known.
    stated: float64 (n,), P(contradiction) by stated confidence, beside scores that come from logprobs.
    variants: int8 (n, v), the verdict of each asking of a pair: `repeat` times, then with `swap` as often
        with its texts swapped; FAILED or below where there is none.
    dollars: what the run cost; None where it is not known. dollars_of_pair: float64 (n,), by pair.
    dollars_at_least: where some replies state no tokens, what the others cost.
    stated_dollars: float64 (n,), what a file says that each pair cost, NaN where it says nothing.
    tokens_absent, dollars_absent: why a number of tokens, by its kind, and the dollars are not known.
    loop: the event loop that carried its requests, empty where there is none, or nobody wrote it down.
    limit_changes: (seconds, requests in flight, reason) of each change that --async auto made.

    In a run as a cascade:
    measured: bool (n,), the judge's pairs that were drawn at random; its quality is that on them. None: all.
    spared: how many pairs the judge did not have to be asked about.
    unranked: why the scores are no ranking; empty where they are one.
    tells_classes: whether a verdict of it tells P(entailment) or P(neutral), or states one of three classes.
    classes: int8 (n,), which of `kimera.pairs.RELATIONS` each verdict is, NO_CLASS where it does not tell;
        None of what tells contradictions only.
    """

    info: DetectorInfo
    mode: str
    asked: int | str
    used: int
    wall_s: float
    verdicts: np.ndarray
    scores: np.ndarray
    latency_ms: np.ndarray
    wait_ms: np.ndarray
    errors: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] | None = None
    tokens_of_pair: Mapping[str, np.ndarray] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    busy_s: float = 0.0
    attempts: int = 0
    attempt_errors: dict[str, int] = field(default_factory=dict)
    from_cache: int = 0
    cut_off: int = 0
    stated: np.ndarray | None = None
    variants: np.ndarray | None = None
    dollars: float | None = None
    dollars_at_least: float | None = None
    dollars_of_pair: np.ndarray | None = None
    dollars_absent: str = NO_PRICE
    stated_dollars: np.ndarray | None = None
    tokens_absent: dict[str, str] = field(default_factory=dict)
    limit_changes: tuple[tuple[float, int, str], ...] = ()
    score_sources: np.ndarray | None = None
    done_s: np.ndarray | None = None
    measured: np.ndarray | None = None
    spared: int = 0
    loop: str = ""
    unranked: str = ""
    tells_classes: bool = False
    classes: np.ndarray | None = None

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def kind(self) -> str:
        """A word to show; to ask what it is there is `info`."""
        return self.info.kind

    @property
    def simulated(self) -> bool:
        return self.info.is_simulated

    @property
    def title(self) -> str:
        """The name as people see it."""
        return title_of(self.name, self.simulated)

    @property
    def answered(self) -> np.ndarray:
        """bool (n,): where the detector gave a verdict."""
        return np.asarray(self.verdicts != FAILED)

    def among(self, at: np.ndarray, spared: int) -> DetectorResult:
        """The same on these pairs alone, int (m,), of which so many were spared.

        What follows from the pairs is of these. What only the run as a whole has (times of all, requests,
        failures by kind) stays that of the run.
        """

        def here(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[at]

        dollars = here(self.dollars_of_pair)
        tokens = {kind: counts[at] for kind, counts in self.tokens_of_pair.items()}
        return replace(
            self,
            verdicts=self.verdicts[at],
            scores=self.scores[at],
            latency_ms=self.latency_ms[at],
            wait_ms=self.wait_ms[at],
            done_s=here(self.done_s),
            score_sources=here(self.score_sources),
            stated=here(self.stated),
            variants=here(self.variants),
            measured=here(self.measured),
            classes=here(self.classes),
            dollars_of_pair=dollars,
            stated_dollars=here(self.stated_dollars),
            tokens=self.tokens and {kind: int(counts.sum()) for kind, counts in tokens.items()},
            tokens_of_pair=tokens,
            dollars=None if dollars is None else float(dollars.sum()),
            dollars_at_least=None,
            spared=spared,
        )


@dataclass(frozen=True)
class CrossFitted:
    """What calibration made of one detector's scores.

    scores: float64 (n,). Of a labelled pair by the map that was fitted on the other folds; of one without a
        label by `map`; NaN where the detector failed.
    pairs: how many the maps were fitted on: labelled and answered. folds: how many parts these were in.
    map: fitted on all of them, for scores to come.
    """

    method: MapName
    scores: np.ndarray
    pairs: int
    map: ScoreMap
    folds: int


@dataclass(frozen=True)
class OneDetector:
    """What a figure of one detector may follow from.

    labels: int8 (n,), 1 contradiction, 0 not, -1 where there is none or the verdict does not count for it.
    clusters: int64 (n,), pairs of one number share a text. prevalence: of contradictions elsewhere.
    calibration: of its scores, or why there is none; None where nobody asked for it.
    gold_classes: int8 (n,), indices of the labels into `kimera.pairs.RELATIONS`, NO_CLASS where a pair has
        none of the three or the verdict does not count; None where nobody knows.
    """

    detector: DetectorResult
    labels: np.ndarray
    clusters: np.ndarray
    prevalence: float | None = None
    calibration: CrossFitted | str | None = None
    gold_classes: np.ndarray | None = None

    @property
    def info(self) -> DetectorInfo:
        return self.detector.info

    @property
    def has_labels(self) -> bool:
        return bool((self.labels >= 0).any())

    @cached_property
    def of_three_classes(self) -> np.ndarray:
        """bool (n,): the pairs whose label and whose verdict are each known as one of the three."""
        gold, said = self.gold_classes, self.detector.classes
        if gold is None or said is None:
            return np.zeros(self.labels.size, bool)
        return np.asarray((gold != NO_CLASS) & (said != NO_CLASS))

    @property
    def answered(self) -> int:
        """How many pairs."""
        return int(self.detector.answered.sum())


@dataclass(frozen=True)
class TwoDetectors:
    """What a figure of two detectors' verdicts may follow from: int8 (n,), FAILED where there is none.

    labels: as of `OneDetector`. a, b: each one's verdicts.
    """

    labels: np.ndarray
    a: np.ndarray
    b: np.ndarray

    @cached_property
    def both(self) -> np.ndarray:
        """bool (n,): where both gave a verdict."""
        return np.asarray((self.a != FAILED) & (self.b != FAILED))
