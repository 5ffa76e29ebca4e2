"""Reactor: pairs of texts to verdicts, by sentence vectors and a trained contradiction head."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import compress, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.encoder import DEFAULT_MODEL, PACKAGED_NAMES, Encoder, embed
from kimera.errors import UserError
from kimera.head import ContradictionHead
from kimera.pairs import Failure, Pair, Verdict

if TYPE_CHECKING:
    from types import TracebackType

SHIPPED_HEAD = Path(__file__).parent / "weights" / "head.safetensors"
PAIRS_PER_CHUNK = 4096
THRESHOLD = 0.5
EMPTY_TEXT = Failure("empty_text", "one of the two texts is empty, so there is nothing to compare")

PairLike: TypeAlias = Pair | tuple[str, str]


@dataclass(frozen=True, slots=True)
class ReactorStats:
    """What a reactor has done so far.

    texts: distinct texts, counted chunk by chunk (of 4,096 pairs); each was `encoded` or `from_cache`.
    workers_asked: encoding processes asked for; None is this process with all its cores.
    workers_used: the most processes that encoded; 0 while nothing had to be encoded.
    load_s: wall seconds to start encoding processes and load the model; no pair's latency has them in it.
    """

    pairs: int = 0
    texts: int = 0
    encoded: int = 0
    from_cache: int = 0
    workers_asked: int | None = None
    workers_used: int = 0
    load_s: float = 0.0


class Reactor:
    """The local detector: texts in, calibrated verdicts out, no network.

    encoder: an `Encoder`, or a model's name or folder. head: a `ContradictionHead`, or the path of one;
    by default the one shipped for the default encoder. cache: by default one in the user's cache folder;
    None keeps nothing. workers: encoding processes, unless a call says otherwise; None is this process.
    Raises `UserError` if the head is missing or was fitted on another encoder.

    A context manager: `close` ends the worker processes. On a warm cache torch is never imported.
    """

    def __init__(
        self,
        encoder: Encoder | str | Path = DEFAULT_MODEL,
        head: ContradictionHead | str | Path | None = None,
        cache: EmbeddingCache | Literal["default"] | None = "default",
        workers: int | None = None,
    ) -> None:
        self.encoder = encoder if isinstance(encoder, Encoder) else Encoder(encoder)
        self.head = head if isinstance(head, ContradictionHead) else _load_head(head, self.encoder)
        self.head.require_encoder(self.encoder.fingerprint, self.encoder.name)
        self.cache = EmbeddingCache() if cache == "default" else cache
        self.workers = workers
        self.stats = ReactorStats(workers_asked=workers)

    def __enter__(self) -> Reactor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes. The reactor stays usable."""
        self.encoder.close()

    def detect(self, pairs: Iterable[PairLike], workers: int | None = None) -> list[Verdict | Failure]:
        """One verdict a pair, in order; a pair with an empty text gives a `Failure` of kind "empty_text"."""
        return list(self.stream(pairs, workers))

    def stream(
        self,
        pairs: Iterable[PairLike],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        """`detect`, chunk by chunk, in memory that does not grow with the number of pairs.

        workers: encoding processes for this call; None is the reactor's own setting.
        on_progress: is told by how many pairs the work has moved on; tqdm's `update`, say. Where a part of
        a chunk's texts is encoded, that part of its pairs counts as done; their verdicts come with the chunk.
        Raises `UserError` for `workers` below 1 and if an encoding process dies.
        """
        workers = self.workers if workers is None else workers
        if workers is not None and workers < 1:
            raise UserError(f"workers is {workers}; give 1 or more, or None for this process alone")
        self.stats = replace(self.stats, workers_asked=workers)
        source = iter(pairs)
        while chunk := [_texts(pair) for pair in islice(source, PAIRS_PER_CHUNK)]:
            progress = _ChunkProgress(len(chunk), on_progress)
            outcomes = self._detect_chunk(chunk, workers, progress)
            progress.reach(1, 1)
            yield from outcomes

    def _detect_chunk(
        self, chunk: list[tuple[str, str]], workers: int | None, progress: _ChunkProgress
    ) -> list[Verdict | Failure]:
        start, loaded_s = time.perf_counter(), self.encoder.load_s
        answerable = [all(text.strip() for text in texts) for texts in chunk]
        rows = iter(self._probabilities(list(compress(chunk, answerable)), workers, progress).tolist())
        busy_s = time.perf_counter() - start - (self.encoder.load_s - loaded_s)
        latency_ms = busy_s * 1000 / len(chunk)
        self.stats = replace(self.stats, pairs=self.stats.pairs + len(chunk), load_s=self.encoder.load_s)
        return [_verdict(next(rows), latency_ms) if full else EMPTY_TEXT for full in answerable]

    def _probabilities(
        self, pairs: list[tuple[str, str]], workers: int | None, progress: _ChunkProgress
    ) -> np.ndarray:
        """Calibrated probabilities, shape (n, 3), in the order of `head.CLASSES`."""
        rows: dict[str, int] = {}
        indices = [[rows.setdefault(text, len(rows)) for text in texts] for texts in pairs]
        first, second = np.array(indices, dtype=np.int64).reshape(-1, 2).T
        embedded = embed(list(rows), self.encoder, self.cache, workers=workers, on_encoded=progress.reach)
        self.stats = replace(
            self.stats,
            texts=self.stats.texts + len(rows),
            encoded=self.stats.encoded + len(rows) - embedded.from_cache,
            from_cache=self.stats.from_cache + embedded.from_cache,
            workers_used=max(self.stats.workers_used, embedded.workers_used),
        )
        return self.head.predict(embedded.vectors[first], embedded.vectors[second])


class _ChunkProgress:
    """Tells how far a chunk's pairs have come."""

    def __init__(self, pairs: int, tell: Callable[[int], object] | None) -> None:
        self._pairs = pairs
        self._tell = tell
        self._told = 0

    def reach(self, done: int, of: int) -> None:
        """So much of the chunk's work is done; told is what that adds in whole pairs."""
        added = self._pairs * done // of - self._told
        if added and self._tell is not None:
            self._told += added
            self._tell(added)


def _load_head(path: str | Path | None, encoder: Encoder) -> ContradictionHead:
    if path is None and encoder.name not in PACKAGED_NAMES:
        raise UserError(
            f"no head is shipped for the encoder {encoder.name!r}. Fit one and pass it: "
            f"python -m kimera.train FILE --encoder {encoder.name} --out HEAD; "
            f"then --head HEAD on the command line, or Reactor(encoder={encoder.name!r}, head=HEAD)"
        )
    return ContradictionHead.load(SHIPPED_HEAD if path is None else path)


def _texts(pair: PairLike) -> tuple[str, str]:
    text1, text2 = (pair.text1, pair.text2) if isinstance(pair, Pair) else pair
    if not isinstance(text1, str) or not isinstance(text2, str):
        raise TypeError(f"a pair is a Pair or two strings, not {pair!r:.200}")
    return text1, text2


def _verdict(probabilities: list[float], latency_ms: float) -> Verdict:
    contradiction, entailment, neutral = probabilities
    found = contradiction >= THRESHOLD
    others = f"neutral {neutral:.2f}, entailment {entailment:.2f}"
    return Verdict(
        contradiction=found,
        confidence=contradiction if found else 1.0 - contradiction,
        reasoning=f"screen: P(contradiction) {contradiction:.2f}; {others}",
        latency_ms=latency_ms,
        score_source="calibrated",
    )
