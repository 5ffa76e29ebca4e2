"""When to ask again: the policy, what servers ask for, and the budget."""

from __future__ import annotations

import random
from dataclasses import dataclass
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.failures import FATAL, REPAIRED, RETRIED, JudgeError
from benchmarks.judge.retries import RetryBudget, RetryPolicy
from benchmarks.judge.waits import parse_wait_s, server_wait_s

NOW = 1_700_000_000.0
POLICY = RetryPolicy(max_retries=5, base_s=0.5, cap_s=30.0, longest_server_wait_s=120.0, max_pair_s=600.0)


def wait_s(
    error: JudgeError, retries: int = 0, elapsed_s: float = 0.0, seed: int = 0, policy: RetryPolicy = POLICY
) -> float | None:
    return policy.wait_s(error, retries, retries, elapsed_s, random.Random(seed))  # noqa: S311 (no secrets here)


def limited(wait: float | None) -> JudgeError:
    return JudgeError("rate_limited", "slow down", wait_s=wait)


@pytest.mark.parametrize("kind", sorted(RETRIED))
def test_faults_that_may_heal_are_retried(kind: str) -> None:
    assert wait_s(JudgeError(kind, "")) is not None


@pytest.mark.parametrize("kind", sorted(FATAL | REPAIRED | {"abstained", "content_filter", "bad_request"}))
def test_what_would_only_repeat_itself_is_not_retried(kind: str) -> None:
    assert wait_s(JudgeError(kind, "")) is None


def test_there_are_as_many_retries_as_were_asked_for() -> None:
    error = JudgeError("timeout", "")
    assert [wait_s(error, retries) is None for retries in range(7)] == [False] * 5 + [True] * 2


def test_a_limit_may_be_met_four_times_as_often_as_a_fault() -> None:
    gives_up = [wait_s(limited(1.0), refusals) is None for refusals in range(22)]
    assert gives_up == [False] * 20 + [True] * 2


def test_without_retries_a_limit_is_met_once() -> None:
    assert wait_s(limited(1.0), 0, policy=RetryPolicy(max_retries=0)) is None


@given(st.integers(0, 2**32), st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_jitter_lies_between_zero_and_the_doubled_base_or_the_cap(seed: int, retries: int) -> None:
    policy = RetryPolicy(max_retries=100, base_s=0.5, cap_s=30.0)
    wait = wait_s(JudgeError("timeout", ""), retries, seed=seed, policy=policy)
    assert wait is not None
    assert 0 <= wait <= min(30.0, 0.5 * 2**retries)


def test_jitter_spreads_over_its_whole_range() -> None:
    waits = [wait_s(JudgeError("timeout", ""), retries=3, seed=seed) or 0.0 for seed in range(200)]
    assert min(waits) < 0.4
    assert max(waits) > 3.6


@given(st.floats(0, 120), st.integers(0, 2**32), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_the_wait_is_never_less_than_the_server_asked_for(asked_s: float, seed: int, retries: int) -> None:
    wait = wait_s(limited(asked_s), retries, seed=seed)
    assert wait is not None
    assert asked_s <= wait <= asked_s + min(10.0, 0.5 * 2**retries) + 1e-9


@pytest.mark.parametrize("asked_s", [120.1, 3600.0, float("inf")])
def test_a_server_that_asks_for_more_than_two_minutes_is_not_obeyed(asked_s: float) -> None:
    assert wait_s(limited(asked_s)) is None


def test_no_attempt_starts_once_a_pair_has_taken_its_time() -> None:
    assert wait_s(limited(10.0), elapsed_s=580.0) is not None
    assert wait_s(limited(30.0), elapsed_s=580.0) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "500ms"}, 0.5),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "1h"}, 3600.0),
        ({"retry-after": " 2s "}, 2.0),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"x-ratelimit-reset-requests": "120ms"}, 0.12),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "nonsense", "x-ratelimit-reset-tokens": "2s"}, 2.0),
        ({"retry-after-ms": "100", "retry-after": "9"}, 0.1),
        ({"retry-after": "9", "x-ratelimit-reset-tokens": "1s"}, 9.0),
        ({"retry-after-ms": "soon", "retry-after": "later", "x-ratelimit-reset-tokens": "3s"}, 3.0),
    ],
)
def test_what_a_server_asks_for_is_read_in_order_of_trust(
    headers: dict[str, str], expected: float | None
) -> None:
    assert server_wait_s(headers, NOW) == pytest.approx(expected)


@pytest.mark.parametrize("value", ["", "-1", "nan", "inf", "1e9", "soon", "5 minutes", "1m30", "0x10", "٣s."])
def test_what_is_no_time_is_none(value: str) -> None:
    assert parse_wait_s(value, NOW) is None


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[0-9a-zA-Z,:+ -]{1,40}", fullmatch=True)))
@settings(max_examples=300, deadline=None)
def test_any_header_gives_a_number_from_zero_up_or_none(value: str) -> None:
    wait = parse_wait_s(value, NOW)
    assert wait is None or wait >= 0


@dataclass
class Clock:
    """Time that passes when the test says so."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_first_faults_cost_nothing() -> None:
    budget = RetryBudget(patience=50, clock=Clock())
    for _ in range(50):
        budget.count(accepted=False)
    assert budget.refusal_probability() == 0


def test_a_storm_is_refused_ever_more() -> None:
    budget = RetryBudget(patience=50, clock=Clock())
    probabilities = []
    for _ in range(10):
        for _ in range(100):
            budget.count(accepted=False)
        probabilities.append(budget.refusal_probability())
    assert probabilities == sorted(probabilities)
    assert probabilities[-1] == pytest.approx((1000 - 50) / 1001)


def test_an_endpoint_that_accepts_half_of_all_attempts_is_never_refused() -> None:
    budget = RetryBudget(patience=0, clock=Clock())
    for number in range(1000):
        budget.count(accepted=number % 2 == 0)
        assert budget.refusal_probability() <= 1 / (number + 2)


def test_the_budget_heals_when_the_window_has_passed() -> None:
    clock = Clock()
    budget = RetryBudget(window_s=120, patience=50, clock=clock)
    for _ in range(500):
        budget.count(accepted=False)
    assert budget.refusal_probability() > 0.8
    clock.now_s += 119
    assert budget.refusal_probability() > 0.8
    clock.now_s += 2
    assert budget.refusal_probability() == 0


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=200))
@settings(max_examples=100, deadline=None)
def test_the_probability_is_that_of_the_attempts_in_the_window(steps: list[tuple[float, bool]]) -> None:
    clock = Clock()
    budget = RetryBudget(window_s=60, ratio=2, patience=5, clock=clock)
    counted: list[tuple[int, bool]] = []
    for pause_s, accepted in steps:
        clock.now_s += pause_s
        budget.count(accepted)
        counted.append((int(clock.now_s), accepted))
        recent = [was_accepted for second, was_accepted in counted if second >= clock.now_s - 60]
        expected = max(0.0, (len(recent) - 5 - 2 * sum(recent)) / (len(recent) + 1))
        assert budget.refusal_probability() == pytest.approx(expected)
