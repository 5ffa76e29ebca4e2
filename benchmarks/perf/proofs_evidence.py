"""Proofs of the statistics: simulated runs of known truth, many times, and a cascade over real pairs."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import expit

from benchmarks.cascade.cascade import CascadePlan
from benchmarks.detector_info import judge_info, local_info
from benchmarks.perf.proof import Bench, Proof, ProofFinding
from benchmarks.report import build_summary
from benchmarks.runs.run_result import RunResult
from benchmarks.stats import metrics
from benchmarks.stats.evidence import Side, compare, quality_intervals
from benchmarks.stats.results import DetectorResult

SHARE = 0.35  # of contradictions
MARGIN = 0.02
RISK = 0.02
ERRORS = 0.05  # of the simulated judge
MANY = 2_000_000  # pairs that stand for all pairs
REPEATED_SMALL = 25  # times, which shows that a proof runs, and a gross error
MAX_REJECTED = 0.064  # of what should be 5 %, in 1,000 repetitions


def coverage(bench: Bench) -> Iterator[ProofFinding]:
    """Every 95 % interval holds what is true of all pairs about as often as it says."""
    for n in (200,) if bench.small else (200, 1000):
        for name, share in _covered(
            n, bench.size(1000, REPEATED_SMALL), bench.size(MANY, MANY // 10)
        ).items():
            held = 0.92 <= share <= 0.98 if not bench.small else share >= 0.85
            yield ProofFinding(f"95 % interval of {name}, n={n:,}", "92 to 98 %", f"{share:.1%}", held)


def _covered(n: int, repetitions: int, many: int) -> dict[str, float]:
    random = np.random.default_rng(n)
    true = metrics.quality(*scored(random, many)).values
    held: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for seed in range(repetitions):
        for name, (low, high) in quality_intervals(*scored(random, n), np.arange(n), seed=seed).items():
            held[name] += low <= true[name] <= high
            given[name] += 1
    return {name: held[name] / given[name] for name in given}


def scored(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, verdicts, scores) of a detector that is right on five pairs of six, and too sure of itself."""
    labels = (random.random(n) < SHARE).astype(np.int8)
    scores = expit(1.3 * (random.normal(size=n) + 1.8 * labels - 1.1))
    return labels, (scores >= 0.5).astype(np.int8), scores


def tests_of_two(bench: Bench) -> Iterator[ProofFinding]:
    """Tests reject as often as they may where they should not, and often where they should."""
    repetitions = bench.size(1000, REPEATED_SMALL)
    maximum = MAX_REJECTED if not bench.small else 0.15
    for n in (200, 1000):
        share = _claimed(n, 0.0, repetitions, lambda p, _: p < 0.05)
        yield ProofFinding(
            f"McNemar rejects equal detectors, n={n:,}", "at most 6.4 %", f"{share:.1%}", share <= maximum
        )
        share = _claimed(n, MARGIN, repetitions, lambda _, equivalent: equivalent < 0.05)
        what = f"equivalence within 2 points of detectors 2 points apart, n={n:,}"
        yield ProofFinding(what, "at most 6.4 %", f"{share:.1%}", share <= maximum)
    share = _claimed(2000, 0.03, repetitions, lambda p, _: p < 0.05)
    what = "McNemar finds 3 points, n=2,000, 15 % discordant"
    yield ProofFinding(what, "at least 90 %", f"{share:.1%}", share >= (0.9 if not bench.small else 0.8))
    for difference in (0.0, 0.03):
        share = _claimed(50, difference, repetitions, lambda p, equivalent: min(p, equivalent) < 0.05)
        what = f"anything claimed of detectors {difference:.0%} apart, n=50"
        yield ProofFinding(what, "under 5 %", f"{share:.1%}", share < (0.05 if not bench.small else 0.15))


def _claimed(
    n: int, difference: float, repetitions: int, is_claimed: Callable[[float, float], bool]
) -> float:
    """How often something is claimed of two detectors that are so far apart; 15 % of the pairs discordant."""
    random = np.random.default_rng([n, round(1000 * difference)])
    claimed = 0
    for _ in range(repetitions):
        labels = (random.random(n) < SHARE).astype(np.int8)
        which = random.random(n)
        only_a = which < (0.15 + difference) / 2
        only_b = ~only_a & (which < 0.15)
        neither = which > 0.95
        a, b = (
            Side(name, np.where(wrong | neither, 1 - labels, labels).astype(np.int8), labels * 1.0, False)
            for name, wrong in (("a", only_b), ("b", only_a))
        )
        found = compare(labels, a, b, np.arange(n), margin=MARGIN)
        claimed += is_claimed(found.mcnemar_p or 0.0, found.equivalence_p or 0.0)
    return claimed / repetitions


