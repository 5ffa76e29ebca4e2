"""Where worker processes run: on this machine, or on a Ray cluster."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

import numpy as np

from kimera.console import how_to_install
from kimera.errors import UserError
from kimera.workers.engine_name import EngineName
from kimera.workers.pool import Load, WorkerPool
from kimera.workers.ray_pool import RayPool

__all__ = ["LOCAL", "Engine", "EngineName", "Pool", "as_engine"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)


class Pool(Protocol):
    """Workers that load a model once and then do batch after batch; see `WorkerPool`.

    workers: how many; None is no process of this machine but this one, or all CPUs of a Ray cluster.
    """

    load_s: float

    def takes(self, count: int, workers: int | None) -> bool: ...

    def processes_for(self, count: int, workers: int | None) -> int: ...

    def map(self, batches: Sequence[Any], workers: int | None) -> Iterator[np.ndarray]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """name: "local", processes of this machine, or "ray". address: of a Ray cluster, HOST:PORT or "auto".

    Without an address RAY_ADDRESS counts; without that too, Ray is started on this machine, and ended.
    Raises `UserError` for another name, and where Ray is not installed.
    """

    name: EngineName = "local"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise UserError(f"the engine {self.name!r} is not known; give {' or '.join(ENGINES)}")
        if self.name == "ray" and importlib.util.find_spec("ray") is None:
            raise UserError(f"the engine ray needs the package ray; run: {how_to_install('ray')}")

    @property
    def is_local(self) -> bool:
        return self.name == "local"

    def pool(self, prepare: Callable[[], Load], what: str, *, worth: int, per_task: int) -> Pool:
        """For the arguments see `WorkerPool`. Nothing is started yet. `UserError` for a bad address."""
        if self.is_local:
            return WorkerPool(prepare, what, worth=worth, per_task=per_task)
        return RayPool(prepare, what, self._cluster_address(), worth=worth, per_task=per_task)

    def _cluster_address(self) -> str | None:
        address = self.address or os.environ.get("RAY_ADDRESS")
        host, _, port = (address or "").rpartition(":")
        if address in (None, "", "auto") or (host and "/" not in host and port.isascii() and port.isdigit()):
            return address or None
        raise UserError(
            f"{address!r} is not the address of a Ray cluster; give HOST:PORT as `ray start` printed it, or "
            "auto, on a machine that belongs to the cluster"
        )

    def require_cpu(self, device: str) -> None:
        """Raise `UserError` where work for a GPU would go to workers, which compute on CPUs."""
        if not self.is_local and device != "cpu":
            raise UserError(f"the engine ray computes on CPUs, not on {device}; leave the device out")


LOCAL = Engine()


def as_engine(engine: Engine | EngineName) -> Engine:
    return engine if isinstance(engine, Engine) else Engine(engine)
