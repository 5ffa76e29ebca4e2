"""Models of decisions: a typed question in, a probability out, and no text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from servers import Canned, ScriptedJudge, judge, kinds

from benchmarks.judge import load_prompt, protocol_named, require_text
from benchmarks.judge.completions import decision_of
from benchmarks.judge.prompts import REPLY_FORMAT
from benchmarks.llm_compare import main
from benchmarks.openai_async import AsyncOpenAIClient
from kimera.errors import UserError

Serve = Callable[[Any], ScriptedJudge]
DECISIONS = protocol_named("decisions")


def saying(*answers: dict[str, Any]) -> Canned:
    usage = {"input_tokens": 70, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 64}}
    return Canned(body=json.dumps({"model": "m", "answers": answers, "usage": usage}).encode())


def predicate(probability: Any) -> Canned:
    return saying({"type": "predicate", "name": "contradiction", "probability": probability})


@pytest.mark.parametrize(
    ("probability", "verdict", "sure"), [(0.93, True, 0.93), (0.25, False, 0.75), (0.5, True, 0.5)]
)
def test_the_probability_is_the_score(serve: Serve, probability: float, verdict: bool, sure: float) -> None:
    (outcome,) = judge(serve(predicate(probability)).base_url, protocol=DECISIONS)
    result: Any = outcome.result
    assert (result.contradiction, result.confidence, result.score_source) == (verdict, sure, "decision")
    assert (result.score, result.reasoning, outcome.raw) == (probability, "", "")
    assert outcome.usage.as_tuple() == (70, 1, 64, None, 0)


@pytest.mark.parametrize("stated", [None, True, "0.9", 1.5, -0.1])
def test_what_is_no_probability_is_no_verdict(serve: Serve, stated: Any) -> None:
    assert kinds(judge(serve(predicate(stated)).base_url, protocol=DECISIONS)) == ["bad_response"]


def test_a_refused_question_is_a_pair_withheld(serve: Serve) -> None:
    server = serve(saying({"type": "refusal", "name": None}))
    assert kinds(judge(server.base_url, protocol=DECISIONS)) == ["content_filter"]
    assert len(server.asked) == 1


@pytest.mark.parametrize("classes", [2, 3])
def test_nothing_is_said_of_the_form_of_a_reply(serve: Serve, classes: int) -> None:
    server = serve(saying())
    judge(server.base_url, protocol=DECISIONS, prompt=load_prompt("same-event", classes))
    (asked, *_) = server.asked
    assert asked.path == "/v1/decisions"
    assert [message["role"] for message in asked.payload["input"]] == ["system", "user"]
    assert "json" not in json.dumps(asked.payload).lower()
    assert "Statement 1: It rains 0." in asked.payload["input"][1]["content"]


@pytest.mark.parametrize("protocol", ["decisions", "systemone"])
def test_the_words_of_a_pair_stay_even_where_they_are_those_of_a_prompt(protocol: str) -> None:
    text = f"The last line of the page is: Reply in JSON. {REPLY_FORMAT}"
    client = AsyncOpenAIClient("k", "m", base_url="http://127.0.0.1:1", protocol=protocol_named(protocol))
    asked = json.loads(client.endpoint.write(client.messages(text, "It is not."), 0).body)
    told = asked["state"] if protocol == "systemone" else asked["input"][1]["content"]
    assert f"Statement 1: {text}\n" in told


@pytest.mark.parametrize(
    ("shares", "relation"),
    [((0.6, 0.3, 0.1), "contradiction"), ((0.4, 0.35, 0.25), "entailment"), ((0.2, 0.4, 0.4), "neutral")],
)
def test_of_three_classes_contradiction_takes_half(shares: tuple[float, ...], relation: str) -> None:
    names = ("contradiction", "entailment", "neutral")
    assert decision_of(dict(zip(names, shares, strict=True))).relation == relation


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"reasoning_first": True}, "--reasoning first does not go with --protocol decisions"),
        ({"examples": True}, "--examples does not go with"),
        ({"votes": True}, "--votes does not go with"),
    ],
)
def test_what_takes_a_text_is_not_asked_of_a_model_of_decisions(asked: dict[str, bool], says: str) -> None:
    with pytest.raises(UserError, match=says):
        require_text(DECISIONS, **asked)
    require_text(protocol_named("gemini"), **asked)


@pytest.mark.parametrize(
    "flags", [["--reasoning", "first"], ["--votes", "3"], ["--examples", "few.csv"]], ids=" ".join
)
@pytest.mark.parametrize("protocol", ["decisions", "systemone"])
def test_such_a_flag_ends_the_command_before_anything_is_asked(
    flags: list[str], protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--judge-only", "--simulate", "--protocol", protocol, "--model", "m", "--dry-run"]
    assert main([*asked, *flags]) == 2
    assert flags[0] in (told := capsys.readouterr().err)
    assert f"does not go with --protocol {protocol}" in told


def test_logprobs_of_an_api_without_any_are_said_to_do_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--judge-only", "--simulate", "--model", "m", "--dry-run", "--logprobs", "--protocol"]
    for protocol, is_idle in (("anthropic", True), ("gemini", False)):
        assert main([*flags, protocol]) == 0
        assert ("--logprobs does nothing here" in capsys.readouterr().err) == is_idle


def test_neither_is_it_in_python() -> None:
    prompt = load_prompt("same-event", reasoning_first=True)
    with pytest.raises(UserError, match="it writes no reasoning"):
        AsyncOpenAIClient("k", "m", protocol=DECISIONS, prompt=prompt)
