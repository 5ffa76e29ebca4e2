"""The simulated judge's limits on requests and tokens a minute, and what its headers tell of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.simulator.replies import RATE_LIMITED, Reply, error_reply
from benchmarks.simulator.simulation import SimulatorConfig


class Bucket:
    """Refilled continuously at `per_minute`, up to `burst_s` seconds' worth; may go into debt."""

    def __init__(self, per_minute: int, burst_s: float, clock: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._per_s = per_minute / 60
        self._capacity = self._level = self._per_s * burst_s
        self._clock = clock
        self._filled_at = clock()

    def level(self) -> float:
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        return self._level

    def wait_s(self, amount: float) -> float:
        """Seconds until so much may be taken. What exceeds a full bucket waits for one and leaves a debt."""
        return max(0.0, (min(amount, self._capacity) - self.level()) / self._per_s)

    def full_in_s(self) -> float:
        return (self._capacity - self.level()) / self._per_s

    def take(self, amount: float) -> None:
        self._level = self.level() - amount


class Level(NamedTuple):
    """How a limit stands: what it allows a minute, what is left of it, when all of it will be there again."""

    per_minute: int
    remaining: int
    full_in_s: float


class RateLimiter:
    """Both limits. A request takes itself and its prompt's tokens at the door, its completion's later."""

    def __init__(self, config: SimulatorConfig, clock: Callable[[], float] = time.monotonic) -> None:
        limits = {"requests": config.requests_per_minute, "tokens": config.tokens_per_minute}
        self._buckets = {
            unit: Bucket(limit, config.burst_s, clock) for unit, limit in limits.items() if limit
        }
        self._tells = config.limit_headers

    def admit(self, model: str, prompt_tokens: int) -> Reply | None:
        """None for a request that keeps the limits. The 429 for one that does not; that one costs nothing."""
        amounts = {"requests": 1, "tokens": prompt_tokens}
        waits_s = {unit: bucket.wait_s(amounts[unit]) for unit, bucket in self._buckets.items()}
        longest = max(waits_s, key=lambda what: waits_s[what], default=None)
        if longest is not None and waits_s[longest]:
            return _too_fast(model, longest, self._buckets[longest].per_minute, waits_s[longest])
        for unit, bucket in self._buckets.items():
            bucket.take(amounts[unit])
        return None

    def settle(self, completion_tokens: int) -> None:
        """Takes the tokens of a completion."""
        if "tokens" in self._buckets:
            self._buckets["tokens"].take(completion_tokens)

    def levels(self) -> dict[str, Level]:
        """By "requests" and "tokens", of those that are limited; empty where none is told."""
        return {
            unit: Level(bucket.per_minute, max(0, math.floor(bucket.level())), bucket.full_in_s())
            for unit, bucket in self._buckets.items()
            if self._tells
        }


def _too_fast(model: str, what: str, per_minute: int, wait_s: float) -> Reply:
    unit = {"requests": "RPM", "tokens": "TPM"}[what]
    limit = f"Rate limit reached for {model} on {what} per min ({unit}): Limit {per_minute}."
    error = RATE_LIMITED._replace(
        outcome=f"over_{what}", message=f"{limit} Please try again in {duration(wait_s)}.", kind=what
    )
    headers = {"Retry-After": str(math.ceil(wait_s)), "retry-after-ms": str(_milliseconds(wait_s))}
    return error_reply(error, headers)


def _milliseconds(seconds: float) -> int:
    """Rounded up, so that who waits so long is not early; below a microsecond it is noise."""
    return math.ceil(round(seconds * 1000, 3))


def duration(seconds: float) -> str:
    """Seconds as OpenAI's headers write them: "20ms", "1.5s", "1m30s", "1h0m0s"."""
    ms = _milliseconds(seconds)
    if 0 < ms < 1000:
        return f"{ms}ms"
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{ms / 1000:g}s"
