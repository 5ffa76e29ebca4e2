"""What is special in single providers' replies: limits, refusals, cut replies, what is counted where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import Canned, ScriptedJudge, judge, kinds

from benchmarks.judge import ReplyCache, billed_usage, protocol_named
from benchmarks.judge.rates import StatedLimit
from benchmarks.judge.refusals import read_refusal

Serve = Callable[[Any], ScriptedJudge]
ANTHROPIC, GEMINI, RESPONSES = map(protocol_named, ("anthropic", "gemini", "responses"))
VERDICT = {"contradiction": True, "confidence": 0.9, "reasoning": "r", "cannot_tell": False}
SAID = json.dumps(VERDICT)


def read(protocol: Any, **reply: Any) -> Any:
    return protocol.read(json.dumps(reply).encode())


# Anthropic


def message(*content: Any, stop_reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 20,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 50,
        "output_tokens": 9,
    }
    return {"type": "message", "content": content, "stop_reason": stop_reason, "usage": usage, **more}


def test_a_prompt_has_the_tokens_read_anew_from_the_cache_and_into_it() -> None:
    assert read(ANTHROPIC, **message()).usage.as_tuple() == (100, 9, 50, None, 30)


def test_a_call_of_the_tool_says_what_a_text_does_and_thoughts_say_nothing() -> None:
    thought = {"type": "thinking", "thinking": '{"contradiction": false}', "signature": "s"}
    called = {"type": "tool_use", "id": "t", "name": "state_verdict", "input": VERDICT}
    assert json.loads(read(ANTHROPIC, **message(thought, called, stop_reason="tool_use")).text) == VERDICT
    assert read(ANTHROPIC, **message(thought, {"type": "text", "text": SAID})).text == SAID


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
def test_a_message_that_was_cut_off_says_so(reason: str) -> None:
    assert read(ANTHROPIC, **message(stop_reason=reason)).finish_reason == "length"


def test_a_refusal_is_shown_as_it_is_explained(serve: Serve) -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "It could do harm."}
    reply = message(stop_reason="refusal", stop_details=details)
    (outcome,) = judge(serve(Canned(body=json.dumps(reply).encode())).base_url, protocol=ANTHROPIC)
    assert kinds([outcome]) == ["content_filter"]
    assert "It could do harm." in str(outcome.result)


def test_limits_are_read_from_anthropics_headers() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "1000",
        "anthropic-ratelimit-requests-remaining": "999",
        "anthropic-ratelimit-requests-reset": "2026-11-21T12:40:59Z",
        "anthropic-ratelimit-tokens-limit": "96000",
        "anthropic-ratelimit-tokens-remaining": "95000",
    }
    expected = {"requests": StatedLimit(1000, 999), "tokens": StatedLimit(96000, 95000)}
    assert ANTHROPIC.limits_in(headers) == expected


def test_an_overloaded_server_is_asked_again(serve: Serve) -> None:
    error = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": "r",
    }
    said = Canned(body=json.dumps(message({"type": "text", "text": SAID})).encode())
    (outcome,) = judge(serve([Canned(529, json.dumps(error).encode()), said]).base_url, protocol=ANTHROPIC)
    assert kinds([outcome]) == [True]
    assert [attempt.error for attempt in outcome.attempts] == ["server_error", None]


@pytest.mark.parametrize(
    "words",
    ["output_config.format: Extra inputs are not permitted", "output_config: this model does not support it"],
)
def test_a_model_without_structured_outputs_is_made_to_call_a_tool(serve: Serve, words: str) -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    called = {"type": "tool_use", "id": "t", "name": "state_verdict", "input": VERDICT}

    def reply(asked: Any) -> Canned:
        if "output_config" in asked.payload:
            return Canned(400, json.dumps(error).encode())
        return Canned(body=json.dumps(message(called, stop_reason="tool_use")).encode())

    server = serve(reply)
    assert kinds(judge(server.base_url, 2, protocol=ANTHROPIC)) == [True, True]
    assert server.asked[-1].payload["tool_choice"]["name"] == "state_verdict"
    assert len(server.asked) == 3
    assert server.asked[0].headers["anthropic-version"] == "2026-10-21"


# Gemini


def content(*parts: Any, reason: str = "STOP", **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reason}], **more}


@pytest.mark.parametrize(
    ("stated", "usage"),
    [
        ({"candidatesTokenCount": 9, "thoughtsTokenCount": 40, "totalTokenCount": 149}, (100, 49, 0, 40)),
        ({"thoughtsTokenCount": 40, "totalTokenCount": 140}, (100, 40, 0, 40)),
        ({"cachedContentTokenCount": 64, "totalTokenCount": 100}, (100, 0, 64, 0)),
        ({}, (100, None, None, None)),
    ],
)
def test_thoughts_are_counted_beside_the_answer(stated: dict[str, int], usage: tuple[int, ...]) -> None:
    reply = content(usageMetadata={"promptTokenCount": 100, **stated})
    assert read(GEMINI, **reply).usage.as_tuple()[:4] == usage


def test_thoughts_are_no_part_of_the_answer() -> None:
    reply = content({"text": "Hm. No.", "thought": True}, {"text": SAID})
    assert read(GEMINI, **reply).text == SAID


@pytest.mark.parametrize(
    "reply",
    [
        {"promptFeedback": {"blockReason": "JAILBREAK"}, "usageMetadata": {"promptTokenCount": 7}},
        content(reason="SAFETY"),
        content(reason="MODEL_ARMOR"),
    ],
)
def test_what_a_filter_blocks_is_a_pair_withheld(serve: Serve, reply: dict[str, Any]) -> None:
    server = serve(Canned(body=json.dumps(reply).encode()))
    assert kinds(judge(server.base_url, protocol=GEMINI)) == ["content_filter"]
    assert len(server.asked) == 1


def test_an_account_that_was_closed_ends_the_run(serve: Serve) -> None:
    reply = content(reason="PUP_LIMITED_DISABLED")
    outcomes = judge(serve(Canned(body=json.dumps(reply).encode())).base_url, protocol=GEMINI)
    assert kinds(outcomes) == ["quota"]
    assert "Prohibited Use Policy" in str(outcomes[0].result)


@pytest.mark.parametrize("base_url", ["https://v100", "https://v100/v1beta"])
def test_the_model_stands_in_geminis_address(base_url: str) -> None:
    assert GEMINI.url(base_url, "gemini-x") == "https://v100/v1beta/models/gemini-x:generateContent"
    assert GEMINI.url(base_url, "tunedModels/a b").endswith("/v1beta/tunedModels/a%20b:generateContent")


def test_a_kept_reply_is_that_of_its_model_alone(serve: Serve, tmp_path: Path) -> None:
    server = serve(Canned(body=json.dumps(content({"text": SAID})).encode()))
    with ReplyCache(tmp_path / "replies") as replies:
        for model in ("one", "two", "one"):
            judge(server.base_url, protocol=GEMINI, model=model, replies=replies)
    assert [asked.path.rpartition("/")[2] for asked in server.asked] == [
        "one:generateContent",
        "two:generateContent",
    ]


# OpenAI's Responses


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", "server_error"),
        ("rate_limit_exceeded", "rate_limited"),
        ("invalid_prompt", "bad_request"),
        ("data_residency_mismatch", "auth"),
    ],
)
def test_a_response_that_failed_says_why_with_status_200(code: str, kind: str) -> None:
    reply = {"status": "failed", "output": [], "error": {"code": code, "message": "It came to nothing."}}
    refusal = RESPONSES.read_error(200, {}, json.dumps(reply).encode())
    assert refusal is not None
    assert read_refusal(refusal.status, refusal.said).error.kind == kind


@pytest.mark.parametrize(
    ("code", "kind"), [("bio_policy", "content_filter"), ("invalid_image", "bad_request")]
)
def test_a_response_that_failed_costs_what_it_says(serve: Serve, code: str, kind: str) -> None:
    usage = {"input_tokens": 70, "output_tokens": 9, "input_tokens_details": {"cached_tokens": 0}}
    reply = {"status": "failed", "output": [], "usage": usage, "error": {"code": code, "message": "No."}}
    (outcome,) = judge(serve(Canned(body=json.dumps(reply).encode())).base_url, protocol=RESPONSES)
    assert kinds([outcome]) == [kind]
    assert {billed_usage(attempt).as_tuple()[:2] for attempt in outcome.attempts} == {(70, 9)}
