"""Texts that people read, to their sentences and the lines on which these stand.

Plain text, Markdown, MDX (Markdown with components), reStructuredText, AsciiDoc and HTML. Code and what
only a program reads are left out; a row of a table is a statement, and a heading goes with those under it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from html.parser import HTMLParser
from importlib.util import find_spec
from itertools import takewhile
from typing import TYPE_CHECKING

from kimera.console import how_to_install
from kimera.corpus.asciidoc import code_of_asciidoc, sentences_of_asciidoc
from kimera.corpus.restructured_text import code_of_rst, sentences_of_rst
from kimera.corpus.sentences import TERM, Headings, Sentences, sentence_of_row, sentences_of_text, under
from kimera.errors import UserError

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(
    r"\A(?:---[ \t]*\n(?=[\w\"'-]+ *:|#)(?:.*\n)*?(?:---|\.\.\.)"  # YAML; else it is a rule
    r"|\+\+\+[ \t]*\n(?:.*\n)*?\+\+\+)[ \t]*(?:\n|\Z)"  # TOML
)

# Of MDX: a fenced or an inline piece of code, which stays as it is; a comment; a tag; an expression.
_BRACES = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_ATTRIBUTES = rf"(?:\"[^\"]*\"|'[^']*'|{_BRACES}|[^<>\"'{{}}])*"
_MDX = re.compile(
    r"(?P<code>^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n(?:.*\n)*?(?: {0,3}(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|(`+)[^`]+?\3(?!`))"
    rf"|<!--.*?-->|(?P<tag></?(?:[A-Za-z][\w.:-]*)?(?:\s{_ATTRIBUTES})?/?>)|(?P<braces>{_BRACES})",
    re.MULTILINE | re.DOTALL,
)
_MODULE = re.compile(r"^(?:import|export)\b[^\n]*(?:\n[^\n]+)*", re.MULTILINE)

_BLOCKS = frozenset(
    {"p", "li", "dd", "blockquote", "div", "section", "article", "main", "body", "td", "figcaption"}
)
_SKIPPED = frozenset(
    {
        *(
            "script",
            "style",
            "head",
            "title",
            "nav",
            "pre",
            "code",
            "table",
            "template",
            "svg",
            "noscript",
            "button",
        ),
        *("h1", "h2", "h3", "h4", "h5", "h6", "dt", "footer", "form", "math", "textarea", "select"),
    }
)
_HEADING = re.compile(r"h[1-6]|dt")
_INLINE_CODE = "code"
# What a head may hold: any other tag ends one without an end tag, as <dd> does <dt>.
_OF_HEAD = frozenset({"title", "meta", "link", "base", "script", "style", "noscript", "template"})


def sentences_of_markdown(text: str, headings: Headings | None = None) -> Sentences:
    """The sentences of paragraphs, list items and quotations.

    headings: those that are open where the text begins, and then where it ends.
    """
    return _of_markdown(text, (), headings or Headings())


def code_of_markdown(text: str) -> set[int]:
    """The lines, from 1, of its blocks of code."""
    return _code_of_markdown(text, ())


def code_of_mdx(text: str) -> set[int]:
    return _code_of_markdown(text, ("code", "html_block"))


def sentences_of_mdx(text: str) -> Sentences:
    """Of Markdown without its imports, exports, tags and expressions; what stands between tags is kept."""
    text = _without_front_matter(text)
    text = _MDX.sub(_without_component, _MODULE.sub(_as_blank_lines, text))
    # In MDX an indented line is no code, and what looks like HTML is a component.
    return _of_markdown(text, ("code", "html_block"), Headings())


def _without_component(found: re.Match[str]) -> str:
    return found[0] if found["code"] else _as_blank_lines(found)


def _as_blank_lines(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _without_front_matter(text: str) -> str:
    front_matter = _FRONT_MATTER.match(text)
    if not front_matter:
        return text
    return "\n" * front_matter[0].count("\n") + text[front_matter.end() :]


def _tokens(text: str, without: Iterable[str]) -> list[Token]:
    if find_spec("markdown_it") is None:
        raise UserError(f"reading Markdown needs markdown-it-py; run: {how_to_install('scan')}")
    from markdown_it import MarkdownIt  # an extra

    return MarkdownIt("commonmark").enable("table").disable(list(without)).parse(_without_front_matter(text))


def _code_of_markdown(text: str, without: Iterable[str]) -> set[int]:
    blocks = [token.map for token in _tokens(text, without) if token.type in ("fence", "code_block")]
    return {line + 1 for block in blocks if block for line in range(*block)}


def _of_markdown(text: str, without: Iterable[str], headings: Headings) -> Sentences:
    tokens = _tokens(text, without)
    around = ""
    for at, token in enumerate(tokens):
        if token.type == "inline" and around == "paragraph_open" and token.map:
            paragraph = sentences_of_text(_shown(token.children or ()), token.map[0] + 1)
            yield from under(headings.titles, paragraph)
        elif token.type == "inline" and around == "heading_open":
            headings.enter(int(tokens[at - 1].tag[1:]), _shown(token.children or ()))
        elif token.type == "table_open":
            yield from under(headings.titles, _rows(tokens, at))
        around = token.type


def _rows(tokens: Sequence[Token], at: int) -> Sentences:
    """The rows of the table that begins with this token, the first of which is its header."""
    begin = (tokens[at].map or [0])[0] + 1
    header: list[str] = []
    cells: list[str] = []
    line = begin
    for token in takewhile(lambda token: token.type != "table_close", tokens[at:]):
        if token.type == "tr_open":
            cells, line = [], (token.map or [line - 1])[0] + 1
        elif token.type == "inline":
            cells.append(_shown(token.children or ()))
        elif token.type == "thead_close":
            header = cells
        elif token.type == "tr_close" and header:
            yield from sentence_of_row(header, cells, line, begin)


def _shown(tokens: Iterable[Token]) -> str:
    """What a reader sees of a paragraph, without its marks; its line ends are kept."""
    ends = {"softbreak": "\n", "hardbreak": "\n"}
    return "".join(
        token.content if token.type in ("text", "code_inline") else ends.get(token.type, "")
        for token in tokens
    )


class _Html(HTMLParser):
    """Blocks of text, the lines on which they begin, and the headings above them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[tuple[str, int, tuple[str, ...]]] = []
        self._headings = Headings()
        self._above: tuple[str, ...] = ()
        self._title = ""
        self._text = ""
        self._line = 1
        self._skipped: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        within = self._skipped[-1] if self._skipped else ""
        if (within == "head" and tag not in _OF_HEAD) or (within == "dt" and tag in ("dt", "dd")):
            self._end_skipped()
        if self._skipped:
            is_nested = tag == within or (within == "head" and tag in ("noscript", "template"))
            self._skipped += [tag] if is_nested else []
        elif tag == _INLINE_CODE and self._text.strip():
            pass  # within a sentence a name in code is a word
        elif tag in _SKIPPED:
            self.end()
            self._skipped.append(tag)
        elif tag in _BLOCKS or tag == "br":
            self.end()

    def handle_endtag(self, tag: str) -> None:
        if self._skipped and (tag == self._skipped[-1] or (tag, self._skipped[-1]) == ("dl", "dt")):
            self._end_skipped()
        elif tag in _BLOCKS:
            self.end()
        if tag == "dl":
            self._headings.leave(TERM)

    def _end_skipped(self) -> None:
        if _HEADING.fullmatch(tag := self._skipped.pop()):
            self._headings.enter(TERM if tag == "dt" else int(tag[1:]), self._title)
            self._title = ""

    def handle_data(self, data: str) -> None:
        if self._skipped:
            self._title += data if _HEADING.fullmatch(self._skipped[-1]) else ""
            return
        if not self._text.strip():
            lead = len(data) - len(data.lstrip())
            self._text = ""
            self._line = self.getpos()[0] + data.count("\n", 0, lead)
            self._above = self._headings.titles
            data = data[lead:]
        self._text += data

    def end(self) -> None:
        if self._text.strip():
            self.blocks.append((self._text, self._line, self._above))
        self._text = ""


