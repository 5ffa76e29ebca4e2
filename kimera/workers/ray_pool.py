"""RayPool: what `WorkerPool` does, by workers on the nodes of a Ray cluster."""

from __future__ import annotations

import heapq
import os
import secrets
import sys
import textwrap
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kimera.errors import UserError
from kimera.version import __version__
from kimera.workers.pool import IF_MEMORY_RAN_OUT, Load

# ray, and `ray_cluster` with it, is imported where it is used: it takes a second and is an extra, and
# `set_up_ray` has to come before.
if TYPE_CHECKING:
    from kimera.workers.ray_cluster import RayCluster, Worker

FIRST_WORKER_TIMEOUT_S = 300.0  # clusters that grow on demand take minutes
OTHERS_TIMEOUT_S = 10.0  # then the work begins; who comes later joins in
IN_FLIGHT = 2  # batches of a worker: one that it does, one that waits for it
AHEAD = 4  # batches a worker that are submitted and not yet given on, so that memory is bounded
MAX_LOSSES = 3  # of workers over one batch


class RayPool:
    """Joins the cluster with the first batch, and leaves it with `close`.

    A worker is a process on one CPU of a node, and is shared with the other pools of this process. address:
    see `Engine`; for the other arguments see `WorkerPool`.
    load_s: wall seconds from joining until the workers had loaded the model, so far.
    """

    def __init__(
        self, prepare: Callable[[], Load], what: str, address: str | None, *, worth: int, per_task: int
    ) -> None:
        self.per_task = per_task
        self.what = what
        self.load_s = 0.0
        self._key = f"{what}-{uuid.uuid4()}"  # of the model, in the workers
        self._prepare = prepare
        self._address = address
        self._worth = worth
        self._cluster: RayCluster | None = None
        self._load: Any = None  # a reference to it, sent to each node once
        self._loading: dict[Any, Worker] = {}
        self._wanted = 0

    def takes(self, count: int, workers: int | None) -> bool:
        """Whether so many items are worth the workers, which may be there already; None: one a CPU."""
        return count >= (1 if self._cluster is not None or _has_workers() else self._worth)

    def processes_for(self, count: int, workers: int | None) -> int:
        """How many workers so many items would occupy; one, this process, where they are not worth any."""
        if not self.takes(count, workers):
            return min(count, 1)
        return min(len(self.ready) or workers or self._joined(workers).cpus, -(-count // self.per_task))

    def close(self) -> None:
        """Leave the cluster; the last pool of this process to leave ends the workers. It stays usable."""
        if self._cluster is not None:
            from kimera.workers.ray_cluster import leave  # not before `set_up_ray`

            leave(self)
        self._cluster = self._load = None
        self._loading.clear()

    def map(self, batches: Sequence[Any], workers: int | None) -> Iterator[np.ndarray]:
        """What each batch gives, in order. What is lost with a worker or its node is done again by others.

        Raises what a batch raises, and `UserError` where no cluster is reached, no worker comes, one cannot
        load the model, or `MAX_LOSSES` workers are lost over the same batch.
        """
        self._start(workers)
        yield from _Round(self, batches).results()

    @property
    def ready(self) -> list[Worker]:
        """The workers that have loaded the model."""
        workers = self._cluster.workers[: self._wanted] if self._cluster else []
        return [worker for worker in workers if self._key in worker.loaded]

    @property
    def loading(self) -> list[Any]:
        """References to wait for; then `see`."""
        return list(self._loading)

    def submit(self, worker: Worker, batch: Any) -> Any:
        """A reference to what the batch will give."""
        return worker.handle.do.remote(self._key, batch)

    def see(self, reference: Any) -> None:
        """A worker has loaded the model, or could not. Raises `UserError` if it cannot do this work."""
        import ray  # not before `set_up_ray`

        worker = self._loading.pop(reference)
        try:
            worker.where, worker.is_late = ray.get(reference), False
            worker.loaded.add(self._key)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise error.cause from None
            raise _not_started(error) from error
        except ray.exceptions.RayError as error:
            if worker.loaded:  # something else: it was there, and was lost while nothing was asked of it
                return self.replace(worker)
            self._joined().drop(worker)  # and not replaced: the next would do the same
            if not (self.ready or self._loading):
                raise _not_started(error) from error
            warnings.warn(str(_not_started(error)), stacklevel=2)
        return None

    def replace(self, worker: Worker) -> None:
        """Ask for another one in the place of a worker that was lost."""
        self._joined().drop(worker)
        self._loading = {
            reference: other for reference, other in self._loading.items() if other is not worker
        }
        self._ask_for_workers()
        self._call_late()

    def wait_for_workers(self) -> None:
        """Until all have loaded the model, or some have and the others are late; `UserError` for none."""
        import ray  # not before `set_up_ray`

        deadline = time.monotonic() + FIRST_WORKER_TIMEOUT_S
        while (left_s := deadline - time.monotonic()) > 0 and self._loading:
            if self.ready and all(worker.is_late for worker in self._loading.values()):
                break
            for reference in ray.wait(self.loading, timeout=left_s)[0]:
                self.see(reference)
            if self.ready:
                deadline = min(deadline, time.monotonic() + OTHERS_TIMEOUT_S)
        self._call_late()
        if not self.ready:
            raise UserError(
                f"no Ray worker started within {FIRST_WORKER_TIMEOUT_S:.0f} s: the cluster's "
                f"{self._joined().cpus} CPUs are in use by others"
            )

    def _call_late(self) -> None:
        for worker in self._loading.values():
            worker.is_late = True

    def _start(self, workers: int | None) -> None:
        load = self._prepare() if self._load is None else None
        begun = time.perf_counter()
        try:
            cluster = self._joined(workers)
            if load is not None:
                import ray  # not before `set_up_ray`

                self._load = ray.put(load)
            self._wanted = workers or cluster.cpus
            if not self._wanted:
                raise UserError("the Ray cluster has no CPUs; give --mp N to wait for N of them")
            if self._ask_for_workers():
                self.wait_for_workers()
        finally:
            self.load_s += time.perf_counter() - begun

    def _joined(self, workers: int | None = None) -> RayCluster:
        if self._cluster is None:
            if "ray" not in sys.modules:
                set_up_ray(self._address)
            from kimera.workers.ray_cluster import join  # not before `set_up_ray`

            self._cluster = join(self, self._address, workers)
        return self._cluster

    def _ask_for_workers(self) -> bool:
        """Whether any had to be asked for, or to load the model."""
        cluster = self._joined()
        cluster.grow(self._wanted)
        asked = list(self._loading.values())
        workers = cluster.workers[: self._wanted]
        new = [worker for worker in workers if self._key not in worker.loaded and worker not in asked]
        for worker in new:
            self._loading[worker.handle.load.remote(self._key, __version__, self._load)] = worker
        return bool(new)


def _has_workers() -> bool:
    """Whether another pool of this process has joined the cluster."""
    if "kimera.workers.ray_cluster" not in sys.modules:
        return False
    from kimera.workers.ray_cluster import is_joined  # not before `set_up_ray`

    return is_joined()


class _Round:
    """Some batches through the workers of a pool.

    Not `ray.util.ActorPool`: it knows of no lost actor, and submits the next batch only when one is done, so
    that each worker would wait for the way there and back.
    """

    def __init__(self, pool: RayPool, batches: Sequence[Any]) -> None:
        self._pool = pool
        self._batches = batches
        self._waiting = list(range(len(batches)))  # a heap: what a lost worker had comes first again
        self._in_flight: dict[Any, tuple[Worker, int]] = {}  # in the order in which they were submitted
        self._done: dict[int, np.ndarray] = {}  # ahead of their turn
        self._losses: Counter[int] = Counter()

    def results(self) -> Iterator[np.ndarray]:
        for turn in range(len(self._batches)):
            while turn not in self._done:
                self._submit(turn)
                self._receive()
            yield self._done.pop(turn)

    def _submit(self, turn: int) -> None:
        """Give each worker what it may have in flight."""
        workers = self._pool.ready
        in_flight = Counter(dict.fromkeys(workers, 0))
        in_flight.update(worker for worker, _ in self._in_flight.values())
        while self._waiting and workers and self._waiting[0] < turn + AHEAD * len(workers):
            worker = min(workers, key=in_flight.__getitem__)
            if in_flight[worker] == IN_FLIGHT:
                return
            place = heapq.heappop(self._waiting)
            self._in_flight[self._pool.submit(worker, self._batches[place])] = worker, place
            in_flight[worker] += 1

    def _receive(self) -> None:
        """Wait for a batch, or for a worker that joins in."""
        import ray  # not before `set_up_ray`

        if not (self._in_flight or self._pool.ready):
            return self._pool.wait_for_workers()
        for reference in ray.wait([*self._in_flight, *self._pool.loading])[0]:
            if reference not in self._in_flight:
                self._pool.see(reference)
                continue
            worker, place = self._in_flight[reference]
            try:
                self._done[place] = ray.get(reference)
                del self._in_flight[reference]
            except ray.exceptions.RayTaskError as error:
                raise error.cause or error from None
            except ray.exceptions.RayError as error:
                self._lose(worker, error)
        return None

    def _lose(self, worker: Worker, error: Exception) -> None:
        """A worker or its node is gone: what it had is done again."""
        places = [place for other, place in self._in_flight.values() if other is worker]
        self._in_flight = {ref: task for ref, task in self._in_flight.items() if task[0] is not worker}
        for place in places:
            heapq.heappush(self._waiting, place)
        lost = f"the {self._pool.what} worker {worker.where} was lost ({_reason(error)})"
        self._losses[places[0]] += 1  # which it was at; the others waited for it
        self._pool.replace(worker)
        if self._losses[places[0]] == MAX_LOSSES:
            raise UserError(
                f"{lost}, as were {MAX_LOSSES - 1} before it over the same batch. {IF_MEMORY_RAN_OUT}."
            )
        warnings.warn(f"{lost}; its work is repeated: {len(places)} batches", stacklevel=2)


def set_up_ray(address: str | None) -> None:
    """What ray reads from the environment when it is imported: to be called before that.

    It is quiet: it tells nobody of its use, and prints nothing to standard output. One that is started here,
    for there is no address, is closed to others, who could else run code in it: it listens on loopback alone,
    and its processes share a secret.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of workers that were not waited for
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    if not address:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _not_started(error: Exception) -> UserError:
    needs = f"Each node needs kimera {__version__} and what it depends on."
    return UserError(f"a Ray worker could not start: {_reason(error)}. {needs}")


def _reason(error: Exception) -> str:
    """What happened, of Ray's many lines on it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return textwrap.shorten(lines[-1] if lines else type(error).__name__, 200, placeholder="...")
