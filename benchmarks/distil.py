"""Writes what a run's judge and people said as labelled pairs, for a detector of one's own.

python -m benchmarks.distil DIR
"""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.report import LABELS, ReportSettings
from kimera.console import (
    DONE,
    Groups,
    as_called,
    changed,
    command_line,
    confidence,
    exit_code_of,
    note,
    option,
    parser_of,
    positive,
    tell,
)
from kimera.errors import UserError
from kimera.files import SAMPLE_WEIGHT, replacing
from kimera.pairs import CONTRADICTION, NOT_CONTRADICTION, Verdict

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.runs import FinishedRun

__all__ = ["DistilSettings", "build_parser", "main"]

OUT = "distilled.jsonl"
# A judge that errs on a fifth of the pairs tells (1 - 2/5)^2, about a third, as much as one that never errs.
PEOPLE_WEIGHT = 3.0
PAIRS, PEOPLE = "pairs", "people"
NO_VERDICT, UNSURE, TIED = "without a verdict", "below --min-confidence", "on which people differ"
DESCRIPTION = """\
Write the verdicts of a run's judge as labelled pairs (JSON Lines), so that kimera train can fit a detector to
them. With --labels, labels of people take the place of its verdicts, and count more in the fit. The dataset's
own labels are not used. Many pairs are needed: with fewer than some thousand
the shipped weights are likely better; measure both on pairs that neither has seen. The provider's terms say
whether you may train another model on its model's answers.
"""
EPILOG = """\
examples:
  kimera distil runs/2026-01-31_12-00-00
  kimera distil runs/2026-01-31_12-00-00 --labels runs/2026-01-31_12-00-00/labels.jsonl
  kimera train --stage verify runs/2026-01-31_12-00-00/distilled.jsonl \\
      --start kimera/weights/verify.safetensors --out verify.safetensors
  kimera compare other.csv --kimera-only --verify-weights verify.safetensors

exit codes: 0 done, 1 failed, 2 wrong usage
"""


@dataclass(frozen=True, kw_only=True)
class DistilSettings:
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {"": ("folder", "out", "judge", "min_confidence", "labels", "people_weight")}
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
    labels: tuple[str, ...] = changed(
        ReportSettings,
        "labels",
        help="labels.jsonl, as report.html and kimera label write it: these labels in the place of the "
        "judge's verdicts. May be given several times, one file a person: the majority decides; pairs "
        "on which as many say one as the other are left out",
    )
    people_weight: float = option(
        PEOPLE_WEIGHT,
        "--people-weight",
        type=positive,
        metavar="W",
        help="what a label of people counts in the fit, where a verdict of the judge counts 1 (default: "
        "%(default)g)",
    )


@dataclass(frozen=True)
class _People:
    """labels: int8 (N,), what most of them say, -1 where as many say one as the other. given: bool (N,)."""

    names: str
    given: np.ndarray
    labels: np.ndarray
    weight: float


@dataclass(frozen=True)
class _Teacher:
    """Who labels the pairs. place: of the judge, among the detectors; None where people alone do."""

    place: int | None
    title: str
    people: _People | None
    min_confidence: float

    def label(self, number: int, findings: Sequence[Any]) -> tuple[bool, dict[str, Any]] | str:
        """(whether it is a contradiction, columns that tell by whom), or why the pair is left out."""
        if self.people and self.people.given[number]:
            if self.people.labels[number] < 0:
                return TIED
            weight = {} if self.place is None else {SAMPLE_WEIGHT: self.people.weight}
            return bool(self.people.labels[number]), {PEOPLE: self.people.names, **weight}
        verdict = None if self.place is None else findings[self.place]
        if not isinstance(verdict, Verdict):
            return NO_VERDICT
        if verdict.confidence < self.min_confidence:
            return UNSURE
        weight = {SAMPLE_WEIGHT: 1.0} if self.people else {}
        return verdict.contradiction, {"confidence": verdict.confidence, "judge": self.title, **weight}


