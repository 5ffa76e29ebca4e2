"""What 8 requests in flight cost in memory over sync mode, on 200 pairs of a simulated judge.

    python -m benchmarks.perf.judge_memory

Each run is a process of its own that imports the same modules, httpx among them, and reports its peak.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.openai_async import run_async_benchmark
from benchmarks.perf.setting import embedded_pairs, setting, simulated_judge
from benchmarks.simulator.simulation import MODEL

PAIRS = 200
IN_FLIGHT = 8
LATENCY_MS = 50.0  # short: memory does not depend on it
MAX_MB = 2.0


def measure_here(in_flight: int, base_url: str) -> dict[str, float]:
    """Runs the judge phase in this process: its peak resident memory before and after, in MB."""
    for module in ("httpx", "httpx_aiohttp"):
        importlib.import_module(module)
    pairs = embedded_pairs(PAIRS)
    before_mb = _peak_mb()
    options = {"api_key": "simulated", "model": MODEL, "base_url": base_url}
    stats = asyncio.run(run_async_benchmark(pairs, in_flight, **options))["stats"]
    if stats["answered"] != PAIRS or stats["concurrency"] != in_flight:
        raise RuntimeError(f"this run measures nothing: {stats}")
    return {"before_mb": before_mb, "after_mb": _peak_mb()}


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024  # bytes there, KiB elsewhere


def measure_apart(in_flight: int, base_url: str) -> dict[str, float]:
    """The same in a fresh process.

    Linux counts this process's memory at the start of the other into the other's peak, so this one must have
    stayed smaller.
    """
    command = [sys.executable, "-m", "benchmarks.perf.judge_memory", "--here", str(in_flight), base_url]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 (our own programs)
    peaks: dict[str, float] = json.loads(output)
    if peaks["before_mb"] <= _peak_mb():
        raise RuntimeError(f"this process ({_peak_mb():.1f} MB) hides the other's memory: {peaks}")
    return peaks


def main(argv: Sequence[str] | None = None) -> int:
    """0 if async mode takes at most `MAX_MB` more, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.perf.judge_memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="runs of each (default: 5)")
    parser.add_argument("--here", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.here:
        print(json.dumps(measure_here(int(options.here[0]), options.here[1])))
        return 0
    return _compare(options.repeats)


def _compare(repeats: int) -> int:
    runs: dict[int, list[dict[str, float]]] = {1: [], IN_FLIGHT: []}
    with simulated_judge(embedded_pairs(PAIRS), LATENCY_MS) as judge:
        for _ in range(repeats):
            for in_flight, of_mode in runs.items():
                of_mode.append(measure_apart(in_flight, judge.base_url))
    print(f"{setting()}. {PAIRS} pairs, simulated judge; {repeats} fresh processes of each mode,")
    print("in turn; peak resident memory.\n")
    print(
        "| mode | before the first request, MB | after the run, MB (least to most) |\n| --- | ---: | ---: |"
    )
    for in_flight, of_mode in runs.items():
        mode = "sync" if in_flight == 1 else f"async, {in_flight} in flight"
        after = sorted(peaks["after_mb"] for peaks in of_mode)
        print(
            f"| {mode} | {_median_mb(of_mode, 'before_mb'):.1f} "
            f"| {_median_mb(of_mode, 'after_mb'):.1f} ({after[0]:.1f} to {after[-1]:.1f}) |"
        )
    more_mb = _median_mb(runs[IN_FLIGHT], "after_mb") - _median_mb(runs[1], "after_mb")
    print(f"\nAsync mode takes {more_mb:.2f} MB more by the medians; at most {MAX_MB:g} will do.")
    return 0 if more_mb <= MAX_MB else 1


def _median_mb(runs: list[dict[str, float]], name: str) -> float:
    return statistics.median(peaks[name] for peaks in runs)


if __name__ == "__main__":
    sys.exit(main())
