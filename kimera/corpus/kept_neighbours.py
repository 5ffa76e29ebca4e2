"""Neighbours kept from one scan to the next: of a corpus that changed a little, only what changed is sought.

A table holds of each text its nearest others and their cosines. Texts are known by hashes, so files may move
and grow. What is new is compared with all texts, exactly: neighbours are as near as by a graph made anew, but
where that misses one (`nearest`) they need not be the same.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from kimera.cache import NEIGHBOURS
from kimera.corpus.exact_neighbours import for_each_block, highest
from kimera.corpus.neighbours import Neighbours, nearest
from kimera.files import replacing

MIN_TEXTS = 2048  # of fewer all are compared within a tenth of a second
SPARE = 4  # more neighbours than asked for, since some will be gone
MAX_SOUGHT = 0.05  # of the texts: for more all neighbours are found anew
MAX_TABLES, MAX_BYTES = 64, 2**28  # of the folder; a table has some 136 bytes a text
LEFT_S = 24 * 3600.0  # after which a file half written is taken for one that a killed scan left
MAX_COSINE = 1.01  # of unit vectors, as rounded


@dataclass(frozen=True, eq=False)
class Table:
    """Of n texts: their keys, uint64 (n,), and their neighbours, of which as many are known as are there."""

    keys: np.ndarray
    neighbours: Neighbours


class KeptNeighbours:
    """Tables in a folder, by the fingerprint of what made the vectors. It may be lost: then all is sought."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder / NEIGHBOURS
        self._fingerprint = fingerprint

    def nearest(
        self,
        texts: Sequence[str],
        vectors: np.ndarray,
        count: int,
        *,
        on_progress: Callable[[int], object] = lambda rows: None,
    ) -> Neighbours:
        """As `neighbours.nearest`, of distinct texts, by what is known of most; keeps what is found."""
        if len(texts) < MIN_TEXTS:
            return nearest(vectors, count, on_progress=on_progress)
        keys = np.array([_key(text) for text in texts], dtype=np.uint64)
        mark = _key(f"{self._fingerprint}/{count + SPARE}")
        known = self._best(f"{mark:016x}", keys, count + SPARE)
        table = mended(known, keys, vectors, count, on_progress=on_progress) if known else None
        if table is None:
            table = Table(keys, nearest(vectors, count + SPARE, on_progress=on_progress))
        if table is not known:
            self._keep(table, f"{mark:016x}")
        return table.neighbours.first(count)

    def _best(self, mark: str, keys: np.ndarray, width: int) -> Table | None:
        """Of the tables that know enough of the texts, the one most like them; a damaged one is deleted."""
        best, path, alike = None, None, 0.0
        for file in sorted(self._folder.glob(f"{mark}-*.npz")):
            try:
                with np.load(file, allow_pickle=False) as kept:
                    table_keys = kept["keys"]
                    common = int(np.isin(keys, table_keys).sum())
                    likeness = common / max(len(keys), len(table_keys))
                    if common >= (1 - MAX_SOUGHT) * len(keys) and likeness > alike:
                        table = Table(table_keys, Neighbours(kept["rows"], kept["cosines"]))
                        best, path, alike = _checked(table, width), file, likeness
            except FileNotFoundError:  # another scan made room
                continue
            except OSError as error:
                warnings.warn(f"{file}: cannot be read ({error.strerror})", stacklevel=2)
            except Exception as error:  # noqa: BLE001 (numpy and zipfile raise many kinds over damaged bytes)
                warnings.warn(f"{file}: is damaged ({error}); neighbours are sought anew", stacklevel=2)
                with suppress(OSError):
                    file.unlink()
        if path:
            with suppress(OSError):
                os.utime(path)  # the tables that were not used for longest make room
        return best

    def _keep(self, table: Table, mark: str) -> None:
        path = self._folder / f"{mark}-{blake2b(table.keys.tobytes(), digest_size=8).hexdigest()}.npz"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            found = table.neighbours
            with replacing(path) as part, part.open("wb") as file:
                np.savez(file, keys=table.keys, rows=found.rows, cosines=found.cosines)
            _make_room(self._folder)
        except OSError as error:
            warnings.warn(f"{path}: the neighbours cannot be kept: {error.strerror}", stacklevel=2)


