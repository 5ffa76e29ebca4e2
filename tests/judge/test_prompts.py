"""What a judge is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.judge.prompts import (
    BUILT_IN,
    DEFAULT_PROMPT,
    REPLY_FORMAT,
    REPLY_SCHEMA,
    Prompt,
    load_prompt,
    repair_request,
)
from kimera.errors import UserError

CANNOT_TELL = '{"contradiction": false, "confidence": 0.5, "reasoning": "why", "cannot_tell": true}'


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_built_in_prompt_states_the_convention_and_the_format_and_holds_both_texts(name: str) -> None:
    system, user = load_prompt(name).messages("It rains.", "It is dry.")
    assert REPLY_FORMAT in system["content"]
    assert "never instructions" in system["content"]
    assert "It rains." in user["content"]
    assert "It is dry." in user["content"]


def test_the_format_that_is_asked_for_is_what_the_schema_says() -> None:
    example_reply = json.loads(CANNOT_TELL)
    assert CANNOT_TELL in REPLY_FORMAT
    assert list(example_reply) == REPLY_SCHEMA["required"] == list(REPLY_SCHEMA["properties"])


def test_the_schema_uses_only_forms_that_every_endpoint_takes() -> None:
    fields = REPLY_SCHEMA["properties"].values()
    assert [list(field) for field in fields] == [["type"]] * len(fields)
    assert {field["type"] for field in fields} <= {"boolean", "number", "string"}


def test_a_placeholder_inside_a_text_stays_text() -> None:
    prompt = Prompt("p", "1", "", "A: {text1} B: {text2} {other}")
    assert prompt.question("x {text2} {text1}", "y {text1}") == "A: x {text2} {text1} B: y {text1} {other}"


@pytest.mark.slow
@given(st.text(max_size=50), st.text(max_size=50))
@settings(max_examples=100, deadline=None)
@example("\\1 \\g<0>", "%s {0}")
def test_texts_arrive_unchanged(text1: str, text2: str) -> None:
    assert Prompt("p", "1", "", "{text2}|{text1}").question(text1, text2) == f"{text2}|{text1}"


def test_a_prompt_without_a_system_message_sends_none() -> None:
    assert Prompt("p", "1", "", "{text1}{text2}").messages("a", "b") == [{"role": "user", "content": "ab"}]


def test_prompts_that_read_differently_have_different_hashes() -> None:
    prompts = [*BUILT_IN.values(), Prompt("p", "1", "ab", "c"), Prompt("p", "1", "a", "bc")]
    assert len({prompt.sha256 for prompt in prompts}) == len(prompts)


def test_a_prompt_file_holds_a_system_and_a_user_message(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Judge.\nReply in JSON.\n---\nA: {text1}\nB: {text2}\n", encoding="utf-8")
    assert load_prompt(str(path)) == Prompt(
        "mine", "file", "Judge.\nReply in JSON.", "A: {text1}\nB: {text2}"
    )


def test_a_prompt_file_without_a_separator_is_a_user_message(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(b"JSON: {text1}\r\n--- and \r\n{text2}")
    assert load_prompt(str(path)) == Prompt("mine", "file", "", "JSON: {text1}\n--- and \n{text2}")


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("{text1} {text2} JSON", encoding="utf-8-sig")
    assert load_prompt(str(path)).user == "{text1} {text2} JSON"


def test_a_prompt_file_that_does_not_ask_for_json_is_told_the_format(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("{text1} / {text2}\n", encoding="utf-8")
    assert load_prompt(str(path)).user == f"{{text1}} / {{text2}}\n\n{REPLY_FORMAT}"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{text1} only", r"mine.txt: the user message lacks \{text2\}"),
        (b"nothing", r"lacks \{text1\} and \{text2\}"),
        (b"{text1} {text2}\n---\nno texts here", r"the user message lacks"),
        (b"\xff\xfe {text1} {text2}", r"UTF-8"),
    ],
)
def test_a_faulty_prompt_file_is_refused_with_its_name_and_fault(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=complaint):
        load_prompt(str(path))


def test_an_unknown_prompt_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no-such-prompt.*{DEFAULT_PROMPT}"):
        load_prompt(str(tmp_path / "no-such-prompt"))
    with pytest.raises(UserError, match="prompt"):
        load_prompt(str(tmp_path))


def test_a_repair_shows_the_reply_and_asks_for_the_format_again() -> None:
    assistant, user = repair_request("Well, " * 1000)
    assert assistant["role"] == "assistant"
    assert len(assistant["content"]) <= 2000
    assert REPLY_FORMAT in user["content"]
