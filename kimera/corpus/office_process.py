"""Reads one Word or PDF file, in a process of its own: python -m kimera.corpus.office_process FILE.

It writes a line of JSON a piece: a page's text, a paragraph's, or the header and the cells of a row. A file
may be broken, or built to use up memory or time, so this process has a limit of memory, and whoever starts
it gives it one of time. What is wrong with the file is told on standard error, with exit code 1.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

MAX_MEMORY = 2 << 30  # bytes of address space; only where the system has such a limit
MAX_UNPACKED = 256 << 20  # bytes
MAX_TEXT = 32 << 20  # characters
_OLE = b"\xd0\xcf\x11\xe0"  # of Office's earlier files, and of encrypted ones
_HEADING = re.compile(r"heading (\d)|title", re.IGNORECASE)  # by their styles
_NO_PROSE = re.compile(r"heading|title|subtitle|toc\b|.*(?:code|preformatted|macro)", re.IGNORECASE)


class _FileError(Exception):
    """What is wrong with the file, in words."""


def _of_word(path: str) -> Iterator[dict[str, Any]]:
    """Paragraphs by their number among those that are not blank, and rows of tables."""
    with open(path, "rb") as file:
        if file.read(4) == _OLE:
            raise _FileError("is encrypted, or of a Word before 2007; save it as .docx without a password")
    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
    except zipfile.BadZipFile as error:
        raise _FileError(f"is no .docx ({error}); save it again") from None
    if unpacked > MAX_UNPACKED:
        raise _FileError(f"unpacks to {unpacked >> 20:,} MiB, and at most {MAX_UNPACKED >> 20:,} are read")
    from docx import Document
    from docx.table import Table

    from kimera.corpus.sentences import Headings

    paragraphs = tables = 0
    headings = Headings()
    for block in Document(path).iter_inner_content():
        if isinstance(block, Table):
            tables += 1
            header: list[str] = []
            for number, row in enumerate(block.rows, 1):
                cells = [cell.text for cell in row.cells]
                if number > 1:
                    unit = f"table {tables}, row"
                    place = {"unit": unit, "number": number, "table": tables}
                    yield place | {"header": header, "cells": cells, "headings": headings.titles}
                header = header or cells
        elif block.text.strip():
            paragraphs += 1
            style = getattr(block.style, "name", None) or ""
            if heading := _HEADING.fullmatch(style):
                headings.enter(int(heading[1] or 0), block.text)
            elif not _NO_PROSE.match(style):
                place = {"unit": "paragraph", "number": paragraphs}
                yield place | {"text": block.text, "headings": headings.titles}


def _of_pdf(path: str) -> Iterator[dict[str, Any]]:
    import logging

    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = PdfReader(path)
    try:
        locked = reader.is_encrypted and not reader.decrypt("")
    except DependencyError:
        locked = True
    if locked:
        raise _FileError("is encrypted; save it without a password")
    is_blank = True
    for number, page in enumerate(reader.pages, 1):
        text = page.extract_text()
        is_blank = is_blank and not text.strip()
        yield {"unit": "page", "number": number, "text": text}
    if is_blank:
        raise _FileError("no page of it holds text; of a scan make a PDF with text first, by OCR")


def _limited() -> None:
    try:
        import resource
    except ImportError:  # Windows has none
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _write(pieces: Iterable[dict[str, Any]]) -> None:
    total = 0
    for piece in pieces:
        line = json.dumps(piece)
        total += len(line)
        if total > MAX_TEXT:
            raise _FileError(f"holds more than {MAX_TEXT >> 20:,} million characters; split it")
        print(line)


def main(path: str) -> int:
    _limited()
    try:
        _write(_of_pdf(path) if path.lower().endswith(".pdf") else _of_word(path))
    except _FileError as fault:
        print(fault, file=sys.stderr)
    except MemoryError:
        print(f"takes more than {MAX_MEMORY >> 30:,} GiB of memory to read; split it", file=sys.stderr)
    except Exception as error:  # noqa: BLE001 - of a broken file the libraries raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        print(f"cannot be read, so it may be broken ({reason}); save it again", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
