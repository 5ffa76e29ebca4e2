"""How many requests a second the judge pipeline makes of a server that takes 100 ms, and what others make.

    python -m benchmarks.perf.judge_throughput --peer-python peers/bin/python

"kimera" is the whole pipeline: client, parser, journal on disk, numbers, progress bar. The others are bare
clients with a shorter prompt, which only read the verdict. Each runs alone in a process of its own, after a
warm-up, all on asyncio's own event loop; rows are measured one after the other.

httpx, httpx-aiohttp and aiohttp come with Kimera. The rest are measured where an environment has them, and
left out with a word where none does. Each such environment is given with --peer-python; openai and litellm
need two, since litellm holds openai back:

    python -m venv peers && peers/bin/pip install "openai[aiohttp]" inspect_ai uvloop
    python -m venv peers-litellm && peers-litellm/bin/pip install litellm

One with uvloop also runs the server, which leaves more of a small machine to the clients.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import io
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.detector_info import judge_info
from benchmarks.judge.attempts import Outcome
from benchmarks.judge.pipeline import Ask, asks_of, judge_all
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.perf import peers
from benchmarks.perf.setting import setting
from benchmarks.perf.stub_server import StubServer
from benchmarks.runs.journal import Journal
from benchmarks.runs.recorder import Recorder
from kimera.console.progress import progress_bar
from kimera.pairs import Pair

DELAY_S = 0.1
KIMERA = "kimera"
CLIENTS = (KIMERA, "httpx-aiohttp", "aiohttp", "httpx", "openai-aiohttp", "openai", "litellm")
REQUESTS = {8: 800, 64: 3_000, 256: 6_000, 1_024: 6_000}
MAX_SECONDS = 20.0  # httpx's own transport would take minutes; others finish
NEEDS = {  # the modules of a client that Kimera does not depend on
    "openai": ("openai",),
    "openai-aiohttp": ("openai", "httpx_aiohttp"),
    "litellm": ("litellm",),
    "inspect-ai": ("inspect_ai",),
    "uvloop": ("uvloop",),
}


@dataclass(frozen=True)
class Measured:
    """One client's run: requests answered, and seconds of wall clock and of processor."""

    in_flight: int
    requests: int
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        return self.requests / self.wall_s

    @property
    def efficiency(self) -> float:
        """The least time that so many requests can take, over the time that they took."""
        return math.ceil(self.requests / self.in_flight) * DELAY_S / self.wall_s

    @property
    def cpu_us(self) -> float:
        """Microseconds of processor a request."""
        return self.cpu_s / self.requests * 1e6

    def __str__(self) -> str:
        return f"{self.per_s:,.0f}/s, {self.efficiency:.1%}, {self.cpu_us:,.0f} µs"


@dataclass(frozen=True)
class Interpreters:
    """The Pythons in which a peer may be found; Kimera's own is always the first."""

    peers: tuple[str, ...] = ()

    def find(self, client: str) -> str | None:
        """The first one that has what a client needs."""
        pythons = (sys.executable, *self.peers)
        return next((python for python in pythons if _has(python, NEEDS.get(client, ()))), None)

    def stub(self) -> StubServer:
        return StubServer(DELAY_S, self.find("uvloop") or sys.executable)


@functools.cache
def _has(python: str, modules: tuple[str, ...]) -> bool:
    find = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, sys.argv[1:])))"
    return not modules or subprocess.run([python, "-c", find, *modules], check=False).returncode == 0  # noqa: S603 (our own programs)


