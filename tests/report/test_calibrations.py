"""--calibrate from the command line: before and after in every file of the report, also when made again."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from made_runs import GUESSES, LABELLED, judge, reactor, run_of
from scipy.special import expit, logit

from benchmarks.llm_compare import main as compare
from benchmarks.report import build_summary, render_text
from benchmarks.report.__main__ import main as report
from benchmarks.report.calibrations import calibrations_of
from benchmarks.report.observations import calibration_sentences
from benchmarks.stats.quality_figures import surprise
from benchmarks.stats.schema import load_schema

FIGURES = ("accuracy", "f1", "brier", "log_loss", "calibration_error")
PAIRS, UNLABELLED = 400, 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a file of scores that are far too sure; the last pairs have no label, one has no score."""
    place = tmp_path_factory.mktemp("calibrated")
    random = np.random.default_rng(0)
    true = random.beta(1, 2, PAIRS)
    labels = ["contradiction" if one else "neutral" for one in random.random(PAIRS) < true]
    labels[-UNLABELLED:] = [""] * UNLABELLED
    with open(place / "pairs.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [
                ("id", "text1", "text2", "label"),
                *((f"p{i}", f"It is {i}.", f"It is {i} or not.", labels[i]) for i in range(PAIRS)),
            ]
        )
    with open(place / "mine.csv", "w", newline="", encoding="utf-8") as file:
        scores = expit(3 * logit(true) + 1.5)
        csv.writer(file).writerows([("id", "score"), *((f"p{i}", scores[i]) for i in range(1, PAIRS))])
    flags = ["--kimera-only", "--local", f"scores:{place / 'mine.csv'}", "--max-pairs", "0", "--no-viz"]
    out = place / "run"
    assert (
        compare([str(place / "pairs.csv"), *flags, "--calibrate", "platt", "--quiet", "--out", str(out)]) == 0
    )
    return out


def summary_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def only_detector(folder: Path) -> dict[str, Any]:
    (detector,) = summary_of(folder)["detectors"].values()
    return dict(detector)


def test_every_figure_is_there_with_its_interval(folder: Path) -> None:
    found = only_detector(folder)["calibrated"]
    assert (found["method"], found["folds"], found["pairs"]) == ("platt", 10, PAIRS - UNLABELLED - 1)
    for name in FIGURES:
        low, high = found["intervals"][name]
        assert 0 <= low < high
    assert found["map"]["slope"] == pytest.approx(1 / 3, abs=0.1)


def test_scores_that_were_too_sure_get_better(folder: Path) -> None:
    before = only_detector(folder)
    for name in ("brier", "log_loss", "calibration_error"):
        assert before["calibrated"][name] < before[name]
    assert "roc_auc" not in before["calibrated"]


def test_the_summary_keeps_to_its_schema(folder: Path) -> None:
    assert not list(Draft202012Validator(load_schema()).iter_errors(summary_of(folder)))


def test_each_answered_pair_has_its_calibrated_score(folder: Path) -> None:
    with open(folder / "results.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    (column,) = (name for name in rows[0] if name.endswith("_calibrated_score"))
    plain = column.replace("_calibrated_score", "_score")
    assert [row["id"] for row in rows if not row[column]] == ["p0"]
    found = only_detector(folder)["calibrated"]["map"]
    for row in rows[-UNLABELLED:]:
        expected = expit(found["slope"] * logit(float(row[plain])) + found["offset"])
        assert float(row[column]) == pytest.approx(expected, abs=2e-3)
    labelled = rows[1:-UNLABELLED]
    truth = np.array([row["label"] == "contradiction" for row in labelled])
    scores = np.array([float(row[column]) for row in labelled])
    of_run = only_detector(folder)["calibrated"]
    assert np.square(truth - scores).mean() == pytest.approx(of_run["brier"], rel=1e-9)
    assert surprise(truth, scores).mean() == pytest.approx(of_run["log_loss"], rel=1e-9)


@pytest.mark.parametrize("file", ["summary.md", "report.html"])
def test_the_report_tells_before_and_after(file: str, folder: Path) -> None:
    told = (folder / file).read_text(encoding="utf-8")
    before = only_detector(folder)
    assert "Calibrated on your labels (Platt, cross-fitted in 10 folds)" in told
    assert f"{before['brier']:.3f} -&gt; {before['calibrated']['brier']:.3f} (" in told.replace(
        '<span class="whole">', ""
    )


def test_a_report_is_made_again_with_the_runs_own_calibration_or_another(
    folder: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    assert report([str(again), "--no-viz"]) == 0
    for name in ("summary.json", "summary.md", "results.csv", "report.html"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name
    assert report([str(again), "--no-viz", "--calibrate", "isotonic"]) == 0
    found = only_detector(again)["calibrated"]
    assert found["method"] == "isotonic"
    assert np.all(np.diff(found["map"]["points"], axis=0) >= 0)
    assert not list(Draft202012Validator(load_schema()).iter_errors(summary_of(again)))


@pytest.mark.parametrize(
    ("gate", "code"), [("brier > 0.2", 0), ("brier.high > 0.01", 3), ("pairs < 1000", 3)]
)
def test_gates_may_name_its_figures(gate: str, code: int, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, again := tmp_path / "again")
    (name,) = summary_of(folder)["detectors"]
    assert report([str(again), "--no-viz", "--fail-if", f"{name}.calibrated.{gate}"]) == code


def test_a_run_without_it_has_none(folder: Path) -> None:
    summary = build_summary(run_of(LABELLED, reactor(GUESSES)))
    assert "calibrated" not in summary["detectors"]["kimera"]
    assert "alibrated" not in render_text(summary, colour=False)


def test_what_cannot_be_calibrated_is_absent_with_the_reason() -> None:
    few = run_of(LABELLED, reactor(GUESSES), judge(LABELLED))
    summary = build_summary(few, calibrations=calibrations_of(few, "isotonic"))
    reasons = [detector["absent"]["calibrated.brier"] for detector in summary["detectors"].values()]
    assert "at least 20 labelled" in reasons[0]
    assert reasons[1] == "there are fewer than 10 different scores"
    told = " ".join(render_text(summary, colour=False).split())
    assert "No calibrated accuracy, calibrated F1, calibrated Brier score," in told


def test_a_calibration_that_made_it_worse_or_had_few_labels_is_told() -> None:
    random = np.random.default_rng(2)
    scores = random.random(300)
    labels = (random.random(300) < scores).astype(np.int8)
    local = replace(reactor((scores >= 0.5).astype(np.int8)), scores=scores)
    run = run_of(labels, local)
    told = {}
    for method in ("isotonic", "platt"):
        summary = build_summary(run, calibrations=calibrations_of(run, method))
        told[method] = " ".join(calibration_sentences(summary))
        after, before = summary["detectors"]["kimera"]["calibrated"], summary["detectors"]["kimera"]
        is_worse = round(after["accuracy"], 3) < round(before["accuracy"], 3)
        assert ("Caution: calibration made kimera worse" in told[method]) == (
            is_worse or round(after["brier"], 3) > round(before["brier"], 3)
        )
    assert "Caution: calibration made kimera worse" in told["isotonic"]
    assert "fewer than 1,000 labels" in told["isotonic"]
    assert "1,000 labels" not in told["platt"]
