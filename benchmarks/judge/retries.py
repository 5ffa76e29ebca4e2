"""When to ask again, and when not: back-off, how long a server may ask to wait, a budget for the run."""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.judge.failures import RETRIED, JudgeError, kind_of
from benchmarks.judge.waits import come_back


@dataclass(frozen=True)
class RetryPolicy:
    """The one layer that retries.

    max_retries: attempts after the first. A 429 is no fault but a request to come back: of those there may be
        `refusals_per_retry` times as many, so that a limit costs time and not pairs.
    base_s, cap_s: full jitter draws from 0 to min(cap, base * 2^k); after a 429 to at most refusal_cap_s.
    longest_server_wait_s: a server that asks for more is reported, not obeyed.
    max_pair_s: no attempt starts once a pair has taken this long.
    """

    max_retries: int = 5
    base_s: float = 0.5
    cap_s: float = 30.0
    refusals_per_retry: int = 4
    refusal_cap_s: float = 10.0
    longest_server_wait_s: float = 120.0
    max_pair_s: float = 600.0

    @classmethod
    def of_batches(cls, max_retries: int) -> RetryPolicy:
        """Without waits or a bound on time, so that what is asked again is in the next batch together."""
        return cls(max_retries, base_s=0.0, max_pair_s=math.inf, longest_server_wait_s=math.inf)

    def wait_s(
        self, error: JudgeError, retries: int, refusals: int, elapsed_s: float, rng: random.Random
    ) -> float | None:
        """Seconds until the next attempt, or None to give up.

        retries, refusals: how many attempts after the first followed a fault and a 429. Never less than the
        server asked for; jitter goes upward.
        """
        if error.kind not in RETRIED:
            return None
        if kind_of(error.kind).is_limit:
            number, maximum, cap_s = refusals, self.max_retries * self.refusals_per_retry, self.refusal_cap_s
        else:
            number, maximum, cap_s = retries, self.max_retries, self.cap_s
        if self._asks_too_much(error) or number >= maximum:
            return None
        wait = (error.wait_s or 0.0) + rng.uniform(0, min(cap_s, self.base_s * 2**number))
        return wait if elapsed_s + wait < self.max_pair_s else None

    def classified(self, error: JudgeError) -> JudgeError:
        """The same error, or a "long_wait" where a limit asks for a longer pause than this makes."""
        if not kind_of(error.kind).is_limit or error.wait_s is None or not self._asks_too_much(error):
            return error
        return error.but(kind="long_wait", message=f"{error.message}; come back {come_back(error.wait_s)}")

    def _asks_too_much(self, error: JudgeError) -> bool:
        return error.wait_s is not None and error.wait_s > self.longest_server_wait_s


class RetryBudget:
    """Keeps a storm of retries from feeding itself.

    Counts attempts and accepted ones over the last `window_s` seconds; a retry is refused with probability
    max(0, (attempts - ratio * accepted) / (attempts + 1)). Source: client-side throttling, Beyer et al., Site
    Reliability Engineering (O'Reilly 2016), ch. 21. `patience` attempts are free: the first faults tell
    nothing.
    """

    def __init__(
        self,
        window_s: float = 120.0,
        ratio: float = 2.0,
        patience: int = 50,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.window_s = window_s
        self.ratio = ratio
        self.patience = patience
        self._clock = clock
        self._seconds: deque[list[float]] = deque()  # [second, attempts, accepted], oldest first
        self._attempts = 0
        self._accepted = 0

    def count(self, accepted: bool) -> None:
        """One attempt ended; `accepted` unless the endpoint broke. A 429 is neither: it has its own waits."""
        second = float(int(self._clock()))
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += accepted
        self._attempts += 1
        self._accepted += accepted
        self._forget()

    def refusal_probability(self) -> float:
        self._forget()
        excess = self._attempts - self.patience - self.ratio * self._accepted
        return max(0.0, excess / (self._attempts + 1))

    def _forget(self) -> None:
        while self._seconds and self._seconds[0][0] < self._clock() - self.window_s:
            _, attempts, accepted = self._seconds.popleft()
            self._attempts -= int(attempts)
            self._accepted -= int(accepted)
