"""Files that appear whole or not at all, and files of lines without the half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, beside `path`; it takes the place of `path` once the block ends well.

    A link stays one: what it leads to is replaced. What is no file, such as /dev/null or a pipe, is written
    to as it stands.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield path
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """UTF-8, or that with a mark; a lone surrogate, which UTF-8 cannot hold, is written as its escape."""
    with replacing(path) as part:
        part.write_text(text, encoding=encoding, errors="backslashreplace", newline="\n")


def append_whole(file: int, line: bytes) -> None:
    """Adds to a file opened to append, all or nothing. Raises OSError where the disk takes no more."""
    written = 0
    try:
        while written < len(line):
            written += os.write(file, line[written:])
    except OSError:
        os.ftruncate(file, os.fstat(file).st_size - written)  # half a line would spoil the next one
        raise


def drop_torn_line(file: int) -> int:
    """Cuts off what follows the last line break, the write that a death cut short; gives the file's end."""
    end = position = os.fstat(file).st_size
    while position > 0:
        start = max(0, position - 65536)
        line_break = os.pread(file, position - start, start).rfind(b"\n")
        if line_break >= 0:
            position = start + line_break + 1
            break
        position = start
    if position < end:
        os.ftruncate(file, position)
    return position
