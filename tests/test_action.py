"""The GitHub Action: what its step does with its inputs, in a process, as a runner starts it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEP = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "scan")


def run(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """As a runner does: the inputs' values, or else their defaults, in the variables that the step names."""
    given = {name: declared["default"] for name, declared in ACTION["inputs"].items()} | inputs
    variables = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
        for name, value in STEP["env"].items()
    }
    there = {
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(folder / "output"),
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        ["bash", "-c", STEP["run"]],
        cwd=folder,
        env={**os.environ, **there, **variables},
        capture_output=True,
        text=True,
    )


def test_no_input_is_part_of_a_command_and_each_reaches_the_step() -> None:
    assert all("${{" not in step.get("run", "") for step in ACTION["runs"]["steps"])
    assert {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]} == set(STEP["env"].values())


@pytest.mark.slow
def test_the_action_leaves_sarif_and_ends_as_the_scan_does(tmp_path: Path) -> None:
    (tmp_path / "a b.md").write_text("The museum in the old town is open on Mondays.\n")
    (tmp_path / "-c.md").write_text("The museum in the old town is never open on Mondays.\n")
    files = "a b.md\n\n-c.md\n"
    done = run(tmp_path, files=files, python=sys.executable, arguments="--min-score=0.7\n--quiet")
    assert done.returncode == 3, done.stderr
    assert (tmp_path / "output").read_text() == "sarif=kimera.sarif\nexit-code=3\n"
    [scan] = json.loads((tmp_path / "kimera.sarif").read_text())["runs"]
    assert len(scan["results"]) == 1


@pytest.mark.slow
def test_what_an_input_holds_is_not_run(tmp_path: Path) -> None:
    hostile = "$(touch pwned)`touch pwned`; touch pwned #\"'"
    done = run(tmp_path, files=hostile, diff=hostile, baseline=hostile, python=sys.executable)
    assert done.returncode == 2
    assert hostile in done.stderr
    assert run(tmp_path, sarif="a\nexit-code=0", python=sys.executable).returncode == 2
    assert not (tmp_path / "pwned").exists()
    assert (tmp_path / "output").read_text() == "sarif=kimera.sarif\nexit-code=2\n"
