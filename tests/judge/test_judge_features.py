"""What a run against real endpoints needs: limits that cost no pair, money, logprobs, proxies, CAs."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from servers import HOST, RawServer, http_reply, saying
from simulators import PAIRS, QUICK, SimulatorThread, question

from benchmarks.judge.attempts import Outcome
from benchmarks.judge.httpx_transport import HttpxTransport
from benchmarks.judge.pipeline import asks_of, judge_all
from benchmarks.judge.pricing import CostLimit, Price
from benchmarks.judge.prompts import Prompt
from benchmarks.judge.retries import RetryPolicy
from benchmarks.judge.transport_choice import open_transport
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.perf.proofs_judge import KINDS, kind_of_endpoint
from benchmarks.simulator.simulation import GONE
from kimera.pairs import Failure, Verdict

PROMPT = Prompt("test", "1", "", question("{text1}", "{text2}"))
PRICE = Price(input=1_000.0, cached_input=1_000.0, output=1_000.0)
SOON = RetryPolicy(base_s=0.05)


def outcomes_of(
    judge: SimulatorThread,
    count: int = len(PAIRS),
    max_error_rate: float | None = None,
    **options: Any,
) -> tuple[list[Outcome], AsyncOpenAIClient]:
    found: list[Outcome] = []

    async def run() -> AsyncOpenAIClient:
        settings = {"max_concurrent": 16, "policy": SOON, "prompt": PROMPT, **options}
        async with AsyncOpenAIClient(base_url=judge.base_url, **settings) as client:
            await judge_all(
                client,
                asks_of(enumerate(PAIRS[:count])),
                lambda _, outcome: found.append(outcome),
                max_error_rate,
            )
            return client

    return found, asyncio.run(run())


def answered(outcomes: list[Outcome]) -> int:
    return sum(isinstance(outcome.result, Verdict) for outcome in outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("concurrent", [16, "auto"])
def test_a_limit_that_no_header_tells_costs_time_and_no_pair(concurrent: Any) -> None:
    """30 requests a second are let through, and many more are tried."""
    config = replace(QUICK, requests_per_minute=1_800, limit_headers=False, burst_s=0.2)
    with SimulatorThread(config) as judge:
        outcomes, _ = outcomes_of(judge, 40, max_concurrent=concurrent)
        assert judge.stats()["outcomes"]["over_requests"] > 0
    assert answered(outcomes) == 40


@pytest.mark.slow
def test_a_cap_on_what_is_in_flight_costs_no_pair() -> None:
    with SimulatorThread(replace(QUICK, latency_ms=20, max_in_flight_cap=4, retry_after_s=0.05)) as judge:
        outcomes, _ = outcomes_of(judge, 120)
    assert answered(outcomes) == 120


@pytest.mark.slow
def test_a_limit_told_by_headers_is_kept_without_one_refusal() -> None:
    with SimulatorThread(replace(QUICK, requests_per_minute=2_400, burst_s=1)) as judge:
        outcomes, _ = outcomes_of(judge, 60)
        assert judge.stats()["outcomes"] == {"answered": 60}
    assert answered(outcomes) == 60


def test_every_paid_attempt_is_in_an_outcome_when_money_ends_the_run() -> None:
    """Unusable replies are asked again until the limit is reached; what they cost is not forgotten."""
    with SimulatorThread(replace(QUICK, malformed=1.0)) as judge:
        limit = CostLimit(8.0, PRICE)
        outcomes, client = outcomes_of(judge, cost_limit=limit, max_concurrent=4)
        stats = judge.stats()
    assert client.stopped_by is not None
    assert client.stopped_by.kind == "max_cost"
    paid = sum((outcome.usage for outcome in outcomes[1:]), outcomes[0].usage)
    assert (paid.prompt, paid.completion) == (stats["prompt_tokens"], stats["completion_tokens"])
    assert PRICE.cost(paid) <= 8.0


def test_judges_share_one_limit_and_earlier_sessions_count() -> None:
    limits: list[CostLimit] = []
    first, second = CostLimit(5.0, PRICE, limits), CostLimit(5.0, PRICE, limits)
    with SimulatorThread(QUICK) as judge:
        asked, _ = outcomes_of(judge, cost_limit=first, max_concurrent=1)
        assert asked
        again, _ = outcomes_of(judge, cost_limit=second, max_concurrent=1)
    assert again == []
    resumed = CostLimit(5.0, PRICE)
    resumed.add_earlier(sum((outcome.usage for outcome in asked[1:]), asked[0].usage))
    assert resumed.reserve(2_000, 1_024) is None


def test_a_run_stops_when_too_many_pairs_fail() -> None:
    with SimulatorThread(replace(QUICK, content_filter=1.0)) as judge:
        outcomes, client = outcomes_of(judge, max_error_rate=0.5, max_concurrent=2)
    assert client.stopped_by is not None
    assert client.stopped_by.kind == "error_rate"
    assert 20 <= len(outcomes) <= 24


def test_confidence_comes_from_the_verdicts_token_where_it_is_told() -> None:
    with SimulatorThread(QUICK) as judge:
        outcomes, _ = outcomes_of(judge, 12, logprobs=True)
    for outcome in outcomes:
        assert isinstance(outcome.result, Verdict)
        assert outcome.result.score_source == "logprobs"
        assert outcome.stated_confidence is not None
        assert outcome.result.confidence == pytest.approx(outcome.stated_confidence, abs=0.02)


def test_an_endpoint_that_refuses_parameters_is_asked_without_them() -> None:
    refuses = ("max_completion_tokens", "temperature", "seed", "json_schema")
    with SimulatorThread(replace(QUICK, refuses=refuses)) as judge:
        outcomes, client = outcomes_of(judge, 30, max_concurrent=4)
        assert judge.stats()["outcomes"]["refused_parameter"] <= 4 * len(refuses)
    assert answered(outcomes) == 30
    assert client.endpoint.form.optional == ()


@pytest.mark.parametrize("name", KINDS)
def test_every_pair_is_answered_in_whatever_shape_an_endpoint_refuses(name: str) -> None:
    """But those that it withholds for their content."""
    with SimulatorThread(kind_of_endpoint(name)) as judge:
        outcomes, _ = outcomes_of(judge, 12, max_concurrent=4)
    failed = Counter(outcome.result.kind for outcome in outcomes if isinstance(outcome.result, Failure))
    assert set(failed) <= ({"content_filter"} if "filters" in name else set())
    assert answered(outcomes) == 12 - failed.total()


@pytest.mark.parametrize("gone", GONE[1:])
def test_what_is_gone_for_good_is_asked_for_once(gone: str) -> None:
    with SimulatorThread(replace(QUICK, gone=gone)) as judge:
        outcomes, _ = outcomes_of(judge, 12, max_concurrent=1)
        assert judge.stats()["requests"] == 1
    assert answered(outcomes) == 0


def test_a_judge_that_thinks_first_gets_more_room() -> None:
    with SimulatorThread(replace(QUICK, reasoning_tokens=3_000)) as judge:
        outcomes, client = outcomes_of(judge, 10, max_concurrent=2)
    assert answered(outcomes) == 10
    assert client.endpoint.form.max_tokens == 4_096
    assert all(outcome.usage.reasoning > 0 for outcome in outcomes)


def test_headers_of_the_users_own_are_sent() -> None:
    with RawServer(saying(http_reply(400, b"{}"))) as server:

        async def run() -> None:
            async with AsyncOpenAIClient(
                base_url=server.url, headers={"X-Team": "blue"}, policy=SOON
            ) as client:
                assert isinstance((await client.judge("a", "b")).result, Failure)

        asyncio.run(run())
        assert b"x-team: blue" in server.requests[0].lower()


def test_a_proxy_of_the_environment_is_used_for_other_hosts_and_never_for_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        RawServer(saying(http_reply(200, b"from the proxy"))) as proxy,
        RawServer(saying(http_reply())) as local,
    ):
        monkeypatch.setenv("HTTP_PROXY", f"http://{HOST}:{proxy.url.split(':')[2].split('/')[0]}")

        async def run() -> bytes:
            elsewhere, here = open_transport(1), open_transport(1, proxies=False)
            try:
                reply = await elsewhere.post("http://judge.example/v1", {}, b"{}", 10)
                await here.post(local.url, {}, b"{}", 10)
                return reply.body
            finally:
                await elsewhere.aclose()
                await here.aclose()

        assert asyncio.run(run()) == b"from the proxy"
        assert len(proxy.requests) == len(local.requests) == 1


def test_a_certificate_authority_of_the_environment_is_trusted(
    monkeypatch: pytest.MonkeyPatch, certificate: tuple[ssl.SSLContext, str]
) -> None:
    context, authority = certificate
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    with RawServer(saying(http_reply(200, b"hello")), context) as server:

        async def run() -> bytes:
            transport = HttpxTransport(1)
            try:
                return (await transport.post(server.url, {}, b"{}", 10)).body
            finally:
                await transport.aclose()

        assert asyncio.run(run()) == b"hello"
