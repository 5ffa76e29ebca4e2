"""The attempts at several pairs in one request: what each pair has of them, and which are asked alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from benchmarks.judge.asking import Asking, stated_confidence, withheld
from benchmarks.judge.attempts import Attempt, Outcome
from benchmarks.judge.completions import Completion
from benchmarks.judge.failures import FATAL, RETRIED, JudgeError
from benchmarks.judge.group_replies import replies_in
from benchmarks.judge.reply_reading import Reply, ReplyError
from kimera.pairs import Failure, Verdict

# Of what ends a request about several pairs, what it ends for each of them; all else may be the doing of one.
_OF_ALL = RETRIED | FATAL | {"internal", "interrupted"}


# Of one pair: its result, the text that states it, and the confidence as it stands there.
_Said: TypeAlias = tuple[Verdict | Failure, str, float | None]


class GroupAsking(Asking):
    """As for one pair, but that a reply with any usable verdict is the last one.

    pairs: how many. `outcome` says whether anything came of it; `outcomes` what, of each pair.
    """

    def __init__(self, pairs: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pairs = pairs
        self._of_pair: dict[int, _Said] = {}

    def outcomes(self) -> Iterator[Outcome | tuple[Attempt, ...]]:
        """Of each pair in order its outcome, or its shares of the attempts where it is to be asked alone."""
        failure = self.outcome.result
        for place, attempts in enumerate(self._shares()):
            if place in self._of_pair:
                result, raw, stated = self._of_pair[place]
                error = result.kind if isinstance(result, Failure) else None
                ended = _ended(attempts, error)
                yield replace(self.outcome, result=result, attempts=ended, raw=raw, stated_confidence=stated)
            elif isinstance(failure, Failure) and not self._of_pair and failure.kind in _OF_ALL:
                yield replace(self.outcome, attempts=attempts)
            else:
                yield _ended(attempts, "missing") if self._of_pair else attempts

    def _shares(self) -> list[tuple[Attempt, ...]]:
        """By pair; there may be no attempts, where the reply was kept from an earlier run."""
        shared = [attempt.usage.shares(self._pairs) for attempt in self.attempts]
        return [
            tuple(
                replace(attempt, usage=usages[place], place=place, pairs=self._pairs)
                for attempt, usages in zip(self.attempts, shared, strict=True)
            )
            for place in range(self._pairs)
        ]

    def _read(self, completion: Completion, latency_ms: float) -> JudgeError | None:
        if error := withheld(completion):
            return error
        stated = replies_in(
            completion.text, self._pairs, self._classes, reasoning_first=self._reasoning_first
        )
        for number, (reply, raw) in stated.items():
            if isinstance(reply, Reply) or reply.kind == "abstained":
                self._of_pair[number - 1] = self._said(reply, raw, latency_ms)
        if not self._of_pair:
            kind = "truncated" if completion.finish_reason == "length" else "missing"
            return JudgeError(kind, "the reply states no verdict by the number of its pair", status=200)
        self._result = next(iter(self._of_pair.values()))[0]
        return None

    def _said(self, reply: Reply | ReplyError, raw: str, latency_ms: float) -> _Said:
        if isinstance(reply, ReplyError):
            return Failure(reply.kind, str(reply), round(self._elapsed_s() * 1000, 3)), raw, None
        return self._verdict(reply, *stated_confidence(reply), latency_ms), raw, reply.confidence


def _ended(attempts: tuple[Attempt, ...], error: str | None) -> tuple[Attempt, ...]:
    """With what the last of them, which all pairs share, came to for this one."""
    return (*attempts[:-1], replace(attempts[-1], error=error)) if attempts else ()
