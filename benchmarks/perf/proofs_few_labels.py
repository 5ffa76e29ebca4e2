"""Proof of the estimates from few labels: how often intervals hold the truth, and how much narrower they are.

Simulated runs of a judge and a local detector over 4,000 pairs of which few are labelled. In the clustered
cases four pairs share a text, so that their labels and the detectors' errors go together; labels are drawn
pair by pair, or text by text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from benchmarks.perf.proof import Bench, Proof, ProofFinding
from benchmarks.stats.few_labels import (
    MIN_OF_A_SHARE,
    KnownPairs,
    Question,
    questions_of_detector,
    questions_of_pairs,
    questions_of_two,
    stacked_figures,
    stacked_shares,
)
from benchmarks.stats.formulas import Floats
from benchmarks.stats.labels_alone import Measure, difference_alone, measured_alone, share_alone
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.random_part import why_not_random
from benchmarks.stats.score_intervals import score_interval

PAIRS = 4000
MANY = 2_000_000  # pairs whose figures stand for the truth
LABELS = (50, 100, 400)
PREVALENCES = (0.01, 0.05, 0.2, 0.5)
OF_A_TEXT = 4  # pairs
SHARED = 0.3  # of the variance of what detectors find hard, by what a text's pairs share
JUDGE, LOCAL = (
    (1.5, 0.15),
    (1.05, 0.2),
)  # how far apart a detector sees the classes, and where it draws the line
SHARPNESS = 2.0  # of scores
FIGURES = ("accuracy", "prevalence", "precision", "recall", "difference")
REPETITIONS, REPETITIONS_SMALL = 2000, 40
MIN_COVERAGE, MIN_COVERAGE_SMALL = 0.93, 0.8
MAX_RATIO = 1.05  # of the width to that by labels alone


@dataclass(frozen=True)
class Case:
    """prevalence: of contradictions. drawn: "pairs", or of clustered ones "pairs of texts" and "texts"."""

    labels: int
    prevalence: float
    drawn: str = "pairs"

    @property
    def of_a_text(self) -> int:
        return 1 if self.drawn == "pairs" else OF_A_TEXT

    def __str__(self) -> str:
        return f"{self.labels} labels, {self.prevalence:.0%} contradictions, {self.drawn}"


@dataclass(frozen=True)
class Simulated:
    """labels, judge, local: int8 (n,). scores: float64 (n,), the judge's. clusters: int64 (n,)."""

    labels: np.ndarray
    judge: np.ndarray
    local: np.ndarray
    scores: Floats
    clusters: np.ndarray


def simulated(random: np.random.Generator, n: int, case: Case) -> Simulated:
    """Pairs as of this case, all labelled."""
    clusters = np.arange(n) // case.of_a_text
    texts = int(clusters[-1]) + 1
    hard = np.sqrt(SHARED) * random.normal(size=texts)[clusters]
    share = np.full(n, case.prevalence)
    if case.of_a_text > 1:
        share = random.beta(2 * case.prevalence, 2 - 2 * case.prevalence, size=texts)[clusters]
    labels = (random.random(n) < share).astype(np.int8)

    def scores(apart: float, line: float) -> Floats:
        own = np.sqrt(1 - SHARED) * random.normal(size=n)
        return np.asarray(expit(SHARPNESS * (apart * (2 * labels - 1) - line + hard + own)))

    judge, local = scores(*JUDGE), scores(*LOCAL)
    return Simulated(labels, (judge >= 0.5).astype(np.int8), (local >= 0.5).astype(np.int8), judge, clusters)


def true_figures(case: Case) -> dict[str, float]:
    of = simulated(np.random.default_rng(0), MANY, case)
    right, others_right = of.judge == of.labels, of.local == of.labels
    return {
        "accuracy": float(right.mean()),
        "prevalence": float(of.labels.mean()),
        "precision": float(of.labels[of.judge == 1].mean()),
        "recall": float(of.judge[of.labels == 1].mean()),
        "difference": float(right.mean() - others_right.mean()),
    }


def labelled_part(random: np.random.Generator, case: Case, clusters: np.ndarray) -> np.ndarray:
    """bool (n,): which pairs are labelled."""
    part = np.zeros(clusters.size, bool)
    if case.drawn != "texts":
        part[random.choice(clusters.size, case.labels, replace=False)] = True
        return part
    texts = random.choice(int(clusters[-1]) + 1, round(case.labels / OF_A_TEXT), replace=False)
    return np.isin(clusters, texts)


@dataclass(frozen=True)
class Repetition:
    """questions: by figure, those that prediction-powered inference answers. alone: by the labels alone."""

    questions: dict[str, Question]
    alone: dict[str, Measure]
    is_refused: bool


