"""Which pairs of statements are worth reading together: the rule, and the screen behind it.

Neither of the reactor's stages knows whether two statements are about the same thing: both were fitted on
pairs that are. So a pair has to be related first. It is where the cosine of its vectors is high, or where it
is middling and both statements share a word (a name, a number) that few others have. docs/scan.md holds what
was tried.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from kimera.console import how_to_install
from kimera.corpus.scan_rule import Rule
from kimera.errors import UserError
from kimera.workers import WorkerPool

# usearch is imported where it is used: it is an extra, and must not be in the process that has torch; see
# `nearest`.
if TYPE_CHECKING:
    from usearch.index import Index

ROWS_PER_BLOCK = 4096
EXACT_ROWS = 512  # fewer are all compared sooner than the graph's process starts
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 64  # of the graph (Malkov and Yashunin 2018)
_WORD = re.compile(r"[^\W_]+(?:[.,:'’-][^\W_]+)*")  # 3.5, 14:30 and 2026-01-31 are words too

Blocks = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Screened:
    """Pairs of rows that go to the cross-encoder, the likeliest first: arrays of length n.

    first, second: int32; the longer text is first, as premises are, whichever stands first in the corpus.
    cosine, score: float32; the score is the head's, NaN without one. candidates: how many pairs the rule
    found.
    """

    first: np.ndarray
    second: np.ndarray
    cosine: np.ndarray
    score: np.ndarray
    candidates: int

    def texts(self, texts: Sequence[str], rows: np.ndarray) -> list[tuple[str, str]]:
        """Of these rows. texts: of the corpus."""
        places = zip(self.first[rows].tolist(), self.second[rows].tolist(), strict=True)
        return [(texts[first], texts[second]) for first, second in places]

    def turned(self) -> Screened:
        """Each pair in the other order; the score is that of the first order."""
        return Screened(self.second, self.first, self.cosine, self.score, self.candidates)

    def part(self, rows: np.ndarray) -> Screened:
        """rows: indices, or a mask."""
        return Screened(
            self.first[rows], self.second[rows], self.cosine[rows], self.score[rows], self.candidates
        )


def nearest(
    vectors: np.ndarray, count: int, *, on_progress: Callable[[int], object] = lambda rows: None
) -> np.ndarray:
    """Of each unit vector the `count` nearest others, nearest first: int32 of shape (n, count).

    -1 where there are fewer. Exact for up to EXACT_ROWS rows; of more, approximate: a graph of small worlds.
    It is built by one thread, so that the same vectors give the same neighbours. on_progress is told of rows
    twice, as they go in and are looked up.
    """
    if find_spec("usearch") is None:
        raise UserError(f"finding neighbours needs usearch; run: {how_to_install('scan')}")
    if len(vectors) <= EXACT_ROWS:
        on_progress(2 * len(vectors))
        return _nearest_of_few(vectors, count)
    blocks = [(at, vectors[at : at + ROWS_PER_BLOCK]) for at in range(0, len(vectors), ROWS_PER_BLOCK)]
    tasks = [(at, block, asked) for asked in (0, min(count + 1, len(vectors))) for at, block in blocks]
    neighbours = np.full((len(vectors), count), -1, dtype=np.int32)
    # A process of its own: torch hangs where usearch, which brings an OpenMP of its own, was imported first.
    pool = WorkerPool(lambda: _Search, "neighbour-finding", worth=1, per_task=1)
    with closing(pool):
        for (at, block, asked), keys in zip(tasks, pool.map(tasks, 1), strict=True):
            if asked:
                neighbours[at : at + len(block)] = _others(keys, np.arange(at, at + len(block)), count)
            on_progress(len(block))
    return neighbours


def nearest_within(
    vectors: np.ndarray,
    groups: np.ndarray,
    count: int,
    *,
    on_progress: Callable[[int], object] = lambda rows: None,
) -> np.ndarray:
    """`nearest` among the rows of the same group; groups: the number of each row's, int of shape (n,)."""
    if not len(groups) or (groups == groups[0]).all():
        return nearest(vectors, count, on_progress=on_progress)
    neighbours = np.full((len(vectors), count), -1, dtype=np.int32)
    order = np.argsort(groups, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        local = nearest(vectors[rows], count, on_progress=on_progress)
        neighbours[rows] = np.where(local >= 0, rows[local], -1)
    return neighbours


def _nearest_of_few(vectors: np.ndarray, count: int) -> np.ndarray:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, : min(count, len(vectors) - 1)]
    return np.pad(order.astype(np.int32), ((0, 0), (0, count - order.shape[1])), constant_values=-1)


class _Search:
    """The graph, in its process. A task: the number of its first row, rows, how many to find (0: to add)."""

    def __init__(self) -> None:
        self._graph: Index | None = None

    def __call__(self, task: tuple[int, np.ndarray, int]) -> np.ndarray:
        at, block, asked = task
        if self._graph is None:
            self._graph = _empty_graph(block.shape[1])
        if asked:
            return _keys(self._graph, block, asked)
        if len(self._graph) != at:
            raise UserError("the process that finds neighbours was lost; scan again")
        self._graph.add(np.arange(at, at + len(block)), block, threads=1)
        return np.empty((0, 0), dtype=np.int32)


