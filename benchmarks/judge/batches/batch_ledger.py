"""What was submitted in batches, on disk before it is submitted, and the replies as they came.

A run that ends at any moment finds its requests again: those of a batch that is under way, those whose
replies lie here, and those of a batch of which only the intention was written down, which is looked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.judge.reply_cache import reply_key
from benchmarks.judge.transports import HttpReply
from kimera.errors import UserError
from kimera.files import drop_torn_line, write_text

LEDGER = "ledger.jsonl"


def digest_of(url: str, body: bytes) -> str:
    """What a request is known by: two that say the same to the same address are one as good as the other."""
    return reply_key(url, body, 0).hex()


@dataclass(eq=False)
class SubmittedBatch:
    """mark: its name in the ledger and at the provider. digests: of its requests, in order.

    begun_s: when it was about to be submitted, seconds since 1970. id: the provider's, empty until known.
    is_over: whether its replies are all here. was_earlier: whether another session submitted it.
    """

    mark: str
    begun_s: float
    digests: tuple[str, ...]
    id: str = ""
    is_over: bool = False
    was_earlier: bool = False
    replies: dict[int, HttpReply] = field(default_factory=dict)

    def name_of(self, number: int) -> str:
        return f"{self.mark}-{number}"

    def number_in(self, name: str) -> int | None:
        """Which of its requests has this name; None for one of another batch."""
        mark, _, number = name.rpartition("-")
        is_ours = mark == self.mark and number.isdecimal() and int(number) < len(self.digests)
        return int(number) if is_ours else None


class BatchLedger:
    """In a folder, or in memory alone without one; the judges of a run may share it, one after another."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises UserError for a ledger that something else has written."""
        self._folder = folder
        self._batches: dict[str, SubmittedBatch] = {}
        if folder and (folder / LEDGER).exists():
            with (folder / LEDGER).open("r+b") as file:  # what a torn line was to say had not happened
                drop_torn_line(file.fileno())
            for number, line in enumerate((folder / LEDGER).read_text(encoding="utf-8").splitlines(), 1):
                self._take(line, number)

    @property
    def place(self) -> str:
        """Where it lies, in words; empty without a folder."""
        return f" in {self._folder / LEDGER}" if self._folder else ""

    def __iter__(self) -> Iterator[SubmittedBatch]:
        return iter(self._batches.values())

    def __contains__(self, batch: SubmittedBatch) -> bool:
        return batch.mark in self._batches

    def begin(self, batch: SubmittedBatch) -> None:
        """Writes down what is about to be submitted."""
        self._batches[batch.mark] = batch
        self._write({"batch": batch.mark, "begun_s": batch.begun_s, "digests": batch.digests})

    def created(self, batch: SubmittedBatch, batch_id: str) -> None:
        batch.id = batch_id
        self._write({"batch": batch.mark, "id": batch_id})

    def drop(self, batch: SubmittedBatch) -> None:
        """Nothing of it will be answered: its requests are as if they had never been sent."""
        self._batches.pop(batch.mark, None)
        self._write({"batch": batch.mark, "dropped": True})

    def keep(self, batch: SubmittedBatch, replies: Mapping[int, HttpReply]) -> None:
        """It is over, and these are the replies, by the number of the request."""
        batch.replies = dict(replies)
        batch.is_over = True
        if self._folder:
            write_text(self._folder / f"{batch.mark}.jsonl", "".join(_lines(replies.items())))
        self._write({"batch": batch.mark, "over": True})

    def _write(self, record: dict[str, Any]) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / LEDGER).open("ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _take(self, line: str, number: int) -> None:
        try:
            record = json.loads(line)
            mark = record["batch"]
            if "digests" in record:
                digests = tuple(record["digests"])
                self._batches[mark] = SubmittedBatch(mark, record["begun_s"], digests, was_earlier=True)
            elif "id" in record:
                self._batches[mark].id = record["id"]
            elif "dropped" in record:
                del self._batches[mark]
            else:
                self._batches[mark].is_over = bool(record["over"])
                self._batches[mark].replies = self._read(mark)
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise UserError(
                f"{self._folder}/{LEDGER}, line {number}: this is no record of batches, or the replies that "
                f"it speaks of are gone ({type(error).__name__}: {error}); something other than Kimera has "
                "changed the folder, so start a new run"
            ) from None

    def _read(self, mark: str) -> dict[int, HttpReply]:
        assert self._folder is not None  # noqa: S101 - it was read from there
        replies = {}
        for line in (self._folder / f"{mark}.jsonl").read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            replies[int(told["number"])] = HttpReply(told["status"], {}, told["body"].encode())
        return replies


def _lines(replies: Iterable[tuple[int, HttpReply]]) -> Iterator[str]:
    for number, reply in replies:
        told = {"number": number, "status": reply.status, "body": reply.body.decode("utf-8", "replace")}
        yield json.dumps(told) + "\n"
