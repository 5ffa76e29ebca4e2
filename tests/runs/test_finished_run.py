"""A run read back from its folder is the run that was written there."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from benchmarks.llm_compare import main
from benchmarks.report import build_summary
from benchmarks.report.__main__ import main as report
from benchmarks.runs.finished_run import open_run
from kimera.errors import UserError

pytestmark = pytest.mark.slow  # whole runs, fits or installations

PAIRS = [
    {"text1": f"Statement {number}.", "text2": f"Another statement {number}.", "label": label}
    for number, label in enumerate(("contradiction", "neutral", "entailment") * 4)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of both detectors, the simulated judge asked in both orders."""
    base = tmp_path_factory.mktemp("run")
    dataset = base / "pairs.jsonl"
    dataset.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    flags = ["--simulate", "--async", "8", "--swap", "--price", "1,2", "--no-viz", "--quiet", "--json"]
    assert main([str(dataset), *flags, "--out", str(base / "out")]) == 0
    return base / "out"


def test_its_summary_is_the_one_that_was_written(folder: Path) -> None:
    written = json.loads((folder / "summary.json").read_text())
    assert json.loads(json.dumps(build_summary(open_run(folder).run))) == written


def test_dollars_and_times_are_known_pair_by_pair(folder: Path) -> None:
    judge = open_run(folder).run.detectors[1]
    assert judge.dollars_of_pair is not None
    assert judge.done_s is not None
    assert judge.dollars_of_pair.sum() == pytest.approx(judge.dollars)
    assert (judge.dollars_of_pair > 0).all()
    assert judge.done_s.max() == pytest.approx(judge.wall_s, abs=1.0)


def test_rows_come_back_with_their_words(folder: Path) -> None:
    rows = list(open_run(folder).rows())
    assert [pair.text1 for pair, _ in rows] == [pair["text1"] for pair in PAIRS]
    assert all(len(findings) == 2 for _, findings in rows)


def test_a_run_that_was_cut_short_says_what_it_has(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(whole[: int(len(whole) * 0.6)])
    cut, full = open_run(tmp_path).run, open_run(folder).run
    assert [detector.name for detector in cut.detectors] == [detector.name for detector in full.detectors]
    assert sum(each.answered.sum() for each in cut.detectors) < sum(
        each.answered.sum() for each in full.detectors
    )
    for early, late in zip(cut.detectors, full.detectors, strict=True):
        assert np.array_equal(early.verdicts[early.answered], late.verdicts[early.answered])
        assert {field.name for field in fields(early)} == {field.name for field in fields(late)}
        assert early.kind == late.kind


def test_a_dataset_that_has_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    header, _, rest = (folder / "journal.jsonl").read_text().partition("\n")
    changed = json.loads(header)
    changed["dataset"]["sha256"] = "0" * 64
    (tmp_path / "journal.jsonl").write_text(json.dumps(changed) + "\n" + rest)
    with pytest.raises(UserError, match=r"pairs\.jsonl has changed since this run began"):
        open_run(tmp_path)


def test_a_column_that_the_dataset_lacks_is_not_a_dataset_that_is_gone(folder: Path) -> None:
    with pytest.raises(
        UserError, match=r"pairs\.jsonl.*--label-weights nope: there is no such column"
    ) as told:
        open_run(folder, "nope")
    assert "must be where it was" not in str(told.value)


def test_a_dataset_that_has_moved_is_found_in_the_runs_folder(folder: Path, tmp_path: Path) -> None:
    journal = (folder / "journal.jsonl").read_text()
    dataset = folder.parent / "pairs.jsonl"
    (tmp_path / "journal.jsonl").write_text(journal.replace(str(dataset), "/nowhere/pairs.jsonl"))
    with pytest.raises(UserError, match="the dataset of this run must be where it was, or in this folder"):
        open_run(tmp_path)
    (tmp_path / "pairs.jsonl").write_bytes(dataset.read_bytes())
    moved, whole = open_run(tmp_path), open_run(folder)
    assert [pair for pair, _ in moved.rows()] == [pair for pair, _ in whole.rows()]


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run there"):
        open_run(tmp_path)


# python -m benchmarks.report


def test_its_report_is_made_again(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = tmp_path / "again"
    again.mkdir()
    (again / "journal.jsonl").write_bytes((folder / "journal.jsonl").read_bytes())
    assert report([str(again), "--no-viz", "--verbose"]) == 0
    told = capsys.readouterr().out
    for name in ("summary.json", "summary.md", "results.csv", "report.html"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name
    assert not (again / "comparison.png").exists()
    assert "Agreement" in told
    assert told.endswith(f"\n{again.resolve() / 'report.html'}\n")


def test_a_report_takes_another_margin_and_draws_the_figure(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes((folder / "journal.jsonl").read_bytes())
    assert report([str(tmp_path), "--margin", "7.5"]) == 0
    differences = json.loads((tmp_path / "summary.json").read_text())["agreement"][0]["differences"]
    assert differences["equivalence"]["margin"] == pytest.approx(0.075)
    assert (tmp_path / "comparison.png").exists()


def test_a_report_takes_flags_from_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes((folder / "journal.jsonl").read_bytes())
    config = tmp_path / "mine.toml"
    config.write_text('[report]\nmargin = 7.5\nno-viz = true\nfail-if = ["kimera.f1 < 2"]\n')
    assert report([str(tmp_path), "--config", str(config)]) == 3
    differences = json.loads((tmp_path / "summary.json").read_text())["agreement"][0]["differences"]
    assert differences["equivalence"]["margin"] == pytest.approx(0.075)
    assert not (tmp_path / "comparison.png").exists()


def test_a_report_of_nothing_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}: no run there (no journal.jsonl)\n"
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_has_failed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes((folder / "journal.jsonl").read_bytes())
    (tmp_path / "report.html").mkdir()
    assert report([str(tmp_path), "--no-viz"]) == 1
