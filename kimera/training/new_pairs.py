"""Unlabelled pairs made of the texts of labelled ones, for a teacher to label."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from kimera.models import distinct
from kimera.pairs import Pair

MAX_CHARACTERS = 400  # of a text: a teacher reads long pairs several times as slowly
NEIGHBOURS = 8
ROWS_AT_A_TIME = 1024  # of cosines with all other texts
SHARES = {"near": 0.5, "crossed": 0.1, "swapped": 0.2, "negated": 0.2}

_STATES = re.compile(r"\b(is|are|was|were|has|have|can|could|will|would|should|must|may|does|do|did)\b")
_DENIES = re.compile(r"\b(?:not|never)\s+|n't\b")
_NO = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|without|cannot)\b|n['’]t\b", re.IGNORECASE
)
# Without "n't" these leave no verb, and without "not" these say something else.
_NO_RULE = re.compile(r"\b(?:ca|wo|sha|ai)n['’]t\b|n’t\b|\bnot\b\W*$|\bor not\b|\bnot only\b", re.IGNORECASE)

Texts: TypeAlias = tuple[str, str]
VectorsOf: TypeAlias = Callable[[Sequence[str]], np.ndarray]


def new_pairs(
    pairs: Sequence[Pair],
    count: int,
    seed: int,
    vectors_of: VectorsOf,
    held_out: Collection[Texts] = (),
) -> list[Texts]:
    """About `count` pairs of texts that are not among `pairs` in this order, all distinct.

    Half join a first text with a near other first text, or with a text that went with that; the rest are a
    first text with any second text, pairs in the other order, and pairs whose second text is negated by rule:
    see `SHARES`. There are fewer where the texts allow no more. vectors_of: gives n texts unit vectors,
    shape (n, d). held_out: pairs that a fit is measured on; none is made that holds the first text of one, so
    none of these either, in neither order.
    """
    premises = {first for first, _ in held_out}
    short = [pair for pair in pairs if max(len(pair.text1), len(pair.text2)) <= MAX_CHARACTERS]
    if not short:
        return []
    known = {(pair.text1, pair.text2) for pair in pairs}
    made: dict[Texts, None] = {}
    for number, (kind, share) in enumerate(SHARES.items()):
        random = np.random.default_rng([seed, number])
        wanted = len(made) + round(count * share)
        for texts in _MAKERS[kind](short, random, vectors_of):
            if len(made) >= wanted:
                break
            if texts not in known and texts[0] != texts[1] and premises.isdisjoint(texts):
                made[texts] = None
    return list(made)


def negated(text: str) -> str | None:
    """A statement that denies what `text` states, or states what it denies; None where no rule fits."""
    if _NO_RULE.search(text):
        return None
    if len(_DENIES.findall(text)) == 1:
        return _DENIES.sub("", text)
    if _NO.search(text) or not _STATES.search(text):
        return None
    return _STATES.sub(lambda verb: f"{verb[0]} not", text, count=1)


def _near(pairs: Sequence[Pair], random: np.random.Generator, vectors_of: VectorsOf) -> Iterator[Texts]:
    firsts, rows = distinct(pair.text1 for pair in pairs)
    of_first: list[list[str]] = [[] for _ in firsts]
    for row, pair in zip(rows.tolist(), pairs, strict=True):
        of_first[row].append(pair.text2)
    nearest = min(NEIGHBOURS, len(firsts) - 1)
    if not nearest:
        return
    vectors = np.asarray(vectors_of(firsts), dtype=np.float32)
    order = random.permutation(len(firsts))
    blocks = [order[start : start + ROWS_AT_A_TIME] for start in range(0, len(order), ROWS_AT_A_TIME)]
    neighbours: list[np.ndarray] = []
    for turn in range(nearest):  # one of each before a second of any
        for number, rows in enumerate(blocks):
            if not turn:
                neighbours.append(random.permuted(_nearest(vectors, rows, nearest), axis=1))
            for row, other in zip(rows.tolist(), neighbours[number][:, turn].tolist(), strict=True):
                texts = [firsts[other], *of_first[other]]
                yield firsts[row], texts[random.integers(len(texts))]


def _nearest(vectors: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """int (n, count): of each of these rows the other rows whose vectors are nearest to its own."""
    cosines = vectors[rows] @ vectors.T
    cosines[np.arange(len(rows)), rows] = -2.0  # itself
    return np.asarray(np.argpartition(-cosines, count - 1)[:, :count])


def _crossed(pairs: Sequence[Pair], random: np.random.Generator, _: VectorsOf) -> Iterator[Texts]:
    for first, second in zip(random.permutation(len(pairs)), random.permutation(len(pairs)), strict=True):
        yield pairs[first].text1, pairs[second].text2


def _swapped(pairs: Sequence[Pair], random: np.random.Generator, _: VectorsOf) -> Iterator[Texts]:
    for row in random.permutation(len(pairs)):
        yield pairs[row].text2, pairs[row].text1


def _negated(pairs: Sequence[Pair], random: np.random.Generator, _: VectorsOf) -> Iterator[Texts]:
    for row in random.permutation(len(pairs)):
        second = negated(pairs[row].text2)
        if second is not None:
            yield pairs[row].text1, second


_MAKERS: dict[str, Callable[[Sequence[Pair], np.random.Generator, VectorsOf], Iterator[Texts]]] = {
    "near": _near,
    "crossed": _crossed,
    "swapped": _swapped,
    "negated": _negated,
}
