"""The command line, python -m benchmarks.llm_compare: reads flags, calls the parts, prints the summary."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.interrupts import exit_quietly

    exit_quietly()

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.options import build_parser, without_effect
from benchmarks.run import run_comparison
from kimera.commands import as_called
from kimera.errors import UserError
from kimera.exit_codes import exit_code_of
from kimera.standard_output import note

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    given = build_parser().parse_args(argv)
    return exit_code_of(lambda: _begin_or_go_on(given, argv))


def _begin_or_go_on(given: argparse.Namespace, argv: Sequence[str] | None) -> int:
    options, header = given, None
    if given.resume:
        from benchmarks.run_folder import resumed_options

        if given.dry_run:
            raise UserError(
                "--dry-run estimates a whole run, not the rest of one, so it cannot be combined with --resume"
            )
        options, header = resumed_options(argv, given.resume, build_parser())
    for each in without_effect(given, options):
        note(each)
    return run_comparison(options, header, as_called("kimera compare"), _print)


def _print(options: argparse.Namespace, summary: dict[str, Any], folder: Path) -> None:
    from benchmarks.report import print_summary

    if options.json:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(summary, folder, viz=not options.no_viz)


if __name__ == "__main__":
    sys.exit(main())
