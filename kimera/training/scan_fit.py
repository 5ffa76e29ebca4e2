"""The scores of scans, fitted on documentation and on what is changed of it by rule.

Negatives are the candidates among the statements of maintained documentation, which hardly ever contradict
each other, and copies that are only reworded; positives are copies changed by rule. Both regressions are
fitted on all of them, and their intercepts are moved to the base rate (Elkan 2001, theorem 2). The pairs are
those that the head leaves; a scan compares words before it asks the head, so a way to differ recurs a little
more often there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from kimera.corpus import (
    FEATURES,
    READ,
    Differences,
    Rule,
    Scan,
    ScanScores,
    Statement,
    clipped,
    read_both_ways,
    screened_pairs,
)
from kimera.errors import UserError
from kimera.reactor import Reactor
from kimera.training.changed_statements import TO_FIT_BY
from kimera.training.planting import Planted, planted

PLANTS, HARMLESS = 120, 60  # of a corpus
MAX_SHARE = 0.2  # planted: in a small table more would be the rule, and no exception
BASE_RATE = 0.001
READ_FROM = 0.001  # P(contradiction) without reading from which a pair is read for the second fit
BLOCK = 256  # pairs
FOLDS = 5
MIN_FOLDS = 3  # corpora with changed statements, for each corpus to be one
MIN_PLANTED, MIN_OTHERS = 60, 1000
Bar = Callable[[str, int | None, str], Any]
First: TypeAlias = tuple[np.ndarray, float, float]  # see `_first`


@dataclass(frozen=True, eq=False)
class Candidates:
    """Those of a corpus of which is known whether they contradict each other.

    features: float64 of shape (n, features). label: bool of shape (n,). kinds: of a planted one the kind of
    its change, else "". planted: how many were put in by kind, candidates or not.
    """

    name: str
    statements: int
    features: np.ndarray
    label: np.ndarray
    pairs: Sequence[tuple[str, str]]
    kinds: Sequence[str]
    planted: Counter[str]


@dataclass(frozen=True, eq=False)
class FittedScores:
    """scores: fitted on all. out_of_fold: of each candidate, float64 (n,), by a fit without its fold.

    label, kinds: of the same candidates. read: how many the cross-encoder read. by_corpus: whether each
    corpus was a fold.
    """

    scores: ScanScores
    out_of_fold: np.ndarray
    label: np.ndarray
    kinds: np.ndarray
    read: int
    by_corpus: bool


def candidates_of(
    name: str, statements: Sequence[Statement], reactor: Reactor, bar: Bar, seed: int, workers: int | None
) -> Candidates:
    plants = min(PLANTS, math.ceil(MAX_SHARE * len(statements)))
    made = planted(statements, plants, HARMLESS, TO_FIT_BY, seed)
    screened = screened_pairs(made.corpus, reactor, Scan(), bar, rule=Rule(), workers=workers)
    pairs = screened.texts(made.corpus.texts, np.arange(len(screened.first)))
    known = _labels(made, pairs)
    keep = np.flatnonzero(known >= 0)
    features = Differences(made.corpus).of(screened.first, screened.second, screened.cosine)
    kind_of = {frozenset((plant.text, plant.source)): plant.kind for plant in made.plants}
    kept = [pairs[row] for row in keep.tolist()]
    return Candidates(
        name,
        len(statements),
        features[keep],
        known[keep] == 1,
        kept,
        [kind_of.get(frozenset(pair), "") for pair in kept],
        Counter(plant.kind for plant in made.plants),
    )


def _labels(made: Planted, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """1 planted, 0 not a contradiction, -1 not known, since a plant may contradict more than its source."""
    kinds = {"planted": 1, "harmless": 0, "": 0, "of a plant": -1}
    return np.array([kinds[made.label(*pair)] for pair in pairs], dtype=int)


def fit_scores(
    corpora: Sequence[Candidates], reactor: Reactor, bar: Bar, workers: int | None
) -> FittedScores:
    """Raises `UserError` for corpora that are too small."""
    features = np.concatenate([each.features for each in corpora])
    label = np.concatenate([each.label for each in corpora])
    planted, others = int(label.sum()), int((~label).sum())
    if planted < MIN_PLANTED or others < MIN_OTHERS:
        raise UserError(
            f"too little to fit on: {planted} changed statements and {others:,} other pairs are candidates, "
            f"and at least {MIN_PLANTED} and {MIN_OTHERS:,} are needed; give more documentation"
        )
    pairs = [pair for each in corpora for pair in each.pairs]
    said = np.full((len(pairs), 2), np.nan)
    first = _first(features, label)
    weights, intercept, _ = first
    rows = np.flatnonzero(features @ weights + intercept >= math.log(READ_FROM / (1 - READ_FROM)))
    said[rows] = _read([pairs[row] for row in rows.tolist()], reactor, bar, workers)
    by_corpus = sum(each.label.any() for each in corpora) >= MIN_FOLDS
    sizes = [len(each.label) for each in corpora]
    folds = np.repeat(np.arange(len(corpora)), sizes) if by_corpus else np.arange(len(label)) % FOLDS
    out_of_fold = np.zeros(len(label))
    for fold in np.unique(folds):
        inside = folds == fold
        known = features[~inside], label[~inside]
        scores = _fitted(_first(*known), *known, said[~inside])
        out_of_fold[inside] = _scores(scores, features[inside], said[inside])
    names = [f"{each.name}: {each.statements:,} statements" for each in corpora]
    whole = replace(_fitted(first, features, label, said), stages=reactor.weights, corpora=names)
    kinds = np.array([kind for each in corpora for kind in each.kinds])
    return FittedScores(whole, out_of_fold, label, kinds, len(rows), bool(by_corpus))


def _read(pairs: Sequence[tuple[str, str]], reactor: Reactor, bar: Bar, workers: int | None) -> np.ndarray:
    """P(contradiction) and P(entailment) as `read_both_ways`, float64 of shape (n, 2)."""
    said = np.empty((len(pairs), 2))
    with bar("reading", len(pairs), "pair") as progress:
        for start in range(0, len(pairs), BLOCK):
            block = pairs[start : start + BLOCK]
            contradiction, entailment, _ = read_both_ways(block, reactor, workers)
            said[start : start + len(block)] = np.stack([contradiction, entailment], axis=1)
            progress.update(len(block))
    return said


def _first(features: np.ndarray, label: np.ndarray) -> First:
    """(weights, intercept) at the share of the candidates, and what moves log-odds to the base rate."""
    from sklearn.linear_model import LogisticRegression  # takes a second, and mistaken flags need none

    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    # To the optimum: stopped before it, a fit would depend on how its sums are rounded.
    first = LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit((features - middle) / spread, label)
    weights = first.coef_[0] / spread
    moved = math.log(BASE_RATE / (1 - BASE_RATE)) - math.log(label.mean() / (1 - label.mean()))
    return weights, float(first.intercept_[0] - middle @ weights), moved


def _fitted(first: First, features: np.ndarray, label: np.ndarray, said: np.ndarray) -> ScanScores:
    """first: of the same pairs. said: NaN for those that were not read."""
    from sklearn.linear_model import LogisticRegression

    weights, intercept, moved = first
    read = ~np.isnan(said[:, 0])
    log_odds = features[read] @ weights + intercept + moved
    taken = np.stack([log_odds, clipped(said[read, 0]), clipped(said[read, 1])], axis=1)
    second = LogisticRegression(C=1.0, max_iter=5000).fit(taken, label[read])
    return ScanScores(
        {name: round(float(weight), 4) for name, weight in zip(FEATURES, weights, strict=True)},
        round(intercept + moved, 4),
        {name: round(float(weight), 4) for name, weight in zip(READ, second.coef_[0], strict=True)},
        round(float(second.intercept_[0] + moved), 4),
        BASE_RATE,
        {},
        (),
    )


def _scores(scores: ScanScores, features: np.ndarray, said: np.ndarray) -> np.ndarray:
    """0 of what was not read, which no reading would take above a threshold."""
    known = scores.of(scores.without_reading(features), said[:, 0], said[:, 1])
    return np.where(np.isnan(said[:, 0]), 0.0, known)
