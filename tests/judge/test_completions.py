"""Where a completion may hold its text, streams that nobody asked for, and what is a count of tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.judge.completions import Completion
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.protocols.chat_completions import read_completion
from benchmarks.judge.usage import UNKNOWN, Usage

VERDICT = '{"contradiction": true, "confidence": 0.9, "reasoning": "r"}'
ARGUMENTS = {"contradiction": True, "confidence": 0.9, "reasoning": "r"}


def of_message(finish_reason: str = "stop", **message: Any) -> Completion:
    reply = {"choices": [{"message": message, "finish_reason": finish_reason}]}
    return read_completion(json.dumps(reply).encode())


def of_usage(usage: Any, **beside: Any) -> Usage:
    reply = {"choices": [{"message": {"content": VERDICT}}], "usage": usage, **beside}
    return read_completion(json.dumps(reply).encode()).usage


@pytest.mark.parametrize(
    "content",
    [
        VERDICT,
        [VERDICT],
        [VERDICT[:20], VERDICT[20:]],
        [{"type": "text", "text": VERDICT}],
        [{"type": "thinking", "thinking": "They do not."}, {"type": "text", "text": VERDICT}],
        [{"type": "reasoning", "text": "They do not."}, VERDICT],
        [{"type": "output_text", "text": {"value": VERDICT}}],
        [{"type": "text", "content": VERDICT[:9]}, {"type": "text", "content": VERDICT[9:]}],
        {"type": "text", "text": VERDICT},
        {"parts": [{"text": VERDICT}]},
        ARGUMENTS,
        [ARGUMENTS],
    ],
)
def test_content_may_be_a_text_a_list_a_part_or_the_verdict_itself(content: Any) -> None:
    completion = of_message(content=content)
    assert json.loads(completion.text) == ARGUMENTS
    assert completion.found_in == ""


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"tool_calls": [{"function": {"name": "v", "arguments": VERDICT}}]}, "tool_calls"),
        ({"tool_calls": [{"function": {"name": "v", "arguments": ARGUMENTS}}]}, "tool_calls"),
        ({"tool_calls": [{"name": "v", "input": ARGUMENTS}]}, "tool_calls"),
        ({"tool_calls": {"function": {"arguments": VERDICT}}, "content": ""}, "tool_calls"),
        ({"function_call": {"name": "v", "arguments": VERDICT}, "content": None}, "function_call"),
        ({"content": "<think>Hm.</think>", "function_call": {"arguments": VERDICT}}, "function_call"),
        ({"content": "", "reasoning_content": VERDICT}, "reasoning_content"),
        ({"content": None, "reasoning": f"They differ, so: {VERDICT}"}, "reasoning"),
        ({"thinking": f"```json\n{VERDICT}\n```"}, "thinking"),
        ({"content": [], "reasoning_details": [{"type": "x", "text": VERDICT}]}, "reasoning_details"),
    ],
)
def test_a_reply_without_content_is_looked_for_elsewhere_and_it_is_said_where(
    message: dict[str, Any], place: str
) -> None:
    completion = of_message(**message)
    assert json.loads(completion.text) == ARGUMENTS
    assert completion.found_in == place


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "They contradict each other."},
        {"reasoning_content": f"Perhaps {VERDICT}, but who knows"},
        {"reasoning_content": VERDICT, "finish_reason": "length"},
        {"reasoning": [VERDICT, VERDICT.replace("true", "false")]},
        {"content": "Hm.", "reasoning": VERDICT},
    ],
)
def test_thoughts_that_end_in_no_verdict_say_nothing(message: dict[str, Any]) -> None:
    completion = of_message(message.pop("finish_reason", "stop"), **message)
    assert completion.text == (message.get("content") or "")
    assert completion.found_in == ""


def test_content_and_a_call_are_read_together() -> None:
    call = {"function": {"arguments": VERDICT}}
    assert of_message(content="I call it.", tool_calls=[call]).text == f"I call it.\n{VERDICT}"


def chunks(*deltas: dict[str, Any], finish_reason: str | None = "stop") -> list[str]:
    whole = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]}
    counts = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    return [json.dumps(chunk) for chunk in (*whole, end, counts)]


PIECES = chunks({"role": "assistant", "content": ""}, {"content": VERDICT[:11]}, {"content": VERDICT[11:]})


@pytest.mark.parametrize(
    "body",
    [
        "".join(f"data: {chunk}\n\n" for chunk in PIECES) + "data: [DONE]\n\n",
        "".join(f"data:{chunk}\r\n\r\n" for chunk in PIECES),
        "".join(f"event: chunk\nid: 1\ndata: {chunk}\n\n" for chunk in PIECES),
        ": keep-alive\n\n" + "".join(f"data: {chunk}\n" for chunk in PIECES) + "data: [DONE]",
        "\n".join(PIECES),
        f"[{','.join(PIECES)}]",
        "".join(
            f"data: {json.dumps(json.loads(chunk), indent=1)}\n\n".replace("\n ", "\ndata:  ")
            for chunk in PIECES
        ),
    ],
)
def test_an_event_stream_that_nobody_asked_for_is_put_together(body: str) -> None:
    completion = read_completion(body.encode())
    assert (completion.text, completion.finish_reason) == (VERDICT, "stop")
    assert completion.usage == Usage(7, 3, None, None)


def test_calls_and_thoughts_of_a_stream_are_put_together_too() -> None:
    first = {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "v", "arguments": VERDICT[:9]}}]}
    second = {"tool_calls": [{"index": 0, "function": {"arguments": VERDICT[9:]}}]}
    body = "\n\n".join(f"data: {each}" for each in chunks({"reasoning_content": "Hm"}, first, second))
    completion = read_completion(body.encode())
    assert (completion.text, completion.found_in) == (VERDICT, "tool_calls")


@pytest.mark.parametrize("pieces", [PIECES[:2], [PIECES[0]], PIECES[1:2]])
def test_a_stream_that_broke_off_is_no_completion(pieces: list[str]) -> None:
    with pytest.raises(JudgeError, match="bad_response"):
        read_completion("".join(f"data: {piece}\n\n" for piece in pieces).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + json.dumps({"choices": [{"message": {"content": VERDICT}}]}).encode(),
        b"\n\n  " + json.dumps({"choices": [{"text": VERDICT}]}).encode(),
        b": waiting\n\n: waiting\n\n" + json.dumps({"choices": [{"message": {"content": VERDICT}}]}).encode(),
        json.dumps(json.dumps({"choices": [{"message": {"content": VERDICT}}]})).encode(),
        json.dumps([{"choices": [{"message": {"content": VERDICT}}]}]).encode(),
        json.dumps({"choices": [{"delta": {"content": VERDICT}, "finish_reason": "stop"}]}).encode(),
        json.dumps({"choices": [{"message": VERDICT}]}).encode(),
    ],
)
def test_what_is_wrapped_around_a_completion_takes_nothing_from_it(body: bytes) -> None:
    assert read_completion(body).text == VERDICT


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 257.0, "completion_tokens": 41.0}, Usage(257, 41, None, None)),
        ({"prompt_tokens": "257", "completion_tokens": "41"}, Usage(257, 41, None, None)),
        ({"input_tokens": 257, "output_tokens": 41}, Usage(257, 41, None, None)),
        ({"prompt_tokens": 257}, Usage(257, None, None, None)),
        ({"prompt_tokens": 257, "completion_tokens": None}, Usage(257, None, None, None)),
        ({"prompt_tokens": 257, "completion_tokens": 0}, Usage(257, None, None, None)),
        ({"completion_tokens": 41}, Usage(None, 41, None, None, None)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, UNKNOWN),
        ({"prompt_tokens": 2.5, "completion_tokens": "few"}, UNKNOWN),
        ({"prompt_tokens": float("nan"), "completion_tokens": float("inf")}, UNKNOWN),
        ({"total_tokens": 298}, UNKNOWN),
        ({}, UNKNOWN),
        (None, UNKNOWN),
        ("257", UNKNOWN),
        (
            {"prompt_tokens": 257, "completion_tokens": 41, "prompt_tokens_details": {"cached_tokens": 0}},
            Usage(257, 41, 0, None),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "completion_tokens_details": {"reasoning_tokens": 2.0},
            },
            Usage(9, 4, None, 2),
        ),
        (
            {
                "prompt_tokens": 200,
                "completion_tokens": 5,
                "prompt_cache_hit_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 128},
            },
            Usage(200, 5, 128, None),
        ),
    ],
)
def test_what_is_not_counted_is_unknown_and_never_zero(usage: Any, counted: Usage) -> None:
    assert of_usage(usage) == counted


def test_a_usage_beside_the_usual_place_counts() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    assert of_usage(None, x_acme={"usage": usage}) == Usage(7, 3, None, None)
    body = {"choices": [{"message": {"content": VERDICT}, "usage": usage}]}
    assert read_completion(json.dumps(body).encode()).usage == Usage(7, 3, None, None)


def test_unknown_and_known_make_unknown() -> None:
    assert Usage(1, 2, 3, 4) + Usage(1, None, None, 1) == Usage(2, None, None, 5)
    assert Usage(1, None, 3, None).filled(Usage(9, 9, 9, 9)) == Usage(1, 9, 3, 9)


def test_a_web_page_is_said_to_be_one_with_what_to_check() -> None:
    with pytest.raises(JudgeError, match="it is a web page, so check --base-url"):
        read_completion(b"<!DOCTYPE html>\n<html><head><title>Chat</title></head></html>")
