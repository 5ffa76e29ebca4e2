"""Proof of --plan: that so many labels give the width that was wanted, and tell the difference 4 times of 5.

The pairs and detectors are those of `proofs_few_labels`. The plan is told their accuracies and agreement, and
how often the local detector says contradiction; then runs with as many labels as it says are simulated, and
their intervals measured: by the verdicts as planned, and with the judge's scores, which may narrow them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.perf.proof import Bench, Proof, ProofFinding
from benchmarks.perf.proofs_few_labels import MANY, PAIRS, Case, Simulated, labelled_part, simulated
from benchmarks.stats.few_labels import (
    KnownPairs,
    Question,
    answered,
    chosen,
    questions_of_detector,
    questions_of_two,
)
from benchmarks.stats.formulas import Floats
from benchmarks.stats.label_plan import ExpectedSide, WidthPlan, expected_cells, labels_for_difference
from benchmarks.stats.labels_alone import Measure, difference_alone, measured_alone

WIDTHS = (0.05, 0.03)
PREVALENCES = (0.05, 0.2, 0.5)
DIFFERENCES = ((0.05, 0.8), (0.05, 0.9), (0.1, 0.8))  # and the agreement of the two
BETTER = 0.88  # the accuracy of the better one
CONTRADICTIONS = 0.3  # where differences are told
REPETITIONS, REPETITIONS_SMALL = 400, 30
WITHIN = 0.1  # of the wanted width
POWER, POWER_SMALL = (0.75, 0.9), (0.6, 0.97)


def cells_of(case: Case, pairs: int) -> Floats:
    """What a plan reckons with that knows these detectors."""
    of = simulated(np.random.default_rng(0), pairs, case)
    local = ExpectedSide(float((of.local == of.labels).mean()), float(of.local.mean()))
    judge = ExpectedSide(float((of.judge == of.labels).mean()))
    return expected_cells(case.prevalence, local, judge, float((of.local == of.judge).mean()))


def half_widths(runs: list[tuple[Simulated, np.ndarray]], *, with_scores: bool) -> tuple[float, float]:
    """Means over the runs, of the local detector's accuracy and of the judge's."""
    questions: dict[str, Question] = {}
    alone: dict[str, Measure] = {}
    for number, (of, part) in enumerate(runs):
        labels = np.where(part, of.labels, -1).astype(np.int8)
        for side, (own, other) in enumerate([(of.local, of.judge), (of.judge, of.local)]):
            known = KnownPairs(labels, of.clusters, [other == 1], of.scores if with_scores else None)
            name = f"{number} {side}"
            alone[name] = measured_alone("accuracy", of.labels[part], own[part], of.clusters[part])
            asked = questions_of_detector(known, own)
            questions |= {name: asked["accuracy"]} if "accuracy" in asked else {}
    powered = answered(questions)
    each = [chosen(powered.get(name), alone[name]).interval for name in alone]
    local, judge = np.ptp(np.array(each), axis=1).reshape(-1, 2).mean(axis=0) / 2
    return float(local), float(judge)


def share_told(
    random: np.random.Generator, cells: Floats, labels: int, repetitions: int, *, are_all_asked: bool
) -> float:
    """Of the runs, those in which the interval of the difference leaves out 0."""
    questions: dict[str, Question] = {}
    alone: dict[str, Measure] = {}
    pairs = PAIRS if are_all_asked else labels
    clusters, part = np.arange(pairs), np.arange(pairs) < labels  # the pairs are in random order
    for number in map(str, range(repetitions)):
        at = random.choice(8, pairs, p=cells.ravel() / cells.sum())
        truth, a, b = (part_of.astype(np.int8) for part_of in np.unravel_index(at, (2, 2, 2)))
        alone[number] = difference_alone(truth[part], a[part], b[part], clusters[part])
        if are_all_asked:
            known = KnownPairs(np.where(part, truth, -1).astype(np.int8), clusters)
            asked = questions_of_two(known, a, b)
            questions |= {number: asked["accuracy"]} if asked else {}
    powered = answered(questions)
    ends = [chosen(powered.get(number), measure).interval for number, measure in alone.items()]
    return float(np.mean([low > 0 or high < 0 for low, high in ends]))


def label_plan(bench: Bench) -> Iterator[ProofFinding]:
    """Of each wanted width and difference: what the planned number of labels gives."""
    repetitions = bench.size(REPETITIONS, REPETITIONS_SMALL)
    for prevalence in (0.2,) if bench.small else PREVALENCES:
        cells = cells_of(Case(0, prevalence), bench.size(MANY, MANY // 20))
        plan = WidthPlan.of(cells, 2, PAIRS)
        for wanted in WIDTHS[:1] if bench.small else WIDTHS:
            yield _of_width(plan, wanted, prevalence, repetitions)
    for difference, agreement in DIFFERENCES[-1:] if bench.small else DIFFERENCES:
        yield from _of_difference(difference, agreement, repetitions, bench)


def _of_width(plan: WidthPlan, wanted: float, prevalence: float, repetitions: int) -> ProofFinding:
    needed = plan.needed(wanted)
    labels = needed.powered or PAIRS
    case, random = Case(labels, prevalence), np.random.default_rng([labels, round(1000 * prevalence)])
    runs = []
    for _ in range(repetitions):
        of = simulated(random, PAIRS, case)
        runs.append((of, labelled_part(random, case, of.clusters)))
    as_planned = max(half_widths(runs, with_scores=False))
    scored = max(half_widths(runs, with_scores=True))
    return ProofFinding(
        f"±{100 * wanted:g} points, {prevalence:.0%} contradictions",
        "within 10 % of that, and no wider with scores",
        f"{labels:,} labels ({needed.unbounded or 0:,} alone) give ±{100 * as_planned:.2f}, "
        f"with scores ±{100 * scored:.2f}",
        abs(as_planned / wanted - 1) <= WITHIN and scored <= as_planned * (1 + WITHIN / 2),
    )


def _of_difference(
    difference: float, agreement: float, repetitions: int, bench: Bench
) -> Iterator[ProofFinding]:
    sides = ExpectedSide(BETTER), ExpectedSide(BETTER - difference)
    cells = expected_cells(CONTRADICTIONS, *sides, agreement)
    needed = labels_for_difference(cells, difference, PAIRS)
    least, most = POWER_SMALL if bench.small else POWER
    for how, labels in (("labels alone", needed.alone), ("all verdicts", needed.powered)):
        if labels is None:
            continue
        random = np.random.default_rng(labels)
        share = share_told(random, cells, labels, repetitions, are_all_asked=how == "all verdicts")
        yield ProofFinding(
            f"{100 * difference:g} points, agreement {agreement:.0%}, {how}",
            "told in 80 % of the runs (75 to 90 %)",
            f"{labels:,} labels, {share:.0%}",
            least <= share <= most,
        )


PROOFS: dict[str, Proof] = {"label_plan": label_plan}
