"""How requests are written, and what each refusal changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.judge.error_bodies import body_of
from benchmarks.judge.prompts import REPLY_SCHEMA
from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS
from benchmarks.judge.refusals import Refusal, read_refusal
from benchmarks.judge.request_form import MAX_TOKENS, PLAIN_TEXT, RequestForm

MESSAGES = [{"role": "user", "content": "Same?"}]
FIRST = CHAT_COMPLETIONS.first_form()


def refusal(parameter: str, message: str) -> Refusal:
    """A 400 that names this parameter and says this."""
    return read_refusal(400, body_of({"error": {"message": message, "param": parameter}}))


def payload(form: RequestForm) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(CHAT_COMPLETIONS.body(MESSAGES, "a-model", form))
    return written


def test_the_first_request_asks_for_all_that_can_be_asked_for() -> None:
    assert payload(FIRST) == {
        "model": "a-model",
        "stream": False,
        "messages": MESSAGES,
        "max_completion_tokens": 1024,
        **dict(FIRST.optional),
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": REPLY_SCHEMA},
        },
    }


def test_a_judge_is_asked_for_its_likeliest_answer() -> None:
    assert payload(FIRST)["temperature"] == 0


def test_the_ladder_of_formats_ends_at_plain_text() -> None:
    form: RequestForm | None = FIRST
    formats = []
    while form:
        formats.append(payload(form).get("response_format", {}).get("type"))
        form = form.next_format()
    assert formats == ["json_schema", "json_object", None]


def test_any_text_can_be_written() -> None:
    messages = [{"role": "user", "content": '\ud800 "quoted"\n\0 é'}]
    assert json.loads(CHAT_COMPLETIONS.body(messages, "m", FIRST))["messages"] == messages


@pytest.mark.parametrize(
    ("message", "gone", "come"),
    [
        ("Unsupported value: 'temperature' does not support 0 with this model.", "temperature", None),
        (
            "Unrecognized request argument supplied: max_completion_tokens",
            "max_completion_tokens",
            "max_tokens",
        ),
        ("response_format: Extra inputs are not permitted", "json_schema", "json_object"),
    ],
)
def test_a_parameter_that_is_named_is_left_out_or_replaced(message: str, gone: str, come: str | None) -> None:
    after = FIRST.after_refusal(refusal("", message))
    assert after is not None
    written = CHAT_COMPLETIONS.body(MESSAGES, "m", after).decode()
    assert f'"{gone}"' not in written
    assert come is None or f'"{come}"' in written


def test_an_older_parameter_that_is_refused_too_leaves_no_limit() -> None:
    older = replace(FIRST, limit_at=1)
    after = older.after_refusal(refusal("", "'max_tokens' is not supported with this model."))
    assert after is not None
    assert not [name for name in payload(after) if "tokens" in name]


def test_a_refusal_that_names_nothing_of_ours_changes_nothing() -> None:
    assert FIRST.after_refusal(refusal("", "Your messages are too long for this model.")) is None


def test_a_parameter_is_left_out_only_once() -> None:
    without = FIRST.after_refusal(refusal("temperature", ""))
    assert without is not None
    assert without.after_refusal(refusal("temperature", "")) is None


def test_plain_text_refused_as_a_format_is_the_end() -> None:
    assert replace(FIRST, formats=(PLAIN_TEXT,)).after_refusal(refusal("response_format", "")) is None


def test_refusals_of_every_parameter_come_to_an_end() -> None:
    form: RequestForm | None = FIRST
    for _ in range(10):
        if form is None:
            return
        form = form.after_refusal(refusal("", "max_tokens and max_completion_tokens are not permitted"))
    pytest.fail("never")


def test_a_judge_that_was_cut_off_gets_more_room_up_to_a_bound() -> None:
    form: RequestForm | None = FIRST
    rooms = []
    while form:
        rooms.append(form.max_tokens)
        form = form.after_truncation()
    assert rooms == [1024, 4096, MAX_TOKENS]
