"""What readers of prose give: sentences and rows of tables, with the lines on which they begin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from kimera.models import sentences


class Sentence(NamedTuple):
    """A sentence, or a row of a table, and the lines on which it begins and ends, counted from 1.

    table: the line of the table that it is a row of; 0 outside of tables. Rows of one table speak of
    different things, so no two of them are compared. headings: those it stands under, the outermost first.
    """

    text: str
    line: int
    end: int
    table: int = 0
    headings: tuple[str, ...] = ()


Sentences: TypeAlias = Iterator[Sentence]


TERM = 7  # as a level of headings, of which the deepest is 6


class Headings:
    """The headings that are open at a place of a text, the outermost first; a defined term is one."""

    def __init__(self) -> None:
        self._levels: list[int] = []
        self.titles: tuple[str, ...] = ()

    def enter(self, level: int, title: str) -> None:
        """A heading ends those of its level and of deeper ones."""
        self.leave(level)
        self._levels = [*self._levels, level]
        self.titles = (*self.titles, " ".join(title.split()))

    def leave(self, level: int) -> None:
        kept = sum(open_level < level for open_level in self._levels)
        self._levels, self.titles = self._levels[:kept], self.titles[:kept]


def under(headings: tuple[str, ...], sentences: Iterable[Sentence]) -> Sentences:
    return (sentence._replace(headings=headings) for sentence in sentences)


def sentences_of_text(text: str, line: int = 1) -> Sentences:
    """The sentences of a text; `line` is that of its beginning.

    Line ends in a paragraph do not end a sentence, blank lines do.
    """
    at = 0
    for sentence in sentences(text) if text.strip() else ():
        begin = max(text.find(sentence, at), at)
        line += text.count("\n", at, begin)
        yield Sentence(" ".join(sentence.split()), line, line + sentence.count("\n"))
        at = begin + len(sentence)
        line += sentence.count("\n")


def sentence_of_row(header: Sequence[str], cells: Sequence[str], line: int, table: int) -> Sentences:
    """A row as one statement, "Flag: --port; Default: 8080"; none where fewer than two cells say anything."""
    names = [*header, *("" for _ in cells[len(header) :])]
    told = [
        f"{name}: {cell}" if name else cell
        for name, cell in zip(map(_plain, names), map(_plain, cells), strict=False)
        if cell
    ]
    if len(told) > 1:
        yield Sentence("; ".join(told), line, line, table)


def _plain(cell: str) -> str:
    return " ".join(cell.split()).rstrip(":")
