"""Every protocol against the simulator that speaks it: no pair lost or asked twice, each token counted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from servers import QUICK as QUICKLY
from simulators import PAIRS, QUICK, SimulatorThread

from benchmarks.judge import PROTOCOLS, TOKENS, Prompt, examples_of, protocol_at, protocol_named
from benchmarks.judge.prompts import reply_format
from benchmarks.openai_async import run_async_benchmark
from benchmarks.simulator.dialects import DIALECTS
from benchmarks.simulator.simulation import SimulatorConfig
from kimera.pairs import Failure, Pair, Verdict

PROMPT = Prompt("test", "1", "You judge.", "First: {text1} Second: {text2} Reply in JSON.")
ASKED, FEW = PAIRS[:40], PAIRS[:6]
KEY = "k-0123456789abcdef"
HAVE_LOGPROBS = ("chat-completions", "azure", "responses", "gemini")
DECIDE = ("decisions", "systemone")
UNTOLD = {"systemone": {"cached": None, "reasoning": None}}  # what an API says nothing of
protocols = pytest.mark.parametrize("name", PROTOCOLS)
# What each API calls the limit on a reply's tokens.
LIMITS: dict[str, dict[str, Any]] = {
    "chat-completions": {"max_completion_tokens": 300},
    "azure": {"max_completion_tokens": 300},
    "responses": {"max_output_tokens": 300},
    "anthropic": {"max_tokens": 300},
    "gemini": {"generationConfig": {"maxOutputTokens": 300}},
}
# What each may go wrong with and still say what it cost; what says nothing, and may have been billed.
COUNTED = SimulatorConfig(
    latency_ms=0,
    retry_after_s=0.01,
    rate_limited=0.08,
    server_error=0.08,
    malformed=0.06,
    cut_short=0.06,
    format_failed=0.06,
    content_filter=0.1,
    abstained=0.1,
    cached_share=0.5,
    reasoning_tokens=7,
    api_key=KEY,
)
# Time-outs are the transport's, whatever is spoken over it.
UNCOUNTED = SimulatorConfig(latency_ms=0, dropped=0.08, truncated=0.08, html_body=0.08, hostile=0.08)


def ask(judge: SimulatorThread, name: str, pairs: list[Pair] = ASKED, **options: Any) -> dict[str, Any]:
    settings = {"policy": QUICKLY, "prompt": PROMPT, "model": "m-1", **options}
    return asyncio.run(
        run_async_benchmark(pairs, 8, base_url=judge.base_url, protocol=protocol_named(name), **settings)
    )


def verdicts(results: list[Verdict | Failure]) -> list[bool | str]:
    return [one.kind if isinstance(one, Failure) else one.contradiction for one in results]


def gold(results: list[Verdict | Failure]) -> list[bool | str | None]:
    """What a judge that never errs says, where it says anything."""
    return [
        one.kind if isinstance(one, Failure) else pair.is_contradiction
        for one, pair in zip(results, ASKED, strict=True)
    ]


def tokens(counts: dict[str, Any]) -> dict[str, int]:
    return {name: counts[f"{name}_tokens"] for name in TOKENS}


def test_the_simulator_speaks_every_protocol() -> None:
    assert {dialect.name for dialect in DIALECTS} == set(PROTOCOLS)


@protocols
def test_faults_and_filters_cost_no_pair_and_every_token_is_counted(name: str) -> None:
    config = replace(COUNTED, abstained=0.0) if name in DECIDE else COUNTED  # these are unsure, and say so
    with SimulatorThread(config) as judge:
        run = ask(judge, name, api_key=KEY)
        told = judge.stats(keys=True)
    assert KEY not in repr(run)
    assert verdicts(run["results"]) == gold(run["results"])
    assert set(run["stats"]["errors"]) == {"abstained", "content_filter"} & set(run["stats"]["errors"])
    assert run["stats"]["answered"] == told["outcomes"]["answered"] == len(told["asked"])
    assert set(told["asked"].values()) == {1}
    assert run["stats"]["tokens"] == tokens(told) | UNTOLD.get(name, {})
    assert tokens(told) == tokens(told["protocols"][name])
    assert told["protocols"][name]["requests"] == run["stats"]["attempts"]


@protocols
def test_broken_connections_and_bodies_cost_no_pair(name: str) -> None:
    with SimulatorThread(UNCOUNTED) as judge:
        run = ask(judge, name)
        told = judge.stats(keys=True)
    assert verdicts(run["results"]) == [pair.is_contradiction for pair in ASKED]
    assert (len(told["asked"]), set(told["asked"].values())) == (40, {1})


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name not in DECIDE])
def test_what_a_model_does_not_take_is_left_out(name: str) -> None:
    config = replace(QUICK, refuses=("temperature", "json_schema", "logprobs"))
    with SimulatorThread(config) as judge:
        run = ask(judge, name, FEW, logprobs=True)
        told = judge.stats()["outcomes"]
    assert run["stats"]["answered"] == len(FEW)
    assert told["refused_parameter"] > 0


@protocols
def test_a_key_that_is_refused_ends_the_run_and_is_shown_nowhere(name: str) -> None:
    with SimulatorThread(replace(QUICK, api_key="another-key-altogether")) as judge:
        run = ask(judge, name, FEW, api_key=KEY)
    assert "auth" in run["stats"]["errors"]
    assert KEY not in repr(run)


@protocols
def test_an_account_without_credit_ends_the_run(name: str) -> None:
    with SimulatorThread(replace(QUICK, quota_exhausted=True)) as judge:
        assert "quota" in ask(judge, name, FEW)["stats"]["errors"]


@protocols
def test_a_model_that_is_gone_is_answered_with_those_there_are(name: str) -> None:
    with SimulatorThread(replace(QUICK, gone="unknown")) as judge:
        failure = next(one for one in ask(judge, name, FEW)["results"] if one.kind == "unknown_model")
    remedy = "give the name of the deployment" if name == "azure" else "the endpoint offers simulated-judge"
    assert remedy in failure.message


@protocols
def test_three_classes_are_told_apart(name: str) -> None:
    with SimulatorThread(QUICK) as judge:
        results = ask(judge, name, FEW, prompt=replace(PROMPT, classes=3))["results"]
    assert [one.three_way for one in results] == [pair.label for pair in FEW]


def test_the_limit_is_known_of_every_protocol_that_writes() -> None:
    assert {*LIMITS, *DECIDE} == set(PROTOCOLS)


@pytest.mark.parametrize("refuses", [(), ("json_schema",), ("json_schema", "response_format")])
@pytest.mark.parametrize("name", LIMITS)
def test_reasoning_first_examples_and_a_given_limit_reach_the_judge(name: str, refuses: tuple[str]) -> None:
    prompt = replace(PROMPT, system=reply_format(2, True), reasoning_first=True)
    shown = examples_of("few.csv", ASKED[20:24], prompt.question, prompt.schema["required"])
    # A higher limit than the given one would be refused, a reply in the other order asked for again.
    with SimulatorThread(replace(QUICK, refuses=refuses, max_reply_tokens=300)) as judge:
        run = ask(judge, name, FEW, prompt=replace(prompt, examples=shown), params=LIMITS[name])
        told = judge.stats()["outcomes"]
    assert verdicts(run["results"]) == [pair.is_contradiction for pair in FEW]
    assert told["answered"] == len(FEW)
    assert (told.get("refused_parameter", 0) > 0) is bool(refuses)


@pytest.mark.parametrize("name", LIMITS)
def test_a_given_parameter_that_is_refused_ends_the_run(name: str) -> None:
    given = {"generationConfig": {"topP": 0.9}} if name == "gemini" else {"top_p": 0.9}
    with SimulatorThread(replace(QUICK, refuses=("top_p",))) as judge:
        results = ask(judge, name, FEW, params=given)["results"]
    assert {one.kind for one in results} <= {"parameter", "not_asked"}
    (message,) = {one.message for one in results if one.kind == "parameter"}
    assert "0.9)" in message


@protocols
def test_probabilities_of_tokens_are_scores_where_the_api_gives_them(name: str) -> None:
    with SimulatorThread(QUICK) as judge:
        sources = {one.score_source for one in ask(judge, name, FEW, logprobs=True)["results"]}
    other = "decision" if name in DECIDE else "stated"
    assert sources == {"logprobs" if name in HAVE_LOGPROBS else other}


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.anthropic.com", "anthropic"),
        ("https://api.anthropic.com/v1", "anthropic"),
        ("https://anthropic.example/v1", "chat-completions"),
        ("https://generativelanguage.googleapis.com/v1beta/", "gemini"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "chat-completions"),
        ("https://api.typesafe.ai", "systemone"),
        ("https://here.openai.azure.com/", "azure"),
        ("https://here.openai.azure.com/openai/v1", "chat-completions"),
        (None, "chat-completions"),
    ],
)
def test_a_protocol_is_guessed_from_its_own_host_alone(base_url: str | None, name: str) -> None:
    assert protocol_at(base_url) == name
