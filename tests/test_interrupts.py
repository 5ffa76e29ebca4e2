"""Ctrl-C while a command's imports run: exit code 130 and not a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import kimera

ROOT = Path(__file__).parent.parent
SLOW_LIBRARY = """
import time
print("importing", flush=True)
time.sleep(30)
"""


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "benchmarks.llm_compare"],
        ["-m", "benchmarks.simulator"],
        ["-m", "kimera.train"],
        ["-m", "kimera.cache"],
        ["-m", "kimera.live"],
        ["-m", "kimera.cli", "compare"],
        [ROOT / "demo_async.py"],
    ],
    ids=lambda command: command[-1],
)
def test_ctrl_c_during_the_imports_of_a_command_is_130_without_a_traceback(
    tmp_path: Path, command: list[str]
) -> None:
    """The first large library that each imports is replaced by one that takes its time."""
    (tmp_path / "numpy.py").write_text(SLOW_LIBRARY)
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    with subprocess.Popen(
        [sys.executable, *command, "--help"],
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


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(hasattr(kimera, name) for name in kimera.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Reaktor'"):
        kimera.Reaktor  # noqa: B018 (asked for in order to fail)
