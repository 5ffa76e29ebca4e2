"""--reasoning first: the judge reasons, then states its verdict; the two orders are never mixed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers import ScriptedJudge, completion, judge
from simulators import QUICK, SimulatorThread

from benchmarks.datasets import load_dataset
from benchmarks.judge.prompts import load_prompt, repair_request, reply_format, reply_schema
from benchmarks.judge.reply_reading import ReplyError, parse_reply
from benchmarks.llm_compare import main
from benchmarks.simulator.simulation import GoldAnswer, SimulatorConfig, answers_for
from kimera.errors import UserError
from kimera.pairs import Failure, Verdict

Serve = Callable[[Any], ScriptedJudge]
FIRST = load_prompt("same-event", reasoning_first=True)
WHY = "One says open and the other says shut, at the same time."
FLAGS = ["--judge-only", "--max-pairs", "6", "--no-viz", "--quiet"]


def reply(**fields: Any) -> str:
    return json.dumps(fields)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_words_and_the_schema_ask_for_the_same_fields_in_the_same_order(classes: int) -> None:
    schema = reply_schema(classes, reasoning_first=True)
    names = list(schema["properties"])
    assert names == schema["required"]
    assert names[:2] == ["reasoning", "contradiction"]
    assert sorted(names) == sorted(reply_schema(classes)["properties"])
    words = reply_format(classes, reasoning_first=True)
    places = [words.index(f'"{name}"') for name in names]
    assert places == sorted(places)
    assert words in load_prompt("strict", classes, reasoning_first=True).system
    assert words in repair_request("?", classes, True)[-1]["content"]


# The parser


@pytest.mark.parametrize(
    "text",
    [
        reply(reasoning=WHY, contradiction=True, confidence=0.9),
        f"```json\n{reply(reasoning=WHY, contradiction=True, confidence=0.9)}\n```",
        f"I was not sure at first. {WHY}\n{reply(contradiction=True, confidence=0.9)}",
        f"{WHY} Therefore, the statements contradict each other.",
        f"{WHY}\nVerdict: yes",
    ],
)
def test_reasons_ahead_of_a_verdict_are_read(text: str) -> None:
    read = parse_reply(text, reasoning_first=True)
    assert read.contradiction
    assert read.reasoning


@pytest.mark.parametrize(
    "text",
    [
        reply(contradiction=True, confidence=0.9, reasoning=WHY),
        reply(contradiction=True, confidence=0.9),
        reply(reasoning=" ", contradiction=True, confidence=0.9),
        f"Here is my verdict: {reply(contradiction=True)}",
        "Yes",
        "The statements contradict each other. " + WHY,
    ],
)
def test_a_verdict_ahead_of_its_reasons_is_not_what_was_asked(text: str) -> None:
    with pytest.raises(ReplyError, match="no reasoning stands ahead of the verdict"):
        parse_reply(text, reasoning_first=True)
    assert parse_reply(text).contradiction, "as ever, where the verdict was to come first"


def test_what_is_taken_back_behind_the_verdict_is_no_verdict_in_either_order() -> None:
    text = reply(reasoning=WHY, contradiction=True, confidence=0.9) + " Sorry, I was mistaken."
    with pytest.raises(ReplyError):
        parse_reply(text, reasoning_first=True)


# The judge


def test_a_reply_in_the_other_order_is_asked_for_again(serve: Serve) -> None:
    other = completion(reply(contradiction=True, confidence=0.9, reasoning=WHY))
    wanted = completion(reply(reasoning=WHY, contradiction=True, confidence=0.9))
    server = serve([other, wanted])
    (outcome,) = judge(server.base_url, prompt=FIRST)
    assert isinstance(outcome.result, Verdict)
    sent = [asked.payload for asked in server.asked]
    schemas = [list(one["response_format"]["json_schema"]["schema"]["properties"]) for one in sent]
    assert [names[0] for names in schemas] == ["reasoning", "reasoning"]
    assert "Reason first" in sent[1]["messages"][-1]["content"]


def test_one_that_never_comes_in_that_order_is_a_failure(serve: Serve) -> None:
    server = serve(completion(reply(contradiction=True, confidence=0.9, reasoning=WHY)))
    (outcome,) = judge(server.base_url, prompt=FIRST)
    assert isinstance(outcome.result, Failure)
    assert outcome.result.kind == "unparseable"


# A run


@pytest.fixture(scope="module")
def answers() -> dict[bytes, GoldAnswer]:
    dataset = load_dataset("kimera-everyday")
    prompts = (load_prompt("same-event", classes) for classes in (2, 3))
    return {key: gold for prompt in prompts for key, gold in answers_for(dataset, prompt.question).items()}


def compare(config: SimulatorConfig, answers: dict[bytes, GoldAnswer], out: Path, *flags: str) -> Any:
    with SimulatorThread(config, answers) as server:
        assert main([*FLAGS, "--base-url", server.base_url, "--out", str(out), *flags]) == 0
        return server.stats()["outcomes"]


@pytest.mark.parametrize(("ignores", "requests"), [(False, 6), (True, 12)])
def test_a_run_says_which_order_it_asked_for(
    ignores: bool,
    requests: int,
    answers: dict[bytes, GoldAnswer],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = replace(QUICK, ignores_order=ignores, strict=True)
    out = tmp_path / "run"
    flags = ["--reasoning", "first", "--classes", "3", "--logprobs"]
    assert compare(config, answers, out, *flags) == {"answered": requests}
    summary = json.loads((out / "summary.json").read_text())
    (detector,) = summary["detectors"].values()
    assert detector["settings"]["reasoning"] == "first"
    assert detector["answered"] == 6
    told = (out / "summary.md").read_text()
    assert "its reasoning first, and then its verdict." in told
    assert "measure less than with the verdict first" in told
    assert main(["--resume", str(out), "--reasoning", "last"]) == 2
    assert "--reasoning was 'first' when this run began" in capsys.readouterr().err


def test_kept_replies_of_the_two_orders_are_never_mixed(
    answers: dict[bytes, GoldAnswer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path))
    with SimulatorThread(QUICK, answers) as server:
        asked = []
        for run, order in enumerate(["last", "first", "first", "last"]):
            flags = ["--base-url", server.base_url, "--cache-replies", "--reasoning", order]
            assert main([*FLAGS, *flags, "--out", str(tmp_path / str(run))]) == 0
            asked.append(server.stats()["requests"])
    assert asked == [6, 12, 12, 12]


def test_a_prompt_that_asks_for_json_must_ask_for_it_in_that_order(tmp_path: Path) -> None:
    path = tmp_path / "prompt.txt"
    path.write_text('{text1} {text2} Reply in JSON: {"contradiction": true, "reasoning": "why"}')
    with pytest.raises(UserError, match='asks for "reasoning" ahead of "contradiction"'):
        load_prompt(str(path), reasoning_first=True)
    path.write_text('{text1} {text2} Reply in JSON: {"reasoning": "why", "contradiction": true}')
    assert load_prompt(str(path), reasoning_first=True).reasoning_first