def cascade_bounds(bench: Bench) -> Iterator[ProofFinding]:
    """The bounds of a cascade hold on the pairs beside its sample; the judge errs at random on 5 %."""
    repetitions = bench.size(1000, REPEATED_SMALL)
    for n, maximum in ((1000, None), (5000, None), (5000, 0.3)):
        for name, share in _broken(n, maximum, repetitions).items():
            limited = "" if maximum is None else f", at most {maximum:.0%} sent"
            what = f"a cascade's bound of {name} is broken, risk {RISK}{limited}, n={n:,}"
            held = share <= (MAX_REJECTED if not bench.small else 0.15)
            yield ProofFinding(what, "at most 6.4 %", f"{share:.1%}", held)


def _broken(n: int, max_sent: float | None, repetitions: int) -> dict[str, float]:
    random = np.random.default_rng(n)
    plan = CascadePlan(RISK, max_sent)
    broken: Counter[str] = Counter()
    for _ in range(repetitions):
        labels, _, scores = scored(random, n)
        judged = np.where(random.random(n) < ERRORS, 1 - labels, labels).astype(np.int8)
        for name, is_broken in broken_bounds(plan, scores, judged).items():
            broken[name] += is_broken
    return {name: broken[name] / repetitions for name in broken}


def broken_bounds(plan: CascadePlan, scores: np.ndarray, judged: np.ndarray) -> dict[str, bool]:
    """Which bounds do not hold beside the sample, where the judge would say this of every pair."""
    verdicts = np.full(scores.size, -1, np.int8)
    for chosen, _ in plan.rounds(scores, verdicts):
        verdicts[chosen] = judged[chosen]
    decision = plan.decide(scores, verdicts)
    rest, called = ~decision.sampled, decision.thresholds.called(scores)
    missed, alarms = ~decision.asked & ~called & (judged == 1), ~decision.asked & called & (judged == 0)
    found = {
        "missed": (missed, rest & (judged == 1), decision.bounds.missed),
        "false alarms": (alarms, rest & (judged == 0), decision.bounds.false_alarms),
        "disagreement": (missed | alarms, rest, decision.bounds.disagreement),
    }
    return {name: bool(these.sum() > bound * of.sum()) for name, (these, of, bound) in found.items()}


def large(bench: Bench) -> Iterator[ProofFinding]:
    """The whole summary of a large run: every figure of two detectors, by category too, and the curve."""
    n = bench.size(100_000, 5_000)
    begun = time.perf_counter()
    before = _peak_mb()
    build_summary(large_run(n), MARGIN, prevalence=0.01)
    seconds, peak = time.perf_counter() - begun, _peak_mb()
    what = f"summary of {n:,} pairs and two detectors, 2,000 draws"
    yield ProofFinding(what, "under 30 s", f"{seconds:.1f} s", seconds < 30, timed=True)
    added = max(0.0, peak - before)
    yield ProofFinding(
        "peak memory of it, over what was held before", "under 1 GB", f"{added:,.0f} MB", added < 900
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def large_run(n: int) -> RunResult:
    random = np.random.default_rng(0)
    labels, verdicts, scores = scored(random, n)
    said = np.where(random.random(n) < ERRORS, 1 - labels, labels).astype(np.int8)
    sure = np.clip(np.where(said == 1, 0.9, 0.1) + random.normal(size=n) / 30, 0, 1)
    common: dict[str, Any] = {"asked": 1, "used": 1, "wall_s": 1.0}
    times = random.gamma(20, 10, n)
    return RunResult(
        created="2026-01-01T00:00:00+00:00",
        dataset={"name": "made", "sha256": "0" * 64, "available": n},
        labels=labels,
        detectors=(
            DetectorResult(
                local_info("kimera", "reactor"), mode="single", verdicts=verdicts, scores=scores,
                latency_ms=np.full(n, 0.1), wait_ms=np.zeros(n), **common,
            ),
            DetectorResult(
                judge_info("judge"), mode="async", verdicts=said, scores=sure, latency_ms=times,
                wait_ms=np.zeros(n), dollars=1e-3 * n, dollars_of_pair=times * 5e-6, **common,
            ),
        ),
        clusters=np.arange(n) // 2,
        categories=random.integers(20, size=n).astype(np.int32),
        category_names=tuple(f"category {number}" for number in range(20)),
    )  # fmt: skip


PROOFS: dict[str, Proof] = {
    "large": large,  # first, for its peak of memory
    "coverage": coverage,
    "tests": tests_of_two,
    "cascade": cascade_bounds,
}