def _empty_graph(dimension: int) -> Index:
    from usearch.index import Index  # here: see the top of this module

    return Index(
        ndim=dimension,
        metric="ip",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )


def _keys(graph: Index, block: np.ndarray, count: int) -> np.ndarray:
    """int32 of shape (rows, count), -1 where fewer were found."""
    from usearch.index import Matches  # as above

    if len(graph) < count:
        raise UserError("the process that finds neighbours was lost; scan again")
    matches = graph.search(block, count)
    keys = np.asarray(matches.keys, dtype=np.int64)
    if isinstance(matches, Matches):  # of a single row: without its axis, and without what was not found
        return keys.reshape(1, -1).astype(np.int32)
    there = np.arange(keys.shape[1]) < np.asarray(matches.counts)[:, None]
    return np.where(there, keys, -1).astype(np.int32)


def _others(keys: np.ndarray, own: np.ndarray, count: int) -> np.ndarray:
    """The keys without each row's own, in their order, cut or filled with -1 to `count` columns."""
    last = (keys == own[:, None]) | (keys < 0)
    order = np.argsort(last, axis=1, kind="stable")
    keys = np.take_along_axis(np.where(last, -1, keys), order, axis=1)[:, :count]
    return np.pad(keys, ((0, 0), (0, count - keys.shape[1])), constant_values=-1)


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


def related_pairs(texts: Sequence[str], vectors: np.ndarray, neighbours: np.ndarray, rule: Rule) -> Blocks:
    """(pairs of rows, int64 of shape (n, 2); their cosines, float32) in blocks, each pair once."""
    for start in range(0, len(neighbours), ROWS_PER_BLOCK):
        yield _kept(vectors, _neighbour_pairs(neighbours, start), rule.min_cosine)
    rare = rare_word_pairs(texts, rule.rare_in_corpus(len(texts)))
    for start in range(0, len(rare), ROWS_PER_BLOCK):
        pairs, cosines = _kept(vectors, rare[start : start + ROWS_PER_BLOCK], rule.min_cosine_rare)
        first, second = pairs.T
        is_known = (cosines >= rule.min_cosine) & (
            _holds(neighbours, first, second) | _holds(neighbours, second, first)
        )
        yield pairs[~is_known], cosines[~is_known]


def _neighbour_pairs(neighbours: np.ndarray, start: int) -> np.ndarray:
    """Of a block of rows; a pair of which each is the other's neighbour comes with its lower row."""
    block = neighbours[start : start + ROWS_PER_BLOCK]
    first = np.repeat(np.arange(start, start + len(block)), block.shape[1])
    second = block.ravel().astype(np.int64)
    first, second = first[second >= 0], second[second >= 0]
    keep = (first < second) | ~_holds(neighbours, second, first)
    return np.stack([first[keep], second[keep]], axis=1)


def _holds(neighbours: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.asarray((neighbours[rows] == others[:, None]).any(axis=1))


def _kept(vectors: np.ndarray, pairs: np.ndarray, minimum: float) -> tuple[np.ndarray, np.ndarray]:
    cosines = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    keep = cosines >= minimum
    return pairs[keep], cosines[keep]


def screen(
    texts: Sequence[str],
    vectors: np.ndarray,
    pairs: Blocks,
    head: Callable[[np.ndarray, np.ndarray], np.ndarray] | None,
    rule: Rule,
    *,
    on_progress: Callable[[int], object] = lambda pairs: None,
) -> Screened:
    """What of the pairs the head lets through; on_progress is told how many it has looked at.

    head: the vectors of n pairs to probabilities of shape (n, 3), as `Reactor.screen`. Without one all
    remain, the nearest first.
    """
    place = np.empty(len(texts), dtype=np.int64)
    place[sorted(range(len(texts)), key=lambda row: (len(texts[row]), texts[row]))] = np.arange(len(texts))
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    candidates = 0
    for block, cosines in pairs:
        ordered = np.where((place[block[:, 0]] > place[block[:, 1]])[:, None], block, block[:, ::-1])
        if head is None:
            scores, keep = np.full(len(block), np.nan, np.float32), np.ones(len(block), bool)
        else:
            scores = head(vectors[ordered[:, 0]], vectors[ordered[:, 1]])[:, 0]
            keep = (scores >= rule.min_screen) | (cosines >= rule.surely)
        kept.append((ordered[keep].astype(np.int32), cosines[keep], scores[keep]))
        candidates += len(block)
        on_progress(len(block))
    rows = np.concatenate([part[0] for part in kept]) if kept else np.empty((0, 2), dtype=np.int32)
    cosine, score = (
        np.concatenate([part[at] for part in kept] or [np.empty(0, np.float32)]) for at in (1, 2)
    )
    order = np.argsort(-cosine if head is None else -score, kind="stable")
    return Screened(rows[order, 0], rows[order, 1], cosine[order], score[order], candidates)
