"""Code without an event loop, called where one runs: it says what to await instead."""

from __future__ import annotations

import asyncio


def require_no_loop(instead: str) -> None:
    """Raises RuntimeError within a running event loop, as a notebook has one. instead: what works there."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"an event loop is running here, as in a notebook: {instead}")
