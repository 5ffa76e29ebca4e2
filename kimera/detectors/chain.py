"""Local detectors one after the other: each settles what it is sure of, the next one gets the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any

from kimera.detectors.verdict_source import COUNTED, VerdictSource
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict

PAIRS_AT_A_TIME = 4096
SURE = 0.95


class Chain(VerdictSource):
    """One detector made of several, by name, the cheapest first.

    sure: the confidence from which a stage's verdict stands, 0.5 to 1. Whether it does depends on the pair
    alone, so a pair's verdict is the same in any order and in any company as far as its stages' verdicts are:
    an NLI model that has yet to settle on a precision does so by the first pairs that come to it. What a
    stage fails on goes on as well; where the last stage that a pair came to failed on it, the pair has
    failed. Raises UserError for fewer than two detectors, or no confidence.

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
        self._opened = ExitStack()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "sure": self.sure,
            "chain": {name: dict(source.settings) for name, source in self.sources.items()},
            **({"given": dict(self._given), "failed": dict(self._failed)} if self._given else {}),
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
        """How many pairs each stage was given so far; `settings` also say on how many of them it failed."""
        return dict(self._given)

    @property
    def counts(self) -> Mapping[str, float]:
        counts = [source.counts for source in self.sources.values()]
        summed = {
            name: sum(of.get(name, 0) for of in counts)
            for name in COUNTED
            if any(name in of for of in counts)
        }
        return {**summed, "workers_used": max(of.get("workers_used", 1) for of in counts)}

    def take_settings(self, settings: Mapping[str, Any]) -> None:
        for name, source in self.sources.items():
            source.take_settings(settings.get("chain", {}).get(name, {}))

    def stream(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        source = iter(pairs)
        while chunk := list(islice(source, PAIRS_AT_A_TIME)):
            for result in self._chunk(chunk, workers):
                yield result
                if on_progress is not None:
                    on_progress(1)

    def _chunk(self, chunk: Sequence[Pair], workers: int | None) -> Iterator[Verdict | Failure]:
        """What the last stage says, which may have been paid for, is given at once."""
        results: list[Verdict | Failure] = []
        doubtful = list(range(len(chunk)))
        *before, last = self.sources
        for name in before:
            said = list(self._said(name, [chunk[place] for place in doubtful], workers))
            results = results or said
            for place, result in zip(doubtful, said, strict=True):
                results[place] = result if results is said else _later(results[place], result)
            doubtful = [place for place in doubtful if not self._is_sure(results[place])]
        waiting = set(doubtful)
        said_last = self._said(last, [chunk[place] for place in doubtful], workers)
        for place, result in enumerate(results):
            yield _later(result, next(said_last)) if place in waiting else result
        next(said_last, None)  # so that it comes to its end

    def _said(self, name: str, pairs: Sequence[Pair], workers: int | None) -> Iterator[Verdict | Failure]:
        for result in self.sources[name].stream(pairs, workers):
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
