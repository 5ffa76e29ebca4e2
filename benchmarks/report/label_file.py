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
        whole = b""
        if path.exists():
            (person,) = read_labels(finished, [str(path)], may_be_empty=True).people
            whole = person.text.encode()
            self.lines = {place: dict(line) for place, line in person.lines.items()}
            if who and person.is_named and person.name != who:
                raise UserError(
                    f"{path}: holds labels by {person.name}; a file is of one person, so give those of {who} "
                    "another with --out FILE"
                )
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from None
        if len(whole) < os.fstat(self._file).st_size:
            drop_torn_line(self._file)
        elif whole and not whole.endswith(b"\n"):
            append_whole(self._file, b"\n")

    def add(self, asked: Asked, pair: Pair, label: str, who: str, note: str = "") -> None:
        """label: contradiction, not_contradiction or cannot_tell. It is on the disk when this returns.

        Raises UserError where it cannot be; the file is then as it was.
        """
        line = {"id": shown(pair.id), "place": asked.place, "label": label, "note": note, "who": who}
        line |= {"when": datetime.now(UTC).isoformat(), "block": asked.block}
        line |= {"probability": asked.probability, "run": self._run}
        try:
            append_whole(self._file, f"{json.dumps(line)}\n".encode())
            os.fsync(self._file)
        except OSError as error:
            raise UserError(f"{self.path}: this label cannot be written: {error.strerror}") from None
        self.lines[asked.place] = line

    def __enter__(self) -> LabelFile:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
