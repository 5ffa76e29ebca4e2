"""What follows each attempt at one pair: a verdict, another attempt, or a failure. Nothing is sent here."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable

from benchmarks.judge.attempts import Attempt, Outcome
from benchmarks.judge.completions import Completion, Decision
from benchmarks.judge.errors_inside import FILTERED
from benchmarks.judge.failures import REPAIRED, JudgeError, kind_of
from benchmarks.judge.prompts import repair_request
from benchmarks.judge.reply_reading import Reply, ReplyError, parse_reply
from benchmarks.judge.retries import RetryPolicy
from kimera.pairs import Failure, Verdict

NOT_ASKED_AGAIN = Failure("interrupted", "the run was stopped before this pair was asked again")
MAX_REPAIRS = 2
MAX_ADAPTATIONS = 16  # an endpoint that says nothing of use is tried in a dozen ways, with one pair
_VERDICT = re.compile(r'"contradiction"\s*:\s*"?(true|false|yes|no)\b', re.IGNORECASE)


class Asking:
    """The attempts at one pair.

    `messages` is what the next attempt sends; `outcome` is there once `note` gave None. classes: how many the
    question asks to tell apart, 2 or 3. reasoning_first: whether it asks to reason ahead of the verdict.
    """

    def __init__(
        self,
        question: list[dict[str, str]],
        policy: RetryPolicy,
        rng: random.Random,
        clock: Callable[[], float] = time.perf_counter,
        *,
        classes: int = 2,
        reasoning_first: bool = False,
    ) -> None:
        self.messages = question
        self._classes = classes
        self._reasoning_first = reasoning_first
        self._question = question
        self._policy = policy
        self._rng = rng
        self._clock = clock
        self._begun = clock()
        self._excused_s = 0.0
        self.attempts: list[Attempt] = []
        self._retries = self._refusals = self._repairs = self._adaptations = 0
        self._last: Completion | None = None
        self._stated: float | None = None
        self._result: Verdict | Failure | None = None

    @property
    def outcome(self) -> Outcome:
        if self._result is None:
            raise RuntimeError("the pair has neither a verdict nor a failure yet")
        last = self._last
        return Outcome(
            self._result,
            tuple(self.attempts),
            raw=last.text if last else "",
            system_fingerprint=last.system_fingerprint if last else "",
            stated_confidence=self._stated,
            from_cache=bool(last and last.from_cache),
            found_in=last.found_in if last else "",
        )

    def excuse(self, seconds: float) -> None:
        """Waiting for its turn under a rate limit does not count towards the pair's bound."""
        self._excused_s += seconds

    def give_up(self) -> Outcome:
        """The outcome of a pair that is not asked again although it might be: the run was stopped."""
        self._result = NOT_ASKED_AGAIN
        return self.outcome

    def note(
        self, answer: Completion | JudgeError, latency_ms: float, may_retry: bool = True
    ) -> float | None:
        """Seconds to wait before the next attempt, or None when there is an outcome.

        may_retry: False where the run's budget of retries is spent.
        """
        if isinstance(answer, JudgeError):
            error = self._policy.classified(answer)
            self.attempts.append(Attempt(latency_ms, error.status, error.kind, error.usage))
        else:
            self._last = answer
            failed = self._read(answer, latency_ms)
            if not answer.from_cache:
                self.attempts.append(Attempt(latency_ms, 200, failed.kind if failed else None, answer.usage))
            if failed is None:
                return None
            error = failed
        wait_s = self._wait_after(error, may_retry)
        if wait_s is None:
            self.fail("bad_request" if error.kind == "adapting" else error.kind, error.message)
        return wait_s

    def fail(self, kind: str, message: str) -> Outcome:
        """The outcome of a pair that gets no verdict."""
        self._result = Failure(kind, message, round(self._elapsed_s() * 1000, 3))
        return self.outcome

    def _read(self, completion: Completion, latency_ms: float) -> JudgeError | None:
        """Takes the verdict of a completion as the result, or says why there is none."""
        if refusal := withheld(completion):
            return refusal
        try:
            reply = _decided(completion.decision) or parse_reply(
                completion.text, self._classes, reasoning_first=self._reasoning_first
            )
        except ReplyError as error:
            truncated = completion.finish_reason == "length" and error.kind == "unparseable"
            return JudgeError("truncated" if truncated else error.kind, str(error), status=200)
        self._stated = None if completion.decision else reply.confidence
        self._result = self._verdict(reply, *_confidence(completion, reply), latency_ms)
        return None

    def _verdict(self, reply: Reply, confidence: float, source: str, latency_ms: float) -> Verdict:
        wait_ms = round(max(0.0, self._elapsed_s() * 1000 - latency_ms), 3)
        return Verdict(
            reply.contradiction,
            confidence,
            reply.reasoning,
            latency_ms,
            wait_ms,
            source,
            relation=reply.relation,
        )

    def _wait_after(self, error: JudgeError, may_retry: bool) -> float | None:
        if error.kind == "adapting" and self._adaptations < MAX_ADAPTATIONS:
            self._adaptations += 1
            return 0.0
        if error.kind in REPAIRED:
            spent = self._retries + self._repairs >= self._policy.max_retries
            if self._repairs == MAX_REPAIRS or spent or self._busy_s() >= self._policy.max_pair_s:
                return None
            self._repairs += 1
            unclear = self._last.text if self._last and error.kind == "unparseable" else ""
            again = repair_request(unclear, self._classes, self._reasoning_first) if unclear else []
            self.messages = self._question + again
            return 0.0
        is_limit = kind_of(error.kind).is_limit
        if not may_retry and not is_limit:
            return None
        asked_again = self._retries + self._repairs
        wait_s = self._policy.wait_s(error, asked_again, self._refusals, self._busy_s(), self._rng)
        if is_limit:
            self._refusals += 1
        else:
            self._retries += 1
        return wait_s

    def _busy_s(self) -> float:
        return self._elapsed_s() - self._excused_s

    def _elapsed_s(self) -> float:
        return self._clock() - self._begun