def measure(client: str, python: str, base_url: str, in_flight: int, requests: int) -> Measured:
    """One client in a fresh process against a server that runs."""
    what = [base_url, str(in_flight), str(requests)]
    if client == KIMERA:
        command = [sys.executable, "-m", "benchmarks.perf.judge_throughput", "--here", *what]
    else:
        command = [python, peers.__file__, client, *what, str(MAX_SECONDS)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 (our own programs)
    return Measured(in_flight, **json.loads(output.splitlines()[-1]))


def measure_in_turn(
    clients: Sequence[str], interpreters: Interpreters, in_flight: int, requests: int
) -> dict[str, Measured]:
    """All clients that are there, one after the other, so that they can be compared."""
    found = {client: python for client in clients if (python := interpreters.find(client))}
    with interpreters.stub() as judge:
        return {
            client: measure(client, python, judge.base_url, in_flight, requests)
            for client, python in found.items()
        }


def median_of(runs: Sequence[Measured]) -> Measured:
    """The run of the median wall time; of an even number, the slower of the middle two."""
    return sorted(runs, key=lambda run: run.wall_s)[len(runs) // 2]


async def measure_here(base_url: str, in_flight: int, requests: int) -> dict[str, float]:
    """The whole pipeline in this process; its progress bar draws as if someone watched."""
    pairs = [Pair("The cat sleeps.", "The cat runs.", id=f"pair-{index}") for index in range(requests)]
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stderr(_Watched()),
        Journal(Path(folder) / "journal.jsonl", header={}) as journal,
    ):
        warm_up = Recorder(judge_info("warm-up"), requests, journal)
        recorder = Recorder(judge_info(KIMERA), requests, journal)
        async with AsyncOpenAIClient(peers.KEY, "stub", in_flight, base_url) as client:
            await _judge(client, pairs[: min(in_flight, peers.MAX_WARM_UP)], warm_up)
            cpu_s, begun = time.process_time(), time.perf_counter()
            await _judge(client, pairs, recorder)
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - begun
    if not recorder.complete or recorder.attempts != requests:
        raise RuntimeError(f"this run measures nothing: {recorder.errors()}, {recorder.attempts} attempts")
    return {"requests": requests, "wall_s": wall_s, "cpu_s": cpu_s}


async def _judge(client: AsyncOpenAIClient, pairs: Sequence[Pair], recorder: Recorder) -> None:
    recorder.begin()
    with progress_bar(recorder.name, len(pairs), quiet=False) as bar:

        def record(ask: Ask, outcome: Outcome) -> None:
            recorder.record_outcome(ask, outcome)
            bar.update()

        await judge_all(client, asks_of(enumerate(pairs)), record)


class _Watched(io.StringIO):
    """What a progress bar takes for a terminal."""

    def isatty(self) -> bool:
        return True


def add_peer_python(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--peer-python",
        action="append",
        default=[],
        metavar="PATH",
        help="a Python with clients to compare with, e.g. peers/bin/python; may be given several times",
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.perf.judge_throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_peer_python(parser)
    parser.add_argument(
        "--in-flight", type=int, action="append", choices=REQUESTS, help="default: each of them"
    )
    parser.add_argument("--client", action="append", choices=CLIENTS, help="default: each of them")
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="runs; their median counts")
    parser.add_argument("--here", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.here:
        base_url, in_flight, requests = options.here
        print(json.dumps(asyncio.run(measure_here(base_url, int(in_flight), int(requests)))))
        return 0
    _print_table(
        options.client or CLIENTS,
        options.in_flight or tuple(REQUESTS),
        Interpreters(tuple(options.peer_python)),
        options.repeats,
    )
    return 0


def _print_table(
    clients: Sequence[str], levels: Sequence[int], interpreters: Interpreters, repeats: int
) -> None:
    rounds = {
        in_flight: [
            measure_in_turn(clients, interpreters, in_flight, REQUESTS[in_flight]) for _ in range(repeats)
        ]
        for in_flight in levels
    }
    print(f"{setting()}. A server that takes {DELAY_S * 1000:g} ms.")
    print("Requests a second; efficiency, the least time that they can take over the time that they took;")
    print(f"processor time a request. Medians of {repeats}.\n")
    print(f"| client | {' | '.join(f'{in_flight:,} in flight' for in_flight in levels)} |")
    print(f"| --- |{' ---: |' * len(levels)}")
    skipped = [client for client in clients if client not in rounds[levels[0]][0]]
    for client in clients:
        if client not in skipped:
            cells = [str(median_of([run[client] for run in rounds[level]])) for level in levels]
            print(f"| {client} | {' | '.join(cells)} |")
    if skipped:
        print(f"\nNot measured, since no --peer-python has them: {', '.join(skipped)}.")


if __name__ == "__main__":
    sys.exit(main())
