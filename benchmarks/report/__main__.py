"""The command line, python -m benchmarks.report: the report of any run, made again from its journal."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import sys
from collections.abc import Sequence

from benchmarks.report.report_settings import ReportSettings, require_labels
from kimera.console import DONE, command_line, exit_code_of, parser_of, reader_may_leave
from kimera.errors import UserError

DESCRIPTION = """\
Write the report of a run again from the journal in its folder: summary.json, summary.md, results.csv,
report.html and comparison.png. No detector is run. For a run that is still going or was cut short, the report
covers what there is so far. The dataset must still be where it was.
"""
EPILOG = """\
examples:
  kimera report runs/2026-01-31_12-00-00
  kimera report runs/2026-01-31_12-00-00 --margin 5      with another margin of equivalence
  kimera report runs/2026-01-31_12-00-00 --calibrate platt
  kimera report runs/2026-01-31_12-00-00 --labels labels.jsonl
  kimera report runs/2026-01-31_12-00-00 --no-viz        without comparison.png

exit codes: 0 done, 1 failed, 2 wrong usage, 3 a gate was not met
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_args(arguments)
    return exit_code_of(lambda: _report(command_line(ReportSettings, "report", parsed).settings))


def _report(settings: ReportSettings) -> int:
    # What makes a report, scipy among it, --help need not wait for.
    from benchmarks.report.people_labels import read_labels
    from benchmarks.report.run_files import write_report
    from benchmarks.report.text import print_summary
    from benchmarks.runs import open_run
    from benchmarks.stats import exit_code_with, known_figures, parse_gates, parts_of

    if settings.labels and settings.label_weights:
        raise UserError(
            "--label-weights tells how the dataset's own labels were drawn, and --labels brings others; give "
            "one of the two"
        )
    finished = open_run(settings.folder, settings.label_weights)
    run, rows = finished.run, finished.rows()
    gates = parse_gates(settings.fail_if, known_figures([detector.info for detector in run.detectors]))
    if settings.labels:
        people = read_labels(finished, settings.labels)
        run = people.laid_over(run)
        rows = people.rows(finished, run.labels)
        people.copy_into(finished.folder)
    require_labels(settings, run.labels)
    begun_with = finished.options
    summary = write_report(
        run,
        rows,
        finished.folder,
        margin=(begun_with["margin"] if settings.margin is None else settings.margin) / 100,
        prevalence=begun_with["prevalence"] if settings.prevalence is None else settings.prevalence,
        calibrate=settings.calibrate or begun_with["calibrate"],
        viz=not settings.no_viz,
    )
    with reader_may_leave():
        print_summary(summary, finished.folder, verbose=settings.verbose)
    return exit_code_with(gates, parts_of(summary), DONE)


def build_parser() -> argparse.ArgumentParser:
    return parser_of(ReportSettings, "report", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False)


if __name__ == "__main__":
    sys.exit(main())
