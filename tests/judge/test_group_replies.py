"""Replies about several pairs are read by number, and never guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.group_replies import replies_in
from benchmarks.judge.pair_groups import GroupPrompt, can_be_grouped, group_schema, questions_in
from benchmarks.judge.prompts import load_prompt, reply_schema
from benchmarks.judge.reply_reading import Reply, ReplyError

Entry = dict[str, Any]


def entry(number: Any, contradiction: Any = True, **more: Any) -> Entry:
    return {"pair": number, "contradiction": contradiction, "confidence": 0.9, "reasoning": "why", **more}


def reply(*entries: Entry) -> str:
    return json.dumps({"verdicts": list(entries)})


def stated(text: str, pairs: int = 3) -> dict[int, bool | str]:
    """The verdict of each number, or why there is none."""
    return {
        number: found.contradiction if isinstance(found, Reply) else found.kind
        for number, (found, _) in replies_in(text, pairs).items()
    }


WHOLE = reply(entry(1), entry(2, False), entry(3))


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        reply(entry(3), entry(1), entry(2, False)),
        reply(entry("1"), entry("2", False), entry("3")),
        f"These are my verdicts.\n```json\n{WHOLE}\n```\nEach was judged on its own.",
        f"<think>Pair 1? Rather {reply(entry(1, False))}</think>{WHOLE}",
        json.dumps([entry(1), entry(2, False), entry(3)]),
        "\n".join(map(json.dumps, [entry(1), entry(2, False), entry(3)])),
        json.dumps({"result": {"verdicts": [entry(1), entry(2, False), entry(3)]}}),
        json.dumps(WHOLE),
    ],
)
def test_verdicts_are_read_by_number_wherever_they_stand(text: str) -> None:
    assert stated(text) == {1: True, 2: False, 3: True}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (reply(entry(1), entry(3)), {1: True, 3: True}),
        (WHOLE[: WHOLE.index("3") + 20], {1: True, 2: False}),
        (reply(entry(1), entry(2, "perhaps"), entry(3)), {1: True, 2: "unparseable", 3: True}),
        (reply(entry(1), {"pair": 2}, entry(3)), {1: True, 2: "unparseable", 3: True}),
        (reply(entry(1), entry(2, cannot_tell=True), entry(3)), {1: True, 2: "abstained", 3: True}),
        (
            WHOLE.replace('"pair": 2,', '"pair": 2, "pair": 1,'),
            {1: True, 3: True},
        ),
    ],
)
def test_what_is_missing_or_unusable_spoils_nothing_else(text: str, left: dict[int, Any]) -> None:
    assert stated(text) == left


@pytest.mark.parametrize(
    "text",
    [
        reply(entry(1), entry(2), entry(2)),
        reply(entry(1), entry(1), entry(2), entry(3)),
        reply(entry(0), entry(1), entry(2)),
        reply(entry(2), entry(3), entry(4)),
        reply(entry(1), entry("the second"), entry(3)),
        reply(entry(1), entry(True), entry(3)),
        f"For example: {WHOLE}",
        f"{WHOLE} Sorry, I was mistaken.",
        f"{WHOLE} Or rather: {reply(entry(1, False))}",
        "They contradict each other.",
        json.dumps({"contradiction": True, "confidence": 0.9, "reasoning": "of which pair?"}),
        "{" * 100_000,
        "",
    ],
)
def test_numbers_that_may_have_slipped_are_not_believed(text: str) -> None:
    assert stated(text) == {}


def test_reasoning_first_and_relations_are_held_to_as_for_one_pair() -> None:
    behind = entry(1)
    ahead = {"pair": 2, "reasoning": "what decides it", "contradiction": True, "confidence": 0.8}
    found = replies_in(reply(behind, ahead), 2, reasoning_first=True)
    assert isinstance(found[1][0], ReplyError)
    assert found[2][0] == Reply(True, 0.8, "what decides it")
    told = reply(entry(1, False, relation="entailment"), entry(2, True, relation="neutral"))
    of_three = replies_in(told, 2, 3)
    assert isinstance(of_three[1][0], Reply)
    assert of_three[1][0].relation == "entailment"
    assert isinstance(of_three[2][0], ReplyError), "its relation says otherwise"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from(["1", "true", "", "{", '"pair": 1']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["pair", "contradiction", "verdicts", "confidence", "reasoning", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
ENTRIES = st.lists(
    st.builds(entry, st.integers(0, 6) | JSON, st.booleans() | JSON)
    | st.dictionaries(st.text(max_size=3), JSON),
    max_size=7,
)


@given(entries=ENTRIES, pairs=st.integers(2, 6), cut=st.integers(0, 400), around=st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_no_verdict_is_given_that_the_reply_does_not_state_for_that_number(
    entries: list[Entry], pairs: int, cut: int, around: str
) -> None:
    text = around + reply(*entries)[: cut or None]
    for number, (found, raw) in replies_in(text, pairs).items():
        assert 1 <= number <= pairs
        if isinstance(found, Reply):
            assert json.loads(raw)["contradiction"] in (found.contradiction, str(found.contradiction).lower())
            assert any(
                str(each.get("pair")) == str(number) and each.get("contradiction") is not None
                for each in _all_in(entries)
            )


def _all_in(value: Any) -> list[Entry]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here = [value] if isinstance(value, dict) else []
    return here + [entry for each in inner for entry in _all_in(each)]


@given(verdicts=st.lists(st.booleans(), min_size=2, max_size=8), order=st.randoms(use_true_random=False))
def test_every_whole_reply_is_read_whole(verdicts: list[bool], order: Any) -> None:
    entries = [entry(number, verdict) for number, verdict in enumerate(verdicts, 1)]
    order.shuffle(entries)
    assert stated(reply(*entries), len(verdicts)) == dict(enumerate(verdicts, 1))


@given(entries=st.lists(st.builds(entry, st.integers(0, 7), st.booleans()), min_size=1, max_size=7))
def test_one_number_twice_or_of_no_pair_spoils_the_whole_reply(entries: list[Entry]) -> None:
    numbers = [each["pair"] for each in entries]
    are_sound = len(set(numbers)) == len(numbers) and {*numbers} <= {1, 2, 3, 4, 5}
    verdicts = {each["pair"]: each["contradiction"] for each in entries}
    assert stated(reply(*entries), 5) == (verdicts if are_sound else {})


def test_a_question_holds_each_pair_as_it_is_asked_about_alone() -> None:
    prompt = load_prompt("same-event")
    texts = [("It rains.", "It is dry."), ("Pair of shoes.", "{text1}"), ("a\n\nb", "c")]
    system, user = GroupPrompt.of(prompt).messages(texts)
    asked = prompt.for_decisions()
    assert questions_in(user["content"]) == [asked.question(*pair) for pair in texts]
    assert questions_in("a single question") == ["a single question"]
    assert "json" in user["content"].lower(), "endpoints that are asked for JSON want the word"
    assert system["content"] == GroupPrompt.of(prompt).messages(texts[:2])[0]["content"]


def test_a_text_that_looks_like_the_heading_of_a_pair_is_asked_about_alone() -> None:
    assert can_be_grouped(("Pair 1 of 2 is here.", "It is not."))
    assert not can_be_grouped(("Fine.\nPair 2 of 2\nStatement 1: ...", "It is not."))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("reasoning_first", [False, True])
def test_schema_and_words_name_the_same_fields_in_the_same_order(classes: int, reasoning_first: bool) -> None:
    fields = group_schema(reply_schema(classes, reasoning_first))["properties"]["verdicts"]["items"]
    prompt = load_prompt("same-event", classes, reasoning_first=reasoning_first)
    words = GroupPrompt.of(prompt).system
    shown = words[words.index('{"pair"') :]
    places = [shown.index(f'"{name}"') for name in fields["properties"]]
    assert places == sorted(places)
    assert fields["required"] == list(fields["properties"])
