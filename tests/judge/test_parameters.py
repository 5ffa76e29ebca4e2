"""--param: parameters of the user's in each request, in the run's identity, and never dropped in silence."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers import Canned, ScriptedJudge, judge, verdict
from simulators import ANSWERS, PAIRS, QUICK, SimulatorThread, question

from benchmarks.datasets import load_dataset
from benchmarks.diff import main as diff
from benchmarks.judge.attempts import Outcome
from benchmarks.judge.endpoint import request_mark
from benchmarks.judge.parameters import form_beside, leaves, parameter, parameters_for, written_into
from benchmarks.judge.pricing import CHAT_OVERHEAD_TOKENS, Price
from benchmarks.judge.prompts import Prompt, load_prompt
from benchmarks.judge.protocols import PROTOCOLS, protocol_named
from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS, read_usage
from benchmarks.judge.usage import Usage
from benchmarks.llm_compare import main
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.runs.dry_runs import dry_run
from benchmarks.runs.requested_judges import price_for
from benchmarks.settings import RunSettings
from kimera.errors import UserError
from kimera.pairs import Failure, Verdict

Serve = Callable[[Any], ScriptedJudge]
PROMPT = Prompt("test", "1", "", question("{text1}", "{text2}"))
FLAGS = ["--judge-only", "--max-pairs", "3", "--no-viz", "--quiet"]


def of(
    *texts: str,
    model: str = "m",
    models: tuple[str, ...] = ("m", "other"),
    protocol: str = "chat-completions",
) -> dict[str, Any]:
    return parameters_for(tuple(map(parameter, texts)), model, models, protocol_named(protocol).rules)


# What is read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("top_p=0.9", {"top_p": 0.9}),
        ("store=false", {"store": False}),
        ("stop=null", {"stop": None}),
        ('stop=["a", "b"]', {"stop": ["a", "b"]}),
        ("reasoning_effort=none", {"reasoning_effort": "none"}),
        ('user="7"', {"user": "7"}),
        ("user=a=b", {"user": "a=b"}),
        ("user=", {"user": ""}),
        ("x=NaN", {"x": "NaN"}),
        ("x=1e999", {"x": "1e999"}),
        ("chat_template_kwargs.enable_thinking=false", {"chat_template_kwargs": {"enable_thinking": False}}),
    ],
)
def test_values_are_json_where_they_are_that_and_dots_lead_into_objects(
    text: str, value: dict[str, Any]
) -> None:
    assert of(parameter(text)) == value


def test_what_is_given_to_one_model_goes_before_what_is_given_to_all() -> None:
    texts = ("a.x=1", "a.y=2", "qwen2.5:7b:a.x=3")
    assert of(*texts, model="qwen2.5:7b", models=("qwen2.5:7b", "m")) == {"a": {"x": 3, "y": 2}}
    assert of(*texts, model="m", models=("qwen2.5:7b", "m")) == {"a": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["gpt:top_p=1"], "no judge of this run is called 'gpt'; they are m, other"),
        (["top_p=1", "top_p=2"], "--param top_p is given twice"),
        (["a=1", "a.b=2"], "a is given a value of its own as well"),
    ],
)
def test_what_contradicts_itself_is_refused(texts: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        of(*texts)


@pytest.mark.parametrize(
    ("protocol", "text", "says"),
    [
        ("azure", "messages=[]", "the question is that of --prompt"),
        ("chat-completions", "model=gpt-5", "--model names it"),
        ("chat-completions", "Stream=true", "read whole"),
        ("chat-completions", "n=2", "--repeat"),
        ("chat-completions", "response_format.type=text", "read by their format"),
        ("chat-completions", "logprobs=true", "--logprobs"),
        ("responses", 'text={"format": {"type": "text"}}', "text.format.type cannot be given"),
        ("gemini", "generationConfig.candidateCount=2", "--repeat"),
        ("gemini", "generationConfig.response_schema={}", "read by their format"),
        ("gemini", "generationConfig=null", "give generationConfig.NAME=VALUE"),
        ("anthropic", "output_config=low", "give output_config.NAME=VALUE"),
        ("decisions", "questions=[]", "the question is that of --prompt"),
    ],
)
def test_what_would_break_the_run_is_refused_with_the_reason(protocol: str, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        of(text, protocol=protocol)


@pytest.mark.parametrize("text", ["top_p", "a..b=1", "=1", ":top_p=1"])
def test_what_has_no_name_or_no_value_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not of the form NAME=VALUE"):
        parameter(text)


@pytest.mark.parametrize(
    "text",
    [
        "api_key=sk-1",
        "extra_headers.authorization=Bearer sk-1",
        "provider.apiKey=sk-1",
        'data_sources=[{"parameters": {"authentication": {"type": "api_key", "key": "sk-1"}}}]',
        'data_sources=[{"parameters": {"authentication": {"access_token": "sk-1"}}}]',
        "store.connection_string=sk-1",
        "azure.client_secret=sk-1",
    ],
)
def test_a_key_is_refused_wherever_it_stands_and_not_quoted(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="a key does not belong in settings") as refused:
        parameter(text)
    assert "sk-1" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["prompt_cache_key", "max_tokens", "thinking.budget_tokens", "eos_token", "monkey"]
)
def test_what_only_sounds_like_a_key_is_taken(name: str) -> None:
    assert parameter(f"{name}=5") == f"{name}=5"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_all_that_a_protocol_writes_is_refused_or_left_out_beside_what_is_given(name: str) -> None:
    protocol = protocol_named(name)
    first = protocol.first_form(logprobs=True)
    messages = [{"role": "system", "content": "?"}, {"role": "user", "content": "?"}]
    known = {*dict(first.optional), *first.limit_parameters}
    for form in (first, *first.reductions()):
        for path, value in leaves(json.loads(protocol.body(messages, "m", form))):
            if path[-1] not in known and value != {}:
                with pytest.raises(UserError):
                    of(f"{'.'.join(path)}={json.dumps(value)}", protocol=name)


@pytest.mark.parametrize(
    ("protocol", "model", "given", "names"),
    [
        ("chat-completions", "gpt-4o", "service_tier=flex", "service_tier"),
        ("anthropic", "claude-sonnet-4-5", "cache_control.type=ephemeral", "cache_control.type"),
        ("gemini", "gemini-2.5-flash", "service_tier=priority", "service_tier"),
    ],
)
def test_a_parameter_that_changes_the_price_needs_one_beside_a_limit_on_the_cost(
    protocol: str, model: str, given: str, names: str
) -> None:
    run = RunSettings(protocol=protocol, models=(model,), params=(given,), max_cost=1.0)
    url = protocol_named(protocol).api.default_base_url
    with pytest.raises(UserError, match=f"needs the price of {model} with its {names}"):
        price_for(run, model, url)
    assert price_for(replace(run, price=("1,2",)), model, url)
    assert price_for(replace(run, params=("top_p=1",)), model, url)


# What is sent


def test_what_is_given_stands_in_place_of_our_own_default() -> None:
    given = of("temperature=0.7", "max_tokens=300", "reasoning.effort=low")
    form = form_beside(CHAT_COMPLETIONS.first_form(), given)
    body = written_into(CHAT_COMPLETIONS.body([{"role": "user", "content": "?"}], "m", form), given)
    sent = json.loads(body)
    assert next(iter(sent)) == "messages", "the part that a provider may cache"
    assert (sent["temperature"], sent["max_tokens"], sent["reasoning"]) == (0.7, 300, {"effort": "low"})
    assert "max_completion_tokens" not in sent
    assert "temperature" not in dict(form.optional), "what is given is none of ours, to be left out"
    assert form.max_billed_tokens == 300
    assert form.after_truncation() is None


@pytest.mark.parametrize(
    ("protocol", "limit", "other"),
    [
        ("chat-completions", "max_tokens", "reasoning.max_tokens"),
        ("responses", "max_output_tokens", "max_tokens"),
        ("anthropic", "max_tokens", "fallback.max_tokens"),
        ("gemini", "generation_config.max_output_tokens", "maxOutputTokens"),
    ],
)
def test_only_the_limit_of_the_api_takes_the_place_of_ours(protocol: str, limit: str, other: str) -> None:
    first = protocol_named(protocol).first_form(logprobs=False)
    assert form_beside(first, of(f"{limit}=300", protocol=protocol)).max_billed_tokens == 300
    beside = form_beside(first, of(f"{other}=2000", protocol=protocol))
    assert (beside.limit_parameter, beside.given_limit) == (first.limit_parameter, 0)
    with pytest.raises(UserError, match="takes a whole number above 0, not 'many'"):
        form_beside(first, of(f"{limit}=many", protocol=protocol))


def test_a_default_is_left_out_only_beside_one_of_its_place() -> None:
    first = protocol_named("gemini").first_form(logprobs=False)
    assert form_beside(first, of("temperature=1")) == first
    assert "temperature" not in dict(form_beside(first, of("generationConfig.temperature=1")).optional)


def test_each_request_carries_it(serve: Serve) -> None:
    server = serve(verdict())
    judge(server.base_url, 2, params={"top_p": 0.5})
    assert [asked.payload["top_p"] for asked in server.asked] == [0.5, 0.5]


# What is refused


def refusal(message: str, param: str | None = None) -> Canned:
    return Canned(400, json.dumps({"error": {"message": message, "param": param}}).encode())


@pytest.mark.parametrize(
    "said",
    [
        refusal(
            "Unsupported value: 'reasoning_effort' does not support 'none' with this model.",
            "reasoning_effort",
        ),
        refusal("Unrecognized request argument supplied: reasoning_effort"),
        refusal("reasoning_effort: Extra inputs are not permitted"),
        refusal('Invalid JSON payload received. Unknown name "reasoning_effort": Cannot find field.'),
        Canned(
            422, b'{"detail": [{"loc": ["body", "reasoning_effort"], "msg": "extra fields not permitted"}]}'
        ),
    ],
)
def test_a_refusal_of_what_was_given_ends_the_run_and_is_quoted(serve: Serve, said: Canned) -> None:
    server = serve(said)
    (outcome,) = judge(server.base_url, params={"reasoning_effort": "none"})
    assert isinstance(outcome.result, Failure)
    assert outcome.result.kind == "parameter"
    assert "(of --param reasoning_effort=none)" in outcome.result.message
    assert len(server.asked) == 1, "nothing else is tried"


def test_a_default_of_ours_is_left_out_beside_it_as_ever() -> None:
    config = replace(QUICK, refuses=("temperature", "max_completion_tokens"))
    with SimulatorThread(config) as server:
        client = AsyncOpenAIClient(
            base_url=server.base_url, prompt=PROMPT, params={"reasoning_effort": "low"}
        )
        assert isinstance(ask(client).result, Verdict)
    assert "temperature" not in dict(client.endpoint.form.optional)


def test_one_of_ours_that_the_user_gave_is_not_left_out() -> None:
    with SimulatorThread(replace(QUICK, refuses=("temperature",))) as server:
        client = AsyncOpenAIClient(base_url=server.base_url, prompt=PROMPT, params={"temperature": 0.3})
        outcome = ask(client)
    assert isinstance(outcome.result, Failure)
    assert "Only the default (1) value is supported. (of --param temperature=0.3)" in outcome.result.message


def ask(client: AsyncOpenAIClient) -> Outcome:
    async def run() -> Outcome:
        async with client:
            return await client.judge(PAIRS[0].text1, PAIRS[0].text2)

    return asyncio.run(run())


def test_python_refuses_what_the_command_line_does() -> None:
    with pytest.raises(UserError, match="messages cannot be given"):
        AsyncOpenAIClient("k", params={"messages": []})


# A run


def test_it_is_a_part_of_the_run(serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve(verdict())
    flags = [*FLAGS, "--base-url", server.base_url, "--param", "top_p=0.5"]
    assert main([*flags, "--out", str(tmp_path / "a")]) == 0
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["detectors"]["gpt-4o"]["settings"]["params"] == {"top_p": 0.5}
    assert main(["--resume", str(tmp_path / "a"), "--param", "top_p=0.6"]) == 2
    assert "--param was 'top_p=0.5' when this run began" in capsys.readouterr().err
    changed = [*FLAGS, "--base-url", server.base_url, "--param", "gpt-4o:top_p=0.6"]
    assert main([*changed, "--out", str(tmp_path / "c")]) == 0
    capsys.readouterr()
    assert diff([str(tmp_path / "a"), str(tmp_path / "c")]) == 0
    assert ["params.top_p", "0.5", "0.6"] in [line.split() for line in capsys.readouterr().out.splitlines()]
    assert main([*flags, "--param", "who:user=me", "--out", str(tmp_path / "b")]) == 2
    assert "no judge of this run is called 'who'" in capsys.readouterr().err


def test_a_kept_reply_belongs_to_its_parameters(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path))
    server = serve(verdict())
    flags = [*FLAGS, "--base-url", server.base_url, "--cache-replies"]
    for run, given in enumerate(["top_p=0.5", "top_p=0.5", "top_p=0.6"]):
        assert main([*flags, "--param", given, "--out", str(tmp_path / str(run))]) == 0
    assert [asked.payload["top_p"] for asked in server.asked] == [0.5] * 3 + [0.6] * 3


def test_a_kept_reply_and_a_run_belong_to_their_headers_and_no_key_does(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path))
    server = serve(verdict())
    flags = [*FLAGS, "--max-pairs", "1", "--base-url", server.base_url, "--cache-replies"]
    beta = [
        ["--header", f"x-beta: {value}", "--header", f"x-auth: {key}"] for value, key in ("ab", "ac", "bc")
    ]
    for run, headers in enumerate(beta):
        assert main([*flags, *headers, "--out", str(tmp_path / str(run))]) == 0
    assert [asked.headers["x-beta"] for asked in server.asked] == ["a", "b"]
    resumed = ["--resume", str(tmp_path / "0"), "--quiet", "--no-viz"]
    assert main([*resumed, *beta[1]]) == 0
    assert main([*resumed, *beta[2]]) == 2
    assert "changed since this run began: request (values of --header" in capsys.readouterr().err


def test_the_version_of_an_api_is_a_part_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    anthropic = protocol_named("anthropic")
    assert request_mark(anthropic, {}) != request_mark(anthropic, {"Anthropic-Version": "2023-06-01"})
    assert request_mark(CHAT_COMPLETIONS, {"x-api-key": "k"}) == request_mark(CHAT_COMPLETIONS, {}) == ""
    azure = protocol_named("azure").url("", "")
    monkeypatch.setenv("OPENAI_API_VERSION", "2030-01-01")
    assert protocol_named("azure").url("", "") != azure


def test_a_dry_run_reckons_with_the_request_as_it_will_be_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.csv").write_text("text1,text2\nIt rains.,It is dry.\n")
    settings = RunSettings(
        dataset=str(tmp_path / "one.csv"), models=("m",), base_url="http://127.0.0.1:1", classes=3, votes=3,
        logprobs=True, reasoning="first", price=("1000000,0",), judge_only=True,
    )  # fmt: skip
    prompt = load_prompt("same-event", 3, reasoning_first=True)
    assert dry_run(settings, load_dataset(settings.dataset), prompt) == 0
    client = AsyncOpenAIClient(
        "k", "m", base_url=settings.base_url or "", prompt=prompt, logprobs=True, sampled=True
    )
    longest = len(client.endpoint.write(client.messages("It rains.", "It is dry."), 0).body)
    assert f"reserves up to ${longest + CHAT_OVERHEAD_TOKENS:.4f}" in capsys.readouterr().out


# Tokens


@pytest.mark.parametrize("beside", [False, True])
def test_reasoning_is_priced_once_however_it_is_counted(beside: bool) -> None:
    config = replace(QUICK, reasoning_tokens=100, reasoning_beside=beside)
    with SimulatorThread(config, ANSWERS) as server:
        usage = ask(AsyncOpenAIClient(base_url=server.base_url, prompt=PROMPT)).usage
        stats = server.stats()
    assert usage.as_dict() == {part: stats[f"{part}_tokens"] for part in usage.as_dict()}
    price = Price(input=0, cached_input=0, output=1_000_000)
    assert price.cost(usage) == stats["completion_tokens"]


def test_a_total_that_has_reasoning_in_the_completion_adds_nothing() -> None:
    counted = {"prompt_tokens": 10, "completion_tokens": 30, "total_tokens": 40}
    details = {"completion_tokens_details": {"reasoning_tokens": 20}}
    assert read_usage(counted | details) == Usage(10, 30, None, 20)
    assert read_usage(counted | details | {"total_tokens": 60}) == Usage(10, 50, None, 20)
