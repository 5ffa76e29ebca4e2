"""The command line, python -m benchmarks.llm_compare: reads flags, calls the parts, prints the summary."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.settings import RunSettings, without_effect
from kimera.console import CommandLine, as_called, command_line, exit_code_of, note, parser_of
from kimera.errors import UserError
from kimera.version import __version__

__all__ = ["build_parser", "main"]

EPILOG = """\
examples:
  kimera compare --kimera-only                 no key, no network
  kimera compare --simulate --async 8          a simulated judge, no key, no network
  kimera compare --async 8                     GPT-4o, 8 requests in flight
  kimera compare --mp 4 --async 10             also run the reactor on 4 processes
  kimera compare pairs.csv --max-pairs 0 --async 16 --model gpt-4o --model gpt-4o-mini
  kimera compare --base-url http://localhost:8000/v1 --model NAME --async 4
  kimera compare pairs.csv --max-pairs 0 --async auto --max-cost 5
  kimera compare pairs.csv --max-pairs 0 --async 16 --cascade 0.02
  kimera compare pairs.csv --plan width=0.03   how many labels that takes; sends nothing
  kimera compare --resume runs/2026-01-31_12-00-00

starting values for --async:
  up to 50 pairs 4 to 6, 50 to 200 pairs 8 to 12, above 200 pairs 10 to 20. If you know the
  endpoint's limits: its rate times its latency (500 requests per minute at 0.8 s keep 7 in flight).

gates, for CI:
  --fail-if "kimera.f1 < 0.8" --fail-if "gpt-4o.latency_ms.p95 > 2000" --fail-if "kimera/gpt-4o.kappa < 0.6"
  NAME is a detector (kimera, or a model), or two of them in the order of the table; METRIC any number of its
  in summary.json; figures with an interval have its ends, as in kimera.f1.low; OP is < <= > >= or ==.

exit codes: 0 done, 1 failed, 2 wrong usage, 3 a gate was not met, 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    parser = parser_of(
        RunSettings,
        "compare",
        usage="kimera compare [DATASET] [flags]; --help explains them",
        description="Compare the Kimera reactor, a local contradiction detector, with an LLM judge on the "
        "same pairs of statements: the quality, agreement, latency and failures of both.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kimera {__version__}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_args(argv)
    return exit_code_of(lambda: _begin_or_go_on(command_line(RunSettings, "compare", parsed)))


def _begin_or_go_on(told: CommandLine[RunSettings]) -> int:
    # What a run imports, scipy among it, --help need not wait for.
    from benchmarks.report import print_summary
    from benchmarks.run import run_comparison
    from benchmarks.runs import idle_flags, require_told_again, resumed_settings

    def show(settings: RunSettings, summary: dict[str, Any], folder: Path) -> None:
        if settings.json:
            print(json.dumps(summary, indent=2))
        else:
            print_summary(summary, folder, verbose=settings.verbose)

    settings, header = told.settings, None
    if folder := settings.resume:
        if settings.sends_nothing:
            flag = "--dry-run" if settings.dry_run else "--plan"
            raise UserError(
                f"{flag} estimates a whole run, not the rest of one, so it cannot be combined with --resume"
            )
        settings, header = resumed_settings(told, folder)
        require_told_again(told, settings, folder)
        if told.flags & {"price", "batch_price"}:
            note(
                "another price holds for all requests of a run, those of earlier sessions too; a judge with "
                "nothing left to be asked keeps its own"
            )
    if settings.plan and "max_pairs" not in told.flags | told.in_file:
        settings = replace(settings, max_pairs=0)  # labels are planned for all the pairs that there are
    for effect in (*without_effect(told, settings), *idle_flags(told, settings)):
        note(effect)
    return run_comparison(settings, header, as_called("kimera compare"), show)


if __name__ == "__main__":
    sys.exit(main())
