"""Ctrl-C where no command can catch it, while its imports run: exit code 130 and no traceback."""

from __future__ import annotations

import sys
from types import TracebackType


def exit_quietly() -> None:
    """From here on an uncaught KeyboardInterrupt ends the process like that; other exceptions are shown.

    For commands, as their first act: before what takes long to import.
    """
    sys.excepthook = _hook


def _hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        raise SystemExit(130)
    sys.__excepthook__(kind, error, traceback)
