"""The tour, run as a person runs it: a process of its own, its output read from a pipe."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # whole runs, fits or installations

DEMO = Path(__file__).parent.parent / "demo_async.py"
KEY = "sk-made-up-for-this-test"
PAIRS = 16
SMALL = ("--pairs", str(PAIRS), "--latency-ms", "20")


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEMO), *arguments]
    environment = {**os.environ, "OPENAI_API_KEY": KEY}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


@pytest.fixture(scope="module")
def small_tour() -> subprocess.CompletedProcess[str]:
    return run_demo(*SMALL)


def number_before(words: str, text: str) -> int:
    match = re.search(rf"(\d+) {words}", text)
    assert match, f"no number before {words!r} in:\n{text}"
    return int(match[1])


def test_the_tour_ends_well_and_says_nothing_on_standard_error(
    small_tour: subprocess.CompletedProcess[str],
) -> None:
    assert (small_tour.returncode, small_tour.stderr) == (0, "")


def test_the_first_line_says_that_the_judge_is_simulated(
    small_tour: subprocess.CompletedProcess[str],
) -> None:
    assert "simulated" in small_tour.stdout.splitlines()[0]


def test_the_table_has_a_row_for_sync_and_for_each_number_in_flight(
    small_tour: subprocess.CompletedProcess[str],
) -> None:
    rows = re.findall(r"^(sync|async) +(\d+) +(\d+) .*\d+\.\dx$", small_tour.stdout, re.MULTILINE)
    assert [row[:2] for row in rows] == [("sync", "1"), ("async", "4"), ("async", "8"), ("async", "16")]
    assert {row[2] for row in rows} == {str(PAIRS)}


def test_the_speed_up_is_that_of_the_tables_last_row(small_tour: subprocess.CompletedProcess[str]) -> None:
    last_row = re.findall(r"^async.* (\d+\.\d)x$", small_tour.stdout, re.MULTILINE)[-1]
    assert f"16 in flight were {last_row} times as fast as sync mode." in small_tour.stdout


def test_with_faults_every_pair_is_answered_or_failed(small_tour: subprocess.CompletedProcess[str]) -> None:
    faults = small_tour.stdout.partition("A bad day")[2]
    answered, failed = number_before("answered", faults), number_before("failed", faults)
    assert answered + failed == PAIRS
    assert len(re.findall(r"^  [\w-]+: \w+: ", faults, re.MULTILINE)) == failed


def test_with_faults_the_client_and_the_judge_count_the_same_attempts(
    small_tour: subprocess.CompletedProcess[str],
) -> None:
    faults = small_tour.stdout.partition("A bad day")[2]
    counts = [int(count) for count in re.findall(r"^  \w+ +(\d+)$", faults, re.MULTILINE)]
    assert sum(counts) == number_before("attempts", faults)
    assert number_before("of them retries", faults) == sum(counts) - PAIRS > 0


def test_piped_output_is_plain(small_tour: subprocess.CompletedProcess[str]) -> None:
    assert "\033" not in small_tour.stdout


def test_a_key_in_the_environment_is_not_shown(small_tour: subprocess.CompletedProcess[str]) -> None:
    assert KEY not in small_tour.stdout


@pytest.mark.parametrize("arguments", [("--pairs", "0"), ("--latency-ms", "-1"), ("--latency-ms", "nan")])
def test_a_number_that_makes_no_sense_is_refused_without_a_traceback(arguments: tuple[str, str]) -> None:
    tour = run_demo(*arguments)
    assert tour.returncode == 2
    assert arguments[0] in tour.stderr
    assert "Traceback" not in tour.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_ctrl_c_ends_it_with_130_and_without_a_traceback() -> None:
    command = [sys.executable, str(DEMO), "--pairs", "100", "--latency-ms", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tour:
        assert tour.stdout is not None
        assert any(line.startswith("mode") for line in tour.stdout)  # the sync row is being measured
        time.sleep(1)  # Python itself stumbles over a Ctrl-C in the moment in which it makes its event loop
        tour.send_signal(signal.SIGINT)
        _, errors = tour.communicate(timeout=30)
    assert tour.returncode == 130
    assert "Traceback" not in errors


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX's")
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colour_unless_no_color_is_set(no_color: str, coloured: bool) -> None:
    assert ("\033[1m" in first_heading_on_a_terminal(NO_COLOR=no_color)) is coloured


def first_heading_on_a_terminal(**env: str) -> str:
    ours, theirs = os.openpty()
    with subprocess.Popen([sys.executable, str(DEMO)], stdout=theirs, env={**os.environ, **env}) as tour:
        os.close(theirs)
        output = b""
        while b"One question" not in output:
            output += os.read(ours, 4096)
        tour.kill()
    os.close(ours)
    return output.decode()