def main(argv: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_args(argv)
    return exit_code_of(lambda: _distil(command_line(DistilSettings, "distil", parsed).settings))


def build_parser() -> argparse.ArgumentParser:
    return parser_of(DistilSettings, "distil", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False)


def _distil(settings: DistilSettings) -> int:
    from benchmarks.runs import open_run  # and with it scipy, for which --help need not wait

    run = open_run(settings.folder)
    people = _people_of(run, settings)
    judge = _judge_of(run, settings.judge, has_people=people is not None)
    path = settings.out or run.folder / OUT
    if path.exists():
        raise UserError(f"{path} exists already; give another --out, or delete it")
    place, title = judge or (None, "")
    counts = _write_labelled(run, _Teacher(place, title, people, settings.min_confidence), path)
    if not counts[PAIRS]:
        path.unlink()
        raise UserError(f"{run.folder}: there is no such verdict or label; nothing was written")
    labelled_by = {title: counts[PAIRS] - counts[PEOPLE], people.names if people else "": counts[PEOPLE]}
    sources = " and ".join(f"{count:,} by {who}" for who, count in labelled_by.items() if who)
    left_out = ", ".join(f"{counts[why]:,} {why}" for why in (NO_VERDICT, UNSURE, *[TIED] * bool(people)))
    tell(
        f"{path}: {counts[PAIRS]:,} pairs, {counts[CONTRADICTION]:,} of them contradictions; labelled: "
        f"{sources}; left out: {left_out}"
    )
    if place is not None and run.run.detectors[place].simulated:
        note("this judge is simulated: its verdicts are the dataset's labels, with errors")
    if place is not None and run.run.cascade:
        note(
            "this run was a cascade: the judge was asked only about a random sample and the pairs that the "
            "reactor was not sure of, so the easy pairs are missing"
        )
    train = as_called("kimera train")
    tell(f"fit a detector to them: {train} --stage verify {path} --out verify.safetensors")
    return DONE


def _people_of(run: FinishedRun, settings: DistilSettings) -> _People | None:
    from benchmarks.report import read_labels, shown
    from benchmarks.stats import majority

    if not settings.labels:
        if settings.people_weight != PEOPLE_WEIGHT:
            raise UserError("--people-weight has no effect without --labels; give both")
        if (run.folder / LABELS).exists():
            note(f"{run.folder / LABELS} has labels of people; --labels {run.folder / LABELS} takes them")
        return None
    labels = read_labels(run, settings.labels)
    names = ", ".join(shown(person.name) for person in labels.people)
    return _People(names, labels.given, majority(labels.votes), settings.people_weight)


def _judge_of(run: FinishedRun, name: str | None, *, has_people: bool) -> tuple[int, str] | None:
    """(the judge's place among the detectors, its title); None where there is none and people do without."""
    judges = {
        detector.name: (place, detector.title)
        for place, detector in enumerate(run.run.detectors)
        if detector.info.role == "judge"
    }
    if name is None and len(judges) == 1:
        return next(iter(judges.values()))
    if not judges:
        if has_people and name is None:
            return None
        raise UserError(f"{run.folder}: this run asked no judge, so there are no verdicts to write")
    if name not in judges:
        known = ", ".join(judges)
        raise UserError(f"{run.folder}: --judge {name or 'NAME'}: the judges of this run are: {known}")
    return judges[name]


def _write_labelled(run: FinishedRun, teacher: _Teacher, path: Path) -> Counter[str]:
    """A line a pair: its texts, id, category and label, and who gave it. Gives what was counted."""
    counts: Counter[str] = Counter()
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        for number, (pair, findings) in enumerate(run.rows()):
            labelled = teacher.label(number, findings)
            if isinstance(labelled, str):
                counts[labelled] += 1
                continue
            is_contradiction, told = labelled
            row = {
                "id": pair.id,
                "text1": pair.text1,
                "text2": pair.text2,
                "label": CONTRADICTION if is_contradiction else NOT_CONTRADICTION,
                "category": pair.category,
            }
            file.write(json.dumps(row | told) + "\n")
            counts.update({PAIRS: 1, CONTRADICTION: is_contradiction, PEOPLE: PEOPLE in told})
    return counts


if __name__ == "__main__":
    sys.exit(main())
