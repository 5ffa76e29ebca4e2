"""Errors of Kimera's own: their traceback goes to a file that the message names."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from benchmarks.judge.failures import JudgeError
from kimera.cache import log_error


def internal_error(
    error: Exception, redact: Callable[[str], str] = str, status: int | None = None
) -> JudgeError:
    """An error of kind "internal", its traceback logged. redact: takes secrets out of a text."""
    path = log_error(redact("".join(traceback.format_exception(error))))
    message = redact(f"{type(error).__name__}: {error}")[:120]
    return JudgeError(
        "internal",
        f"an error of Kimera's own, {message}; its traceback is in {path}; please report it",
        status=status,
    )
