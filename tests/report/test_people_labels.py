"""Labels of people laid over a run: whose count, what they change, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import distil, llm_compare
from benchmarks.report import __main__ as report
from benchmarks.report.label_queue import asked_of
from benchmarks.runs import key_of, open_run

PAIRS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over pairs of which no one is labelled, of scores that something else wrote."""
    where = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(0)
    scores = rng.random(PAIRS).round(3).tolist()
    pairs = [{"id": f"p{i}", "text1": f"{i} is red", "text2": f"{i} is blue"} for i in range(PAIRS)]
    write(where / "pairs.jsonl", pairs)
    write(where / "scores.jsonl", [{"id": f"p{i}", "score": score} for i, score in enumerate(scores)])
    flags = ["--local-only", "--local", f"scores:{where / 'scores.jsonl'}", "--max-pairs", "0", "--no-viz"]
    assert llm_compare.main([str(where / "pairs.jsonl"), *flags, "--out", str(where / "run")]) == 0
    return where / "run"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def labelled(folder: Path, path: Path, who: str, count: int, **more: Any) -> Path:
    """A file as the page exports it: the first `count` pairs that are asked, every third a contradiction."""
    run = open_run(folder).run
    rows = [
        {"id": f"p{asked.place}", "place": asked.place, "who": who, "block": asked.block, "run": key_of(run)}
        | {"label": "not_contradiction" if asked.place % 3 else "contradiction"}
        | more
        for asked in asked_of(run)[:count]
    ]
    return write(path, rows)


def rescored(folder: Path, *files: Path) -> dict[str, Any]:
    flags = [flag for file in files for flag in ("--labels", str(file))]
    assert report.main([str(folder), "--no-viz", *flags]) == 0
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    return summary


def test_a_run_without_labels_has_figures_and_estimates_of_one_persons_labels(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = (folder / "journal.jsonl").read_bytes()
    file = labelled(folder, tmp_path / "labels.jsonl", "Ana", 120)
    summary = rescored(folder, file)
    assert summary["dataset"]["labelled"] == 120
    assert summary["dataset"]["people"]["who"] == [{"name": "Ana", "labels": 120}]
    assert "refused" not in summary["estimates"]
    assert summary["estimates"]["prevalence"] == pytest.approx(1 / 3, abs=0.1)
    assert "labels by people count on 120 pairs: Ana (120)" in " ".join(capsys.readouterr().out.split())
    assert (folder / "labels" / "1.jsonl").read_bytes() == file.read_bytes()
    assert (folder / "journal.jsonl").read_bytes() == journal


def test_labels_of_a_run_without_a_judge_are_pairs_to_train_on(folder: Path, tmp_path: Path) -> None:
    file, out = labelled(folder, tmp_path / "labels.jsonl", "Ana", 120), tmp_path / "out.jsonl"
    assert distil.main([str(folder), "--labels", str(file), "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {row["id"] for row in rows} == {json.loads(line)["id"] for line in file.read_text().splitlines()}
    assert {row["people"] for row in rows} == {"Ana"}
    assert "sample_weight" not in rows[0]  # one that all had would only feign more evidence


def test_two_people_agree_so_far_and_ties_stay_without_a_label(folder: Path, tmp_path: Path) -> None:
    ana = labelled(folder, tmp_path / "a.jsonl", "Ana", 60)
    ben = labelled(folder, tmp_path / "b.jsonl", "Ben", 30, label="contradiction")
    people = rescored(folder, ana, ben)["dataset"]["people"]
    assert people["by_several"] == 30
    assert people["kappa"] == 0
    assert 0 < people["ties"] == 60 - people["labelled"]


def test_copies_are_of_the_files_that_count_now(folder: Path, tmp_path: Path) -> None:
    ana = labelled(folder, tmp_path / "a.jsonl", "Ana", 60)
    ben = labelled(folder, tmp_path / "b.jsonl", "Ben", 30)
    rescored(folder, ana, ben)
    mine = folder / "labels" / "ana.jsonl"
    mine.write_bytes(ana.read_bytes())
    rescored(folder, ben)
    assert {copy.name for copy in (folder / "labels").iterdir()} == {"1.jsonl", "ana.jsonl"}
    mine.unlink()
    assert (folder / "labels" / "1.jsonl").read_bytes() == ben.read_bytes()


def test_how_the_datasets_own_labels_were_drawn_says_nothing_of_others(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = labelled(folder, tmp_path / "labels.jsonl", "Ana", 60)
    assert report.main([str(folder), "--labels", str(file), "--label-weights", "w"]) == 2
    assert "give one of the two" in " ".join(capsys.readouterr().err.split())


def test_the_page_asks_about_the_same_pairs_after_labels_are_laid_over(folder: Path, tmp_path: Path) -> None:
    rescored(folder)
    before = (folder / "report.html").read_text("utf-8").split('id="label-rows"')[1].split("</script>")[0]
    rescored(folder, labelled(folder, tmp_path / "labels.jsonl", "Ana", 90))
    assert before in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{\n", "line 1: is no JSON"),
        ("precious notes", "line 1: is no JSON"),
        ('{"id": "p1", "label": "maybe"}', 'line 1: needs a "label"'),
        ('{"id": "q1", "label": "contradiction"}', "no pair of this run has the id 'q1'"),
        ("", "holds no label"),
    ],
)
def test_a_file_that_is_none_is_refused(
    line: str, told: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.jsonl").write_text(line, encoding="utf-8")
    assert report.main([str(folder), "--labels", str(tmp_path / "x.jsonl")]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
