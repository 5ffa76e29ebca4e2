"""Where tracebacks go: a file beside the cache that the message names."""

from __future__ import annotations

import functools
import tempfile
from datetime import datetime
from pathlib import Path

from kimera.cache.embedding_cache import ERROR_LOG_NAMES
from kimera.cache.sqlite_files import default_folder
from kimera.console import without_secrets

__all__ = ["LOG", "MAX_LOG_BYTES", "OLDER_LOG", "log_error"]

LOG, OLDER_LOG = ERROR_LOG_NAMES  # `kimera cache clear` deletes them
MAX_LOG_BYTES = 4 * 1024**2  # an error that every pair meets would fill the disk


def log_error(trace: str) -> Path:
    """Appends a traceback, after the time; gives the file that it was written to.

    What `without_secrets` masks is not in it. The file is in the cache's folder, or in one of this process
    alone where that cannot be written.
    """
    text = f"{datetime.now().astimezone().isoformat(timespec='seconds')}\n{without_secrets(trace)}\n"
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
