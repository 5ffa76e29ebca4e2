"""Batches through a user's function in processes of their own, which can be ended while they hang.

Not a `kimera.workers.WorkerPool`: that does a lost batch again, which is right for a model of ours, and
would hang or crash again here; and it cannot end one process alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from kimera.console import starting_processes
from kimera.detectors.function_runs import BatchEnd, Texts, do_batch, do_batch_async, is_async
from kimera.detectors.named_function import load_function
from kimera.errors import UserError
from kimera.workers import leave_to_parent

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

AHEAD = 4  # batches a worker that may be done before the one whose turn it is
END_TIMEOUT_S = 5.0


@dataclass(slots=True)
class _Slot:
    """What a batch has come to; the process that does it fills it."""

    texts: Texts
    end: BatchEnd | None = None


class FunctionProcesses:
    """`workers` processes, each of which imports the function by its name and does one batch after another.

    timeout_s: for a batch; a process that takes longer is ended, and another takes its place.
    load_s: wall seconds until the first ones were ready. A context manager.
    """

    def __init__(self, name: str, workers: int, timeout_s: float | None) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._count = workers
        self._workers: list[_Worker] = []
        self.load_s = 0.0

    def __enter__(self) -> FunctionProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()
        self._workers = []

    @property
    def started(self) -> int:
        return len(self._workers)

    def run(self, batches: Iterable[Texts]) -> Iterator[BatchEnd]:
        """What became of each batch, in order. Raises UserError where the function cannot be imported."""
        source = iter(batches)
        waiting: deque[_Slot] = deque()  # in order; of these the first is given on next
        todo: deque[_Slot] = deque()
        is_over = False
        while True:
            while not is_over and len(waiting) < self._count * AHEAD:
                texts = next(source, None)
                if texts is None:
                    is_over = True
                else:
                    waiting.append(_Slot(texts))
                    todo.append(waiting[-1])
            if not waiting:
                return
            self._start(min(self._count, len(todo) + sum(each.is_busy for each in self._workers)))
            for worker in self._workers:
                if not worker.is_busy and todo:
                    worker.give(todo.popleft())
            while waiting and waiting[0].end is not None:
                yield waiting.popleft().end or BatchEnd(0.0)
            if waiting:
                self._await_one()

    def _start(self, wanted: int) -> None:
        missing = wanted - len(self._workers)
        if missing <= 0:
            return
        begun = time.perf_counter()
        with starting_processes():
            started = [_Worker(self._name) for _ in range(missing)]
        self._workers += started
        for worker in started:
            worker.await_ready(self._name)
        self.load_s += time.perf_counter() - begun

    def _await_one(self) -> None:
        """Until a batch has ended, by itself or by being late."""
        busy = [worker for worker in self._workers if worker.is_busy]
        limit = self._timeout_s
        left_s = None if limit is None else max(0.0, limit - max(worker.busy_s for worker in busy))
        ready = wait([worker.pipe for worker in busy], left_s)
        for worker in busy:
            if worker.pipe in ready:
                worker.take()
            elif limit is not None and worker.busy_s >= limit:
                worker.finish(BatchEnd(worker.busy_s, is_late=True))
                worker.end()
        self._workers = [worker for worker in self._workers if worker.is_alive]


class _Worker:
    """One process, and the batch that it does."""

    def __init__(self, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(target=_serve, args=(theirs, name), daemon=True)
        self._process.start()
        theirs.close()  # else its end would not be seen
        self._slot: _Slot | None = None
        self._begun = 0.0
        self.is_alive = True

    @property
    def is_busy(self) -> bool:
        return self._slot is not None

    @property
    def busy_s(self) -> float:
        return time.perf_counter() - self._begun

    def await_ready(self, name: str) -> None:
        try:
            fault = self.pipe.recv()
        except (EOFError, OSError):
            fault = (
                f"{name}: a process ended while it imported the function ({self._how_it_ended()}); if a "
                'script of yours started this, put its work under `if __name__ == "__main__":`'
            )
        if fault:
            raise UserError(fault)

    def give(self, slot: _Slot) -> None:
        self._slot, self._begun = slot, time.perf_counter()
        with contextlib.suppress(OSError):  # where it has ended in the meantime; `take` says so
            self.pipe.send(slot.texts)

    def take(self) -> None:
        try:
            self.finish(self.pipe.recv())
        except (EOFError, OSError):
            self.finish(BatchEnd(self.busy_s, lost=self._how_it_ended()))
            self.end()

    def finish(self, end: BatchEnd) -> None:
        if self._slot is not None:
            self._slot.end = end
        self._slot = None

    def end(self) -> None:
        self.is_alive = False
        self._process.kill()  # it may ignore SIGTERM, and has nothing to put in order
        self._process.join(END_TIMEOUT_S)
        self.pipe.close()

    def _how_it_ended(self) -> str:
        self._process.join(END_TIMEOUT_S)
        return f"exit code {self._process.exitcode}"


def _serve(pipe: Connection, name: str) -> None:
    """In the worker: Ctrl-C is left to the parent; it ends when the parent is gone."""
    leave_to_parent()
    try:
        function = load_function(name)
    except UserError as fault:
        pipe.send(str(fault))
        return
    pipe.send("")
    loop = asyncio.new_event_loop() if is_async(function) else None
    while True:
        try:
            texts: Texts = pipe.recv()
        except EOFError:
            return
        end = (
            loop.run_until_complete(do_batch_async(function, texts, None))
            if loop
            else do_batch(function, texts)
        )
        try:
            pipe.send(end)
        except Exception as error:  # noqa: BLE001 (what pickle raises is anything)
            pipe.send(BatchEnd(end.seconds, error=str(error), trace=traceback.format_exc()))
