"""Writes what a run's judge said as labelled pairs, for a detector of one's own.

python -m benchmarks.distil DIR
"""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from kimera.console import (
    DONE,
    Groups,
    as_called,
    command_line,
    confidence,
    exit_code_of,
    note,
    option,
    parser_of,
    tell,
)
from kimera.errors import UserError
from kimera.files import replacing
from kimera.pairs import CONTRADICTION, NOT_CONTRADICTION, Verdict

if TYPE_CHECKING:
    from benchmarks.runs import FinishedRun

__all__ = ["DistilSettings", "build_parser", "main"]

OUT = "distilled.jsonl"
DESCRIPTION = """\
Write the verdicts of a run's judge as labelled pairs (JSON Lines), so that kimera train can fit a detector to
them. The dataset's own labels are not used. Many pairs are needed: with fewer than some thousand
the shipped weights are likely better; measure both on pairs that neither has seen. The provider's terms say
whether you may train another model on its model's answers.
"""
EPILOG = """\
examples:
  kimera distil runs/2026-01-31_12-00-00
  kimera train --stage verify runs/2026-01-31_12-00-00/distilled.jsonl \\
      --start kimera/weights/verify.safetensors --out verify.safetensors
  kimera compare other.csv --kimera-only --verify-weights verify.safetensors

exit codes: 0 done, 1 failed, 2 wrong usage
"""


@dataclass(frozen=True, kw_only=True)
class DistilSettings:
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {"": ("folder", "out", "judge", "min_confidence")}
    folder: str = option("", metavar="DIR", help="the run's folder")
    out: Path | None = option(
        None,
        "--out",
        type=Path,
        metavar="FILE",
        outward=True,
        help=f"file to write (default: DIR/{OUT})",
    )
    judge: str | None = option(
        None,
        "--judge",
        metavar="NAME",
        help="judge whose verdicts to write; required if the run had several",
    )
    min_confidence: float = option(
        0.5,
        "--min-confidence",
        type=confidence,
        metavar="C",
        old=("--least-confidence",),
        help="leave out verdicts with a lower confidence, from 0.5 to 1 (default: %(default)s, which "
        "keeps all)",
    )


@dataclass(frozen=True)
class _Distilled:
    """How many pairs were written, contradictions among them, and how many were left out, and why."""

    pairs: int
    contradictions: int
    failed: int
    unsure: int


def main(argv: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_args(argv)
    return exit_code_of(lambda: _distil(command_line(DistilSettings, "distil", parsed).settings))


def build_parser() -> argparse.ArgumentParser:
    return parser_of(DistilSettings, "distil", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False)


def _distil(settings: DistilSettings) -> int:
    from benchmarks.runs import open_run  # and with it scipy, for which --help need not wait

    run = open_run(settings.folder)
    place = _place_of(run, settings.judge)
    path = settings.out or run.folder / OUT
    if path.exists():
        raise UserError(f"{path} exists already; give another --out, or delete it")
    written = _write_labelled(run, place, path, settings.min_confidence)
    left_out = f"; left out: {written.failed:,} without a verdict, {written.unsure:,} below --min-confidence"
    tell(
        f"{path}: {written.pairs:,} pairs, {written.contradictions:,} contradictions by "
        f"{run.run.detectors[place].title}{left_out}"
    )
    if run.run.detectors[place].simulated:
        note("this judge is simulated: its verdicts are the dataset's labels, with errors")
    if run.run.cascade:
        note(
            "this run was a cascade: the judge was asked only about a random sample and the pairs that the "
            "reactor was not sure of, so the easy pairs are missing"
        )
    if not written.pairs:
        path.unlink()
        raise UserError(f"{run.folder}: this judge gave no such verdict; nothing was written")
    train = as_called("kimera train")
    tell(f"fit a detector to them: {train} --stage verify {path} --out verify.safetensors")
    return DONE


def _place_of(run: FinishedRun, name: str | None) -> int:
    judges = {
        detector.name: place
        for place, detector in enumerate(run.run.detectors)
        if detector.info.role == "judge"
    }
    if name is None and len(judges) == 1:
        return next(iter(judges.values()))
    if not judges:
        raise UserError(f"{run.folder}: this run asked no judge, so there are no verdicts to write")
    if name not in judges:
        known = ", ".join(judges)
        raise UserError(f"{run.folder}: --judge {name or 'NAME'}: the judges of this run are: {known}")
    return judges[name]


def _write_labelled(run: FinishedRun, place: int, path: Path, min_confidence: float) -> _Distilled:
    """A line a pair: its texts, id and category; the judge's verdict as label, its confidence and name."""
    judge = run.run.detectors[place].title
    pairs = contradictions = failed = unsure = 0
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        for pair, findings in run.rows():
            verdict = findings[place]
            if not isinstance(verdict, Verdict):
                failed += 1
            elif verdict.confidence < min_confidence:
                unsure += 1
            else:
                row = {
                    "id": pair.id,
                    "text1": pair.text1,
                    "text2": pair.text2,
                    "label": CONTRADICTION if verdict.contradiction else NOT_CONTRADICTION,
                    "category": pair.category,
                    "confidence": verdict.confidence,
                    "judge": judge,
                }
                file.write(json.dumps(row) + "\n")
                pairs += 1
                contradictions += verdict.contradiction
    return _Distilled(pairs, contradictions, failed, unsure)


if __name__ == "__main__":
    sys.exit(main())
