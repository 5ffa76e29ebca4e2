"""The judge pipeline for ordinary code: one request at a time, with or without httpx."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from benchmarks.judge import require_no_loop
from benchmarks.openai_async import run_async_benchmark
from kimera.pairs import Pair

__all__ = ["run_sync_benchmark"]


def run_sync_benchmark(pairs: Iterable[Pair | tuple[str, str]], **client_options: Any) -> dict[str, Any]:
    """Asks a judge about all pairs, one after the other; call it outside an event loop.

    It is the pipeline of `run_async_benchmark` with one worker: the same policy, the same structure of
    results, stats["mode"] "sync". Raises RuntimeError within a running event loop, as a notebook has one.
    """
    require_no_loop("await run_async_benchmark(pairs, max_concurrent=1), or async with AsyncOpenAIClient()")
    return asyncio.run(run_async_benchmark(pairs, max_concurrent=1, **client_options))
