"""A judge over another API than chat completions: a class says how that speaks, the rest is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from servers import Asked, Canned, ScriptedJudge, judge, kinds

import benchmarks
from benchmarks.judge.chat_protocol import ChatProtocol, Messages
from benchmarks.judge.completions import Completion
from benchmarks.judge.error_bodies import ErrorReply, read_error_body
from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS
from benchmarks.judge.rates import StatedLimit
from benchmarks.judge.request_form import PLAIN_TEXT, RequestForm
from benchmarks.judge.usage import read_usage
from benchmarks.llm_compare import main
from benchmarks.openai_async import AsyncOpenAIClient

Serve = Callable[[Any], ScriptedJudge]
KEY = "k-0123456789"
VERDICT = '{"contradiction": true, "confidence": 0.9, "reasoning": "r", "cannot_tell": false}'
SAID = json.dumps({"said": VERDICT, "cost": {"input_tokens": 7, "output_tokens": 3}}).encode()


class Plain:
    """An API of nobody's: /ask, the key in X-Pass, one text in and one text out."""

    name = "plain"

    def url(self, base_url: str) -> str:
        return f"{base_url}/ask"

    def headers(self, key: str) -> dict[str, str]:
        return {"X-Pass": key}

    def first_form(self, *, logprobs: bool) -> RequestForm:
        return RequestForm(
            formats=("strict", PLAIN_TEXT), limit_parameters=("room",), optional=(("seed", 0),)
        )

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        asked: dict[str, Any] = {"messages": messages, "who": model, "room": form.max_tokens}
        strict = {"structured output": True} if form.reply_format == "strict" else {}
        return json.dumps({**asked, **dict(form.optional), **strict}).encode()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorReply | None:
        return None if status == 200 else ErrorReply(status, read_error_body(body))

    def read(self, body: bytes) -> Completion:
        reply = json.loads(body)
        return Completion(reply["said"], "stop", "", read_usage(reply["cost"]), "", body=body)

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        return {"requests": StatedLimit.of(headers, "x-most", "x-left")}


PLAIN: ChatProtocol = Plain()


def refusing(part: str, words: str) -> Callable[[Asked], Canned]:
    return lambda asked: Canned(400, words.encode()) if part in asked.payload else Canned(body=SAID)


def test_a_pair_is_asked_about_in_the_words_of_that_api(serve: Serve) -> None:
    server = serve(Canned(body=SAID))
    (outcome,) = judge(server.base_url, api_key=KEY, model="a-model", protocol=PLAIN)
    (asked,) = server.asked
    assert kinds([outcome]) == [True]
    assert (outcome.usage.prompt, outcome.usage.completion) == (7, 3)
    assert (asked.path, asked.headers["x-pass"], asked.payload["room"]) == ("/v1/ask", KEY, 1024)
    assert "authorization" not in asked.headers


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("structured output", "structured output is not supported"),
        ("structured output", "no"),
        ("seed", "unexpected keyword 'seed'"),
    ],
)
def test_what_that_api_refuses_is_learnt_in_the_same_way(serve: Serve, part: str, words: str) -> None:
    outcomes = judge(serve(refusing(part, words)).base_url, count=2, protocol=PLAIN)
    assert kinds(outcomes) == [True, True]
    assert [len(outcome.attempts) for outcome in outcomes] == [2, 1]


def test_the_key_that_it_shows_in_its_own_header_gets_into_no_outcome(serve: Serve) -> None:
    (outcome,) = judge(serve(Canned(400, f"bad {KEY}".encode())).base_url, api_key=KEY, protocol=PLAIN)
    assert KEY not in repr(outcome)


def test_a_reply_that_it_cannot_read_is_an_error_of_ours_and_not_the_endpoints(serve: Serve) -> None:
    assert kinds(judge(serve(Canned(body=b"{}")).base_url, protocol=PLAIN)) == ["internal"]


def test_a_summary_names_the_protocol_where_it_is_not_chat_completions() -> None:
    told = [
        AsyncOpenAIClient(KEY, protocol=protocol).settings().get("protocol")
        for protocol in (PLAIN, CHAT_COMPLETIONS)
    ]
    assert told == ["plain", None]


def test_a_run_and_its_dry_run_ask_in_the_words_of_one_protocol(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []

    class Noting(Plain):
        def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
            written.append(model)
            return super().body(messages, model, form, sample)

    monkeypatch.setattr("benchmarks.runs.detectors.CHAT_COMPLETIONS", Noting())
    server = serve(Canned(body=SAID))
    flags = ["--judge-only", "--model", "m", "--base-url", server.base_url, "--price", "1,2", "--no-viz"]
    flags += ["--max-pairs", "3", "--max-cost", "1", "--quiet", "--out", str(tmp_path / "run")]
    assert main([*flags, "--dry-run"]) == 0
    assert "Give at least" in capsys.readouterr().out
    assert (written, server.asked) == (["m"] * 3, [])
    assert main(flags) == 0
    assert {asked.path for asked in server.asked} == {"/v1/ask"}
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["detectors"]["m"]["settings"]["protocol"] == "plain"


@pytest.mark.parametrize(
    "module", ["endpoint", "adaptation", "trials", "request_form", "asking", "openai_async", "rates"]
)
def test_nothing_else_of_the_pipeline_knows_a_word_of_chat_completions(module: str) -> None:
    source = next(Path(str(benchmarks.__file__)).parent.rglob(f"{module}.py")).read_text(encoding="utf-8")
    words = (
        "choices",
        "response_format",
        "Authorization",
        "chat/completions",
        "x-ratelimit",
        "max_completion",
    )
    assert [word for word in words if word in source] == []
