"""Who decides on the candidates of a scan: a stage of the reactor, or any local detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from kimera.corpus.scan_scores import ScanScores
from kimera.corpus.screening import Screened
from kimera.detectors import VerdictSource
from kimera.pairs import Failure, Pair, Verdict
from kimera.reactor import Reactor

FIRST_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Block:
    """What was decided of some rows of the candidates.

    scores: P(contradiction), float of shape (rows,), NaN where the detector failed. read: how many were read,
    and did not come from a cache; each stage of a chain reads for itself. entailments: P(entailment),
    likewise; None where the detector does not say.
    """

    rows: np.ndarray
    scores: np.ndarray
    read: int
    failures: Sequence[Failure] = ()
    entailments: np.ndarray | None = None


# The texts of a corpus, its candidates, a bar, worker processes -> block by block, the likeliest first
Decide: TypeAlias = Callable[[Sequence[str], Screened, Any, int | None], Iterator[Block]]


def by_reactor(reactor: Reactor) -> Decide:
    """By its deciding stage: the cross-encoder, or the head, whose scores the candidates have."""

    def screened_already(
        _: Sequence[str], screened: Screened, progress: Any, __: int | None
    ) -> Iterator[Block]:
        progress.update(len(screened.first))
        yield Block(np.arange(len(screened.first)), screened.score, 0)

    def verified(
        texts: Sequence[str], screened: Screened, progress: Any, workers: int | None
    ) -> Iterator[Block]:
        for rows in _blocks(len(screened.first), reactor, workers):
            pairs, start = screened.texts(texts, rows), int(rows[0])
            said = reactor.verify(pairs, workers, _share_of(progress, start, len(rows)))
            progress.update(start + len(rows) - progress.n)
            yield Block(rows, said.scores, said.read, entailments=said.probabilities[:, 1])

    return verified if reactor.deciding_stage != "screen" else screened_already


def by_scan_scores(reactor: Reactor, scores: ScanScores) -> Decide:
    """By the cross-encoder in both orders, and by the words of pairs that `screened_by_words` left."""

    def decided(
        texts: Sequence[str], screened: Screened, progress: Any, workers: int | None
    ) -> Iterator[Block]:
        if screened.log_odds is None:
            raise ValueError("the words of these pairs were not compared")
        for rows in _blocks(len(screened.first), reactor, workers):
            contradiction, entailment, read = read_both_ways(screened.texts(texts, rows), reactor, workers)
            progress.update(len(rows))
            yield Block(rows, scores.of(screened.log_odds[rows], contradiction, entailment), read)

    return decided


def _blocks(count: int, reactor: Reactor, workers: int | None) -> Iterator[np.ndarray]:
    """All rows; the first blocks are small, so that a scan that is interrupted has the likeliest."""
    start, maximum = 0, FIRST_BLOCK
    while start < count:
        yield np.arange(start, min(start + maximum, count))
        start, maximum = start + maximum, min(2 * maximum, reactor.chunk_size(workers))


def read_both_ways(
    pairs: Sequence[tuple[str, str]], reactor: Reactor, workers: int | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """What `ScanScores.of` takes of n pairs, float32 of shape (n,) each, and how many were not in the cache.

    P(contradiction), the lower of both orders; P(entailment), the higher.
    """
    said = reactor.verify(pairs, workers)
    back = reactor.verify([(second, first) for first, second in pairs], workers)
    both = np.stack([said.probabilities, back.probabilities])
    return both[:, :, 0].min(axis=0), both[:, :, 1].max(axis=0), said.read + back.read


def _share_of(progress: Any, start: int, count: int) -> Callable[[int, int], object]:
    """Moves the bar on through a block of `count` pairs as parts of it are read."""
    return lambda done, of: progress.update(start + count * done // of - progress.n)


def by_detector(detector: VerdictSource) -> Decide:
    """By any local detector, in one stream: some start processes for each, or look at its first pairs.

    A block is one pair, so that a scan which is interrupted keeps all that a slow detector said.
    """

    def decided(
        texts: Sequence[str], screened: Screened, progress: Any, workers: int | None
    ) -> Iterator[Block]:
        rows = range(len(screened.first))
        pairs = (Pair(*screened.texts(texts, np.array([row]))[0]) for row in rows)
        before = _read_so_far(detector)
        with detector:
            outcomes = detector.stream(pairs, workers, progress.update)
            for row, outcome in zip(rows, outcomes, strict=True):
                read = _read_so_far(detector)
                yield _block(row, outcome, None if read is None else int(read - (before or 0)))
                before = read
        progress.update(len(rows) - progress.n)

    return decided


def _block(row: int, outcome: Verdict | Failure, read: int | None) -> Block:
    """read: None where nobody counts, since each pair is read anew."""
    if isinstance(outcome, Failure):
        return Block(np.array([row]), np.array([np.nan]), read or 0, [outcome])
    entailed = None if outcome.entailment is None else np.array([outcome.entailment])
    read = 1 if read is None else read
    return Block(np.array([row]), np.array([outcome.score]), read, entailments=entailed)


def _read_so_far(detector: VerdictSource) -> float | None:
    """None where it does not count."""
    return detector.counts.get("read")
