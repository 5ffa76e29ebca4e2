"""ReplyCache: replies that a judge gave before, on disk, so that the same question is not paid for twice."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from kimera.cache import (
    REPLIES_FILE_NAME,
    Identity,
    connect,
    default_folder,
    drop_oldest,
    give_back_pages,
    identity,
    is_damage,
    make_folder,
    set_aside,
)

MAX_BODY_BYTES = 256 * 1024  # a verdict takes one, a long chain of thought a hundred
MAX_BYTES = 1024**3  # of about a million verdicts; then the oldest go
PUTS_PER_CHECK = 256  # of the file's size
BUSY_TIMEOUT_S = 5.0  # another process writes for well under a millisecond; the event loop waits with us
SELECT = "SELECT body FROM replies WHERE key = ?"
UPSERT = "INSERT INTO replies (key, body) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body"


def default_path() -> Path:
    """The file in the cache folder: KIMERA_CACHE_DIR, else the user's cache folder on this platform."""
    return default_folder() / REPLIES_FILE_NAME


def reply_key(base_url: str, body: bytes, sample: int) -> bytes:
    """The 16 bytes that a reply is kept under.

    body: the request's, which holds the model, the messages and all parameters. sample: which of several
    replies to the same request. The API key is no part of it.
    """
    # The address is hashed first, so that no two (address, body) run together.
    start = blake2b(f"{sample} {base_url}".encode()).digest()
    return blake2b(start + body, digest_size=16).digest()


class ReplyCache:
    """The bodies of replies by `reply_key`, in one SQLite file that processes may share.

    It keeps one connection, for use in the thread of the first call, since a lookup stands in the event loop.
    Each `put` is a transaction in the write-ahead log, not synced on its own: it survives the death of this
    process, and a machine that dies may lose the last ones but not the file.

    A cache may be lost but must never end a run: a damaged file is set aside with a warning and a new one
    begun; any other trouble of SQLite's is a warning and a miss, and after a failed `put` no more is written.

    max_bytes: how large the file may become, but for the last puts; then the oldest replies go.

    Raises `UserError` if the folder cannot be made or written.
    """

    def __init__(self, path: str | Path | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = Path(path) if path is not None else default_path()
        self.max_bytes = max_bytes
        self._puts = 0
        self._db: sqlite3.Connection | None = None
        self._identity: Identity = None
        self._writing = True
        make_folder(self.path.parent)

    def __enter__(self) -> ReplyCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; a later call opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def get(self, key: bytes) -> bytes | None:
        """The body that was put there, or None."""
        rows = self._attempt(lambda db: db.execute(SELECT, (key,)).fetchall())
        body = rows[0][0] if rows else None
        return body if isinstance(body, bytes) else None

    def put(self, key: bytes, body: bytes) -> None:
        """Stores a body over what was there. One above MAX_BODY_BYTES is not stored."""
        if self._writing and len(body) <= MAX_BODY_BYTES:
            stored = self._attempt(lambda db: db.execute(UPSERT, (key, body)).fetchall())
            self._writing = stored is not None
            if self._puts % PUTS_PER_CHECK == 0:  # the first too: an earlier run may have left it too large
                self._attempt(self._bound)
            self._puts += 1

    def _bound(self, db: sqlite3.Connection) -> list[tuple[bytes]]:
        if drop_oldest(db, "replies", self.max_bytes):
            give_back_pages(db)
        return []

    def _attempt(self, work: Callable[[sqlite3.Connection], list[tuple[bytes]]]) -> list[tuple[bytes]] | None:
        """The rows that `work` gives, on a new file where the old one is damaged; None where SQLite fails."""
        for anew in (False, True):
            try:
                return work(self._connection())
            except sqlite3.Error as error:
                if anew or not is_damage(error):
                    warnings.warn(f"the reply cache {self.path} could not be used: {error}", stacklevel=3)
                    return None
                self.close()
                set_aside(self.path, self._identity, error, "reply cache")
        return None

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._identity = identity(self.path)
            self._db = connect(self.path, _create, BUSY_TIMEOUT_S)
        return self._db


def _create(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, body BLOB NOT NULL)")
