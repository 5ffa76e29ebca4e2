"""Proofs of speed and size: the judge pipeline beside other clients of the same server, and its memory."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.datasets import load_dataset
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.perf import peers
from benchmarks.perf.judge_throughput import KIMERA, Measured, measure_in_turn
from benchmarks.perf.proof import Bench, Proof, ProofFinding
from benchmarks.perf.setting import peak_mib
from benchmarks.perf.stub_server import StubServer
from benchmarks.runs.comparison import compare
from benchmarks.runs.journal import Journal
from benchmarks.runs.judge_detector import JudgeDetector

REPEATS = 3
RATIOS = {"aiohttp": 0.9, "httpx-aiohttp": 0.8, "openai-aiohttp": 2.5, "openai": 4.0, "litellm": 5.0}
MAX_CPU_RATIO = 1.6  # over bare aiohttp's, at 256 in flight
CROWDED_RATIO = 0.75  # of bare aiohttp's requests, at 1,024 in flight
INSPECT_AI_RATIO = 6.0
MAX_GROWTH_MB = 30.0
PAIRS_IN_FLIGHT = 64


def efficiency_at_8(bench: Bench) -> Iterator[ProofFinding]:
    """8 in flight: as efficient as a bare client, and more so than the openai package."""
    required = {"httpx-aiohttp": ("at most 1 point less", -0.01), "openai": ("more", 0.0)}
    rounds = _rounds(bench, tuple(required), 8, bench.size(800, 40))
    for peer, (wanted, margin) in required.items():
        what = f"efficiency at 8 in flight, beside {peer}"
        if peer not in rounds[0]:
            yield _absent(what, wanted, peer)
            continue
        ours, its = (statistics.median(run[client].efficiency for run in rounds) for client in (KIMERA, peer))
        yield ProofFinding(what, wanted, f"{ours:.1%} beside {its:.1%}", ours > its + margin, timed=True)


def throughput_at_256(bench: Bench) -> Iterator[ProofFinding]:
    """256 in flight: near a bare client, far above the packages that people use."""
    rounds = _rounds(bench, tuple(RATIOS), 256, bench.size(6_000, 300))
    for peer, minimum in RATIOS.items():
        what = f"requests/s at 256 in flight, over {peer}"
        if peer in rounds[0]:
            yield _ratio(what, minimum, [(run[KIMERA], run[peer]) for run in rounds])
        else:
            yield _absent(what, _minimum(minimum), peer)
    yield _cpu_ratio("CPU time a request at 256 in flight, over aiohttp", rounds)


def throughput_at_1024(bench: Bench) -> Iterator[ProofFinding]:
    """More in flight than the machine can serve does no harm, and stays near a bare client."""
    requests = bench.size(6_000, 300)
    crowded, fewer = [], []
    for _ in range(bench.size(REPEATS, 1)):
        crowded.append(measure_in_turn((KIMERA, "aiohttp"), bench.interpreters, 1_024, requests))
        fewer.append(measure_in_turn((KIMERA,), bench.interpreters, 256, requests))
    pairs = zip(crowded, fewer, strict=True)
    yield _ratio("requests/s at 1,024 in flight, over 256", 1.0, [(a[KIMERA], b[KIMERA]) for a, b in pairs])
    beside = [(run[KIMERA], run["aiohttp"]) for run in crowded]
    yield _ratio("requests/s at 1,024 in flight, over aiohttp", CROWDED_RATIO, beside)


def whole_process(bench: Bench) -> Iterator[ProofFinding]:
    """64 in flight, from the command to its end, files and picture and all, beside inspect_ai."""
    pairs = bench.size(1_000, 20)
    what = f"whole process, {pairs:,} pairs at {PAIRS_IN_FLIGHT} in flight, over inspect_ai"
    python = bench.interpreters.find("inspect-ai")
    with bench.interpreters.stub() as judge:
        ours_s = _seconds_of_second(
            lambda: _llm_compare(bench.pair_file(pairs), judge.base_url, bench.folder)
        )
        if python is None:
            yield _absent(what, _minimum(INSPECT_AI_RATIO), "inspect-ai")
            return
        what_it_takes = (judge.base_url, str(PAIRS_IN_FLIGHT), str(pairs))
        its_s = _seconds_of_second(lambda: [python, peers.__file__, "inspect-ai", *what_it_takes])
    measured = f"{its_s / ours_s:.1f} ({ours_s:.1f} s, {its_s:.1f} s)"
    yield ProofFinding(
        what, _minimum(INSPECT_AI_RATIO), measured, its_s >= INSPECT_AI_RATIO * ours_s, timed=True
    )


def memory(bench: Bench) -> Iterator[ProofFinding]:
    """The judge phase streams its pairs from a file: memory does not grow with them."""
    few, many = bench.size(1_000, 50), bench.size(100_000, 500)
    with StubServer(0.0, bench.interpreters.find("uvloop") or sys.executable) as judge:
        minimum, maximum = (_peak_apart_mb(bench.pair_file(pairs), judge.base_url) for pairs in (few, many))
    yield ProofFinding(
        f"peak memory of the judge phase, {many:,} pairs over {few:,}",
        f"at most {MAX_GROWTH_MB:g} MB more",
        f"{maximum - minimum:.1f} MB ({minimum:.0f}, {maximum:.0f})",
        maximum - minimum <= MAX_GROWTH_MB,
    )


def _rounds(bench: Bench, peers: Sequence[str], in_flight: int, requests: int) -> list[dict[str, Measured]]:
    """Several times each client in turn: ratios compare runs of the same minute."""
    clients = (KIMERA, *peers)
    return [
        measure_in_turn(clients, bench.interpreters, in_flight, requests)
        for _ in range(bench.size(REPEATS, 1))
    ]


def _ratio(what: str, minimum: float, runs: Sequence[tuple[Measured, Measured]]) -> ProofFinding:
    """The median of the ratios of throughput, and the medians of what was divided."""
    ratio = statistics.median(ours.per_s / other.per_s for ours, other in runs)
    rates = ", ".join(
        f"{statistics.median(run.per_s for run in side):,.0f}/s" for side in zip(*runs, strict=True)
    )
    return ProofFinding(what, _minimum(minimum), f"{ratio:.2f} ({rates})", ratio >= minimum, timed=True)


def _cpu_ratio(what: str, rounds: Sequence[dict[str, Measured]]) -> ProofFinding:
    ratio = statistics.median(run[KIMERA].cpu_us / run["aiohttp"].cpu_us for run in rounds)
    ours, its = (statistics.median(run[client].cpu_us for run in rounds) for client in (KIMERA, "aiohttp"))
    measured = f"{ratio:.2f} ({ours:,.0f} us, {its:,.0f} us)"
    required = f"at most {MAX_CPU_RATIO:g} times"
    return ProofFinding(what, required, measured, ratio <= MAX_CPU_RATIO, timed=True)


def _minimum(ratio: float) -> str:
    return f"at least {ratio:g} times"


def _absent(what: str, required: str, peer: str) -> ProofFinding:
    return ProofFinding(what, required, f"skipped: no --peer-python has {peer}", None, timed=True)


def _llm_compare(pairs: Path, base_url: str, folder: Path) -> list[str]:
    out = tempfile.mkdtemp(dir=folder)
    asked = ("--judge-only", "--max-pairs", "0", "--async", str(PAIRS_IN_FLIGHT), "--base-url", base_url)
    return [sys.executable, "-m", "benchmarks.llm_compare", str(pairs), *asked, "--out", out]


def _seconds_of_second(command: Callable[[], Sequence[str]]) -> float:
    """Of the second run: the first one leaves compiled modules, and files in the machine's memory."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(2):
        begun = time.perf_counter()
        subprocess.run(command(), check=True, capture_output=True, env=environment)  # noqa: S603 - our own
    return time.perf_counter() - begun


def _peak_apart_mb(pairs: Path, base_url: str) -> float:
    """The peak memory of a fresh process that judges the pairs in a file."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_peak_of_judging_mb, pairs, base_url).result()


def _peak_of_judging_mb(pairs: Path, base_url: str) -> float:
    dataset = load_dataset(pairs)
    client = AsyncOpenAIClient(peers.KEY, "stub", PAIRS_IN_FLIGHT, base_url)
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal(Path(folder) / "journal.jsonl", header={}) as journal,
    ):
        comparison = compare(dataset, [JudgeDetector(client, "stub", PAIRS_IN_FLIGHT)], journal, quiet=True)
    if not comparison.run.detectors[0].answered.all():
        raise RuntimeError(f"this run measures nothing: {comparison.run.detectors[0].errors}")
    return peak_mib()


PROOFS: dict[str, Proof] = {
    "efficiency-at-8": efficiency_at_8,
    "throughput-at-256": throughput_at_256,
    "throughput-at-1024": throughput_at_1024,
    "whole-process": whole_process,
    "memory": memory,
}
