"""When to ask again, and when not: back-off, the waits that servers ask for, and a budget for the run."""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from benchmarks.judge import RETRIED, JudgeError


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

    def wait_s(
        self, error: JudgeError, retries: int, refusals: int, elapsed_s: float, rng: random.Random
    ) -> float | None:
        """Seconds until the next attempt, or None to give up.

        retries, refusals: how many attempts after the first followed a fault and a 429. Never less than the
        server asked for; jitter goes upward. A 429 that asks for too long becomes "long_wait".
        """
        if error.kind not in RETRIED:
            return None
        if error.kind == "rate_limited":
            number, maximum, cap_s = refusals, self.max_retries * self.refusals_per_retry, self.refusal_cap_s
        else:
            number, maximum, cap_s = retries, self.max_retries, self.cap_s
        if error.wait_s is not None and error.wait_s > self.longest_server_wait_s:
            error.kind = "long_wait" if error.kind == "rate_limited" else error.kind
            return None
        if number >= maximum:
            return None
        wait = (error.wait_s or 0.0) + rng.uniform(0, min(cap_s, self.base_s * 2**number))
        return wait if elapsed_s + wait < self.max_pair_s else None


_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def server_wait_s(headers: Mapping[str, str], now: float, limited: bool = True) -> float | None:
    """Seconds that a server asks to wait, from its reply's headers (names in lower case), or None.

    In this order: retry-after-ms; retry-after as seconds, an HTTP date, `1m30s` or `500ms`; then the larger
    of x-ratelimit-reset-requests and x-ratelimit-reset-tokens. now: seconds since
    the epoch, for dates. limited: whether the reply is a 429; on any other the last two say nothing of a
    pause.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = parse_wait_s(headers.get("retry-after"), now)
    if after is not None:
        return after
    if not limited:
        return None
    resets = (parse_wait_s(headers.get(f"x-ratelimit-reset-{what}"), now) for what in ("requests", "tokens"))
    return max((reset for reset in resets if reset is not None), default=None)


def parse_wait_s(value: str | None, now: float) -> float | None:
    """Seconds from "1.5", "500ms", "1m30s" or an HTTP date; None for anything else."""
    if not value:
        return None
    value = value.strip().lower()
    seconds = _number(value)
    if seconds is not None:
        return seconds
    if _DURATION.fullmatch(value):
        return sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(value))
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    """A plain non-negative decimal; float() alone would take "nan" and "1e999"."""
    return float(value) if value and re.fullmatch(r"\d{1,12}(?:\.\d{1,12})?", value.strip()) else None


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