def repetition(random: np.random.Generator, case: Case) -> Repetition:
    """One run: the very functions that a report's estimates are made by, but for the last step."""
    of = simulated(random, PAIRS, case)
    part = labelled_part(random, case, of.clusters)
    labels = np.where(part, of.labels, -1).astype(np.int8)
    splits = [of.judge == 1, of.local == 1]
    known = KnownPairs(labels, of.clusters, splits, of.scores)
    judged = questions_of_detector(KnownPairs(labels, of.clusters, splits[1:], of.scores), of.judge)
    questions = {name: judged[name] for name in FIGURES if name in judged}
    questions |= questions_of_pairs(known)
    for question in questions_of_two(known, of.judge, of.local).values():
        questions["difference"] = question
    refused = why_not_random(part, [of.judge, of.local], [of.scores], of.clusters)
    return Repetition(questions, _alone(of, part), bool(refused))


def _alone(of: Simulated, part: np.ndarray) -> dict[str, Measure]:
    truth, said, clusters = of.labels[part], of.judge[part], of.clusters[part]
    among = {"precision": said.sum(), "recall": truth.sum()}
    alone = {}
    for name in ("accuracy", "precision", "recall"):
        if among.get(name, truth.size) >= MIN_OF_A_SHARE:
            alone[name] = measured_alone(name, truth, said, clusters)
    alone["prevalence"] = share_alone(truth == 1, clusters)
    alone["difference"] = difference_alone(truth, said, of.local[part], clusters)
    return alone


@dataclass(frozen=True)
class Held:
    """given: how many intervals. coverage: the share that holds the truth; coverage_alone: by labels alone.

    ratio: of the mean width to that by labels alone. powered: the share by prediction-powered inference.
    """

    given: int
    coverage: float
    coverage_alone: float
    ratio: float
    powered: float


def held_in(name: str, true: float, repetitions: list[Repetition]) -> Held:
    """Of one figure."""
    given = [each for each in repetitions if name in each.alone]
    if not given:
        raise UndefinedMetricError("too few labels in every repetition")
    alone = np.array([each.alone[name][1] for each in given])
    ends = alone.copy()
    asked = np.array([name in each.questions for each in given])
    questions = [each.questions[name] for each in given if name in each.questions]
    if questions:
        of = stacked_figures([each.of for each in questions])
        shares = stacked_shares([each.shares for each in questions])
        powered = np.stack(score_interval(of, shares, np.array([each.z for each in questions])), axis=1)
        known = ~np.isnan(powered[:, 0])
        is_narrower = known & (np.ptp(powered, axis=1) < np.ptp(alone[asked], axis=1))
        ends[np.flatnonzero(asked)[is_narrower]] = powered[is_narrower]
    return Held(
        len(given),
        _coverage(ends, true),
        _coverage(alone, true),
        float(np.ptp(ends, axis=1).mean() / np.ptp(alone, axis=1).mean()),
        float((ends != alone).any(axis=1).mean()),
    )


def _coverage(ends: np.ndarray, true: float) -> float:
    return float(((ends[:, 0] <= true) & (true <= ends[:, 1])).mean())


def few_labels(bench: Bench) -> Iterator[ProofFinding]:
    """Each case and figure: how often the interval holds the truth, and its width beside labels alone."""
    repetitions = bench.size(REPETITIONS, REPETITIONS_SMALL)
    least = MIN_COVERAGE if not bench.small else MIN_COVERAGE_SMALL
    for case in cases(bench.small):
        true = true_figures(case)
        random = np.random.default_rng([case.labels, round(1000 * case.prevalence), len(case.drawn)])
        runs = [repetition(random, case) for _ in range(repetitions)]
        for name in FIGURES:
            if sum(name in run.alone for run in runs) < repetitions / 4:
                continue  # so rare that an interval is seldom given
            held = held_in(name, true[name], runs)
            yield ProofFinding(
                f"{name}, {case}",
                "at least 93 %, at most 1.05 times as wide",
                f"{held.coverage:.1%} (labels alone {held.coverage_alone:.1%}), {held.ratio:.2f} times, "
                f"by the verdicts in {held.powered:.0%}",
                held.coverage >= least and held.ratio <= MAX_RATIO,
            )
        refused = sum(run.is_refused for run in runs) / repetitions
        limit = 0.005 if not bench.small else 0.05
        yield ProofFinding(f"refused, {case}", "at most 0.5 %", f"{refused:.2%}", refused <= limit)


def cases(small: bool) -> list[Case]:
    if small:
        return [Case(100, 0.2), Case(100, 0.2, "texts")]
    return [
        Case(labels, prevalence, drawn)
        for drawn in ("pairs", "pairs of texts", "texts")
        for labels in LABELS
        for prevalence in PREVALENCES
    ]


PROOFS: dict[str, Proof] = {"few_labels": few_labels}
