"""The nearest of vectors among all of them, each compared with each, by a thread a core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
from threadpoolctl import ThreadpoolController

from kimera.workers import usable_cores

SAMPLED = 64  # columns looked at first, for each of the highest that is wanted
CELLS_PER_BLOCK, MIN_BLOCK = 2**23, 32  # cosines of a thread in memory at a time, and rows at least

Block = tuple[np.ndarray, np.ndarray]


def all_cosines(vectors: np.ndarray, rows: np.ndarray) -> Iterator[Block]:
    """(some of the rows, their cosines with all vectors; with itself -inf); each block in the same memory."""
    size = max(CELLS_PER_BLOCK // max(len(vectors), 1), MIN_BLOCK)
    room = np.empty((min(size, len(rows)), len(vectors)), dtype=vectors.dtype)
    for at in range(0, len(rows), size):
        block = rows[at : at + size]
        near = np.matmul(vectors[block], vectors.T, out=room[: len(block)])
        near[np.arange(len(block)), block] = -np.inf
        yield block, near


def for_each_part(
    rows: np.ndarray, seek: Callable[[np.ndarray], list[tuple[np.ndarray, ...]]]
) -> list[tuple[np.ndarray, ...]]:
    """What `seek` gives of parts of the rows, in their order, each in a thread of its own.

    The threads of BLAS alone would leave cores idle while the highest cosines are found.
    """
    parts = np.array_split(rows, usable_cores())
    with ThreadpoolController().limit(limits=1, user_api="blas"), ThreadPoolExecutor(len(parts)) as threads:
        return list(chain.from_iterable(threads.map(seek, parts)))


def highest(cosines: np.ndarray, count: int) -> Block:
    """(the columns of the highest of each row; these), the highest first: of shape (rows, count).

    The count highest of some of the columns bound what the highest of all can be.
    """
    some = cosines[:, :: max(cosines.shape[1] // (SAMPLED * count), 1)]
    least = np.partition(some, some.shape[1] - count, axis=1)[:, -count]
    row, column = np.nonzero(cosines >= least[:, None])
    near = cosines[row, column]
    order = np.lexsort((-near, row))
    begins = np.searchsorted(row, np.arange(len(cosines)))  # row is ascending, in that order too
    first = order[begins[:, None] + np.arange(count)]
    return column[first], near[first]
