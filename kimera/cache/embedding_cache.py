"""EmbeddingCache: text vectors and pair scores on disk, content-addressed, safe to share between processes.

`python -m kimera.cache` tells what is there, or deletes it.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kimera.cache.sqlite_files import (
    connect,
    default_folder,
    drop_oldest,
    give_back_pages,
    identity,
    is_damage,
    make_folder,
    set_aside,
)
from kimera.errors import UserError

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "ERROR_LOG_NAMES",
    "FILE_NAME",
    "MAX_BYTES",
    "MODELS",
    "NEIGHBOURS",
    "REPLIES_FILE_NAME",
    "EmbeddingCache",
]

FILE_NAME = "embeddings.sqlite3"
REPLIES_FILE_NAME = "replies.sqlite3"  # beside it; what keeps them is not in this package
NEIGHBOURS = "neighbours"  # a folder beside it: what a scan keeps of a corpus for the next one
MODELS = "models"  # a folder beside it: networks prepared for onnxruntime
ERROR_LOG_NAMES = ("errors.log", "errors.older.log")  # beside it too: tracebacks of Kimera's own errors
KEYS_PER_QUERY = 1000  # far below SQLite's limit of 32,766 variables
BUSY_TIMEOUT_S = 30.0
MAX_BYTES = 2 * 1024**3  # of 1.3 million vectors of 384
OTHER_FOLDER = "Name another with --cache-dir or KIMERA_CACHE_DIR, or switch the cache off with --no-cache."
UPSERT = (
    "INSERT INTO vectors (key, vector) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET vector = excluded.vector"
)

_T = TypeVar("_T")


class EmbeddingCache:
    """Vectors by (fingerprint, text), in one SQLite file inside `folder`.

    max_bytes: how large it may become, but for what one write adds; then the oldest entries go.

    A cache may be lost but must never end a run: a damaged file is set aside with a warning and a new one
    begun; any other trouble of SQLite's (disk full, lock held too long) is a warning and a miss.
    Each operation opens the file anew, which takes a fraction of a millisecond and makes the cache safe in
    threads and across forks.

    Raises `UserError` if the folder cannot be made or written.
    """

    def __init__(self, folder: str | Path | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()
        self.max_bytes = max_bytes
        self.path = self.folder / FILE_NAME
        make_folder(self.folder, OTHER_FOLDER)

    def get_many(
        self, fingerprint: str, texts: Sequence[str], dimension: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Look the texts up.

        Returns (vectors, is_there): float32 of shape (n, dimension), and a bool mask of shape (n,). The rows
        that are not there are zeros. A stored vector of another length counts as not there.
        """
        import numpy as np  # here, since commands that only want the names of the files are quicker without

        vectors = np.zeros((len(texts), dimension), dtype=np.float32)
        is_there = np.zeros(len(texts), dtype=bool)
        keys = _keys(fingerprint, texts)

        def look_up(db: sqlite3.Connection) -> None:
            for row, blob in _selected(db, keys):
                if isinstance(blob, bytes) and len(blob) == 4 * dimension:
                    vectors[row] = np.frombuffer(blob, dtype="<f4")
                    is_there[row] = True

        self._attempt(look_up, otherwise=None)
        return vectors, is_there

    def put_many(self, fingerprint: str, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Store one vector (a row of `vectors`, kept as float32) for each text, over what was there."""
        import numpy as np  # as above

        blobs = (row.tobytes() for row in np.ascontiguousarray(vectors, dtype="<f4"))
        rows = list(zip(_keys(fingerprint, texts), blobs, strict=True))

        def insert(db: sqlite3.Connection) -> None:
            with db:  # one transaction
                db.execute("BEGIN IMMEDIATE")
                db.executemany(UPSERT, rows)
                dropped = drop_oldest(db, "vectors", self.max_bytes)
            if dropped:
                give_back_pages(db)

        self._attempt(insert, otherwise=None)

    def count(self) -> int:
        """How many entries there are."""
        return self._attempt(lambda db: int(db.execute("SELECT count(*) FROM vectors").fetchone()[0]), 0)

    def add_from(self, other: EmbeddingCache) -> int:
        """Takes over what another cache holds and this one does not; gives how many entries that were.

        The oldest go where it becomes too large, as ever.
        Raises `UserError` where either cannot be read or written: unlike a lookup, this is asked for.
        """
        if self.path.resolve() == other.path.resolve():
            raise UserError(f"{other.folder}: this is the cache that the others are merged into")
        try:
            connect(other.path, _create, BUSY_TIMEOUT_S).close()  # is it of this layout?
            with closing(connect(self.path, _create, BUSY_TIMEOUT_S)) as db:
                db.execute("ATTACH DATABASE ? AS other", (str(other.path),))
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    added = db.execute(
                        "INSERT OR IGNORE INTO vectors (key, vector) "
                        "SELECT key, vector FROM other.vectors ORDER BY other.vectors.rowid"
                    ).rowcount
                    dropped = drop_oldest(db, "vectors", self.max_bytes)
                if dropped:
                    give_back_pages(db)
        except sqlite3.Error as error:
            raise UserError(f"{other.path} could not be merged into {self.path}: {error}") from error
        return added

    def _attempt(self, work: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        """`work` on an open database, or `otherwise` with a warning where SQLite fails."""
        seen = identity(self.path)
        try:
            with closing(connect(self.path, _create, BUSY_TIMEOUT_S)) as db:
                return work(db)
        except sqlite3.Error as error:
            if is_damage(error):
                set_aside(self.path, seen, error, "embedding cache")
            else:
                warnings.warn(f"the embedding cache {self.path} could not be used: {error}", stacklevel=4)
            return otherwise


def _keys(fingerprint: str, texts: Sequence[str]) -> list[bytes]:
    """16-byte keys; the fingerprint is hashed first so that no two (fingerprint, text) run together."""
    start = blake2b(blake2b(fingerprint.encode()).digest(), digest_size=16)
    keys = []
    for text in texts:
        key = start.copy()  # so that the fingerprint, longer than most texts, is hashed once
        key.update(text.encode("utf-8", "surrogatepass"))
        keys.append(key.digest())
    return keys


def _create(db: sqlite3.Connection) -> None:
    # A rowid table: new rows go to its end. Keyed by a hash, each would land on a page of its own.
    db.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB NOT NULL, vector BLOB NOT NULL)")
    db.execute("CREATE UNIQUE INDEX IF NOT EXISTS vectors_by_key ON vectors (key)")


def _selected(db: sqlite3.Connection, keys: list[bytes]) -> Iterator[tuple[int, object]]:
    """(the place of a key, what is stored for it), of those that are there; few are in memory at a time."""
    for start in range(0, len(keys), KEYS_PER_QUERY):
        batch = keys[start : start + KEYS_PER_QUERY]
        marks = ",".join("?" * len(batch))
        query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608 (only question marks)
        stored = dict(db.execute(query, batch).fetchall())
        yield from ((start + at, stored[key]) for at, key in enumerate(batch) if key in stored)
