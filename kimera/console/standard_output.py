"""Standard output: whether it is coloured, that its reader may leave early or never come; notes beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def open_closed_streams() -> None:
    """Standard output and error that were closed before the start (>&-, 2>&-) lead to the null device.

    Python has None in their place. `print(file=None)` prints to standard output, so that notes would get
    into it, and the next file that is opened would take the closed one's number.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


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


def tell(text: str) -> None:
    """On standard output, whether or not somebody still reads it."""
    with reader_may_leave():
        print(text)


def printable(text: str) -> str:
    """`text` on one line, with spaces for what a terminal would obey: escapes, line ends, bidi marks."""
    return "".join(character if character.isprintable() else " " for character in text)


def say(text: str) -> None:
    """On standard error."""
    print(text, file=sys.stderr)


def note(text: str) -> None:
    """On standard error, as something to know."""
    say(f"note: {text}")
