"""What follows each attempt at one pair."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from servers import Canned, completion, verdict

from benchmarks.judge.asking import MAX_REPAIRS, Asking
from benchmarks.judge.completions import Completion
from benchmarks.judge.failures import FATAL, RETRIED, JudgeError, kind_of
from benchmarks.judge.protocols.chat_completions import read_completion
from benchmarks.judge.retries import RetryPolicy
from benchmarks.judge.usage import Usage
from kimera.pairs import Failure, Verdict

QUESTION = [{"role": "user", "content": "Do they contradict each other?"}]
POLICY = RetryPolicy(max_retries=5, base_s=0.001, cap_s=0.001)


@dataclass
class Clock:
    """Time that passes when the test says so."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def asking(policy: RetryPolicy = POLICY, clock: Clock | None = None) -> Asking:
    return Asking(QUESTION, policy, random.Random(0), clock or Clock())  # noqa: S311 (no secrets here)


def said(canned: Canned) -> Completion:
    return read_completion(canned.body)


UNCLEAR = said(completion("Hard to say, is it?"))


def test_a_verdict_is_the_end() -> None:
    pair = asking()
    assert pair.note(said(verdict(True, 0.8, "because")), 12.5) is None
    assert pair.outcome.result == Verdict(True, 0.8, "because", 12.5, 0.0, "stated")
    assert pair.outcome.usage == Usage(7, 3, None, None)


def test_there_is_no_outcome_before_the_end() -> None:
    with pytest.raises(RuntimeError):
        _ = asking().outcome


def test_a_verdict_without_a_confidence_is_called_so() -> None:
    pair = asking()
    pair.note(said(completion("No.")), 1.0)
    assert pair.outcome.result == Verdict(False, 1.0, "", 1.0, 0.0, "verdict")


def test_a_stated_confidence_below_one_half_is_clamped() -> None:
    pair = asking()
    pair.note(said(verdict(True, 0.2)), 1.0)
    assert pair.outcome.result.confidence == 0.5  # type: ignore[union-attr]


def test_what_a_pair_waited_is_all_but_its_successful_attempt() -> None:
    clock = Clock()
    pair = asking(clock=clock)
    clock.now_s += 2.0
    assert pair.note(JudgeError("timeout", "late"), 2000.0) is not None
    clock.now_s += 0.5
    pair.note(said(verdict()), 300.0)
    result = pair.outcome.result
    assert isinstance(result, Verdict)
    assert (result.latency_ms, result.wait_ms) == (300.0, 2200.0)


@pytest.mark.parametrize("kind", sorted(RETRIED))
def test_a_fault_is_retried_until_the_policy_gives_up(kind: str) -> None:
    pair = asking()
    attempts = 1
    while pair.note(JudgeError(kind, "again"), 1.0) is not None:
        attempts += 1
    assert attempts == (21 if kind_of(kind).is_limit else 6)
    assert pair.outcome.result == Failure(kind, "again", 0.0)
    assert [attempt.error for attempt in pair.outcome.attempts] == [kind] * attempts


@pytest.mark.parametrize("kind", sorted(FATAL | {"bad_request", "content_filter"}))
def test_what_would_only_repeat_itself_is_a_failure_at_once(kind: str) -> None:
    pair = asking()
    assert pair.note(JudgeError(kind, "no"), 1.0) is None
    assert pair.outcome.result == Failure(kind, "no", 0.0)


def test_a_spent_budget_ends_the_retries() -> None:
    pair = asking()
    assert pair.note(JudgeError("server_error", "no"), 1.0, may_retry=False) is None
    assert pair.outcome.result == Failure("server_error", "no", 0.0)


def test_an_unusable_reply_is_asked_again_at_most_twice_and_each_is_paid() -> None:
    pair = asking()
    waits = [pair.note(UNCLEAR, 1.0) for _ in range(1 + MAX_REPAIRS)]
    assert waits == [0.0] * MAX_REPAIRS + [None]
    assert isinstance(pair.outcome.result, Failure)
    assert pair.outcome.result.kind == "unparseable"
    assert pair.outcome.usage == Usage(21, 9, None, None)
    assert pair.outcome.raw == "Hard to say, is it?"


