"""What goes to the cross-encoder: no pair is lost that could become a finding, and the head sees the rest."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kimera.corpus.differences import FEATURES, Differences
from kimera.corpus.scan_rule import Rule
from kimera.corpus.scan_scores import ScanScores
from kimera.corpus.screening import (
    Screened,
    screened_by_head,
    screened_by_neighbours,
    screened_by_words,
    unscreened,
)
from kimera.corpus.statement_words import Words, form_of, is_number, says_something, words_in
from kimera.corpus.texts import Context, Corpus, Statement
from kimera.corpus.word_by_word import aligned
from kimera.models.head import ContradictionHead
from kimera.reactor import SHIPPED_HEAD, Reactor

ROOT = Path(__file__).parents[2]
WORDS = """
the worker must may closes opens Opens no never not 30 90 seconds second enabled disabled unenabled
Linux Windows --flag log_file default since version closing closed after before every 3.5 isn't useful useless
"""
TEXTS = st.lists(
    st.lists(st.sampled_from(WORDS.split()), max_size=9).map(" ".join), min_size=2, max_size=7, unique=True
)
WEIGHTS = st.lists(st.floats(-9, 9), min_size=len(FEATURES), max_size=len(FEATURES))


def corpus_of(texts: list[str]) -> Corpus:
    corpus = Corpus()
    for line, text in enumerate(texts, 1):
        context = Context(("Setup", "Windows" if line % 2 else "Linux"), "")
        corpus.add(Statement(text, f"{line % 2}.md", 5 * line, table=line % 3, context=context))
    return corpus


@given(TEXTS, WEIGHTS, st.floats(-30, 30), st.integers(0, 9))
def test_no_pair_is_passed_over_whose_features_reach_the_least_sum(
    texts: list[str], weights: list[float], least: float, seed: int
) -> None:
    """Whatever words, weights and cosines: what the sets of words tell is never too little."""
    first, second = np.array(list(combinations(range(len(texts)), 2))).T
    cosine = np.random.default_rng(seed).uniform(0.3, 1, len(first)).astype(np.float32)
    differences = Differences(corpus_of(texts))
    every = differences.of(first, second, cosine)
    by_name = dict(zip(FEATURES, weights, strict=True))
    rows, features = differences.promising(first, second, cosine, by_name, least)
    assert set(np.flatnonzero(every @ np.array(weights) >= least + 1e-9)) <= set(rows.tolist())
    assert np.allclose(features, every[rows])


def by_sets(texts: list[str], pairs: list[tuple[int, int]], cosine: np.ndarray) -> dict[str, list[float]]:
    """What Python's own sets give for the features that many pairs at once are compared by."""
    words = [Words.of(list(map(form_of, words_in(text)))) for text in texts]
    held = Counter(stem for each in words for stem in each.distinct)
    weight = {
        stem: says_something(stem) * math.log(1000 / count) / math.log(1000) for stem, count in held.items()
    }
    copies = Counter(row for pair, near in zip(pairs, cosine, strict=True) if near >= 0.8 for row in pair)
    told: dict[str, list[float]] = defaultdict(list)
    ways = []
    for one, other in pairs:
        first, second = words[one], words[other]
        common, every = first.distinct & second.distinct, first.distinct | second.distinct
        told["shared"].append(sum(weight[stem] for stem in common) / (sum(map(weight.get, every)) or 1.0))
        told["siblings"].append(math.log1p(max(copies[one], copies[other])))
        beside = [(one + step, other + step) for step in (-1, 1) if abs(one - other) > 1]
        near = [
            len(words[a].distinct & words[b].distinct) / max(len(words[a].distinct | words[b].distinct), 1)
            for a, b in beside
            if min(a, b) >= 0 and max(a, b) < len(texts)
        ]
        told["parallel"].append(max(near, default=0.0))
        found = aligned(first, second)
        only = [
            side - {stem for stem in side if is_number(stem)}
            for side in (first.distinct - common, second.distinct - common)
        ]
        if found.number and not (found.replaced or found.added):
            ways.append(common)
        elif all(only):
            ways.append((frozenset(only), frozenset(stem for stem in common if weight[stem] < 0.5)))
        else:
            ways.append(None)
    times = Counter(ways)
    told["recurring"] = [math.log1p(times[way] - 1) if way is not None else 0.0 for way in ways]
    return told


@given(TEXTS, st.integers(0, 9))
@example(["30", "90", "60"], 0)
def test_features_by_sparse_matrices_are_those_of_sets(texts: list[str], seed: int) -> None:
    pairs = list(combinations(range(len(texts)), 2))
    first, second = np.array(pairs).T
    cosine = np.random.default_rng(seed).uniform(0.3, 1, len(first)).astype(np.float32)
    features = Differences(corpus_of(texts)).of(first, second, cosine)
    for name, expected in by_sets(texts, pairs, cosine).items():
        assert features[:, FEATURES.index(name)].tolist() == pytest.approx(expected), name


