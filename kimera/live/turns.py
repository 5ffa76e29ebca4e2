"""Who is next: statements wait in turn, so that no session waits for all that another has sent."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from kimera.live import protocol
from kimera.live.contradictions import NumberedStatement
from kimera.live.session import Session

MAX_TOGETHER = 64  # the first of a batch waits for the last
MAX_CHARACTERS_TOGETHER = 8_000  # bounds what is read for a batch; a single statement may have more


@dataclass(frozen=True, slots=True)
class Job:
    """A statement to be checked. characters: of it and the longest that it may have to be read beside.

    is_kept: whether it joins its session.
    """

    session: Session
    statement: NumberedStatement
    answer: asyncio.Future[protocol.Message]
    characters: int
    is_kept: bool = True
    arrived_s: float = field(default_factory=time.perf_counter)


class Turns:
    """Jobs that wait: those of a session in their order, the sessions in turn."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[Session, deque[Job]] = OrderedDict()  # first the session whose turn it is

    def add(self, job: Job) -> None:
        self._jobs.setdefault(job.session, deque()).append(job)

    def take(self) -> list[Job]:
        """The next batch, empty where nothing waits. Jobs whose answers are cancelled are left out."""
        batch: list[Job] = []
        characters = 0
        while len(batch) < MAX_TOGETHER and (job := self._next()):
            characters += job.characters
            if batch and characters > MAX_CHARACTERS_TOGETHER:
                break
            batch.append(job)
            self._jobs[job.session].popleft()
            self._jobs.move_to_end(job.session)
        return batch

    def take_all(self) -> list[Job]:
        jobs = [job for of_session in self._jobs.values() for job in of_session]
        self._jobs.clear()
        return jobs

    def _next(self) -> Job | None:
        while self._jobs:
            session, jobs = next(iter(self._jobs.items()))
            while jobs and jobs[0].answer.cancelled():
                jobs.popleft()
            if jobs:
                return jobs[0]
            del self._jobs[session]
        return None
