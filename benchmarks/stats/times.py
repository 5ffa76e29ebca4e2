"""How long pairs took: the mean and percentiles of their times, and how many were in flight on average."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np


@dataclass(frozen=True)
class Time:
    """Of the milliseconds that pairs took. of_each: whether a batch's time over its pairs will not do.

    with_retries: whether it is also shown of a pair's failed attempts and waiting together.
    """

    name: str
    label: str
    meaning: str
    formula: Callable[[np.ndarray], np.floating]
    of_each: bool = True
    with_retries: bool = False


TIMES = (
    Time("mean", "mean", "Mean over the answered pairs.", np.mean, of_each=False, with_retries=True),
    Time("p50", "median", "Median.", partial(np.percentile, q=50)),
    Time("p95", "p95", "95th percentile.", partial(np.percentile, q=95), with_retries=True),
    Time("p99", "p99", "99th percentile.", partial(np.percentile, q=99)),
)


def times_of(latency_ms: np.ndarray) -> dict[str, float]:
    """`TIMES` of these milliseconds, by name; none of no times."""
    return {time.name: float(time.formula(latency_ms)) for time in TIMES} if len(latency_ms) else {}


def pairs_per_s(answered: int, wall_s: float) -> float:
    return answered / wall_s


def mean_in_flight(busy_s: float, wall_s: float) -> float:
    """Little's law: the latencies of all attempts, summed, over wall time."""
    return busy_s / wall_s
