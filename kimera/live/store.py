"""Sessions on disk, in a SQLite file of one process: what was answered is there after it was killed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kimera.cache import connect
from kimera.errors import UserError
from kimera.live.contradictions import NumberedStatement
from kimera.live.session import KeptStatement, Session

APPLICATION_ID = 0x6B696D73  # tells the file from other programs' ones
WAIT_S = 5.0  # for a process that is about to end
CREATE = """
CREATE TABLE encoders (id INTEGER PRIMARY KEY, fingerprint TEXT UNIQUE NOT NULL);
CREATE TABLE statements (
    session BLOB NOT NULL, number INTEGER NOT NULL, id BLOB NOT NULL, text BLOB NOT NULL,
    encoder INTEGER NOT NULL REFERENCES encoders (id), vector BLOB NOT NULL,
    PRIMARY KEY (session, number)
);
"""


class SessionStore:
    """Statements with their vectors, by the name of their session. Not for two threads at once.

    encoder_fingerprint: of the encoder that makes the vectors now; those of another one are not used.
    A context manager. Raises UserError for a file that is no such store, cannot be written, or is open in
    another process.
    """

    def __init__(self, path: Path, encoder_fingerprint: str) -> None:
        self._path = path
        try:
            _require_ours(path)
            self._db = connect(path, _create, WAIT_S, is_handed_over=True)
            with contextlib.ExitStack() as stack:
                stack.callback(self._db.close)
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._encoder = self._number_of(encoder_fingerprint)
                stack.pop_all()
        except sqlite3.Error as error:
            raise UserError(f"--store {path}: {_told(error)}") from error

    def __enter__(self) -> SessionStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def read(self, name: str) -> Session:
        """The session of this name; an empty one where there is none.

        Where vectors are another encoder's, its statements are encoded anew at its first check.
        """
        rows = self._db.execute(
            "SELECT number, id, text, encoder, vector FROM statements WHERE session = ? ORDER BY number",
            (_bytes(name),),
        ).fetchall()
        statements = [NumberedStatement(number, _text(id), _text(text)) for number, id, text, *_ in rows]
        if any(encoder != self._encoder for *_, encoder, _ in rows):
            session = Session(statements, name)
        else:
            session = Session((), name)
            for statement, (*_, vector) in zip(statements, rows, strict=True):
                session.add(statement, np.frombuffer(vector, np.float32))
        session.taken = statements[-1].number if statements else 0
        return session

    def write(self, kept: Sequence[KeptStatement]) -> None:
        """All of them or none. They survive the end of this process, however it ends."""
        rows = [
            (
                *(_bytes(name), statement.number, _bytes(statement.id), _bytes(statement.text)),
                *(self._encoder, np.ascontiguousarray(vector, np.float32).tobytes()),
            )
            for name, statement, vector in kept
        ]
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO statements VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _number_of(self, fingerprint: str) -> int:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR IGNORE INTO encoders (fingerprint) VALUES (?)", (fingerprint,))
        row = self._db.execute("SELECT id FROM encoders WHERE fingerprint = ?", (fingerprint,)).fetchone()
        return int(row[0])


def _create(db: sqlite3.Connection) -> None:
    for statement in CREATE.split(";")[:-1]:  # executescript would end the transaction
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _require_ours(path: Path) -> None:
    """Raises UserError for a file of another program, before anything is written to it."""
    if not path.absolute().parent.is_dir():
        raise UserError(f"--store {path}: give the name of a file in a folder that exists")
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(path, timeout=WAIT_S)) as db:
        [tables] = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        [application] = db.execute("PRAGMA application_id").fetchone()
    if tables and application != APPLICATION_ID:
        raise UserError(f"--store {path}: this is a database of another program; give another name")


def _told(error: sqlite3.Error) -> str:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another process has this store open; end it, or give another name"
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB:
        return "this file is not a store; give another name"
    return f"the file cannot be used ({error}); give another name"


def _bytes(text: str) -> bytes:
    """A text may hold lone surrogates, which SQLite's texts may not."""
    return text.encode("utf-8", "surrogatepass")


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")
