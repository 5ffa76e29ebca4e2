"""SQLite files that hold what can be made again: shared between processes, and set aside when damaged."""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from platformdirs import user_cache_dir

from kimera.errors import UserError

LAYOUT = 1
KEPT = 0.9  # of the most bytes, where the oldest rows had to go
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
Identity: TypeAlias = tuple[int, int] | None


def default_folder() -> Path:
    """The folder of the caches: KIMERA_CACHE_DIR, else the user's cache folder on this platform."""
    if folder := os.environ.get("KIMERA_CACHE_DIR"):
        return Path(folder)
    return Path(user_cache_dir("kimera"))


def make_folder(folder: Path, remedy: str = "Set KIMERA_CACHE_DIR to a writable folder.") -> None:
    """Makes a folder for caches. Raises `UserError` with the `remedy` if it cannot be made or written."""
    reason = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            reason = "no permission to write"
    except OSError as error:
        reason = error.strerror
    if reason:
        raise UserError(f"the cache folder {folder} cannot be used: {reason}. {remedy}")


def connect(
    path: Path,
    create: Callable[[sqlite3.Connection], None],
    timeout_s: float,
    *,
    is_handed_over: bool = False,
) -> sqlite3.Connection:
    """An open connection in autocommit mode; `create` makes the tables of a new file, inside a transaction.

    is_handed_over: whether another thread than this one goes on with it.

    Writes go to a write-ahead log that is not synced for each: they survive the death of a process, and a
    machine that dies may lose the last ones but not the file. Raises sqlite3.Error.
    """
    db = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=not is_handed_over)
    try:
        layout = db.execute("PRAGMA user_version").fetchone()[0]
        if layout == 0:
            _begin_file(db, create, timeout_s)
        elif layout != LAYOUT:
            raise sqlite3.DatabaseError(f"its layout is {layout}, and this version of Kimera reads {LAYOUT}")
        db.execute("PRAGMA synchronous = NORMAL")
    except UnicodeDecodeError as error:  # SQLite's message quotes a name that damage has made of other bytes
        db.close()
        damage = sqlite3.DatabaseError("its schema cannot be read")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage from error
    except BaseException:
        db.close()
        raise
    return db


def _begin_file(
    db: sqlite3.Connection, create: Callable[[sqlite3.Connection], None], timeout_s: float
) -> None:
    db.execute("PRAGMA page_size = 16384")  # a page of 4 KiB would hold two vectors and waste a quarter
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # so that a file can become smaller
    _switch_to_wal(db, timeout_s)
    with db:
        db.execute("BEGIN IMMEDIATE")
        create(db)
        db.execute(f"PRAGMA user_version = {LAYOUT}")


def _switch_to_wal(db: sqlite3.Connection, timeout_s: float) -> None:
    # Of processes that switch a new file at once, SQLite tells the later ones "locked" without any waiting.
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def drop_oldest(db: sqlite3.Connection, table: str, max_bytes: int) -> bool:
    """Where the file holds more than `max_bytes`, the oldest rows of the table go; gives whether any did.

    table: one whose new rows get the next rowid. Afterwards, outside of a transaction, `give_back_pages`.
    """
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    used = (pages - free) * size
    if used <= max_bytes:
        return False
    # Only the oldest are ever deleted, so that the rowids have no great gaps.
    oldest, newest = db.execute(f"SELECT min(rowid), max(rowid) FROM {table}").fetchone()  # noqa: S608 (ours)
    gone = round((newest - oldest + 1) * (1 - KEPT * max_bytes / used))
    db.execute(f"DELETE FROM {table} WHERE rowid < ?", (oldest + gone,))  # noqa: S608 (ours)
    return True


def give_back_pages(db: sqlite3.Connection) -> None:
    """Makes the file as small as what it holds; `execute` would do so for the first page only."""
    db.executescript("PRAGMA incremental_vacuum")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, as opposed to a full disk or a lock held too long."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def identity(path: Path) -> Identity:
    """What tells a file from another one that took its name."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def set_aside(path: Path, seen: Identity, error: sqlite3.Error, what: str) -> None:
    """Renames a damaged file, with a warning, unless another process has already begun a new one.

    seen: the identity of the file that was found damaged. what: what the file is, for the warning.
    """
    if identity(path) != seen:
        return
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    # The write-ahead log goes along: SQLite would replay one that stayed behind into the new file.
    for suffix in ("-wal", "-shm", ""):
        try:
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
        except OSError:
            continue  # not there, or another process was faster
    warnings.warn(
        f"the {what} {path} is damaged ({error}); it was renamed to {aside.name}, which can be "
        "deleted, and a new one was started.",
        stacklevel=5,
    )
