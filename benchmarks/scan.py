"""The command line, python -m benchmarks.scan: a scan of a corpus with an LLM as its last stage.

The candidates of the scan become the pairs of a run as a cascade (benchmarks.llm_compare), in whose folder
they lie too. What the cascade calls a contradiction is a finding.
"""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import sys
from collections.abc import Sequence

from benchmarks.runs import JudgedScanSettings
from kimera.console import CommandLine, command_line, exit_code_of, parser_of

__all__ = ["build_parser", "main"]

EPILOG = """\
examples:
  kimera judged-scan docs --async 16 --dry-run               how many pairs, and what they would cost
  kimera judged-scan docs --simulate                 try it out: a judge that answers at random
  kimera judged-scan docs --async 16 > contradictions.jsonl
  kimera judged-scan facts.csv --column fact --async 16 --max-cost 5 --format html --out found.html
  kimera judged-scan docs --base-url http://localhost:8000/v1 --model NAME --async 4
  kimera judged-scan --resume runs/2026-01-31_12-00-00 > contradictions.jsonl

The candidates, the journal and the report of the run are written to its folder. kimera report and
kimera diff accept that folder like any other run.

exit codes: 0 done, 1 failed, 2 wrong usage, 3 contradictions and --fail-on-contradiction, 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    return parser_of(
        JudgedScanSettings,
        "judged-scan",
        usage="kimera judged-scan FILE... [flags]; --help explains them",
        description="Find the contradictions between the statements of a corpus, and let an LLM judge them:\n"
        "kimera scan, with the judge of kimera compare as its last stage.",
        epilog=EPILOG,
        allow_abbrev=False,
    )


def main(argv: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_intermixed_args(argv)
    return exit_code_of(lambda: _begin_or_go_on(command_line(JudgedScanSettings, "judged-scan", parsed)))


def _begin_or_go_on(told: CommandLine[JudgedScanSettings]) -> int:
    # What a run imports, scipy among it, --help need not wait for.
    from benchmarks.judged_scan import begin, go_on

    return go_on(told, told.settings.resume) if told.settings.resume else begin(told.settings)


if __name__ == "__main__":
    sys.exit(main())
