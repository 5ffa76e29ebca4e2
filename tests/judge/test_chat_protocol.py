"""A judge over another API than chat completions: a class says how that speaks, the rest is the same."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from servers import Asked, Canned, ScriptedJudge, completion, judge, kinds

import benchmarks
from benchmarks.diff import main as diff
from benchmarks.judge.api import Api
from benchmarks.judge.chat_protocol import ChatProtocol, Messages
from benchmarks.judge.completions import Completion
from benchmarks.judge.error_bodies import ErrorReply, read_error_body
from benchmarks.judge.parameter_rules import ParameterRules
from benchmarks.judge.protocols import PROTOCOLS, protocol_named
from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS
from benchmarks.judge.rates import StatedLimit, stated_limits
from benchmarks.judge.request_form import PLAIN_TEXT, RequestForm
from benchmarks.judge.transports import HttpReply
from benchmarks.judge.usage import Usage
from benchmarks.llm_compare import main
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.runs.requested_judges import protocol_of
from benchmarks.runs.run_folder import settings_in
from benchmarks.settings import RunSettings
from kimera.errors import UserError

Serve = Callable[[Any], ScriptedJudge]
KEY = "k-0123456789"
VERDICT = '{"contradiction": true, "confidence": 0.9, "reasoning": "r", "cannot_tell": false}'
SAID = json.dumps({"said": VERDICT, "cost": [7, 3]}).encode()


class Plain:
    """An API of nobody's: /ask, the key in X-Pass, one text in and one text out."""

    name = "plain"
    api = Api("Nobody", "PLAIN_KEY", "PLAIN_URL", "http://judge.invalid")
    rules = ParameterRules()

    def url(self, base_url: str, model: str) -> str:
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
        prompt, completion = reply["cost"]
        return Completion(reply["said"], "stop", "", Usage(prompt, completion, None, None), "", body=body)

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        return stated_limits(headers, {"requests": ("x-most", "x-left")})

    def models_url(self, base_url: str) -> str:
        return f"{base_url}/who"

    def read_models(self, body: bytes) -> list[str]:
        return body.decode().split()


PLAIN: ChatProtocol = Plain()
JUDGE_WING = Path(str(benchmarks.__file__)).parent / "judge"
MODULES = sorted(path for path in JUDGE_WING.glob("*.py") if path.name != "__init__.py")
FACE = JUDGE_WING.parent / "openai_async.py"
ON_THE_WIRE = (
    "choices",
    "response_format",
    "Authorization",
    "chat/completions",
    "x-ratelimit-",
    "max_completion",
)
OF_OTHERS = ("anthropic", "x-api-key", "x-goog", "gemini", "generateContent", "systemone", "azure")
ITS_NAMES = ("chat completion", "OPENAI_", "OpenAI's", "api.openai.com", "/models", "/v1")


@contextlib.contextmanager
def listed_as_well(protocol: ChatProtocol) -> Iterator[None]:
    """As if the list had one more line, for as long as the block runs."""
    PROTOCOLS[protocol.name] = protocol
    try:
        yield
    finally:
        del PROTOCOLS[protocol.name]


@pytest.fixture
def plain() -> Iterator[None]:
    with listed_as_well(PLAIN):
        yield


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
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []

    class Noting(Plain):
        def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
            written.append(model)
            return super().body(messages, model, form, sample)

    server = serve(Canned(body=SAID))
    flags = ["--protocol", "plain", "--judge-only", "--model", "m", "--base-url", server.base_url]
    flags += ["--price", "1,2", "--no-viz", "--max-pairs", "3", "--max-cost", "1", "--quiet"]
    flags += ["--out", str(tmp_path / "run")]
    with listed_as_well(Noting()):
        assert main([*flags, "--dry-run"]) == 0
        assert "Give at least" in capsys.readouterr().out
        assert (written, server.asked) == (["m"] * 3, [])
        assert main(flags) == 0
    assert {asked.path for asked in server.asked} == {"/v1/ask"}
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["detectors"]["m"]["settings"]["protocol"] == "plain"


def test_a_run_goes_on_over_the_protocol_it_began_with_and_over_no_other(
    serve: Serve, plain: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve([Canned(body=SAID), Canned(400, b"not now"), Canned(body=SAID)])
    flags = ["--protocol", "plain", "--judge-only", "--model", "m", "--base-url", server.base_url]
    run = tmp_path / "run"
    main([*flags, "--max-pairs", "2", "--max-failed", "1", "--quiet", "--no-viz", "--out", str(run)])
    assert main(["--resume", str(run), "--protocol", "chat-completions"]) == 2
    assert "--protocol was 'plain' when this run began" in capsys.readouterr().err
    assert main(["--resume", str(run), "--quiet"]) == 0
    assert {asked.path for asked in server.asked} == {"/v1/ask"}


def test_two_runs_over_different_protocols_are_told_apart(
    serve: Serve, plain: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"plain": Canned(body=SAID), "chat-completions": completion(VERDICT)}
    for name, reply in said.items():
        flags = ["--protocol", name, "--judge-only", "--model", "m", "--base-url", serve(reply).base_url]
        main([*flags, "--max-pairs", "4", "--quiet", "--no-viz", "--out", str(tmp_path / name)])
    capsys.readouterr()
    diff([str(tmp_path / name) for name in said])
    (row,) = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("protocol")]
    assert row == ["protocol", "plain", "chat-completions"]


