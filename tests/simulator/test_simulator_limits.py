"""The simulated judge's limits: requests and tokens a minute, a hidden cap, and one request at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators import KEYS, QUESTIONS, QUICK, SimulatorThread, ask, connect, request_body, wait_until

from benchmarks.judge.waits import parse_wait_s
from benchmarks.simulator.simulation import draw_fault
from benchmarks.simulator.throttling import Bucket, duration

THREE_REQUESTS = replace(QUICK, requests_per_minute=6, burst_s=30)  # the next in 10 s
FEW_TOKENS = replace(QUICK, tokens_per_minute=60, burst_s=60)


def statuses(judge: SimulatorThread, texts: Iterable[str]) -> list[int]:
    return [ask(judge, text)[0].status for text in texts]


def test_requests_beyond_the_limit_are_refused() -> None:
    with SimulatorThread(THREE_REQUESTS) as judge:
        assert statuses(judge, QUESTIONS[:5]) == [200, 200, 200, 429, 429]
        assert judge.stats()["outcomes"] == {"answered": 3, "over_requests": 2}


def test_a_refusal_says_when_to_come_back_in_seconds_milliseconds_and_words() -> None:
    with SimulatorThread(THREE_REQUESTS) as judge:
        statuses(judge, QUESTIONS[:3])
        response, body = ask(judge, QUESTIONS[3])
    wait_ms = int(response.headers["retry-after-ms"])
    error = json.loads(body)["error"]
    assert 0 < wait_ms <= 10_000
    assert int(response.headers["Retry-After"]) * 1000 >= wait_ms
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert f"Please try again in {duration(wait_ms / 1000)}" in error["message"]


@pytest.mark.slow
def test_who_waits_as_long_as_told_is_let_in() -> None:
    with SimulatorThread(replace(QUICK, requests_per_minute=600, burst_s=0.1)) as judge:
        for text in QUESTIONS[:10]:
            response, _ = ask(judge, text)
            if response.status == 429:
                time.sleep(int(response.headers["retry-after-ms"]) / 1000)
                response, _ = ask(judge, text)
            assert response.status == 200


@pytest.mark.slow
def test_the_sustained_rate_is_the_limit_however_often_one_asks() -> None:
    """40 answers at 50 a second, of which 5 at once: no sooner than 0.7 s."""
    config = replace(QUICK, requests_per_minute=3_000, burst_s=0.1)
    with SimulatorThread(config) as judge:
        begun = time.monotonic()
        while judge.stats()["outcomes"].get("answered", 0) < 40:
            ask(judge, QUESTIONS[0])
        assert time.monotonic() - begun >= (40 - 5) / 50


def test_refusals_cost_nothing_and_change_no_draw() -> None:
    """A pair that was refused at the door meets the fault of its first request when it is let in."""
    config = replace(THREE_REQUESTS, server_error=0.5)
    number = next(n for n, key in enumerate(KEYS) if draw_fault(config, key, 1)[0] and n >= 3)
    with SimulatorThread(replace(config, burst_s=10)) as judge:
        statuses(judge, QUESTIONS[:1])
        refused = ask(judge, QUESTIONS[number])[0]
        spent = judge.stats()["prompt_tokens"]
        assert statuses(judge, [QUESTIONS[number]] * 20) == [429] * 20
        assert (refused.status, judge.stats()["prompt_tokens"]) == (429, spent)
        assert judge.stats(keys=True)["asked"].keys() <= {KEYS[0].hex()}


def test_tokens_beyond_the_limit_are_refused() -> None:
    """One answer costs about 50 tokens; those of its completion are taken afterwards."""
    with SimulatorThread(FEW_TOKENS) as judge:
        first, _ = ask(judge, QUESTIONS[0])
        second, body = ask(judge, QUESTIONS[1])
        usage = judge.stats()
    assert (first.status, second.status) == (200, 429)
    assert json.loads(body)["error"]["type"] == "tokens"
    spent = usage["prompt_tokens"] + usage["completion_tokens"]
    left = int(second.headers["x-ratelimit-remaining-tokens"])
    assert (
        60 - spent <= left <= 60 - spent + 30
    )  # 30: half a minute of refilling, should this machine be slow


def test_every_reply_tells_both_limits() -> None:
    config = replace(QUICK, requests_per_minute=60, tokens_per_minute=6_000, burst_s=60, server_error=0.5)
    with SimulatorThread(config) as judge:
        replies = [ask(judge, text)[0] for text in QUESTIONS[:10]] + [ask(judge, "Who knows?")[0]]
    assert {reply.status for reply in replies} == {200, 400, 500}
    for reply in replies:
        assert reply.headers["x-ratelimit-limit-requests"] == "60"
        assert reply.headers["x-ratelimit-limit-tokens"] == "6000"
        assert int(reply.headers["x-ratelimit-remaining-requests"]) < 60
        assert int(reply.headers["x-ratelimit-remaining-tokens"]) < 6_000
        for what in ("requests", "tokens"):
            reset_s = parse_wait_s(reply.headers[f"x-ratelimit-reset-{what}"], 0)
            assert reset_s is not None
            assert 0 < reset_s <= 60


@pytest.mark.parametrize("config", [replace(THREE_REQUESTS, limit_headers=False), QUICK])
def test_no_headers_without_a_limit_or_where_none_is_to_be_told(config) -> None:
    with SimulatorThread(config) as judge:
        replies = [ask(judge, text)[0] for text in QUESTIONS[:4]]
    names = {name.lower() for reply in replies for name in reply.headers}
    assert not any(name.startswith("x-ratelimit") for name in names)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.02, "20ms"), (0.9999, "1s"), (1.5, "1.5s"), (60, "1m0s"), (90, "1m30s"), (3600, "1h0m0s")],
)
def test_a_reset_is_written_as_openai_writes_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e6))
@settings(deadline=None, max_examples=200)
def test_a_reset_is_never_told_too_short(seconds: float) -> None:
    told_s = parse_wait_s(duration(seconds), 0)
    assert told_s is not None
    assert seconds - 1e-6 <= told_s <= seconds + 0.0011


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 300)), max_size=40), st.floats(0, 10))
@settings(deadline=None, max_examples=200)
def test_no_bucket_gives_more_than_its_rate_and_one_burst(
    asks: list[tuple[float, float]], burst_s: float
) -> None:
    """Each ask is a pause and an amount; what exceeds the bucket leaves a debt that later asks wait out."""
    now = 0.0
    bucket = Bucket(600, burst_s, lambda: now)
    given_out = last = 0.0
    for pause_s, amount in asks:
        now += pause_s
        if not bucket.wait_s(amount):
            bucket.take(amount)
            given_out, last = given_out + amount, amount
    assert given_out <= 10 * now + 10 * burst_s + last + 1e-6


def test_what_exceeds_a_full_bucket_is_let_in_and_paid_off_afterwards() -> None:
    bucket = Bucket(60, 10, lambda: 0.0)
    assert bucket.wait_s(25) == 0
    bucket.take(25)
    assert bucket.wait_s(1) == 16  # 15 of debt and 1


def test_more_in_flight_than_the_hidden_cap_are_refused_at_once() -> None:
    config = replace(QUICK, max_in_flight_cap=3, stalled=1, retry_after_s=0.2)
    with SimulatorThread(config) as judge:
        held = [connect(judge) for _ in range(3)]
        for connection, text in zip(held, QUESTIONS, strict=False):
            connection.request("POST", "/v1/chat/completions", request_body(text))
        wait_until(lambda: judge.stats()["in_flight"] == 3)
        response, _ = ask(judge, QUESTIONS[3])
        for connection in held:
            connection.close()
        wait_until(lambda: judge.stats()["in_flight"] == 0)
        outcomes = judge.stats()["outcomes"]
    assert (response.status, response.headers["Retry-After"]) == (429, "0.2")
    assert outcomes == {"stalled": 3, "over_cap": 1}


def test_below_the_hidden_cap_nothing_is_refused() -> None:
    with (
        SimulatorThread(replace(QUICK, latency_ms=20, max_in_flight_cap=4)) as judge,
        ThreadPoolExecutor(4) as pool,
    ):
        replies = list(pool.map(lambda text: ask(judge, text)[0], QUESTIONS[:40]))
    assert {reply.status for reply in replies} == {200}


def test_a_local_server_answers_one_after_the_other() -> None:
    """Eight at once take eight latencies."""
    with (
        SimulatorThread(replace(QUICK, latency_ms=50, one_at_a_time=True)) as judge,
        ThreadPoolExecutor(8) as pool,
    ):
        begun = time.monotonic()
        list(pool.map(lambda text: ask(judge, text), QUESTIONS[:8]))
        assert time.monotonic() - begun >= 8 * 0.05
        assert judge.stats()["max_in_flight"] > 1


def test_a_client_that_leaves_the_queue_holds_nobody_up() -> None:
    """The first holds the turn for ten minutes; when it goes, the next is answered."""
    number = next(n for n, key in enumerate(KEYS) if draw_fault(replace(QUICK, stalled=0.5), key, 1)[0])
    healthy = next(n for n, key in enumerate(KEYS) if not draw_fault(replace(QUICK, stalled=0.5), key, 1)[0])
    with SimulatorThread(replace(QUICK, stalled=0.5, one_at_a_time=True)) as judge:
        first, second = connect(judge), connect(judge)
        first.request("POST", "/v1/chat/completions", request_body(QUESTIONS[number]))
        wait_until(lambda: judge.stats()["in_flight"] == 1)
        second.request("POST", "/v1/chat/completions", request_body(QUESTIONS[healthy]))
        wait_until(lambda: judge.stats()["in_flight"] == 2)
        first.close()
        assert second.getresponse().status == 200
        second.close()
