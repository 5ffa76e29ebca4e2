"""Standard input as a file, for what is read more than once."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kimera.errors import UserError

STANDARD_INPUT = "-"
TITLE = "standard input"


@contextmanager
def spooled() -> Iterator[Path]:
    """A temporary file with all that standard input holds. Raises UserError where that is nothing."""
    with tempfile.TemporaryDirectory(prefix="kimera-") as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if not path.stat().st_size:
            raise UserError(f"{TITLE}: the input is empty; expected at least one row")
        yield path
