"""Verdicts that something else gave before: a file stands in a run as a local detector, or as a judge."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from benchmarks.llm_compare import main
from benchmarks.report.__main__ import main as report
from benchmarks.stats.schema import load_schema

PAIRS = [
    {
        "id": f"p{number}",
        "text1": f"The lamp number {number} is on.",
        "text2": f"The lamp number {number} is {'off' if number % 2 else 'bright'}.",
        "label": "contradiction" if number % 2 else "entailment",
    }
    for number in range(60)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With pairs.jsonl, and the current one."""
    monkeypatch.chdir(tmp_path)
    Path("pairs.jsonl").write_text("".join(f"{json.dumps(pair)}\n" for pair in PAIRS))
    return tmp_path


def written(name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with Path(name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def ran(*flags: str) -> int:
    return main(
        ["pairs.jsonl", "--max-pairs", "0", "--local-only", "--no-viz", "--quiet", "--out", "run", *flags]
    )


def summary() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("run", "summary.json").read_text())
    Draft202012Validator(load_schema()).validate(found)
    return found


def test_a_judges_results_have_its_times_and_its_costs(folder: Path) -> None:
    rows = [(pair["id"], pair["label"], 100 + place, 0.002) for place, pair in enumerate(PAIRS)]
    written("batch.csv", ["id", "verdict", "latency_ms", "cost_usd"], rows[::-1])
    assert ran("--local", "judge:batch.csv") == 0
    judge = summary()["detectors"]["batch"]
    assert (judge["role"], judge["paid"], judge["mode"]) == ("judge", True, "file")
    assert judge["accuracy"] == 1.0
    assert judge["dollars"] == pytest.approx(0.12)
    assert judge["cost"]["per_correct"] == pytest.approx(0.002)
    assert judge["latency_ms"]["mean"] == pytest.approx(129.5)
    assert "pairs_per_s" not in judge
    assert judge["absent"]["pairs_per_s"] == "its verdicts were read from a file"
    assert judge["absent"]["tokens.prompt"] == "they are not in a file of results"
    assert report(["run", "--no-viz"]) == 0
    assert summary()["detectors"]["batch"] == judge


def test_a_runs_own_results_join_another_run(folder: Path) -> None:
    Path("rules.py").write_text(
        "def one(pairs): return [0.2 for _ in pairs]\ndef two(pairs): return [0.7 for _ in pairs]"
    )
    assert ran("--local", "one=rules.py:one", "--local", "two=rules.py:two") == 0
    Path("run").rename("first")
    assert (
        ran("--local", "scores:first/results.csv#two", "--local", "again=scores:first/results.csv#one") == 0
    )
    detectors = summary()["detectors"]
    assert {name: detector["recall"] for name, detector in detectors.items()} == {"two": 1.0, "again": 0.0}
    assert main(["--resume", "run", "--no-viz", "--quiet"]) == 0


def test_a_files_columns_may_be_called_as_those_of_the_pairs(folder: Path) -> None:
    rows = [json.loads(line) for line in Path("pairs.jsonl").read_text().splitlines()]
    new = {"id": "case", "text1": "a", "text2": "b", "label": "label"}
    renamed = [{new[name]: value for name, value in row.items()} for row in rows]
    Path("pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in renamed))
    written("said.csv", ["case", "score"], [(row["case"], 0.75) for row in renamed])
    names = ("--id", "case", "--text1", "a", "--text2", "b")
    assert ran("--local", "scores:said.csv", *names) == 0
    assert summary()["detectors"]["said"]["answered"] == 60


def test_what_a_file_does_not_state_is_not_zero(folder: Path) -> None:
    rows = [(pair["id"], place % 2, "" if place == 7 else 0.002) for place, pair in enumerate(PAIRS)]
    written("batch.csv", ["id", "contradiction", "cost"], rows)
    assert ran("--local", "judge:batch.csv", "--local", "again=scores:batch.csv") == 0
    detectors = summary()["detectors"]
    assert list(detectors) == ["again", "batch"]
    assert detectors["batch"]["dollars"] is None
    assert detectors["batch"]["absent"]["dollars"] == "the file states no cost of 1 of 60 pairs"
    assert detectors["batch"]["dollars_at_least"] == pytest.approx(59 * 0.002)
    assert detectors["batch"]["pairs_without_cost"] == 1
    assert "at least $0.1180 (1 pair without a cost)" in Path("run", "summary.md").read_text().replace(
        "\\", ""
    )
    assert not detectors["again"]["paid"]
    for detector in detectors.values():
        assert "mean" not in detector["latency_ms"]


def test_a_pair_that_a_judges_file_lacks_is_not_asked_about_again(folder: Path) -> None:
    written("batch.csv", ["id", "verdict"], [(pair["id"], pair["label"]) for pair in PAIRS[1:]])
    assert ran("--local", "judge:batch.csv") == 0
    told = Path("run", "summary.md").read_text()
    assert "1 of 60 pairs of batch failed" in told
    assert "--resume" not in told


def test_a_run_goes_on_with_the_same_file_and_with_no_other(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(pair["id"], 0.9) for pair in PAIRS[:50]]
    written("mine.csv", ["id", "score"], rows)
    assert ran("--local", "scores:mine.csv", "--max-failed", "0.5") == 0
    assert summary()["detectors"]["mine"]["errors"] == {"no_row": 10}
    assert main(["--resume", "run", "--no-viz", "--quiet"]) == 0
    assert summary()["detectors"]["mine"]["answered"] == 50
    written("mine.csv", ["id", "score"], [*rows, ("p55", 0.1)])
    assert main(["--resume", "run", "--no-viz", "--quiet"]) == 2
    assert "changed since this run began: local" in capsys.readouterr().err


def test_a_file_about_other_pairs_is_refused_before_the_run_begins(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written("mine.csv", ["id", "score"], [("q1", 0.9)])
    assert ran("--local", "scores:mine.csv") == 2
    assert not Path("run").exists()
    error = capsys.readouterr().err
    assert "'q1'" in error
    assert "'p0'" in error
    assert "Traceback" not in error
