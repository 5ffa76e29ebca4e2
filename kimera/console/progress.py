"""Progress bars: on standard error, and only where a person watches or asked for them."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from kimera.console.interrupts import interrupts_withheld


def progress_bar(title: str, total: int | None, *, quiet: bool, unit: str = "pair") -> Any:
    """A tqdm bar; shows nothing when `quiet` or where standard error is no terminal."""
    disable = True if quiet else None  # None: tqdm looks whether the stream is a terminal
    with interrupts_withheld():  # a half-made bar complains when it goes
        return tqdm(total=total, desc=title, unit=unit, disable=disable, file=sys.stderr, smoothing=0.1)
