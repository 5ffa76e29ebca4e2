"""CSV for people and spreadsheets: every text is quoted, and none of them is run."""

from __future__ import annotations

import csv
from typing import IO, Any

# What a spreadsheet may take for a formula (OWASP, "CSV Injection"), the full-width forms included.
FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def text_cell(text: str) -> str:
    """`text` such that a spreadsheet shows it and does not run it."""
    return f"'{text}" if text.startswith(FORMULA_START) else text


def cell_writer(file: IO[str]) -> Any:
    """A csv.writer; texts are quoted, numbers are not."""
    # Quoting every text keeps a lone carriage return inside its cell.
    return csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
