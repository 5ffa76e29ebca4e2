"""The engine ray: what it gives is what local processes give, whatever becomes of workers and nodes."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kimera.console.installation import how_to_install
from kimera.errors import UserError
from kimera.models.cross_encoder import CrossEncoder
from kimera.models.encoder import TEXTS_WORTH_A_POOL, Encoder
from kimera.models.model_folders import DEFAULT_MODEL, find_folder
from kimera.reactor import SHIPPED_CROSS_ENCODER, Reactor
from kimera.scan import main as scan
from kimera.workers.engine import Engine
from kimera.workers.pool import Load, WorkerPool
from kimera.workers.ray_pool import set_up_ray

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason=f"needs ray: {how_to_install('ray')}"),
]

NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
PAIRS = [(f"{number} people {'walk ' * (number % 5)}", f"{number} do not walk.") for number in range(1100)]
MANY = 100_000  # more than is waited for
HANGS_S = 120  # when nothing moves any more
GATE_S = 20.0  # for the loss of a node to be noticed; the test needs it only in order to be strict
FEW = PAIRS[:50]  # what they give does not depend on the others
DISTINCT = [f"text {number}" for number in range(TEXTS_WORTH_A_POOL)]
TEXTS = [text for pair in PAIRS[:300] for text in pair]


class Nodes:
    """A cluster of two nodes on this machine, of one CPU each where no more are asked for."""

    def __init__(self) -> None:
        set_up_ray(None)  # which ray reads when it is imported
        from ray import cloudpickle
        from ray.cluster_utils import Cluster

        cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
        settings = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
        self._cluster = Cluster(True, head_node_args={**NODE, "_system_config": settings})
        self._second = self._cluster.add_node(**NODE)

    @property
    def engine(self) -> Engine:
        return Engine("ray", self._cluster.address)

    @property
    def second(self) -> int:
        """What `at_a_node` gives for the second node."""
        return node_number(self._second.node_id)

    def start_second(self, cpus: int = 1) -> None:
        """In the place of the one that there is, or was."""
        if self._second in self._cluster.worker_nodes:
            self._cluster.remove_node(self._second)
        self._cluster.wait_for_nodes()  # until it is no longer counted
        self._second = self._cluster.add_node(**{**NODE, "num_cpus": cpus})

    def kill_second(self) -> None:
        self._cluster.remove_node(self._second, allow_graceful=False)

    def end(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.end()


@pytest.fixture(scope="module")
def reactor(nodes: Nodes) -> Iterator[Reactor]:
    with Reactor(cache=None, engine=nodes.engine) as reactor:
        yield reactor


@pytest.fixture
def pool_of(nodes: Nodes) -> Iterator[Callable[[Load], Any]]:
    """Gives a pool on the cluster for a load; it is closed with the test."""
    pools = []

    def make(load: Load) -> Any:
        pools.append(nodes.engine.pool(lambda: load, "test", worth=1, per_task=1))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@contextlib.contextmanager
def hanging_is_an_error() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"not done within {HANGS_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANGS_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def doubling(number: int) -> np.ndarray:
    """Even numbers take longer, so that results come out of order."""
    time.sleep(0.1 if number % 2 == 0 else 0.02)
    return np.array([number * 2, os.getpid()])


def node_number(node_id: str) -> int:
    return int(node_id[:12], 16)


def at_a_node(gate: Path, number: int) -> np.ndarray:
    """(the number, the process, the node); for some seconds not, as long as the gate is there."""
    import ray

    time.sleep(0.02)
    last = time.monotonic() + GATE_S
    while gate.exists() and time.monotonic() < last:
        time.sleep(0.02)
    return np.array([number, os.getpid(), node_number(ray.get_runtime_context().get_node_id())])


def failing(number: int) -> np.ndarray:
    if number == 3:
        raise ValueError(f"cannot do {number}")
    return np.array([number])


def deadly(number: int) -> np.ndarray:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.array([number])


def load_doubling() -> Callable[[int], np.ndarray]:
    return doubling


def load_at_a_node(gate: Path) -> Callable[[int], np.ndarray]:
    return functools.partial(at_a_node, gate)


def load_failing() -> Callable[[int], np.ndarray]:
    return failing


def load_deadly() -> Callable[[int], np.ndarray]:
    return deadly


def firsts(results: Iterator[np.ndarray]) -> list[int]:
    return [int(result[0]) for result in results]


def test_verdicts_are_those_of_this_process(reactor: Reactor) -> None:
    """On all CPUs of the cluster, since none were asked for."""
    here = Reactor(cache=None).detect(FEW)
    told: list[int] = []
    there = list(reactor.stream(PAIRS, on_progress=told.append))
    assert len(there) == len(PAIRS)
    assert [verdict.score for verdict in there[:50]] == [verdict.score for verdict in here]
    assert [verdict.screen_score for verdict in there[:50]] == [verdict.screen_score for verdict in here]
    assert reactor.stats.workers_used == 2
    assert (sum(told), len(told) > 4) == (len(PAIRS), True)


def test_vectors_are_those_of_this_process(reactor: Reactor) -> None:
    np.testing.assert_array_equal(reactor.encoder.encode(TEXTS, workers=2), Encoder().encode(TEXTS))


def test_logits_are_those_of_this_process(reactor: Reactor) -> None:
    there = reactor.cross_encoder.logits(PAIRS, workers=1)
    np.testing.assert_array_equal(there[:50], CrossEncoder(SHIPPED_CROSS_ENCODER).logits(FEW))


def test_results_come_in_order_from_both_nodes(pool_of: Callable[[Load], Any]) -> None:
    results = list(pool_of(load_doubling).map(range(12), None))
    assert [int(result[0]) for result in results] == list(range(0, 24, 2))
    assert len({int(result[1]) for result in results}) == 2


def test_a_batch_that_fails_raises_what_it_raises_in_a_local_process(pool_of: Callable[[Load], Any]) -> None:
    local = WorkerPool(lambda: load_failing, "test", worth=1, per_task=1)
    raised = []
    for pool in (local, pool_of(load_failing)):
        with pytest.raises(ValueError, match="cannot do 3") as caught:
            list(pool.map(range(6), 1))
        raised.append((type(caught.value), caught.value.args))
    local.close()
    assert raised[0] == raised[1]


def test_few_batches_are_submitted_ahead_of_what_was_given_on(pool_of: Callable[[Load], Any]) -> None:
    submitted: list[int] = []

    class Told(Sequence):
        def __len__(self) -> int:
            return 60

        def __getitem__(self, place: Any) -> int:
            submitted.append(place)
            return place

    ahead = [len(submitted) - given for given, _ in enumerate(pool_of(load_doubling).map(Told(), 2))]
    assert len(submitted) == 60
    assert max(ahead) <= 8


def test_a_worker_that_is_killed_is_named_and_its_batches_are_done_again(
    pool_of: Callable[[Load], Any],
) -> None:
    results = pool_of(load_doubling).map(range(20), 2)
    first = next(results)
    os.kill(int(first[1]), signal.SIGKILL)
    with pytest.warns(
        UserWarning, match=rf"the test worker process {int(first[1])} on .* was lost .* repeated"
    ):
        rest = firsts(results)
    assert [int(first[0]), *rest] == list(range(0, 40, 2))


def test_a_node_that_is_killed_loses_nothing(
    pool_of: Callable[[Load], Any], nodes: Nodes, reactor: Reactor, tmp_path: Path
) -> None:
    """However long its four workers take to begin. The other node is held up until each loss is noticed."""
    cpus = 4
    reactor.close()  # with which the workers end that there were
    nodes.start_second(cpus)
    gate = tmp_path / "gate"
    results = pool_of(functools.partial(load_at_a_node, gate)).map(range(MANY), None)
    given: list[np.ndarray] = []
    lost: list[str] = []

    def tell(message: Warning | str, *_: object) -> None:
        lost.extend([str(message)] if "was lost" in str(message) else [])
        if len(lost) == cpus:
            gate.unlink()

    try:
        with hanging_is_an_error(), warnings.catch_warnings():
            warnings.simplefilter("always")
            while len({process for _, process, node in given if node == nodes.second}) < cpus:
                given.append(next(results))
            gate.touch()
            nodes.kill_second()
            warnings.showwarning = tell
            while len(lost) < cpus:
                given.append(next(results))
            given += [next(results) for _ in range(40)]
    finally:
        nodes.start_second()
    assert firsts(iter(given)) == list(range(len(given)))


def test_a_batch_that_kills_each_worker_ends_the_call(pool_of: Callable[[Load], Any]) -> None:
    with (
        pytest.warns(UserWarning, match="was lost"),
        pytest.raises(UserError, match=r"was lost .*2 before it over the same batch.*fewer workers"),
    ):
        list(pool_of(load_deadly).map(range(6), 1))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the default model, which a test may change."""
    source = find_folder(DEFAULT_MODEL)
    assert source is not None
    return Path(shutil.copytree(source.resolve(), tmp_path / "nowhere", copy_function=os.symlink))


