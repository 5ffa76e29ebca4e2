"""Limits on requests and tokens a minute. The clock is the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS
from benchmarks.judge.rates import BURST_S, LEARNT_SHARE, Bucket, RateLimits


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_burst_is_half_a_second_of_the_rate() -> None:
    bucket = Bucket(1_200, Clock())
    assert [bucket.reserve(1) for _ in range(12)] == pytest.approx([0.0] * 10 + [0.05, 0.1])


def test_a_slow_rate_lets_one_through_at_once() -> None:
    bucket = Bucket(6, Clock())
    assert [bucket.reserve(1) for _ in range(3)] == pytest.approx([0.0, 10.0, 20.0])


@given(st.floats(1, 100_000), st.lists(st.floats(0, 2), min_size=50, max_size=200))
@settings(max_examples=50, deadline=None)
def test_no_more_is_ever_let_through_than_the_rate_and_one_burst(
    per_minute: float, pauses: list[float]
) -> None:
    clock = Clock()
    bucket = Bucket(per_minute, clock)
    starts = []
    for pause in pauses:
        clock.now += pause
        starts.append(clock.now + bucket.reserve(1))
    starts.sort()
    burst = max(1.0, per_minute / 60 * BURST_S)
    for first in range(0, len(starts), 10):
        for last in range(first, len(starts), 10):
            allowed = burst + per_minute / 60 * (starts[last] - starts[first])
            assert last - first + 1 <= allowed + 1 + 1e-6


def test_what_was_estimated_too_high_is_given_back() -> None:
    clock = Clock()
    limits = RateLimits(tpm=6_000, clock=clock)
    turn = limits.reserve(1_000)
    assert turn.wait_s > 0
    limits.settle(1_000, turn, prompt_tokens=10, completion_tokens=5)
    clock.now += 1
    assert limits.reserve(100).wait_s == 0.0


def test_estimates_come_from_what_earlier_requests_cost() -> None:
    limits = RateLimits(clock=Clock())
    for _ in range(3):
        limits.settle(1_000, limits.reserve(1_000), prompt_tokens=200, completion_tokens=30)
    assert limits.reserve(2_000).tokens == pytest.approx(430)


def test_a_failed_attempt_keeps_its_estimate() -> None:
    limits = RateLimits(tpm=6_000, clock=Clock())
    first = limits.reserve(10_000)
    limits.settle(10_000, first, prompt_tokens=0, completion_tokens=0)
    assert limits.reserve(1).wait_s > first.wait_s


def test_there_is_no_limit_until_one_is_told() -> None:
    limits = RateLimits(clock=Clock())
    assert all(limits.reserve(1_000).wait_s == 0.0 for _ in range(1_000))


def test_limits_are_learnt_from_headers() -> None:
    clock = Clock()
    limits = RateLimits(clock=clock)
    limits.learn(
        CHAT_COMPLETIONS.limits_in(
            {"x-ratelimit-limit-requests": "3000", "x-ratelimit-remaining-requests": "2999"}
        ),
        limits.reserve(100),
    )
    waits = [limits.reserve(100).wait_s for _ in range(3_000)]
    assert waits[0] == 0.0
    assert waits[-1] == pytest.approx(3_000 / (3_000 * LEARNT_SHARE) * 60, rel=0.03)


def test_a_limit_that_the_user_gave_stands() -> None:
    limits = RateLimits(rpm=60, clock=Clock())
    limits.learn(CHAT_COMPLETIONS.limits_in({"x-ratelimit-limit-requests": "6000"}), limits.reserve(1))
    assert [limits.reserve(1).wait_s for _ in range(3)] == pytest.approx([1.0, 2.0, 3.0])


def test_what_the_server_says_is_left_is_believed() -> None:
    limits = RateLimits(rpm=600, clock=Clock())
    limits.learn(CHAT_COMPLETIONS.limits_in({"x-ratelimit-remaining-requests": "0"}), limits.reserve(1))
    assert limits.reserve(1).wait_s == pytest.approx(0.1)


def test_what_was_sent_while_the_first_reply_was_under_way_counts() -> None:
    """The server had 10 left when it counted the first of 8; the other 7 have not been counted then."""
    limits = RateLimits(clock=Clock())
    first, *_ = [limits.reserve(1) for _ in range(8)]
    limits.learn(
        CHAT_COMPLETIONS.limits_in(
            {"x-ratelimit-limit-requests": "6000", "x-ratelimit-remaining-requests": "10"}
        ),
        first,
    )
    waits = [limits.reserve(1).wait_s for _ in range(5)]
    assert waits == pytest.approx([0.0, 0.0, 0.0, 1 / LEARNT_SHARE / 100, 2 / LEARNT_SHARE / 100])


def test_a_slow_reply_does_not_slow_the_run() -> None:
    """What the server has refilled since it counted the request is not waited for again."""
    clock = Clock()
    limits = RateLimits(rpm=600, clock=clock)
    turns = [limits.reserve(1) for _ in range(5)]
    limits.note_sent(turns[0])
    clock.now += 10
    limits.learn(CHAT_COMPLETIONS.limits_in({"x-ratelimit-remaining-requests": "0"}), turns[0])
    assert limits.reserve(1).wait_s == 0.0


def test_requests_and_tokens_are_taken_together() -> None:
    limits = RateLimits(rpm=60_000, tpm=60, clock=Clock())
    assert limits.reserve(1_000).wait_s > 60


@pytest.mark.parametrize("value", ["", "many", "nan", "inf", "-5", "0", "1e400"])
def test_headers_that_make_no_sense_change_nothing(value: str) -> None:
    limits = RateLimits(clock=Clock())
    limits.learn(
        CHAT_COMPLETIONS.limits_in(
            {"x-ratelimit-limit-requests": value, "x-ratelimit-remaining-tokens": value}
        ),
        limits.reserve(1),
    )
    assert all(limits.reserve(1_000).wait_s == 0.0 for _ in range(100))
