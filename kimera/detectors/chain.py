"""Local detectors one after the other: each settles what it is sure of, the next one gets the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from types import TracebackType
from typing import Any, TypeAlias

from kimera.detectors.chunk_progress import ChunkProgress
from kimera.detectors.scores_file import ScoresFile
from kimera.detectors.verdict_source import COUNTED, VerdictSource
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict

PAIRS_AT_A_TIME = 4096
FIRST_PAIRS = 256  # the first chunks are smaller, so that work which is interrupted has something to show
SURE = 0.95
Answered: TypeAlias = dict[str, bool]  # by stage that a pair came to: whether it gave a verdict


class Chain(VerdictSource):
    """One detector made of several, by name, the cheapest first.

    sure: the confidence from which a stage's verdict stands, 0.5 to 1. Whether it does depends on the pair
    alone, so a pair's verdict is the same in any order and in any company as far as its stages' verdicts are.
    What stages settle by their first pairs, such as an NLI model's precision, all of them settle by the
    first pairs of the call. What a stage fails on goes on as well; where the last stage that a pair came to
    failed on it, the pair has failed. Raises UserError for fewer than two detectors, or no confidence.

    A pair's `latency_ms` is the sum over the stages that it went through.
    """

    kind = "chain"

    def __init__(self, sources: Mapping[str, VerdictSource], sure: float = SURE) -> None:
        if len(sources) < 2:
            raise UserError("a chain takes two detectors or more")
        if not 0.5 <= sure <= 1:
            raise UserError(f"sure: {sure!r} is no confidence between 0.5 and 1")
        self.sources = dict(sources)
        self.sure = sure
        self._given: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._is_held = False
        self._opened = ExitStack()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "sure": self.sure,
            "chain": {name: dict(source.settings) for name, source in self.sources.items()},
        }

    @property
    def fingerprints(self) -> Mapping[str, str]:
        return {
            f"{name}.{part}": mark
            for name, source in self.sources.items()
            for part, mark in source.fingerprints.items()
        }

    @property
    def trained_on(self) -> list[str] | None:
        known = [source.trained_on for source in self.sources.values()]
        if any(titles is None for titles in known):
            return None
        return list(dict.fromkeys(title for titles in known for title in titles or ()))

    @property
    def given(self) -> Mapping[str, int]:
        """How many pairs each stage was given so far."""
        return dict(self._given)

    @property
    def failed(self) -> Mapping[str, int]:
        """On how many of them it failed."""
        return dict(self._failed)

    @property
    def counts(self) -> Mapping[str, float]:
        """The sums over its stages; a stage that counts no reading reads each of its pairs; a file none."""
        counts = [
            {"read": 0 if isinstance(stage, ScoresFile) else self._given[name], **stage.counts}
            for name, stage in self.sources.items()
        ]
        summed = {
            name: sum(of.get(name, 0) for of in counts)
            for name in COUNTED
            if any(name in of for of in counts)
        }
        return {**summed, "workers_used": max(of.get("workers_used", 1) for of in counts)}

    def take_settings(self, settings: Mapping[str, Any]) -> None:
        for name, source in self.sources.items():
            source.take_settings(settings.get("chain", {}).get(name, {}))

    def settle(self, pairs: Sequence[Pair]) -> None:
        self._is_held = True
        self._settle_stages(pairs)

    def _settle_stages(self, pairs: Sequence[Pair]) -> None:
        for stage in self.sources.values():
            stage.settle(pairs)

    def stream(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        return (result for result, _ in self.with_stages(pairs, workers, on_progress))

    def with_stages(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[tuple[Verdict | Failure, Answered]]:
        """`stream`, and of each pair the stages that it came to."""
        source, size = iter(pairs), FIRST_PAIRS
        if not self._is_held and (ahead := list(islice(source, PAIRS_AT_A_TIME))):
            self._settle_stages(ahead)
            source = chain(ahead, source)
        while chunk := list(islice(source, size)):
            progress = ChunkProgress(len(chunk), on_progress)
            yield from self._chunk(chunk, workers, progress)
            progress.reach(1.0)
            size = min(2 * size, PAIRS_AT_A_TIME)

    def _chunk(
        self, chunk: Sequence[Pair], workers: int | None, progress: ChunkProgress
    ) -> Iterator[tuple[Verdict | Failure, Answered]]:
        """What the last stage says, which may have been paid for, is given at once."""
        results: list[Verdict | Failure] = []
        answered: list[Answered] = [{} for _ in chunk]
        doubtful = list(range(len(chunk)))
        *before, last = self.sources
        tells = self._tells(progress)
        for name in before:
            said = list(self._said(name, [chunk[place] for place in doubtful], workers, next(tells)))
            results = results or said
            for place, result in zip(doubtful, said, strict=True):
                results[place] = result if results is said else _later(results[place], result)
                answered[place][name] = isinstance(result, Verdict)
            doubtful = [place for place in doubtful if not self._is_sure(results[place])]
        waiting = set(doubtful)
        said_last = self._said(last, [chunk[place] for place in doubtful], workers, next(tells))
        for place, result in enumerate(results):
            if place in waiting:
                said_of_it = next(said_last)
                answered[place][last] = isinstance(said_of_it, Verdict)
                yield _later(result, said_of_it), answered[place]
            else:
                yield result, answered[place]
        next(said_last, None)  # so that it comes to its end

    def _tells(self, progress: ChunkProgress) -> Iterator[Callable[[int, int], None]]:
        """For each stage the telling of its progress: each has the same share of a chunk's work."""
        count = len(self.sources)
        return (progress.part(number / count, (number + 1) / count) for number in range(count))

    def _said(
        self, name: str, pairs: Sequence[Pair], workers: int | None, tell: Callable[[int, int], None]
    ) -> Iterator[Verdict | Failure]:
        """tell: is told how many of the pairs are done, of how many."""
        if not pairs:
            return
        moved = 0

        def move(count: int) -> None:
            nonlocal moved
            moved += count
            tell(moved, len(pairs))

        for done, result in enumerate(self.sources[name].stream(pairs, workers, move), start=1):
            tell(done, len(pairs))  # not each stage tells
            self._given[name] += 1
            self._failed[name] += isinstance(result, Failure)
            yield result

    def _is_sure(self, result: Verdict | Failure) -> bool:
        return isinstance(result, Verdict) and result.confidence >= self.sure

    def __enter__(self) -> Chain:
        with ExitStack() as stack:
            for source in self.sources.values():
                stack.enter_context(source)
            self._opened = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._opened.__exit__(kind, error, traceback)


def _later(before: Verdict | Failure, result: Verdict | Failure) -> Verdict | Failure:
    """What the later stage says of a pair, its time and that of those before."""
    if isinstance(before, Failure) or isinstance(result, Failure):
        return result
    return replace(result, latency_ms=before.latency_ms + result.latency_ms)
