"""Ctrl-C ends a command once, with exit code 130 and no traceback, however often it is pressed."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType, TracebackType

PATIENCE_S = 2.0  # of who presses Ctrl-C again while a command puts its things in order


def exit_quietly() -> None:
    """From here on an uncaught KeyboardInterrupt ends the process like that; other exceptions are shown.

    For commands, as their first act: before what takes long to import. Its end is quick, too: without the
    freeze the interpreter looks through all objects once more, a fifth of a second where much was imported.
    """
    atexit.register(gc.freeze)
    sys.excepthook = _hook
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a shell wants it ignored
        signal.signal(signal.SIGINT, interrupt_once)


def interrupt_once(number: int, frame: FrameType | None) -> None:
    """A handler of SIGINT: raises KeyboardInterrupt, and lets no further Ctrl-C disturb what that sets off.

    Files are closed and processes ended then, which takes a moment; a second KeyboardInterrupt in the midst
    of it would leave some of that undone, with a traceback. After `PATIENCE_S` another Ctrl-C ends the
    process at once, since a library may have swallowed the first: journals and caches survive that, and
    worker processes end with their parent.
    """
    begun = time.monotonic()

    def again(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - begun > PATIENCE_S:
            os._exit(130)

    signal.signal(signal.SIGINT, again)
    raise KeyboardInterrupt


@contextlib.contextmanager
def interrupts_withheld() -> Iterator[None]:
    """In this block a Ctrl-C is put off until its end: for what must not be left half made."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def starting_processes() -> Iterator[None]:
    """A process started in this block inherits a blocked SIGINT, so that Ctrl-C cannot hit it half-born."""
    from multiprocessing import resource_tracker  # here, since commands import this module before all else

    if sys.platform != "win32":
        resource_tracker.ensure_running()  # starting it within the block would unblock SIGINT again
    with interrupts_withheld():
        yield


def _hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        raise SystemExit(130)
    sys.__excepthook__(kind, error, traceback)
