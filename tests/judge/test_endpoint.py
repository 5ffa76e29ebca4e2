"""One endpoint: what it is sent, what is learnt from its refusals, and that the key stays here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import Asked, Canned, RawServer, ScriptedJudge, completion, error, judge, kinds, saying, verdict

from benchmarks.judge.endpoint import Endpoint
from benchmarks.judge.retries import RetryPolicy
from benchmarks.openai_async import AsyncOpenAIClient
from kimera.errors import UserError
from kimera.pairs import Verdict
from kimera.version import __version__

Serve = Callable[[Any], ScriptedJudge]
LOOPBACK = "http://127.0.0.1:9/v1"
KEY = "sk-test-0123456789"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "localhost:8000",
        "ftp://localhost/v1",
        "http://",
        "http://[::1",
        "http://localhost:99999",
        "http://localhost:port/v1",
        "http://user:secret@localhost/v1",
    ],
)
def test_a_base_url_that_cannot_work_is_refused(base_url: str) -> None:
    with pytest.raises(UserError, match="base URL"):
        Endpoint(base_url, KEY, "m", 1.0)


@pytest.mark.parametrize("base_url", ["https://host/v1?api_key=secret", "https://host/v1#top"])
def test_a_base_url_with_a_query_is_refused_since_nothing_can_follow_it(base_url: str) -> None:
    with pytest.raises(UserError, match="base URL"):
        Endpoint(base_url, KEY, "m", 1.0)


@pytest.mark.parametrize("base_url", ["http://localhost:1/v1", "http://127.0.0.1:1", "http://[::1]:1/v1/"])
def test_an_endpoint_on_loopback_needs_no_key(base_url: str) -> None:
    Endpoint(base_url, "", "m", 1.0)


def test_any_other_endpoint_needs_one() -> None:
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        Endpoint("https://api.example.com/v1", "", "m", 1.0)


@pytest.mark.parametrize(
    "key", ["sk-sécret", "sk-secret\n", " sk-secret", "sk secret", "sk-\0secret", "“sk-secret”"]
)
def test_a_key_that_no_header_takes_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(UserError) as caught:
        Endpoint(LOOPBACK, key, "m", 1.0)
    assert "secret" not in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    client = AsyncOpenAIClient(KEY, base_url=LOOPBACK)
    assert KEY not in repr(client) + repr(client.endpoint) + repr(client.settings())


@pytest.mark.parametrize("slash", ["", "/", "//"])
def test_a_request_goes_to_the_chat_completions_of_the_base_url_with_the_key(
    serve: Serve, slash: str
) -> None:
    server = serve(verdict())
    judge(server.base_url + slash, api_key=KEY, model="a-model")
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.payload["model"] == "a-model"
    assert "It rains 0." in asked.question


def test_without_a_key_none_is_sent(serve: Serve) -> None:
    server = serve(verdict())
    judge(server.base_url)
    assert "authorization" not in server.asked[0].headers


def test_a_request_says_who_asks_unless_the_user_says_otherwise(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")  # which plain http does not need
    server = serve(verdict())
    judge(server.base_url)
    assert server.asked[0].headers["user-agent"] == f"kimera/{__version__}"
    assert server.asked[0].headers["accept-encoding"] == "identity"
    judge(
        server.base_url, headers={"user-agent": "mine/1", "CONTENT-TYPE": "application/json; charset=utf-8"}
    )
    own = server.asked[1].headers
    assert own["user-agent"] == "mine/1"
    assert own["content-type"] == "application/json; charset=utf-8"


def test_over_https_the_certificates_that_are_named_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(UserError, match="SSL_CERT_FILE"):
        judge("HTTPS://127.0.0.1:9/v1")


def refusing(*words: str) -> Callable[[Asked], Canned]:
    """A server that answers 400 to a request with one of these words among its parameters."""

    def answer(asked: Asked) -> Canned:
        parameters = json.dumps({name: value for name, value in asked.payload.items() if name != "messages"})
        named = [word for word in words if f'"{word}"' in parameters]
        return (
            error(400, f"Unsupported parameter: '{named[0]}'", "unsupported_parameter")
            if named
            else verdict()
        )

    return answer


@pytest.mark.parametrize(
    "name", ["temperature", "response_format", "max_completion_tokens", "json_schema", "seed"]
)
def test_a_parameter_that_is_refused_is_left_out_for_the_rest_of_the_run(serve: Serve, name: str) -> None:
    server = serve(refusing(name))
    outcomes = judge(server.base_url, count=3)
    assert kinds(outcomes) == [True] * 3
    refused = len(outcomes[0].attempts) - 1
    assert 1 <= refused <= 2
    assert [len(outcome.attempts) for outcome in outcomes[1:]] == [1, 1], "learnt once for all"
    assert [attempt.error for attempt in outcomes[0].attempts] == ["adapting"] * refused + [None]


def test_several_refused_parameters_are_learnt_one_after_the_other(serve: Serve) -> None:
    server = serve(refusing("temperature", "seed", "max_completion_tokens", "json_schema"))
    outcomes = judge(server.base_url, count=2, max_retries=1)
    assert kinds(outcomes) == [True, True]
    assert len(outcomes[1].attempts) == 1


def test_an_endpoint_without_any_limit_parameter_is_learnt_too(serve: Serve) -> None:
    server = serve(refusing("max_completion_tokens", "max_tokens"))
    assert kinds(judge(server.base_url, count=2)) == [True, True]


def test_a_400_that_names_nothing_of_ours_is_the_failure_of_this_pair(serve: Serve) -> None:
    server = serve([error(400, "This text is too long."), verdict()])
    assert kinds(judge(server.base_url, count=2)) == ["bad_request", True]
    assert len(server.asked) == 2


def formats(server: ScriptedJudge) -> list[str | None]:
    return [asked.payload.get("response_format", {}).get("type") for asked in server.asked]


def test_a_schema_that_is_ignored_steps_down_and_the_reply_is_used_if_it_is_clear(serve: Serve) -> None:
    server = serve(completion("Yes, they contradict each other."))
    assert kinds(judge(server.base_url, count=3)) == [True] * 3
    assert formats(server) == ["json_schema", "json_object", None]


def test_a_fenced_reply_is_used_and_the_schema_not_asked_for_again(serve: Serve) -> None:
    server = serve(completion('```json\n{"contradiction": false, "confidence": 0.8, "reasoning": ""}\n```'))
    assert kinds(judge(server.base_url, count=2)) == [False, False]
    assert formats(server) == ["json_schema", "json_object"]


def test_an_endpoint_that_keeps_to_the_schema_is_never_stepped_down(serve: Serve) -> None:
    server = serve(verdict(None))
    judge(server.base_url, count=3)
    assert formats(server) == ["json_schema"] * 3


def test_one_odd_reply_of_an_endpoint_that_has_kept_to_the_schema_changes_nothing(serve: Serve) -> None:
    server = serve([verdict(), verdict(), completion("No."), verdict()])
    judge(server.base_url, count=5)
    assert formats(server) == ["json_schema"] * 5


def test_a_judge_that_was_cut_off_gets_more_room_for_the_rest_of_the_run(serve: Serve) -> None:
    server = serve([completion('{"contra', finish_reason="length"), verdict()])
    assert kinds(judge(server.base_url, count=2)) == [True, True]
    rooms = [asked.payload["max_completion_tokens"] for asked in server.asked]
    assert rooms[0] < rooms[1] == rooms[2]


@pytest.mark.parametrize(
    "reply",
    [
        completion(f'{{"contradiction": true, "confidence": 0.9, "reasoning": "{KEY}"}}'),
        completion(f"I was given {KEY}, and that is all."),
        completion(None, refusal=f"{KEY}!"),
        error(400, f"Bad request with Bearer {KEY}"),
        error(401, f"Incorrect API key provided: {KEY}"),
        error(429, f"Slow down, {KEY}", f"{KEY}"),
        error(500, f"Failed for {KEY}"),
        Canned(body=f"<html>{KEY}</html>".encode()),
        Canned(503, f"proxy: {KEY}".encode()),
    ],
)
def test_a_key_that_the_server_quotes_gets_into_no_outcome(serve: Serve, reply: Canned) -> None:
    outcome = judge(serve(reply).base_url, api_key=KEY, policy=RetryPolicy(max_retries=1, base_s=0.001))[0]
    assert KEY not in repr(outcome) + outcome.raw


def compare(base_url: str, tmp_path: Path, *flags: str) -> tuple[str, Path]:
    """What the command prints when it asks the judge about three pairs, and the folder of the run."""
    pairs, out = tmp_path / "pairs.csv", tmp_path / "run"
    pairs.write_text(
        "text1,text2,label\n" + "".join(f"It rains {n}.,It is dry.,contradiction\n" for n in range(3))
    )
    command = [sys.executable, "-m", "benchmarks.llm_compare", str(pairs), "--judge-only", "--no-viz"]
    done = subprocess.run(
        [*command, "--base-url", base_url, "--out", str(out), *flags],
        cwd=ROOT, env={**os.environ, "OPENAI_API_KEY": KEY}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr, out


@pytest.mark.slow
def test_a_key_that_the_server_quotes_gets_into_no_file_of_a_run(serve: Serve, tmp_path: Path) -> None:
    replies = [
        completion(f'{{"contradiction": true, "confidence": 1, "reasoning": "{KEY}"}}'),
        error(500, f"Failed for {KEY}"),
        completion(f"Your key is {KEY}."),
        error(400, f"Bad key {KEY}"),
        error(401, f"Wrong key {KEY}"),
    ]
    printed, out = compare(serve(replies).base_url, tmp_path)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert KEY not in printed
    assert [path.name for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_a_reply_of_any_characters_ends_in_a_report(serve: Serve, tmp_path: Path) -> None:
    reasoning = "\ud800 \0 \x1b[31m =1+1 </script> \u202e"
    _, out = compare(serve(verdict(True, 0.9, reasoning)).base_url, tmp_path)
    assert (out / "summary.json").exists()


@pytest.mark.parametrize(
    ("key", "as_json"),
    [
        ("sk-a/b0123456789", "sk-a\\/b0123456789"),
        ('sk-"0123456789', 'sk-\\"0123456789'),
        (KEY, KEY.replace("s", "\\u0073")),
    ],
)
def test_a_key_that_is_quoted_with_escapes_gets_into_no_outcome(serve: Serve, key: str, as_json: str) -> None:
    body = f'{{"choices": [{{"message": {{"content": null, "refusal": "no: {as_json}"}}}}]}}'.encode()
    outcome = judge(serve(Canned(body=body)).base_url, api_key=key)[0]
    assert key not in outcome.result.message  # type: ignore[union-attr]


def test_a_key_that_is_quoted_by_what_is_not_http_gets_into_no_outcome() -> None:
    with RawServer(saying(f"Bearer {KEY}\r\n\r\n".encode())) as server:
        outcome = judge(f"http://{server.address}/v1", api_key=KEY, policy=RetryPolicy(max_retries=0))[0]
    assert KEY not in repr(outcome)


def test_a_key_in_a_header_of_the_users_own_gets_into_no_outcome(serve: Serve) -> None:
    server = serve(error(400, f"Bad request with api-key {KEY}"))
    assert KEY not in repr(judge(server.base_url, headers={"api-key": KEY})[0])


@pytest.mark.parametrize("key", ["1", "true", "content", "none", "x"])
def test_a_short_made_up_key_damages_no_reply(serve: Serve, key: str) -> None:
    server = serve(verdict(True, 0.91, "none of the 2 texts, true or not, explains it"))
    outcome = judge(server.base_url, api_key=key)[0]
    assert isinstance(outcome.result, Verdict)
    assert outcome.result.reasoning == "none of the 2 texts, true or not, explains it"


def test_what_a_server_asks_to_wait_is_obeyed_or_reported(serve: Serve) -> None:
    server = serve([error(429, "slow", headers={"Retry-After": "7200"}), verdict()])
    assert kinds(judge(server.base_url, count=2)) == ["long_wait", True]


def test_a_broken_server_is_retried_although_its_buckets_fill_slowly(serve: Serve) -> None:
    """OpenAI sends x-ratelimit-reset-* with every reply, whatever went wrong."""
    server = serve([error(500, "oops", headers={"x-ratelimit-reset-tokens": "6m0s"}), verdict()])
    assert kinds(judge(server.base_url)) == [True]


def test_a_server_that_breaks_on_the_schema_is_asked_without_it(serve: Serve) -> None:
    """As llama.cpp's server does: 500, and a message that quotes what was refused."""
    message = "1 validation error: {'loc': ('body', 'response_format', 'type'), 'input': 'json_schema'}"
    server = serve([error(500, message), verdict()])
    assert kinds(judge(server.base_url)) == [True]
    assert server.asked[1].payload["response_format"] == {"type": "json_object"}
