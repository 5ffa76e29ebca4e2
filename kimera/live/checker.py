"""The thread that computes: what waits is checked together, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from kimera.live import protocol
from kimera.live.contradictions import NumberedStatement
from kimera.live.metrics import Metrics
from kimera.live.session import Arrival, ContradictionFinder, Session
from kimera.live.turns import Job, Turns

log = logging.getLogger(__name__)

T = TypeVar("T")


class _GivenUpError(Exception):
    """The check was ended before it was done."""


class Checker:
    """A session's statements are answered in their order, and the sessions take turns.

    An async context manager: at its end what still waits is refused with an error of kind "stopping".
    How much waits is bounded by its callers: see `LiveLimits.waiting`.
    """

    def __init__(self, finder: ContradictionFinder) -> None:
        self._finder = finder
        self.metrics = Metrics()
        self._turns = Turns()
        self._has_news = asyncio.Event()
        self._is_stopping = False
        self._is_given_up = threading.Event()
        self._thread = ThreadPoolExecutor(1, "kimera-live")
        self._worker: asyncio.Task[None] | None = None

    def check(
        self, session: Session, statement: NumberedStatement, *, is_kept: bool = True
    ) -> asyncio.Future[protocol.Message]:
        """The answer to come. Where it is cancelled before its turn, the statement is left out."""
        session.longest = max(session.longest, len(statement.text))
        answer: asyncio.Future[protocol.Message] = asyncio.get_running_loop().create_future()
        to_encode = sum(len(given.text) for given in session.given)
        characters = session.longest + to_encode + len(statement.text)
        job = Job(session, statement, answer, characters, is_kept)
        if self._is_stopping:
            self._refuse_to_go_on([job])
        else:
            self._turns.add(job)
            self._has_news.set()
        return answer

    async def run(self, work: Callable[[], T]) -> T:
        """What this gives, once what is being checked at the moment is done."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def __aenter__(self) -> Checker:
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        if self._worker:
            await self._worker
        self._thread.shutdown()

    def stop(self) -> None:
        """Refuse what waits and what comes. What is being computed will still be answered."""
        self._is_stopping = True
        self._has_news.set()
        self._refuse_to_go_on(self._turns.take_all())

    def give_up(self) -> None:
        """Stop, and refuse also what is being computed: its thread ends with what it reads at the moment."""
        self.stop()
        self._is_given_up.set()

    async def _work(self) -> None:
        while not self._is_stopping:
            await self._has_news.wait()
            self._has_news.clear()
            while jobs := self._turns.take():
                await self._check_together(jobs)

    async def _check_together(self, jobs: Sequence[Job]) -> None:
        arrived = [Arrival(job.session, job.statement, job.is_kept) for job in jobs]
        check = partial(self._finder.check, arrived, self._on_read)
        try:
            checked = await asyncio.get_running_loop().run_in_executor(self._thread, check)
        except _GivenUpError:
            self._refuse_to_go_on(jobs)
            return
        except Exception:
            log.exception("the check of %d statements failed", len(jobs))
            for job in jobs:
                self._refuse(
                    job, "internal", "this statement could not be checked; the server's log says why"
                )
            return
        for job, found in zip(jobs, checked, strict=True):
            latency_ms = (time.perf_counter() - job.arrived_s) * 1000
            self._answer(job, protocol.checked(job.statement, found, latency_ms))

    def _on_read(self, _read: int, _of: int) -> None:
        if self._is_given_up.is_set():
            raise _GivenUpError

    def _refuse_to_go_on(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._refuse(job, "stopping", "the server stops")

    def _refuse(self, job: Job, kind: str, message: str) -> None:
        self._answer(job, protocol.error(kind, message, job.statement.id))

    def _answer(self, job: Job, message: protocol.Message) -> None:
        if not job.answer.done():
            self.metrics.count(message)
            job.answer.set_result(message)