def test_a_repair_shows_the_judge_its_reply() -> None:
    pair = asking()
    pair.note(UNCLEAR, 1.0)
    assert pair.messages[:1] == QUESTION
    assert pair.messages[1] == {"role": "assistant", "content": "Hard to say, is it?"}
    assert pair.messages[2]["role"] == "user"


def test_repairs_do_not_pile_up_in_the_conversation() -> None:
    pair = asking()
    pair.note(UNCLEAR, 1.0)
    pair.note(said(completion("Once more: hard to say.")), 1.0)
    assert len(pair.messages) == 3
    assert pair.messages[1]["content"] == "Once more: hard to say."


def test_a_reply_that_was_cut_off_is_asked_for_anew() -> None:
    pair = asking()
    assert pair.note(said(completion('{"contradiction": tr', finish_reason="length")), 1.0) == 0.0
    assert pair.messages == QUESTION
    assert pair.attempts[0].error == "truncated"


def test_an_empty_reply_is_asked_for_anew_without_a_word_from_nobody() -> None:
    pair = asking()
    assert pair.note(said(completion(None)), 1.0) == 0.0
    assert pair.messages == QUESTION


def test_what_is_no_completion_is_asked_again_at_most_twice() -> None:
    pair = asking()
    waits = [pair.note(JudgeError("bad_response", "html"), 1.0) for _ in range(3)]
    assert waits == [0.0, 0.0, None]


def test_no_retries_means_no_repairs_either() -> None:
    assert asking(RetryPolicy(max_retries=0)).note(UNCLEAR, 1.0) is None


def test_a_judge_that_abstains_is_not_asked_again() -> None:
    pair = asking()
    assert pair.note(said(verdict(None, 0.5)), 1.0) is None
    assert isinstance(pair.outcome.result, Failure)
    assert pair.outcome.result.kind == "abstained"
    assert pair.outcome.usage == Usage(7, 3, None, None)


@pytest.mark.parametrize(
    "reply",
    [completion(None, refusal="I will not judge this."), completion("", finish_reason="content_filter")],
    ids=["refusal", "filter"],
)
def test_a_refusal_is_the_failure_of_this_pair(reply: Canned) -> None:
    pair = asking()
    assert pair.note(said(reply), 1.0) is None
    assert isinstance(pair.outcome.result, Failure)
    assert pair.outcome.result.kind == "content_filter"


def test_adapting_to_the_endpoint_costs_no_retry() -> None:
    pair = asking(RetryPolicy(max_retries=1, base_s=0.001))
    assert [pair.note(JudgeError("adapting", "no temperature"), 1.0) for _ in range(3)] == [0.0] * 3
    assert pair.note(JudgeError("timeout", "late"), 1.0) is not None
    assert pair.note(JudgeError("timeout", "late"), 1.0) is None


def test_adapting_to_the_endpoint_costs_no_repair() -> None:
    pair = asking(RetryPolicy(max_retries=2))
    for _ in range(3):
        pair.note(JudgeError("adapting", "no temperature"), 1.0)
    assert pair.note(UNCLEAR, 1.0) == 0.0


def test_adapting_comes_to_an_end() -> None:
    pair = asking()
    waits: list[Any] = [0.0]
    while waits[-1] is not None:
        waits.append(pair.note(JudgeError("adapting", "no"), 1.0))
        assert len(waits) < 20
    assert isinstance(pair.outcome.result, Failure)


def test_repairs_and_retries_share_one_bound() -> None:
    pair = asking(POLICY)
    attempts = 0
    for answer in [UNCLEAR, UNCLEAR, *[JudgeError("server_error", "oops")] * 20]:
        attempts += 1
        if pair.note(answer, 1.0) is None:
            break
    assert attempts == 1 + POLICY.max_retries


def test_waiting_for_its_turn_does_not_count_towards_a_pairs_bound() -> None:
    clock = Clock()
    pair = asking(clock=clock)
    pair.excuse(800.0)
    clock.now_s += 801.0
    assert pair.note(JudgeError("rate_limited", "slow down"), 1.0) is not None


def test_no_repair_starts_once_a_pair_has_taken_too_long() -> None:
    clock = Clock()
    pair = asking(clock=clock)
    clock.now_s += POLICY.max_pair_s
    assert pair.note(UNCLEAR, 1.0) is None
