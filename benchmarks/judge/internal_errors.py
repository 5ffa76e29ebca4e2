"""Errors of Kimera's own: their traceback goes to a file that the message names."""

from __future__ import annotations

import functools
import tempfile
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from benchmarks.judge.failures import JudgeError
from kimera.cache import ERROR_LOG_NAMES, default_folder

LOG, OLDER_LOG = ERROR_LOG_NAMES  # `kimera cache clear` deletes them
MAX_LOG_BYTES = 4 * 1024**2  # an error that every pair meets would fill the disk


def internal_error(
    error: Exception, redact: Callable[[str], str] = str, status: int | None = None
) -> JudgeError:
    """An error of kind "internal", its traceback logged. redact: takes secrets out of a text."""
    trace = "".join(traceback.format_exception(error))
    path = _log(redact(f"{datetime.now().astimezone().isoformat(timespec='seconds')}\n{trace}\n"))
    message = redact(f"{type(error).__name__}: {error}")[:120]
    return JudgeError(
        "internal",
        f"an error of Kimera's own, {message}; its traceback is in {path}; please report it",
        status=status,
    )


def _log(text: str) -> Path:
    """Where it was written: the cache's folder, or one of this process alone where that cannot be written."""
    for folder_of in (default_folder, _own_folder):
        try:
            folder = folder_of()
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / LOG).exists() and (folder / LOG).stat().st_size > MAX_LOG_BYTES:
                (folder / LOG).replace(folder / OLDER_LOG)
            with (folder / LOG).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return folder / LOG
    return Path("no file, since no folder could be written to")


@functools.cache
def _own_folder() -> Path:
    """Of a name that nobody can guess, who might lay a link there."""
    return Path(tempfile.mkdtemp(prefix="kimera-"))
