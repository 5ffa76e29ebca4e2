"""Batches through a user's function in this process: plainly, with a time limit, or several of them at once.

What becomes of each is a `BatchEnd`, so that what another process did reads the same.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kimera.detectors.answers import BadAnswerError, listed, verdicts_of
from kimera.errors import UserError
from kimera.pairs import Failure, Verdict

Texts: TypeAlias = list[tuple[str, str]]
MAX_HUNG = 5  # batches that go on in threads which nobody waits for any more
GRACE_S = 2.0  # for an async function to end once its time is up


@dataclass(frozen=True, slots=True)
class BatchEnd:
    """What became of a batch, just one of these: outcomes, a violation, an error with its trace, a loss.

    violation: how its answers broke the contract. is_late: its time was up. lost: how its process ended.
    """

    seconds: float
    outcomes: list[Verdict | Failure] = field(default_factory=list)
    violation: str = ""
    error: str = ""
    trace: str = ""
    is_late: bool = False
    lost: str = ""


def is_async(function: Callable[..., Any]) -> bool:
    """Whether it, or what calling this object calls, is `async def`."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 (its kind is asked for, not whether there is one)
    )


def do_batch(function: Callable[[Texts], object], texts: Texts) -> BatchEnd:
    """Calls a sync function; nothing that it raises but KeyboardInterrupt gets out."""
    begun = time.perf_counter()
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of our output
            answers = function(list(texts)) if texts else []
        if inspect.isawaitable(answers):
            if inspect.iscoroutine(answers):
                answers.close()
            return BatchEnd(0.0, violation="it gave an awaitable; expected it to be declared with async def")
        answers = listed(answers)
    except BadAnswerError as fault:
        return BatchEnd(0.0, violation=str(fault))
    except (Exception, SystemExit) as error:  # noqa: BLE001 (code of the user's may raise anything)
        return _raised(error, begun)
    return _answered(answers, len(texts), begun)


async def do_batch_async(
    function: Callable[[Texts], Coroutine[Any, Any, object]], texts: Texts, timeout_s: float | None
) -> BatchEnd:
    begun = time.perf_counter()
    deadline = asyncio.timeout(timeout_s)
    try:
        async with deadline:
            with redirect_stdout(sys.stderr):
                answers = listed(await function(list(texts)) if texts else [])
    except BadAnswerError as fault:
        return BatchEnd(0.0, violation=str(fault))
    except (Exception, SystemExit) as error:  # noqa: BLE001 (as above)
        if isinstance(error, TimeoutError) and deadline.expired():
            return BatchEnd(time.perf_counter() - begun, is_late=True)
        return _raised(error, begun)
    return _answered(answers, len(texts), begun)


def _answered(answers: object, count: int, begun: float) -> BatchEnd:
    seconds = time.perf_counter() - begun
    try:
        return BatchEnd(seconds, verdicts_of(answers, count, seconds * 1000 / max(1, count)))
    except BadAnswerError as fault:
        return BatchEnd(seconds, violation=str(fault))


def _raised(error: BaseException, begun: float) -> BatchEnd:
    trace = "".join(traceback.format_exception(error))
    return BatchEnd(time.perf_counter() - begun, error=f"{type(error).__name__}: {error}", trace=trace)


def one_after_the_other(
    function: Callable[[Texts], object], batches: Iterable[Texts], timeout_s: float | None
) -> Iterator[BatchEnd]:
    """With a time limit each batch has a thread of its own, which is left alone once its time is up.

    Raises UserError where `MAX_HUNG` of these still go on: a thread cannot be ended from outside.
    """
    if timeout_s is None:
        yield from (do_batch(function, texts) for texts in batches)
        return
    hung: list[threading.Thread] = []
    for texts in batches:
        ended: Future[BatchEnd] = Future()
        thread = threading.Thread(target=_fill, args=(ended, function, texts), daemon=True)
        thread.start()
        try:
            yield ended.result(timeout_s)
        except FutureTimeoutError:
            hung = [each for each in (*hung, thread) if each.is_alive()]
            yield BatchEnd(timeout_s, is_late=True)
            if len(hung) >= MAX_HUNG:
                raise UserError(
                    f"the function hangs: {MAX_HUNG} batches took more than {timeout_s:g} s each and still "
                    "go on, and within this process they cannot be ended; give more time "
                    "(--batch-timeout, timeout_s), or --mp 1 (workers=1), a process of its own that is "
                    "ended in such a case"
                ) from None


def _fill(ended: Future[BatchEnd], function: Callable[[Texts], object], texts: Texts) -> None:
    try:
        ended.set_result(do_batch(function, texts))
    except BaseException as error:  # noqa: BLE001 (it is raised where the result is waited for)
        ended.set_exception(error)


def several_at_once(
    function: Callable[[Texts], Coroutine[Any, Any, object]],
    batches: Iterable[Texts],
    timeout_s: float | None,
    concurrency: int,
) -> Iterator[BatchEnd]:
    """Batches of an async function, in order, all in one event loop so that its connections stay usable."""
    loop = _Loop()
    flying: deque[tuple[Future[BatchEnd], float]] = deque()
    try:
        for texts in batches:
            flying.append((loop.start(do_batch_async(function, texts, timeout_s)), time.monotonic()))
            if len(flying) >= concurrency:
                yield _landed(*flying.popleft(), timeout_s)
        while flying:
            yield _landed(*flying.popleft(), timeout_s)
    finally:
        for ended, _ in flying:
            ended.cancel()
        loop.close()


def _landed(ended: Future[BatchEnd], begun: float, timeout_s: float | None) -> BatchEnd:
    """Raises UserError where the loop itself hangs: then no limit within it can be kept."""
    if timeout_s is None:
        return ended.result()
    try:
        return ended.result(max(0.0, begun + timeout_s + GRACE_S - time.monotonic()))
    except FutureTimeoutError:
        raise UserError(
            f"the async function hangs: its time of {timeout_s:g} s is up and it does not end when it is "
            "cancelled; it may wait without `await`; mend that, or give workers=1, a process of its own that "
            "is ended in such a case"
        ) from None


class _Loop:
    """An event loop in a thread of its own, whether or not the caller has one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, BatchEnd]) -> Future[BatchEnd]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """What is under way is cancelled. A loop that hangs is left to the end of the process."""
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop)
        self._thread.join(GRACE_S)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_others() -> None:
    loop = asyncio.get_running_loop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await loop.shutdown_asyncgens()
    loop.stop()
