"""Which pairs are candidates: close ones, and those that share a rare word; each once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.corpus.candidates import (
    EXACT_ROWS,
    ROWS_PER_BLOCK,
    nearest,
    rare_word_pairs,
    related_pairs,
    screen,
)
from kimera.corpus.scan_rule import Rule
from kimera.models.head import ContradictionHead
from kimera.reactor import SHIPPED_HEAD

ROOT = Path(__file__).parents[2]


def unit_vectors(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def related(texts: list[str], vectors: np.ndarray, rule: Rule) -> list[tuple[int, int]]:
    blocks = list(related_pairs(texts, vectors, nearest(vectors, rule.neighbours), rule))
    return [(min(pair), max(pair)) for pairs, _ in blocks for pair in map(tuple, pairs.tolist())]


def test_neighbours_are_the_nearest_others_in_order() -> None:
    vectors = unit_vectors(EXACT_ROWS + 100)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    exact = np.argsort(-cosines, axis=1)[:, :8]
    found = nearest(vectors, 8)
    assert (found != np.arange(len(vectors))[:, None]).all()
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)]) > 7.8


def test_the_neighbours_of_few_vectors_are_exact() -> None:
    vectors = unit_vectors(EXACT_ROWS)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(cosines, -2)
    assert (nearest(vectors, 8) == np.argsort(-cosines, axis=1)[:, :8]).all()


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_few_vectors_have_few_neighbours(count: int) -> None:
    found = nearest(unit_vectors(count), 5)
    assert found.shape == (count, 5)
    assert ((found >= 0).sum(axis=1) == min(count - 1, 5)).all()


@pytest.mark.slow
def test_the_same_vectors_give_the_same_neighbours() -> None:
    vectors = unit_vectors(ROWS_PER_BLOCK + 200)
    assert (nearest(vectors, 5) == nearest(vectors, 5)).all()


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.05, 0.15, 0.3])
def test_ctrl_c_while_neighbours_are_found_is_a_keyboard_interrupt(delay_s: float) -> None:
    """In a process of its own; whether the graph is just built or asked depends on the machine."""
    code = (
        "import numpy as np\nfrom kimera.corpus.candidates import nearest\n"
        "vectors = np.random.default_rng(0).normal(size=(4096, 64)).astype(np.float32)\n"
        "nearest(vectors[:1000], 3)\nprint(flush=True)\nwhile True:\n    nearest(vectors, 30)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert told.rstrip().endswith("KeyboardInterrupt")


def test_finding_neighbours_loads_nothing_that_torch_would_hang_beside() -> None:
    nearest(unit_vectors(EXACT_ROWS + 1), 2)
    assert "usearch" not in sys.modules


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


def test_the_screen_keeps_what_the_head_does_not_rule_out_the_likeliest_first() -> None:
    vectors = unit_vectors(40, 384)
    texts = [f"{'long ' * (row % 5)}text {row}" for row in range(40)]
    pairs = np.array(list(combinations(range(40), 2)))
    cosines = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    head = ContradictionHead.load(SHIPPED_HEAD).predict
    rule = Rule(min_screen=0.6, surely=0.1)
    found = screen(
        texts, vectors, iter([(pairs[:300], cosines[:300]), (pairs[300:], cosines[300:])]), head, rule
    )
    assert found.candidates == len(pairs)
    assert (np.diff(found.score) <= 0).all()
    assert 0 < (found.score < 0.6).sum() < len(found.score) < len(pairs)
    assert ((found.score >= 0.6) | (found.cosine >= 0.1)).all()
    for first, second, score in zip(found.first, found.second, found.score, strict=True):
        assert (len(texts[first]), texts[first]) > (len(texts[second]), texts[second])
        assert score == pytest.approx(head(vectors[[first]], vectors[[second]])[0, 0], abs=1e-5)
