"""What asking about one pair brings: its attempts, and the outcome of them all."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.judge.failures import kind_of
from benchmarks.judge.usage import Usage
from kimera.pairs import Failure, Verdict

# What the simulator signs its replies with: whoever asks it, its numbers are marked as simulated.
SIMULATED_FINGERPRINT = "fp_simulated"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request: the time from slot held to body read, the status, and the kind of error if it failed.

    Where it was about several `pairs`, this is what one of them, at this `place` among them, has of it: its
    share of the tokens. The time is that of the whole request.
    """

    latency_ms: float
    status: int | None
    error: str | None
    usage: Usage
    place: int = 0
    pairs: int = 1

    @property
    def is_counted(self) -> bool:
        """Whether this is where the request is counted: once, however many pairs it was about."""
        return self.place == 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that asking about one pair brought.

    raw: the last reply's text, empty if none came. stated_confidence: as the judge put it, before clamping,
    also where the verdict's confidence comes from logprobs. from_cache: the reply was not paid for again.
    found_in: where the reply stood, if not in the message's content. batched: the names of the replies, where
    they came in batches.
    """

    result: Verdict | Failure
    attempts: tuple[Attempt, ...]
    raw: str = ""
    system_fingerprint: str = ""
    stated_confidence: float | None = None
    from_cache: bool = False
    found_in: str = ""
    batched: tuple[str, ...] = ()

    @property
    def is_answer(self) -> bool:
        """Whether the judge has answered: with a verdict, or that it cannot tell."""
        return isinstance(self.result, Verdict) or kind_of(self.result.kind).is_answer

    @property
    def usage(self) -> Usage:
        """Over all attempts: a failed attempt costs too."""
        return sum((attempt.usage for attempt in self.attempts), Usage())
