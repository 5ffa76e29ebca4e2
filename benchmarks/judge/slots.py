"""How many requests may be in flight: a semaphore whose limit can change while it is in use."""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """Like asyncio.Semaphore, with a limit that may be set at any time, and urgent waiters served first.

    A retry is urgent: its pair has waited already.
    """

    def __init__(self, limit: int) -> None:
        self.held = 0
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.limit = limit

    @property
    def limit(self) -> int:
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        self._limit = limit
        self._grant()

    async def acquire(self, urgent: bool = False) -> None:
        if self.held < self._limit and not self._urgent and not self._waiting:
            self.held += 1
            return
        granted = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._waiting).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():  # granted in the moment of the cancellation
                self.release()
            raise

    def release(self) -> None:
        self.held -= 1
        self._grant()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()

    def _grant(self) -> None:
        while self.held < self._limit and (queue := self._urgent or self._waiting):
            granted = queue.popleft()
            if not granted.done():
                self.held += 1
                granted.set_result(None)
