"""Which event loop carries the requests of a run: uvloop's where it is installed, else asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from kimera.console import how_to_install
from kimera.errors import UserError

LoopChoice = Literal["auto", "asyncio", "uvloop"]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def event_loop(choice: LoopChoice) -> tuple[str, LoopFactory | None]:
    """Its name, and what makes one; None for asyncio's own. Raises UserError where uvloop is missing."""
    if choice == "asyncio":
        return choice, None
    try:
        import uvloop  # an extra
    except ImportError:
        if choice == "auto":
            return "asyncio", None
        raise UserError(f"--loop uvloop: it is not installed; run: {how_to_install('fast')}") from None
    return "uvloop", uvloop.new_event_loop
