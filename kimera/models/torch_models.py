"""Networks on torch: one on the CPU, or a copy on each GPU of this machine, which work at the same time."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from kimera.models.runtime import Runtime
from kimera.models.tokens import Tokens, batches_by_length

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 32_768, "mps": 8192}
AHEAD = 2  # batches a network, so that memory is bounded

_Batch = TypeVar("_Batch")
_Result = TypeVar("_Result")


def copies(network: Any, runtime: Runtime) -> list[Any]:
    """The network on each device of the runtime, in its number format, ready to compute."""
    network = network.to(dtype=runtime.torch_dtype()).eval()
    return [copy.deepcopy(network).to(device) for device in runtime.torch_devices()]


def torch_batches(networks: Sequence[Any], tokens: Tokens) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows, what the network gives for these sequences, float32), longest sequences first.

    networks: copies of one module of (ids, mask, types), each with its weights on a device of the same kind.
    """
    kind = next(networks[0].parameters()).device.type
    batches = list(batches_by_length(tokens.lengths, TOKENS_PER_BATCH[kind]))
    works = [partial(_forward, network, tokens) for network in networks]
    yield from zip(batches, spread(works, batches), strict=True)


def _forward(network: Any, tokens: Tokens, rows: np.ndarray) -> np.ndarray:
    import torch  # here, since it takes seconds, and on onnxruntime nothing needs it

    device = next(network.parameters()).device
    inputs = [torch.from_numpy(array).to(device) for array in tokens.padded(rows)]
    with torch.no_grad():
        return np.asarray(network(*inputs).float().cpu().numpy())


def spread(works: Sequence[Callable[[_Batch], _Result]], batches: Iterable[_Batch]) -> Iterator[_Result]:
    """What each batch gives, in order; each is done by whichever of the works is free, in a thread.

    Raises what a batch raises.
    """
    if len(works) == 1:
        yield from map(works[0], batches)
        return
    free: SimpleQueue[Callable[[_Batch], _Result]] = SimpleQueue()
    for work in works:
        free.put(work)

    def do(batch: _Batch) -> _Result:
        work = free.get()
        try:
            return work(batch)
        finally:
            free.put(work)

    threads = ThreadPoolExecutor(len(works))
    waiting: deque[Future[_Result]] = deque()
    try:
        for batch in batches:
            waiting.append(threads.submit(do, batch))
            if len(waiting) == AHEAD * len(works):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
