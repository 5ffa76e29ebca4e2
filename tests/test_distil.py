"""What a judge said becomes labelled pairs, and nothing else does."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks.distil import main
from benchmarks.llm_compare import main as compare
from kimera.errors import UserError
from kimera.files.pair_files import read_pairs
from kimera.models.data_sets import DataSet
from kimera.training.training_data import labels_and_weights, read_labelled, undivided

pytestmark = pytest.mark.slow  # whole runs, fits or installations

PAIRS = [
    {"text1": f"Shop {number} is open.", "text2": f"Shop {number} is closed.", "label": label}
    for number, label in enumerate(("contradiction", "neutral") * 20)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two simulated judges, each wrong about some pairs."""
    base = tmp_path_factory.mktemp("run")
    (base / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    flags = [
        "--simulate",
        "--judge-only",
        "--async",
        "8",
        "--model",
        "a",
        "--model",
        "b",
        "--no-viz",
        "--quiet",
    ]
    assert compare([str(base / "pairs.jsonl"), *flags, "--json", "--out", str(base / "out")]) == 0
    return base / "out"


def test_labels_are_the_judges_verdicts_and_can_be_trained_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labelled.jsonl"
    assert main([str(folder), "--judge", "b", "--out", str(out)]) == 0
    with (folder / "results.csv").open(newline="") as file:
        said = {row["id"]: row["b (simulated)_contradiction"] == "true" for row in csv.DictReader(file)}
    read = list(read_pairs(out))
    assert {pair.id: pair.is_contradiction for pair in read} == said
    assert [pair.text1 for pair in read] == [pair["text1"] for pair in PAIRS]
    captured = capsys.readouterr()
    assert (
        f"{out}: 40 pairs, {sum(said.values())} of them contradictions; labelled: 40 by b (simu"
        in captured.out
    )
    assert "simulated" in captured.err


def test_what_the_judge_is_not_sure_of_can_be_left_out(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "sure.jsonl"
    assert main([str(folder), "--judge", "a", "--out", str(out), "--min-confidence", "0.9"]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert 0 < len(rows) < 40
    assert all(row["confidence"] >= 0.9 for row in rows)


def test_labels_of_people_take_the_place_of_verdicts_and_count_more_in_a_fit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "ana": {"1": "not_contradiction", "2": "contradiction", "3": "contradiction", "4": "cannot_tell"},
        "ben": {"1": "not_contradiction", "3": "not_contradiction"},
    }
    for who, labels in given.items():
        lines = [json.dumps({"id": name, "label": label, "who": who}) for name, label in labels.items()]
        (tmp_path / f"{who}.jsonl").write_text("\n".join(lines))
    flags = [flag for who in given for flag in ("--labels", str(tmp_path / f"{who}.jsonl"))]
    out = tmp_path / "labelled.jsonl"
    weighted = ["--judge", "b", "--people-weight", "5", "--out", str(out)]
    assert main([str(folder), *flags, *weighted]) == 0
    rows = {row["id"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert {name: row["label"] for name, row in rows.items() if row["sample_weight"] == 5} == {
        "1": "not_contradiction",
        "2": "contradiction",
    }
    assert "3" not in rows  # as many say one as the other
    assert (rows["4"]["sample_weight"], rows["4"]["judge"]) == (1, "b (simulated)")
    told = capsys.readouterr().out
    assert "39 pairs" in told
    assert (
        "labelled: 37 by b (simulated) and 2 by ana, ben; left out: 0 without a verdict, 0 below "
        "--min-confidence, 1 on which" in told
    )

    file = read_labelled(out, {out.name: DataSet("Mine", remarks="by hand")}, 0.5)
    assert labels_and_weights([file])[1].tolist() == [2.5, 2.5, *[0.5] * 37]
    remarks = undivided([file]).sources[0].data_set.remarks  # as the card shows them
    assert remarks == "by hand; sample_weight 1 for 37 pairs, 5 for 2 pairs"
    out.write_text(out.read_text().replace('"sample_weight": 5.0', '"sample_weight": -1'))
    with pytest.raises(UserError, match="line 1: sample_weight is -1; expected what this pair counts"):
        read_labelled(out, {})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "the judges of this run are: a, b"),
        (["--judge", "c"], "--judge c: the judges of this run are: a, b"),
        (["--judge", "a", "--people-weight", "2"], "--people-weight has no effect without --labels"),
    ],
)
def test_a_wrong_question_is_answered_with_what_would_be_right(
    flags: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--out", str(tmp_path / "out.jsonl"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_flags_are_taken_from_a_file(folder: Path, tmp_path: Path) -> None:
    by_flag, by_file, config = (tmp_path / name for name in ("flag.jsonl", "file.jsonl", "mine.toml"))
    config.write_text(f'[distil]\njudge = "a"\nmin-confidence = 0.9\nout = "{by_file}"\n')
    assert main([str(folder), "--config", str(config)]) == 0
    assert main([str(folder), "--judge", "a", "--min-confidence", "0.9", "--out", str(by_flag)]) == 0
    assert by_file.read_bytes() == by_flag.read_bytes()


@pytest.mark.parametrize("flag", ["--min-confidence", "--least-confidence"])
@pytest.mark.parametrize("value", ["2", "0.4", "nan", "much"])
def test_a_confidence_that_no_verdict_has_is_wrong_usage(
    flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", flag, value])
    assert f"argument {flag}: '{value}' is not from 0.5 to 1" in capsys.readouterr().err


def test_a_run_without_a_judge_has_nothing_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    assert compare(["--kimera-only", "--max-pairs", "2", "--no-viz", "--quiet", "--out", run]) == 0
    assert main([run]) == 2
    assert "this run asked no judge" in capsys.readouterr().err


def test_an_earlier_file_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("precious")
    assert main([str(folder), "--judge", "a", "--out", str(tmp_path / "mine.jsonl")]) == 2
    assert (tmp_path / "mine.jsonl").read_text() == "precious"


def test_a_folder_without_a_run_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no run there" in capsys.readouterr().err
