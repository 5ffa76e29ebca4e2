"""Documents that are no lines of text, to their pieces: cells of notebooks, pages of PDF, paragraphs of Word.

Word and PDF are read by python-docx and pypdf in a process of its own, within limits of memory and time.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple

from kimera.console import how_to_install
from kimera.corpus.prose import code_of_markdown, sentences_of_markdown
from kimera.corpus.sentences import Headings, Sentences, sentence_of_row, sentences_of_text, under
from kimera.errors import UserError

TIME_LIMIT_S = 120.0  # of one Word or PDF file
_LIBRARIES = {".pdf": ("pypdf", "PDF"), ".docx": ("docx", "Word")}
_HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")


class Part(NamedTuple):
    """A piece of a document: its text, what splits it, what finds code in it.

    unit, number: where it stands, as "page" 3; without a unit the lines of the text are the document's.
    offset: what makes the lines of its tables differ from those of other parts.
    """

    text: str
    split: Callable[[str], Sentences]
    code: Callable[[str], set[int]] | None = None
    unit: str = ""
    number: int = 0
    offset: int = 0


class DocumentError(Exception):
    """What is wrong with a document, in words."""


def _cells_of_notebook(path: Path) -> Iterator[Part]:
    """The cells of Markdown; their number counts all cells, from 1."""
    try:
        notebook = json.loads(path.read_bytes())
        sheets = notebook.get("worksheets", [notebook])  # of format 3
        cells = [(cell["cell_type"], cell.get("source", "")) for sheet in sheets for cell in sheet["cells"]]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DocumentError(f"is no Jupyter notebook ({reason})") from None
    offset, headings = 0, Headings()
    for number, (kind, source) in enumerate(cells, 1):
        text = source if isinstance(source, str) else "".join(map(str, source or ()))
        if kind == "markdown":
            split = partial(sentences_of_markdown, headings=headings)
            yield Part(text, split, code_of_markdown, "cell", number, offset)
        offset += text.count("\n") + 1


def _pieces_of_office(path: Path) -> Iterator[Part]:
    """Raises UserError without the library."""
    library, title = _LIBRARIES[path.suffix.lower()]
    if find_spec(library) is None:
        raise UserError(f"reading {title} files needs {library}; run: {how_to_install('scan')}")
    with tempfile.TemporaryFile() as told:
        _run(path, told)
        told.seek(0)
        yield from (_part(json.loads(line)) for line in told)


def _run(path: Path, told: IO[bytes]) -> None:
    command = [sys.executable, "-P", "-m", "kimera.corpus.office_process", str(path.absolute())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 - a program of ours, and a path
            command, stdout=told, stderr=subprocess.PIPE, timeout=TIME_LIMIT_S, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise DocumentError(f"takes more than {TIME_LIMIT_S:g} s to read; split it") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().split("\n")
        raise DocumentError(
            lines[-1] or f"cannot be read: the process that read it ended by {done.returncode}"
        )


def _part(piece: dict[str, Any]) -> Part:
    text = piece.get("text", "")
    text = _HYPHENATED.sub("", text) if piece["unit"] == "page" else text
    return Part(text, partial(_sentences_of_piece, piece), None, piece["unit"], piece["number"])


def _sentences_of_piece(piece: dict[str, Any], text: str) -> Sentences:
    if "cells" in piece:
        read = sentence_of_row(piece["header"], piece["cells"], 1, piece["table"])
    else:
        read = sentences_of_text(text)
    return under(tuple(piece.get("headings", ())), read)


DOCUMENTS: dict[str, Callable[[Path], Iterator[Part]]] = {
    ".ipynb": _cells_of_notebook,
    ".docx": _pieces_of_office,
    ".pdf": _pieces_of_office,
}
"""What reads a document, by its extension; raises `DocumentError` where it is broken."""
