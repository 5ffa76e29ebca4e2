"""Replies are read without guessing."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.prompts import REPLY_FORMAT, REPLY_SCHEMA
from benchmarks.judge.reply_reading import Reply, ReplyError, is_json_reply, parse_reply

ROOT = Path(__file__).parents[2]
YES = '{"contradiction": true, "confidence": 0.9, "reasoning": "both cannot be"}'
NO = '{"contradiction": false, "confidence": 0.9, "reasoning": "both can be"}'
CANNOT_TELL = '{"contradiction": null, "confidence": 0.5, "reasoning": "why"}'


def kind_of(text: str) -> str:
    """The kind of error that a reply without a verdict gives."""
    with pytest.raises(ReplyError) as caught:
        parse_reply(text)
    return caught.value.kind


@pytest.mark.parametrize(
    "text",
    [
        YES,
        f"```json\n{YES}\n```",
        f"```\n{YES}```",
        f"Here is my answer:\n\n{YES}\n\nI hope that this helps.",
        f"Set {{a, b}} aside. {YES}",
        f"<think>\nMaybe {NO}?\n</think>\n{YES}",
        f"That would be wrong. Maybe {NO}?\n</think>\n\n{YES}",
        f"{YES}\n{YES}",
        f'{{"result": {YES}}}',
        f"[{YES}]",
        '{"Contradiction": "Yes", "Confidence": 0.9, "Reasoning": "both cannot be"}',
        '{"contradiction": "true", "confidence": "90%", "reasoning": "both cannot be"}',
        '{"reasoning": "both cannot be", "contradiction": true, "confidence": "0.9", "more": [1, {}]}',
        '{"contradiction": true, "confidence": 90, "reasoning": "both cannot be"}',
    ],
)
def test_json_is_read_wherever_it_stands(text: str) -> None:
    assert parse_reply(text) == Reply(True, 0.9, "both cannot be")


def test_a_reasoning_that_quotes_the_end_of_thoughts_cuts_nothing_off() -> None:
    text = '{"contradiction": true, "confidence": 0.9, "reasoning": "text 2 ends in </think>"}'
    assert parse_reply(text) == Reply(True, 0.9, "text 2 ends in </think>")


@pytest.mark.parametrize(
    ("text", "contradiction"),
    [
        ("Yes", True),
        ("yes.", True),
        ("**Yes**", True),
        ("No!", False),
        ("TRUE", True),
        ("Contradiction", True),
        ("No contradiction.", False),
        ("neutral", False),
        ("Yes, they contradict each other.", True),
        ("Yes. The two statements clearly contradict each other because it cannot rain and be dry.", True),
        ("No, the statements do not contradict each other.", False),
        ("The statements don't contradict one another.", False),
        ("There is no contradiction between the two statements.", False),
        (
            "One says that it rains. The other says that it is dry.\nTherefore, they contradict each other.",
            True,
        ),
        ("Do they contradict each other? They are not contradictory.", False),
        ("**Answer:** No\n**Confidence:** 0.8", False),
        ("Contradiction: yes", True),
    ],
)
def test_a_clear_word_or_sentence_is_a_verdict_without_a_confidence(text: str, contradiction: bool) -> None:
    reply = parse_reply(text)
    assert (reply.contradiction, reply.confidence) == (contradiction, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "Yes, I can help.",
        "No. I cannot answer that.",
        "No problem! Here is what I think.",
        "If the statements contradict each other, one of them is false.",
        "They might contradict each other.",
        "I would not say that they contradict each other.",
        "It is not the case that they contradict each other.",
        "Do they contradict each other?",
        "They contradict each other only if they speak of the same day.",
        "Both statements were read with care; more could be said of them.",
        "Yes. No.",
        "Yes, they do not contradict each other.",
        "No. They contradict each other.",
        "They contradict each other. They do not contradict each other.",
        "Answer: yes\nAnswer: no",
        "Answer: it depends",
        json.dumps(REPLY_SCHEMA),
        REPLY_FORMAT.splitlines()[1],
        "<html><body>Please sign in</body></html>",
        "null",
        "{}",
        "[]",
        "0.9",
        '{"verdict": true}',
        '{"contradiction": 1}',
        '{"contradiction": "maybe"}',
        '{"contradiction": {"contradiction": true}}',
        '{"contradiction": [true]}',
        YES[:20],
        YES[:-2],
        f"{YES} {NO}",
        f"{YES} On second thought: {CANNOT_TELL}",
        '{"contradiction": true, "contradiction": false}',
        "<think>They contradict each other.</think>",
        f"Let me draft {YES}\n</think>",
        "{" * 3000,
        '{"a":' * 3000,
        "[" * 50_000,
        '{"contradiction": ' + "9" * 5000 + "}",
        '{"contradiction": true, "contradiction": {"contradiction": false}}',
        '{"draft": {"contradiction": true, "confidence": 0.6}, "final": {"contradiction": fal',
        f"<think>Perhaps {YES}? But then",
        "They contradict each other as long as they speak of the same day.",
        "I do not think\nthey contradict each other.",
        '{"a": ' * 3000 + "1" + "}" * 3000,
        f"It would be {YES} if the shop were one, else {NO}.",
        f"If the shops are the same, {YES}; otherwise {NO}.",
        f"{YES} if they mean the same door, {NO} if not.",
        f"{YES} provided that nine means nine in the morning.",
        f"Either {YES} or {NO}.",
        f"I would give {NO}, unless the shop has moved.",
        f"This might be {YES}.",
        f"Possibly {YES}",
        f"It is not the case that {YES}.",
        f"It could well be\n```json\n{YES}\n```",
        f"{YES} if so. Anyhow: {NO}",
    ],
)
def test_a_reply_that_states_no_verdict_gets_none(text: str) -> None:
    assert kind_of(text) == "unparseable"


@pytest.mark.parametrize(
    "text",
    [
        CANNOT_TELL,
        '{"contradiction": "unknown"}',
        '{"contradiction": "Cannot tell."}',
        "I cannot tell.",
        "We can't determine whether both are true.",
        "Unclear.",
    ],
)
def test_a_judge_that_cannot_tell_abstains(text: str) -> None:
    assert kind_of(text) == "abstained"


@pytest.mark.parametrize(
    ("stated", "confidence"),
    [
        ("0.75", 0.75),
        ("1", 1.0),
        ("0", 0.0),
        ("75", 0.75),
        ("75.5", 0.755),
        ("100", 1.0),
        ('"75%"', 0.75),
        ('"75 %"', 0.75),
        ('"0.75"', 0.75),
        ('"75"', 0.75),
        ('"1%"', 0.01),
        ("101", None),
        ("-0.1", None),
        ("-1", None),
        ("1e999", None),
        ("NaN", None),
        ("-Infinity", None),
        ("9" * 4000, None),
        ("true", None),
        ("null", None),
        ('"high"', None),
        ('"nan"', None),
        ("[0.9]", None),
        ('"' + "9" * 4000 + '"', None),
        ('"150%"', None),
    ],
)
def test_a_confidence_is_a_share_or_a_percentage_and_else_not_stated(
    stated: str, confidence: float | None
) -> None:
    reply = parse_reply(f'{{"contradiction": true, "confidence": {stated}, "reasoning": "r"}}')
    assert reply.confidence == pytest.approx(confidence)
    assert (reply.contradiction, reply.reasoning) == (True, "r")


def test_a_judge_that_says_it_cannot_tell_abstains_whatever_else_it_states() -> None:
    with pytest.raises(ReplyError) as caught:
        parse_reply('{"contradiction": false, "confidence": 0.5, "reasoning": "why", "cannot_tell": true}')
    assert caught.value.kind == "abstained"


@pytest.mark.parametrize("reasoning", ["", '"reasoning": null', '"reasoning": 5', '"reasoning": {"a": 1}'])
def test_a_verdict_without_a_reasoning_is_a_verdict(reasoning: str) -> None:
    assert parse_reply(f'{{"contradiction": false{", " + reasoning if reasoning else ""}}}') == Reply(
        False, None, ""
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(["contradiction", "confidence", "reasoning", "x"]), inside, max_size=4
        )
    ),
    max_leaves=12,
)
WORDS = st.lists(
    st.sampled_from(
        [
            *'{}[],:.?"\n',
            "contradiction",
            "contradict",
            "yes",
            "no",
            "not",
            "they",
            "if",
            "true",
            "null",
            "each other",
        ]
    )
    | st.sampled_from(
        ["confidence", "statements", "cannot tell", "<think>", "</think>", "answer", "because", "0.9"]
    ),
    max_size=30,
).map(" ".join)


def states_a_verdict_or_raises_reply_error(text: str) -> None:
    try:
        reply = parse_reply(text)
    except ReplyError:
        return
    assert reply.contradiction in (True, False)
    assert reply.confidence is None or 0 <= reply.confidence <= 1
    assert isinstance(reply.reasoning, str)


@given(st.one_of(st.text(max_size=300), WORDS, JSON.map(json.dumps)))
@settings(max_examples=600, deadline=None)
def test_any_text_gives_a_verdict_or_a_reply_error(text: str) -> None:
    states_a_verdict_or_raises_reply_error(text)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_verdict_or_a_reply_error(body: bytes) -> None:
    states_a_verdict_or_raises_reply_error(body.decode("utf-8", "surrogateescape"))


@given(st.booleans(), st.floats(0, 1), st.text(max_size=100))
@settings(max_examples=200, deadline=None)
def test_every_reply_of_the_schema_is_read_back(
    contradiction: bool, confidence: float, reasoning: str
) -> None:
    reply = {"contradiction": contradiction, "confidence": confidence, "reasoning": reasoning}
    text = json.dumps(reply)
    assert is_json_reply(text)
    if "<think>" not in reasoning:
        assert parse_reply(text) == Reply(contradiction, confidence, reasoning)


@given(st.booleans(), st.text(st.characters(exclude_characters='{}"\\'), max_size=60), st.integers(0, 200))
@settings(max_examples=200, deadline=None)
def test_a_cut_off_reply_never_turns_into_the_other_verdict(
    contradiction: bool, reasoning: str, cut: int
) -> None:
    whole = json.dumps({"contradiction": contradiction, "confidence": 0.9, "reasoning": reasoning})
    text = whole[: max(0, len(whole) - cut)]
    with contextlib.suppress(ReplyError):
        assert parse_reply(text).contradiction == contradiction


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        (YES, True),
        (f" {CANNOT_TELL}\n", True),
        (f"```json\n{YES}\n```", False),
        (f"{YES} {YES}", False),
        ("yes", False),
        ("true", False),
        ("[1]", False),
        ("[" * 50_000, False),
        ('{"contradiction": "yes"}', False),
        ('{"contradiction": 1}', False),
        ("{}", False),
    ],
)
def test_what_follows_the_schema_is_told_from_what_does_not(text: str, usable: bool) -> None:
    assert is_json_reply(text) is usable


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(
            """'{"' + chr(92) + '"' + (chr(92) + '"') * 24_000""",
        ),
        "'<think>' * 7_000",
        '"so" + " " * 2000 + "they contradict" + " " * 2000 + "x"',
        """'{"contradiction": true, "confidence": "95' + " " * 40_000 + 'x"}'""",
    ],
)
def test_a_hostile_reply_does_not_hold_up_the_run(expression: str) -> None:
    """In a process of its own, since nothing in this one could end it."""
    script = (
        "from benchmarks.judge.reply_reading import *\n"
        f"try: parse_reply({expression})\nexcept ReplyError: pass"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=os.environ, check=True, timeout=3)