def settled(model: Path, nodes: Nodes) -> Encoder:
    """An encoder that has loaded the model here, but not yet at a worker."""
    encoder = Encoder(model, engine=nodes.engine)
    encoder.settle()
    return encoder


def test_a_worker_with_another_model_says_so(model: Path, nodes: Nodes) -> None:
    config = model / "config.json"
    content = config.read_bytes()
    with settled(model, nodes) as encoder:
        config.unlink()  # a link to the one of the package
        config.write_bytes(content + b"\n")
        with pytest.raises(
            UserError,
            match=r"process \d+ on .* cannot load .*differs from that of the main process.*every machine",
        ):
            encoder.encode(DISTINCT)


def test_a_worker_without_the_model_says_so(model: Path, nodes: Nodes) -> None:
    with settled(model, nodes) as encoder:
        shutil.rmtree(model)
        with pytest.raises(UserError, match=r"worker process \d+ on .* cannot load the model: .*nowhere"):
            encoder.encode(DISTINCT)


def test_a_worker_with_another_kimera_says_so(reactor: Reactor) -> None:
    from kimera.workers.ray_cluster import RayWorker

    with pytest.raises(UserError, match=r"has kimera .*, this process has 0\.0\.1; install the same version"):
        RayWorker().load("any", "0.0.1", load_doubling)


