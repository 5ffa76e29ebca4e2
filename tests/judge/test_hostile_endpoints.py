"""Endpoints that answer in ways that no specification has: each costs its pair at most, never the run."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import (
    Asked,
    Canned,
    RawServer,
    ScriptedJudge,
    completion,
    error,
    http_reply,
    judge,
    kinds,
    verdict,
)

from benchmarks.judge.reply_cache import ReplyCache
from benchmarks.openai_async import AsyncOpenAIClient

Serve = Callable[[Any], ScriptedJudge]
KEY = "sk-proj-" + "abcdefghij" * 15


@pytest.mark.parametrize(
    "tokens",
    ['[{"token": "x", "logprob": 1' + "0" * 400 + "}]", '[{"token": null, "logprob": -1}]', "[{}]", "7"],
)
def test_logprobs_of_any_kind_leave_the_verdict_as_it_is(serve: Serve, tokens: str) -> None:
    reply = json.loads(verdict(True).body)
    body = json.dumps(reply).replace(
        '"finish_reason"', f'"logprobs": {{"content": {tokens}}}, "finish_reason"'
    )
    assert kinds(judge(serve(Canned(body=body.encode())).base_url, logprobs=True)) == [True]


def test_a_reason_phrase_in_other_letters_costs_no_run() -> None:
    said = [
        b"HTTP/1.1 500 Erreur d'ex\xe9cution\r\nContent-Length: 0\r\n\r\n",
        http_reply(200, verdict().body),
    ]
    with RawServer(lambda server, connection: connection.sendall(said[len(server.requests) > 1])) as server:
        assert kinds(judge(server.url.removesuffix("/chat/completions"))) == [True]


@pytest.mark.parametrize("reply", ["choices", "echo", "html", "message"])
def test_no_part_of_a_long_key_gets_into_an_outcome(serve: Serve, reply: str) -> None:
    """Not even the half of it that stands where a message is cut."""
    told = {
        "choices": Canned(body=json.dumps({"choices": f"{KEY} " * 40}).encode()),
        "echo": Canned(body=json.dumps({"headers": {"Authorization": f"Bearer {KEY}"}}).encode()),
        "html": Canned(400, b"<html>" + b" " * 250 + f"Bearer {KEY}".encode()),
        "message": error(500, "x" * 250 + f" {KEY}"),
    }[reply]
    outcomes = judge(serve(told).base_url, api_key=KEY)
    written = repr(outcomes)
    assert not [
        KEY[start : start + 12] for start in range(len(KEY) - 12) if KEY[start : start + 12] in written
    ]


def test_more_room_that_is_refused_is_given_back(serve: Serve) -> None:
    """One long reply must not fail the pairs after it on an endpoint with a small window."""

    def small_window(asked: Asked) -> Canned:
        if asked.payload["max_completion_tokens"] > 1024:
            return error(400, "This model's maximum context length is 4096 tokens, and you asked for more.")
        return completion('{"contra', "length") if "rains 1" in asked.question else verdict()

    assert kinds(judge(serve(small_window).base_url, 6)) == [True, "truncated", True, True, True, True]


def adapting(asked: Asked) -> Canned:
    """Ignores schemas, refuses a temperature, and cuts off one pair at first."""
    if "temperature" in asked.payload:
        return error(400, "Unsupported parameter: 'temperature'")
    if "rains 2" in asked.question and asked.payload["max_completion_tokens"] == 1024:
        return completion('{"contra', "length")
    return completion("Yes, they contradict each other.")


def test_a_repeated_run_is_free_on_an_endpoint_that_had_to_be_learnt(serve: Serve, tmp_path: Path) -> None:
    server = serve(adapting)
    first = judge(server.base_url, 8, replies=ReplyCache(tmp_path / "replies"))
    paid = len(server.asked)
    second = judge(server.base_url, 8, replies=ReplyCache(tmp_path / "replies"))
    assert kinds(first) == kinds(second) == [True] * 8
    assert len(server.asked) == paid


def test_a_run_from_the_cache_lets_others_have_their_turn(serve: Serve, tmp_path: Path) -> None:
    """Ctrl-C, for one, which is heard between two steps of the event loop."""
    server = serve(verdict())

    async def run() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count())
        replies = ReplyCache(tmp_path / "replies")
        async with AsyncOpenAIClient(base_url=server.base_url, replies=replies) as client:
            await client.judge("It rains.", "It is dry.")
            turns = 0
            for _ in range(20):
                await client.judge("It rains.", "It is dry.")
        counting.cancel()
        return turns

    assert asyncio.run(run()) >= 20


def test_logprobs_that_are_forbidden_are_left_out(serve: Serve) -> None:
    def forbids(asked: Asked) -> Canned:
        refused = error(403, "You are not allowed to request logprobs from this model")
        return refused if "logprobs" in asked.payload else verdict()

    assert kinds(judge(serve(forbids).base_url, 2, logprobs=True)) == [True, True]


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "max_completion_tokens"], "msg": "Extra inputs are not permitted"}]},
        {"message": {"detail": [{"loc": ["body", "max_completion_tokens"], "msg": "extra"}]}},
    ],
)
def test_a_validation_error_tells_the_parameter_by_its_place(serve: Serve, body: Any) -> None:
    def validates(asked: Asked) -> Canned:
        refused = Canned(422, json.dumps(body).encode())
        return refused if "max_completion_tokens" in asked.payload else verdict()

    assert kinds(judge(serve(validates).base_url, 2)) == [True, True]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}], "auth"),
        ({"message": "Invalid model: gpt-9"}, "unknown_model"),
        ({"error": {"message": "gpt-9 is not a valid model ID", "code": 400}}, "unknown_model"),
    ],
)
def test_a_400_that_can_never_heal_ends_the_run(serve: Serve, body: Any, kind: str) -> None:
    assert kinds(judge(serve(Canned(400, json.dumps(body).encode())).base_url)) == [kind]


def test_the_same_words_of_an_endpoint_that_has_answered_cost_their_pair_alone(serve: Serve) -> None:
    said = [verdict(), error(400, "Invalid text: 'the api key of model x is invalid'"), verdict()]
    assert kinds(judge(serve(said).base_url, 3)) == [True, "bad_request", True]


def test_an_unusable_reply_that_was_billed_is_paid(serve: Serve) -> None:
    body = {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}
    [outcome] = judge(serve(Canned(body=json.dumps(body).encode())).base_url)
    assert kinds([outcome]) == ["bad_response"]
    assert (outcome.usage.prompt, outcome.usage.completion) == (300, 60)


def test_a_header_of_ordinary_words_damages_no_reply(serve: Serve) -> None:
    assert kinds(judge(serve(verdict()).base_url, headers={"X-Title": "contradiction benchmark"})) == [True]


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_reply_that_is_packed_all_the_same_is_read(
    serve: Serve, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = Canned(body=pack(verdict().body), headers={"Content-Encoding": encoding})
    assert kinds(judge(serve(packed).base_url)) == [True]


def test_a_small_reply_that_unpacks_to_a_huge_one_is_refused(serve: Serve) -> None:
    bomb = Canned(body=gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})
    assert kinds(judge(serve(bomb).base_url)) == ["bad_response"]
