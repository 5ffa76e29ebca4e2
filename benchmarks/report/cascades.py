"""The cascade in the summary: what one would have been worth in this run, and how a run as one went."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from benchmarks.cascade import CONFIDENCE, Curve, CurvePoint, curve
from benchmarks.runs import RunResult
from benchmarks.stats import FAILED, DetectorResult, UndefinedMetricError


def curves(run: RunResult, clusters: np.ndarray, margin: float) -> list[dict[str, Any]]:
    """Of each local detector and judge, over labelled pairs that both answered; none where the run is one."""
    if run.cascade:
        return []
    couples = product(run.of_role("local"), run.of_role("judge"))
    return [_curve(run.labels, local, judge, clusters, margin) for local, judge in couples]


def _curve(
    labels: np.ndarray, reactor: DetectorResult, judge: DetectorResult, clusters: np.ndarray, margin: float
) -> dict[str, Any]:
    used = (labels >= 0) & (reactor.verdicts != FAILED) & (judge.verdicts != FAILED)
    entry: dict[str, Any] = {"reactor": reactor.name, "judge": judge.name, "pairs": int(used.sum())}
    dollars = judge.dollars_of_pair
    try:
        trade_off = curve(
            labels[used],
            reactor.scores[used],
            judge.verdicts[used],
            clusters[used],
            None if dollars is None or judge.from_cache else dollars[used],
            margin=margin,
        )
    except UndefinedMetricError as reason:
        return {**entry, "curve": [], "absent": {"curve": str(reason)}}
    return {**entry, **_points(trade_off), "margin": margin, "absent": {}}


def _points(found: Curve) -> dict[str, Any]:
    return {
        "curve": [
            {
                "sent": point.sent,
                **point.metrics,
                "dollars": point.dollars,
                "intervals": {name: list(ends) for name, ends in point.intervals.items()},
                "difference": point.difference,
                "difference_interval": list(point.difference_interval),
            }
            for point in found.points
        ],
        "indistinguishable": _place(found.indistinguishable),
        "not_worse": _place(found.not_worse),
    }


def _place(point: CurvePoint | None) -> dict[str, Any] | None:
    if point is None:
        return None
    return {"sent": point.sent, "dollars": point.dollars, "accuracy": point.metrics["accuracy"]}


def cascade_run(run: RunResult) -> dict[str, Any]:
    """How a run as a cascade shared out its pairs, what is promised of it, and what it saved."""
    cascade = run.cascade
    if cascade is None:
        raise ValueError("this run was not a cascade")
    plan, decision = cascade.plan, cascade.decision
    entry: dict[str, Any] = {
        "reactor": cascade.sides.cheap,
        "judge": cascade.sides.dear,
        "risk": plan.risk,
        "confidence": CONFIDENCE,
        "most_sent": plan.max_sent,
    }
    if decision is None:
        return {
            **entry,
            "absent": {"bounds": "the run ended before the judge was asked about the whole sample"},
        }
    judge = run.detector(cascade.sides.dear)
    bounds, thresholds = decision.bounds, decision.thresholds
    return {
        **entry,
        "pairs": run.labels.size,
        "sampled": int(decision.sampled.sum()),
        "sampled_contradictions": decision.sample.contradictions.size,
        "asked": int(decision.asked.sum()),
        "spared": int((~decision.asked).sum()),
        "thresholds": {"lower": thresholds.lower, "upper": thresholds.upper},
        "bounds": {
            "missed": bounds.missed,
            "promised": bounds.promised,
            "false_alarms": bounds.false_alarms,
            "disagreement": bounds.disagreement,
        },
        "in_sample": {"missed": bounds.missed_in_sample, "false_alarms": bounds.false_alarms_in_sample},
        "dollars": judge.dollars,
        "dollars_saved": _saved(judge, decision.sampled, decision.asked),
        "absent": {},
    }


def _saved(judge: DetectorResult, sampled: np.ndarray, asked: np.ndarray) -> float | None:
    """What the pairs that were not sent would have cost, by the mean of the sample."""
    if judge.dollars_of_pair is None or judge.from_cache or not sampled.any():
        return None
    return float(judge.dollars_of_pair[sampled].mean() * (~asked).sum())
