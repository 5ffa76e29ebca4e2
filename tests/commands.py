"""A command of this project as a process would end it, without the second that a process takes to start."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock


def ended(
    main: Callable[[Sequence[str]], int],
    arguments: Sequence[object],
    cwd: Path,
    environment: Mapping[str, str],
) -> CompletedProcess[str]:
    """What `main` left: its exit code and what it wrote, in a folder and an environment of its own."""
    told, errors = io.StringIO(), io.StringIO()
    given = [str(argument) for argument in arguments]
    with (
        contextlib.chdir(cwd),
        mock.patch.dict(os.environ, environment, clear=True),
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(errors),
    ):
        code = _exit_code(main, given)
    return CompletedProcess(given, code, told.getvalue(), errors.getvalue())


def _exit_code(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
