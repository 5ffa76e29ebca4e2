"""A local detector's threshold is set by the flag that the advice names, and is part of what a run is."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.llm_compare import main
from kimera.detectors import at_threshold, moved_score
from kimera.errors import UserError
from kimera.pairs import Verdict
from kimera.reactor import Reactor

SCORES = [round(0.01 * (1 + place), 2) for place in range(40)]  # contradictions from 0.21 on


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With pairs and a file of their scores, and the current one."""
    monkeypatch.chdir(tmp_path)
    pairs = [
        {"id": str(score), "text1": f"Lamp {score}.", "text2": "Off.", "label": int(score > 0.2)}
        for score in SCORES
    ]
    Path("pairs.jsonl").write_text("".join(f"{json.dumps(pair)}\n" for pair in pairs))
    with Path("mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "score"), *((score, score) for score in SCORES)])
    return tmp_path


def ran(*flags: str) -> int:
    common = ["--max-pairs", "0", "--local-only", "--local", "scores:mine.csv", "--no-viz", "--quiet"]
    return main(["pairs.jsonl", *common, *flags])


def detector_in(run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run, "summary.json").read_text())["detectors"]["mine"]
    return found


def test_the_advised_flag_does_what_the_advice_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("--out", "before", "--verbose") == 0
    told = " ".join(capsys.readouterr().out.split())
    (flag,) = [word.strip("():") for word in told.split() if word.startswith("mine=")]
    assert ran("--out", "after", "--threshold", flag) == 0
    before, after = detector_in("before"), detector_in("after")
    assert (before["called"], after["f1"]) == (0, pytest.approx(before["thresholds"]["f1"], abs=0.06))
    assert before["roc_auc"] == after["roc_auc"] == 1.0
    assert after["settings"]["threshold"] == float(flag.removeprefix("mine="))


def test_one_detector_has_one_threshold(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("--out", "run", "--threshold", "mine=0.2", "--threshold", "mine=0.3") == 2
    assert "mine=0.2, mine=0.3: one local detector has one threshold" in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_threshold_and_no_other(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("--out", "run", "--threshold", "mine=0.2") == 0
    assert main(["--resume", "run", "--quiet"]) == 0
    assert detector_in("run")["settings"]["threshold"] == 0.2
    assert main(["--resume", "run", "--quiet", "--threshold", "mine=0.3"]) == 2
    assert "--threshold" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("0.3", "give NAME=VALUE"),
        ("mine=1.5", "give NAME=VALUE"),
        ("yours=0.3", "no local detector is called so; they are mine"),
    ],
)
def test_a_threshold_of_nothing_is_wrong_usage(
    words: str, told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("--threshold", words) == 2
    assert told in capsys.readouterr().err


def test_scores_keep_their_order_and_the_threshold_becomes_the_middle() -> None:
    moved = [moved_score(score, 0.2) for score in SCORES]
    assert moved == sorted(moved)
    assert moved_score(0.2, 0.2) == 0.5
    assert [moved_score(score, 0.5) for score in SCORES] == pytest.approx(SCORES)
    assert moved_score(moved_score(0.37, 0.2), 0.8) == pytest.approx(0.37)


def shares(verdict: Verdict) -> Sequence[float]:
    assert verdict.entailment is not None
    assert verdict.neutral is not None
    return verdict.score, verdict.entailment, verdict.neutral


def test_other_classes_go_on_adding_up_to_one() -> None:
    verdict = Verdict(False, 0.7, entailment=0.5, neutral=0.2)
    turned = at_threshold(verdict, 0.25)
    assert isinstance(turned, Verdict)
    assert turned.contradiction
    assert sum(shares(turned)) == pytest.approx(1.0)
    assert at_threshold(verdict, 0.5) is verdict


def test_the_reactor_takes_one() -> None:
    pairs = [("A man is sleeping on a bench.", "A man is running a race.")]
    (plain,) = Reactor(cache=None, stages="screen").detect(pairs)
    (moved,) = Reactor(cache=None, stages="screen", threshold=0.999).detect(pairs)
    assert isinstance(plain, Verdict)
    assert isinstance(moved, Verdict)
    assert (plain.contradiction, moved.contradiction) == (True, False)
    assert moved.score == pytest.approx(moved_score(plain.score, 0.999))
    with pytest.raises(UserError, match="threshold is 1; give a score between 0 and 1"):
        Reactor(threshold=1)


def test_a_plan_reckons_with_the_verdicts_at_the_threshold(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("--plan", "width=0.1", "--threshold", "mine=0.205") == 0
    assert "accuracy of mine 1 from 40 labels" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("flags", [["--plan", "width=0.1"], ["--dry-run"]])
def test_what_sends_nothing_refuses_the_threshold_of_an_unknown_name(
    flags: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(*flags, "--threshold", "min=0.2") == 2
    assert "no local detector is called so; they are mine" in capsys.readouterr().err
