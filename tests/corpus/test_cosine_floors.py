"""Floors that a corpus gives: rare among random pairs, never absurd, the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from kimera.corpus.cosine_floors import FLOORS, MAX_PAIRS, MIN_FLOOR, QUANTILE, floors_of
from kimera.corpus.scan_rule import Rule

RULE = Rule()


def vectors_around(centre: float, count: int, dimension: int = 32) -> np.ndarray:
    """Unit vectors of which two have a cosine of about `centre`."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(count, dimension)) / np.sqrt(dimension) * np.sqrt(1 - centre)
    rows[:, 0] += np.sqrt(centre)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_floor_is_what_few_random_pairs_reach_wherever_the_encoder_puts_its_cosines() -> None:
    for centre in (0.0, 0.3, 0.7):
        vectors = vectors_around(centre, 1500)
        found = floors_of(vectors, RULE, FLOORS)
        all_pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
        assert found.pairs == MAX_PAIRS
        assert (all_pairs < found.rule.min_cosine).mean() == pytest.approx(QUANTILE, abs=0.001)
        assert found.rule.min_cosine_rare < found.rule.min_cosine < found.rule.surely < 1


def test_the_same_corpus_gives_the_same_floors() -> None:
    vectors = vectors_around(0.5, 1000)
    assert floors_of(vectors, RULE, FLOORS) == floors_of(vectors, RULE, FLOORS)


def test_no_floor_is_below_the_minimum() -> None:
    opposite = vectors_around(0.0, 200, dimension=4096)
    found = floors_of(opposite, RULE, FLOORS).rule
    assert (found.min_cosine, found.min_cosine_rare) == (MIN_FLOOR, MIN_FLOOR)


def test_a_small_corpus_keeps_some_pairs() -> None:
    vectors = vectors_around(0.7, 12)
    found = floors_of(vectors, RULE, FLOORS)
    cosines = (vectors @ vectors.T)[np.triu_indices(12, 1)]
    assert found.pairs == 66
    assert (cosines >= found.rule.min_cosine).sum() >= 6


def test_a_corpus_without_pairs_leaves_the_rule_as_it_is() -> None:
    for count in (1, 0):
        assert floors_of(vectors_around(0.5, count), RULE, FLOORS).rule == RULE
