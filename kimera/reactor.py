"""Reactor: pairs of texts to verdicts, in up to three stages.

Screen: sentence vectors and a trained contradiction head, microseconds a pair once the vectors are there.
Verify: a small cross-encoder, which reads both texts of a pair together and is surer by far.
Deep: a large one, surer still, about ten times as slow.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import compress, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.detectors import (
    COUNTED,
    THRESHOLD,
    ChunkProgress,
    at_threshold,
    chunk_size,
    require_threshold,
    require_workers,
)
from kimera.models import (
    CLASSES,
    DEEP_MODEL,
    DEFAULT_MODEL,
    MAX_PASSAGE_PAIRS,
    Backend,
    ContradictionHead,
    CrossEncoder,
    Device,
    Embedded,
    Encoder,
    Precision,
    Strongest,
    Verified,
    distinct,
    embed,
    verify,
)
from kimera.pairs import EMPTY_TEXT, Failure, Pair, Verdict, pair_of
from kimera.reactor_bounds import StageBounds
from kimera.reactor_models import ReactorModels
from kimera.reactor_stages import Stage, Stages
from kimera.reactor_verdicts import Decided, ReactorStats, verdict_by_stage
from kimera.shipped_weights import (
    SHIPPED_BOUNDS,
    SHIPPED_CROSS_ENCODER,
    SHIPPED_DEEP,
    SHIPPED_HEAD,
)
from kimera.workers import LOCAL, Engine, EngineName

__all__ = [
    "SHIPPED_BOUNDS",
    "SHIPPED_CROSS_ENCODER",
    "SHIPPED_DEEP",
    "SHIPPED_HEAD",
    "THRESHOLD",
    "Outcome",
    "PairLike",
    "Reactor",
    "ReactorStats",
    "Stages",
]

PARTS = 1000  # in which the progress of two readers is told

PairLike: TypeAlias = Pair | tuple[str, str]
Outcome: TypeAlias = Verdict | Failure


class Reactor(ReactorModels):
    """The local detector: texts in, calibrated verdicts out, no network.

    encoder: an `Encoder`, or a model's name or folder. head: a `ContradictionHead`, or the path of one;
    by default the one shipped for the default encoder. cache: by default one in the user's cache folder;
    None keeps nothing. workers: processes, unless a call says otherwise; None is this process.
    stages: "screen" (encoder and head), "verify" (the small cross-encoder), "both", where the verdict is the
    cross-encoder's, and carries the head's as `screen_score`, "deep" (the large cross-encoder), or
    "screen,verify,deep", where each stage settles what it is sure of and leaves the rest to the next one, and
    what is too long for the small cross-encoder to deep. By default "both", but "screen" for an encoder or a
    head of your own.
    Texts that are too long together for a cross-encoder are read passage by passage.
    cross_encoder, deep: a `CrossEncoder`, or the path of weights for one; by default the shipped ones.
    deep_base: folder or name of the model that the deep one was made from. bounds: within which a pair is
    left to the next stage, or the path of a file of them; by default those of the shipped weights.
    backend, precision, device: of the encoder and the cross-encoders that are made here; see `Encoder`.
    engine: what runs the workers of those, see `Engine`; on "ray" None is one on each CPU.
    symmetric: cross-encoders read each pair in both orders and the mean counts, at twice the time.
    threshold: the score from which on a pair is called a contradiction. Scores are moved with it, so that it
    becomes 0.5: their order stays, and with another threshold than 0.5 they are calibrated no more.
    Raises `UserError` if weights are missing or belong to another encoder.

    A context manager: `close` ends the worker processes. On warm caches torch is never imported.
    """

    kind = "reactor"

    def __init__(
        self,
        encoder: Encoder | str | Path = DEFAULT_MODEL,
        head: ContradictionHead | str | Path | None = None,
        cache: EmbeddingCache | Literal["default"] | None = "default",
        workers: int | None = None,
        *,
        stages: Stages | None = None,
        cross_encoder: CrossEncoder | str | Path | None = None,
        deep: CrossEncoder | str | Path | None = None,
        deep_base: str | Path = DEEP_MODEL,
        bounds: StageBounds | str | Path | None = None,
        symmetric: bool = False,
        threshold: float = THRESHOLD,
        backend: Backend | None = None,
        precision: Precision | None = None,
        device: Device = "cpu",
        engine: Engine | EngineName = LOCAL,
    ) -> None:
        require_threshold(threshold)
        super().__init__(
            encoder,
            head,
            stages=stages,
            cross_encoder=cross_encoder,
            deep=deep,
            deep_base=deep_base,
            bounds=bounds,
            symmetric=symmetric,
            backend=backend,
            precision=precision,
            device=device,
            engine=engine,
        )
        self.cache = EmbeddingCache() if cache == "default" else cache
        self.workers = workers
        self.threshold = threshold
        self.stats = ReactorStats(workers_asked=workers)

    def take_settings(self, settings: Mapping[str, Any]) -> None:
        """Go on in the number formats that these `settings` of an earlier object say it took.

        They are settled when it is made, but for a network that cannot be made for onnxruntime: torch takes
        that over, in float32. Raises `UserError` where it cannot go on so.
        """
        encoder = self.encoder if self.head or self._weighs_long_texts else None
        parts = {"encoder": encoder, "cross_encoder": self.cross_encoder, "deep": self.deep}
        for name, model in parts.items():
            mark = settings.get(f"{name}_fingerprint")
            if model and mark:
                model.go_on_from(mark)

    def settle(self, pairs: Sequence[Pair]) -> None:
        """There is nothing to settle by pairs."""

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the verdicts and how they are computed, JSON-ready."""
        return {
            "stages": self.stages,
            **({"encoder": self.encoder.name} if self.head or self._weighs_long_texts else {}),
            "precision": self.runtime.precision,
            "backend": self.runtime.backend,
            "backend_reason": self.runtime.reason,
            "device": self.runtime.device,
            "symmetric": self.symmetric,
            **({"threshold": self.threshold} if self.threshold != THRESHOLD else {}),
            **({"deep_base_from": self.deep.origin} if self.deep else {}),
            **{f"{part}_fingerprint": mark for part, mark in self.fingerprints.items()},
            "cache": self.cache is not None,
        }

    @property
    def counts(self) -> dict[str, float]:
        """What of `stats` adds up over several reactors, and how many processes were used."""
        stats = asdict(self.stats)
        names = [name for name in (*COUNTED, "workers_used") if name != "to_deep" or self.bounds]
        return {name: stats[name] for name in names}

    def without_cache(self) -> Reactor:
        """The same models, with no cache and counts of its own."""
        other = copy.copy(self)
        other.cache, other.stats = None, ReactorStats(workers_asked=self.workers)
        return other

    def detect(self, pairs: Iterable[PairLike], workers: int | None = None) -> list[Verdict | Failure]:
        """One verdict a pair, in order; a pair with an empty text gives a `Failure` of kind "empty_text"."""
        return list(self.stream(pairs, workers))

    def stream(
        self,
        pairs: Iterable[PairLike],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        """`detect`, chunk by chunk, in memory that grows with the workers, not with the number of pairs.

        workers: processes for this call; None is the reactor's own setting.
        on_progress: is told by how many pairs the work has moved on; tqdm's `update`, say. Where a part of
        a chunk's work is done, that part of its pairs counts as done; their verdicts come with the chunk.
        Raises `UserError` for `workers` below 1, and where a pool's `map` does; ValueError for what is no
        pair.
        """
        workers = self._workers(workers)
        require_workers(workers)
        self.stats = replace(self.stats, workers_asked=workers)
        source = (pair_of(pair, number) for number, pair in enumerate(pairs))
        while chunk := [(pair.text1, pair.text2) for pair in islice(source, self.chunk_size(workers))]:
            progress = ChunkProgress(len(chunk), on_progress)
            outcomes = self._detect_chunk(chunk, workers, progress)
            progress.reach(1.0)
            yield from outcomes

    def chunk_size(self, workers: int | None = None) -> int:
        """How many pairs to do in one go, so that the workers are busy and memory is bounded."""
        return chunk_size(self._workers(workers), self.engine, self.stats.workers_used)

    def embed(
        self,
        texts: Sequence[str],
        workers: int | None = None,
        on_encoded: Callable[[int, int], object] | None = None,
    ) -> Embedded:
        """The vectors of distinct texts, by this reactor's encoder and cache; see `encoder.embed`."""
        embedded = embed(
            texts, self.encoder, self.cache, workers=self._workers(workers), on_encoded=on_encoded
        )
        self.stats = replace(
            self.stats,
            texts=self.stats.texts + len(texts),
            encoded=self.stats.encoded + len(texts) - embedded.from_cache,
            from_cache=self.stats.from_cache + embedded.from_cache,
            workers_used=max(self.stats.workers_used, embedded.workers_used),
        )
        return embedded

    def screen(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The head's calibrated probabilities, float32 of shape (n, 3) in the order of `head.CLASSES`.

        first, second: the vectors of n pairs, of shape (n, dimension). Raises ValueError without a head.
        """
        if self.head is None:
            raise ValueError("the reactor has no head; its stages must include screen")
        return self.head.predict(first, second)

    def verify(
        self,
        pairs: Sequence[tuple[str, str]],
        workers: int | None = None,
        on_read: Callable[[int, int], object] | None = None,
        *,
        max_passage_pairs: int = MAX_PASSAGE_PAIRS,
    ) -> Verified:
        """What the cross-encoders say, in both orders where `symmetric`; see `verification.verify`.

        Where there are two, the second reads what the first is not sure of, and what is too long for it: the
        bounds were found on short pairs. Raises ValueError without any.
        """
        if not self._readers:
            raise ValueError("the reactor has no cross-encoder; its stages must include verify or deep")
        first, *second = self._readers
        read = functools.partial(self._read, workers=workers, max_passage_pairs=max_passage_pairs)
        if not second or self.bounds is None:
            return read(first, pairs, on_read=on_read)
        verified = read(first, pairs, on_read=_part(on_read, 0.0, 0.5))
        is_long = np.isin(np.arange(len(pairs)), list(verified.strongest))
        left = np.flatnonzero(~self.bounds.verify.settles(verified.scores) | is_long)
        deep = read(second[0], [pairs[place] for place in left.tolist()], on_read=_part(on_read, 0.5, 1.0))
        self.stats = replace(self.stats, to_deep=self.stats.to_deep + len(left))
        return verified.with_rows(left, deep)

    def _read(
        self,
        model: CrossEncoder,
        pairs: Sequence[tuple[str, str]],
        *,
        workers: int | None,
        max_passage_pairs: int,
        on_read: Callable[[int, int], object] | None,
    ) -> Verified:
        verified = verify(
            pairs,
            model,
            self.cache,
            symmetric=self.symmetric,
            workers=self._workers(workers),
            max_passage_pairs=max_passage_pairs,
            vectors_of=(lambda texts: self.embed(texts, workers).vectors)
            if self._weighs_long_texts
            else None,
            on_read=on_read,
        )
        self.stats = replace(
            self.stats,
            read=self.stats.read + verified.read,
            read_from_cache=self.stats.read_from_cache + verified.from_cache,
            workers_used=max(self.stats.workers_used, verified.workers_used),
        )
        return verified

    def _workers(self, workers: int | None) -> int | None:
        return self.workers if workers is None else workers

    def _detect_chunk(
        self, chunk: list[tuple[str, str]], workers: int | None, progress: ChunkProgress
    ) -> list[Outcome]:
        start, loaded_s = time.perf_counter(), self._load_s
        answerable = [all(text.strip() for text in texts) for texts in chunk]
        pairs = list(compress(chunk, answerable))
        decided = self._decide(pairs, workers, progress)
        busy_s = time.perf_counter() - start - (self._load_s - loaded_s)
        latency_ms = busy_s * 1000 / len(chunk)
        self.stats = replace(self.stats, pairs=self.stats.pairs + len(chunk), load_s=self._load_s)
        rows = iter(decided)
        verdicts = (verdict_by_stage(next(rows), latency_ms) if full else EMPTY_TEXT for full in answerable)
        return [at_threshold(verdict, self.threshold) for verdict in verdicts]

    def _decide(
        self, pairs: list[tuple[str, str]], workers: int | None, progress: ChunkProgress
    ) -> list[Decided]:
        """What the stages say of each pair, by the one that decided."""
        probabilities = np.empty((len(pairs), len(CLASSES)), dtype=np.float32)
        stages: list[Stage] = [self.deciding_stage] * len(pairs)
        screen_scores: list[float | None] = [None] * len(pairs)
        strongest: dict[int, Strongest] = {}
        left = np.arange(len(pairs))
        if self.head:
            probabilities[:] = self._screened(
                pairs, workers, progress.part(0.0, 0.5 if self._readers else 1.0)
            )
            if self.bounds:
                is_long = self._readers[0].too_long(pairs)
                left = np.flatnonzero(~self.bounds.screen.settles(probabilities[:, 0]) | is_long)
                stages = ["screen"] * len(pairs)
            if self._readers:
                screen_scores = probabilities[:, 0].tolist()
        if self._readers:
            part = progress.part(0.5 if self.head else 0.0, 1.0)
            verified = self.verify([pairs[place] for place in left.tolist()], workers, part)
            probabilities[left] = verified.probabilities
            for place, at in enumerate(left.tolist()):
                stages[at] = self.reader_of(verified, place)
                if place in verified.strongest:
                    strongest[at] = verified.strongest[place]
        passages = map(strongest.get, range(len(pairs)))
        return list(map(Decided, stages, probabilities.tolist(), screen_scores, passages))

    def reader_of(self, verified: Verified, place: int) -> Stage:
        """The stage that gave the probabilities of a pair."""
        if verified.again is None:
            return self.deciding_stage
        return "deep" if verified.again[place] else "verify"

    def _screened(
        self,
        pairs: list[tuple[str, str]],
        workers: int | None,
        on_encoded: Callable[[int, int], object],
    ) -> np.ndarray:
        """From texts to what `screen` gives."""
        texts, rows = distinct(text for pair in pairs for text in pair)
        first, second = rows.reshape(-1, 2).T
        vectors = self.embed(texts, workers, on_encoded).vectors
        return self.screen(vectors[first], vectors[second])


def _part(
    on_read: Callable[[int, int], object] | None, begin: float, end: float
) -> Callable[[int, int], object] | None:
    """Tells the progress of a part of the work, from `begin` to `end` of it, as that of the whole."""
    if on_read is None:
        return None
    return lambda done, total: on_read(round(PARTS * (begin + (end - begin) * done / max(1, total))), PARTS)
