"""Two Ray nodes of one core each beside one: how much faster, whether they say the same; a node that dies.

python -m benchmarks.perf.ray_nodes FILE...     FILE: pairs; needs two free cores and the extra ray
python -m benchmarks.perf.ray_nodes FILE... --scan 10000    a whole scan of so many statements, as rows

The nodes are processes of this machine, so there is no network between them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.perf.scan_corpus import planted_corpus
from benchmarks.perf.setting import NO_BAR, setting
from kimera.corpus.findings import MIN_SCORE
from kimera.corpus.scan_rule import Rule
from kimera.corpus.scanning import Scan, run_scan
from kimera.corpus.texts import Corpus, Statement
from kimera.files.pair_files import read_pairs
from kimera.pairs import Pair, Verdict
from kimera.reactor import Reactor
from kimera.workers.engine import Engine
from kimera.workers.ray_pool import set_up_ray

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 256 * 2**20}
MIN_GAIN, MIN_GAIN_OF_SCANS = 1.5, 1.8
MAX_DIFFERENCE = 1e-4


@dataclass(frozen=True, slots=True)
class Measured:
    """scores: of verify and of screen, shape (n, 2). load_s: joining, starting workers, loading models.

    own_cpu_s: of this process, which no number of nodes makes less.
    """

    scores: np.ndarray
    seconds: float
    load_s: float
    own_cpu_s: float


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if two nodes are so much faster, say what one process says, and lose nothing with one of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--max-pairs", type=int, default=8192, metavar="N")
    parser.add_argument("--scan", type=int, metavar="N", help="a scan of N statements instead")
    options = parser.parse_args(arguments)
    if options.scan:
        return scans(options.files, options.scan)
    pairs = list(islice((pair for file in options.files for pair in read_pairs(file)), options.max_pairs))
    print(f"{setting()}; load {os.getloadavg()[0]:.1f} before; {len(pairs):,} pairs, both stages, int8\n")
    print("| workers | seconds | pairs/s | loading, s | CPU here, s | furthest from local |")
    print("|" + 6 * " --- |")
    local = measure(Reactor(cache=None), pairs, workers=1)
    row("1 local process", local, local)
    with nodes(1) as (engine, _):
        one = measure(Reactor(cache=None, engine=engine), pairs)
        row("1 Ray node of one core", one, local)
    with nodes(2) as (engine, _):
        two = measure(Reactor(cache=None, engine=engine), pairs)
        row("2 Ray nodes of one core", two, local)
    with nodes(2) as (engine, kill_one):
        threading.Timer(two.load_s + two.seconds / 2, kill_one).start()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            bereft = measure(Reactor(cache=None, engine=engine), pairs)
        row("2 Ray nodes, one killed", bereft, local)
    gain = one.seconds / two.seconds
    print(f"\ntwo nodes are {gain:.2f} times as fast as one; load {os.getloadavg()[0]:.1f} after")
    print(*(f"said: {warning.message}" for warning in told), sep="\n")
    same = all(furthest(each, local) <= MAX_DIFFERENCE for each in (one, two, bereft))
    return 0 if gain >= MIN_GAIN and same and told else 1


def scans(files: Sequence[Path], size: int) -> int:
    """0 if two nodes are so much faster, and find the same."""
    corpus = Corpus()
    for line, text in enumerate(planted_corpus(files, size).texts, 1):
        corpus.add(Statement(text, "corpus", line, is_row=True))
    print(f"{setting()}; load {os.getloadavg()[0]:.1f} before; {size:,} statements, both stages, int8\n")
    print("| workers | the whole scan, s | read | findings |\n| --- | --- | --- | --- |")
    seconds, found = [], []
    for count in (1, 2):
        with nodes(count) as (engine, _), Reactor(cache=None, engine=engine) as reactor:
            scan, begun = Scan(), time.perf_counter()
            run_scan(corpus, reactor, scan, NO_BAR, rule=Rule(), min_score=MIN_SCORE, workers=count)
            seconds.append(time.perf_counter() - begun)  # with what joining and loading take
            found.append({each.key for each in scan.findings})
            told = f"{seconds[-1]:.1f} | {scan.read:,} | {len(found[-1]):,}"
            print(f"| {count} Ray nodes of one core | {told} |", flush=True)
    gain = seconds[0] / seconds[1]
    print(f"\ntwo nodes are {gain:.2f} times as fast as one; load {os.getloadavg()[0]:.1f} after")
    return 0 if gain >= MIN_GAIN_OF_SCANS and found[0] == found[1] else 1


@contextlib.contextmanager
def nodes(count: int) -> Iterator[tuple[Engine, Any]]:
    """(so many Ray nodes of one core, on loopback; what kills the last of them)."""
    set_up_ray(None)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    others = [cluster.add_node(**NODE) for _ in range(count - 1)]
    try:
        yield Engine("ray", cluster.address), lambda: cluster.remove_node(others[-1], allow_graceful=False)
    finally:
        cluster.shutdown()


def measure(reactor: Reactor, pairs: list[Pair], workers: int | None = None) -> Measured:
    with reactor:
        begun, cpu_s = time.perf_counter(), time.process_time()
        verdicts = [each for each in reactor.detect(pairs, workers) if isinstance(each, Verdict)]
        wall_s, own_cpu_s = time.perf_counter() - begun, time.process_time() - cpu_s
    scores = np.array([(verdict.score, verdict.screen_score) for verdict in verdicts])
    return Measured(scores, wall_s - reactor.stats.load_s, reactor.stats.load_s, own_cpu_s)


def furthest(one: Measured, other: Measured) -> float:
    """The greatest difference of two scores; infinite where a pair has none."""
    return float(np.abs(one.scores - other.scores).max()) if len(one.scores) == len(other.scores) else np.inf


def row(name: str, measured: Measured, local: Measured) -> None:
    rate = len(measured.scores) / measured.seconds
    times = f"{measured.seconds:.1f} | {rate:,.0f} | {measured.load_s:.1f} | {measured.own_cpu_s:.1f}"
    print(f"| {name} | {times} | {furthest(measured, local):.1g} |", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
