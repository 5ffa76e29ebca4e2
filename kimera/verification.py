"""Pairs of texts to the cross-encoder's probabilities, by way of the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.calibration import calibrated_probabilities
from kimera.cross_encoder import CrossEncoder
from kimera.head import CLASSES


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` did.

    probabilities: calibrated, float32 of shape (n, 3) in the order of `CLASSES`.
    read: how many distinct pairs the network read. from_cache: how many the cache had.
    workers_used: how many processes read; 0 where there was nothing to read.
    """

    probabilities: np.ndarray
    read: int
    from_cache: int
    workers_used: int


def verify(
    pairs: Sequence[tuple[str, str]],
    cross_encoder: CrossEncoder,
    cache: EmbeddingCache | None,
    *,
    workers: int | None = None,
    on_read: Callable[[int, int], object] | None = None,
) -> Verified:
    """The probabilities of pairs: each distinct pair is looked up, or else read and added to the cache.

    on_read: is told after each batch how many pairs are read, and how many there are to read. What was read
    is kept also where the call is interrupted.
    """
    rows: dict[tuple[str, str], int] = {}
    indices = [rows.setdefault(pair, len(rows)) for pair in pairs]
    distinct = list(rows)
    keys = [_key(pair) for pair in distinct]
    if cache is None:
        logits, found = np.empty((len(distinct), len(CLASSES)), np.float32), np.zeros(len(distinct), bool)
    else:
        logits, found = cache.get_many(cross_encoder.fingerprint, keys, len(CLASSES))
    missing = np.flatnonzero(~found)
    workers_used = cross_encoder.processes_for(len(missing), workers)
    done: list[int] = []
    try:
        for some, values in cross_encoder.logits_batches([distinct[row] for row in missing], workers=workers):
            logits[missing[some]] = values
            done.extend(missing[some].tolist())
            if on_read is not None:
                on_read(len(done), len(missing))
    finally:
        if cache is not None and done:
            cache.put_many(cross_encoder.fingerprint, [keys[row] for row in done], logits[done])
    weights = cross_encoder.weights
    probabilities = calibrated_probabilities(logits[indices], weights.slope, weights.offset)
    return Verified(probabilities, len(missing), len(distinct) - len(missing), workers_used)


def _key(pair: tuple[str, str]) -> str:
    """One text for two, such that no two pairs share it."""
    return f"{len(pair[0])}:{pair[0]}{pair[1]}"
