"""A run as a cascade: what it made of the pairs, as one more detector beside the two that it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.cascade import CascadePlan, Decision, settled_verdict
from benchmarks.failures import kind_of
from benchmarks.results import CASCADE_NAME, FAILED, DetectorResult
from kimera.pairs import Failure, Verdict

UNRANKED = "its scores come from two detectors"


@dataclass(frozen=True)
class CascadeRun:
    """A cascade in a run.

    decision: None where the run ended before the judge was asked about all that was due; `unfinished` says
    how much.
    """

    plan: CascadePlan
    reactor: str
    judge: str
    decision: Decision | None
    unfinished: str = ""

    def findings(
        self, rows: Iterator[Sequence[Verdict | Failure]]
    ) -> Iterator[tuple[Verdict | Failure, Verdict | Failure | None, Verdict | Failure]]:
        """The reactor's and the judge's finding of each pair in order, with the cascade's beside them.

        None of the judge where it did not have to be asked.
        """
        for index, (reactor, judge) in enumerate(rows):
            was_asked = self.decision is None or bool(self.decision.asked[index])
            yield reactor, judge if was_asked else None, self.finding(index, reactor, judge)

    def finding(self, index: int, reactor: Verdict | Failure, judge: Verdict | Failure) -> Verdict | Failure:
        """The cascade's finding of one pair, from those of the reactor and the judge."""
        if self.decision is None:
            raise ValueError("the run ended before it was decided which pairs go to the judge")
        return judge if self.decision.asked[index] else settled_verdict(reactor, self.decision.thresholds)


def with_cascade(
    plan: CascadePlan, reactor: DetectorResult, judge: DetectorResult, was_asked: np.ndarray
) -> tuple[Sequence[DetectorResult], CascadeRun]:
    """(reactor, judge, cascade), and how the pairs were shared out.

    was_asked: bool (n,), whether the judge was asked about each pair, with or without an answer. The judge's
    quality is that on the sample: what it was asked besides is harder than the rest.
    """
    decision = plan.decide(reactor.scores, judge.verdicts)
    # What an earlier session paid for counts, also where the thresholds have moved since.
    decision = replace(decision, sent=(decision.sent | was_asked) & ~decision.sampled)
    asked = decision.asked
    if missing := int((asked & ~was_asked).sum()):
        due = "of the sample" if not was_asked[decision.sampled].all() else "that the reactor is not sure of"
        unfinished = f"the run ended before the judge was asked about {missing:,} pairs {due}"
        return (reactor, judge), CascadeRun(plan, reactor.name, judge.name, None, unfinished)
    errors = {kind: count for kind, count in judge.errors.items() if not kind_of(kind).is_unasked}
    judge = replace(judge, errors=errors, measured=decision.sampled, spared=int((~asked).sum()))
    run = CascadeRun(plan, reactor.name, judge.name, decision)
    return (reactor, judge, _cascade(plan, decision, reactor, judge)), run


def _cascade(
    plan: CascadePlan, decision: Decision, reactor: DetectorResult, judge: DetectorResult
) -> DetectorResult:
    asked, called = decision.asked, decision.thresholds.called(reactor.scores)
    verdicts = np.where(asked, judge.verdicts, called).astype(np.int8)
    own = np.where(called == (reactor.verdicts == 1), reactor.scores, 0.5)
    scores = np.where(asked, judge.scores, own)
    scores[verdicts == FAILED] = np.nan
    return replace(
        judge,
        name=CASCADE_NAME,
        kind="cascade",
        wall_s=reactor.wall_s + judge.wall_s,
        verdicts=verdicts,
        scores=scores,
        latency_ms=reactor.latency_ms + np.where(asked, judge.latency_ms, 0.0),
        wait_ms=np.where(asked, judge.wait_ms, 0.0),
        settings={
            "reactor": reactor.name,
            "judge": judge.name,
            "risk": plan.risk,
            **({} if plan.max_sent is None else {"most_sent": plan.max_sent}),
            "load_s": reactor.settings.get("load_s", 0.0),
        },
        stated=None,
        variants=None,
        repeat=1,
        swap=False,
        limit_changes=(),
        score_sources=np.where(asked, _sources(judge), _sources(reactor)).astype(np.uint8),
        measured=None,
        spared=0,
        unranked=UNRANKED,
    )


def _sources(detector: DetectorResult) -> np.ndarray:
    return np.zeros(detector.scores.size) if detector.score_sources is None else detector.score_sources
