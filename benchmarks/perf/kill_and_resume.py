"""What a run of the command line keeps when it is killed at a random moment and resumed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.datasets import load_dataset
from benchmarks.judge.prompts import DEFAULT_PROMPT, load_prompt
from benchmarks.runs.run_folder import JOURNAL
from benchmarks.simulator.process import SimulatorProcess
from benchmarks.simulator.simulation import MODEL, SimulatorConfig, answer_key, answers_for

IN_FLIGHT = 16
# Verdicts, confidences and reasonings that differ from pair to pair, so that a mix-up shows.
JUDGE = SimulatorConfig(latency_ms=20.0, spread_ms=5.0, error_rate=0.2, hostile_text=0.3)
# Some requests expire, some fail, and some batches are taken without a reply.
FAULTY_BATCHES = replace(
    JUDGE, batch_s=0.5, batch_expired=0.05, batch_dropped=0.2, server_error=0.1, rate_limited=0.1
)
ONE_BY_ONE = ("--async", str(IN_FLIGHT))
BATCHED = ("--batch", "--batch-requests", "200")
COMPARED = ("contradiction", "score", "reasoning", "error")
START_TIMEOUT_S = 60.0
Row = tuple[str, ...]


@dataclass(frozen=True)
class Killed:
    """One run that was killed and resumed.

    answered: pairs whose outcome stood in the journal at the kill. lost: of these, records that are no longer
    there. asked_again: of these, pairs that the judge was asked about once more. in_flight_again: other pairs
    that were answered twice. unasked: pairs never answered. same: whether results.csv says what it should.
    """

    answered: int
    lost: int
    asked_again: int
    in_flight_again: int
    unasked: int
    same: bool


def kill_and_resume(
    pair_file: Path, kills: int, seed: int, folder: Path, *, batched: bool = False
) -> list[Killed]:
    """Kills so many runs, each at a moment drawn from the time that an undisturbed one takes.

    batched: whether they ask in batches, and of a judge that fails now and then.
    """
    how = BATCHED if batched else ONE_BY_ONE
    config = FAULTY_BATCHES if batched else JUDGE
    dataset = load_dataset(pair_file)
    question = load_prompt(DEFAULT_PROMPT).question
    keys = {pair.id: answer_key(question(pair.text1, pair.text2)).hex() for pair in dataset}
    rng = Random(seed)  # noqa: S311 - no secrets here
    with SimulatorProcess(config, answers_for(dataset, question)) as judge:
        undisturbed = folder / "undisturbed"
        _start(pair_file, judge, undisturbed, how).wait()
        summary = json.loads((undisturbed / "summary.json").read_text(encoding="utf-8"))
        span_s = summary["detectors"][MODEL]["wall_s"]
        expected = _results(undisturbed)
        return [
            _kill_one(
                partial(_start, pair_file, judge, folder / f"killed-{number}", how),
                judge,
                folder / f"killed-{number}",
                rng.uniform(0, span_s),
                keys,
                expected,
            )
            for number in range(kills)
        ]


def _kill_one(
    start: Callable[[], subprocess.Popen[bytes]],
    judge: SimulatorProcess,
    folder: Path,
    after_s: float,
    keys: dict[str, str],
    expected: list[Row],
) -> Killed:
    before = Counter(judge.stats(keys=True)["asked"])
    process = start()
    _wait_for_first_question(process, folder / JOURNAL)
    time.sleep(after_s)
    process.kill()
    process.wait()
    journal = (folder / JOURNAL).read_bytes()
    kept = journal[: journal.rfind(b"\n") + 1]
    answered = {record["id"] for record in _records(kept)}
    _llm_compare("--resume", str(folder)).wait()
    asked = Counter(judge.stats(keys=True)["asked"]) - before
    after = (folder / JOURNAL).read_bytes()
    return Killed(
        answered=len(answered),
        lost=0 if after.startswith(kept) else len(answered),
        asked_again=sum(asked[keys[pair]] > 1 for pair in answered),
        in_flight_again=sum(asked[key] > 1 for pair, key in keys.items() if pair not in answered),
        unasked=sum(not asked[key] for key in keys.values()),
        same=_results(folder) == expected,
    )


def _start(
    pair_file: Path, judge: SimulatorProcess, folder: Path, how: tuple[str, ...]
) -> subprocess.Popen[bytes]:
    endpoint = ("--base-url", judge.base_url, "--model", MODEL, *how)
    what = (str(pair_file), "--max-pairs", "0", "--judge-only", "--no-viz")
    return _llm_compare(*what, *endpoint, "--out", str(folder))


def _llm_compare(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.llm_compare", *arguments, "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program


def _wait_for_first_question(process: subprocess.Popen[bytes], journal: Path) -> None:
    """Returns once the journal's header and the line that opens the judge's pass are there."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the run did not start; its own error stands above")
        time.sleep(0.005)


def _records(journal: bytes) -> list[dict[str, str]]:
    """The outcomes in the whole lines of a journal."""
    records = (json.loads(line) for line in journal.splitlines())
    return [record for record in records if "verdict" in record]


def _results(folder: Path) -> list[Row]:
    """Of each pair its id and what the judge said, without the times."""
    with (folder / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name.startswith(MODEL) and name.endswith(COMPARED)]
    return [(row["id"], *(row[column] for column in columns)) for row in rows]
