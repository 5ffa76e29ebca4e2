"""A person's labels.jsonl, to which each label is added the moment it is given."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.report.pair_table import shown
from benchmarks.report.people_labels import read_labels
from benchmarks.runs import FinishedRun, key_of
from benchmarks.stats import Asked
from kimera.errors import UserError
from kimera.files import append_whole, drop_torn_line
from kimera.pairs import Pair


class LabelFile:
    """A context manager. What was written is never taken back: of two lines of a pair the later one counts.

    lines: by the place of the pair, the line that counts, as `people_labels` describes it.
    who: whose labels will be added. Raises UserError for a file that cannot be read or written, holds
    something else, or the labels of another.
    """

    def __init__(self, finished: FinishedRun, path: Path, who: str = "") -> None:
        self.path = path
        self._run = key_of(finished.run)
        self.lines: dict[int, dict[str, Any]] = {}
        is_torn = needs_end = False
        if path.exists():
            (person,) = read_labels(finished, [str(path)], may_be_empty=True).people
            is_torn, needs_end = person.is_torn, person.text[-1:] not in ("", "\n")
            self.lines = {place: dict(line) for place, line in person.lines.items()}
            if who and person.names and who not in person.names:
                raise UserError(
                    f"{path}: holds labels by {person.name}; a file is of one person, so give those of {who} "
                    "another with --out FILE"
                )
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from None
        if is_torn:
            drop_torn_line(self._file)
        elif needs_end:
            self._write(b"\n")

    def add(self, asked: Asked, pair: Pair, label: str, who: str, note: str = "") -> None:
        """label: contradiction, not_contradiction or cannot_tell. It is on the disk when this returns.

        Raises UserError where it cannot be.
        """
        line = {"id": shown(pair.id), "place": asked.place, "label": label, "note": note, "who": who}
        line |= {"when": datetime.now(UTC).isoformat(), "block": asked.block}
        line |= {"probability": asked.probability, "run": self._run}
        self._write(f"{json.dumps(line)}\n".encode())
        self.lines[asked.place] = line

    def _write(self, line: bytes) -> None:
        try:
            append_whole(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror}") from None

    def __enter__(self) -> LabelFile:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
