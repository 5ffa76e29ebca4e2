"""What two statements share and in what they differ, as numbers: what tells a contradiction from a neighbour.

A corpus is full of statements that are close in their words and speak of different things: list items,
options beside each other, parallel paragraphs. Two that contradict each other say nearly the same and differ
in what cannot both hold: a number, a negation, one of two opposites.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from kimera.corpus.difference_bounds import highest
from kimera.corpus.statement_words import pieces_of
from kimera.corpus.texts import Context, Corpus
from kimera.corpus.word_by_word import Aligned, aligned
from kimera.corpus.word_sets import NO_WAY, SetDifferences, WordSets

FEATURES = (
    "cosine",
    "shared",  # weight of the words that both hold, over the weight of all
    "shared_weight",  # in words as rare as can be, log(1 + x)
    "same_order",  # share of words that stand in the same order in both
    "number",  # kinds of difference, 0 or 1; see `aligned`
    "negation",
    "opposite",
    "obligation",
    "name",
    "typed",  # any of the first four
    "typed_shared",
    "only",  # they differ in nothing else
    "replaced",  # content words in which both differ beside that, log(1 + n)
    "added",  # content words that only one has, log(1 + n)
    "replaced_weight",  # the rarest of the replaced
    "added_weight",
    "slots",  # stretches in which they differ, log(1 + n)
    "first_differs",
    "where",  # the first difference, 0 at the beginning to 1 at the end
    "length",  # words of the shorter, log(1 + n)
    "same_file",
    "near",  # in one file, within 12 lines
    "row",  # a row of a table is among them
    "lead_in",  # one of them ends with a colon, or begins as an example does
    "version_note",  # one of them says since which version something is so
    "parallel",  # how alike the statements before them are, or those behind them
    "siblings",  # near-copies that either has among the candidates, log(1 + n)
    "recurring",  # other candidates that differ in the same words and are else alike, log(1 + n)
    "told_apart",  # their headings, or the statements before them, differ in the same words
)

NEAR_LINES = 12
NEAR_COPY = 0.8  # cosine
PAIRS_PER_BLOCK = 16_384
KEPT_CONTEXTS = 2**12  # whose words are not worked out again


class Differences:
    """The features of pairs of a corpus's statements. Where a text stands in several places the first counts.

    Memory grows by some 60 bytes a statement and 40 a word of it, by 80 bytes a pair, and by 240 more for a
    pair of which the features are given.
    """

    def __init__(self, corpus: Corpus, words: WordSets | None = None) -> None:
        """words: those of its texts, where they are known already."""
        self._corpus = corpus
        self._sets = words or WordSets(corpus.texts)
        places = [corpus.first_place(row) for row in range(len(corpus.places))]
        number_of: dict[str, int] = {}
        self._file = np.array([number_of.setdefault(file, len(number_of)) for file, _ in places], np.int64)
        self._line = np.array([line for _, line in places], np.int64)
        self._in_table = np.array([bool(table) for table in corpus.tables], bool)

    def of(self, first: np.ndarray, second: np.ndarray, cosine: np.ndarray) -> np.ndarray:
        """Of pairs of rows, three arrays of length n: float64 of shape (n, features), as `FEATURES`."""
        return self.promising(first, second, cosine, None, -math.inf)[1]

    def promising(
        self,
        first: np.ndarray,
        second: np.ndarray,
        cosine: np.ndarray,
        weights: Mapping[str, float] | None,
        least: float,
        on_progress: Callable[[int], object] = lambda pairs: None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The pairs whose weighted sum of features may reach `least`: (their places, int64 (m,); features).

        Of the others only the sets of words are compared. weights: of each of `FEATURES`; None for all pairs.
        on_progress is told of pairs as they are compared.
        """
        siblings = self._siblings(first, second, cosine)
        ways = np.empty(len(first), np.uint64)
        may = np.ones(len(first), bool)
        for at in range(0, len(first), PAIRS_PER_BLOCK):
            block = slice(at, at + PAIRS_PER_BLOCK)
            sets = self._sets.of(first[block], second[block])
            ways[block] = self._ways(first[block], second[block], sets)
            if weights is not None:
                known = self._by_sets(first[block], second[block], cosine[block], siblings[block], sets)
                longer = self._longer(first[block], second[block])
                may[block] = highest(known, sets, longer, len(first), weights) >= least
            on_progress(int((~may[block]).sum()))
        rows = np.flatnonzero(may)
        _, numbers, counts = np.unique(ways, return_inverse=True, return_counts=True)
        recurring = np.log1p(np.where(ways == NO_WAY, 0, counts[numbers] - 1))[rows]
        features = np.empty((len(rows), len(FEATURES)))
        for at in range(0, len(rows), PAIRS_PER_BLOCK):
            block = slice(at, at + PAIRS_PER_BLOCK)
            one, other = first[rows[block]], second[rows[block]]
            sets = self._sets.of(one, other)
            columns = {
                **self._by_sets(one, other, cosine[rows[block]], siblings[rows[block]], sets),
                **self._by_words(one, other, sets),
                "parallel": self._parallel(one, other),
                "recurring": recurring[block],
            }
            features[block] = np.stack([columns[name] for name in FEATURES], axis=1)
            on_progress(len(one))
        return rows, features

    def _siblings(self, first: np.ndarray, second: np.ndarray, cosine: np.ndarray) -> np.ndarray:
        is_copy = cosine >= NEAR_COPY
        copies = np.bincount(np.concatenate([first[is_copy], second[is_copy]]), minlength=len(self._line))
        return np.asarray(np.log1p(np.maximum(copies[first], copies[second])))

    def _longer(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(self._sets.lengths[first], self._sets.lengths[second]))

    def _by_sets(
        self,
        first: np.ndarray,
        second: np.ndarray,
        cosine: np.ndarray,
        siblings: np.ndarray,
        sets: SetDifferences,
    ) -> dict[str, np.ndarray]:
        """The features that need no comparison word by word, by name."""
        known, table = self._sets, self._in_table
        same_file = self._file[first] == self._file[second]
        return {
            "cosine": cosine.astype(np.float64),
            "shared": sets.share,
            "shared_weight": np.log1p(sets.weight),
            "negation": ((known.denials[first] - known.denials[second]) % 2).astype(np.float64),
            "first_differs": (known.first[first] != known.first[second]).astype(np.float64),
            "length": np.log1p(np.minimum(known.lengths[first], known.lengths[second])),
            "same_file": same_file.astype(np.float64),
            "near": same_file * (np.abs(self._line[first] - self._line[second]) <= NEAR_LINES),
            "row": (table[first] | table[second]).astype(np.float64),
            "lead_in": (known.lead_in[first] | known.lead_in[second]).astype(np.float64),
            "version_note": (known.version_note[first] | known.version_note[second]).astype(np.float64),
            "siblings": siblings,
        }

    def _by_words(self, first: np.ndarray, second: np.ndarray, sets: SetDifferences) -> dict[str, np.ndarray]:
        """Those that do."""
        told: dict[str, list[float]] = {}
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            found = self._aligned(one, other)
            typed = found.number or found.negation or found.opposite or found.obligation
            values = {
                "same_order": found.same,
                "number": found.number,
                "opposite": found.opposite,
                "obligation": found.obligation,
                "name": found.name,
                "typed": typed,
                "only": typed and not (found.replaced or found.added),
                "replaced": math.log1p(len(found.replaced)),
                "added": math.log1p(len(found.added)),
                "replaced_weight": max(map(self._sets.weight_of, found.replaced), default=0.0),
                "added_weight": max(map(self._sets.weight_of, found.added), default=0.0),
                "slots": math.log1p(found.slots),
                "where": found.where,
                "told_apart": self._told_apart(one, other, found),
            }
            for name, value in values.items():
                told.setdefault(name, []).append(value)
        columns = {name: np.array(values, dtype=np.float64) for name, values in told.items()}
        columns["same_order"] /= np.maximum(self._longer(first, second), 1)
        return {**columns, "typed_shared": columns["typed"] * sets.share}

    def _aligned(self, first: int, second: int) -> Aligned:
        return aligned(self._sets.words(first), self._sets.words(second))

    def _ways(self, first: np.ndarray, second: np.ndarray, sets: SetDifferences) -> np.ndarray:
        """Hashes of how two differ, uint64: in which words beside which common ones, or in a number alone.

        So prices of input and of output differ in one way in every row of a table, whatever has that price.
        """
        ways = sets.way.copy()
        for at in np.flatnonzero(sets.number & (sets.content == 0)).tolist():
            found = self._aligned(int(first[at]), int(second[at]))
            if found.number and not (found.replaced or found.added):
                ways[at] = sets.common[at]
        return ways

    def _parallel(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """How alike the statements before both are, or those behind them; 0 where there are no others."""
        alike = np.zeros(len(first))
        for step in (-1, 1):
            one, other = first.astype(np.int64) + step, second.astype(np.int64) + step
            there = np.minimum(one, other) >= 0
            there &= np.maximum(one, other) < len(self._line)
            there &= np.abs(one - other) > 1
            alike[there] = np.maximum(alike[there], self._sets.alike(one[there], other[there]))
        return alike

    def _told_apart(self, first: int, second: int, found: Aligned) -> bool:
        if not all(found.only_in):
            return False
        one, other = (_context_words(self._corpus.contexts[row]) for row in (first, second))
        left, right = (set(pieces_of(" ".join(words))) for words in found.only_in)
        return not left.isdisjoint(one - other) and not right.isdisjoint(other - one)


@lru_cache(KEPT_CONTEXTS)
def _context_words(context: Context) -> frozenset[str]:
    return frozenset(pieces_of(" ".join((*context.headings, context.before))))
