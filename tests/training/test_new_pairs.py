"""Pairs made of the texts of others, for a teacher to label."""

from __future__ import annotations

import re
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


def unnamed(text: str) -> str:
    """A text in which every name and number is the same."""
    return re.sub(r"[A-Z][a-z]\w*|\d+", "X", text)


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
    assert {unnamed(text) for both in made for text in both} <= {unnamed(text) for text in known}
    assert made == new_pairs(pairs, count, seed, letters)


def test_most_of_them_join_near_texts() -> None:
    pairs = [
        Pair(f"The {what} is {n}.", f"It is the {what} {n}.") for n in range(40) for what in ("dog", "map")
    ]
    made = new_pairs(pairs, 60, 0, letters)
    assert len(made) == 60
    assert sum(("dog" in first) == ("dog" in second) for first, second in made) > 45


def test_each_text_has_one_near_one_before_another_has_a_second() -> None:
    pairs = [Pair(f"A dog {n}.", f"The map {n}.") for n in range(30)]
    made = new_pairs(pairs, 40, 0, letters)[:16]  # the near ones, which come first
    assert len({first for first, _ in made}) == 16


def test_one_of_two_texts_that_share_a_name_or_number_says_another() -> None:
    pairs = [
        Pair("In 1999, Ann Lee left.", "Since 1999 we miss Ann Lee."),
        Pair("In 2007, Bo Fox left.", "Since 2007 we miss Bo Fox."),
        Pair("Rain fell for 12 days.", "It rained for 12 days."),
    ]
    made = {both for seed in range(9) for both in new_pairs(pairs, 40, seed, letters)}
    exchanged = {both for both in made if {"1999", "2007"} <= set(re.findall(r"\d{4}", " ".join(both)))}
    assert ("In 2007, Ann Lee left.", "Since 1999 we miss Ann Lee.") in exchanged
    assert ("In 1999, Ann Lee left.", "Since 2007 we miss Ann Lee.") in exchanged
    assert any("Bo Fox" in first and "Ann Lee" in second for first, second in made)
    assert not any(re.search(r"\d{4} days|\b12 we", " ".join(both)) for both in made)


def test_pairs_of_a_larger_weight_are_drawn_more_often() -> None:
    pairs = [Pair(f"A dog {n}.", f"The map {n}.") for n in range(400)]
    weight = np.where(np.arange(400) < 200, 3.0, 1.0)
    rows = [
        int(first.split()[-1][:-1]) for first, _ in new_pairs(pairs, 400, 0, letters, weight=weight)[:160]
    ]
    assert 105 <= sum(row < 200 for row in rows) <= 135
    assert not new_pairs(pairs, 40, 0, letters, weight=np.zeros(400))


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
