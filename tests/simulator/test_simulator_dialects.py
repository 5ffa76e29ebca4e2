"""How the simulated judge differs from endpoint to endpoint: parameters, forms of a reply, usage, repeats."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from simulators import (
    ANSWERS,
    KEYS,
    PAIRS,
    QUESTIONS,
    QUICK,
    SimulatorThread,
    ask,
    choice,
    post,
    question,
    request_body,
    verdict,
)

from benchmarks.judge.prompts import REPLY_SCHEMA, THREE_WAY_SCHEMA
from benchmarks.judge.reply_reading import parse_reply
from benchmarks.simulator.replies import hostile_bodies
from benchmarks.simulator.simulation import (
    PROFILES,
    GoldAnswer,
    SimulatorConfig,
    answer_key,
    answers_for,
)
from kimera.errors import UserError
from kimera.pairs import Pair

JSON_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "verdict", "strict": True, "schema": REPLY_SCHEMA},
}
JSON_OBJECT = {"type": "json_object"}
GOLD = [answer.contradiction for answer in ANSWERS.values()]


def with_schema(**changes: Any) -> dict[str, Any]:
    """JSON_SCHEMA with another schema."""
    return {
        **JSON_SCHEMA,
        "json_schema": {**JSON_SCHEMA["json_schema"], "schema": {**REPLY_SCHEMA, **changes}},
    }


def content(judge: SimulatorThread, text: str, **parameters: Any) -> str:
    return str(choice(ask(judge, text, **parameters)[1])["message"]["content"])


def contents(judge: SimulatorThread, texts: list[str]) -> list[str]:
    return [content(judge, text) for text in texts]


def error_of(config: SimulatorConfig, **parameters: Any) -> tuple[int, dict[str, Any]]:
    with SimulatorThread(config) as judge:
        response, body = ask(judge, QUESTIONS[0], **parameters)
        return response.status, json.loads(body)["error"]


# Messages


def test_content_in_parts_is_read_as_one_text() -> None:
    half = len(QUESTIONS[0]) // 2
    parts = [
        {"type": "text", "text": QUESTIONS[0][:half]},
        {"type": "image_url", "image_url": {"url": "data:,"}},
        {"type": "text", "text": QUESTIONS[0][half:]},
    ]
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]}).encode()
    with SimulatorThread(QUICK) as judge:
        response, reply = post(judge, body)
    assert response.status == 200
    assert verdict(reply)["contradiction"] is GOLD[0]


@pytest.mark.parametrize("response_format", [None, JSON_OBJECT, JSON_SCHEMA])
def test_every_form_of_a_reply_is_honoured_by_default(response_format: dict[str, Any] | None) -> None:
    with SimulatorThread(replace(QUICK, strict=True)) as judge:
        stated = json.loads(content(judge, QUESTIONS[0], response_format=response_format))
    assert stated.keys() == REPLY_SCHEMA["properties"].keys()


def test_an_endpoint_that_ignores_the_schema_states_the_verdict_in_prose_or_fenced_json() -> None:
    with SimulatorThread(replace(QUICK, ignores_schema=True)) as judge:
        said = [content(judge, text, response_format=JSON_SCHEMA) for text in QUESTIONS]
    assert [parse_reply(text).contradiction for text in said] == GOLD
    assert {text.count("```") for text in said} == {0, 2}


def test_asked_again_it_heeds_the_schema() -> None:
    messages = [
        {"role": "user", "content": QUESTIONS[0]},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Reply in JSON."},
    ]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    with SimulatorThread(replace(QUICK, ignores_schema=True)) as judge:
        assert verdict(post(judge, body)[1])["contradiction"] is GOLD[0]


# Parameters


@pytest.mark.parametrize(
    ("refused", "parameters", "param", "code", "message"),
    [
        (
            "max_tokens",
            {"max_tokens": 9},
            "max_tokens",
            "unsupported_parameter",
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
        ),
        (
            "max_completion_tokens",
            {"max_completion_tokens": 9},
            "max_completion_tokens",
            "unsupported_parameter",
            "Unsupported parameter: 'max_completion_tokens' is not supported with this model. "
            "Use 'max_tokens' instead.",
        ),
        (
            "temperature",
            {"temperature": 0},
            "temperature",
            "unsupported_value",
            "Unsupported value: 'temperature' does not support 0 with this model. "
            "Only the default (1) value is supported.",
        ),
        (
            "response_format",
            {"response_format": JSON_OBJECT},
            "response_format",
            None,
            "Invalid parameter: 'response_format' of type 'json_object' is not supported with this model.",
        ),
        (
            "json_schema",
            {"response_format": JSON_SCHEMA},
            "response_format",
            None,
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        ),
        (
            "seed",
            {"seed": 0},
            "seed",
            "unsupported_parameter",
            "Unsupported parameter: 'seed' is not supported with this model.",
        ),
        (
            "logprobs",
            {"logprobs": True},
            "logprobs",
            "unsupported_parameter",
            "Unsupported parameter: 'logprobs' is not supported with this model.",
        ),
    ],
)
def test_a_refused_parameter_is_named_as_openai_names_it(
    refused: str, parameters: dict[str, Any], param: str, code: str | None, message: str
) -> None:
    status, error = error_of(replace(QUICK, refuses=(refused,)), **parameters)
    assert status == 400
    assert error == {"message": message, "type": "invalid_request_error", "param": param, "code": code}


@pytest.mark.parametrize(
    ("refused", "parameters"),
    [
        ("temperature", {"temperature": 1}),
        ("json_schema", {"response_format": JSON_OBJECT}),
        ("response_format", {"response_format": {"type": "text"}}),
        ("logprobs", {"logprobs": False}),
        ("seed", {}),
    ],
)
def test_what_a_refusal_does_not_cover_is_taken(refused: str, parameters: dict[str, Any]) -> None:
    with SimulatorThread(replace(QUICK, refuses=(refused,))) as judge:
        assert ask(judge, QUESTIONS[0], **parameters)[0].status == 200


def test_a_refused_request_costs_no_draw_and_no_tokens() -> None:
    with SimulatorThread(replace(QUICK, refuses=("seed",))) as judge:
        ask(judge, QUESTIONS[0], seed=1)
        stats = judge.stats()
    assert (stats["prompt_tokens"], stats["outcomes"]) == (0, {"refused_parameter": 1})


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"think_harder": True}, "think_harder"),
        ({"max_tokens": 9, "max_completion_tokens": 9}, "max_completion_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"top_logprobs": 2}, "logprobs"),
        ({"response_format": {"type": "yaml"}}, "yaml"),
        ({"response_format": {"type": ["json"]}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "name"),
        ({"response_format": with_schema(required=["confidence"])}, "required"),
        ({"response_format": with_schema(required=7)}, "required"),
        ({"response_format": with_schema(additionalProperties=True)}, "additionalProperties"),
    ],
)
def test_a_strict_endpoint_refuses_what_openai_refuses(parameters: dict[str, Any], word: str) -> None:
    status, error = error_of(replace(QUICK, strict=True), **parameters)
    assert status == 400
    assert word in error["message"]
    with SimulatorThread(QUICK) as lenient:
        assert ask(lenient, QUESTIONS[0], **parameters)[0].status == 200


def test_a_strict_endpoint_wants_the_word_json_for_a_json_object() -> None:
    silent = answers_for(PAIRS[:1], "{} or {}?".format)
    with SimulatorThread(replace(QUICK, strict=True), silent) as judge:
        text = f"{PAIRS[0].text1} or {PAIRS[0].text2}?"
        assert ask(judge, text, response_format=JSON_OBJECT)[0].status == 400


def test_a_parameter_that_it_cannot_refuse_is_named() -> None:
    with pytest.raises(UserError, match="'stop'"):
        SimulatorConfig(refuses=("stop",))


# Usage


def test_a_reasoning_model_counts_its_thinking_among_the_completion() -> None:
    with SimulatorThread(replace(QUICK, reasoning_tokens=300)) as judge:
        usage = json.loads(ask(judge, QUESTIONS[0])[1])["usage"]
        assert judge.stats()["reasoning_tokens"] == 300
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 300
    assert usage["completion_tokens"] > 300


@pytest.mark.parametrize("parameter", ["max_tokens", "max_completion_tokens"])
def test_a_limit_that_the_thinking_fills_leaves_no_content(parameter: str) -> None:
    with SimulatorThread(replace(QUICK, reasoning_tokens=300)) as judge:
        reply = ask(judge, QUESTIONS[0], **{parameter: 200})[1]
        assert judge.stats()["outcomes"] == {"over_length": 1}
    usage = json.loads(reply)["usage"]
    assert (choice(reply)["finish_reason"], choice(reply)["message"]["content"]) == ("length", "")
    assert usage["completion_tokens"] == usage["completion_tokens_details"]["reasoning_tokens"] == 200


def test_a_limit_below_the_answer_cuts_it() -> None:
    with SimulatorThread(QUICK) as judge:
        cut = choice(ask(judge, QUESTIONS[0], max_tokens=5)[1])
        whole = choice(ask(judge, QUESTIONS[0], max_tokens=500)[1])
    assert (cut["finish_reason"], whole["finish_reason"]) == ("length", "stop")
    assert cut["message"]["content"] == whole["message"]["content"][:20]


def test_a_share_of_the_prompt_comes_from_the_cache() -> None:
    with SimulatorThread(replace(QUICK, cached_share=0.5)) as judge:
        usage = json.loads(ask(judge, QUESTIONS[0])[1])["usage"]
        assert judge.stats()["cached_tokens"] == usage["prompt_tokens"] // 2
    assert usage["prompt_tokens_details"]["cached_tokens"] == usage["prompt_tokens"] // 2


def test_completions_cut_short_say_so_and_cost_what_they_hold() -> None:
    with SimulatorThread(replace(QUICK, cut_short=1)) as judge:
        reply = ask(judge, QUESTIONS[0])[1]
    assert choice(reply)["finish_reason"] == "length"
    with pytest.raises(json.JSONDecodeError):
        verdict(reply)


# Log probabilities


def test_the_token_that_states_the_verdict_carries_its_confidence() -> None:
    with SimulatorThread(replace(QUICK, error_rate=0.3)) as judge:
        for text in QUESTIONS[:20]:
            said = choice(ask(judge, text, logprobs=True, top_logprobs=2)[1])
            stated = json.loads(said["message"]["content"])
            tokens = said["logprobs"]["content"]
            token, _ = [token for token in tokens if token["token"].strip() in {"true", "false"}]
            assert json.loads(token["token"]) is stated["contradiction"]
            shares = [math.exp(one["logprob"]) for one in token["top_logprobs"]]
            assert shares == pytest.approx([stated["confidence"], 1 - stated["confidence"]])
            assert {one["token"].strip() for one in token["top_logprobs"]} == {"true", "false"}


def test_the_tokens_are_the_content_and_their_bytes() -> None:
    with SimulatorThread(replace(QUICK, ignores_schema=True, abstained=0.3)) as judge:
        for text in QUESTIONS[:20]:
            said = choice(ask(judge, text, logprobs=True)[1])
            tokens = said["logprobs"]["content"]
            assert "".join(token["token"] for token in tokens) == said["message"]["content"]
            assert all(bytes(token["bytes"]).decode() == token["token"] for token in tokens)
            assert all(token["top_logprobs"] == [] for token in tokens)


def test_there_are_no_log_probabilities_unless_asked_for() -> None:
    with SimulatorThread(QUICK) as judge:
        assert choice(ask(judge, QUESTIONS[0])[1])["logprobs"] is None


# Pairs without a verdict, and texts from a model


def test_a_content_filter_shows_itself_in_three_ways_and_stands_by_its_word() -> None:
    def form_of(text: str) -> str:
        response, body = ask(judge, text)
        if response.status == 400:
            return str(json.loads(body)["error"]["code"])
        said = choice(body)
        return "refusal" if said["message"]["refusal"] else str(said["finish_reason"])

    with SimulatorThread(replace(QUICK, content_filter=0.5)) as judge:
        first, second = ([form_of(text) for text in QUESTIONS] for _ in range(2))
        outcomes = judge.stats()["outcomes"]
    assert first == second
    assert set(first) == {"content_filter", "refusal", "stop"}
    assert outcomes["content_filter"] == 2 * (len(first) - first.count("stop"))


def test_a_judge_that_abstains_says_that_it_cannot_tell() -> None:
    with SimulatorThread(replace(QUICK, abstained=1)) as judge:
        assert verdict(ask(judge, QUESTIONS[0])[1])["cannot_tell"] is True
        assert judge.stats(keys=True)["asked"] == {}


def test_hostile_text_comes_with_a_sound_verdict() -> None:
    with SimulatorThread(replace(QUICK, hostile_text=1)) as judge:
        stated = verdict(ask(judge, QUESTIONS[0])[1])
    assert stated["contradiction"] is GOLD[0]
    assert all(part in stated["reasoning"] for part in ("\x00", "\x1b", "\ud800", "<script>"))


def test_hostile_replies_take_every_form_and_none_is_a_verdict() -> None:
    with SimulatorThread(replace(QUICK, hostile=1)) as judge:
        replies = [ask(judge, text) for text in QUESTIONS]
    assert {response.status for response, _ in replies} == {200}
    assert {body for _, body in replies} == set(hostile_bodies().values())
    assert max(len(body) for _, body in replies) > 5_000_000
    assert not any(b"contradiction" in body and b"confidence" in body for _, body in replies)


# Second asks


def test_without_flips_a_pair_has_one_answer_however_often_it_is_asked() -> None:
    answers = answers_for(PAIRS, question, swap=True)
    with SimulatorThread(replace(QUICK, error_rate=0.3), answers) as judge:
        first, again = contents(judge, QUESTIONS[:40]), contents(judge, QUESTIONS[:40])
        swapped = contents(judge, [question(pair.text2, pair.text1) for pair in PAIRS[:40]])
    assert first == again == swapped


def test_repeats_and_swapped_texts_flip_at_their_rate_and_first_asks_never() -> None:
    answers = answers_for(PAIRS, question, swap=True)
    mirrored = [question(pair.text2, pair.text1) for pair in PAIRS]
    with SimulatorThread(replace(QUICK, flip_rate=0.3), answers) as judge:
        asked = [contents(judge, texts) for texts in (QUESTIONS, QUESTIONS, QUESTIONS, mirrored)]
    first, *others = [[json.loads(text)["contradiction"] for text in texts] for texts in asked]
    assert first == GOLD
    for verdicts in others:
        flipped = sum(one != gold for one, gold in zip(verdicts, GOLD, strict=True))
        assert abs(flipped - 0.3 * len(GOLD)) <= 4 * math.sqrt(0.21 * len(GOLD))
    assert len({tuple(verdicts) for verdicts in others}) == 3


def test_a_retry_after_a_fault_is_no_second_ask() -> None:
    """Half the requests fail; the first answer to each pair is the gold label all the same."""
    with SimulatorThread(replace(QUICK, flip_rate=1, server_error=0.5)) as judge:
        for text, gold in zip(QUESTIONS[:30], GOLD, strict=False):
            response, body = ask(judge, text)
            while response.status != 200:
                response, body = ask(judge, text)
            assert verdict(body)["contradiction"] is gold


def test_a_pairs_own_label_goes_before_that_of_its_mirror_image() -> None:
    pairs = [Pair("x", "y", label="contradiction"), Pair("y", "x", label="neutral")]
    answers = answers_for(pairs, question, swap=True)
    assert {key: answer.contradiction for key, answer in answers.items()} == {
        answer_key(question("x", "y")): True,
        answer_key(question("y", "x")): False,
    }


def test_the_counters_tell_how_often_each_message_was_answered() -> None:
    with SimulatorThread(replace(QUICK, server_error=0.5)) as judge:
        answered: Counter[str] = Counter()
        for text, key in zip(QUESTIONS[:10] * 3, KEYS[:10] * 3, strict=True):
            answered[key.hex()] += ask(judge, text)[0].status == 200
        assert judge.stats(keys=True)["asked"] == +answered
        assert "asked" not in judge.stats()


# Profiles

CLIENTS_DIALECT = {"temperature": 0, "max_completion_tokens": 1024, "response_format": JSON_SCHEMA}


@pytest.mark.parametrize(
    ("profile", "outcome"),
    [
        ("plain", "answered"),
        ("openai", "answered"),
        ("hidden-cap", "answered"),
        ("ignores-schema", "answered"),
        ("refuses-parameters", "refused_parameter"),
        ("reasoning", "refused_parameter"),
        ("local", "answered"),
    ],
)
def test_a_profile_meets_a_modern_client_as_its_name_says(profile: str, outcome: str) -> None:
    with SimulatorThread(replace(PROFILES[profile], latency_ms=0)) as judge:
        ask(judge, QUESTIONS[0], **CLIENTS_DIALECT)
        assert judge.stats()["outcomes"] == {outcome: 1}
    assert len(PROFILES) == 7


def test_the_reasoning_profile_thinks_longer_than_a_thousand_tokens() -> None:
    with SimulatorThread(replace(PROFILES["reasoning"], latency_ms=0)) as judge:
        cut, whole = (
            choice(post(judge, request_body(QUESTIONS[0], max_completion_tokens=limit))[1])
            for limit in (1024, 4096)
        )
    assert (cut["message"]["content"], cut["finish_reason"]) == ("", "length")
    assert whole["finish_reason"] == "stop"


# Three classes


THREE_WAY = {
    **JSON_SCHEMA,
    "json_schema": {"name": "verdict", "strict": True, "schema": THREE_WAY_SCHEMA},
}


def test_the_relation_is_stated_where_the_schema_asks_for_it() -> None:
    with SimulatorThread(replace(QUICK, strict=True)) as judge:
        said = [json.loads(content(judge, text, response_format=THREE_WAY)) for text in QUESTIONS]
    assert said[0].keys() == THREE_WAY_SCHEMA["properties"].keys()
    assert [stated["relation"] for stated in said] == [pair.label for pair in PAIRS]


def test_the_relation_is_wrong_as_often_as_it_is_told_and_never_against_the_verdict() -> None:
    with SimulatorThread(replace(QUICK, error_rate=0.2)) as judge:
        said = [json.loads(content(judge, text, response_format=THREE_WAY)) for text in QUESTIONS]
    assert all((one["relation"] == "contradiction") == one["contradiction"] for one in said)
    others = [
        (pair.label, one["relation"])
        for pair, one in zip(PAIRS, said, strict=True)
        if pair.label != "contradiction" and not one["contradiction"]
    ]
    assert 0.05 < sum(label != relation for label, relation in others) / len(others) < 0.4


def test_without_a_schema_the_relation_is_stated_where_the_prompt_asks_for_it() -> None:
    text = 'Which "relation"? Reply in JSON.'
    with SimulatorThread(QUICK, {answer_key(text): GoldAnswer(False, KEYS[0], "entailment")}) as judge:
        assert json.loads(content(judge, text))["relation"] == "entailment"
        assert "relation" not in json.loads(content(judge, text, response_format=JSON_SCHEMA))
