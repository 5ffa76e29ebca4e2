"""The simulated judge's answers, faults and latency, asked for over real HTTP."""

from __future__ import annotations

import http.client
import json
import math
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators import (
    ANSWERS,
    KEYS,
    QUESTIONS,
    QUICK,
    SimulatorThread,
    ask,
    connect,
    post,
    question,
    request_body,
    verdict,
    wait_until,
)

from benchmarks.simulator.replies import MALFORMED_CONTENT, hostile_bodies
from benchmarks.simulator.simulation import (
    FAULTS,
    MODEL,
    SimulatorConfig,
    answer_key,
    answers_for,
    draw_fault,
    draw_latency_ms,
    draw_verdict,
    drawn_by,
)
from kimera.errors import UserError
from kimera.pairs import Pair

MANY_KEYS = [answer_key(str(number)) for number in range(20_000)]


def with_faults(shares: dict[str, Any]) -> SimulatorConfig:
    return replace(QUICK, **shares)


def fault_of(config: SimulatorConfig, key: bytes, attempt: int) -> str | None:
    return draw_fault(config, key, attempt)[0]


def what_happened(judge: SimulatorThread, text: str) -> str | None:
    """The fault as the client sees it, None for a verdict."""
    try:
        response, body = ask(judge, text)
    except http.client.IncompleteRead:
        return "truncated"
    except ConnectionError:  # also http.client.RemoteDisconnected
        return "dropped"
    if response.status != 200:
        return {400: "format_failed", 429: "rate_limited", 500: "server_error"}[response.status]
    if response.headers["Content-Type"].startswith("text/html"):
        return "html_body"
    if body in hostile_bodies().values():
        return "hostile"
    if b'"finish_reason": "length"' in body:
        return "cut_short"
    return "malformed" if MALFORMED_CONTENT.encode() in body else None


@pytest.fixture(scope="module")
def judge() -> Iterator[SimulatorThread]:
    """A judge without faults, shared by tests that leave its counters alone."""
    with SimulatorThread(replace(QUICK, error_rate=0.3)) as server:
        yield server


def test_a_reply_is_a_chat_completion_of_the_model_asked_for(judge: SimulatorThread) -> None:
    response, body = ask(judge, QUESTIONS[0])
    reply = json.loads(body)
    assert response.status == 200
    assert (reply["object"], reply["model"]) == ("chat.completion", "gpt-4o")
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert set(verdict(body)) == {"contradiction", "confidence", "reasoning", "cannot_tell"}


def test_a_verdict_says_that_it_is_simulated(judge: SimulatorThread) -> None:
    _, body = ask(judge, QUESTIONS[0])
    assert "Simulated" in verdict(body)["reasoning"]


def test_without_an_error_rate_every_answer_is_the_gold_label() -> None:
    drawn = [draw_verdict(QUICK, key, answer.contradiction)[0] for key, answer in ANSWERS.items()]
    assert drawn == [answer.contradiction for answer in ANSWERS.values()]


def test_the_answers_on_the_wire_are_those_drawn_whatever_the_order(judge: SimulatorThread) -> None:
    """Asked backwards, and the first half twice."""
    config = replace(QUICK, error_rate=0.3)
    for text in [*reversed(QUESTIONS), *QUESTIONS[:75]]:
        stated = verdict(ask(judge, text)[1])
        gold, key, _ = ANSWERS[answer_key(text)]
        assert (stated["contradiction"], stated["confidence"]) == draw_verdict(config, key, gold)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_the_share_of_wrong_verdicts_is_the_error_rate(rate: float) -> None:
    config = replace(QUICK, error_rate=rate)
    wrong = sum(not draw_verdict(config, key, True)[0] for key in MANY_KEYS)
    deviation = math.sqrt(rate * (1 - rate) * len(MANY_KEYS))
    assert abs(wrong - rate * len(MANY_KEYS)) <= 4 * deviation


def test_each_model_makes_its_own_mistakes_at_the_same_rate_and_the_default_one_those_of_the_seed() -> None:
    config = replace(QUICK, error_rate=0.2)

    some = MANY_KEYS[:4000]

    def wrong(model: str, config: SimulatorConfig = config) -> set[bytes]:
        drawn = ((key, drawn_by(config, model, key)) for key in some)
        return {key for key, by in drawn if not draw_verdict(config, by, True)[0]}

    plain = {key for key in some if not draw_verdict(config, key, True)[0]}
    assert wrong(MODEL) == wrong("gpt-4o") == wrong("a", replace(config, models_alike=True)) == plain
    assert abs(len(wrong("a") & wrong("b")) - 0.04 * len(some)) <= 4 * math.sqrt(0.04 * len(some))
    assert abs(len(wrong("a")) - len(plain)) <= 6 * math.sqrt(0.2 * len(some))


