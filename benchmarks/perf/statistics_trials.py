"""Whether the statistics keep their word: simulated runs of known truth, many times.

python -m benchmarks.perf.statistics_trials [--repetitions 1000]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import expit

from benchmarks import metrics
from benchmarks.cascade import CascadePlan
from benchmarks.cascade_curve import curve
from benchmarks.evidence import Side, compare, quality_intervals
from benchmarks.perf.setting import setting

SHARE = 0.35  # of contradictions
MARGIN = 0.02
MANY = 2_000_000  # pairs that stand for all pairs


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000, metavar="N")
    repetitions: int = parser.parse_args(arguments).repetitions
    print(setting())
    large()  # first, for its peak of memory
    print(f"{repetitions:,} repetitions\n\n| trial | figure | share |\n| --- | --- | --- |")
    for n in (200, 1000):
        for name, share in coverage(n, repetitions).items():
            print(f"| 95 % interval, n={n:,} | {name} | {share:.1%} |", flush=True)
    for n in (200, 1000):
        share = rejected(n, 0.15, 0.0, repetitions, lambda found: found["p"] < 0.05)
        print(f"| McNemar rejects equal detectors, n={n:,} | at most 6.4 % | {share:.1%} |", flush=True)
        share = rejected(n, 0.15, MARGIN, repetitions, lambda found: found["equivalence"] < 0.05)
        print(f"| equivalence of 2 points apart, n={n:,} | at most 6.4 % | {share:.1%} |", flush=True)
    share = rejected(2000, 0.15, 0.03, repetitions, lambda found: found["p"] < 0.05)
    print(f"| McNemar finds 3 points, n=2,000, 15 % discordant | at least 90 % | {share:.1%} |", flush=True)
    for difference in (0.0, 0.03):
        share = rejected(
            50, 0.15, difference, repetitions, lambda found: min(found["p"], found["equivalence"]) < 0.05
        )
        print(f"| any claim, n=50, {difference:.0%} apart | under 5 % | {share:.1%} |", flush=True)
    for n in (1000, 5000):
        for name, share in cascade_broken(n, repetitions).items():
            print(f"| cascade, risk 0.02, n={n:,}: {name} | at most 6.4 % | {share:.1%} |", flush=True)
    return 0


def coverage(n: int, repetitions: int) -> dict[str, float]:
    """How often each interval holds what is true of all pairs."""
    random = np.random.default_rng(n)
    labels, verdicts, scores = scored(random, MANY)
    true = metrics.quality(labels, verdicts, scores).values
    held: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for seed in range(repetitions):
        run = scored(random, n)
        for name, (low, high) in quality_intervals(*run, np.arange(n), seed=seed).items():
            held[name] += low <= true[name] <= high
            given[name] += 1
    return {name: held[name] / given[name] for name in given}


def scored(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, verdicts, scores) of a detector that is right on five pairs of six, and too sure of itself."""
    labels = (random.random(n) < SHARE).astype(np.int8)
    scores = expit(1.3 * (random.normal(size=n) + 1.8 * labels - 1.1))
    return labels, (scores >= 0.5).astype(np.int8), scores


def rejected(
    n: int,
    discordance: float,
    difference: float,
    repetitions: int,
    is_claimed: Callable[[dict[str, float]], bool],
) -> float:
    """How often something is claimed of two detectors that are so far apart."""
    random = np.random.default_rng([n, round(1000 * difference)])
    claimed = 0
    for _ in range(repetitions):
        labels = (random.random(n) < SHARE).astype(np.int8)
        which = random.random(n)
        only_a = which < (discordance + difference) / 2
        only_b = ~only_a & (which < discordance)
        neither = which > 0.95
        sides = [
            Side(name, np.where(wrong | neither, 1 - labels, labels).astype(np.int8), labels * 1.0, False)
            for name, wrong in (("a", only_b), ("b", only_a))
        ]
        found = compare(labels, sides[0], sides[1], np.arange(n), margin=MARGIN)
        claimed += is_claimed({"p": found.mcnemar_p or 0.0, "equivalence": found.equivalence_p or 0.0})
    return claimed / repetitions


def cascade_broken(n: int, repetitions: int) -> dict[str, float]:
    """How often each bound of a cascade is broken on the pairs beside its sample; the judge errs on 5 %."""
    random = np.random.default_rng(n)
    plan = CascadePlan(0.02)
    broken: Counter[str] = Counter()
    for _ in range(repetitions):
        labels, _, scores = scored(random, n)
        judged = np.where(random.random(n) < 0.05, 1 - labels, labels).astype(np.int8)
        verdicts = np.full(n, -1, np.int8)
        for chosen in plan.rounds(scores, verdicts):
            verdicts[chosen] = judged[chosen]
        decision = plan.decide(scores, verdicts)
        rest, called = ~decision.sampled, decision.thresholds.called(scores)
        settled = ~decision.asked
        missed, alarms = settled & ~called & (judged == 1), settled & called & (judged == 0)
        for name, found, of, bound in (
            ("missed", missed, rest & (judged == 1), decision.bounds.missed),
            ("false alarms", alarms, rest & (judged == 0), decision.bounds.false_alarms),
            ("disagreement", missed | alarms, rest, decision.bounds.disagreement),
        ):
            broken[name] += found.sum() > bound * of.sum()
    return {name: broken[name] / repetitions for name in ("missed", "false alarms", "disagreement")}


def large() -> None:
    """All of it on 100,000 pairs."""
    import resource

    n = 100_000
    random = np.random.default_rng(0)
    labels, verdicts, scores = scored(random, n)
    judge = np.where(random.random(n) < 0.05, 1 - labels, labels).astype(np.int8)
    sure = np.clip(np.where(judge == 1, 0.9, 0.1) + random.normal(size=n) / 30, 0, 1)
    clusters = np.arange(n) // 2
    begun = time.perf_counter()
    quality_intervals(labels, verdicts, scores, clusters)
    quality_intervals(labels, judge, sure, clusters)
    compare(labels, Side("a", verdicts, scores), Side("b", judge, sure), clusters, margin=MARGIN)
    curve(labels, scores, judge, clusters, None, margin=MARGIN)
    seconds, peak = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{n:,} pairs, two detectors, 2,000 draws: {seconds:.1f} s, peak memory {peak:,.0f} MB")


if __name__ == "__main__":
    raise SystemExit(main())
