"""What the plots of a report draw, as points: pure functions of a detector's arrays, thinned for the page."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from benchmarks.stats import Ranking

MAX_POINTS = 300
Curve = list[tuple[float, float]]


def thinned(x: np.ndarray, y: np.ndarray, maximum: int = MAX_POINTS) -> Curve:
    """At most so many points, evenly taken, both ends among them."""
    if x.size > maximum:
        kept = np.unique(np.linspace(0, x.size - 1, maximum).round().astype(np.int64))
        x, y = x[kept], y[kept]
    return list(zip(x.tolist(), y.tolist(), strict=True))


def stepped(points: Curve, *, before: bool = False) -> Curve:
    """The corners of a staircase through the points: y changes at each point, or, `before`, ahead of it."""
    corners = points[:1]
    for (x0, y0), (x1, y1) in pairwise(points):
        corners += [(x0, y1) if before else (x1, y0), (x1, y1)]
    return corners


def roc(truth: np.ndarray, scores: np.ndarray) -> Curve:
    """(false positive rate, recall), from (0, 0) to (1, 1). Both classes must occur."""
    hits, called = (np.concatenate(([0], counts)) for counts in Ranking(truth, scores).counts())
    return thinned((called - hits) / (called[-1] - hits[-1]), hits / hits[-1])


def precision_recall(truth: np.ndarray, scores: np.ndarray) -> Curve:
    """(recall, precision), as steps, whose area is the average precision. Both classes must occur."""
    hits, called = Ranking(truth, scores).counts()
    points = thinned(hits / hits[-1], hits / called)
    return stepped([(0.0, points[0][1]), *points], before=True)


def distribution(values: np.ndarray) -> Curve:
    """(value, share of values up to it), as steps from 0 to 1."""
    ordered = np.sort(values)
    points = thinned(ordered, np.arange(1, ordered.size + 1) / ordered.size)
    return stepped([(points[0][0], 0.0), *points])


def in_flight(done_s: np.ndarray, latency_ms: np.ndarray, wall_s: float) -> Curve:
    """(second, most answered requests in flight at once around it), as steps from 0 to `wall_s`.

    done_s: when each answer was there. Requests that brought no verdict are not known here.
    """
    begun_s = np.maximum(0.0, done_s - latency_ms / 1000)
    times = np.concatenate((begun_s, done_s))
    order = np.argsort(times, kind="stable")
    open_now = np.cumsum(np.repeat((1, -1), done_s.size)[order])
    edges = np.linspace(0.0, max(wall_s, float(done_s.max()), 1e-3), min(MAX_POINTS, 2 * done_s.size) + 1)
    part = np.clip(np.searchsorted(edges, times[order], side="right") - 1, 0, edges.size - 2)
    last = np.searchsorted(part, np.arange(edges.size - 1), side="right") - 1
    at_end = np.where(last >= 0, open_now[np.maximum(last, 0)], 0)
    highest = np.concatenate(([0], at_end[:-1]))  # at least what was open when the part began
    np.maximum.at(highest, part, open_now)
    return stepped([*zip(edges[:-1].tolist(), highest.tolist(), strict=True), (float(edges[-1]), 0.0)])
