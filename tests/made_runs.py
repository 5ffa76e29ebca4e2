"""Small runs of every kind, made by hand: what reports are tested on."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.detector_info import judge_info, local_info
from benchmarks.report import build_summary
from benchmarks.report.results_csv import RowResult
from benchmarks.runs.run_result import RunResult
from benchmarks.stats.results import FAILED, DetectorResult
from kimera.pairs import Failure, Pair, Verdict

HOSTILE = "=cmd|' /C calc'!A0\n# <script>alert(1)</script> | `x` $x^{ \x1b[31m [a](https://b) \ud800"


def reactor(verdicts: np.ndarray, name: str = "kimera") -> DetectorResult:
    answered = verdicts != FAILED
    return DetectorResult(
        info=local_info(name, "reactor"),
        mode="mp",
        asked=4,
        used=2,
        wall_s=0.05,
        verdicts=verdicts,
        scores=np.where(answered, 0.2 + 0.6 * verdicts + 0.001 * (np.arange(verdicts.size) % 12), np.nan),
        latency_ms=np.where(answered, 0.9, np.nan),
        wait_ms=np.where(answered, 0.0, np.nan),
        errors={"encoding": int((~answered).sum())} if not answered.all() else {},
    )


def judge(
    verdicts: np.ndarray, name: str = "gpt-4o-mini", simulated: bool = True, **asked: Any
) -> DetectorResult:
    answered = verdicts != FAILED
    return DetectorResult(
        info=judge_info(name, is_simulated=simulated, **asked),
        mode="async",
        asked=8,
        used=8,
        wall_s=2.0,
        verdicts=verdicts,
        scores=np.where(answered, 0.1 + 0.8 * verdicts, np.nan),
        latency_ms=np.where(answered, 300.0 + 7 * np.arange(verdicts.size), np.nan),
        wait_ms=np.where(answered, 0.0, np.nan),
        errors={"timeout": int((~answered).sum())} if not answered.all() else {},
        tokens={"prompt": 2100, "completion": 400},
        settings={"model": name},
    )


def run_of(labels: np.ndarray, *detectors: DetectorResult, dataset: str = "smoke") -> RunResult:
    contradictions = int((labels == 1).sum())
    about = {"name": dataset, "sha256": "0" * 64, "pairs": labels.size, "contradictions": contradictions}
    return RunResult("2025-01-02T03:04:05+00:00", about, labels, detectors)


def partly_labelled_run(labels: int = 120, pairs: int = 1000, first: bool = False) -> RunResult:
    """A run of a reactor and a judge; so many pairs are labelled, drawn at random or the first ones."""
    random = np.random.default_rng(7)
    truth = (random.random(pairs) < 0.3).astype(np.int8)
    reacted, judged = (np.where(random.random(pairs) < wrong, 1 - truth, truth) for wrong in (0.15, 0.05))
    chosen = np.arange(labels) if first else random.choice(pairs, labels, replace=False)
    known = np.full(pairs, -1, np.int8)
    known[chosen] = truth[chosen]
    return run_of(known, reactor(reacted.astype(np.int8)), judge(judged.astype(np.int8)))


LABELLED = np.tile(np.array([1, 0, 1, 0, 0], dtype=np.int8), 4)
UNLABELLED = np.full(20, -1, dtype=np.int8)
GUESSES = np.tile(np.array([1, 0, 0, 1], dtype=np.int8), 5)
SOME_FAILED = np.where(np.arange(20) % 7 == 3, FAILED, LABELLED).astype(np.int8)
NOTHING = np.full(20, FAILED, dtype=np.int8)

RUNS: dict[str, Callable[[], RunResult]] = {
    "two detectors": lambda: run_of(LABELLED, reactor(GUESSES), judge(SOME_FAILED)),
    "one detector": lambda: run_of(LABELLED, reactor(GUESSES)),
    "four detectors": lambda: run_of(
        LABELLED, reactor(GUESSES), judge(SOME_FAILED, "a"), judge(GUESSES, "b" * 90), judge(NOTHING, "c")
    ),
    "eight detectors": lambda: run_of(
        LABELLED,
        *(reactor(GUESSES, f"local-{number}") for number in range(6)),
        judge(SOME_FAILED),
        judge(NOTHING, "c"),
    ),
    "no labels": lambda: run_of(UNLABELLED, reactor(GUESSES), judge(SOME_FAILED)),
    "one detector, no labels": lambda: run_of(UNLABELLED, reactor(GUESSES)),
    "judge failed": lambda: run_of(LABELLED, reactor(GUESSES), judge(NOTHING)),
    "all failed": lambda: run_of(LABELLED, reactor(NOTHING), judge(NOTHING)),
    "one class": lambda: run_of(np.ones(20, dtype=np.int8), reactor(GUESSES), judge(SOME_FAILED)),
    "one pair": lambda: run_of(LABELLED[:1], reactor(GUESSES[:1]), judge(GUESSES[:1])),
    "worse than chance": lambda: run_of(LABELLED, reactor((1 - LABELLED).astype(np.int8)), judge(LABELLED)),
    "partly labelled": partly_labelled_run,
    "the first ones labelled": lambda: partly_labelled_run(first=True),
    "hostile names": lambda: run_of(LABELLED, reactor(GUESSES, HOSTILE), judge(SOME_FAILED), dataset=HOSTILE),
}


def summary_of(kind: str) -> dict[str, Any]:
    """Of the run of this kind, the caller's own; its intervals take a fifth of a second, once."""
    return copy.deepcopy(_summary_of(kind))


@functools.cache
def _summary_of(kind: str) -> dict[str, Any]:
    return build_summary(RUNS[kind]())


def rows_of(run: RunResult) -> Iterator[tuple[Pair, list[RowResult]]]:
    for i in range(run.labels.size):
        findings = [finding_of(detector, i) for detector in run.detectors]
        yield Pair(HOSTILE, f"text {i}", id=str(i), category=HOSTILE), findings


def finding_of(detector: DetectorResult, i: int) -> RowResult:
    if detector.verdicts[i] == FAILED:
        return Failure("timeout", HOSTILE)
    return Verdict(bool(detector.verdicts[i]), 0.9, HOSTILE, float(detector.latency_ms[i]))
