"""A run whose judge is asked for three classes: from the request to the report, also where it goes on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from benchmarks.datasets import load_dataset
from benchmarks.llm_compare import main as compare
from benchmarks.report.__main__ import main as report
from benchmarks.stats.schema import load_schema
from kimera.pairs import RELATIONS

LABELS = ("contradiction", "entailment", "neutral")
FIGURES = ("three_way.pairs", "three_way.accuracy", "three_way.macro_f1")
TITLE = "simulated-judge (simulated)"


def write_pairs(folder: Path, labels: tuple[str, ...], count: int = 60) -> str:
    path = folder / "pairs.jsonl"
    lines = (
        {"id": str(n), "text1": f"Box {n} is red.", "text2": f"Box {n} holds {n % 7}.", "label": label}
        for n, label in zip(range(count), labels * count, strict=False)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


def run(folder: Path, dataset: str, *flags: str) -> dict[str, Any]:
    common = ("--max-pairs", "0", "--simulate", "--async", "20", "--quiet", "--no-viz", "--judge-only")
    assert compare([dataset, *common, "--out", str(folder / "run"), *flags]) == 0
    return judge_in(folder)


def judge_in(folder: Path) -> dict[str, Any]:
    summary = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))
    Draft202012Validator(load_schema()).validate(summary)
    return dict(summary["detectors"]["simulated-judge"])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "run" / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_three_classes_are_asked_for_counted_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = run(tmp_path, write_pairs(tmp_path, LABELS), "--classes", "3", "--verbose")
    said, table = capsys.readouterr().out, judge["three_way"]["confusion"]
    assert judge["settings"]["classes"] == 3
    relations = [(row["label"], row[f"{TITLE}_relation"]) for row in rows(tmp_path)]
    assert table == {gold: {name: relations.count((gold, name)) for name in RELATIONS} for gold in RELATIONS}
    right = sum(table[name][name] for name in RELATIONS)
    assert judge["three_way"]["pairs"] == 60 > right  # it errs, as the simulator is told to
    assert judge["three_way"]["accuracy"] == pytest.approx(right / 60)
    low, high = judge["three_way"]["intervals"]["accuracy"]
    assert low < right / 60 < high
    written = [
        (tmp_path / "run" / name).read_text(encoding="utf-8") for name in ("summary.md", "report.html")
    ]
    for text in (said, *written):
        assert "three-way macro F1" in text
        assert "labelled entailment" in text
    assert all((row[f"{TITLE}_entailment"], row[f"{TITLE}_neutral"]) == ("", "") for row in rows(tmp_path))


def test_a_run_that_goes_on_and_a_report_made_anew_have_the_same_classes(tmp_path: Path) -> None:
    whole = run(tmp_path, write_pairs(tmp_path, LABELS), "--classes", "3")["three_way"]
    journal = tmp_path / "run" / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    verdicts = [place for place, line in enumerate(lines) if '"verdict"' in line]
    journal.write_text("".join(lines[: verdicts[25]]), encoding="utf-8")
    assert report([str(tmp_path / "run")]) == 0
    cut = judge_in(tmp_path)
    assert cut["three_way"]["pairs"] == 25
    assert compare(["--resume", str(tmp_path / "run"), "--quiet", "--no-viz"]) == 0
    assert judge_in(tmp_path)["three_way"] == whole


def test_a_run_goes_on_with_as_many_classes_as_it_began_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, write_pairs(tmp_path, LABELS, 12))
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(compare(["--resume", str(tmp_path / "run"), "--classes", "3"]))
    assert ended.value.code == 2
    assert "--classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "flags", "reason"),
    [
        (("contradiction", "not_contradiction"), ("--classes", "3"), "the labels tell contradictions from"),
        (LABELS, (), "it tells contradictions from others only"),
    ],
)
def test_two_ways_on_either_side_leave_the_figures_absent_with_the_reason(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    labels: tuple[str, ...],
    flags: tuple[str, ...],
    reason: str,
) -> None:
    judge = run(tmp_path, write_pairs(tmp_path, labels), *flags, "--verbose")
    assert "three_way" not in judge
    assert all(judge["absent"][name].startswith(reason) for name in FIGURES)
    told = capsys.readouterr().out  # nobody has them, so there is no row that lacks them
    assert "three-way accuracy" not in told


def test_what_is_two_way_throughout_says_nothing_of_three_classes(tmp_path: Path) -> None:
    judge = run(tmp_path, write_pairs(tmp_path, ("contradiction", "not_contradiction")))
    assert not set(FIGURES) & judge["absent"].keys()


def test_a_dataset_knows_the_classes_of_its_labels(tmp_path: Path) -> None:
    mixed = (*LABELS, "not_contradiction")
    assert load_dataset(write_pairs(tmp_path, mixed, 8)).classes.tolist() == [0, 1, 2, -1] * 2
    two_way = ("contradiction", "not_contradiction")
    assert load_dataset(write_pairs(tmp_path, two_way, 4)).classes.tolist() == [-1] * 4
