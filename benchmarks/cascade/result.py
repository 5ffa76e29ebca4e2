"""What a run as a cascade made of the pairs, as one more detector beside the two that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.cascade.cascade import CascadePlan, Decision
from benchmarks.cascade.in_run import CascadeRun, plan_in, sides_in
from benchmarks.detector_info import DetectorInfo
from benchmarks.judge import kind_of
from benchmarks.stats import FAILED, DetectorResult

UNRANKED = "its scores come from two detectors"


def with_cascade(
    info: DetectorInfo, detectors: Sequence[DetectorResult], was_asked: np.ndarray, sampled: int
) -> tuple[Sequence[DetectorResult], CascadeRun]:
    """The detectors and the cascade of two of them, and how the pairs were shared out.

    was_asked: bool (n,), whether its dear side was asked about each pair, with or without an answer; how good
    that side is, is told by the sample, since what it was asked besides is harder than the rest.
    sampled: how many pairs an earlier session had sampled.
    """
    sides, plan = sides_in(info), replace(plan_in(info), sampled_before=sampled)
    by_name = {detector.name: detector for detector in detectors}
    cheap, dear = by_name[sides.cheap], by_name[sides.dear]
    decision = plan.decide(cheap.scores, dear.verdicts)
    # What an earlier session paid for counts, also where the thresholds have moved since.
    decision = replace(decision, sent=(decision.sent | was_asked) & ~decision.sampled)
    asked = decision.asked
    if missing := int((asked & ~was_asked).sum()):
        sample_is_whole = was_asked[decision.sampled].all()
        due = f"that {cheap.name} is not sure of" if sample_is_whole else "of the sample"
        unfinished = f"the run ended before {dear.name} was asked about {missing:,} pairs {due}"
        return detectors, CascadeRun(plan, sides, None, unfinished)
    errors = {kind: count for kind, count in dear.errors.items() if not kind_of(kind).is_unasked}
    by_name[sides.dear] = dear = replace(
        dear, errors=errors, measured=decision.sampled, spared=int((~asked).sum())
    )
    cascade = _cascade(info, plan, decision, cheap, dear)
    return (*by_name.values(), cascade), CascadeRun(plan, sides, decision)


def _cascade(
    info: DetectorInfo, plan: CascadePlan, decision: Decision, cheap: DetectorResult, dear: DetectorResult
) -> DetectorResult:
    asked, called = decision.asked, decision.thresholds.called(cheap.scores)
    verdicts = np.where(asked, dear.verdicts, called).astype(np.int8)
    own = np.where(called == (cheap.verdicts == 1), cheap.scores, 0.5)
    scores = np.where(asked, dear.scores, own)
    scores[verdicts == FAILED] = np.nan
    return replace(
        dear,
        info=replace(info, is_simulated=cheap.simulated or dear.simulated),
        wall_s=cheap.wall_s + dear.wall_s,
        verdicts=verdicts,
        scores=scores,
        latency_ms=cheap.latency_ms + np.where(asked, dear.latency_ms, 0.0),
        wait_ms=np.where(asked, dear.wait_ms, 0.0),
        settings={
            "reactor": cheap.name,
            "judge": dear.name,
            "risk": plan.risk,
            **({} if plan.max_sent is None else {"most_sent": plan.max_sent}),
            "load_s": cheap.settings.get("load_s", 0.0),
        },
        stated=None,
        variants=None,
        limit_changes=(),
        score_sources=np.where(asked, _sources(dear), _sources(cheap)).astype(np.uint8),
        measured=None,
        spared=0,
        unranked=UNRANKED,
        tells_classes=False,
        classes=None,
    )


def _sources(detector: DetectorResult) -> np.ndarray:
    return np.zeros(detector.scores.size) if detector.score_sources is None else detector.score_sources
