"""What a run says where its model is not there, and where the endpoint tells that it is ending."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from simulators import QUICK, SimulatorThread

from benchmarks.datasets import load_dataset
from benchmarks.judge.notices import notice_in, notice_of
from benchmarks.judge.offered_models import MAX_SHOWN, Offer, offer_clause
from benchmarks.judge.prompts import load_prompt
from benchmarks.llm_compare import main
from benchmarks.simulator.dialects import DIALECTS
from benchmarks.simulator.simulation import GoldAnswer, SimulatorConfig, answers_for

FLAGS = ["--judge-only", "--max-pairs", "2", "--no-viz"]


@pytest.fixture(scope="module")
def answers() -> dict[bytes, GoldAnswer]:
    return answers_for(load_dataset("kimera-everyday"), load_prompt("same-event").question)


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KIMERA_MODEL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def compare(config: SimulatorConfig, answers: dict[bytes, GoldAnswer], out: Path, *flags: str) -> int:
    with SimulatorThread(config, answers) as judge:
        return main([*FLAGS, "--base-url", judge.base_url, "--out", str(out), *flags])


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize("server", ["openai", "vllm", "ollama", "llama.cpp", "azure"])
def test_a_model_that_is_not_there_ends_the_run_with_those_that_are(
    server: str, answers: dict[bytes, GoldAnswer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(QUICK, latency_ms=20, gone=server, models=("zebra-9", "gpt-4o-mini"))
    assert compare(config, answers, tmp_path / "run", "--async", "4", "--max-pairs", "8") == 1
    shown = capsys.readouterr().err
    assert "error: gpt-4o stopped early: unknown_model: HTTP 4" in shown
    assert "the endpoint offers gpt-4o-mini, zebra-9" in shown
    assert "choose another one with --model NAME, or KIMERA_MODEL" in shown
    assert "a run keeps the settings that it began with, so begin a new one" in shown
    assert "--resume" not in shown
    assert "Traceback" not in shown


def test_the_nearest_names_stand_first_and_at_most_twenty_are_listed() -> None:
    names = (*(f"other-{number}" for number in range(30)), "qwen3-8b")
    clause = offer_clause(Offer(names, {"qwen3-8b": "deprecated"}), "qwen3-8")
    assert clause.startswith("; the endpoint offers qwen3-8b (deprecated), ")
    assert clause.count("other-") == MAX_SHOWN - 1
    assert clause.endswith(" and 11 more")


@pytest.mark.parametrize(
    ("dialect", "says"),
    [
        ("chat-completions", "shut down on 2027-01-31"),
        ("anthropic", "deprecated on 2026-01-01, shut down on 2027-01-31"),
        ("gemini", ""),
    ],
)
def test_the_simulators_lists_tell_of_an_end_as_those_of_the_apis_do(dialect: str, says: str) -> None:
    (listed,) = [one for one in DIALECTS if one.name == dialect]
    about = json.loads(json.dumps(listed.models(["m"], "2027-01-31")))
    assert notice_of((about.get("data") or about["models"])[0]) == says


@pytest.mark.usefixtures("no_names")
def test_a_model_that_is_ending_is_told_of_once_and_in_the_report(
    answers: dict[bytes, GoldAnswer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(QUICK, ends_on="2027-01-31")
    assert compare(config, answers, tmp_path / "run", "--async", "2") == 0
    told = "the endpoint says of gpt-4o: shut down on 2027-01-31; choose another model with --model in time"
    assert capsys.readouterr().err.count(told) == 1
    assert "shut down on 2027-01-31" in (tmp_path / "run" / "summary.md").read_text()


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"deprecation": "@1688169599"}, "deprecated on 2023-06-30"),
        (
            {"deprecation": "true", "sunset": "Sun, 31 Jan 2027 00:00:00 GMT"},
            "deprecated, shut down on 2027-01-31",
        ),
        ({"x-model-deprecation": "use m2"}, "deprecated: use m2"),
        ({"deprecation": "false", "date": "Sun, 31 Jan 2027 00:00:00 GMT"}, ""),
        ({"deprecation": "@" + "9" * 90}, "deprecated: @" + "9" * 90),
    ],
)
def test_headers_tell_of_a_models_end(headers: dict[str, str], says: str) -> None:
    assert notice_in(headers) == says


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            {"id": "m", "deprecation": "2026-12-01T12:00:00Z", "deprecation_replacement_model": "m2"},
            "deprecated on 2026-12-01, replaced by m2",
        ),
        ({"id": "m", "deprecation": None, "deprecated": False, "expiration_date": None, "active": True}, ""),
        ({"id": "m", "lifecycle_status": "deprecated"}, "deprecated"),
        ({"id": "m", "lifecycle_status": "generally-available", "status": "succeeded"}, ""),
        ({"id": "m", "deprecation": {"fine_tune": 1, "inference": 1798675200}}, "deprecated on 2026-12-31"),
        ({"id": "m", "deprecated_at": "20261021"}, "deprecated on 2026-10-21"),
        ({"id": "m", "active": False}, "no longer active"),
        ("m", ""),
    ],
)
def test_the_list_of_models_tells_of_an_end(entry: object, says: str) -> None:
    assert notice_of(entry) == says
