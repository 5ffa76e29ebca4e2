"""WorkerPool: processes of one thread each that load a model once and then do batch after batch."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from kimera.console import starting_processes
from kimera.errors import UserError
from kimera.workers.worker_process import leave_to_parent

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from multiprocessing.synchronize import Semaphore
    from types import TracebackType

END_TIMEOUT_S = 5.0  # for processes that are about to end
IF_MEMORY_RAN_OUT = "If memory ran out, use fewer workers"  # what a lost worker, here or on Ray, is told with

Work: TypeAlias = Callable[[Any], np.ndarray]  # does a batch
Load: TypeAlias = Callable[[], Work]  # picklable: loads a model, and gives what does a batch with it


class ClosedAtExit:
    """A context manager that calls `close`: for what may have worker processes."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class WorkerPool:
    """Started with the first batch, kept until `close`, started anew for another number of workers.

    prepare: called in this process before workers start; gives what runs once in each of them.
    what: what the processes do, for messages ("encoding"). worth: fewer items than this are done in this
    process sooner than others start. per_task: items that a worker takes at a time, at
    least.
    load_s: wall seconds from the start of processes until the last was ready, so far.
    """

    def __init__(self, prepare: Callable[[], Load], what: str, *, worth: int, per_task: int) -> None:
        self.per_task = per_task
        self._prepare = prepare
        self._what = what
        self._worth = worth
        self._executor: ProcessPoolExecutor | None = None
        self._processes: list[BaseProcess] = []
        self._workers = 0
        self.load_s = 0.0

    def takes(self, count: int, workers: int | None) -> bool:
        """Whether so many items are worth so many workers; none (None) are worth none."""
        if workers is None:
            return False
        is_running = self._executor is not None and self._workers == workers
        return count >= (1 if is_running else self._worth)

    def processes_for(self, count: int, workers: int | None) -> int:
        """How many processes so many items would occupy, this one included: 0 with none."""
        if workers is None or not self.takes(count, workers):
            return min(count, 1)
        return min(workers, -(-count // self.per_task))

    def close(self) -> None:
        """End the processes; what waits in their queue is dropped. The pool stays usable."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def map(self, batches: Sequence[Any], workers: int | None) -> Iterator[np.ndarray]:
        """What each batch gives, in order. The work that a dying process loses is done again once.

        Raises what loading the model raises, and `UserError` for a process that dies while it loads, or a
        second one that dies over these batches.
        """
        done = 0
        try:
            # All at once, unlike on Ray: the batches are in this process anyway, and only the next few are
            # pickled.
            for result in self._executor_of(workers or 1).map(_do, batches):
                yield result
                done += 1
            return
        except BrokenProcessPool as error:
            died = self._died()
            self.close()
            if not died:  # while it loaded: the next would do the same
                raise self._unexpected(died) from error
        left = f"{len(batches) - done} of {len(batches)} batches are left"
        warnings.warn(f"{died} ended unexpectedly; {left}, and new processes do them", stacklevel=2)
        try:
            yield from self._executor_of(workers or 1).map(_do, batches[done:])
        except BrokenProcessPool as error:
            died = self._died()
            self.close()
            raise self._unexpected(died) from error

    def _executor_of(self, workers: int) -> ProcessPoolExecutor:
        if self._executor is None or self._workers != workers:
            self.close()
            load = self._prepare()
            begun = time.perf_counter()
            self._processes = []
            others = set(multiprocessing.active_children())
            self._executor, self._workers = _start(load, workers), workers
            self._processes = [child for child in multiprocessing.active_children() if child not in others]
            self.load_s += time.perf_counter() - begun
        return self._executor

    def _died(self) -> str:
        """The processes that ended by themselves; the executor then ends the others by SIGTERM."""
        # The executor's thread waits for the same processes, and only one of both is told the exit code:
        # where it was the other, `join` returns at once, before the code is noted.
        deadline = time.monotonic() + END_TIMEOUT_S
        while any(process.exitcode is None for process in self._processes) and time.monotonic() < deadline:
            time.sleep(0.01)
        ends = {process.pid: process.exitcode for process in self._processes}
        dead = {pid: code for pid, code in ends.items() if code not in (None, 0, -signal.SIGTERM)} or ends
        return ", ".join(f"the {self._what} process {pid} (exit code {code})" for pid, code in dead.items())

    def _unexpected(self, died: str) -> UserError:
        who = died or f"one of the {self._what} processes"
        return UserError(
            f"{who} ended unexpectedly. {IF_MEMORY_RAN_OUT}; if a script "
            'of yours started this, put its work under `if __name__ == "__main__":`.'
        )


def _start(load: Load, workers: int) -> ProcessPoolExecutor:
    """An executor of which every worker has loaded the model.

    Raises what loading it raises, and BrokenProcessPool if a worker dies; then no process is left.
    """
    # Not `multiprocessing.Pool`: it starts another process where one dies, and waits for ever for what that
    # one had. Spawned, not forked: a fork of a process whose libraries have threads can hang.
    context = multiprocessing.get_context("spawn")
    gate = _Gate(workers, missing=context.Semaphore(workers - 1), passes=context.Semaphore(0))
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(gate, load)
    )
    try:
        with starting_processes():  # each of these starts a process
            tasks = [executor.submit(_load_model) for _ in range(workers)]
        # The executor's thread watches the processes that it knew when it was last woken. One more task,
        # after the last process was started, wakes it; else it might not see that one die, and wait for ever.
        executor.submit(os.getpid)
        for task in tasks:
            task.result()
    except BaseException:
        gate.open()
        executor.shutdown(wait=True, cancel_futures=True)
        raise
    return executor


@dataclass(frozen=True, slots=True)
class _Gate:
    """Holds each worker that has done its first task until all have, so that none does the task of two.

    A `multiprocessing.Barrier` would hang in `abort` if a worker was killed while it waited.
    """

    workers: int
    missing: Semaphore
    passes: Semaphore

    def wait(self) -> None:
        if not self.missing.acquire(block=False):  # all others are here
            self.open()
        self.passes.acquire()

    def open(self) -> None:
        for _ in range(self.workers):
            self.passes.release()


@dataclass(slots=True)
class _Worker:
    """What a worker process holds: semaphores are given to a process only when it starts."""

    gate: _Gate
    load: Load
    work: Work = field(init=False)


_worker: _Worker  # of a worker process, from its start on


def _start_worker(gate: _Gate, load: Load) -> None:
    """One thread a worker; Ctrl-C is left to the parent; the worker ends when the parent is gone."""
    global _worker  # noqa: PLW0603 (a pool's processes have no other place for what they keep)
    _worker = _Worker(gate, load)
    leave_to_parent()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _load_model() -> None:
    # A task, not a part of `_start_worker`: from there an error would not find its way back.
    try:
        _worker.work = _worker.load()
    finally:
        _worker.gate.wait()


def _do(batch: Any) -> np.ndarray:
    return _worker.work(batch)
