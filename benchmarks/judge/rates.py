"""How many requests and tokens a minute may be sent: token buckets, given or learnt from replies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

BURST_S = 0.5  # what may be sent at once: this many seconds' worth of the rate
LEARNT_SHARE = 0.995  # of a limit that a server tells: its clock and ours differ a little
GUESSED_COMPLETION_TOKENS = 80.0


@dataclass(slots=True)
class Turn:
    """A request's place in line.

    wait_s: seconds after which it may be sent. tokens: what it is estimated to take. taken: what had been
    taken in all, of requests and of tokens, once it had its place. sent_at: on the limits' clock.
    """

    wait_s: float
    tokens: float
    taken: Mapping[str, float]
    sent_at: float


@dataclass(frozen=True, slots=True)
class StatedLimit:
    """What a reply says of a limit: how much a minute, and how much is left of it; None for what it omits."""

    per_minute: float | None
    remaining: float | None


def stated_limits(headers: Mapping[str, str], names: Mapping[str, tuple[str, str]]) -> dict[str, StatedLimit]:
    """By unit, from the headers of these two names; what is no sensible number says nothing."""
    return {
        unit: StatedLimit(_number(headers.get(per_minute)), _number(headers.get(remaining)))
        for unit, (per_minute, remaining) in names.items()
        if per_minute in headers or remaining in headers
    }


class Bucket:
    """A token bucket that gives out places in line: its debt says how long to wait."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        if not per_minute > 0:
            raise ValueError(f"a rate must be above 0, not {per_minute}")
        self._clock = clock
        self._per_s = per_minute / 60
        self._level = self._capacity
        self._at = clock()

    @property
    def _capacity(self) -> float:
        return max(1.0, self._per_s * BURST_S)

    def reserve(self, amount: float) -> float:
        """Takes `amount` and gives the seconds after which it may be spent."""
        self._refill()
        self._level -= amount
        return max(0.0, -self._level / self._per_s)

    def give_back(self, amount: float) -> None:
        """Returns what was taken too much, or takes more where `amount` is negative."""
        self._refill()
        self._level = min(self._capacity, self._level + amount)

    def set_rate(self, per_minute: float) -> None:
        self._refill()
        self._per_s = per_minute / 60

    def note_remaining(self, remaining: float, since: float, taken_since: float) -> None:
        """The server says that at `since` no more than `remaining` was left; `taken_since` was taken here."""
        self._refill()
        refilled = (self._at - since) * self._per_s
        self._level = min(self._level, remaining + refilled - taken_since)

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._capacity, self._level + (now - self._at) * self._per_s)
        self._at = now


class RateLimits:
    """The limits on requests and on tokens, taken together.

    rpm, tpm: requests and tokens a minute; where one is None it is learnt from what replies say, and there
    is no limit until one does. A request's tokens are estimated before, from its bytes and
    from what earlier ones cost, and put right from `usage` after.
    """

    def __init__(
        self, rpm: float | None = None, tpm: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._given = {"requests": rpm is not None, "tokens": tpm is not None}
        self._buckets = {
            unit: Bucket(rate, clock)
            for unit, rate in (("requests", rpm), ("tokens", tpm))
            if rate is not None
        }
        self._clock = clock
        self._taken = {"requests": 0.0, "tokens": 0.0}  # counted before there is a limit, too
        self._bytes = self._prompt_tokens = 0
        self._completions = self._completion_tokens = 0

    def reserve(self, prompt_bytes: int) -> Turn:
        """A place in line for a request of this size."""
        tokens = self._estimate(prompt_bytes)
        waits = [0.0]
        for unit, amount in (("requests", 1.0), ("tokens", tokens)):
            self._taken[unit] += amount
            if unit in self._buckets:
                waits.append(self._buckets[unit].reserve(amount))
        return Turn(max(waits), tokens, dict(self._taken), self._clock())

    def note_sent(self, turn: Turn) -> None:
        """The request is on its way now; what its reply tells of the limits is as of this moment."""
        turn.sent_at = self._clock()

    def settle(self, prompt_bytes: int, turn: Turn, prompt_tokens: int, completion_tokens: int) -> None:
        """Puts an estimate right; a failed attempt, with no usage, keeps its estimate."""
        if not prompt_tokens:
            return
        self._bytes += prompt_bytes
        self._prompt_tokens += prompt_tokens
        self._completions += 1
        self._completion_tokens += completion_tokens
        if "tokens" in self._buckets:
            self._buckets["tokens"].give_back(turn.tokens - prompt_tokens - completion_tokens)

    def learn(self, stated: Mapping[str, StatedLimit], turn: Turn) -> None:
        """Takes limits, and what is left of them, that the reply to `turn`'s request states.

        stated: by "requests" and "tokens". The server counted what is left as that request came in; others
        have been sent since.
        """
        for unit, limit in stated.items():
            if limit.per_minute and not self._given[unit]:
                if unit not in self._buckets:
                    self._buckets[unit] = Bucket(limit.per_minute * LEARNT_SHARE, self._clock)
                self._buckets[unit].set_rate(limit.per_minute * LEARNT_SHARE)
            if limit.remaining is not None and unit in self._buckets:
                self._buckets[unit].note_remaining(
                    limit.remaining, turn.sent_at, self._taken[unit] - turn.taken[unit]
                )

    def _estimate(self, prompt_bytes: int) -> float:
        tokens_a_byte = self._prompt_tokens / self._bytes if self._bytes else 0.3
        completion = (
            self._completion_tokens / self._completions if self._completions else GUESSED_COMPLETION_TOKENS
        )
        return prompt_bytes * tokens_a_byte + completion


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < 1e12 else None
