"""Which detectors a command line asks for, and which names they may not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.llm_compare import main as compare
from benchmarks.scan import main as scan

REFUSED = [
    (["kimera"], "--model kimera: Kimera uses that name itself"),
    (["cascade"], "--model cascade: Kimera uses that name itself"),
    (["cascade_run"], "--model cascade_run: Kimera uses that name itself"),
    (["gpt-4o", "gpt-4o"], "--model gpt-4o is given twice"),
    ([" "], "is not a name: it is blank"),
    (["a\x1b[2J"], "or contains a control character"),
]


@pytest.mark.parametrize(("models", "told"), REFUSED)
def test_a_judges_name_is_refused_before_anything_is_read_or_asked(
    models: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [argument for model in models for argument in ("--model", model)]
    flags = [*named, "--simulate", "--out", str(tmp_path / "run")]
    assert compare(["no such file.csv", *flags]) == 2
    output = capsys.readouterr()
    assert told in output.err
    assert (output.out, list(tmp_path.iterdir())) == ("", [])


def test_a_judge_of_a_scan_may_not_be_called_like_a_built_in_detector_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = ["--model", "cascade", "--base-url", "http://127.0.0.1:9/v1"]
    assert scan(["no such file.md", *judge, "--folder", str(tmp_path / "run")]) == 2
    assert "--model cascade: Kimera uses that name itself" in capsys.readouterr().err
