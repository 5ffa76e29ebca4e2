"""What pairs of statements share in distinct words, for many pairs at once: by sparse matrices of stems.

`word_by_word` compares words in their order, and says which stands in the place of which, one pair at a time
and a hundred times as slowly. What the sets tell bounds what that can find.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from kimera.corpus.statement_words import (
    OBLIGATIONS,
    Words,
    form_of,
    is_number,
    leads_in,
    opposites_among,
    says_something,
    tells_version,
    words_in,
)

MIN_TEXTS = 1000  # in a small corpus every word would be rare or none
RARE = 0.5  # weight of a word
NO_WAY = np.uint64(0)


@dataclass(frozen=True, eq=False)
class SetDifferences:
    """Of n pairs, arrays of length n.

    weight: of the words that both hold; share: over that of all words of either. number, obligation,
    opposite, name: whether a difference of that kind can be found at all, bool. same: at most so many words
    stand in the same order. content: at least so many words count as replaced or added. words: of both
    together. rarest: the highest weight of a word that only one holds. way: a hash, uint64, of how both
    differ, in which words, beside which frequent common ones; NO_WAY where only one says more than the other.
    common: a hash of all that both hold.
    """

    weight: np.ndarray
    share: np.ndarray
    number: np.ndarray
    obligation: np.ndarray
    opposite: np.ndarray
    name: np.ndarray
    same: np.ndarray
    content: np.ndarray
    words: np.ndarray
    rarest: np.ndarray
    way: np.ndarray
    common: np.ndarray


class WordSets:
    """The distinct stems of n statements.

    A stem is weighted by how few of n statements hold it, log(n / held by) / log(n), with at least MIN_TEXTS
    for n; a word that says nothing by itself has no weight.
    lengths: words of each statement, int64 (n,). first: the number of its first stem, -1 where it has none.
    denials: how many of its words deny. lead_in, version_note: bool; see `leads_in`, `tells_version`.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from scipy import sparse  # takes a moment, and not every scan compares words

        number_of: dict[str, int] = {}  # of words as they stand there
        told, lengths, lead_in, version_note = array("i"), array("q"), bytearray(), bytearray()
        for text in texts:
            words = words_in(text)
            told.extend([number_of.setdefault(word, len(number_of)) for word in words])
            lengths.append(len(words))
            lead_in.append(leads_in(text))
            version_note.append(tells_version(text))
        self.lengths = np.array(lengths, np.int64)
        self.lead_in, self.version_note = np.array(lead_in, bool), np.array(version_note, bool)
        self._forms = forms = list(map(form_of, number_of))
        self._stems: dict[str, int] = {}
        stem_of_word = [self._stems.setdefault(form.stem, len(self._stems)) for form in forms]
        self._told = word = np.array(told, np.int32)
        stem = np.array(stem_of_word, np.int32)[word]
        self._begins = begins = np.concatenate([[0], np.cumsum(self.lengths)])
        opening = begins[:-1][self.lengths > 0]
        self.first = np.full(len(texts), -1, np.int64)
        self.first[self.lengths > 0] = stem[opening]
        denies = np.array([form.is_negator for form in forms], bool)
        at = np.flatnonzero(denies[word])
        self.denials = np.bincount(np.searchsorted(begins, at, "right") - 1, minlength=len(texts))
        is_capital = np.array([form.is_capital for form in forms], bool)[word]
        is_capital[opening] = False
        is_name = np.array([form.is_name for form in forms], bool)[word] | is_capital
        shape = (len(texts), max(len(self._stems), 1))
        self._rows = sparse.csr_array((np.ones(len(stem)), stem, begins.copy()), shape=shape)
        self._rows.sum_duplicates()  # in place
        self._rows.data[:] = 1.0
        self._sizes = np.diff(self._rows.indptr)
        held = np.bincount(self._rows.indices, minlength=shape[1])
        self._weights = _weights(list(self._stems), held, len(texts))
        of_names = np.bincount(stem[is_name], minlength=shape[1]) > 0
        self._kinds = _Kinds.of(self._stems, {form.plain: form.stem for form in forms}, of_names)
        is_telling = np.array([not is_number(stem) for stem in self._stems] or [False])
        self._hashes = _Hashes.of(self._weights < RARE, is_telling)

    def of(self, first: np.ndarray, second: np.ndarray) -> SetDifferences:
        """Of pairs of rows, int arrays of length n; memory grows by some 500 bytes a pair."""
        one, other = self._rows[first], self._rows[second]
        both = one.multiply(other).tocsr()
        only = [_without(each, both) for each in (one, other)]
        weight = both @ self._weights
        every = one @ self._weights + other @ self._weights - weight
        kinds = self._kinds
        opposite = (only[0] @ kinds.opposites).multiply(only[1]).sum(axis=1) > 0
        content = [each @ kinds.content for each in only]
        unopposed = [each @ kinds.unopposed for each in only]
        common = np.diff(both.indptr)
        repeated = [self.lengths[rows] - self._sizes[rows] for rows in (first, second)]
        shorter = np.minimum(self.lengths[first], self.lengths[second])
        return SetDifferences(
            weight=weight,
            share=weight / np.where(every == 0, 1.0, every),
            number=_both_hold(only, kinds.number),
            obligation=_both_hold(only, kinds.obligation),
            opposite=opposite,
            name=_both_hold(only, kinds.name),
            same=np.minimum(common + np.minimum(*repeated), shorter),
            content=np.where(opposite, sum(unopposed), sum(content)),
            words=self.lengths[first] + self.lengths[second],
            rarest=np.maximum(*(_highest(each, self._weights) for each in only)),
            way=self._ways(only, both),
            common=_way(_hashed(both, self._hashes.every)),
        )

    def words(self, row: int) -> Words:
        """Of one statement, in their order."""
        told = self._told[self._begins[row] : self._begins[row + 1]]
        return Words.of([self._forms[word] for word in told.tolist()])

    def weight_of(self, stem: str) -> float:
        return float(self._weights[self._stems[stem]])

    def alike(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Distinct words that both hold, over those of either: float64 (n,), 0 where neither holds any."""
        common = np.diff(self._rows[first].multiply(self._rows[second]).tocsr().indptr)
        every = self._sizes[first] + self._sizes[second] - common
        return np.asarray(common / np.maximum(every, 1))

    def _ways(self, only: Sequence[Any], both: Any) -> np.ndarray:
        telling = [each @ self._hashes.is_telling > 0 for each in only]
        sides = [_mixed(_hashed(each, self._hashes.telling)) for each in only]
        way = _way(sides[0] + sides[1] + _mixed(_hashed(both, self._hashes.frequent)))
        return np.where(telling[0] & telling[1], way, NO_WAY)


@dataclass(frozen=True, eq=False)
class _Kinds:
    """Of n stems, float64 (n,), 1 where it holds for any form of it: number, obligation, name.

    content: 1 where each form says something and is neither of the first two; unopposed: and has no opposite.
    opposites: sparse of shape (n, n), of which is the opposite of which.
    """

    number: np.ndarray
    obligation: np.ndarray
    name: np.ndarray
    content: np.ndarray
    unopposed: np.ndarray
    opposites: Any

    @classmethod
    def of(cls, stems: Mapping[str, int], stem_of_word: Mapping[str, str], is_name: np.ndarray) -> Self:
        from scipy import sparse

        count = max(len(stems), 1)
        number, obligation = np.zeros(count), np.zeros(count)
        content, opposed = np.ones(count), np.zeros(count)
        for word, its_stem in stem_of_word.items():
            stem = stems[its_stem]
            number[stem] += is_number(word)
            obligation[stem] += word in OBLIGATIONS
            content[stem] *= says_something(word)
        content *= (number == 0) & (obligation == 0)
        pairs = {(stems[one], stems[other]) for one, other in opposites_among(stem_of_word)}
        rows, columns = np.array(sorted(pairs), dtype=np.int32).reshape(-1, 2).T
        opposed[rows] = 1
        opposites = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
        unopposed = content * (1 - opposed)
        return cls(number, obligation, is_name.astype(np.float64), content, unopposed, opposites)


@dataclass(frozen=True, eq=False)
class _Hashes:
    """Of n stems, uint64 (n,), 0 for those that do not count. is_telling: 1 for those that tell a way."""

    every: np.ndarray
    frequent: np.ndarray
    telling: np.ndarray
    is_telling: np.ndarray

    @classmethod
    def of(cls, is_frequent: np.ndarray, is_telling: np.ndarray) -> Self:
        every = _mixed(np.arange(1, len(is_frequent) + 1, dtype=np.uint64))
        return cls(every, every * is_frequent, every * is_telling, is_telling.astype(np.float64))


def _weights(stems: Sequence[str], held: np.ndarray, texts: int) -> np.ndarray:
    count = max(texts, MIN_TEXTS)
    says = np.array([says_something(stem) for stem in stems] or [False])
    return np.asarray(says * np.log(count / np.maximum(held, 1)) / math.log(count))


def _without(rows: Any, others: Any) -> Any:
    left = (rows - others).tocsr()
    left.eliminate_zeros()
    return left


def _both_hold(only: Sequence[Any], kind: np.ndarray) -> np.ndarray:
    return np.asarray((only[0] @ kind > 0) & (only[1] @ kind > 0))


def _highest(rows: Any, weights: np.ndarray) -> np.ndarray:
    """Of each row, 0 where it is empty."""
    highest = np.zeros(rows.shape[0])
    filled = np.diff(rows.indptr) > 0
    if filled.any():
        highest[filled] = np.maximum.reduceat(weights[rows.indices], rows.indptr[:-1][filled])
    return highest


def _hashed(rows: Any, hashes: np.ndarray) -> np.ndarray:
    """The sum of each row's, modulo 2 ** 64: in whatever order."""
    return np.asarray(rows.astype(np.uint64) @ hashes)


def _way(sums: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(_mixed(sums), NO_WAY + np.uint64(1)))


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64 (Steele, Lea and Flood 2014): one number for each, all bits of which depend on all bits."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
