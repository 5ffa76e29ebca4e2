"""The command line, python -m benchmarks.diff: two runs compared pair by pair."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.settings import FAIL_IF
from benchmarks.stats import DIFFERENCES, OF_RUNS, Figure
from kimera.console import as_called, exit_code_of, is_coloured, positive, reader_may_leave
from kimera.errors import UserError

__all__ = ["build_parser", "main"]


def _names(figures: Iterable[Figure]) -> str:
    return ", ".join(figure.name for figure in figures)


EPILOG = f"""\
examples:
  kimera diff runs/before runs/after
  kimera diff runs/before runs/after --detector gpt-4o=gpt-4o-mini --markdown
  kimera diff runs/before runs/after --fail-if "gpt-4o.accuracy < -0.02"

Pairs belong together if both their texts are the same; all figures are over the pairs in both runs. Detectors
of the same name are compared, and so are the only reactors or the only judges of the two runs.

gates, for CI:
  --fail-if "NAME.METRIC OP NUMBER", with OP one of < <= > >= ==. NAME is a detector, or A=B where the names
  differ. METRIC is B minus A: {_names(DIFFERENCES)} (with .low or .high the ends of its interval),
  {_names(OF_RUNS)}; or a count: changed.all, changed.wrong_to_right,
  changed.right_to_wrong, changed.unlabelled; or mcnemar.p, mcnemar.p_holm, equivalence.p; or a run by
  itself: a.accuracy, b.failed and so on.
    --fail-if "gpt-4o.accuracy < -0.02"         B is more than two points worse
    --fail-if "gpt-4o.accuracy.low < -0.02"     B may be: the interval allows it
    --fail-if "kimera.b.f1 < 0.8"               F1 of run B alone

exit codes: 0 done, 1 failed, 2 wrong usage, 3 a gate was not met, 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=as_called("kimera diff"),
        description="Compare two runs pair by pair: which verdicts changed,\n"
        "and whether B is better than A, worse, equivalent, or not shown to be any of these.",
        epilog=as_called(EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("a", metavar="A", help="folder of the first run")
    parser.add_argument("b", metavar="B", help="folder of the second run")
    parser.add_argument(
        "--detector",
        action="append",
        dest="detectors",
        metavar="NAME|A=B",
        help="compare only the detector of this name in both runs, or A of the first run with B of the "
        "second; may be given several times",
    )
    parser.add_argument(
        "--margin",
        type=positive,
        default=2.0,
        metavar="POINTS",
        help="margin of the equivalence test, in points of accuracy (default: %(default)g)",
    )
    parser.add_argument("--fail-if", action="append", metavar="GATE", help=FAIL_IF)
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the pairs whose verdict changed to this file"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as JSON on standard output")
    form.add_argument("--markdown", action="store_true", help="print GitHub Markdown, for a pull request")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return exit_code_of(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    # What compares runs, scipy among it, --help need not wait for.
    from benchmarks.report import two_runs_as_markdown, two_runs_as_text, write_changes_csv
    from benchmarks.runs import FIGURES, build_differences, changed_pairs, common_pairs, open_run, pairings
    from benchmarks.stats import exit_code_with, parse_gates

    if options.csv and not options.csv.parent.is_dir():
        raise UserError(f"--csv {options.csv}: there is no folder {options.csv.parent}")
    a, b = open_run(options.a), open_run(options.b)
    compared = pairings(a, b, options.detectors)
    gates = parse_gates(options.fail_if, {pairing.name: FIGURES for pairing in compared})
    common = common_pairs(a, b)
    differences = build_differences(common, compared, options.margin / 100)
    if options.csv:
        write_changes_csv(options.csv, changed_pairs(common, compared))
    with reader_may_leave():
        if options.json:
            print(json.dumps(differences, indent=2, allow_nan=False))
        elif options.markdown:
            print(two_runs_as_markdown(differences), end="")
        else:
            print(two_runs_as_text(differences, colour=is_coloured()), end="")
    return exit_code_with(gates, differences["detectors"])


if __name__ == "__main__":
    sys.exit(main())
