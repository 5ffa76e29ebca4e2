"""The thread that computes: what waits is checked together, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from kimera.live import protocol
from kimera.live.session import Detector, Session
from kimera.live.statements import Statement

MOST_TOGETHER = 16  # the first of a batch waits for the last

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    session: Session
    statement: Statement
    answer: asyncio.Future[protocol.Message]
    arrived_s: float = field(default_factory=time.perf_counter)


class Checker:
    """First come, first served; so a session's statements are answered in their order.

    An async context manager: at its end what still waits is refused with an error of kind "stopping".
    The queue's bound is that of its callers: see `Limits.waiting`.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._queue: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, "kimera-live")
        self._worker: asyncio.Task[None] | None = None

    def check(self, session: Session, statement: Statement) -> asyncio.Future[protocol.Message]:
        """The answer to come. Where it is cancelled before its turn, the statement is left out."""
        job = _Job(session, statement, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(job)
        return job.answer

    async def __aenter__(self) -> Checker:
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse_waiting()
        self._queue.put_nowait(None)
        if self._worker:
            await self._worker
        self._thread.shutdown()

    def refuse_waiting(self) -> None:
        """What is being computed will still be answered."""
        for job in self._waiting():
            self._refuse(job, "stopping", "the server stops")

    async def _work(self) -> None:
        while first := await self._queue.get():
            jobs = [first, *self._waiting(MOST_TOGETHER - 1)]
            jobs = [job for job in jobs if not job.answer.cancelled()]
            if jobs:
                await self._check_together(jobs)

    def _waiting(self, most: int | None = None) -> Iterator[_Job]:
        while most != 0 and not self._queue.empty():
            job = self._queue.get_nowait()
            if job is None:
                self._queue.put_nowait(None)
                return
            yield job
            most = None if most is None else most - 1

    async def _check_together(self, jobs: list[_Job]) -> None:
        arrived = [(job.session, job.statement) for job in jobs]
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._thread, self._detector.check, arrived)
        except Exception:
            log.exception("the check of %d statements failed", len(jobs))
            for job in jobs:
                self._refuse(job, "internal", "this could not be checked; the server's log says why")
            return
        for job, contradictions in zip(jobs, found, strict=True):
            latency_ms = (time.perf_counter() - job.arrived_s) * 1000
            _answer(job, protocol.checked(job.statement, contradictions, latency_ms))

    @staticmethod
    def _refuse(job: _Job, kind: str, message: str) -> None:
        _answer(job, protocol.error(kind, message, job.statement.id))


def _answer(job: _Job, message: protocol.Message) -> None:
    if not job.answer.done():
        job.answer.set_result(message)
