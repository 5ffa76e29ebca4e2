"""--async auto: finds how many requests in flight an endpoint takes.

Slow start from 20, doubling each clean round until the first 429; from then on 5 % a round, and only while
the limit is in use. A 429 cuts to 80 %, once an episode of 15 seconds; one that follows within the episode
takes back the growth since, and growth stays below the limit that was refused until the episode is over. 5xx
pause growth and never shrink; a success after a retry counts for nothing, since it says only that the retry
came late enough. The rules are those of inspect_ai's adaptive concurrency.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.judge.failures import kind_of
from benchmarks.judge.slots import Slots

START = 20
MAX_IN_FLIGHT = 1024
GROWTH = 1.05
CUT = 0.8
EPISODE_S = 15.0
SATURATED = 0.8


@dataclass(frozen=True, slots=True)
class LimitChange:
    """From `at_s` seconds into the run on, `limit` requests might be in flight, because of `reason`."""

    at_s: float
    limit: int
    reason: str


class AdaptiveLimit:
    """Sets the limit of `slots` by what attempts bring. A round is as many clean successes as the limit."""

    def __init__(
        self, slots: Slots, maximum: int = MAX_IN_FLIGHT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots = slots
        self._maximum = maximum
        self._clock = clock
        self._begun = clock()
        self._clean = 0
        self._peak = 0
        self._cut_at: float | None = None
        self._refused = math.inf  # the least limit that a 429 answered in this episode
        self._kept = 0  # the limit that the last clean round was run at
        self.epoch = 0
        self.on_change: Callable[[LimitChange], None] | None = None
        self.changes: list[LimitChange] = []
        self._change(min(START, maximum), "start")

    def note(self, error: str | None, first_attempt: bool, epoch: int) -> None:
        """One attempt ended, its slot still held.

        error: its JudgeError's kind, None for a success. epoch: what `self.epoch` was when it was sent; what
        a request brings that was sent under another limit says nothing of this one.
        """
        self._peak = max(self._peak, self._slots.held)
        if error and kind_of(error).is_limit:
            if epoch == self.epoch:
                self._refuse()
        elif error and kind_of(error).is_fault:
            self._new_round()
        elif error is None and first_attempt:
            self._clean += 1
            if self._clean >= self._slots.limit:
                self._grow()

    @property
    def _in_episode(self) -> bool:
        return self._cut_at is not None and self._clock() - self._cut_at < EPISODE_S

    def _refuse(self) -> None:
        limit = self._slots.limit
        if not self._in_episode:
            self._cut_at, self._refused = self._clock(), limit
            self._change(max(1, math.floor(limit * CUT)), "429")
        elif 0 < self._kept < limit:
            self._refused = min(self._refused, limit)
            self._change(self._kept, "429 again")
        else:
            self._new_round()

    def _grow(self) -> None:
        limit = self._slots.limit
        saturated = self._peak >= SATURATED * limit
        self._kept = limit
        self._new_round()
        if not saturated:
            return
        following = limit * 2 if self._cut_at is None else math.ceil(limit * GROWTH)
        if self._in_episode:
            following = min(following, math.ceil(self._refused / GROWTH) - 1)
        following = min(following, self._maximum)
        if following > limit:
            self._change(following, "clean round")

    def _new_round(self) -> None:
        self._clean = self._peak = 0

    def _change(self, limit: int, reason: str) -> None:
        self._new_round()
        self.epoch += 1
        self._slots.limit = limit
        change = LimitChange(round(self._clock() - self._begun, 3), limit, reason)
        self.changes.append(change)
        if self.on_change:
            self.on_change(change)
