"""Which pairs of statements are worth reading together: the rule.

Neither of the reactor's stages knows whether two statements are about the same thing: both were fitted on
pairs that are. So a pair has to be related first. It is where the cosine of its vectors is high, or where it
is middling and both statements share a word (a name, a number) that few others have. docs/scan.md holds what
was tried.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from kimera.corpus.neighbours import Neighbours
from kimera.corpus.scan_rule import Rule

ROWS_PER_BLOCK = 4096
_WORD = re.compile(r"[^\W_]+(?:[.,:'’-][^\W_]+)*")  # 3.5, 14:30 and 2026-01-31 are words too

Blocks = Iterator[tuple[np.ndarray, np.ndarray]]


def rare_word_pairs(texts: Sequence[str], rare_in: int) -> np.ndarray:
    """Pairs of rows, the lower first, whose texts share a word that at most `rare_in` texts hold.

    int64 of shape (n, 2), each pair once. Words are compared in lower case; numbers and dates are words.
    """
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        for word in set(_WORD.findall(text.lower())):
            if len(rows := rows_of[word]) <= rare_in:
                rows.append(row)
    codes = [
        first * len(texts) + second
        for rows in rows_of.values()
        if len(rows) <= rare_in
        for first, second in combinations(rows, 2)
    ]
    distinct = np.unique(np.array(codes, dtype=np.int64))
    return np.stack(np.divmod(distinct, max(len(texts), 1)), axis=1)


def related_pairs(vectors: np.ndarray, neighbours: Neighbours, rare: np.ndarray, rule: Rule) -> Blocks:
    """(pairs of rows, int64 of shape (n, 2); their cosines, float32) in blocks, each pair once.

    rare: see `rare_word_pairs`.
    """
    near = np.where(neighbours.cosines >= rule.min_cosine, neighbours.rows, -1)
    for start in range(0, len(near), ROWS_PER_BLOCK):
        yield _neighbour_pairs(near, neighbours.cosines, start)
    for start in range(0, len(rare), ROWS_PER_BLOCK):
        pairs = rare[start : start + ROWS_PER_BLOCK]
        cosines = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
        is_near = cosines >= rule.min_cosine_rare
        pairs, cosines = pairs[is_near], cosines[is_near]
        first, second = pairs.T
        is_known = _holds(near, first, second) | _holds(near, second, first)
        yield pairs[~is_known], cosines[~is_known]


def _neighbour_pairs(near: np.ndarray, cosines: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Of a block of rows; a pair of which each is the other's neighbour comes with its lower row.

    near: the neighbours that are near enough, -1 for the others.
    """
    block = slice(start, start + ROWS_PER_BLOCK)
    row, column = np.nonzero(near[block] >= 0)
    first, second = row + start, near[block][row, column].astype(np.int64)
    keep = (first < second) | ~_holds(near, second, first)
    return np.stack([first[keep], second[keep]], axis=1), cosines[block][row, column][keep]


def _holds(neighbours: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.asarray((neighbours[rows] == others[:, None]).any(axis=1))
