"""The judge phase alone, sync against async, with a simulated judge that takes a fixed 500 ms.

    python -m benchmarks.perf.judge_modes                 all cases, about 6 minutes, nearly all of it waiting
    python -m benchmarks.perf.judge_modes --max-pairs 50  the short ones

Each case is measured in one go, sync first, so that a speed-up compares runs of the same minute.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.openai_async import run_async_benchmark
from benchmarks.openai_sync import run_sync_benchmark
from benchmarks.perf.setting import embedded_pairs, setting, simulated_judge
from benchmarks.simulator.simulation import MODEL
from kimera.pairs import Pair

LATENCY_MS = 500.0


@dataclass(frozen=True)
class Case:
    """So many pairs, so many in flight. needed: the least speed-up that will do, 0 for any."""

    pairs: int
    in_flight: int
    needed: float = 0.0


CASES = (Case(20, 8), Case(48, 8, 7.5), Case(50, 8), Case(100, 8), Case(192, 16, 14.5), Case(200, 8))


@dataclass(frozen=True)
class Measured:
    """Wall seconds of one case, the asynchronous ones of each repetition."""

    case: Case
    sync_s: float
    async_s: tuple[float, ...]

    @property
    def speed_ups(self) -> list[float]:
        return sorted(self.sync_s / wall_s for wall_s in self.async_s)

    @property
    def enough(self) -> bool:
        return self.speed_ups[0] >= self.case.needed

    def row(self) -> str:
        minimum, *_, maximum = (f"{speed_up:.2f}" for speed_up in self.speed_ups + self.speed_ups[-1:])
        needed = f"{self.case.needed:g}" if self.case.needed else ""
        cells = (
            str(self.case.pairs),
            str(self.case.in_flight),
            f"{self.sync_s:.1f}",
            f"{statistics.median(self.async_s):.2f}",
            minimum if minimum == maximum else f"{minimum} to {maximum}",
            needed,
        )
        return f"| {' | '.join(cells)} |"


def measure(case: Case, repeats: int) -> Measured:
    """One sync run, then `repeats` async ones."""
    pairs = embedded_pairs(case.pairs)
    with simulated_judge(pairs, LATENCY_MS) as judge:
        sync_s = _wall_s(pairs, judge.base_url, 1)
        async_s = tuple(_wall_s(pairs, judge.base_url, case.in_flight) for _ in range(repeats))
    return Measured(case, sync_s, async_s)


def _wall_s(pairs: list[Pair], base_url: str, in_flight: int) -> float:
    options = {"api_key": "simulated", "model": MODEL, "base_url": base_url}
    if in_flight == 1:
        stats = run_sync_benchmark(pairs, **options)["stats"]
    else:
        stats = asyncio.run(run_async_benchmark(pairs, in_flight, **options))["stats"]
    if stats["answered"] != len(pairs) or stats["attempts"] != len(pairs):
        raise RuntimeError(f"this run measures nothing: {stats}")
    return float(stats["wall_s"])


def main(argv: Sequence[str] | None = None) -> int:
    """0 if every speed-up is enough, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.perf.judge_modes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--max-pairs", type=int, default=200, metavar="N", help="leave larger cases out")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="async runs (default: 3)")
    options = parser.parse_args(argv)
    print(f"{setting()}. Simulated judge, {LATENCY_MS:g} ms for every pair; one sync run, then")
    print(f"{options.repeats} async ones: their median, and the speed-ups from least to most.\n")
    print("| pairs | in flight | sync, s | async, s | speed-up | needed |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    enough = True
    for case in CASES:
        if case.pairs <= options.max_pairs:
            measured = measure(case, options.repeats)
            enough = enough and measured.enough
            print(measured.row(), flush=True)
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
