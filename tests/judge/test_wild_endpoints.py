"""Endpoints as they are met: refusals of many shapes and wordings, each through six pairs, two in flight."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from servers import HOST, Asked, Canned, ScriptedJudge, completion, error, verdict

from benchmarks.judge.retries import RetryPolicy
from benchmarks.judge.transports import HttpReply
from benchmarks.judge.urllib_transport import UrllibTransport
from benchmarks.openai_async import AsyncOpenAIClient, run_async_benchmark
from kimera.pairs import Failure

pytestmark = pytest.mark.slow  # many whole runs

Serve = Callable[[Any], ScriptedJudge]
Responder = Callable[[Asked], Canned]
SCHEMA, FORMAT = "json_schema", "response_format"
PAIRS = 6
GATEWAY = "The provider answered with an error"


def run(server: ScriptedJudge, pairs: int = PAIRS, in_flight: int = 2, **options: Any) -> Counter[str | bool]:
    """How many pairs came to which verdict, or to which kind of failure."""
    asked = [(f"Pair {number}: it rains.", "It is dry.") for number in range(pairs)]
    found = asyncio.run(run_async_benchmark(asked, in_flight, base_url=server.base_url, **options))
    return Counter(
        each.kind if isinstance(each, Failure) else each.contradiction for each in found["results"]
    )


def canned(status: int, body: Any, headers: dict[str, str] | None = None) -> Canned:
    return Canned(status, (body if isinstance(body, str) else json.dumps(body)).encode(), headers or {})


def holds(asked: Asked, part: str) -> bool:
    return part in asked.payload or part == (asked.payload.get("response_format") or {}).get("type")


def refusing(part: str, status: int, body: Any) -> Responder:
    return lambda asked: canned(status, body) if holds(asked, part) else verdict()


def first_of_each_pair(status: int, body: Any) -> Responder:
    seen: set[str] = set()

    def answer(asked: Asked) -> Canned:
        is_first = asked.question not in seen
        seen.add(asked.question)
        return canned(status, body) if is_first else verdict()

    return answer


def for_a_while(seconds: float, reply: Canned) -> Responder:
    begun = time.monotonic()
    return lambda asked: reply if time.monotonic() - begun < seconds else verdict()


RAW = json.dumps(
    {"detail": [{"loc": ["body", FORMAT, SCHEMA, "strict"], "msg": "extra fields not permitted"}]}
)


@pytest.mark.parametrize(
    ("part", "status", "body"),
    [
        (
            SCHEMA,
            400,
            {"error": {"message": "Sorry, that kind of response_format cannot be used at present"}},
        ),
        (
            SCHEMA,
            400,
            [{"error": {"message": "No such name 'type' at 'response_schema.properties[0].value'"}}],
        ),
        (FORMAT, 422, {"detail": [{"loc": ["body", FORMAT], "msg": "Extra inputs are not permitted"}]}),
        (SCHEMA, 400, {"message": "This model doesn't do structured outputs", "code": 20015, "data": None}),
        (FORMAT, 400, "json mode is not enabled for this deployment"),
        (SCHEMA, 404, {"error": {"message": "No endpoints found that handle the requested parameters."}}),
        (
            SCHEMA,
            400,
            {"errors": [{"code": "E_SCHEMA", "title": "additionalProperties is not allowed here"}]},
        ),
        (FORMAT, 400, {"error": {"message": "Something about your request is off."}}),
        (FORMAT, 400, ""),
        (FORMAT, 500, "<html><body><h1>500</h1>Internal error</body></html>"),
        (SCHEMA, 400, {"error": {"message": GATEWAY, "metadata": {"raw": RAW}}}),
        ("temperature", 400, {"error": {"message": "temperature is deprecated with this model"}}),
        ("temperature", 422, {"object": "error", "message": [{"loc": ["body", "temperature"], "msg": "x"}]}),
        ("temperature", 500, {"error": {"message": "temperature has to be strictly positive"}}),
        ("temperature", 404, {"error": "unknown parameter: temperature"}),
        ("seed", 400, {"error": {"message": "bad request"}}),
        ("max_completion_tokens", 400, {"error": {"message": "invalid"}}),
        ("stream", 400, {"error": "stream must not be given"}),
    ],
)
def test_what_an_endpoint_refuses_is_left_out_in_whatever_words(
    serve: Serve, part: str, status: int, body: Any
) -> None:
    server = serve(refusing(part, status, body))
    assert run(server) == {True: PAIRS}
    assert len(server.asked) <= PAIRS + 8


def test_a_system_message_that_is_refused_becomes_part_of_the_question(serve: Serve) -> None:
    def answer(asked: Asked) -> Canned:
        has_system = asked.payload["messages"][0]["role"] == "system"
        return error(400, "System role not supported") if has_system else verdict()

    assert run(serve(answer)) == {True: PAIRS}


def test_two_things_that_are_refused_without_a_word_are_both_found(serve: Serve) -> None:
    def answer(asked: Asked) -> Canned:
        return canned(400, "no") if holds(asked, "seed") or holds(asked, SCHEMA) else verdict()

    assert run(serve(answer)) == {True: PAIRS}


def test_what_helped_stands_in_the_settings(serve: Serve) -> None:
    server = serve(refusing(SCHEMA, 400, {"error": "no"}))

    async def settings() -> dict[str, Any]:
        async with AsyncOpenAIClient(base_url=server.base_url) as client:
            await client.judge("It rains.", "It is dry.")
            return client.settings()

    assert "json_object instead of json_schema" in asyncio.run(settings())["learnt"][0]


@pytest.mark.parametrize("body", [{"error": {"message": "Gremlins."}}, "nope", {}])
def test_an_endpoint_that_refuses_everything_ends_the_run_with_its_own_words(serve: Serve, body: Any) -> None:
    server = serve(canned(400, body))
    assert run(server)["refused"] in {1, 2}, "of the two in flight"
    assert len(server.asked) <= 30


def test_faults_that_heal_by_themselves_change_nothing(serve: Serve) -> None:
    server = serve(lambda asked: error(500, "oops") if asked.number < 4 else verdict())
    assert run(server) == {True: PAIRS}
    assert holds(server.asked[-1], SCHEMA)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "The model's JSON could not be generated.", "failed_generation": "{"}}),
        (400, {"error": {"message": "Model output did not match the schema", "code": "output_parse_failed"}}),
        (422, {"detail": "could not parse the generated JSON"}),
        (422, {"error": {"message": "Model output is not valid against the requested structure"}}),
        (400, {"error": {"message": "The model returned arguments that are not valid for the tool json"}}),
        (400, {"error": {"message": "Invalid JSON from the model"}}),
        (500, {"error": {"message": "model generated an invalid object"}}),
        (500, {"error": "The grammar sampler failed to complete the object"}),
    ],
)
def test_a_format_that_fails_now_and_then_is_asked_for_again(serve: Serve, status: int, body: Any) -> None:
    server = serve(first_of_each_pair(status, body))
    assert run(server) == {True: PAIRS}
    assert all(holds(asked, SCHEMA) for asked in server.asked)


def test_one_refusal_of_a_format_that_others_were_answered_in_changes_nothing(serve: Serve) -> None:
    reply = error(400, "response_format could not be applied this time")
    server = serve(lambda asked: reply if asked.number == 3 else verdict())
    assert run(server) == {True: PAIRS}
    assert all(holds(asked, SCHEMA) for asked in server.asked)


def test_a_format_that_always_fails_is_given_up(serve: Serve) -> None:
    server = serve(refusing(SCHEMA, 400, {"error": {"message": "Generated text is not valid JSON"}}))
    assert run(server) == {True: PAIRS}
    assert holds(server.asked[-1], "json_object")


def too_many(most: int, status: int, body: Any, long_pair: str = "no pair") -> Responder:
    """Refuses more room than that; one pair is always cut off."""

    def answer(asked: Asked) -> Canned:
        limit = asked.payload.get("max_completion_tokens") or asked.payload.get("max_tokens") or 0
        if limit > most:
            return canned(status, body)
        return completion("", "length") if long_pair in asked.question else verdict()

    return answer


@pytest.mark.parametrize(
    ("most", "status", "body"),
    [
        (8192, 400, {"error": {"message": "InvalidParameter: max_tokens has to lie in [1, 8192]"}}),
        (1024, 400, {"message": "no"}),
        (
            2000,
            402,
            {"error": {"message": "You can only afford 1500. Fewer max_tokens or more credits, please."}},
        ),
        (1024, 400, "This model's maximum context length is 4096 tokens; you asked for 5000."),
    ],
)
def test_more_room_that_is_refused_costs_only_the_pair_that_needed_it(
    serve: Serve, most: int, status: int, body: Any
) -> None:
    assert run(serve(too_many(most, status, body, "Pair 3:")), 20) == {True: 19, "truncated": 1}


@pytest.mark.parametrize(
    ("most", "body", "accepted"),
    [
        (
            512,
            {"error": {"message": "max_completion_tokens is too large: 1024. At most 512 are supported."}},
            512,
        ),
        (300, {"error": "max_tokens exceeds what is allowed"}, 256),
        (
            700,
            {"detail": [{"loc": ["body", "max_completion_tokens"], "msg": "less than or equal to 700"}]},
            700,
        ),
    ],
)
def test_a_first_limit_that_is_refused_is_lowered(serve: Serve, most: int, body: Any, accepted: int) -> None:
    server = serve(too_many(most, 400, body))
    assert run(server) == {True: PAIRS}
    assert server.asked[-1].payload["max_completion_tokens"] == accepted


@pytest.mark.parametrize(
    "words",
    [
        "`max_tokens` must be at most 512, since it has to be less than the `context_window` of this model",
        "The output asked for is too long for this model; see max_tokens",
        "max_tokens and the prompt exceed the context length",
    ],
)
def test_a_limit_that_is_refused_for_every_pair_is_not_sent_for_every_pair(serve: Serve, words: str) -> None:
    server = serve(too_many(512, 400, {"error": {"message": words, "param": "max_tokens"}}))
    assert run(server, 20) == {True: 20}
    assert len(server.asked) <= 20 + 5


@pytest.mark.parametrize("status", [201, 202, 203])
def test_a_verdict_is_read_whatever_its_success_is_called(serve: Serve, status: int) -> None:
    server = serve(replace(verdict(), status=status))
    assert run(server) == {True: PAIRS}
    assert len(server.asked) == PAIRS


def test_a_pair_without_room_for_the_limit_takes_it_from_no_other(serve: Serve) -> None:
    words = "The maximum context length is 4096 tokens: 3800 in the messages, 1024 in the completion."
    refuses = too_many(600, 400, words)
    server = serve(lambda asked: refuses(asked) if "Pair 3:" in asked.question else verdict())
    assert run(server, 20) == {True: 20}
    assert len(server.asked) == 21
    assert server.asked[-1].payload["max_completion_tokens"] == 1024


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "Model Does Not Exist"}}, "unknown_model"),
        (
            404,
            {"error": {"code": "DeploymentNotFound", "message": "No such API deployment here."}},
            "unknown_model",
        ),
        (400, {"error": {"message": "The model `gpt-4o` has been decommissioned."}}, "unknown_model"),
        (410, {"error": {"message": "gpt-4o reached its end of life"}}, "unknown_model"),
        (403, {"error": {"message": "Project does not have access to model gpt-4o"}}, "unknown_model"),
        (500, {"detail": "Model gpt-4o not found"}, "unknown_model"),
        (
            422,
            {"detail": [{"loc": ["body", "model"], "msg": "not a valid enumeration member"}]},
            "unknown_model",
        ),
        (404, {"error": {"message": "No endpoints found for gpt-4o."}}, "unknown_model"),
        (200, {"error": {"message": "the model gpt-4o does not exist", "code": 404}}, "unknown_model"),
        (404, "<html><head><title>404</title></head><body>nginx</body></html>", "wrong_url"),
        (404, {"detail": "Not Found"}, "wrong_url"),
        (200, {"error": "Invalid API key"}, "auth"),
        (200, {"code": "401", "message": "key not accepted"}, "auth"),
        (200, {"error": {"code": "invalid_api_key"}, "choices": [{"message": {"content": ""}}]}, "auth"),
        (402, {"error": {"message": "Insufficient Balance"}}, "quota"),
        (429, {"error": {"message": "You have run out of credits; please top up"}}, "quota"),
        (403, {"error": {"message": "Your account has been suspended due to unpaid invoices"}}, "quota"),
        (400, {"code": "Arrearage", "message": "make sure your account is in good standing"}, "quota"),
        (429, {"error": {"message": "Try again in 3h12m5s"}}, "long_wait"),
        (429, {"error": {"message": "Your daily limit is used up"}}, "long_wait"),
        (429, {"message": "A trial key is limited to 1000 calls / month. Upgrade to go on."}, "long_wait"),
        (429, {"error": {"metadata": {"headers": {"X-RateLimit-Reset": "4102444800000"}}}}, "long_wait"),
        (429, {"message": "The quota resets at 2999-01-01T00:00:00Z"}, "long_wait"),
    ],
)
def test_what_never_heals_ends_the_run_after_one_request(
    serve: Serve, status: int, body: Any, kind: str
) -> None:
    server = serve(canned(status, body))
    assert run(server, in_flight=1) == {kind: 1, "not_asked": PAIRS - 1}
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["x-ratelimit-reset", "anthropic-ratelimit-requests-reset", "retry-after"])
@pytest.mark.parametrize("moment", ["4102444800", "4102444800000", "2999-01-01T00:00:00Z"])
def test_a_reset_told_as_a_moment_says_when_to_come_back(serve: Serve, name: str, moment: str) -> None:
    server = serve(canned(429, {"error": "limit"}, {name: moment}))
    found = asyncio.run(run_async_benchmark([("It rains.", "It is dry.")], base_url=server.base_url))
    [failure] = found["results"]
    assert failure.kind == "long_wait"
    assert "come back on 2" in failure.message


@pytest.mark.parametrize(
    "reply",
    [
        canned(429, [{"error": {"message": "Quota used up", "details": [{"retryDelay": "0.3s"}]}}]),
        canned(429, {"error": {"message": "Rate limit. Please try again in 300 milliseconds."}}),
        canned(429, {"error": {"message": "slow"}, "retry_after_ms": 300}),
        canned(503, {"error": "The model is currently loading", "estimated_time": 0.3}),
        canned(
            200, {"choices": [{"error": {"message": "try again in 0.3s", "code": "rate_limit_exceeded"}}]}
        ),
        canned(200, {"error": {"message": GATEWAY, "code": 429, "metadata": {"retry_after": 0.3}}}),
    ],
)
def test_no_pair_is_asked_again_before_the_endpoint_said(serve: Serve, reply: Canned) -> None:
    moments: dict[str, list[float]] = {}
    answer = for_a_while(0.2, reply)

    def noting(asked: Asked) -> Canned:
        moments.setdefault(asked.question, []).append(time.monotonic())
        return answer(asked)

    assert run(serve(noting)) == {True: PAIRS}
    again = [asked[1] - asked[0] for asked in moments.values() if len(asked) > 1]
    assert again
    assert min(again) >= 0.3


@pytest.mark.parametrize(
    "reply",
    [
        canned(200, {"choices": [{"message": {"content": ""}, "finish_reason": "SAFETY"}]}),
        canned(200, {"choices": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
        canned(200, {"choices": [], "prompt_filter_results": [{"hate": {"filtered": True}}]}),
        canned(200, {"choices": [{"message": {"content": None}, "native_finish_reason": "RECITATION"}]}),
        canned(200, {"choices": [{"message": {"content": [{"type": "refusal", "refusal": "No."}]}}]}),
        canned(
            400, {"error": {"code": "data_inspection_failed", "message": "may contain inappropriate content"}}
        ),
        canned(403, {"error": {"message": "Your input was flagged", "metadata": {"reasons": ["violence"]}}}),
        canned(400, {"error": {"message": "This prompt goes against our usage policies"}}),
        canned(403, {"error": {"message": "Your input was flagged. No credits were charged."}}),
    ],
)
def test_a_filter_in_any_dress_is_asked_once(serve: Serve, reply: Canned) -> None:
    server = serve(reply)
    assert run(server) == {"content_filter": PAIRS}
    assert len(server.asked) == PAIRS


class _Shop(BaseHTTPRequestHandler):
    """Knows two models, and not the one that is asked for."""

    def do_POST(self) -> None:
        self._say(404, {"error": {"message": "model not found"}})

    def do_GET(self) -> None:
        self._say(200, {"data": [{"id": "zebra-9"}, {"id": "gpt-4o-mini"}]})

    def _say(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def test_an_unknown_model_is_told_with_those_that_there_are() -> None:
    server = ThreadingHTTPServer((HOST, 0), _Shop)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://{HOST}:{server.server_address[1]}/v1"
    found = asyncio.run(run_async_benchmark([("It rains.", "It is dry.")], 2, base_url=url))
    server.shutdown()
    server.server_close()
    assert "the endpoint offers gpt-4o-mini, zebra-9" in found["results"][0].message


class _Broken(UrllibTransport):
    """A transport with a bug."""

    posts = 0

    async def post(self, *_: Any, **__: Any) -> HttpReply:
        self.posts += 1
        raise AttributeError("a bug of ours")


def test_an_error_of_ours_is_logged_and_never_asked_again(serve: Serve) -> None:
    transport = _Broken()
    server = serve(verdict())
    pairs = [("It rains.", "It is dry.")]
    found = asyncio.run(run_async_benchmark(pairs, 1, base_url=server.base_url, transport=transport))
    [failure] = found["results"]
    path = failure.message.split("traceback is in ")[1].split(";")[0]
    assert failure.kind == "internal"
    assert transport.posts == 1
    with open(path, encoding="utf-8") as log:
        assert "AttributeError: a bug of ours" in log.read()


def test_a_transport_that_was_given_serves_a_second_block(serve: Serve) -> None:
    server = serve(verdict())

    async def ask_twice() -> list[bool]:
        transport = UrllibTransport()
        client = AsyncOpenAIClient(base_url=server.base_url, transport=transport, policy=RetryPolicy())
        answers = []
        for _ in range(2):
            async with client:
                answers.append((await client.detect_contradiction_async("It rains.", "It is dry."))[0])
        await transport.aclose()
        return answers

    assert asyncio.run(ask_twice()) == [True, True]
