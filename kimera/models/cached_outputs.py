"""A model's outputs by way of the cache: only what the cache lacks is computed, and is added to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.models.text_model import Item, TextModel

ROWS_PER_WRITE = 4096  # what a killed run may lose

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CachedOutputs:
    """What `through_cache` did.

    outputs: float32 of shape (n, dimension). from_cache: how many of them the cache had.
    workers_used: how many processes computed the others; 0 where there were none.
    """

    outputs: np.ndarray
    from_cache: int
    workers_used: int


def distinct(items: Iterable[_T]) -> tuple[list[_T], np.ndarray]:
    """(the distinct items as they first come; of each item its place among them, int64 of shape (n,))."""
    places: dict[_T, int] = {}
    rows = [places.setdefault(item, len(places)) for item in items]
    return list(places), np.array(rows, dtype=np.int64)


def through_cache(
    items: Sequence[Item],
    model: TextModel[Item],
    cache: EmbeddingCache | None,
    *,
    workers: int | None = None,
    on_batch: Callable[[int, int], object] | None = None,
) -> CachedOutputs:
    """What a model gives for distinct items: from the cache where it has them, else computed and kept there.

    on_batch: is told after each batch how many of those that the cache lacks are computed, and how many there
    are. What was computed is kept also where the call is interrupted.
    """
    keys = [model.cache_key(item) for item in items]
    outputs, is_cached, fingerprint = _looked_up(keys, model, cache)
    if not is_cached.all():
        # Only now, since it loads the model; on torch the outputs are others, perhaps cached under that name.
        model.settle()
        if model.output_fingerprint != fingerprint:
            outputs, is_cached, fingerprint = _looked_up(keys, model, cache)
    missing = np.flatnonzero(~is_cached)
    unwritten: list[int] = []
    done = 0

    def write() -> None:
        if cache is not None and unwritten:
            cache.put_many(fingerprint, [keys[row] for row in unwritten], outputs[unwritten])
        unwritten.clear()

    try:
        for places, values in model.batches([items[row] for row in missing.tolist()], workers=workers):
            rows = missing[places]
            outputs[rows] = values
            unwritten.extend(rows.tolist())
            done += len(rows)
            if on_batch is not None:
                on_batch(done, len(missing))
            if len(unwritten) >= ROWS_PER_WRITE:
                write()
    finally:
        write()
    used = model.processes_for(len(missing), workers)
    return CachedOutputs(outputs, len(items) - len(missing), used)


def _looked_up(
    keys: Sequence[str], model: TextModel[Item], cache: EmbeddingCache | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """(outputs, which of them the cache had, the fingerprint that they go by)."""
    fingerprint = model.output_fingerprint
    if cache is None:
        return np.empty((len(keys), model.dimension), np.float32), np.zeros(len(keys), bool), fingerprint
    return *cache.get_many(fingerprint, keys, model.dimension), fingerprint
