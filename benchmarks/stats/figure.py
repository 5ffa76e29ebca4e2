"""What a figure is: its name and meaning, its formula, its interval, where it is shown.

Three kinds, by what their formula is of: `QualityFigure` of verdicts and scores beside the truth, whose
interval and difference follow from its kind of formula; `DetectorFigure` of all that one detector did;
`AgreementFigure` of the verdicts of two. `figures` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import TypeAlias

from benchmarks.detector_info import DetectorInfo
from benchmarks.stats.formulas import Formula, Requirement
from benchmarks.stats.results import OneDetector, TwoDetectors

Interval: TypeAlias = tuple[float, float]


class Unit(Enum):
    """Each report writes it in its way; `benchmarks.stats.figure_tables` has its type in JSON."""

    SHARE = "from 0 to 1"
    CORRELATION = "up to 1"
    LOSS = "from 0"
    DIFFERENCE = "of either sign"
    COUNT = "pairs or requests"
    MILLISECONDS = "ms"
    SECONDS = "s"
    PER_SECOND = "1/s"
    IN_FLIGHT = "requests at once"
    DOLLARS = "dollars of a run, perhaps not known"
    DOLLARS_EACH = "dollars for one"


class Method(Enum):
    """Of a 95 % interval; its words are those of the schema and of docs/statistics.md."""

    WILSON = "Wilson (1927), over the effective number of pairs"
    BOOTSTRAP = "BCa bootstrap (Efron 1987), 2,000 draws of clusters"
    DELONG = "DeLong et al. (1988), by its logit; over clusters by Obuchowski (1997)"
    INVERSION = "inversion of its test; it may lie below the figure"
    TANGO = "Tango (1998), widened by the design effect of the clusters"
    PAIRED_BOOTSTRAP = "paired BCa bootstrap, 2,000 draws of clusters"
    PAIRED_DELONG = "DeLong et al. (1988), paired"
    RATIO = "of a ratio, by its logarithm, over clusters (Cochran 1977)"
    BY_RECALL = "by the interval of recall"
    FEW_LABELS = "of the score, over strata (Miettinen and Nurminen 1985), or that of the labels alone"
    LABELS_ALONE = "as of the figure on labelled pairs"


class Shown(Flag):
    """Where a figure is shown beside the summary, or what else it is measured on."""

    NOWHERE = 0
    TABLE = auto()  # a row for all detectors side by side
    PLOT = auto()  # the page's plot of quality
    PICTURE = auto()  # comparison.png
    CATEGORIES = auto()  # of each category
    DIFFERENCES = auto()  # of two detectors, and of two runs
    ELSEWHERE = auto()  # of verdicts at another threshold, and of a cascade
    PREVALENCE = auto()  # restated by --prevalence
    CALIBRATED = auto()  # of scores by --calibrate
    OF_RUNS = (
        auto()
    )  # of two runs, over all pairs; only what follows from the pairs, not from a run as a whole


# Of which detectors a figure is, whatever the pairs.


def is_any(_: DetectorInfo) -> bool:
    return True


def is_one(info: DetectorInfo) -> bool:
    """Whether its scores are of one kind: those of a cascade's two sides, taken by turns, are no ranking."""
    return info.sides is None


def is_local(info: DetectorInfo) -> bool:
    return info.role == "local"


def is_paid(info: DetectorInfo) -> bool:
    return info.is_paid


def is_asked(info: DetectorInfo) -> bool:
    """Whether it is asked pair by pair, and so as often and for as much as is wanted."""
    return info.is_paid and info.role != "combination"


def is_timed_by_pair(info: DetectorInfo) -> bool:
    return not info.is_amortised


@dataclass(frozen=True)
class Figure:
    """One number of a detector, or of two, in summary.json.

    name: its key; of one in a group it is dotted, "latency_ms.p95". meaning: one line, for the schema and the
    documents. only_of: the detectors that can have it.
    """

    name: str
    label: str
    meaning: str
    unit: Unit = Unit.SHARE
    shown: Shown = Shown.TABLE
    interval: Method | None = None
    takes_labels: bool = False
    only_of: Callable[[DetectorInfo], bool] = is_any

    @property
    def group(self) -> str:
        """The object that it stands in, empty for the detector's own."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True, kw_only=True)
class QualityFigure(Figure):
    """A figure of verdicts and scores beside the truth, or of the verdicts of two.

    needs: beside any pair, in this order, for a value. over_all: whether it is over all labelled pairs, one
    without a verdict counted as wrong. source: of the formula.
    """

    of: Formula
    needs: tuple[Requirement, ...] = ()
    over_all: bool = False
    source: str = ""


def is_measured(_: OneDetector) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class DetectorFigure(Figure):
    """A figure of one detector over the pairs of a run.

    of: its value, or that and its interval; None where the reason of another figure will do. Raises
        UndefinedMetricError where these pairs give none.
    why_none: why this run has no such figure at all, "" where that goes without saying;
        None where it has one.
    """

    of: Callable[[OneDetector], float | tuple[float, Interval | None] | None]
    why_none: Callable[[OneDetector], str | None] = is_measured


@dataclass(frozen=True, kw_only=True)
class AgreementFigure(Figure):
    """A figure of the verdicts of two detectors. of: raises UndefinedMetricError where there is none."""

    of: Callable[[TwoDetectors], float]
