"""Asks a person for labels of a run's pairs in the terminal, one pair at a time, by single keys.

python -m benchmarks.label DIR
"""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from kimera.console import DONE, Groups, command_line, exit_code_of, option, parser_of
from kimera.errors import UserError
from kimera.pairs import Pair, Verdict

if TYPE_CHECKING:
    from benchmarks.runs import FinishedRun
    from benchmarks.stats import Asked

__all__ = ["LabelSettings", "build_parser", "main"]

OUT = "labels.jsonl"
DESCRIPTION = """\
Label the pairs of a run in the terminal, in the order and blind as in report.html: a random block, labels
that are probably wrong, then pairs on which detectors differ or are unsure. Each label is a line of the file
the moment it is given; started again, the command goes on where it was.
"""
EPILOG = """\
keys: c contradiction, n no contradiction, t cannot tell, s skip, u the last pair again, q quit

examples:
  kimera label runs/2026-01-31_12-00-00 --who Ana
  kimera report runs/2026-01-31_12-00-00 --labels runs/2026-01-31_12-00-00/labels.jsonl

exit codes: 0 done, 1 failed, 2 wrong usage
"""
_KEYS = {"c": "contradiction", "n": "not_contradiction", "t": "cannot_tell"}
SKIP, AGAIN, QUIT = "s", "u", "q"
# Of two lines of one pair the later one counts, so nothing that was written is ever taken back.
PROMPT = "c contradiction · n no contradiction · t cannot tell · s skip · u the last again · q quit: "


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {"": ("folder", "out", "who")}
    folder: str = option("", metavar="DIR", help="the run's folder")
    out: Path | None = option(
        None,
        "--out",
        type=Path,
        metavar="FILE",
        outward=True,
        help=f"file that labels are added to (default: DIR/{OUT}); one file a person",
    )
    who: str = option("", "--who", metavar="NAME", help="whose labels these are, as the report calls them")


@dataclass(frozen=True)
class _Question:
    """A pair that a person is asked about, with what detectors say of it: (title, finding)."""

    asked: Asked
    pair: Pair
    said: Sequence[tuple[str, Any]]


def main(argv: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_args(argv)
    return exit_code_of(lambda: _label(command_line(LabelSettings, "label", parsed).settings))


def build_parser() -> argparse.ArgumentParser:
    return parser_of(LabelSettings, "label", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False)


def _label(settings: LabelSettings) -> int:
    from benchmarks.report import read_labels
    from benchmarks.runs import key_of, open_run

    finished = open_run(settings.folder)
    path = settings.out or finished.folder / OUT
    done: set[int] = set()
    if path.exists() and path.stat().st_size:
        done = set(read_labels(finished, [str(path)]).people[0].lines)
    questions = _questions(finished)
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    with file, _single_keys() as key:
        _Sitting(questions, done, file, settings.who, key_of(finished.run)).ask(key)
    print(f"\n{len(done):,} of {len(questions):,} pairs labelled: {path}")
    return DONE


@dataclass
class _Sitting:
    """One sitting. done: places of pairs that have a label; those of this sitting are added."""

    questions: Sequence[_Question]
    done: set[int]
    file: IO[str]
    who: str
    run: str

    def ask(self, key: Any) -> None:
        """Until all are labelled or skipped, or the person leaves. key: gives the next key, "" at the end."""
        at = 0
        before: list[int] = []
        while at < len(self.questions):
            question = self.questions[at]
            if question.asked.place in self.done:
                at += 1
                continue
            said = self._answer(question, key)
            if said in ("", QUIT):
                return
            if said == AGAIN:
                at = before.pop() if before else at
                self.done.discard(self.questions[at].asked.place)
                continue
            before.append(at)
            at += 1
            if said in _KEYS:
                self._write(question, _KEYS[said])

    def _answer(self, question: _Question, key: Any) -> str:
        _show(question, len(self.done), len(self.questions))
        while (said := key()) not in ("", SKIP, AGAIN, QUIT, *_KEYS):
            pass
        print(said)
        return str(said)

    def _write(self, question: _Question, label: str) -> None:
        from benchmarks.report import shown

        asked = question.asked
        line = {
            "id": shown(question.pair.id),
            "place": asked.place,
            "label": label,
            "note": "",
            "who": self.who,
        }
        line |= {"when": datetime.now(UTC).isoformat(), "block": asked.block}
        self.file.write(json.dumps({**line, "probability": asked.probability, "run": self.run}) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.done.add(asked.place)
        for title, finding in question.said:
            if isinstance(finding, Verdict):
                word = "contradiction" if finding.contradiction else "no contradiction"
                print(f"  {shown(title)}: {word}, score {finding.score:.3f}")


def _questions(finished: FinishedRun) -> list[_Question]:
    from benchmarks.report import asked_of

    asked = asked_of(finished.run)
    wanted = {each.place for each in asked}
    titles = [detector.title for detector in finished.run.detectors]
    found = {
        place: (pair, list(zip(titles, findings, strict=True)))
        for place, (pair, findings) in enumerate(finished.rows())
        if place in wanted
    }
    return [_Question(each, *found[each.place]) for each in asked]


def _show(question: _Question, done: int, of: int) -> None:
    from benchmarks.report import shown, visible

    print(f"\n{done:,} of {of:,} labelled. Pair {shown(question.pair.id)}")
    print(f"  1  {visible(question.pair.text1)}\n  2  {visible(question.pair.text2)}")
    print(PROMPT, end="", flush=True)


@contextmanager
def _single_keys() -> Iterator[Any]:
    """Keys as they are pressed; from what is no terminal, the first character of each line."""
    if not sys.stdin.isatty():
        yield lambda: next((line.strip()[:1] or " " for line in iter(sys.stdin.readline, "")), "")
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)  # Ctrl-C still interrupts
    try:
        yield lambda: sys.stdin.read(1).lower()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


if __name__ == "__main__":
    sys.exit(main())
