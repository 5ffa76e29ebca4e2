"""What every worker process does first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def leave_to_parent() -> None:
    """Ctrl-C is left to the parent, and this process ends when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # Not left to the parent's own end: one that is killed does nothing any more, and its workers would stay.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