def compare(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """The reactor alone, on texts enough for workers, in another process; says whether ray was imported."""
    script = (
        "import sys\nfrom benchmarks.llm_compare import main\n"
        "code = main(sys.argv[1:])\nprint('with ray:', 'ray' in sys.modules)\nsys.exit(code)"
    )
    command = [sys.executable, "-c", script, "kimera-hard", "--kimera-only", "--max-pairs", "300", "--no-viz"]
    return subprocess.run(
        [*command, "--no-cache", "--reactor", "screen", "--out", str(folder), *flags],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_without_the_flag_ray_is_not_imported(tmp_path: Path) -> None:
    done = compare(tmp_path / "run", "--ray-address", "127.0.0.1:1")
    assert (done.returncode, "with ray: False" in done.stdout) == (0, True)
    assert "--ray-address has no effect without --engine ray" in done.stderr


def test_without_an_address_a_ray_is_started_and_ended(tmp_path: Path) -> None:
    done = compare(tmp_path / "run", "--engine", "ray", "--mp", "1", "--quiet", "--verbose")
    assert (done.returncode, done.stderr) == (0, "")
    assert "one process on Ray" in done.stdout
    kimera = json.loads((tmp_path / "run" / "summary.json").read_text())["detectors"]["kimera"]
    assert (kimera["mode"], kimera["workers"], kimera["workers_used"]) == ("ray", 1, 1)


def test_an_address_without_a_cluster_is_an_error_that_names_it(tmp_path: Path) -> None:
    done = compare(tmp_path / "run", "--engine", "ray", "--ray-address", "127.0.0.1:1")
    assert (done.returncode, "no Ray cluster can be reached at 127.0.0.1:1" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["nowhere", "host:", ":6379", "ray://host:10001"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(UserError, match=r"is not the address of a Ray cluster; give HOST:PORT"):
        Encoder(engine=Engine("ray", address))


def test_a_scan_on_the_cluster_finds_what_a_local_one_finds(nodes: Nodes, tmp_path: Path) -> None:
    corpus = tmp_path / "facts.txt"
    corpus.write_text(
        "".join(f"Room {number} is {how}.\n" for number in range(270) for how in ("lit", "dark"))
    )
    found = []
    for flags in ([], ["--engine", "ray", "--ray-address", str(nodes.engine.address), "--mp", "2"]):
        out = tmp_path / f"found_{len(flags)}.jsonl"
        rule = ["--neighbours", "4", "--rare-in", "0", "--min-score", "0.5", "--pair-scores"]
        assert scan([str(corpus), *rule, "--no-cache", "--quiet", "--out", str(out), *flags]) == 0
        found.append(out.read_text())
    assert found[0] == found[1]
    assert len(found[0].splitlines()) > 200  # of more pairs than one process would read by itself


def test_all_cpus_of_a_cluster_are_kept_busy_once_they_are_counted(nodes: Nodes) -> None:
    """Pairs with an empty text, so that no worker has to start."""
    reactor = Reactor(cache=None, engine=nodes.engine)
    taken = []
    for seen in (0, 64):
        reactor.stats = replace(reactor.stats, workers_used=seen)
        pairs = iter([("", "")] * 70_000)
        next(reactor.stream(pairs))
        taken.append(70_000 - len(list(pairs)))
    assert taken == [4096, 65_536]


def test_work_for_a_gpu_is_not_sent_to_workers() -> None:
    with pytest.raises(UserError, match="computes on CPUs, not on cuda"):
        Engine("ray").require_cpu("cuda")
