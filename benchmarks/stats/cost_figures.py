"""The figures of cost: dollars of a run, and for each thing that they buy."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.stats.figure import DetectorFigure, Interval, Method, Shown, Unit, is_paid
from benchmarks.stats.metrics import UndefinedMetricError, require
from benchmarks.stats.results import OneDetector

# The intervals are imported where they are computed: they take scipy, and --help names figures.


def _dollars(one: OneDetector) -> float:
    if one.detector.dollars is None:
        raise UndefinedMetricError(one.detector.dollars_absent)
    return one.detector.dollars


def _partly_stated(one: OneDetector) -> np.ndarray | None:
    """float64 (n,): the dollars that a file states of some pairs only, NaN for the others."""
    dollars = one.detector.stated_dollars
    if dollars is None:
        return None
    unknown = np.isnan(dollars)
    return dollars if unknown.any() and not unknown.all() else None


def _dollars_at_least(one: OneDetector) -> float | None:
    dollars = _partly_stated(one)
    return one.detector.dollars_at_least if dollars is None else float(np.nansum(dollars))


def _pairs_without_cost(one: OneDetector) -> int | None:
    dollars = _partly_stated(one)
    return None if dollars is None else int(np.isnan(dollars).sum())


def _why_no_price(one: OneDetector) -> str | None:
    if not one.info.is_paid:
        return "a local detector costs nothing"
    if one.detector.dollars_of_pair is None:
        return one.detector.dollars_absent
    return None if one.has_labels else "no pair carries a label"


def _why_not_restated(one: OneDetector) -> str | None:
    """The figures for what is paid here give the reasons."""
    return None if one.prevalence is not None and _why_no_price(one) is None else ""


def _paid(one: OneDetector) -> tuple[np.ndarray, np.ndarray]:
    """(dollars of each pair; bool (n,), the labelled ones that were asked, with or without an answer)."""
    dollars = one.detector.dollars_of_pair
    if dollars is None:
        raise UndefinedMetricError(one.detector.dollars_absent)
    require(not one.detector.from_cache, "replies came from the cache, so their cost is not known")
    asked = (one.labels >= 0) & (one.detector.answered | (dollars > 0))
    require(asked.any(), "no labelled pair was asked")
    return dollars, asked


def _dollars_each(one: OneDetector, wanted: np.ndarray) -> tuple[float, Interval]:
    """For each verdict that is as wanted, int8 (n,), -1 where none is. Failed pairs have cost money too."""
    from benchmarks.stats.intervals import clusters_of, ratio_interval

    dollars, asked = _paid(one)
    right = (one.detector.verdicts == wanted) & one.detector.answered & (wanted >= 0)
    return ratio_interval(dollars[asked], right[asked].astype(np.float64), clusters_of(one.clusters[asked]))


def _dollars_elsewhere(one: OneDetector) -> tuple[float, Interval | None]:
    """For each contradiction found there: a pair that fails costs money, and nothing is found in it."""
    from benchmarks.stats.evidence import share_interval
    from benchmarks.stats.operating_points import cost_of_found

    dollars, asked = _paid(one)
    contradictions = asked & (one.labels == 1)
    is_found = one.detector.verdicts[contradictions] == 1
    interval = share_interval(is_found, one.clusters[contradictions])
    prevalence = one.prevalence or 0.0
    return cost_of_found(float(dollars[asked].mean()), float(is_found.mean()), interval, prevalence)


_each = partial(
    DetectorFigure, unit=Unit.DOLLARS_EACH, takes_labels=True, only_of=is_paid, why_none=_why_no_price
)

DOLLARS = DetectorFigure(
    "dollars",
    "cost",
    "Of a judge: what the run cost; null where it is not known, for the reason in absent. Of a simulated "
    "one, what it would have cost.",
    Unit.DOLLARS,
    shown=Shown.OF_RUNS,
    only_of=is_paid,
    of=_dollars,
)
PARTLY_KNOWN = (
    DetectorFigure(
        "dollars_at_least",
        "cost at least",
        "Where the cost of some pairs or replies only is known: what these cost.",
        Unit.DOLLARS,
        shown=Shown.NOWHERE,
        only_of=is_paid,
        of=_dollars_at_least,
    ),
    DetectorFigure(
        "pairs_without_cost",
        "pairs without a cost",
        "Beside dollars_at_least, of a file: the pairs whose cost it does not state.",
        Unit.COUNT,
        shown=Shown.NOWHERE,
        only_of=is_paid,
        of=_pairs_without_cost,
    ),
)
COSTS = (
    _each(
        "cost.per_correct",
        "dollars per correct verdict",
        "Dollars per correct verdict.",
        interval=Method.RATIO,
        of=lambda one: _dollars_each(one, one.labels),
    ),
    _each(
        "cost.per_contradiction",
        "dollars per contradiction found",
        "Dollars per contradiction found.",
        interval=Method.RATIO,
        of=lambda one: _dollars_each(one, np.where(one.labels == 1, 1, -1)),
    ),
)
COST_AT_PREVALENCE = _each(
    "at_prevalence.dollars_per_contradiction",
    "restated dollars per contradiction",
    "Dollars for each contradiction found, at that prevalence.",
    interval=Method.BY_RECALL,
    of=_dollars_elsewhere,
    why_none=_why_not_restated,
)
