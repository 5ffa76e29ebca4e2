"""Commands whose standard output or error nobody reads, or that were started without them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPARE = ["benchmarks.llm_compare", "--kimera-only", "--max-pairs", "2", "--no-viz"]


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def redirected(
    redirections: str, command: list[str], tmp_path: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'exec "$@" {redirections}', "bash", sys.executable, "-m", *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def unread(command: list[str], tmp_path: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Its exit code and standard error where the reader of its standard output has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=environment,
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["kimera.cache", "stats", "--cache-dir", "."],
        ["kimera.cache", "clear", "--cache-dir", "."],
        ["kimera.console.completion", "bash"],
        COMPARE,
    ],
    ids=" ".join,
)
def test_a_reader_that_has_gone_is_no_error(
    tmp_path: Path, environment: dict[str, str], command: list[str]
) -> None:
    code, told = unread(command, tmp_path, environment)
    assert (code, "rror" in told) == (0, False), told


@pytest.mark.slow
def test_a_fit_whose_figures_nobody_reads_is_written(tmp_path: Path, environment: dict[str, str]) -> None:
    pairs = tmp_path / "pairs.csv"
    with pairs.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text1", "text2", "label"])
        for number in range(400):
            label = "contradiction" if number % 2 else "entailment"
            rows.writerow([f"Door {number} is open.", f"Door {number} is shut.", label])
    code, told = unread(["kimera.train", "pairs.csv", "--epochs", "1", "--refit"], tmp_path, environment)
    *_, following, last = told.splitlines()
    assert (code, last) == (0, "wrote head.safetensors and head.md")
    assert following.endswith("compare PAIRS --kimera-only --max-pairs 0 --head head.safetensors")


def test_without_a_standard_output_a_run_is_made_all_the_same(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = redirected(">&-", [*COMPARE, "--out", "run"], tmp_path, environment)
    assert (done.returncode, "rror" in done.stderr) == (0, False), done.stderr
    assert (tmp_path / "run" / "report.html").is_file()


def test_without_a_standard_error_notes_do_not_get_into_the_output(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = redirected("2>&-", [*COMPARE, "--json"], tmp_path, environment)
    assert done.returncode == 0
    assert json.loads(done.stdout)["dataset"]["pairs"] == 2
