"""What a cascade would have been worth in a finished run: quality against the share sent to the judge.

The pairs of which the cheap side is least sure (the score nearest to 0.5) go to the judge first. How sure is
sure enough for a share is read from one half of the pairs and applied to the other, and the other way round,
so that no pair decides about itself; pairs that share a text are in the same half.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np

from benchmarks.stats import (
    LEVEL,
    Interval,
    Sample,
    Shown,
    UndefinedMetricError,
    accuracy_difference_interval,
    clusters_of,
    design_effect,
    mcnemar_clustered,
    mcnemar_exact,
    of_counts,
    quantile,
    shown_in,
)
from kimera.detectors import THRESHOLD

SHARES = tuple(share / 20 for share in range(21))


@dataclass(frozen=True)
class CurvePoint:
    """The cascade that sends about this share of the pairs to the judge.

    dollars: of all pairs sent, None where no price is known. metrics, intervals: accuracy, F1 and MCC.
    difference: its accuracy minus the judge's; p: of McNemar's test that there is none.
    """

    sent: float
    dollars: float | None
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    difference: float
    difference_interval: Interval
    p: float

    @property
    def is_worse(self) -> bool:
        """Whether the judge is shown to be more accurate, by the rule that compares two detectors."""
        return self.p < 1 - LEVEL and self.difference_interval[1] < 0


@dataclass(frozen=True)
class Curve:
    """points: ascending by what is sent, first the local detector alone, last the judge alone.

    indistinguishable: the first point from which on the judge is not shown to be more accurate. not_worse:
    the local detector alone, if that is shown to be less accurate by at most the margin, if at all, whatever
    points between show of fewer verdicts of its own; else the first point from which on the cascade is shown
    to be so, as it is where all are sent: the judge alone, however few the pairs. None where there is none.
    """

    pairs: int
    points: tuple[CurvePoint, ...]
    indistinguishable: CurvePoint | None
    not_worse: CurvePoint | None


def curve(
    truth: np.ndarray,
    scores: np.ndarray,
    judged: np.ndarray,
    clusters: np.ndarray,
    dollars: np.ndarray | None,
    *,
    margin: float,
    seed: int = 0,
) -> Curve:
    """All of the same n pairs, labelled and answered by both.

    truth, judged: int8 (n,), 1 for a contradiction. scores: float64 (n,), the cheap side's. dollars: float64
    (n,), what asking the judge about each cost. margin: as for `evidence.compare`. Raises
    UndefinedMetricError for fewer than two clusters, and for labels of one class.
    """
    among = clusters_of(clusters)
    if truth.size < 2 or among.max() < 1:
        raise UndefinedMetricError("there are too few pairs for two halves")
    if np.unique(truth).size < 2:
        raise UndefinedMetricError("all labels are of one class")
    doubt = -np.abs(scores - THRESHOLD)
    half = np.random.default_rng(seed).permutation(int(among.max()) + 1) % 2 == 0
    points = []
    for share in SHARES:
        sent = _sent(doubt, half[among], share)
        said = np.where(sent, judged, scores >= THRESHOLD).astype(np.int8)
        points.append(_point(truth, said, judged, among, sent, dollars, seed))
    no_worse = [point.sent == 1 or point.difference_interval[0] > -margin for point in points]
    return Curve(
        pairs=truth.size,
        points=tuple(points),
        indistinguishable=_first_of_a_tail([not point.is_worse for point in points], points),
        not_worse=points[0] if no_worse[0] else _first_of_a_tail(no_worse, points),
    )


def _sent(doubt: np.ndarray, half: np.ndarray, share: float) -> np.ndarray:
    """bool (n,): in each half, who is in greater doubt than the other half's quantile for this share."""
    if share in (0.0, 1.0):
        return np.full(doubt.size, share == 1.0)
    sent = np.zeros(doubt.size, dtype=bool)
    for here in (half, ~half):
        sent[here] = doubt[here] > np.quantile(doubt[~here], 1 - share)
    return sent


def _point(
    truth: np.ndarray,
    said: np.ndarray,
    judged: np.ndarray,
    clusters: np.ndarray,
    sent: np.ndarray,
    dollars: np.ndarray | None,
    seed: int,
) -> CurvePoint:
    right, judge_right = said == truth, judged == truth
    sample = Sample(truth, said, clusters, seed)
    metrics: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    for name, formula in of_counts(shown_in(Shown.ELSEWHERE)).items():
        with contextlib.suppress(UndefinedMetricError):
            metrics[name], ends = sample.measure(formula)
            if ends:
                intervals[name] = ends
    z = quantile(clusters)
    is_clustered = int(clusters.max()) + 1 < truth.size
    only_cascade, only_judge = int((right & ~judge_right).sum()), int((judge_right & ~right).sum())
    effect = design_effect(right, judge_right, clusters)
    return CurvePoint(
        sent=float(sent.mean()),
        dollars=None if dollars is None else float(dollars[sent].sum()),
        metrics=metrics,
        intervals=intervals,
        difference=(only_cascade - only_judge) / truth.size,
        difference_interval=accuracy_difference_interval(only_cascade, only_judge, truth.size, effect, z),
        p=mcnemar_clustered(right, judge_right, clusters)
        if is_clustered
        else mcnemar_exact(only_cascade, only_judge),
    )


def _first_of_a_tail(holds: list[bool], points: list[CurvePoint]) -> CurvePoint | None:
    """The first point from which on it holds for all."""
    at = len(points)
    while at and holds[at - 1]:
        at -= 1
    return points[at] if at < len(points) else None
