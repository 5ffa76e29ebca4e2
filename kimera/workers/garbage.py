"""Garbage that is seldom sought, where a process makes very many objects and few cycles."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

OBJECTS = 100_000  # made before the youngest are looked at; Python's own number is 700


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Collects garbage far less often, and never looks at what was there before.

    At the usual thresholds a tenth to a fifth of the processor's time goes into looking for cycles, mostly
    among imported modules and what is kept.
    """
    usual, is_inner = gc.get_threshold(), gc.get_freeze_count() > 0
    gc.freeze()
    gc.set_threshold(OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        if not is_inner:
            gc.unfreeze()
