"""Unlabelled pairs made of the texts of labelled ones, for a teacher to label."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from kimera.models import distinct
from kimera.pairs import Pair

MAX_CHARACTERS = 400  # of a text: a teacher reads long pairs several times as slowly
NEIGHBOURS = 8
EXCHANGES = 4  # of one pair, at most
ROWS_AT_A_TIME = 1024  # of cosines with all other texts
SHARES = {"near": 0.4, "crossed": 0.05, "swapped": 0.15, "negated": 0.15, "exchanged": 0.25}

_STATES = re.compile(r"\b(is|are|was|were|has|have|can|could|will|would|should|must|may|does|do|did)\b")
_DENIES = re.compile(r"\b(?:not|never)\s+|n't\b")
_NO = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|without|cannot)\b|n['’]t\b", re.IGNORECASE
)
# Without "n't" these leave no verb, and without "not" these say something else.
_NO_RULE = re.compile(r"\b(?:ca|wo|sha|ai)n['’]t\b|n’t\b|\bnot\b\W*$|\bor not\b|\bnot only\b", re.IGNORECASE)
# A number, or a name that does not begin a statement.
_NAMED = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?!\w)|(?<=[\w,] )[A-Z][a-z]\w*(?: [A-Z][a-z]\w*)*")

Texts: TypeAlias = tuple[str, str]
VectorsOf: TypeAlias = Callable[[Sequence[str]], np.ndarray]


def new_pairs(
    pairs: Sequence[Pair],
    count: int,
    seed: int,
    vectors_of: VectorsOf,
    held_out: Collection[Texts] = (),
    weight: np.ndarray | None = None,
) -> list[Texts]:
    """About `count` pairs of texts that are not among `pairs` in this order, all distinct.

    Most join a first text with a near other first text, or with a text that went with that; the rest are a
    first text with any second text, pairs in the other order, pairs whose second text is negated by rule, and
    pairs that share a name or number, which one of them exchanges for another: see `SHARES`. There are fewer
    where the texts allow no more. vectors_of: gives n texts unit vectors, shape (n, d). held_out: pairs that
    a fit is measured on; none is made that holds the first text of one, so none of these either, in neither
    order. weight: float (len(pairs),), how often each is drawn beside others, 0 for never; default 1.
    """
    premises = {first for first, _ in held_out}
    weight = np.ones(len(pairs)) if weight is None else weight
    rows = [
        row
        for row, pair in enumerate(pairs)
        if weight[row] > 0 and max(len(pair.text1), len(pair.text2)) <= MAX_CHARACTERS
    ]
    if not rows:
        return []
    short, weight = [pairs[row] for row in rows], weight[rows]
    known = {(pair.text1, pair.text2) for pair in pairs}
    made: dict[Texts, None] = {}
    for number, (kind, share) in enumerate(SHARES.items()):
        random = np.random.default_rng([seed, number])
        wanted = len(made) + round(count * share)
        for texts in _MAKERS[kind](_Source(short, weight, random, vectors_of)):
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


@dataclass(frozen=True, slots=True)
class _Source:
    """What pairs are made of. weight: float (len(pairs),)."""

    pairs: Sequence[Pair]
    weight: np.ndarray
    random: np.random.Generator
    vectors_of: VectorsOf

    def order(self, rows: np.ndarray | None = None) -> list[int]:
        """Of these rows (default: all), each once; those of a larger weight tend to come sooner."""
        rows = np.arange(len(self.pairs)) if rows is None else rows
        # Drawn one after the other, each with a chance of its weight: Efraimidis & Spirakis 2006.
        sooner = np.argsort(self.random.exponential(size=len(rows)) / self.weight[rows], kind="stable")
        return [int(row) for row in rows[sooner]]


def _near(source: _Source) -> Iterator[Texts]:
    firsts, of_pair = distinct(pair.text1 for pair in source.pairs)
    of_first: list[list[str]] = [[] for _ in firsts]
    for number, pair in zip(of_pair.tolist(), source.pairs, strict=True):
        of_first[number].append(pair.text2)
    nearest = min(NEIGHBOURS, len(firsts) - 1)
    if not nearest:
        return
    random = source.random
    vectors = np.asarray(source.vectors_of(firsts), dtype=np.float32)
    order = of_pair[source.order(np.unique(of_pair, return_index=True)[1])]
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


def _crossed(source: _Source) -> Iterator[Texts]:
    for first, second in zip(source.order(), source.order(), strict=True):
        yield source.pairs[first].text1, source.pairs[second].text2


def _swapped(source: _Source) -> Iterator[Texts]:
    for row in source.order():
        yield source.pairs[row].text2, source.pairs[row].text1


def _negated(source: _Source) -> Iterator[Texts]:
    for row in source.order():
        second = negated(source.pairs[row].text2)
        if second is not None:
            yield source.pairs[row].text1, second


def _exchanged(source: _Source) -> Iterator[Texts]:
    """Where a name or number stands in both texts, one of them says another of the same length in words."""
    named = [(set(_NAMED.findall(pair.text1)), set(_NAMED.findall(pair.text2))) for pair in source.pairs]
    alike: dict[str, list[str]] = {}
    for name in sorted({name for first, second in named for name in first | second}):
        alike.setdefault(_form(name), []).append(name)
    random = source.random
    shared = np.array([row for row, (first, second) in enumerate(named) if first & second], dtype=np.int64)
    for _ in range(EXCHANGES):
        for row in source.order(shared):
            both = sorted(named[row][0] & named[row][1])
            name = both[random.integers(len(both))]
            others = alike[_form(name)]
            other = others[random.integers(len(others))]
            first, second = source.pairs[row].text1, source.pairs[row].text2
            says = re.compile(rf"(?<![\w.,]){re.escape(name)}(?![.,]?\d|\w)")
            if random.integers(2):
                yield says.sub(other, first), second
            else:
                yield first, says.sub(other, second)


def _form(name: str) -> str:
    """What may stand for one another: numbers of as many digits, names of as many words."""
    return re.sub(r"\d", "0", name) if name[0].isdigit() else "A" * len(name.split())


_MAKERS: dict[str, Callable[[_Source], Iterator[Texts]]] = {
    "near": _near,
    "crossed": _crossed,
    "swapped": _swapped,
    "negated": _negated,
    "exchanged": _exchanged,
}
