"""Six local detectors over 10,000 labelled pairs: what the run and its report take in time and memory.

    python -m benchmarks.perf.prove detectors

The detectors are files of scores, so that no model's memory or time is among it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.perf.proof import Bench, Proof, ProofFinding, made_pairs
from kimera.pairs import CONTRADICTION

STRENGTHS = (
    3.4,
    3.3,
    2.8,
    2.2,
    1.4,
    0.6,
)  # how far apart each detector has the classes, in standard deviations
MAX_SECONDS, MAX_MB = 30.0, 1500.0
# Linux counts the memory of the process that starts another one into the other's ru_maxrss; VmHWM is its own.
AND_PEAK = """
import re, runpy, sys
path, module = sys.argv[1:3]
sys.argv[:] = sys.argv[2:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    status = open("/proc/self/status").read()
    open(path, "w").write(re.search(r"VmHWM:\\s+(\\d+)", status)[1])
"""


def many_detectors(bench: Bench) -> Iterator[ProofFinding]:
    """The run, then its report once more by itself, which is where the statistics are."""
    count = bench.size(10_000, 400)
    run = bench.folder / "run"
    names = [f"--local=scores:{path}" for path in _score_files(bench.folder, count)]
    pairs = str(bench.pair_file(count))
    peak_file = bench.folder / "peak"
    flags = ["--local-only", "--max-pairs=0", f"--out={run}"]
    _, run_mb = _measured(peak_file, "benchmarks.llm_compare", pairs, *names, *flags)
    seconds, report_mb = _measured(peak_file, "benchmarks.report", str(run))
    what = f"report of {count:,} pairs and {len(STRENGTHS)} detectors, start-up included"
    yield ProofFinding(
        what, f"under {MAX_SECONDS:.0f} s", f"{seconds:.1f} s", seconds < MAX_SECONDS, timed=True
    )
    peak = max(run_mb, report_mb)
    yield ProofFinding(
        "peak memory of the run, and of the report",
        f"under {MAX_MB:,.0f} MB",
        f"{run_mb:,.0f} MB, {report_mb:,.0f} MB",
        peak < MAX_MB,
    )


def _score_files(folder: Path, count: int) -> Iterator[Path]:
    random = np.random.default_rng(0)
    pairs = list(made_pairs(count))
    truth = np.array([pair.label == CONTRADICTION for pair in pairs])
    for number, strength in enumerate(STRENGTHS):
        scores = 1 / (1 + np.exp(-random.normal(size=count) - strength * (truth - 0.5)))
        path = folder / f"detector-{number}.csv"
        rows = (f"{pair.id},{score:.5f}\n" for pair, score in zip(pairs, scores, strict=True))
        path.write_text(f"id,score\n{''.join(rows)}", encoding="utf-8")
        yield path


def _measured(peak_file: Path, module: str, *arguments: str) -> tuple[float, float]:
    """(seconds, peak memory in MB) of a command in a process of its own, on Linux. Raises where it failed."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", AND_PEAK, str(peak_file), module, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 (our own)
    return time.perf_counter() - begun, int(peak_file.read_text(encoding="utf-8")) / 1000


PROOFS: dict[str, Proof] = {"detectors": many_detectors}
