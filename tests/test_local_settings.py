"""What --local NAME may be: the kinds, their titles, what a journal keeps of a name, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.llm_compare import main
from benchmarks.runs import local_names_of
from benchmarks.settings import RunSettings
from kimera.errors import UserError
from kimera.local_names import absolute_name, chained, local_name, local_names, stages_in
from kimera.local_settings import LocalSettings, require_models


@pytest.mark.parametrize(
    ("given", "title", "kind", "rest"),
    [
        ("kimera", "kimera", "kimera", ""),
        ("kimera:screen", "kimera:screen", "kimera", "screen"),
        ("fast=kimera:screen", "fast", "kimera", "screen"),
        ("cross-encoder/nli-deberta-v3-base", "cross-encoder/nli-deberta-v3-base", "model", None),
        ("scores:some/mine.csv", "mine", "scores", "some/mine.csv"),
        ("my.module:detect", "my.module:detect", "function", None),
        ("some/where/rules.py:detect", "rules.py:detect", "function", "some/where/rules.py:detect"),
        ("kimera:screen>my.module:detect", "kimera:screen > my.module:detect", "chain", None),
    ],
)
def test_a_name_says_its_kind(given: str, title: str, kind: str, rest: str | None) -> None:
    assert local_name(given) == (title, kind, given if rest is None else rest)


def test_without_a_name_there_is_the_reactor() -> None:
    assert [name.title for name in local_names(())] == ["kimera"]


def test_a_folder_is_a_model_called_as_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "fitted"
    folder.mkdir()
    assert local_name(str(folder)) == ("fitted", "model", str(folder))


@pytest.mark.parametrize("name", ["", "  ", "title="])
def test_a_blank_name_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="the name is blank"):
        local_name(name)


def test_two_of_one_title_are_refused_with_the_way_out() -> None:
    with pytest.raises(
        UserError, match="called 'kimera'; give one of them another title: --local OTHER=kimera"
    ):
        local_names(["kimera", "kimera"])


def test_a_run_that_goes_on_elsewhere_finds_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("id,score\n")
    Path("rules.py").write_text("")
    assert absolute_name("scores:mine.csv") == f"scores:{tmp_path}/mine.csv"
    assert absolute_name("rules.py:detect") == f"{tmp_path}/rules.py:detect"
    assert absolute_name("a=kimera>scores:mine.csv").endswith(f"scores:{tmp_path}/mine.csv")
    assert absolute_name("kimera:screen") == "kimera:screen"
    for given in ("scores:mine.csv", "rules.py:detect", "kimera", "a=kimera>scores:mine.csv"):
        kept = absolute_name(given)
        assert absolute_name(kept) == kept
        assert local_name(kept).title == local_name(given).title


def test_a_chain_keeps_the_titles_of_its_stages() -> None:
    chain = chained([local_name("a=some/model"), local_name("rules.py:detect"), local_name("kimera:screen")])
    assert chain.title == "a > rules.py:detect > kimera:screen"
    assert [stage.title for stage in stages_in([chain])] == ["a", "rules.py:detect", "kimera:screen"]


def test_a_folder_says_nothing_of_what_code_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.py").write_text("def detect(pairs):\n    return [0.2] * len(pairs)\n")
    flags = ["--kimera-only", "--local", "rules.py:detect"]
    assert main([*flags, "--no-viz", "--quiet", "--out", "run"]) == 0
    Path("rules.py").write_text("raise SystemExit('code was run')\n")
    assert main(["--resume", "run", "--quiet"]) == 2
    assert f"give it again: --local {tmp_path}/rules.py:detect" in capsys.readouterr().err
    Path("kimera.toml").write_text('[compare]\nlocal = ["rules.py:detect"]\n')
    assert main(["--kimera-only", "--quiet", "--out", "other"]) == 2
    assert "what code runs" in capsys.readouterr().err


def test_a_judges_results_are_no_stage_and_go_first_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("j.csv").write_text("id,score\n1,0.5\n")
    assert main(["--kimera-only", "--local", "kimera:screen>judge:j.csv", "--out", "run"]) == 2
    assert "a chain is of local detectors" in capsys.readouterr().err
    assert main(["--simulate", "--cascade", "0.1", "--first", "judge:j.csv", "--out", "run"]) == 2
    assert "a local detector goes first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            ["--local", "mine=kimera:screen", "--local", "kimera", "--first", "mien"],
            "--first mien: no local detector of this run is called so; they are mine, kimera; "
            "did you mean mine?",
        ),
        (
            ["--local", "mine=kimera:screen", "--first", "mine", "--then", "other"],
            "--then other: no local detector of this run is called so; they are mine; "
            "give one of them, or --local other beside it",
        ),
        (["--first", "kimra"], "--first kimra: did you mean kimera?"),
    ],
)
def test_what_goes_first_and_is_no_detector_of_the_run_is_told_which_ones_are(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--simulate", "--cascade", "0.1", *flags, "--out", str(tmp_path / "run")]) == 2
    assert told in capsys.readouterr().err


def test_a_model_with_a_title_of_its_own_may_go_first() -> None:
    settings = RunSettings(local=("kimera",), cascade=0.1, first="kimere=roberta-large-mnli")
    assert [name.title for name in local_names_of(settings)] == ["kimere", "kimera"]


def test_a_flag_about_a_model_needs_that_model() -> None:
    names = local_names(["kimera", "nli=some/model", "kimera:screen>deep=other/model"])
    require_models(LocalSettings(labels=("nli=a,b,c", "deep=c,b,a"), revision=("main",)), names)
    with pytest.raises(UserError, match=r"--labels x=.*they are nli, deep"):
        require_models(LocalSettings(labels=("x=a,b,c",)), names)
    with pytest.raises(UserError, match="no local detector is an NLI model"):
        require_models(LocalSettings(revision=("main",)), local_names(["kimera"]))


def test_detectors_stand_side_by_side_and_the_run_goes_on_with_them(tmp_path: Path) -> None:
    out = tmp_path / "run"
    local = [
        "--local",
        "kimera:screen",
        "--local",
        "verify=kimera:verify",
        "--local",
        "kimera:screen>kimera:verify",
    ]
    flags = ["--local-only", *local, "--max-pairs", "40", "--no-viz", "--quiet", "--out", str(out)]
    assert main(flags) == 0
    names = ["kimera:screen", "verify", "kimera:screen > kimera:verify"]
    summary = json.loads((out / "summary.json").read_text())
    assert list(summary["detectors"]) == names
    assert [(entry["a"], entry["b"]) for entry in summary["agreement"]] == [
        (names[0], names[1]),
        (names[0], names[2]),
        (names[1], names[2]),
    ]
    assert main(["--resume", str(out), "--no-viz", "--quiet"]) == 0
    assert main(["--resume", str(out), "--local", "kimera", "--quiet"]) == 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--local", "kimera:deepest"], "no such stage"),
        (["--local", "cascade"], "Kimera uses that name itself"),
        (["--first", "kimera"], "--first goes with --cascade"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_runs(
    flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--kimera-only", *flags, "--out", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
