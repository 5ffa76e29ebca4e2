"""What the bytes of a reply mean: a completion, or a kind of error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.failures import JudgeError
from benchmarks.judge.protocols.chat_completions import read_completion
from benchmarks.judge.refusals import read_error
from benchmarks.judge.usage import UNKNOWN, Usage


def openai_error(message: str, code: Any = None, kind: Any = "invalid_request_error") -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, openai_error("Incorrect API key provided: sk-1234."), "auth"),
        (403, b"forbidden", "auth"),
        (429, openai_error("Rate limit reached", "rate_limit_exceeded"), "rate_limited"),
        (429, b"", "rate_limited"),
        (429, openai_error("You exceeded your current quota", "insufficient_quota"), "quota"),
        (429, openai_error("You exceeded your current quota", None, "insufficient_quota"), "quota"),
        (429, openai_error("You exceeded your current quota", 429, "insufficient_quota"), "quota"),
        (402, openai_error("Insufficient Balance"), "quota"),
        (408, b"", "server_error"),
        (409, b"", "server_error"),
        (500, b"<html>", "server_error"),
        (503, openai_error("overloaded"), "server_error"),
        (529, b"", "server_error"),
        (404, openai_error("The model `gpt-x` does not exist", "model_not_found"), "unknown_model"),
        (404, openai_error("model 'x' not found, try pulling it first", None, "api_error"), "unknown_model"),
        (400, openai_error("no such model", "model_not_found"), "unknown_model"),
        (404, b"404 page not found", "wrong_url"),
        (404, b'{"detail": "Not Found"}', "wrong_url"),
        (405, b"", "wrong_url"),
        (301, b"", "wrong_url"),
        (307, b"", "wrong_url"),
        (400, openai_error("filtered", "content_filter"), "content_filter"),
        (400, openai_error("against the policy", "content_policy_violation"), "content_filter"),
        (400, openai_error("too long"), "bad_request"),
        (422, b'{"detail": [{"loc": ["body"]}]}', "bad_request"),
        (418, b"\xff\xfe", "bad_request"),
    ],
)
def test_a_status_and_a_body_tell_the_kind_of_error(status: int, body: bytes, kind: str) -> None:
    error = read_error(status, body)
    assert (error.kind, error.status) == (kind, status)
    assert str(status) in error.message


def test_a_rejected_key_is_never_quoted() -> None:
    assert "sk-" not in str(read_error(401, openai_error("Incorrect API key provided: sk-1234***9876.")))


def test_a_message_is_one_short_line() -> None:
    message = read_error(400, openai_error("first\nsecond\r\n" * 1000)).message
    assert "\n" not in message
    assert len(message) < 2100


COMPLETION = {
    "choices": [{"message": {"content": "yes", "refusal": None}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
    "system_fingerprint": "fp",
}


def test_a_completion_is_read_whole() -> None:
    completion = read_completion(json.dumps(COMPLETION).encode())
    assert (completion.text, completion.finish_reason, completion.refusal) == ("yes", "stop", "")
    assert completion.usage == Usage(prompt=10, completion=5, cached=4, reasoning=2)
    assert completion.system_fingerprint == "fp"


def test_content_in_parts_is_put_together() -> None:
    parts = [{"type": "text", "text": "ye"}, {"type": "text", "text": "s"}, {"type": "image"}]
    body = {"choices": [{"message": {"content": parts}}]}
    assert read_completion(json.dumps(body).encode()).text == "yes"


@pytest.mark.parametrize(
    "usage", [None, [], "5", {}, {"prompt_tokens": "few"}, {"prompt_tokens": -1}, {"prompt_tokens": True}]
)
def test_a_usage_that_makes_no_sense_is_unknown_and_not_zero(usage: Any) -> None:
    assert read_completion(json.dumps({**COMPLETION, "usage": usage}).encode()).usage == UNKNOWN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": {"0": 1}}',
        b'{"choices": [{"message": null}]}',
        b'{"error": {"message": "no"}}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_completion_is_a_bad_response(body: bytes) -> None:
    with pytest.raises(JudgeError) as caught:
        read_completion(body)
    assert caught.value.kind == "bad_response"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "error", "code", "token", "logprob"]),
            inside,
        )
    ),
    max_leaves=15,
)
SHAPED = st.builds(
    lambda message, usage, logprobs: {
        "choices": [{"message": message, "finish_reason": usage, "logprobs": logprobs}],
        "usage": usage,
    },
    JSON | st.fixed_dictionaries({"content": JSON, "refusal": JSON}),
    JSON,
    JSON | st.fixed_dictionaries({"content": JSON}),
)


@pytest.mark.slow
@given(
    st.one_of(
        st.binary(max_size=200),
        JSON.map(lambda value: json.dumps(value).encode()),
        SHAPED.map(lambda value: json.dumps(value).encode()),
    )
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_completion_or_a_judge_error(body: bytes) -> None:
    try:
        completion = read_completion(body)
    except JudgeError:
        return
    assert isinstance(completion.text, str)
    assert isinstance(completion.finish_reason, str)


@given(
    st.integers(300, 599),
    st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())),
)
@settings(max_examples=300, deadline=None)
def test_any_status_and_bytes_are_a_judge_error(status: int, body: bytes) -> None:
    assert read_error(status, body).kind