def withheld(completion: Completion) -> JudgeError | None:
    """Where the model or a filter did not answer, what it said instead."""
    if completion.refusal:
        return JudgeError("content_filter", f"the model refused: {completion.refusal[:200]!r}", status=200)
    if FILTERED.search(completion.finish_reason):
        reason = completion.finish_reason[:60]
        return JudgeError(
            "content_filter", f"the endpoint's filter withheld the reply ({reason})", status=200
        )
    return None


def _decided(decision: Decision | None) -> Reply | None:
    if decision is None:
        return None
    is_contradiction = decision.probability >= 0.5
    sureness = decision.probability if is_contradiction else 1.0 - decision.probability
    return Reply(is_contradiction, sureness, "", decision.relation)


def _confidence(completion: Completion, reply: Reply) -> tuple[float, str]:
    """(confidence, score_source): the verdict's token if its probability came along, else what was stated."""
    if completion.decision and reply.confidence is not None:
        return reply.confidence, "decision"
    probability = verdict_probability(completion.logprobs)
    if probability is not None:
        return probability, "logprobs"
    return stated_confidence(reply)


def stated_confidence(reply: Reply) -> tuple[float, str]:
    """(confidence, score_source) by what the reply says alone."""
    return (1.0, "verdict") if reply.confidence is None else (reply.confidence, "stated")


def verdict_probability(logprobs: tuple[tuple[str, float], ...]) -> float | None:
    """The probability of the token that states the verdict, or None where it cannot be found."""
    text = "".join(token for token, _ in logprobs)
    stated = list(_VERDICT.finditer(text))
    if len(stated) != 1:
        return None
    end = 0
    for token, logprob in logprobs:
        end += len(token)
        if end > stated[0].start(1):
            return math.exp(min(0.0, logprob))
    return None
