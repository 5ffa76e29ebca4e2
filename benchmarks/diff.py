"""The command line, python -m benchmarks.diff: two runs compared pair by pair."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.settings import FAIL_IF, RunSettings
from benchmarks.stats import DIFFERENCES, OF_RUNS, Figure
from kimera.console import (
    Groups,
    changed,
    command_line,
    exit_code_of,
    is_coloured,
    option,
    parser_of,
    reader_may_leave,
)
from kimera.errors import UserError

__all__ = ["DiffSettings", "build_parser", "main"]


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
  {_names(OF_RUNS)}; estimates.accuracy, where only a part of the pairs is
  labelled; or a count: changed.all, changed.wrong_to_right,
  changed.right_to_wrong, changed.unlabelled; or mcnemar.p, mcnemar.p_holm, equivalence.p; or a run by
  itself: a.accuracy, b.failed and so on.
    --fail-if "gpt-4o.accuracy < -0.02"         B is more than two points worse
    --fail-if "gpt-4o.accuracy.low < -0.02"     B may be: the interval allows it
    --fail-if "kimera.b.f1 < 0.8"               F1 of run B alone

exit codes: 0 done, 1 failed, 2 wrong usage, 3 a gate was not met, 130 interrupted
"""


@dataclass(frozen=True, kw_only=True)
class DiffSettings:
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {"": ("a", "b", "detectors", "margin", "fail_if", "csv", "json", "markdown")}
    a: str = option("", metavar="A", help="folder of the first run")
    b: str = option("", metavar="B", help="folder of the second run")
    detectors: tuple[str, ...] = option(
        (),
        "--detector",
        repeated=True,
        metavar="NAME|A=B",
        help="compare only the detector of this name in both runs, or A of the first run with B of the "
        "second; may be given several times",
    )
    margin: float = changed(RunSettings, "margin")
    fail_if: tuple[str, ...] = changed(RunSettings, "fail_if", help=FAIL_IF)
    csv: Path | None = option(
        None,
        "--csv",
        type=Path,
        metavar="FILE",
        outward=True,
        help="write the pairs whose verdict changed to this file",
    )
    json: bool = changed(
        RunSettings, "json", exclusive="form", help="print everything as JSON on standard output"
    )
    markdown: bool = option(
        False, "--markdown", exclusive="form", help="print GitHub Markdown, for a pull request"
    )


def build_parser() -> argparse.ArgumentParser:
    return parser_of(
        DiffSettings,
        "diff",
        description="Compare two runs pair by pair: which verdicts changed,\n"
        "and whether B is better than A, worse, equivalent, or not shown to be any of these.",
        epilog=EPILOG,
        allow_abbrev=False,
    )


def main(argv: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_args(argv)
    return exit_code_of(lambda: _run(command_line(DiffSettings, "diff", parsed).settings))


def _run(settings: DiffSettings) -> int:
    # What compares runs, scipy among it, --help need not wait for.
    from benchmarks.report import two_runs_as_markdown, two_runs_as_text, write_changes_csv
    from benchmarks.runs import FIGURES, build_differences, changed_pairs, common_pairs, open_run, pairings
    from benchmarks.stats import exit_code_with, parse_gates

    if settings.csv and not settings.csv.parent.is_dir():
        raise UserError(f"--csv {settings.csv}: there is no folder {settings.csv.parent}")
    a, b = open_run(settings.a), open_run(settings.b)
    compared = pairings(a, b, settings.detectors)
    gates = parse_gates(settings.fail_if, {pairing.name: FIGURES for pairing in compared})
    common = common_pairs(a, b)
    differences = build_differences(common, compared, settings.margin / 100)
    if settings.csv:
        write_changes_csv(settings.csv, changed_pairs(common, compared))
    with reader_may_leave():
        if settings.json:
            print(json.dumps(differences, indent=2, allow_nan=False))
        elif settings.markdown:
            print(two_runs_as_markdown(differences), end="")
        else:
            print(two_runs_as_text(differences, colour=is_coloured()), end="")
    return exit_code_with(gates, differences["detectors"])


if __name__ == "__main__":
    sys.exit(main())
