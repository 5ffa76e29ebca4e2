"""Pairs of texts to the cross-encoder's probabilities, by way of the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.calibration import calibrated_probabilities
from kimera.cross_encoder import PAIRS_PER_TASK, CrossEncoder
from kimera.head import CLASSES
from kimera.passages import MAX_PASSAGE_PAIRS, passage_pairs

PAIRS_PER_WRITE = 4096  # what a killed run may lose
MIN_AT_A_TIME = 4096
MAX_AT_A_TIME = 65_536  # vectors of their texts are 0.4 GB
TASKS_PER_WORKER = 4  # so that workers wait seldom for the last one


@dataclass(frozen=True, slots=True)
class Strongest:
    """Of a pair that is too long to be read at once, the two passages that contradict each other most.

    of: how many pairs of passages were read; cut: of how many of them the end was not, for they were too long
    themselves.
    """

    texts: tuple[str, str]
    of: int
    cut: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` did.

    probabilities: calibrated, float32 of shape (n, 3) in the order of `CLASSES`.
    strongest: of each pair that is too long to be read at once, by its place; its probabilities are theirs.
    read: how many distinct pairs (of texts, or of passages) the network read. from_cache: how many the cache
    had.
    workers_used: how many processes read; 0 where there was nothing to read.
    """

    probabilities: np.ndarray
    strongest: dict[int, Strongest]
    read: int
    from_cache: int
    workers_used: int


def pairs_at_a_time(workers: int | None) -> int:
    """How many pairs to hold and verify in one go, so that these workers are busy and memory is bounded.

    From 65,536 pairs on there are no more for more workers. None is this process alone.
    """
    return min(max(MIN_AT_A_TIME, (workers or 1) * TASKS_PER_WORKER * PAIRS_PER_TASK), MAX_AT_A_TIME)


def verify(
    pairs: Sequence[tuple[str, str]],
    cross_encoder: CrossEncoder,
    cache: EmbeddingCache | None,
    *,
    workers: int | None = None,
    max_passage_pairs: int = MAX_PASSAGE_PAIRS,
    on_read: Callable[[int, int], object] | None = None,
) -> Verified:
    """The probabilities of pairs: each distinct pair is looked up, or else read and added to the cache.

    A pair that is too long for the model's window is read passage by passage, and the strongest contradiction
    counts. Its score is not calibrated as those of short pairs are: it is the greatest of many.

    max_passage_pairs: what one pair of long texts may cost; fewer make longer passages.
    on_read: is told after each batch how many pairs are read, and how many there are to read. What was read
    is kept also where the call is interrupted.
    """
    long = cross_encoder.too_long(pairs)
    parts = [
        passage_pairs(pair, max_passage_pairs) if is_long else [pair]
        for pair, is_long in zip(pairs, long, strict=True)
    ]
    rows: dict[tuple[str, str], int] = {}
    rows_of = [[rows.setdefault(part, len(rows)) for part in of_pair] for of_pair in parts]
    distinct = list(rows)
    keys = [_key(pair) for pair in distinct]
    logits, found, mark = _looked_up(cross_encoder, cache, keys)
    if not found.all():
        cross_encoder.settle()
        if cross_encoder.fingerprint != mark:
            logits, found, mark = _looked_up(cross_encoder, cache, keys)
    missing = np.flatnonzero(~found)
    pending: list[int] = []
    read = 0

    def write() -> None:
        if cache is not None and pending:
            cache.put_many(mark, [keys[row] for row in pending], logits[pending])
        pending.clear()

    try:
        for some, values in cross_encoder.logits_batches([distinct[row] for row in missing], workers=workers):
            logits[missing[some]] = values
            pending.extend(missing[some].tolist())
            read += len(some)
            if on_read is not None:
                on_read(read, len(missing))
            if len(pending) >= PAIRS_PER_WRITE:
                write()
    finally:
        write()
    weights = cross_encoder.weights
    every = calibrated_probabilities(logits, weights.slope, weights.offset)
    best = [of_pair[int(every[of_pair, 0].argmax())] for of_pair in rows_of]
    strongest = {
        place: Strongest(
            distinct[best[place]], len(parts[place]), int(cross_encoder.too_long(parts[place]).sum())
        )
        for place in np.flatnonzero(long).tolist()
    }
    workers_used = cross_encoder.processes_for(len(missing), workers)
    return Verified(every[best], strongest, len(missing), len(distinct) - len(missing), workers_used)


def _looked_up(
    cross_encoder: CrossEncoder, cache: EmbeddingCache | None, keys: list[str]
) -> tuple[np.ndarray, np.ndarray, str]:
    """(logits, which of them the cache had, what they are of)."""
    mark = cross_encoder.fingerprint
    if cache is None:
        return np.empty((len(keys), len(CLASSES)), np.float32), np.zeros(len(keys), bool), mark
    return *cache.get_many(mark, keys, len(CLASSES)), mark


def _key(pair: tuple[str, str]) -> str:
    """One text for two, such that no two pairs share it."""
    return f"{len(pair[0])}:{pair[0]}{pair[1]}"
