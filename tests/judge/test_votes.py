"""--votes: several askings about each pair, of which the majority is the verdict and the share its score."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers import Asked, Canned, ScriptedJudge, error, verdict
from simulators import QUICK, SimulatorThread

from benchmarks.datasets import load_dataset
from benchmarks.judge.prompts import load_prompt
from benchmarks.judge.votes import decided
from benchmarks.llm_compare import main
from benchmarks.simulator.simulation import answers_for
from kimera.pairs import Failure, Verdict

Serve = Callable[[Any], ScriptedJudge]
FLAGS = ["--judge-only", "--no-viz", "--quiet", "--max-pairs", "8", "--votes", "3"]


def vote(said: bool | str) -> Verdict | Failure:
    """What one vote brought: a verdict, or a failure of this kind."""
    return Failure(said, "why", 1.0) if isinstance(said, str) else Verdict(said, 0.9, f"{said}", 10.0, 1.0)


@pytest.mark.parametrize(
    ("votes", "contradiction", "score"),
    [
        ([True, True, True], True, 1.0),
        ([True, False, True], True, 2 / 3),
        ([False, True, False], False, 1 / 3),
        ([False, False, False], False, 0.0),
        (["timeout", True, True], True, 1.0),
        ([True, False, True, True, "abstained"], True, 3 / 4),
    ],
)
def test_more_than_half_decide_and_the_share_is_the_score(
    votes: list[Any], contradiction: bool, score: float
) -> None:
    result = decided([vote(said) for said in votes], len(votes))
    assert isinstance(result, Verdict)
    assert result.contradiction == contradiction
    assert result.score == pytest.approx(score)
    assert result.score_source == "votes"
    assert result.reasoning == f"{contradiction}", "of a vote that agrees"
    assert result.latency_ms == 10.0 * sum(isinstance(said, bool) for said in votes)
    assert result.wait_ms == len(votes)


@pytest.mark.parametrize(
    ("votes", "kind"),
    [
        ([True, False, "abstained"], "abstained"),
        ([True, "timeout", "timeout"], "timeout"),
        (["unparseable", "timeout", "timeout"], "timeout"),
    ],
)
def test_without_a_majority_there_is_no_verdict(votes: list[Any], kind: str) -> None:
    result = decided([vote(said) for said in votes], 3)
    assert isinstance(result, Failure)
    assert result.kind == kind
    assert "no majority of 3 votes" in result.message


@pytest.mark.parametrize(
    ("votes", "result"),
    [
        ([True, True], True),
        ([False], "interrupted"),
        ([True, False], "interrupted"),
        ([True, "quota"], "quota"),
    ],
)
def test_a_run_that_was_stopped_has_the_verdict_of_a_majority_that_is_in(
    votes: list[Any], result: bool | str
) -> None:
    found = decided([vote(said) for said in votes], 3)
    assert result == (found.contradiction if isinstance(found, Verdict) else found.kind)


# A run


def detector_of(folder: Path) -> dict[str, Any]:
    (detector,) = json.loads((folder / "summary.json").read_text())["detectors"].values()
    return dict(detector)


@pytest.mark.parametrize("flags", [[], ["--async", "2"]])
def test_each_pair_is_asked_about_so_often_and_all_of_it_is_counted(flags: list[str], tmp_path: Path) -> None:
    answers = answers_for(load_dataset("kimera-everyday"), load_prompt("same-event").question)
    with SimulatorThread(replace(QUICK, flip_rate=0.3), answers) as server:
        assert main([*FLAGS, *flags, "--base-url", server.base_url, "--out", str(tmp_path / "run")]) == 0
        stats = server.stats()
    detector = detector_of(tmp_path / "run")
    assert stats["requests"] == detector["attempts"] == 24
    assert detector["tokens"]["completion"] == stats["completion_tokens"]
    assert detector["score_sources"] == {"votes": 8}
    assert detector["settings"]["votes"] == 3
    assert "temperature" not in detector["settings"], "at 0 all votes would be the same"
    assert "majority of 3 askings" in (tmp_path / "run" / "summary.md").read_text()


def test_each_vote_has_a_seed_of_its_own(serve: Serve, tmp_path: Path) -> None:
    server = serve(verdict())
    flags = [*FLAGS, "--max-pairs", "2", "--param", "temperature=0.7", "--base-url", server.base_url]
    assert main([*flags, "--out", str(tmp_path / "run")]) == 0
    assert [asked.payload["seed"] for asked in server.asked] == [0, 1, 2, 0, 1, 2]
    assert {asked.payload["temperature"] for asked in server.asked} == {0.7}


def test_one_seed_for_all_votes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*FLAGS, "--protocol", "gemini", "--model", "m", "--simulate", "--dry-run"]
    assert main([*flags, "--param", "generationConfig.seed=7"]) == 2
    assert "with one seed all votes would say the same" in capsys.readouterr().err


def test_a_run_that_ends_among_the_votes_goes_on(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(asked: Asked) -> Canned:
        return error(402, "no credit is left", "insufficient_quota") if asked.number == 4 else verdict()

    server = serve(answer)
    flags = [*FLAGS, "--max-pairs", "3", "--base-url", server.base_url]
    assert main([*flags, "--out", str(tmp_path / "run")]) == 1
    assert "stopped early: quota" in capsys.readouterr().err
    assert main(["--resume", str(tmp_path / "run"), "--quiet", "--no-viz"]) == 0
    detector = detector_of(tmp_path / "run")
    assert (detector["answered"], detector["failed"]) == (3, 0)
    assert len(server.asked) == detector["attempts"] == 9 + 1, "no vote is asked for twice"


@pytest.mark.parametrize("lines", [3, 5, 6])
def test_a_run_that_is_killed_asks_only_for_the_votes_that_are_missing(
    lines: int, serve: Serve, tmp_path: Path
) -> None:
    server = serve(verdict())
    flags = [*FLAGS, "--max-pairs", "1", "--base-url", server.base_url, "--out", str(tmp_path / "run")]
    assert main(flags) == 0
    journal = tmp_path / "run" / "journal.jsonl"
    kept = journal.read_bytes().splitlines(keepends=True)[:lines]
    journal.write_bytes(b"".join(kept))
    votes = sum(b'"vote"' in line for line in kept)
    assert main(["--resume", str(tmp_path / "run"), "--quiet", "--no-viz"]) == 0
    assert len(server.asked) == 3 + (3 - votes)
    detector = detector_of(tmp_path / "run")
    assert (detector["answered"], detector["attempts"]) == (1, 3)


@pytest.mark.parametrize("votes", ["2", "1", "four"])
def test_an_even_number_decides_nothing(votes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--votes", votes])
    assert "is not an odd number of at least 3" in capsys.readouterr().err
