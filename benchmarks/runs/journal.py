"""What a run has learnt so far, on disk: append-only JSONL, written before the next question is asked.

The first line is a header; each further line one outcome: a detector's verdict or failure on a pair, by
the pair's index. A line is handed to the operating system whole, so it survives the death of this process;
a thread syncs the file each second, so that little is lost if the machine dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.fast_json import write_json
from kimera.errors import UserError
from kimera.files import append_whole, drop_torn_line
from kimera.pairs import Failure, Verdict

FORMAT = 1
SYNC_EVERY_S = 1.0
VERDICT_FIELDS = tuple(field.name for field in fields(Verdict))
Record = dict[str, Any]


class Journal:
    """Appends records to a journal, which it locks. Use it as a context manager."""

    def __init__(self, path: Path, *, header: Record | None = None) -> None:
        """With a header, starts a new journal (the file must not exist); without, goes on with an old one."""
        self.path = path
        if header is None:
            JournalReader(path).close()  # refuses what is no journal, before anything of it is cut off
        flags = os.O_CREAT | os.O_EXCL if header is not None else 0
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | flags, 0o644)
        _lock(self._file, path)
        self._end = drop_torn_line(self._file)
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="journal-sync", daemon=True)
        self._syncer.start()
        if header is not None:
            self.append({"journal": FORMAT, **header})

    def append(self, record: Record) -> int:
        """Writes one line and gives its offset. Numbers in it are finite.

        Raises OSError where the disk takes no more.
        """
        line = write_json(record) + b"\n"
        offset = self._end
        append_whole(self._file, line)
        self._end += len(line)
        if not self._unsynced.is_set():  # far cheaper than to set it
            self._unsynced.set()
        return offset

    def _sync(self) -> None:
        while not self._closing.wait(SYNC_EVERY_S):
            if self._unsynced.is_set():
                self._unsynced.clear()
                with contextlib.suppress(OSError):  # close() syncs once more, and raises
                    os.fsync(self._file)

    def close(self) -> None:
        self._closing.set()
        self._syncer.join()
        try:
            os.fsync(self._file)
        finally:
            os.close(self._file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class JournalReader:
    """Reads a journal: the header at once, records in the order of the file, or one at an offset."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        try:
            line = self._file.readline()
            self.header = self._parse(line, 1)
            if self.header.get("journal") != FORMAT or not line.endswith(b"\n"):
                raise UserError(
                    f"{path}, line 1: this is not the header of a journal that this version can read"
                )
        except UserError:
            self._file.close()
            raise

    def __iter__(self) -> Iterator[tuple[int, Record]]:
        """(offset, record) of each line after the header. A torn last line is left out."""
        self._file.seek(0)
        offset = len(self._file.readline())
        for number, line in enumerate(self._file, start=2):
            if not line.endswith(b"\n"):
                return
            yield offset, self._parse(line, number)
            offset += len(line)

    def at(self, offset: int) -> Record:
        """The record at an offset, whatever is being read in order at the same time."""
        line = b""
        while not line.endswith(b"\n"):
            part = os.pread(self._file.fileno(), 4096, offset + len(line))
            if not part:
                break
            line += part[: part.find(b"\n") + 1] or part
        return self._parse(line, None)

    def _parse(self, line: bytes, number: int | None) -> Record:
        try:
            record = json.loads(line)
            if isinstance(record, dict):
                return record
        except (ValueError, RecursionError):
            pass
        where = f"line {number}" if number else "a record"
        raise UserError(
            f"{self.path}, {where}: this is not a JSON object; something other than Kimera changed the "
            "journal"
        )

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_timed(record: Record) -> bool:
    """Whether its latency says how fast a detector is."""
    return not (record.get("from_cache") or record.get("untimed"))


def result_record(result: Verdict | Failure) -> Record:
    """The part of a record that says what a detector found."""
    if isinstance(result, Failure):
        return {"failure": {"kind": result.kind, "message": result.message, "wait_ms": result.wait_ms}}
    verdict = {name: getattr(result, name) for name in VERDICT_FIELDS}
    return {"verdict": {name: value for name, value in verdict.items() if value is not None}}


def result_of(record: Record) -> Verdict | Failure:
    """What a record says that a detector found. Raises UserError for a record that lacks it."""
    try:
        return Verdict(**record["verdict"]) if "verdict" in record else Failure(**record["failure"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"a journal record holds no verdict or failure: {error}") from None


def _lock(file: int, path: Path) -> None:
    """Two writers would each get the offsets of the other wrong."""
    try:
        import fcntl  # within `try`, since Windows has none
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise UserError(f"{path}: another process is writing to this run; wait for it, or stop it") from None
