"""Asks a person for labels of a run's pairs, one at a time, by single keys: in the terminal or on a page.

python -m benchmarks.label DIR
"""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import asyncio
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.report import LABELS
from kimera.console import DONE, Groups, as_called, command_line, exit_code_of, option, parser_of, port_number
from kimera.errors import UserError
from kimera.pairs import Pair, Verdict

if TYPE_CHECKING:
    from benchmarks.report import LabelFile
    from benchmarks.runs import FinishedRun
    from benchmarks.stats import Asked

__all__ = ["LabelSettings", "build_parser", "main"]

DESCRIPTION = """\
Label the pairs of a run in the terminal, or on a page in the browser (--page), in the order and blind as in
report.html: a random block, labels that are probably wrong, then pairs on which detectors differ or are
unsure. Each label is a line of the file the moment it is given; started again, the command goes on where it
was.
"""
EPILOG = """\
keys: c contradiction, n no contradiction, t cannot tell, s skip, u the last pair again, q quit

examples:
  kimera label runs/2026-01-31_12-00-00 --who Ana
  kimera label runs/2026-01-31_12-00-00 --page
  kimera report runs/2026-01-31_12-00-00 --labels runs/2026-01-31_12-00-00/labels.jsonl

exit codes: 0 done, or --page ended by SIGTERM; 1 failed, 2 wrong usage, 130 ended by Ctrl-C
"""
_KEYS = {"c": "contradiction", "n": "not_contradiction", "t": "cannot_tell"}
SKIP, AGAIN, QUIT = "s", "u", "q"
PROMPT = "c contradiction · n no contradiction · t cannot tell · s skip · u the last again · q quit: "


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {"": ("folder", "out", "who", "page", "port")}
    folder: str = option("", metavar="DIR", help="the run's folder")
    out: Path | None = option(
        None,
        "--out",
        type=Path,
        metavar="FILE",
        outward=True,
        help=f"file that labels are added to (default: DIR/{LABELS}); one file a person",
    )
    who: str = option("", "--who", metavar="NAME", help="whose labels these are, as the report calls them")
    page: bool = option(
        False,
        "--page",
        help="serve a page to label on, at an address of this machine that the command prints",
    )
    port: int = option(
        0,
        "--port",
        type=port_number,
        metavar="N",
        help="port to listen on; 0 takes any free one (default: %(default)s)",
    )


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
    from benchmarks.report import LabelFile
    from benchmarks.runs import open_run

    if settings.port and not settings.page:
        raise UserError("--port has no effect without --page; give both")
    finished = open_run(settings.folder)
    with LabelFile(finished, settings.out or finished.folder / LABELS, settings.who) as file:
        sitting = _Sitting(_questions(finished), file, settings.who)
        if settings.page and sitting.questions:
            return _serve(finished, sitting, settings.port)
        print(sitting.order())
        with _single_keys() as key:
            sitting.ask(key)
        print(f"\n{sitting.told()}\n{sitting.way_on(settings.folder)}".rstrip())
    return DONE


def _serve(finished: FinishedRun, sitting: _Sitting, port: int) -> int:
    """The page, until Ctrl-C or SIGTERM."""
    import secrets

    from benchmarks.label_server import HOST, LabelServer
    from benchmarks.report import LabelQueue, render_label_page
    from kimera.live import Access

    queue = LabelQueue(finished.run)
    for _ in queue.watching(finished.rows()):
        pass
    file = sitting.file
    questions = {each.asked.place: (each.asked, each.pair) for each in sitting.questions}
    server = LabelServer(
        lambda: render_label_page(queue, file.lines, file.path, sitting.who),
        questions,
        file,
        Access(HOST, token=secrets.token_urlsafe(16)),
    )

    def greet(address: str) -> None:
        print(f"Label at {address} Each label is added to {file.path}. Ctrl-C stops it.", flush=True)

    try:
        asyncio.run(server.serve(port, greet))
    finally:
        print(sitting.told())
    return DONE


@dataclass
class _Sitting:
    """One sitting: the pairs that are asked about, and where labels go."""

    questions: Sequence[_Question]
    file: LabelFile
    who: str

    def __post_init__(self) -> None:
        self.done = {each.asked.place for each in self.questions} & self.file.lines.keys()

    def told(self) -> str:
        done = sum(each.asked.place in self.file.lines for each in self.questions)
        return f"{done:,} of {len(self.questions):,} pairs labelled: {self.file.path}"

    def order(self) -> str:
        """What comes first, so that a person knows where it is no loss to stop."""
        from benchmarks.stats import RANDOM

        drawn = sum(each.asked.block == RANDOM for each in self.questions)
        if not drawn:
            return "Pairs whose label is doubtful come first, then those on which detectors are unsure."
        return (
            f"{drawn:,} pairs drawn at random come first: the figures for all pairs follow from these. Then "
            "those whose label is doubtful, and those on which detectors are unsure."
        )

    def way_on(self, folder: str) -> str:
        """How the report takes these labels; empty where there is none."""
        if not self.file.lines:
            return ""
        paths = f"{shlex.quote(folder)} --labels {shlex.quote(str(self.file.path))}"
        return f"The report with them: {as_called('kimera report')} {paths}"

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

        self.file.add(question.asked, question.pair, label, self.who)
        self.done.add(question.asked.place)
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
