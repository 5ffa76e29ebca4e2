"""Ctrl-C while a command's imports run: exit code 130 and not a word."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kimera

ROOT = Path(__file__).parents[2]
SLOW_LIBRARY = """
import time
print("importing", flush=True)
time.sleep(30)
"""


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "benchmarks.llm_compare", "--kimera-only"],
        ["-m", "benchmarks.simulator"],
        ["-m", "kimera.train", "--help"],
        ["-m", "kimera.live", "--port", "0"],
        ["-m", "kimera.cli", "compare", "--kimera-only"],
        [ROOT / "demo_async.py", "--help"],
    ],
    ids=lambda command: " ".join(map(str, command[1:])),
)
def test_ctrl_c_during_the_imports_of_a_command_is_130_without_a_traceback(
    tmp_path: Path, command: list[str]
) -> None:
    """The first large library that each imports is replaced by one that takes its time."""
    (tmp_path / "numpy.py").write_text(SLOW_LIBRARY)
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")


@pytest.mark.slow
@pytest.mark.parametrize(("wait_for", "times"), [('"journal"', 4), ('"began"', 1), ('"index"', 4)])
def test_however_often_it_is_pressed_the_reactor_on_processes_ends_without_a_traceback(
    tmp_path: Path, wait_for: str, times: int
) -> None:
    rows = ({"text1": f"Door {n} is open.", "text2": f"Door {n} is shut."} for n in range(3_000))
    (tmp_path / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    flags = ["--kimera-only", "--mp", "2", "--max-pairs", "0", "--no-viz", "--no-cache", "--out", "run"]
    command = [sys.executable, "-m", "benchmarks.llm_compare", "pairs.jsonl", *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        journal = tmp_path / "run" / "journal.jsonl"
        deadline = time.monotonic() + 60
        while not (journal.exists() and wait_for in journal.read_text()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for _ in range(times):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers hear it too
            time.sleep(0.05)
        _, told = process.communicate(timeout=60)
    assert b"Traceback" not in told
    assert b"Error" not in told
    assert b"interrupted; go on with: python -m benchmarks.llm_compare --resume run" in told
    assert process.returncode in {130, -signal.SIGINT}  # the last one may hit the interpreter's own end


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(hasattr(kimera, name) for name in kimera.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Reaktor'"):
        kimera.Reaktor  # noqa: B018 (asked for in order to fail)
