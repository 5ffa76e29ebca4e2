"""A run that version 0.5.0 wrote opens for ever, and so does one whose header lacks any option."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.diff import main as diff
from benchmarks.distil import main as distil
from benchmarks.judge.prompts import load_prompt
from benchmarks.llm_compare import main as compare
from benchmarks.report.__main__ import main as report
from benchmarks.runs.finished_run import open_run
from kimera.errors import UserError

WRITTEN = Path(__file__).with_name("runs_of_version_0_5_0")
RUNS = ("reactor_alone", "two_judges", "cascade", "cut_short")


def copy_of(name: str, into: Path) -> Path:
    """A run's folder with its dataset in it, as the documents tell people to move one."""
    folder = into / name
    shutil.copytree(WRITTEN / name, folder)
    shutil.copy(WRITTEN / "pairs.csv", folder)
    return folder


def header_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "journal.jsonl").read_text(encoding="utf-8").partition("\n")[0]))


def with_header(folder: Path, header: dict[str, Any]) -> Path:
    journal = folder / "journal.jsonl"
    _, _, records = journal.read_text(encoding="utf-8").partition("\n")
    journal.write_text(json.dumps(header) + "\n" + records, encoding="utf-8")
    return folder


def worded_otherwise(part: Any) -> Any:
    """A part of a summary without its sentences, which a later version may word otherwise."""
    if isinstance(part, list):
        return [worded_otherwise(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: sorted(value) if key == "absent" else worded_otherwise(value)
        for key, value in part.items()
        if key != "conclusion"
    }


@pytest.mark.parametrize("name", RUNS)
def test_its_figures_are_still_those_that_were_written(name: str, tmp_path: Path) -> None:
    folder = copy_of(name, tmp_path)
    before = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert report([str(folder), "--no-viz"]) == 0
    after = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert list(after["detectors"]) == list(before["detectors"])
    for detector, figures in before["detectors"].items():
        now = after["detectors"][detector]
        same = ("accuracy", "f1", "roc_auc", "brier", "answered", "failed", "wall_s")
        assert {key: now.get(key) for key in same} == {key: figures.get(key) for key in same}
        tokens, tokens_now = figures.get("tokens") or {}, now.get("tokens") or {}
        assert tokens.items() <= tokens_now.items()  # kinds that came later are added
        # Of a bootstrap the last bit depends on the order in which its sums are made.
        before_and_now = figures.get("intervals", {}), now.get("intervals", {})
        assert before_and_now[0].keys() == before_and_now[1].keys()
        for key, interval in before_and_now[0].items():
            assert before_and_now[1][key] == pytest.approx(interval, rel=1e-12), key
    assert worded_otherwise(after["agreement"]) == worded_otherwise(before["agreement"])
    assert worded_otherwise(after.get("cascade_run")) == worded_otherwise(before.get("cascade_run"))


@pytest.mark.parametrize("name", RUNS)
def test_it_compares_with_itself(name: str, tmp_path: Path) -> None:
    folder = str(copy_of(name, tmp_path))
    assert diff([folder, folder]) == 0


@pytest.mark.parametrize("name", ["cascade", "cut_short"])
def test_its_verdicts_become_labelled_pairs(name: str, tmp_path: Path) -> None:
    assert distil([str(copy_of(name, tmp_path))]) == 0


def test_it_does_not_go_on_with_another_prompt_than_it_began_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of("cut_short", tmp_path)
    before = (folder / "journal.jsonl").read_bytes()
    assert compare(["--resume", str(folder), "--no-viz", "--quiet"]) == 2
    assert "changed since this run began: prompt; start a new run" in capsys.readouterr().err
    assert (folder / "journal.jsonl").read_bytes() == before


def test_with_the_prompt_that_it_began_with_it_goes_on_where_it_was_cut_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of("cut_short", tmp_path)
    header = header_of(folder)
    prompt = load_prompt("same-event")
    header["prompt"] = {"name": prompt.name, "version": prompt.version, "sha256": prompt.sha256}
    with_header(folder, header)
    assert compare(["--resume", str(folder), "--no-viz", "--json", "--quiet"]) == 0
    (judge,) = json.loads(capsys.readouterr().out)["detectors"].values()
    assert (judge["answered"], judge["failed"]) == (12, 0)


@pytest.mark.parametrize("name", sorted(header_of(WRITTEN / "cascade")["options"]))
def test_an_option_that_was_not_there_yet_had_its_default(name: str, tmp_path: Path) -> None:
    folder = copy_of("cascade", tmp_path)
    header = header_of(folder)
    del header["options"][name]
    header["options"]["of_a_later_version"] = 1
    assert open_run(with_header(folder, header)).options["of_a_later_version"] == 1


@pytest.mark.parametrize("name", ["created", "dataset", "options"])
def test_what_is_no_journal_of_a_run_is_said_to_be_none(name: str, tmp_path: Path) -> None:
    folder = copy_of("reactor_alone", tmp_path)
    header = header_of(folder)
    del header[name]
    with pytest.raises(UserError, match=rf"journal\.jsonl, line 1: lacks {name}, so it is not the journal"):
        open_run(with_header(folder, header))
