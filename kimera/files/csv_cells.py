"""CSV for people and spreadsheets: every text is quoted, and none of them is run.

A file that holds more than ASCII begins with a byte-order mark, without which Excel takes UTF-8 for the
system's old encoding and shows accents as rubbish. Others have none, for the programs that do not expect a
mark. The encoding "utf-8-sig" reads both.
"""

from __future__ import annotations

import csv
import shutil
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from kimera.files.whole_files import replacing

# What a spreadsheet may take for a formula (OWASP, "CSV Injection"), the full-width forms included.
FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_BLOCK = 1 << 20


def text_cell(text: str) -> str:
    """`text` such that a spreadsheet shows it and does not run it."""
    return f"'{text}" if text.startswith(FORMULA_START) else text


def cell_writer(file: IO[str]) -> Any:
    """A csv.writer; texts are quoted, numbers are not."""
    # Quoting every text keeps a lone carriage return inside its cell.
    return csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


@contextmanager
def csv_file(path: Path) -> Iterator[Any]:
    """A `cell_writer` of a file that appears whole; a lone surrogate is written as its escape."""
    with replacing(path) as part:
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield cell_writer(file)
        if not _is_ascii(part):
            _mark(part)


def _is_ascii(path: Path) -> bool:
    with path.open("rb") as file:
        return all(block.isascii() for block in iter(partial(file.read, _BLOCK), b""))


def _mark(path: Path) -> None:
    """Puts a byte-order mark before what a file holds."""
    with replacing(path) as marked, marked.open("wb") as target, path.open("rb") as source:
        target.write(BOM_UTF8)
        shutil.copyfileobj(source, target, _BLOCK)