def sentences_of_html(text: str) -> Sentences:
    """Of paragraphs, list items and other blocks; headings, tables, code and navigation are left out."""
    parser = _Html()
    parser.feed(_without_front_matter(text))
    parser.close()
    parser.end()
    for block, line, headings in parser.blocks:
        yield from under(headings, sentences_of_text(block, line))


READERS: dict[str, Callable[[str], Sentences]] = {
    ".md": sentences_of_markdown,
    ".markdown": sentences_of_markdown,
    ".mdx": sentences_of_mdx,
    ".rst": sentences_of_rst,
    ".adoc": sentences_of_asciidoc,
    ".asciidoc": sentences_of_asciidoc,
    ".html": sentences_of_html,
    ".htm": sentences_of_html,
    ".txt": sentences_of_text,
    ".text": sentences_of_text,
}
"""What reads a file, by its extension; those of other names are plain text where they are named."""

CODE: dict[str, Callable[[str], set[int]]] = {
    ".md": code_of_markdown,
    ".markdown": code_of_markdown,
    ".mdx": code_of_mdx,
    ".rst": code_of_rst,
    ".adoc": code_of_asciidoc,
    ".asciidoc": code_of_asciidoc,
}
"""What finds the lines of a text, from 1, that show code; HTML shows none that a reader takes for marks."""