def test_word_by_word_are_compared_only_pairs_that_may_be_a_finding() -> None:
    texts = [text for text in (ROOT / "docs" / "scan.md").read_text().split(". ") if 40 < len(text) < 400]
    corpus = corpus_of(texts)
    first, second = np.array(list(combinations(range(len(corpus.texts)), 2))).T
    cosine = np.full(len(first), 0.7, np.float32)
    scores = ScanScores.load()
    least = scores.least_log_odds(0.3) - scores.intercept
    rows, _ = Differences(corpus).promising(first, second, cosine, scores.weights, least)
    assert len(rows) < len(first) / 20


def vectors_of(count: int) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(count, 384)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def all_pairs(texts: list[str], vectors: np.ndarray) -> Screened:
    pairs = np.array(list(combinations(range(len(texts)), 2)))
    cosines = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    return unscreened(texts, iter([(pairs[:300], cosines[:300]), (pairs[300:], cosines[300:])]))


def test_the_longer_text_of_a_pair_comes_first_and_the_nearest_pair() -> None:
    texts = [f"{'long ' * (row % 5)}text {row}" for row in range(40)]
    found = all_pairs(texts, vectors_of(40))
    assert found.candidates == len(found.first) == 780
    assert (np.diff(found.cosine) <= 0).all()
    for first, second in zip(found.first, found.second, strict=True):
        assert (len(texts[first]), texts[first]) > (len(texts[second]), texts[second])


def test_the_screen_keeps_what_the_head_does_not_rule_out_the_likeliest_first() -> None:
    vectors = vectors_of(40)
    pairs = all_pairs([f"text {row}" for row in range(40)], vectors)
    head = ContradictionHead.load(SHIPPED_HEAD).predict
    found = screened_by_head(vectors, pairs, head, Rule(min_screen=0.6, surely=0.1))
    assert found.candidates == len(pairs.first)
    assert (np.diff(found.score) <= 0).all()
    assert 0 < (found.score < 0.6).sum() < len(found.score) < len(pairs.first)
    assert ((found.score >= 0.6) | (found.cosine >= 0.1)).all()
    for first, second, score in zip(found.first, found.second, found.score, strict=True):
        assert score == pytest.approx(head(vectors[[first]], vectors[[second]])[0, 0], abs=1e-5)


def test_by_words_remain_the_pairs_that_reading_may_make_a_finding_the_likeliest_first() -> None:
    said = "The worker closes an idle connection after {} seconds and logs its address."
    texts = [said.format(30), said.format(90), "The parser reads a file.", "The worker logs its address."]
    corpus = corpus_of(texts)
    pairs = unscreened(
        texts, iter([(np.array([[0, 1], [0, 2], [0, 3], [1, 3]]), np.float32([0.9, 0.3, 0.5, 0.5]))])
    )
    scores = ScanScores.load()
    left = screened_by_words(corpus, pairs, scores, 0.3)
    assert {texts[row] for row in (left.first[0], left.second[0])} == set(texts[:2])
    assert left.candidates == 4
    assert left.log_odds is not None
    assert (scores.highest(left.log_odds) >= 0.3).all()
    every = screened_by_words(corpus, pairs, scores, 0.0)
    assert every.log_odds is not None
    assert (np.diff(every.log_odds) <= 0).all()
    assert len(every.first) == 4
    head = ContradictionHead.load(SHIPPED_HEAD).predict
    seen = screened_by_head(vectors_of(4), every, head, Rule(min_screen=0.0))
    assert (seen.log_odds == every.log_odds).all()  # the order by words stays


def test_the_head_for_neighbours_leaves_what_the_cross_encoder_may_call_a_contradiction() -> None:
    long = "This agreement covers the delivery of office furniture to the client. " * 12
    texts = [
        "The shop opens at nine.",
        "The shop opens at ten.",
        "The shop opens at nine each day.",
        f"{long}Payment is due within 30 days.",
        f"{long}Payment is due within 60 days.",
    ]
    reactor = Reactor(cache=None)
    screen, vectors = reactor.neighbour_screen, reactor.embed(texts).vectors
    assert screen
    pairs, seen = all_pairs(texts, vectors), []
    left = screened_by_neighbours(vectors, pairs, texts, screen, 0.8, on_progress=seen.append)
    kept = {frozenset(pair) for pair in left.texts(texts, np.arange(len(left.first)))}
    assert frozenset(texts[:2]) in kept
    assert frozenset((texts[0], texts[2])) not in kept
    assert frozenset(texts[3:]) in kept  # whose ends it does not know
    assert (np.diff(left.score) <= 0).all()
    assert left.candidates == sum(seen) == 10
    none = screened_by_neighbours(vectors, pairs.part(np.array([], int)), texts, screen, 0.8)
    assert len(none.first) == 0