def test_another_seed_makes_other_mistakes() -> None:
    first, second = (
        [draw_verdict(replace(QUICK, error_rate=0.5, seed=seed), key, True) for key in KEYS]
        for seed in (1, 2)
    )
    assert first != second


def test_wrong_verdicts_are_less_confident_on_average_and_all_stay_in_range() -> None:
    right = [draw_verdict(QUICK, key, True)[1] for key in MANY_KEYS]
    wrong = [draw_verdict(replace(QUICK, error_rate=1.0), key, True)[1] for key in MANY_KEYS]
    assert statistics.mean(wrong) < statistics.mean(right) - 0.1
    assert 0.55 <= min(right + wrong) <= max(right + wrong) <= 0.99


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_drawn_at_its_rate(fault: str) -> None:
    config = with_faults({name: 0.2 if name == fault else 0.05 for name in FAULTS})
    drawn = Counter(fault_of(config, key, 1) for key in MANY_KEYS)
    deviation = math.sqrt(0.2 * 0.8 * len(MANY_KEYS))
    assert abs(drawn[fault] - 0.2 * len(MANY_KEYS)) <= 4 * deviation


def test_faults_that_add_up_to_one_leave_no_request_without_a_fault() -> None:
    config = with_faults(dict.fromkeys(FAULTS, 1 / len(FAULTS)))
    assert None not in {fault_of(config, key, 1) for key in MANY_KEYS}


def test_the_faults_on_the_wire_are_those_drawn_and_are_counted() -> None:
    """Each pair is asked twice, so that the draws of second attempts are seen too."""
    visible_at_once = [name for name in FAULTS if name != "stalled"]
    config = with_faults(dict.fromkeys(visible_at_once, 0.11))
    with SimulatorThread(config) as judge:
        seen = [what_happened(judge, text) for _ in range(2) for text in QUESTIONS]
        outcomes = judge.stats()["outcomes"]
    assert seen == [fault_of(config, key, attempt) for attempt in (1, 2) for key in KEYS]
    assert outcomes == Counter(fault or "answered" for fault in seen)
    assert set(seen) == {None, *visible_at_once}


def test_a_retry_can_succeed() -> None:
    with SimulatorThread(replace(QUICK, server_error=0.5)) as judge:
        statuses = [ask(judge, QUESTIONS[0])[0].status for _ in range(40)]
    assert set(statuses) == {200, 500}


def test_a_429_says_when_to_come_back_and_why() -> None:
    with SimulatorThread(replace(QUICK, rate_limited=1, retry_after_s=2)) as judge:
        response, body = ask(judge, QUESTIONS[0])
    assert (response.status, response.headers["Retry-After"]) == (429, "2")
    assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"


def test_malformed_content_comes_in_a_sound_completion_with_usage() -> None:
    with SimulatorThread(replace(QUICK, malformed=1)) as judge:
        _, body = ask(judge, QUESTIONS[0])
    with pytest.raises(json.JSONDecodeError):
        verdict(body)
    assert json.loads(body)["usage"]["completion_tokens"] > 0


