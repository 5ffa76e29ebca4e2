"""Standard output: whether it is coloured, and that whoever reads it may leave early; notes beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def is_coloured() -> bool:
    """On a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """What is printed here is dropped once the reader, such as head, has gone."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """On standard error."""
    print(f"note: {text}", file=sys.stderr)
