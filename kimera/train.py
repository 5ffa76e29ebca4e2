"""python -m kimera.train: fits a stage of the reactor on labelled pairs and writes it with its model card."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import sys
from collections.abc import Sequence

from kimera.console import command_line, exit_code_of
from kimera.training import TrainSettings, build_parser

__all__ = ["build_parser", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    parsed = build_parser().parse_args(arguments)
    return exit_code_of(lambda: _fit(command_line(TrainSettings, "train", parsed).settings))


def _fit(settings: TrainSettings) -> int:
    # What a fit imports, numpy and tokenizers among it, --help need not wait for.
    from kimera.training import fit_stage

    return fit_stage(settings)


if __name__ == "__main__":
    sys.exit(main())
