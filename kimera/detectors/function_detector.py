"""FunctionDetector: a function of the user's own, which takes pairs of texts, as a local detector."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from kimera.cache import log_error
from kimera.console import without_secrets
from kimera.detectors.function_processes import FunctionProcesses
from kimera.detectors.function_runs import BatchEnd, Texts, is_async, one_after_the_other, several_at_once
from kimera.detectors.named_function import FORMS, load_function, name_of, source_digest
from kimera.detectors.verdict_source import VerdictSource
from kimera.errors import BrokenContractError, UserError
from kimera.files import shorten
from kimera.pairs import EMPTY_TEXT, Failure, Pair, Verdict, pair_of

__all__ = ["FunctionDetector"]

DEFAULT_BATCH_SIZE = 32
USUAL_CONCURRENCY = 4  # of an async function, which mostly waits for a service


class FunctionDetector(VerdictSource):
    """Verdicts by a function that takes a list of (text1, text2) and gives a list with one answer a pair.

    An answer is a score from 0 to 1, P(contradiction), from 0.5 on a contradiction; a bool; a `Verdict`; a
    tuple (contradiction, confidence) or (contradiction, confidence, reasoning); or a `Failure`. An array of
    numpy or torch, of shape (pairs,), will do as the list. The function is sync or `async def`.

    batch_size: pairs a call, the last one perhaps fewer. The function never sees a pair with an empty text.
    concurrency: batches of an async function in flight, in one event loop; None is 4 of them. A sync
    function, and each worker process, does one at a time.
    workers: processes, unless a call says otherwise; each imports the function by its name. None is this one.
    trained_on: titles of the data sets that it was fitted on; None: nobody knows.
    timeout_s: seconds that a batch may take; its pairs are failures of kind "timeout" afterwards. An async
    function is cancelled then. A sync one in this process cannot be ended: it goes on in a thread of its own,
    next to the batches that follow, and after five such threads the detector gives up with a `UserError`. In
    a worker process it is ended, with its process, and another process takes its place. Time to import the
    function does not count.

    What it raises makes its batch failures of kind "raised", with the traceback in a log that the message
    names, both without the values of environment variables that are named like keys, tokens, secrets or
    passwords; a worker process that dies, by a crash or for memory, makes it failures of kind "worker_died".
    The next batch goes on. Answers that break the contract (a wrong length, NaN, a score outside 0 to 1,
    another type) are a `UserError`, which ends the work: what such a function says of other pairs is not to
    be trusted either.

    Whether scores depend on the order of the pairs, on the batch or on the number of workers is up to the
    function: each pair goes to it once, in order within its batch, and nothing is added.

    Raises `UserError` for settings that make no sense.
    """

    kind = "function"

    def __init__(
        self,
        function: Callable[[list[tuple[str, str]]], Any],
        *,
        name: str | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        timeout_s: float | None = None,
        concurrency: int | None = None,
        workers: int | None = None,
        trained_on: list[str] | None = None,
    ) -> None:
        """name: by which another process finds it; by default found out, where it has one."""
        if not callable(function):
            raise UserError(
                f"{shorten(function)} cannot be called; expected a function, or its name: {FORMS}"
            )
        self._function = function
        self._is_async = is_async(function)
        self._found_as = name or name_of(function)
        self._title = self._found_as or getattr(function, "__qualname__", type(function).__qualname__)
        self._batch_size = _at_least_1("batch_size", batch_size)
        self._given_concurrency = 1 if concurrency is None else _at_least_1("concurrency", concurrency)
        is_several = concurrency is None and self._is_async and workers is None
        self._concurrency = USUAL_CONCURRENCY if is_several else self._given_concurrency
        self._timeout_s = timeout_s
        self._own_workers = workers
        self._trained_on = trained_on
        self._digest = source_digest(function)
        self._load_s = 0.0
        self._workers_used = 0
        self._in_processes = False
        if timeout_s is not None and not timeout_s > 0:
            raise UserError(f"timeout_s is {timeout_s}; expected seconds above 0, or None for no limit")
        if self._given_concurrency > 1 and not self._is_async:
            raise UserError(
                f"{self._title} is not async, so concurrency={concurrency} has no effect; leave it out, or "
                "give workers"
            )
        self._check_workers(workers)

    @classmethod
    def named(cls, name: str, **options: Any) -> FunctionDetector:
        """Of "module:function" or "file.py:function", with the current folder on the path.

        options: those of the class. Raises `UserError` for what is missing; see `load_function`.
        """
        begun = time.perf_counter()
        detector = cls(load_function(name), name=name, **options)
        detector._load_s = time.perf_counter() - begun
        return detector

    @property
    def settings(self) -> dict[str, Any]:
        """source_sha256: of the file that the function stands in, not of what it imports.

        concurrency: of the last call, which may have brought workers; before any, that of one without.
        """
        return {
            "function": self._title,
            "source_sha256": self._digest,
            "batch_size": self._batch_size,
            "concurrency": 1 if self._in_processes else self._concurrency,
            **({} if self._timeout_s is None else {"timeout_s": self._timeout_s}),
        }

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"source": self._digest} if self._digest else {}

    @property
    def trained_on(self) -> list[str] | None:
        return self._trained_on

    @property
    def counts(self) -> Mapping[str, float]:
        return {"load_s": self._load_s, "workers_used": self._workers_used}

    def stream(
        self,
        pairs: Iterable[Pair | tuple[str, str]],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        """A verdict or a failure a pair, in order; see the class for what is raised."""
        workers = self._own_workers if workers is None else workers
        self._check_workers(workers)
        source = (pair_of(pair, number) for number, pair in enumerate(pairs))
        taken: deque[list[bool]] = deque()  # of each batch under way, which of its pairs have two texts

        def batches() -> Iterator[Texts]:
            while chunk := list(islice(source, self._batch_size)):
                taken.append([bool(pair.text1.strip() and pair.text2.strip()) for pair in chunk])
                yield [(pair.text1, pair.text2) for pair, full in zip(chunk, taken[-1], strict=True) if full]

        for number, end in enumerate(self._ends(batches(), workers), 1):
            answerable = taken.popleft()
            outcomes = iter(self._outcomes(end, number, sum(answerable)))
            if on_progress is not None:
                on_progress(len(answerable))
            yield from (next(outcomes) if full else EMPTY_TEXT for full in answerable)

    def _ends(self, batches: Iterator[Texts], workers: int | None) -> Iterator[BatchEnd]:
        self._in_processes = workers is not None
        if workers is not None:
            yield from self._ends_in_processes(batches, workers)
            return
        self._workers_used = max(1, self._workers_used)
        if self._is_async:
            yield from several_at_once(self._function, batches, self._timeout_s, self._concurrency)
        else:
            yield from one_after_the_other(self._function, batches, self._timeout_s)

    def _ends_in_processes(self, batches: Iterator[Texts], workers: int) -> Iterator[BatchEnd]:
        with FunctionProcesses(self._found_as or "", workers, self._timeout_s) as processes:
            for end in processes.run(batches):
                self._workers_used = max(processes.started, self._workers_used)
                yield end
            self._load_s += processes.load_s

    def _outcomes(self, end: BatchEnd, number: int, count: int) -> list[Verdict | Failure]:
        """Of a batch, counted from 1. Raises UserError where its answers break the contract."""
        if end.violation:
            raise BrokenContractError(
                f"{self._title}, batch {number} (of {count} pairs): {without_secrets(end.violation)}"
            )
        if end.error:
            log = log_error(end.trace)
            message = " ".join(f"{self._title} raised {without_secrets(end.error)}".split())[:200]
            return [Failure("raised", f"{message}; its traceback is in {log}")] * count
        if end.is_late:
            message = f"{self._title} took more than {self._timeout_s:g} s for a batch of {count} pairs"
            return [Failure("timeout", f"{message}; give more time: --batch-timeout, or timeout_s")] * count
        if end.lost:
            message = f"a process of {self._title} ended unexpectedly ({end.lost})"
            return [Failure("worker_died", f"{message}. If memory ran out, use fewer workers")] * count
        return end.outcomes

    def _check_workers(self, workers: int | None) -> None:
        if workers is None:
            return
        _at_least_1("workers", workers)
        if self._given_concurrency > 1:
            raise UserError(
                f"{self._title}: give workers or concurrency, not both; a process does one batch at a time"
            )
        if self._found_as is None:
            raise UserError(
                f"{self._title} is a lambda, a closure or an object, which other processes cannot import; "
                "leave workers out, or define it with def at the top of a module and give its name: "
                f"FunctionDetector.named({FORMS.partition(' ')[0]})"
            )


def _at_least_1(what: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(f"{what} is {shorten(value)}; give 1 or more")
    return value
