"""Which pairs are candidates: close ones, and those that share a rare word; each once."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.corpus.candidates import rare_word_pairs, related_pairs
from kimera.corpus.neighbours import nearest
from kimera.corpus.scan_rule import Rule


def unit_vectors(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def related(texts: list[str], vectors: np.ndarray, rule: Rule) -> list[tuple[int, int]]:
    rare = rare_word_pairs(texts, rule.rare_in_corpus(len(texts)))
    blocks = list(related_pairs(vectors, nearest(vectors, rule.neighbours), rare, rule))
    return [(min(pair), max(pair)) for pairs, _ in blocks for pair in map(tuple, pairs.tolist())]


TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "B", "b", "3.5", "2026-01-31", "cat's"]), max_size=4).map(" ".join),
    max_size=9,
)


@given(TEXTS, st.integers(0, 4))
def test_a_rare_word_is_one_that_few_texts_hold(texts: list[str], rare_in: int) -> None:
    words = [set(text.lower().split()) for text in texts]
    rare = {word for each in words for word in each if sum(word in other for other in words) <= rare_in}
    expected = [[a, b] for a, b in combinations(range(len(texts)), 2) if words[a] & words[b] & rare]
    assert rare_word_pairs(texts, rare_in).tolist() == expected


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(st.integers(2, 60), st.integers(0, 5), st.sampled_from([0.2, 0.5]))
def test_each_related_pair_comes_once_and_no_other_comes(count: int, seed: int, min_cosine: float) -> None:
    """With as many neighbours as there are vectors the search is exact."""
    vectors = unit_vectors(count, 4, seed)
    texts = [f"common word{row % 7 if row < 12 else row}" for row in range(count)]
    rule = Rule(min_cosine=min_cosine, neighbours=60, rare_in=3, min_cosine_rare=0.0)
    cosines = vectors @ vectors.T
    rare = set(map(tuple, rare_word_pairs(texts, rule.rare_in_corpus(count)).tolist()))
    expected = {
        pair
        for pair in combinations(range(count), 2)
        if cosines[pair] >= min_cosine or (pair in rare and cosines[pair] >= 0.0)
    }
    found = related(texts, vectors, rule)
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_in_a_small_corpus_fewer_statements_make_a_word_rare() -> None:
    assert [Rule(rare_in=5).rare_in_corpus(texts) for texts in (10, 1500, 100_000)] == [2, 3, 5]
    assert Rule(rare_in=0).rare_in_corpus(1000) == 0