def test_a_stalled_request_is_cut_without_a_byte_in_the_end() -> None:
    with (
        SimulatorThread(replace(QUICK, stalled=1, stall_s=0.05)) as judge,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        ask(judge, QUESTIONS[0])


def test_stalled_requests_are_in_flight_until_their_clients_hang_up() -> None:
    with SimulatorThread(replace(QUICK, stalled=1)) as judge:
        connections = [connect(judge) for _ in range(5)]
        for connection, text in zip(connections, QUESTIONS, strict=False):
            connection.request("POST", "/v1/chat/completions", request_body(text))
        wait_until(lambda: judge.stats()["in_flight"] == 5)
        for connection in connections:
            connection.close()
        wait_until(lambda: judge.stats()["in_flight"] == 0)
        stats = judge.stats()
    assert stats["max_in_flight"] == stats["requests"] == stats["outcomes"]["stalled"] == 5


def test_a_client_that_hangs_up_before_the_answer_is_counted_as_gone() -> None:
    with SimulatorThread(SimulatorConfig(latency_ms=600_000)) as judge:
        connection = connect(judge)
        connection.request("POST", "/v1/chat/completions", request_body(QUESTIONS[0]))
        wait_until(lambda: judge.stats()["in_flight"] == 1)
        connection.close()
        wait_until(lambda: judge.stats()["outcomes"] == {"abandoned": 1})
        assert judge.stats()["completion_tokens"] == 0


def test_without_spread_the_latency_is_the_mean() -> None:
    config = SimulatorConfig(latency_ms=120)
    assert {draw_latency_ms(config, key, 1) for key in MANY_KEYS[:100]} == {120}


def test_latencies_have_the_mean_and_the_spread_asked_for() -> None:
    config = SimulatorConfig(latency_ms=500, spread_ms=200)
    drawn = [draw_latency_ms(config, key, 1) for key in MANY_KEYS]
    assert statistics.mean(drawn) == pytest.approx(500, rel=0.02)
    assert statistics.stdev(drawn) == pytest.approx(200, rel=0.05)


def test_the_usage_of_all_replies_adds_up_to_the_counters() -> None:
    with SimulatorThread(replace(QUICK, malformed=0.3)) as judge:
        usages = [json.loads(ask(judge, text)[1])["usage"] for text in QUESTIONS]
        stats = judge.stats()
    assert stats["requests"] == len(QUESTIONS)
    assert stats["prompt_tokens"] == sum(usage["prompt_tokens"] for usage in usages)
    assert stats["completion_tokens"] == sum(usage["completion_tokens"] for usage in usages)


def test_a_pair_that_it_does_not_know_is_refused(judge: SimulatorThread) -> None:
    response, body = ask(judge, "Is the moon made of cheese?")
    assert (response.status, json.loads(body)["error"]["code"]) == (400, "unknown_pair")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["model", "messages", "role"]), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_a_body_that_is_no_request_is_refused_with_an_error_object(
    judge: SimulatorThread, body: bytes
) -> None:
    response, reply = post(judge, body)
    assert response.status == 400
    assert json.loads(reply)["error"]["type"] == "invalid_request_error"


def test_a_set_key_is_the_only_one_accepted_and_is_never_repeated() -> None:
    config = replace(QUICK, api_key="the-right-one")
    with SimulatorThread(config) as judge:
        refused, body = ask(judge, QUESTIONS[0], key="a-wrong-one")
        accepted, _ = ask(judge, QUESTIONS[0], key="the-right-one")
    assert (refused.status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
    assert accepted.status == 200
    assert b"one" not in body
    assert "the-right-one" not in repr(config)


def test_a_spent_quota_refuses_everything() -> None:
    with SimulatorThread(replace(QUICK, quota_exhausted=True)) as judge:
        response, body = ask(judge, QUESTIONS[0])
    assert (response.status, json.loads(body)["error"]["code"]) == (429, "insufficient_quota")


def test_it_lists_its_model(judge: SimulatorThread) -> None:
    connection = connect(judge)
    connection.request("GET", "/v1/models")
    listed = json.loads(connection.getresponse().read())
    connection.close()
    assert [model["id"] for model in listed["data"]] == [MODEL]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("error_rate", 1.1),
        ("dropped", -0.1),
        ("stalled", math.nan),
        ("latency_ms", -1),
        ("stall_s", math.inf),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=field):
        SimulatorConfig(**{field: value})


def test_shares_of_faults_that_exceed_one_are_refused() -> None:
    with pytest.raises(UserError, match=r"add up to 1\.2"):
        SimulatorConfig(dropped=0.6, malformed=0.6)


def test_a_spread_around_no_latency_is_refused() -> None:
    with pytest.raises(UserError, match="spread_ms"):
        SimulatorConfig(latency_ms=0, spread_ms=1)


def test_pairs_of_which_none_has_a_label_cannot_be_answered_for() -> None:
    with pytest.raises(UserError, match="no pair has a label"):
        answers_for([Pair("x", "y"), Pair("x", "z")], question)


def test_of_equal_pairs_a_label_goes_before_none() -> None:
    twice = [Pair("x", "y"), Pair("x", "y", label="neutral"), Pair("x", "z")]
    assert [answer.contradiction for answer in answers_for(twice, question).values()] == [False, None]


def test_of_equal_pairs_the_first_label_stands() -> None:
    twice = [Pair("x", "y", label="contradiction"), Pair("x", "y", label="neutral")]
    assert [answer.contradiction for answer in answers_for(twice, question).values()] == [True]


@given(st.text())
@settings(deadline=None, max_examples=50)
def test_any_text_has_a_key(text: str) -> None:
    """Lone surrogates too: a JSON file can hold them."""
    assert len(answer_key(text)) == len(answer_key(text + "\ud800")) == 16