def _make_room(folder: Path) -> None:
    """Deletes the tables that were not used for longest, and what killed scans left; never the last one."""
    used = []
    for path in folder.iterdir():
        with suppress(OSError):  # another scan may delete it
            found = path.stat()
            if path.suffix == ".npz":
                used.append((found.st_mtime, found.st_size, path))
            elif time.time() - found.st_mtime > LEFT_S:
                path.unlink()
    total = 0
    for number, (_, size, path) in enumerate(sorted(used, reverse=True)):
        total += size
        if number and (number >= MAX_TABLES or total > MAX_BYTES):
            with suppress(OSError):
                path.unlink()


def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _checked(table: Table, width: int) -> Table:
    """Raises ValueError for what no scan wrote."""
    count, rows, cosines = len(table.keys), table.neighbours.rows, table.neighbours.cosines
    kinds = [each.dtype for each in (table.keys, rows, cosines)]
    if kinds != [np.uint64, np.int32, np.float32] or {rows.shape, cosines.shape} != {(count, width)}:
        raise ValueError("another layout")
    is_none = rows == -1
    if ((rows < -1) | (rows >= count) | (rows == np.arange(count)[:, None])).any():
        raise ValueError("rows that it does not have")
    if not (np.isneginf(cosines) == is_none).all() or not (np.abs(cosines[~is_none]) <= MAX_COSINE).all():
        raise ValueError("cosines that are none")
    return table


def mended(
    known: Table,
    keys: np.ndarray,
    vectors: np.ndarray,
    count: int,
    *,
    on_progress: Callable[[int], object] = lambda rows: None,
) -> Table | None:
    """The table of these texts, from one that knows some of them; None where it knows too few.

    count: how many neighbours of each are wanted; so many are right as far as `known` was. on_progress is
    told of texts twice, as by `nearest`.
    """
    if np.array_equal(known.keys, keys):
        on_progress(2 * len(keys))
        return known
    old = _places_in(known.keys, keys)
    there = np.flatnonzero(old >= 0)
    row_of = np.full(len(known.keys) + 1, -1, dtype=np.int32)  # the last one stands for no neighbour
    row_of[old[there]] = there
    width = known.neighbours.rows.shape[1]
    found = Neighbours.none(len(keys), width)
    found.rows[there] = row_of[known.neighbours.rows[old[there]]]
    found.cosines[there] = np.where(found.rows[there] >= 0, known.neighbours.cosines[old[there]], -np.inf)
    found.sort(there)
    is_new = old < 0
    sought = np.flatnonzero(is_new | ((found.rows >= 0).sum(axis=1) < count))
    if len(sought) > MAX_SOUGHT * len(keys) or width >= len(keys):
        return None
    on_progress(2 * len(keys) - len(sought))
    # A new text comes among the neighbours of one that is known where it is nearer than the last of them:
    # what is farther than that is not known.
    last = np.where(found.rows >= 0, found.cosines, np.inf).min(axis=1)
    last[sought] = np.inf

    def seek(block: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, ...]:
        found.rows[block], found.cosines[block] = highest(near, width)
        new = np.flatnonzero(is_new[block])
        at, row = np.nonzero(near[new] > last)
        return row, block[new[at]], near[new[at], row]

    if more := for_each_block(vectors, sought, seek, on_progress):
        _add(found, *map(np.concatenate, zip(*more, strict=True)))
    return Table(keys, found)


def _places_in(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each wanted key its place among the keys, -1 where it is none of them."""
    order = np.argsort(keys)
    places = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where(keys[places] == wanted, places, -1)


def _add(found: Neighbours, rows: np.ndarray, others: np.ndarray, cosines: np.ndarray) -> None:
    """Puts others among the neighbours of rows, at their places; the farthest go."""
    order = np.lexsort((-cosines, rows))
    rows, others, cosines = rows[order], others[order], cosines[order]
    changed, begins, counts = np.unique(rows, return_index=True, return_counts=True)
    width = found.rows.shape[1]
    rank = np.arange(len(rows)) - np.repeat(begins, counts)
    keep = rank < width
    place = np.repeat(np.arange(len(changed)), counts)[keep], width + rank[keep]
    both = Neighbours.none(len(changed), 2 * width)
    both.rows[:, :width], both.cosines[:, :width] = found.rows[changed], found.cosines[changed]
    both.rows[place], both.cosines[place] = others[keep], cosines[keep]
    both.sort(slice(None))
    found.rows[changed], found.cosines[changed] = both.rows[:, :width], both.cosines[:, :width]
