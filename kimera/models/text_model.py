"""TextModel: a network over texts, loaded when it is needed, here or in workers: the life of every model."""

from __future__ import annotations

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np

from kimera.cache import default_folder
from kimera.errors import UserError
from kimera.models.onnx_models import OnnxModel, open_onnx
from kimera.models.runtime import TORCH_ON_CPU, Runtime
from kimera.workers import IF_MEMORY_RAN_OUT, ClosedAtExit, Engine, EngineName, Load, Work, as_engine

if TYPE_CHECKING:
    import onnx

Item = TypeVar("Item")  # a text, or two
TASKS_OF_A_WORKER, MIN_PER_TASK = 4, 32  # where there are items enough; at least so many items of each
Batches: TypeAlias = Iterator[tuple[list[int] | np.ndarray, np.ndarray]]  # (places of items, their outputs)


class TextModel(ClosedAtExit, ABC, Generic[Item]):
    """Gives a row of numbers for each item, in this process or in a pool of workers.

    kind: what it is, doing: what its workers do, both for messages. runtime: what the network runs on; once
    onnxruntime could not, torch on the CPU. worth: see `WorkerPool`. per_task: items that a worker takes at a
    time, at most. cache_dir: of the file that is prepared for onnxruntime. threads: of onnxruntime in this
    process; None for all cores.

    A context manager: `close` ends the workers.
    """

    kind: ClassVar[str]
    doing: ClassVar[str]
    folder: Path | None

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        *,
        worth: int,
        per_task: int,
        cache_dir: str | Path | None,
        threads: int | None,
        engine: Engine | EngineName,
    ) -> None:
        self.name = name
        self.runtime = runtime
        engine = as_engine(engine)
        engine.require_cpu(runtime.device)
        self._given_cache_dir = cache_dir
        self.cache_dir = Path(cache_dir) if cache_dir is not None else default_folder()
        self.threads = threads
        self._is_bound = False
        self._loaded_s = 0.0
        self._pool = engine.pool(self._prepared, self.doing, worth=worth, per_task=MIN_PER_TASK)
        self._per_task = per_task

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Names the model. Raises `UserError` where its weights are not the expected ones."""

    @property
    def output_fingerprint(self) -> str:
        """Names what decides the outputs: the model and the number format; `settle` comes first."""
        return self.fingerprint

    @property
    @abstractmethod
    def dimension(self) -> int:
        """How many numbers an item has."""

    @abstractmethod
    def cache_key(self, item: Item) -> str:
        """A text for the item, which no other item shares."""

    @abstractmethod
    def _length(self, item: Item) -> int:
        """In characters."""

    @abstractmethod
    def _load(self) -> Callable[[Sequence[Item]], Batches]:
        """What reads items in this process."""

    @abstractmethod
    def _here(self, items: Sequence[Item]) -> Batches:
        """`batches` in this process."""

    @abstractmethod
    def _maker(self) -> Callable[..., TextModel[Item]]:
        """Picklable: makes this model elsewhere, given its backend, precision, cache_dir and threads."""

    def close(self) -> None:
        """End the worker processes; what waits in their queue is dropped. The model stays usable."""
        self._pool.close()

    @property
    def load_s(self) -> float:
        """Wall seconds that went into loading the model so far: in this process, and in worker processes.

        From their start until the last of them was ready. 0 until it was needed.
        """
        return self._loaded_s + self._pool.load_s

    def load(self) -> None:
        """Load the model in this process now, which takes seconds; else its first item does."""
        self._read  # noqa: B018 (a cached property)

    @functools.cached_property
    def _read(self) -> Callable[[Sequence[Item]], Batches]:
        self.fingerprint  # noqa: B018 (checks the weights before anything reads them)
        begun = time.perf_counter()
        try:
            return self._load()
        finally:
            self._loaded_s += time.perf_counter() - begun

    def _open_onnx(self, fingerprint: str, build: Callable[[], onnx.ModelProto]) -> OnnxModel | None:
        """The network on onnxruntime; None where torch has to run it, which `runtime` says from then on.

        For the arguments see `onnx_models.prepared`.
        """
        if self.runtime.backend != "onnx":
            return None
        precision = self.runtime.precision
        model = open_onnx(
            self.cache_dir, self.kind, fingerprint, precision, build, self.threads, is_bound=self._is_bound
        )
        if model is None:
            self.runtime = TORCH_ON_CPU
        return model

    def go_on_from(self, output_fingerprint: str) -> None:
        """Make outputs as those were made that go by this name, or none.

        Raises `UserError` where that cannot be had here. Without this call a model whose network cannot be
        made for onnxruntime turns to torch in float32, and outputs of two sorts would stand side by side.
        """
        asked = self.runtime
        if self.output_fingerprint != output_fingerprint and asked.backend == "onnx":
            self.runtime = TORCH_ON_CPU  # onnxruntime may have failed then
        if self.output_fingerprint != output_fingerprint:
            self.runtime = asked
            raise UserError(
                f"the {self.kind} {self.name} would compute on {asked.backend} in {asked.precision}, and "
                "earlier verdicts of this run were made otherwise. Begin a new run"
            )
        self._is_bound = True

    def settle(self) -> None:
        """Find out whether onnxruntime can do the work, before `output_fingerprint` is relied on."""
        self.fingerprint  # noqa: B018 (checks the weights before anything reads them)
        if self.runtime.backend == "onnx":
            self.load()  # or turns to torch

    def work(self, items: Sequence[Item]) -> np.ndarray:
        """The outputs of one item or more in this process, in their order, shape (n, dimension)."""
        return in_order(self._read(items))

    def outputs(self, items: Sequence[Item], *, workers: int | None = None) -> np.ndarray:
        """The outputs of all items, float32 of shape (n, dimension). For `workers` see `batches`."""
        outputs = np.empty((len(items), self.dimension), dtype=np.float32)
        for rows, values in self.batches(items, workers=workers):
            outputs[rows] = values
        return outputs

    def batches(self, items: Sequence[Item], *, workers: int | None = None) -> Batches:
        """Yield (places in `items`, their outputs) batch by batch, longest items first.

        workers: None computes in this process with all its cores, or on all CPUs of a Ray cluster; N uses N
        processes of one thread each. They start with the first call that brings enough items to be worth it,
        load the model before the first batch, serve later calls, and end with `close`; see `processes_for`.
        On a GPU all is computed in this process.
        Raises `UserError` if the model cannot be loaded, or where the pool's `map` does.
        """
        workers = self._workers(workers)
        if not self._pool.takes(len(items), workers):
            if items:
                yield from self._here(items)
            return
        parts = self._parts(items, self._task_size(len(items), workers))
        outputs = self._pool.map([[items[row] for row in rows] for rows in parts], workers)
        yield from zip(parts, outputs, strict=True)

    def _task_size(self, count: int, workers: int | None) -> int:
        """Of so many items: small enough that no worker is left with a task when the others are done."""
        size = -(-count // (TASKS_OF_A_WORKER * self._pool.processes_for(count, workers)))
        return min(max(size, MIN_PER_TASK), self._per_task)

    def _parts(self, items: Sequence[Item], size: int) -> list[list[int]]:
        """Places of at most `size` items each, the longest first.

        So a batch holds little padding, or few lengths; and the first one shows how much memory it takes.
        """
        order = np.argsort([-self._length(item) for item in items], kind="stable").tolist()
        return [order[start : start + size] for start in range(0, len(order), size)]

    def processes_for(self, count: int, workers: int | None) -> int:
        """How many processes `batches` would occupy with so many items: 0 with none."""
        return self._pool.processes_for(count, self._workers(workers))

    def _workers(self, workers: int | None) -> int | None:
        return None if self.runtime.on_gpu else workers  # each would load a copy into the same GPU

    def _prepared(self) -> Load:
        self.settle()  # makes the file once, before several processes would
        return functools.partial(
            _load_in_worker, self._maker(), self.runtime, self._given_cache_dir, self.fingerprint
        )


def in_order(batches: Batches) -> np.ndarray:
    """The outputs of one batch or more, in the order of their items."""
    rows, outputs = zip(*batches, strict=True)
    return np.asarray(np.concatenate(outputs)[np.argsort(np.concatenate(rows))])


def _load_in_worker(
    make: Callable[..., TextModel[Any]], runtime: Runtime, cache_dir: str | Path | None, fingerprint: str
) -> Work:
    """What a worker does a batch of items with. The model itself is not sent: onnxruntime's cannot be."""
    if runtime.backend == "torch":
        import torch  # here, since it takes seconds, and on onnxruntime no worker needs it

        torch.set_num_threads(1)
    model = make(backend=runtime.backend, precision=runtime.precision, cache_dir=cache_dir, threads=1)
    _require_same(model.fingerprint, fingerprint, f"the {model.kind} {model.name}")
    model.load()
    _require_runtime(model.runtime, runtime)
    return model.work


def _require_runtime(opened: Runtime, wanted: Runtime) -> None:
    """Raise `UserError` in a worker process that runs another network: no score may depend on which one."""
    if opened != wanted:
        raise UserError(
            f"a worker process could not open the network for {wanted.backend} in {wanted.precision}, though "
            f"this process could. {IF_MEMORY_RAN_OUT}."
        )


def _require_same(fingerprint: str, wanted: str, what: str) -> None:
    """Raise `UserError` in a worker process, on another machine perhaps, whose model is another one."""
    if fingerprint != wanted:
        raise UserError(
            f"{what} differs from that of the main process: its fingerprint here is {fingerprint}, expected "
            f"{wanted}. Install the same kimera and the same weights on every machine."
        )
