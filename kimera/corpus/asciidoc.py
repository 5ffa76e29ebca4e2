"""AsciiDoc to its sentences: paragraphs, list items, admonitions, and rows of tables with a header.

No well-kept library reads it in Python, and Asciidoctor is Ruby; so this reads line by line what documents
are written in: titles, attributes, comments, macros, code, literal and passthrough blocks are left out. What
a document includes, and the values of its attributes, are not looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kimera.corpus.sentences import Headings, Sentences, sentence_of_row, sentences_of_text, under

_VERBATIM = re.compile(r"-{4,}|\.{4,}|\+{4,}|/{4,}|`{3,}\w*")  # delimiters of blocks that are left out
_OPEN = re.compile(r"={4,}|\*{4,}|_{4,}|--")  # of blocks that hold prose
_UNDERLINES = "=-~^+"  # of headings, the outermost first
_UNDERLINE = re.compile(r"(?:={2,}|-{2,}|~{2,}|\^{2,}|\+{2,})$")
_STYLE = re.compile(
    r"\[(?:source|listing|literal|stem|\w*math|pass|comment|verse|mermaid|plantuml|ditaa|,)\b"
)
_HEADING = re.compile(r"(={1,6}|\#{1,6})\s+(.*)")
_LEFT_OUT = re.compile(
    rf"{_HEADING.pattern}"
    r"|'{3,}$|<{3,}$|-{3}$|\*{3}$|\+$"  # rules, page breaks, what joins to a list item
    r"|[a-z]\w*::\S*\[.*\]$"  # block macros
)
_ATTRIBUTE = re.compile(r":!?[\w-]+!?:(?:\s|$)")
_TITLE = re.compile(r"\.[^\s.]")
_ITEM = re.compile(r"\s*(?:\*+|-|\.+|\d+\.|[a-zA-Z]\.|<[\d.]+>)\s+(?:\[[ x*]\]\s+)?(?=\S)")
_TERM = re.compile(r"\s*\S.*?(?:::+|;;)(?:\s+|$)")
_ADMONITION = re.compile(r"(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION):\s+")
_TABLE = re.compile(r"[|,:!]={3,}$")
_CELL = re.compile(r"(?:(?<=\s)|^)(?:\d+[*+]|[.\d]+\+)?[<^>.]*[adehlmsv]?(?<!\\)\|")

_INLINE = (
    (re.compile(r"(?:footnote|footnoteref|image|icon|indexterm2?|anchor|pass):[^\s\[]*\[[^\]]*\]"), ""),
    (re.compile(r"\[\[[^\]]*\]\]|\(\(\([^)]*\)\)\)"), ""),
    (re.compile(r"<<[^,>]*?,\s*([^>]*)>>|<<#?([^>]*)>>"), r"\1\2"),
    (re.compile(r"(?:(?:link|xref|mailto):\S*?|\bhttps?://[^\s\[]+)\[([^\],]*)[^\]]*\]"), r"\1"),
    (re.compile(r"(?:kbd|btn|stem):\[([^\]]*)\]"), r"\1"),
    (re.compile(r"menu:([^\[]*)\[([^\]]*)\]"), r"\1 \2"),
    (re.compile(r"(?:\[[^\]\n]*\])?(?<![\w\\])(#{1,2})(?=\S)(.+?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"(?<![\w\\])(`\+?)(?=\S)(.+?)(?<=\S)\+?`(?!\w)"), r"\2"),
    (re.compile(r"(?<![\w\\])(\*{1,2})(?=\S)(.+?)(?<=\S)\1(?!\w)", re.DOTALL), r"\2"),
    (re.compile(r"(?<![\w\\])(_{1,2})(?=\S)(.+?)(?<=\S)\1(?!\w)", re.DOTALL), r"\2"),
    (re.compile(r" \+$", re.MULTILINE), ""),
)


def sentences_of_asciidoc(text: str) -> Sentences:
    yield from _Reader(text).sentences()


def code_of_asciidoc(text: str) -> set[int]:
    """The lines, from 1, of its code, literal and passthrough blocks."""
    reader = _Reader(text)
    for _ in reader.blocks():
        pass
    return reader.code


class _Reader:
    """Line by line. code: the lines within blocks of code that were passed so far."""

    def __init__(self, text: str) -> None:
        self._lines = [line.rstrip() for line in text.split("\n")]
        self._paragraph: list[str] = []
        self._begin = 0
        self._headings = Headings()
        self.code: set[int] = set()

    def sentences(self) -> Sentences:
        for line, block in self.blocks():
            if isinstance(block, str):
                yield from under(self._headings.titles, sentences_of_text(_shown(block), line))
            else:
                yield from under(self._headings.titles, sentence_of_row(*block))

    def blocks(self) -> Iterator[tuple[int, str | tuple[list[str], list[str], int, int]]]:
        """Paragraphs with the line on which they begin, and rows of tables for `sentence_of_row`."""
        at, style, is_term = self._behind_header(), "", False
        while at < len(self._lines):
            line = self._lines[at]
            if self._paragraph and len(self._paragraph) == 1 and self._is_underline(line):
                self._headings.enter(1 + _UNDERLINES.index(line[0]), _shown(self._paragraph.pop()))
                at += 1
                continue
            verbatim = bool(_STYLE.match(style))
            begins = not line or _VERBATIM.fullmatch(line) or _OPEN.fullmatch(line) or _TABLE.match(line)
            if begins or self._parts(line):
                yield from self._taken()
            if _VERBATIM.fullmatch(line) or (verbatim and _OPEN.fullmatch(line)):
                at, style = self._behind(at, re.sub(r"\w+$", "", line)), ""
            elif _TABLE.match(line):
                end = self._behind(at, line, is_code=False)
                yield from self._rows(at, end, style)
                at, style = end, ""
            elif verbatim and line and not self._is_style(line):
                at, style = self._behind_paragraph(at), ""
            elif self._is_style(line):
                style, at = line, at + 1
            elif not self._paragraph and line.startswith((" ", "\t")) and not (is_term or self._parts(line)):
                at = self._behind_paragraph(at)  # literal, being indented
            else:
                is_term = self._take(line, at + 1, is_term)
                style = "" if line else style
                at += 1
        yield from self._taken()

    def _take(self, line: str, number: int, is_term: bool) -> bool:
        """Adds a line with its number to the paragraph. Gives whether a definition is to follow."""
        if not line:
            return is_term
        if heading := _HEADING.match(line):
            self._headings.enter(len(heading[1]), _shown(heading[2]))
        left_out = (_LEFT_OUT, _ATTRIBUTE) if self._paragraph else (_LEFT_OUT, _ATTRIBUTE, _TITLE)
        if line.startswith("//") or _OPEN.fullmatch(line) or any(each.match(line) for each in left_out):
            return False
        if not self._paragraph:
            self._begin = number
        for start in (_ITEM, _TERM):
            if found := start.match(line):
                rest = line[found.end() :]
                self._paragraph += [rest] if rest else []
                return not rest
        self._paragraph.append(_ADMONITION.sub("", line) if not self._paragraph else line.strip())
        return False

    def _taken(self) -> Iterator[tuple[int, str]]:
        if self._paragraph:
            yield self._begin, "\n".join(self._paragraph)
            self._paragraph.clear()

    def _parts(self, line: str) -> bool:
        """Whether a line ends the paragraph before it."""
        patterns = (_LEFT_OUT, _ATTRIBUTE, _ITEM, _TERM)
        return self._is_style(line) or any(pattern.match(line) for pattern in patterns)

    @staticmethod
    def _is_style(line: str) -> bool:
        return line.startswith("[") and line.endswith("]")

    def _is_underline(self, line: str) -> bool:
        return bool(_UNDERLINE.match(line)) and abs(len(line) - len(self._paragraph[0])) < 2

    def _behind_header(self) -> int:
        """Behind the title, its authors and its attributes, where the text has them."""
        at = 0
        while at < len(self._lines) and not self._lines[at]:
            at += 1
        if at < len(self._lines) and re.match(r"= \S", self._lines[at]):
            self._headings.enter(1, _shown(self._lines[at][2:]))
            return self._behind_paragraph(at, is_code=False)
        return at

    def _behind_paragraph(self, at: int, *, is_code: bool = True) -> int:
        end = at
        while end < len(self._lines) and self._lines[end]:
            end += 1
        if is_code:
            self.code.update(range(at + 1, end + 1))
        return end

    def _behind(self, at: int, delimiter: str, *, is_code: bool = True) -> int:
        """Behind the line that closes the block which this one opens."""
        end = at + 1
        while end < len(self._lines) and self._lines[end] != delimiter:
            end += 1
        if is_code:
            self.code.update(range(at + 1, end + 2))
        return end + 1

    def _rows(
        self, at: int, end: int, style: str
    ) -> Iterator[tuple[int, tuple[list[str], list[str], int, int]]]:
        """Rows of a table with a header, cells of which stand behind bars."""
        if not self._lines[at].startswith("|"):
            return
        inside = [number for number in range(at + 1, min(end - 1, len(self._lines))) if self._lines[number]]
        if not inside:
            return
        first = inside[0]
        blank_behind = first + 1 < len(self._lines) and not self._lines[first + 1]
        header = [cell for cell, _ in self._cells([first])]
        has_header = "header" in style or (len(header) > 1 and blank_behind and "noheader" not in style)
        if not has_header:
            return
        cells = list(self._cells(inside[1:]))
        for start in range(0, len(cells) - len(header) + 1, len(header)):
            row = cells[start : start + len(header)]
            yield row[0][1], (header, [cell for cell, _ in row], row[0][1], at + 1)

    def _cells(self, numbers: list[int]) -> Iterator[tuple[str, int]]:
        """Each with the line on which it begins; a line without a bar goes on with the cell before."""
        text, begin = "", 0
        for number in numbers:
            pieces = _CELL.split(self._lines[number])
            text = f"{text} {pieces[0]}"
            for piece in pieces[1:]:
                if begin:
                    yield _shown(text).replace("\\|", "|").strip(), begin
                text, begin = piece, number + 1
        if begin:
            yield _shown(text).replace("\\|", "|").strip(), begin


def _shown(text: str) -> str:
    for pattern, shown in _INLINE:
        text = pattern.sub(shown, text)
    return text
