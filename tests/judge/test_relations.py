"""What a judge that was asked for three classes states: with its verdict, without a class, or against it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.judge.prompts import (
    BUILT_IN,
    THREE_WAY_FORMAT,
    THREE_WAY_SCHEMA,
    load_prompt,
    repair_request,
)
from benchmarks.judge.reply_reading import ReplyError, parse_reply
from kimera.errors import UserError


def reply(contradiction: bool, relation: object) -> str:
    return json.dumps({"contradiction": contradiction, "relation": relation, "confidence": 0.9})


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        (reply(False, "entailment"), "entailment"),
        (reply(False, "Neutral."), "neutral"),
        (reply(True, "CONTRADICTION"), "contradiction"),
        (reply(True, "contradictory"), "contradiction"),
        (f"```json\n{reply(False, 'entails')}\n```", "entailment"),
        (f"{reply(False, None)} {reply(False, 'neutral')}", "neutral"),
        (reply(False, "something else"), None),
        (reply(True, 3), None),
        ('{"contradiction": true}', None),
        ("They do not contradict each other.", None),
    ],
)
def test_the_relation_is_read_where_one_is_stated(text: str, relation: str | None) -> None:
    assert parse_reply(text, classes=3).relation == relation


@pytest.mark.parametrize(
    "text",
    [
        reply(True, "neutral"),
        reply(True, "entailment"),
        reply(False, "contradiction"),
        f"{reply(False, 'neutral')} {reply(False, 'entailment')}",
        json.dumps(THREE_WAY_SCHEMA),
        THREE_WAY_FORMAT.splitlines()[1],
        '{"relation": "neutral"}',
    ],
)
def test_a_reply_that_states_no_one_class_is_unparseable(text: str) -> None:
    with pytest.raises(ReplyError) as caught:
        parse_reply(text, classes=3)
    assert caught.value.kind == "unparseable"


def test_a_judge_that_cannot_tell_abstains_whatever_it_says_of_the_relation() -> None:
    with pytest.raises(ReplyError) as caught:
        parse_reply('{"contradiction": false, "relation": "contradiction", "cannot_tell": true}', classes=3)
    assert caught.value.kind == "abstained"


def test_of_a_judge_that_was_asked_for_two_classes_a_relation_means_nothing() -> None:
    assert parse_reply(reply(True, "neutral")).relation is None


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_three_classes_are_asked_for_in_the_prompt_and_when_a_reply_is_repaired(name: str) -> None:
    prompt = load_prompt(name, classes=3)
    assert THREE_WAY_FORMAT in prompt.system
    assert prompt.sha256 != load_prompt(name).sha256
    assert THREE_WAY_FORMAT in repair_request("Well", classes=3)[-1]["content"]
    assert '"relation"' not in load_prompt(name).system


def test_the_schema_of_three_classes_uses_only_forms_that_every_endpoint_takes() -> None:
    fields = THREE_WAY_SCHEMA["properties"]
    assert [list(field) for field in fields.values()] == [["type"]] * len(fields)
    assert list(fields) == THREE_WAY_SCHEMA["required"]


def test_a_prompt_of_ones_own_gets_the_format_or_has_to_ask_for_the_relation(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("{text1} {text2}", encoding="utf-8")
    assert load_prompt(str(path), classes=3).user.endswith(THREE_WAY_FORMAT)
    path.write_text('{text1} {text2} Reply in JSON with "contradiction" and "relation".', encoding="utf-8")
    assert load_prompt(str(path), classes=3).classes == 3
    path.write_text("{text1} {text2} Reply in JSON.", encoding="utf-8")
    with pytest.raises(UserError, match="relation"):
        load_prompt(str(path), classes=3)
