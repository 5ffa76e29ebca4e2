"""RayCluster: this process's connection to Ray, and the workers that it has there."""

from __future__ import annotations

import logging
import os
import socket
import textwrap
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray

from kimera.errors import UserError
from kimera.version import __version__
from kimera.workers.pool import Load, Work

REACH_TIMEOUT_S = 10.0  # for a port to answer
CONNECT_TIMEOUT_S = 30.0  # for Ray behind it
OBJECT_STORE_BYTES = 256 * 2**20  # of a Ray that is started here; a batch and its result are far below 1 MB


class RayWorker:
    """Runs in a process of its own, on one CPU of a node: loads each model once, does batch after batch."""

    def __init__(self) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self._works: dict[str, Work] = {}

    def load(self, key: str, version: str, load: Load) -> str:
        """Gives where this process runs. Raises `UserError`, which says it too, if it cannot do the work."""
        where = f"process {os.getpid()} on {socket.gethostname()} ({ray.util.get_node_ip_address()})"
        if version != __version__:
            raise UserError(
                f"the Ray worker {where} has kimera {__version__}, this process has {version}; install the "
                "same version"
            )
        try:
            if key not in self._works:
                self._works[key] = load()
        except Exception as error:  # noqa: BLE001 (told to who asked, in words: it may not unpickle there)
            reason = error if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            raise UserError(f"the Ray worker {where} cannot load the model: {reason}") from None
        return where

    def do(self, key: str, batch: Any) -> np.ndarray:
        return self._works[key](batch)


@dataclass(eq=False, slots=True)
class Worker:
    """handle: of its actor. loaded: the keys of what it can do. where: it runs, once that is known.

    is_late: nobody waits for it who has others.
    """

    handle: Any
    loaded: set[str] = field(default_factory=set)
    where: str = "that was still starting"
    is_late: bool = False


class RayCluster:
    """Starts Ray or connects to it, unless this process is connected already.

    address: HOST:PORT or "auto"; None starts Ray on this machine, for so many `workers`, or one on each CPU.
    Raises `UserError` where no Ray answers in time.
    """

    def __init__(self, address: str | None, workers: int | None) -> None:
        self.holders: set[object] = set()
        self.workers: list[Worker] = []
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            _connect(address) if address else _start(workers)
        # Ray restarts none: it would keep a lost actor's batches for a node that may never come, while other
        # workers have nothing to do. `RayPool` asks for another, and gives the batches to whoever is free.
        self._actor = ray.remote(num_cpus=1, max_restarts=0)(RayWorker)

    @property
    def cpus(self) -> int:
        """Of all nodes, in use or not."""
        return int(ray.cluster_resources().get("CPU", 0))

    def grow(self, count: int) -> None:
        """Ask for workers until there are so many; each starts as soon as a node has a free CPU."""
        while len(self.workers) < count:
            self.workers.append(Worker(self._actor.remote()))

    def drop(self, worker: Worker) -> None:
        if worker in self.workers:
            self.workers.remove(worker)
            ray.kill(worker.handle)

    def end(self) -> None:
        """End the workers, and Ray or the connection if they were begun here."""
        if ray.is_initialized():
            for worker in list(self.workers):
                self.drop(worker)
            if self._is_ours:
                ray.shutdown()


# Global, since Ray is one a process, and a CPU has one worker for all that is asked of it.
_shared: RayCluster | None = None


def is_joined() -> bool:
    """Whether this process has workers already, for whatever."""
    return _shared is not None


def join(holder: object, address: str | None, workers: int | None) -> RayCluster:
    """The cluster of this process, connected to by its first holder. Raises what `RayCluster` does."""
    global _shared  # noqa: PLW0603 (see there)
    if _shared is None or not ray.is_initialized():
        _shared = RayCluster(address, workers)
    _shared.holders.add(holder)
    return _shared


def leave(holder: object) -> None:
    """The last one to leave ends the workers."""
    global _shared  # noqa: PLW0603 (see there)
    if _shared is not None and holder in _shared.holders:
        _shared.holders.remove(holder)
        if not _shared.holders:
            _shared.end()
            _shared = None


def _start(workers: int | None) -> None:
    try:
        _init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
        )
    except Exception as error:  # of a dozen kinds; each means that there is no Ray
        raise UserError(f"Ray cannot be started on this machine: {error}") from error


def _connect(address: str) -> None:
    """Connect within a bounded time: Ray itself waits for ever for a port that is open and silent."""
    if address != "auto":
        _require_open_port(address)
    failures: list[Exception] = []

    def connect() -> None:
        try:
            _init(address=address)
        except Exception as error:  # noqa: BLE001 (of a dozen kinds; raised below as one, in the main thread)
            failures.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_S)
    if thread.is_alive():
        raise UserError(
            f"no Ray answered at {address} within {CONNECT_TIMEOUT_S:.0f} s; is it another service?"
        )
    if failures:
        reason = textwrap.shorten(str(failures[0]), 300, placeholder="...")
        raise UserError(
            f"the Ray cluster at {address} cannot be joined: {reason}. If it asks for a token, as one by "
            "`ray start` may, set RAY_AUTH_MODE=token here too (and RAY_AUTH_TOKEN, on another machine)"
        ) from failures[0]


def _require_open_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"no Ray cluster can be reached at {address}: {error}") from error


def _init(**options: Any) -> None:
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
