"""The nearest of each vector among many: all compared where they are few, else by a graph of small worlds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

import numpy as np

from kimera.console import how_to_install
from kimera.corpus.exact_neighbours import for_each_block, highest
from kimera.errors import UserError
from kimera.workers import WorkerPool

# usearch is imported where it is used: it is an extra, and must not be in the process that has torch; see
# `nearest_by_graph`.
if TYPE_CHECKING:
    from usearch.index import Index

ROWS_PER_BLOCK = 4096
EXACT_ROWS = 2**15  # fewer are all compared sooner than a graph is made
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 64  # of the graph (Malkov and Yashunin 2018)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Of n vectors, the nearest first: rows, int32 (n, count); cosines, float32 (n, count).

    -1 and -inf where there are fewer.
    """

    rows: np.ndarray
    cosines: np.ndarray

    @classmethod
    def none(cls, vectors: int, count: int) -> Self:
        rows = np.full((vectors, count), -1, dtype=np.int32)
        return cls(rows, np.full(rows.shape, -np.inf, dtype=np.float32))

    def sort(self, which: np.ndarray | slice) -> None:
        """In place, those of some of the vectors."""
        order = np.argsort(-self.cosines[which], axis=1, kind="stable")
        self.rows[which] = np.take_along_axis(self.rows[which], order, axis=1)
        self.cosines[which] = np.take_along_axis(self.cosines[which], order, axis=1)

    def first(self, count: int) -> Neighbours:
        return Neighbours(self.rows[:, :count], self.cosines[:, :count])


def nearest(
    vectors: np.ndarray, count: int, *, on_progress: Callable[[int], object] = lambda rows: None
) -> Neighbours:
    """Of each unit vector the `count` nearest others.

    Exact for up to EXACT_ROWS rows; of more, as `nearest_by_graph`. on_progress is told of rows twice. Raises
    as `require_search`.
    """
    require_search(len(vectors))
    if len(vectors) > EXACT_ROWS:
        return nearest_by_graph(vectors, count, on_progress=on_progress)
    found = Neighbours.none(len(vectors), count)
    width = min(count, len(vectors) - 1)

    def seek(block: np.ndarray, near: np.ndarray) -> None:
        found.rows[block, :width], found.cosines[block, :width] = highest(near, width)

    if width > 0:
        for_each_block(vectors, np.arange(len(vectors)), seek, lambda rows: on_progress(2 * rows))
    else:
        on_progress(2 * len(vectors))
    return found


def require_search(count: int) -> None:
    """Raises UserError where the neighbours of so many vectors cannot be found, for want of usearch."""
    if count > EXACT_ROWS and find_spec("usearch") is None:
        raise UserError(
            f"finding the neighbours of more than {EXACT_ROWS:,} statements needs usearch; run: "
            f"{how_to_install('scan')}"
        )


def nearest_by_graph(
    vectors: np.ndarray, count: int, *, on_progress: Callable[[int], object] = lambda rows: None
) -> Neighbours:
    """The same, approximately: by a graph of small worlds.

    It is built by one thread, so that the same vectors give the same neighbours. on_progress is told of rows
    as they go in, and as they are looked up.
    """
    blocks = [(at, vectors[at : at + ROWS_PER_BLOCK]) for at in range(0, len(vectors), ROWS_PER_BLOCK)]
    tasks = [(at, block, asked) for asked in (0, min(count + 1, len(vectors))) for at, block in blocks]
    neighbours = Neighbours.none(len(vectors), count)
    # A process of its own: torch hangs where usearch, which brings an OpenMP of its own, was imported first.
    pool = WorkerPool(lambda: _Search, "neighbour-finding", worth=1, per_task=1)
    with closing(pool):
        for (at, block, asked), keys in zip(tasks, pool.map(tasks, 1), strict=True):
            if asked:
                rows = _others(keys, np.arange(at, at + len(block)), count)
                near = np.einsum("id,ijd->ij", block, vectors[rows])
                neighbours.rows[at : at + len(block)] = rows
                neighbours.cosines[at : at + len(block)] = np.where(rows >= 0, near, -np.inf)
            on_progress(len(block))
    neighbours.sort(slice(None))  # the graph's distances are rounded
    return neighbours


def nearest_within(
    groups: np.ndarray, count: int, search: Callable[[np.ndarray | slice], Neighbours]
) -> Neighbours:
    """As `nearest`, among the rows of the same group; groups: the number of each row's, int of shape (n,).

    search: rows to their neighbours among them, by their places among them.
    """
    if not len(groups) or (groups == groups[0]).all():
        return search(slice(None))
    neighbours = Neighbours.none(len(groups), count)
    order = np.argsort(groups, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        local = search(rows)
        neighbours.rows[rows] = np.where(local.rows >= 0, rows[local.rows], -1)
        neighbours.cosines[rows] = local.cosines
    return neighbours


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
        dtype="bf16",  # as good as f16, and twice as fast where the processor has to convert
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
