"""The figures of speed: how long a pair took, how many a second, how many at once."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.stats.figure import DetectorFigure, Shown, Unit, is_any, is_measured, is_timed_by_pair
from benchmarks.stats.metrics import require
from benchmarks.stats.results import OneDetector
from benchmarks.stats.times import TIMES, Time, mean_in_flight, pairs_per_s

NOT_TIMED = "no answer was timed"
REPLAYED = "its verdicts were read from a file"
AMORTISED = "pairs are timed by the batch, so there is only a mean"
COMPUTED = "pairs are computed in batches, not sent one by one"
NO_TIMES_IN_FILE = "its file states no times"
ONLY_MEAN_OF_FILE = "its file may state times of batches, so there is only a mean"
NO_RETRIES_IN_FILE = "its file states no retries"


def _timed(times: np.ndarray) -> np.ndarray:
    return np.asarray(times[~np.isnan(times)])


def _latency(time: Time, one: OneDetector) -> float:
    times = _timed(one.detector.latency_ms)
    require(times.size, _not_timed(one))
    return float(time.formula(times))


def _with_retries(time: Time, one: OneDetector) -> float | None:
    times = _timed(one.detector.latency_ms + one.detector.wait_ms)
    return float(time.formula(times)) if times.size else None  # the latency says why


def _not_timed(one: OneDetector) -> str:
    return NO_TIMES_IN_FILE if one.info.is_replayed else NOT_TIMED


def _amortised(one: OneDetector, reason: str = AMORTISED) -> str | None:
    return reason if one.info.is_amortised else None


def _why_no_percentile(one: OneDetector) -> str | None:
    if not _timed(one.detector.latency_ms).size:
        return _amortised(one, _not_timed(one))
    return _amortised(one, ONLY_MEAN_OF_FILE if one.info.is_replayed else AMORTISED)


def _why_none_with_retries(one: OneDetector, reason: str) -> str | None:
    if one.info.is_replayed:
        return reason and NO_RETRIES_IN_FILE
    return _amortised(one, reason)


def _why_none_in_flight(one: OneDetector) -> str | None:
    return _amortised(one, REPLAYED if one.info.is_replayed else COMPUTED)


def _pairs_per_s(one: OneDetector) -> float:
    """Replies from a cache take no time to speak of, so with them there is no speed of the endpoint."""
    at_work_s = _at_work_s(one)
    require(not one.detector.from_cache, "replies came from the cache")
    _require_time(one)
    return pairs_per_s(one.answered, at_work_s)


def _mean_in_flight(one: OneDetector) -> float:
    _require_time(one)
    require(one.detector.mode != "batch", "it was asked in batches")
    return mean_in_flight(one.detector.busy_s, _at_work_s(one))


def _require_time(one: OneDetector) -> None:
    require(not one.info.is_replayed, REPLAYED)
    require(one.answered, "no pair was answered")
    require(_at_work_s(one) > 0, "no time was measured")


def _at_work_s(one: OneDetector) -> float:
    return one.detector.wall_s - float(one.detector.settings.get("load_s", 0.0))  # loading is done once


SPEED = (
    *(
        DetectorFigure(
            f"latency_ms.{time.name}",
            f"{time.label} latency",
            time.meaning,
            Unit.MILLISECONDS,
            shown=Shown.TABLE if time.of_each else Shown.TABLE | Shown.OF_RUNS,
            only_of=is_timed_by_pair if time.of_each else is_any,
            of=partial(_latency, time),
            why_none=_why_no_percentile if time.of_each else is_measured,
        )
        for time in TIMES
    ),
    *(
        DetectorFigure(
            f"pair_ms.{time.name}",
            f"{time.label} with retries",
            time.meaning,
            Unit.MILLISECONDS,
            shown=Shown.TABLE if time.with_retries else Shown.NOWHERE,
            only_of=is_timed_by_pair,
            of=partial(_with_retries, time),
            why_none=partial(_why_none_with_retries, reason=AMORTISED if time.with_retries else ""),
        )
        for time in TIMES
    ),
    DetectorFigure(
        "pairs_per_s",
        "pairs a second",
        "Answered pairs a second of its whole pass, reading and recording included, loading of models not.",
        Unit.PER_SECOND,
        of=_pairs_per_s,
    ),
    DetectorFigure(
        "mean_in_flight",
        "mean in flight",
        "Of a judge: summed latency over wall time.",
        Unit.IN_FLIGHT,
        only_of=is_timed_by_pair,
        of=_mean_in_flight,
        why_none=_why_none_in_flight,
    ),
    DetectorFigure(
        "wall_s",
        "wall time",
        "Seconds from the first question to the last answer.",
        Unit.SECONDS,
        of=lambda one: float(one.detector.wall_s),
    ),
)
