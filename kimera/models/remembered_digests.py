"""SHA-256 of large files, remembered in the cache folder: read again only where a file was changed."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from kimera.files import write_text
from kimera.models.model_folders import file_digest

FILE_NAME = "digests.json"
State: TypeAlias = list[int | str]  # size, time of the last change in ns, SHA-256


@dataclass(frozen=True, slots=True)
class RememberedDigests:
    """folder: where the file of them lies; one that cannot be read or written remembers nothing."""

    folder: Path

    def digest(self, path: Path) -> str:
        """SHA-256 of a file's content, in hexadecimal digits. Raises OSError where it cannot be read."""
        about, known = path.stat(), self._read()
        entry = known.get(key := str(path.resolve()))
        if entry and entry[:2] == [about.st_size, about.st_mtime_ns]:
            return str(entry[2])
        digest = file_digest(path)
        present = {name: state for name, state in known.items() if Path(name).exists()}
        self._write(present | {key: [about.st_size, about.st_mtime_ns, digest]})
        return digest

    def _read(self) -> dict[str, State]:
        try:
            read = json.loads((self.folder / FILE_NAME).read_text(encoding="utf-8"))
            return {
                name: state for name, state in read.items() if isinstance(state, list) and len(state) == 3
            }
        except (OSError, ValueError, AttributeError):
            return {}

    def _write(self, states: dict[str, State]) -> None:
        """Whole or not at all. Of two processes at once the last one's is kept, which costs a reading."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.folder / FILE_NAME, json.dumps(states, indent=1))
