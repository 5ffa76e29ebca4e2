"""Pairs made of the texts of others, for a teacher to label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.pairs import Pair
from kimera.training.new_pairs import negated, new_pairs

WORDS = st.sampled_from(
    ["The shop", "A dog", "Rain", "is open", "is not late", "has four legs", "falls", "."]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


def letters(texts: Sequence[str]) -> np.ndarray:
    """Vectors of length 1 that are near where texts share letters."""
    counts = np.array([[text.count(letter) + 0.01 for letter in "dgmp"] for text in texts], np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=30), st.integers(0, 60), st.integers(0, 9))
def test_they_are_new_distinct_of_known_texts_and_the_same_each_time(
    texts: list[tuple[str, str]], count: int, seed: int
) -> None:
    pairs = [Pair(*both) for both in texts]
    made = new_pairs(pairs, count, seed, letters)
    assert len(set(made)) == len(made) <= count + 2  # shares are rounded, each to the nearest
    assert not set(made) & set(texts)
    known = {text for both in texts for text in both}
    known |= {text for both in texts if (text := negated(both[1])) is not None}
    assert {text for both in made for text in both} <= known
    assert made == new_pairs(pairs, count, seed, letters)


def test_half_of_them_join_near_texts() -> None:
    pairs = [
        Pair(f"The {what} is {n}.", f"It is the {what} {n}.") for n in range(40) for what in ("dog", "map")
    ]
    made = new_pairs(pairs, 60, 0, letters)
    assert len(made) == 60
    assert sum(("dog" in first) == ("dog" in second) for first, second in made) > 45


def test_each_text_has_one_near_one_before_another_has_a_second() -> None:
    pairs = [Pair(f"A dog {n}.", f"The map {n}.") for n in range(30)]
    made = new_pairs(pairs, 40, 0, letters)[:20]  # half of them are near ones, and come first
    assert len({first for first, _ in made}) == 20


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=20), st.lists(st.tuples(TEXTS, TEXTS), max_size=10))
def test_nothing_that_a_fit_is_measured_on_is_made(
    texts: list[tuple[str, str]], held_out: list[tuple[str, str]]
) -> None:
    made = new_pairs([Pair(*both) for both in texts], 60, 0, letters, held_out)
    premises = {first for first, _ in held_out}
    assert not {text for both in made for text in both} & premises
    assert not set(made) & {(second, first) for first, second in held_out}


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("The shop is open.", "The shop is not open."),
        ("The shop is not open.", "The shop is open."),
        ("It wasn't late.", "It was late."),
        ("Nobody is there.", None),
        ("She can't swim.", None),
        ("She can’t swim.", None),
        ("He is not.", None),
        ("Ann cannot swim and may leave.", None),
        ("He is not late and never was.", None),
        ("Not all dogs are here.", None),
        ("He asks whether or not it is late.", None),
        ("He ain't late.", None),
        ("Rain falls.", None),
    ],
)
def test_a_statement_is_denied_where_a_rule_fits(text: str, denied: str | None) -> None:
    assert negated(text) == denied
