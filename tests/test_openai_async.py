"""The judge's client and run_async_benchmark against real servers on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from servers import (
    HOST,
    Asked,
    Canned,
    RawServer,
    ScriptedJudge,
    completion,
    error,
    silent,
    unused_port,
    verdict,
)

from benchmarks.judge.failures import JudgeError
from benchmarks.judge.prompts import DEFAULT_PROMPT, load_prompt
from benchmarks.judge.retries import RetryPolicy
from benchmarks.openai_async import AsyncOpenAIClient, run_async_benchmark
from benchmarks.simulator.process import SimulatorProcess
from benchmarks.simulator.simulation import SimulatorConfig, answers_for
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict

Serve = Callable[[Any], ScriptedJudge]
Result = Verdict | Failure
QUICK = RetryPolicy(base_s=0.001, cap_s=0.02)
KEY = "sk-test-0123456789"


def pairs(count: int) -> list[Pair]:
    return [Pair(f"Pair {number}: it rains.", "It is dry.") for number in range(count)]


def number_of(asked: Asked) -> int:
    return int(asked.question.split("Pair ")[1].split(":")[0])


def benchmark(base_url: str, asked: Any, max_concurrent: int = 8, **options: Any) -> dict[str, Any]:
    options.setdefault("policy", QUICK)
    return asyncio.run(run_async_benchmark(asked, max_concurrent, base_url=base_url, **options))


def kinds(results: list[Result]) -> list[str | bool]:
    return [result.kind if isinstance(result, Failure) else result.contradiction for result in results]


def ask_one(base_url: str, **options: Any) -> tuple[bool, float, str, float]:
    async def run() -> tuple[bool, float, str, float]:
        options.setdefault("policy", QUICK)
        async with AsyncOpenAIClient(base_url=base_url, **options) as client:
            return await client.detect_contradiction_async("It rains.", "It is dry.")

    return asyncio.run(run())


def test_one_pair_gives_verdict_confidence_reasoning_and_latency(serve: Serve) -> None:
    contradiction, confidence, reasoning, latency_ms = ask_one(serve(verdict(True, 0.8, "rain")).base_url)
    assert (contradiction, confidence, reasoning) == (True, 0.8, "rain")
    assert latency_ms > 0


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (verdict(None), "abstained"),
        (completion("Hm."), "unparseable"),
        (completion(None, refusal="No."), "content_filter"),
        (error(401, "no"), "auth"),
        (error(500, "oops"), "server_error"),
        (Canned(body=b"<html>"), "bad_response"),
    ],
)
def test_one_pair_without_a_verdict_raises_a_judge_error_of_its_kind(
    serve: Serve, reply: Canned, kind: str
) -> None:
    with pytest.raises(JudgeError) as caught:
        ask_one(serve(reply).base_url)
    assert caught.value.kind == kind


def test_one_client_answers_many_callers_at_once(serve: Serve) -> None:
    server = serve(lambda asked: verdict(number_of(asked) % 2 == 0))

    async def run() -> list[bool]:
        async with AsyncOpenAIClient(base_url=server.base_url, max_concurrent=4) as client:
            answers = await asyncio.gather(
                *(client.detect_contradiction_async(pair.text1, pair.text2) for pair in pairs(20))
            )
            return [contradiction for contradiction, *_ in answers]

    assert asyncio.run(run()) == [number % 2 == 0 for number in range(20)]
    assert server.peak <= 4


def test_a_client_that_was_not_opened_says_so() -> None:
    client = AsyncOpenAIClient(base_url=f"http://{HOST}:9/v1")
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(client.judge("a", "b"))
    assert client.slots.held == 0


@pytest.mark.parametrize("options", [{"max_concurrent": 0}, {"timeout": 0}, {"max_retries": -1}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        AsyncOpenAIClient(base_url=f"http://{HOST}:9/v1", **options)


def test_the_environment_gives_the_key_and_the_base_url(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(verdict())
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    asyncio.run(run_async_benchmark(pairs(1)))
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_what_is_given_goes_before_the_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(verdict())
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://{HOST}:9/v1")
    benchmark(server.base_url, pairs(1), api_key=KEY)
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_pairs_may_be_tuples(serve: Serve) -> None:
    run = benchmark(serve(verdict(False, 0.7, "r")).base_url, [("a", "b"), Pair("c", "d")])
    assert [(result.contradiction, result.confidence) for result in run["results"]] == [(False, 0.7)] * 2


def test_no_pairs_give_no_results(serve: Serve) -> None:
    run = benchmark(serve(verdict()).base_url, [])
    assert run["results"] == []
    assert run["stats"]["answered"] == 0


def test_results_come_in_the_order_of_the_pairs_however_late_they_are(serve: Serve) -> None:
    def early_ones_late(asked: Asked) -> Canned:
        number = number_of(asked)
        reply = verdict(number % 3 == 0, 0.5 + number / 100, f"about {number}")
        return Canned(body=reply.body, delay_s=0.05 if number < 4 else 0)

    run = benchmark(serve(early_ones_late).base_url, pairs(30))
    assert [result.reasoning for result in run["results"]] == [f"about {number}" for number in range(30)]
    assert [result.contradiction for result in run["results"]] == [number % 3 == 0 for number in range(30)]


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_as_many_requests_are_in_flight_as_were_asked_for_and_never_more(serve: Serve, limit: int) -> None:
    together = threading.Barrier(limit)

    def answer(asked: Asked) -> Canned:
        if asked.number < limit:
            together.wait(10)  # breaks, and the pair fails, unless so many come together
        return Canned(body=verdict().body, delay_s=0.005)

    server = serve(answer)
    run = benchmark(server.base_url, pairs(40), limit)
    assert kinds(run["results"]) == [True] * 40
    assert server.peak == limit == run["stats"]["peak_in_flight"]


def test_never_more_are_in_flight_while_requests_fail_and_are_retried(serve: Serve) -> None:
    def answer(asked: Asked) -> Canned:
        return error(500, "oops") if asked.number % 3 == 0 else Canned(body=verdict().body, delay_s=0.002)

    server = serve(answer)
    patient = RetryPolicy(max_retries=20, base_s=0.001, cap_s=0.02)  # a pair may meet several thirds in a row
    run = benchmark(server.base_url, pairs(60), 4, policy=patient)
    assert kinds(run["results"]) == [True] * 60
    assert server.peak <= 4


def test_a_pair_that_waits_for_its_retry_holds_no_slot(serve: Serve) -> None:
    """With one slot, all other pairs are answered between the two attempts at the first."""
    seen: list[int] = []

    def answer(asked: Asked) -> Canned:
        seen.append(number_of(asked))
        first = seen == [0]
        return error(429, "slow down", headers={"Retry-After-Ms": "300"}) if first else verdict()

    server = serve(answer)

    async def run() -> None:
        async with AsyncOpenAIClient(base_url=server.base_url, max_concurrent=1, policy=QUICK) as client:
            await asyncio.gather(*(client.judge(pair.text1, pair.text2) for pair in pairs(5)))

    asyncio.run(run())
    assert seen == [0, 1, 2, 3, 4, 0]


def test_a_fault_that_heals_is_no_failure_and_its_attempts_are_counted(serve: Serve) -> None:
    server = serve([error(503, "busy"), Canned(body=b"<html>"), error(429, "slow"), verdict()])
    run = benchmark(server.base_url, pairs(1))
    assert kinds(run["results"]) == [True]
    assert run["stats"]["attempts"] == 4
    assert run["results"][0].wait_ms > 0


def test_a_pair_that_never_succeeds_fails_alone_and_after_as_many_retries_as_asked_for(serve: Serve) -> None:
    server = serve(lambda asked: error(500, "oops") if number_of(asked) == 1 else verdict())
    run = benchmark(server.base_url, pairs(3), policy=RetryPolicy(max_retries=3, base_s=0.001))
    assert kinds(run["results"]) == [True, "server_error", True]
    assert Counter(number_of(asked) for asked in server.asked) == {0: 1, 1: 4, 2: 1}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(401, "Incorrect API key"), "auth"),
        (error(429, "You exceeded your current quota", "insufficient_quota"), "quota"),
        (error(404, "The model does not exist", "model_not_found"), "unknown_model"),
        (Canned(404, b"404 page not found"), "wrong_url"),
        (Canned(302, headers={"Location": "http://localhost:9/"}), "wrong_url"),
    ],
)
def test_an_error_that_never_heals_stops_the_asking(serve: Serve, reply: Canned, kind: str) -> None:
    """What had been answered before stays; what was not asked says so, and why."""
    server = serve(lambda asked: verdict() if asked.number < 10 else reply)
    run = benchmark(server.base_url, pairs(200), 4)
    counts = Counter(kinds(run["results"]))
    assert counts[True] == 10
    assert 1 <= counts[kind] <= 4, "those in flight at that moment"
    assert counts["not_asked"] == 190 - counts[kind]
    assert len(server.asked) <= 14
    assert kind in run["results"][-1].message


def test_a_port_where_nobody_listens_ends_the_run_after_a_few_attempts() -> None:
    run = benchmark(f"http://{HOST}:{unused_port()}/v1", pairs(200), 4)
    counts = Counter(kinds(run["results"]))
    assert counts["unreachable"] >= 1
    assert counts["not_asked"] >= 180


@pytest.mark.parametrize("max_retries", [0, 1])
def test_a_port_where_nobody_listens_ends_the_run_with_few_retries_too(max_retries: int) -> None:
    policy = RetryPolicy(max_retries=max_retries, base_s=0.001)
    run = benchmark(f"http://{HOST}:{unused_port()}/v1", pairs(200), 4, policy=policy)
    assert Counter(kinds(run["results"]))["not_asked"] >= 180


def test_a_connection_that_is_lost_once_the_endpoint_has_replied_ends_no_run(serve: Serve) -> None:
    server = serve(verdict())

    async def run() -> list[str | bool]:
        async with AsyncOpenAIClient(base_url=server.base_url, max_concurrent=1, policy=QUICK) as client:
            first = await client.judge("a", "b")
            client.endpoint.base_url = f"http://{HOST}:{unused_port()}/v1"
            return kinds([first.result, (await client.judge("c", "d")).result])

    assert asyncio.run(run()) == [True, "connection"]


def test_a_silent_endpoint_is_a_time_out_of_each_attempt() -> None:
    with RawServer(silent) as server:
        run = benchmark(
            f"http://{server.address}/v1",
            pairs(2),
            timeout=0.1,
            policy=RetryPolicy(max_retries=1, base_s=0.001),
        )
        assert len(server.requests) == 4
    assert kinds(run["results"]) == ["timeout", "timeout"]


def test_the_time_out_starts_when_the_slot_is_held(serve: Serve) -> None:
    """Ten pairs wait for one slot in turn, longer than the time-out together."""
    server = serve(Canned(body=verdict().body, delay_s=0.05))
    run = benchmark(server.base_url, pairs(10), 1, timeout=0.4)
    assert kinds(run["results"]) == [True] * 10


def test_an_unusable_reply_is_asked_again_at_most_twice_and_every_reply_is_paid(serve: Serve) -> None:
    server = serve(completion("Hard to say, is it?"))
    run = benchmark(server.base_url, pairs(1))
    assert kinds(run["results"]) == ["unparseable"]
    assert len(server.asked) == run["stats"]["attempts"] == 3
    assert run["stats"]["tokens"]["prompt"] == 21
    assert len(server.asked[2].payload["messages"]) > len(server.asked[0].payload["messages"])


def test_a_judge_that_abstains_or_refuses_is_not_asked_again(serve: Serve) -> None:
    replies = [
        verdict(None),
        completion(None, refusal="No."),
        error(400, "filtered", "content_filter"),
        verdict(),
    ]
    server = serve(lambda asked: replies[number_of(asked)])
    run = benchmark(server.base_url, pairs(4))
    assert kinds(run["results"]) == ["abstained", "content_filter", "content_filter", True]
    assert len(server.asked) == 4


def test_requests_that_are_refused_together_are_adapted_once(serve: Serve) -> None:
    """All eight learn the same thing at the same time, and step down one step only."""
    together = threading.Barrier(8)

    def answer(asked: Asked) -> Canned:
        if asked.number < 8:
            together.wait(10)
        form = asked.payload.get("response_format", {}).get("type")
        return (
            error(400, "response_format json_schema is not supported") if form == "json_schema" else verdict()
        )

    server = serve(answer)
    run = benchmark(server.base_url, pairs(40), 8)
    assert kinds(run["results"]) == [True] * 40
    forms = Counter(asked.payload.get("response_format", {}).get("type") for asked in server.asked)
    assert forms == {"json_schema": 8, "json_object": 40}


def test_the_stats_add_up(serve: Serve) -> None:
    run = benchmark(
        serve(lambda asked: verdict(None) if number_of(asked) == 0 else verdict()).base_url, pairs(10)
    )
    stats = run["stats"]
    assert stats["mode"] == "async"
    assert (stats["answered"], stats["failed"], stats["errors"]) == (9, 1, {"abstained": 1})
    assert stats["tokens"] == {
        "prompt": 70,
        "completion": 30,
        "cached": None,
        "reasoning": None,
        "written": 0,
    }
    assert stats["latency_ms"]["p50"] <= stats["latency_ms"]["p95"] <= stats["latency_ms"]["p99"]
    json.dumps(stats)


def test_the_key_is_in_nothing_that_comes_back(serve: Serve) -> None:
    replies = [
        error(500, f"Failed for {KEY}"),
        completion(f'{{"contradiction": true, "confidence": 1, "reasoning": "{KEY}"}}'),
        error(400, f"Bad {KEY}"),
        error(401, f"Incorrect API key provided: {KEY}"),
    ]
    run = benchmark(serve(replies).base_url, pairs(20), 2, api_key=KEY)
    assert KEY not in repr(run) + str(run)


def test_a_cancelled_question_gives_its_slot_back(serve: Serve) -> None:
    arrived, released = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Canned:
        arrived.set()
        return Canned(body=verdict().body, hold=released if asked.number == 0 else None)

    server = serve(answer)

    async def run() -> bool:
        async with AsyncOpenAIClient(base_url=server.base_url, max_concurrent=1) as client:
            first = asyncio.create_task(client.judge("a", "b"))
            await asyncio.to_thread(arrived.wait, 10)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            contradiction, *_ = await client.detect_contradiction_async("c", "d")
            return contradiction and client.slots.held == 0

    try:
        assert asyncio.run(run())
    finally:
        released.set()


LABELLED = [
    Pair(f"The door {number} is open.", f"The door {number} is shut.", label=label)
    for number, label in enumerate(["contradiction", "entailment", "neutral"] * 30)
]
ANSWERS = answers_for(LABELLED, load_prompt(DEFAULT_PROMPT).question)


@pytest.mark.slow
def test_every_verdict_is_the_judges_however_unruly_its_server_is() -> None:
    """Rate limits, broken and torn replies change nothing but the number of attempts."""
    calm = SimulatorConfig(latency_ms=1, error_rate=0.2)
    unruly = SimulatorConfig(
        latency_ms=1,
        error_rate=0.2,
        rate_limited=0.1,
        server_error=0.1,
        dropped=0.05,
        truncated=0.05,
        html_body=0.03,
        retry_after_s=0.01,
    )
    runs = []
    for config in (calm, unruly):
        with SimulatorProcess(config, ANSWERS) as judge:
            runs.append(benchmark(judge.base_url, LABELLED, policy=RetryPolicy(max_retries=10, base_s=0.005)))
    verdicts = [[(result.contradiction, result.confidence) for result in run["results"]] for run in runs]
    assert verdicts[0] == verdicts[1]
    assert runs[0]["stats"]["attempts"] == len(LABELLED) < runs[1]["stats"]["attempts"]


def test_what_is_no_pair_is_named_before_anything_is_asked(serve: Serve) -> None:
    server = serve(verdict())
    with pytest.raises(ValueError, match=r"item 1 is \('a',\); expected a Pair or two texts"):
        benchmark(server.base_url, [("It rains.", "It is dry."), ("a",)])
    assert server.asked == []
