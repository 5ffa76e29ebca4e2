"""The pairs to look at in report.html: where detectors disagree, one is wrong, or one gave no verdict.

What goes into the page is bounded, whatever the run: so many characters of a text, so many of all rows.
Texts are made visible here and become text nodes in the page (page.js); nothing in them is ever obeyed.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.report.results_csv import RowResult
from benchmarks.runs import NOT_ASKED
from kimera.files import Segments, marked
from kimera.pairs import Failure, Pair, Verdict

MAX_OF_A_TEXT = 4_000
MAX_OF_A_REASONING = 600
MAX_OF_A_NAME = 200
MAX_OF_ALL_ROWS = 16_000_000  # characters of JSON
DISAGREES, WRONG, FAILED = "d", "w", "f"
UNSEEN = re.compile(r"[^\n\t -~]")  # may not be seen: anything but plain characters and line ends
PASSAGES = re.compile(r': "(?P<first>.*?)(?:\.\.\.)?" against "(?P<second>.*?)(?:\.\.\.)?"$', re.DOTALL)
MUCH, LONG = 0.5, 300  # share of a text of so many characters that differs: marks would mark it whole
FOR_SCRIPT = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


@dataclass
class PairTable:
    """Takes a run's rows as they pass; `rows` are lines of JSON, as page.js reads them.

    max_characters: of all rows; those beyond are counted and not held.
    found: pairs that belong in the table, of which the page may hold fewer. is_clipped: whether a text of
    those it holds is not whole.
    """

    max_characters: int = MAX_OF_ALL_ROWS
    rows: list[str] = field(default_factory=list)
    found: int = 0
    is_clipped: bool = False
    _characters: int = 0

    def watching(
        self, rows: Iterable[tuple[Pair, Sequence[RowResult]]]
    ) -> Iterator[tuple[Pair, Sequence[RowResult]]]:
        """The same rows, one at a time."""
        for pair, findings in rows:
            self._take(pair, findings)
            yield pair, findings

    def _take(self, pair: Pair, findings: Sequence[RowResult]) -> None:
        troubles = [_trouble(pair, finding, findings) for finding in findings]
        if not any(troubles):
            return
        self.found += 1
        if self._characters >= self.max_characters:
            return
        plain = json.dumps(_row(pair, findings, troubles), ensure_ascii=False, separators=(",", ":"))
        self.rows.append(plain.translate(FOR_SCRIPT))
        self._characters += len(self.rows[-1])
        self.is_clipped |= max(len(pair.text1), len(pair.text2)) > MAX_OF_A_TEXT

    def as_json(self) -> str:
        """A list of all rows, safe within a script element."""
        return f"[{','.join(self.rows)}]"


def _trouble(pair: Pair, finding: RowResult, findings: Sequence[RowResult]) -> str:
    """Which of `DISAGREES`, `WRONG` and `FAILED` are true of this one among a pair's findings."""
    if isinstance(finding, Failure):
        return "" if finding.kind == NOT_ASKED.kind else FAILED
    if finding is None:
        return ""
    others = (other.contradiction for other in findings if isinstance(other, Verdict))
    disagrees = DISAGREES if any(said != finding.contradiction for said in others) else ""
    wrong = WRONG if pair.is_contradiction not in (None, finding.contradiction) else ""
    return disagrees + wrong


def _row(pair: Pair, findings: Sequence[RowResult], troubles: Sequence[str]) -> list[Any]:
    """[id, category, label, segments, segments, findings, deciding]; label: 1, 0 or null, as a verdict is.

    deciding: the segments of the sentences that decided, where texts were too long to be read at once; else
    null.
    """
    first, second = map(
        _unless_whole, marked(clipped(pair.text1, MAX_OF_A_TEXT), clipped(pair.text2, MAX_OF_A_TEXT))
    )
    label = None if pair.is_contradiction is None else int(pair.is_contradiction)
    found = [[trouble, *said(finding)] for trouble, finding in zip(troubles, findings, strict=True)]
    return [shown(pair.id), shown(pair.category), label, first, second, found, deciding(findings)]


def deciding(findings: Sequence[RowResult]) -> tuple[Segments, Segments] | None:
    """The passages that the first detector which read a part of the texts says it decided by."""
    verdicts = (finding for finding in findings if isinstance(finding, Verdict))
    for verdict in verdicts:
        if verdict.score_source == "passages" and (told := PASSAGES.search(verdict.reasoning)):
            return marked(visible(told["first"]), visible(told["second"]))
    return None


def _unless_whole(pieces: Segments) -> Segments:
    """Without its marks, where these would mark most of a long text."""
    length, differs = sum(map(len, pieces)), sum(map(len, pieces[1::2]))
    return ["".join(pieces)] if length > LONG and differs > MUCH * length else pieces


def said(finding: RowResult) -> tuple[int | None, float | None, str]:
    """Verdict, score and words."""
    if isinstance(finding, Verdict):
        words = clipped(finding.reasoning, MAX_OF_A_REASONING)
        return int(finding.contradiction), round(finding.score, 4), words
    if finding is None:
        return None, None, NOT_ASKED.message
    return None, None, clipped(f"{finding.kind}: {finding.message}", MAX_OF_A_REASONING)


def shown(name: str) -> str:
    return clipped(name, MAX_OF_A_NAME)


def clipped(text: str, maximum: int) -> str:
    """`visible(text)`, cut to so many characters of the text."""
    if len(text) <= maximum:
        return visible(text)
    return f"{visible(text[:maximum])}… ({maximum:,} of {len(text):,} characters)"


def visible(text: str) -> str:
    """Escapes in place of what is not seen or turns the line: controls, bidi marks, lone surrogates.

    Line ends and tabs stay, and spaces of every width.
    """
    return text if text.isprintable() else UNSEEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
