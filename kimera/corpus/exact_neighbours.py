"""The nearest of vectors among all of them, each compared with each, by a thread a core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain
from threading import Event, Lock
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from kimera.workers import usable_cores

SAMPLED = 64  # columns looked at first, for each of the highest that is wanted
CELLS, MIN_BLOCK = 2**24, 32  # cosines in memory at a time, and rows of a thread at least
MIN_CELLS_OF_THREAD = 2**22  # fewer are compared sooner than a thread starts

T = TypeVar("T")


def for_each_block(
    vectors: np.ndarray,
    rows: np.ndarray,
    seek: Callable[[np.ndarray, np.ndarray], T],
    on_progress: Callable[[int], object] = lambda rows: None,
) -> list[T]:
    """What `seek` gives of each block of the rows, in their order; it is called by several threads.

    It takes the rows and their cosines with all vectors, -inf with itself, which it may not keep. A vector
    that is no number is far from all. The threads of BLAS alone would leave cores idle while the highest
    cosines are found. on_progress is told of rows, by one thread at a time.
    """
    if not np.isfinite(vectors).all():
        vectors = np.nan_to_num(vectors, nan=0.0, posinf=0.0, neginf=0.0)
    threads = max(1, min(usable_cores(), len(rows) * len(vectors) // MIN_CELLS_OF_THREAD))
    stop, one_at_a_time = Event(), Lock()

    def of_part(part: np.ndarray) -> list[T]:
        found = []
        for block, near in _cosines(vectors, part, CELLS // threads, stop):
            found.append(seek(block, near))
            with one_at_a_time:
                on_progress(len(block))
        return found

    if threads == 1:
        return of_part(rows)
    with ThreadpoolController().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        try:
            return list(chain.from_iterable(pool.map(of_part, np.array_split(rows, threads))))
        except BaseException:  # Ctrl-C among them: the other threads end with their block
            stop.set()
            raise


def _cosines(
    vectors: np.ndarray, rows: np.ndarray, cells: int, stop: Event
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(some of the rows, their cosines); each block in the same memory."""
    size = max(cells // max(len(vectors), 1), MIN_BLOCK)
    room = np.empty((min(size, len(rows)), len(vectors)), dtype=vectors.dtype)
    for at in range(0, len(rows), size):
        if stop.is_set():
            return
        block = rows[at : at + size]
        near = np.matmul(vectors[block], vectors.T, out=room[: len(block)])
        near[np.arange(len(block)), block] = -np.inf
        yield block, near


def highest(cosines: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(the columns of the highest of each row; these), the highest first: of shape (rows, count).

    The count highest of some of the columns bound what the highest of all can be.
    """
    some = cosines[:, sampled_columns(cosines.shape[1], SAMPLED * count)]
    least = np.partition(some, some.shape[1] - count, axis=1)[:, -count]
    row, column = np.nonzero(cosines >= least[:, None])
    near = cosines[row, column]
    order = np.lexsort((-near, row))
    begins = np.searchsorted(row, np.arange(len(cosines)))  # row is ascending, in that order too
    first = order[begins[:, None] + np.arange(count)]
    return column[first], near[first]


@lru_cache(4)
def sampled_columns(columns: int, wanted: int) -> np.ndarray:
    """At random, since statements of one form may stand at equal distances."""
    if wanted >= columns:
        return np.arange(columns)
    return np.sort(np.random.default_rng(0).choice(columns, wanted, replace=False))
