"""What commands end with, and what is said where a user, or the machine, made that necessary."""

from __future__ import annotations

import sys
from collections.abc import Callable

from kimera.console.standard_output import open_closed_streams
from kimera.errors import UserError

DONE, FAILED, WRONG_USAGE, GATE_NOT_MET, INTERRUPTED = 0, 1, 2, 3, 130


def exit_code_of(command: Callable[[], int]) -> int:
    """Runs it and gives its exit code; a mistake of the user's, or an OSError, is told on standard error."""
    open_closed_streams()
    try:
        return command()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_USAGE
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