def test_a_run_without_a_protocol_in_its_journal_was_one_of_chat_completions() -> None:
    base_url = "https://api.anthropic.com/v1"
    options = {"judge_only": True, "models": ["m"], "base_url": base_url}
    assert protocol_of(settings_in({"options": options})) is CHAT_COMPLETIONS
    assert protocol_of(RunSettings(base_url=base_url)).name == "anthropic"


def test_the_key_and_the_base_url_come_from_the_variables_of_that_api(
    serve: Serve, plain: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = serve(Canned(body=SAID))
    monkeypatch.setenv("PLAIN_KEY", KEY)
    monkeypatch.setenv("PLAIN_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    flags = ["--protocol", "plain", "--judge-only", "--model", "m", "--max-pairs", "1", "--quiet", "--no-viz"]
    assert main([*flags, "--out", str(tmp_path / "run")]) == 0
    assert [asked.headers["x-pass"] for asked in server.asked] == [KEY]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--protocol", "plain", "--api-key", KEY], ["--protocol plain has no default model", "--model"]),
        (["--protocol", "plain", "--model", "m"], ["PLAIN_KEY=...", "Nobody-compatible"]),
        (["--protocol", "plain", "--model", "m", "--base-url", "http://judge.example"], ["set PLAIN_KEY"]),
    ],
)
def test_what_is_missing_is_named_as_that_api_calls_it(
    plain: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    flags: list[str],
    says: list[str],
) -> None:
    monkeypatch.delenv("KIMERA_MODEL", raising=False)
    assert main([*flags, "--judge-only", "--quiet", "--out", str(tmp_path / "run")]) == 2
    shown = capsys.readouterr().err
    assert [part for part in says if part not in shown] == []
    assert "OPENAI" not in shown


def test_an_api_without_a_base_url_of_its_own_asks_for_one() -> None:
    class Homeless(Plain):
        api = Api("Nobody", "PLAIN_KEY", "PLAIN_URL")

    with pytest.raises(UserError, match="no base URL of its own: give --base-url, or set PLAIN_URL"):
        AsyncOpenAIClient(KEY, protocol=Homeless())


def test_what_to_do_about_a_refusal_names_the_variable_of_that_api(
    serve: Serve, plain: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(Canned(401, b"who are you?"))
    flags = ["--protocol", "plain", "--judge-only", "--model", "m", "--base-url", server.base_url]
    assert main([*flags, "--max-pairs", "2", "--quiet", "--no-viz", "--out", str(tmp_path / "run")]) == 1
    assert "check PLAIN_KEY" in capsys.readouterr().err


class NoSuchModel:
    """A transport to a server that knows two other models."""

    async def post(self, *_: object) -> HttpReply:
        return HttpReply(404, {}, b"no such model")

    async def get(self, url: str, *_: object) -> HttpReply:
        return HttpReply(200, {}, b"alpha beta" if url == "http://judge.invalid/who" else b"")

    async def aclose(self) -> None: ...


def test_the_models_on_offer_are_read_where_that_api_lists_them() -> None:
    (outcome,) = judge("http://judge.invalid", api_key=KEY, protocol=PLAIN, transport=NoSuchModel())
    assert "the endpoint offers beta, alpha" in str(outcome.result)


def test_a_protocol_that_is_guessed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--base-url", "https://api.anthropic.com", "--judge-only", "--max-pairs", "2", "--dry-run"]
    assert main([*flags, "--model", "claude-haiku-4-5"]) == 0
    told = capsys.readouterr()
    assert "--protocol anthropic is what https://api.anthropic.com speaks" in told.err
    assert "ANTHROPIC_API_KEY" in told.err
    assert "no price known" not in told.out
    assert main([*flags, "--protocol", "chat-completions"]) == 0
    assert "--protocol" not in capsys.readouterr().err


def test_an_unknown_protocol_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--protocol", "carrier-pigeon"])
    assert ended.value.code == 2
    assert "chat-completions" in capsys.readouterr().err
    with pytest.raises(UserError, match="chat-completions"):
        protocol_named("carrier-pigeon")


def test_every_listed_protocol_is_found_by_the_name_that_it_gives_itself() -> None:
    assert [protocol_named(name).name for name in PROTOCOLS] == list(PROTOCOLS)


def test_a_simulated_run_asks_over_the_protocol_that_it_names(tmp_path: Path) -> None:
    flags = ["--simulate", "--judge-only", "--protocol", "anthropic", "--max-pairs", "2", "--no-viz"]
    assert main([*flags, "--quiet", "--out", str(tmp_path / "run")]) == 0
    (judged,) = json.loads((tmp_path / "run" / "summary.json").read_text())["detectors"].values()
    assert (judged["simulated"], judged["answered"]) == (True, 2)
    assert judged["settings"]["protocol"] == "anthropic"


@pytest.mark.parametrize("module", [*MODULES, FACE], ids=lambda path: path.stem)
def test_nothing_else_of_the_pipeline_knows_a_word_of_any_protocol(module: Path) -> None:
    source = module.read_text(encoding="utf-8")
    words = ON_THE_WIRE if module == FACE else ON_THE_WIRE + ITS_NAMES
    assert [word for word in words if word in source] == []
    assert [word for word in OF_OTHERS if word.lower() in source.lower()] == []
