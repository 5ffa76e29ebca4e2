"""Texts that people read, to their sentences and the lines on which these stand.

Plain text, Markdown, MDX (Markdown with components), reStructuredText and HTML. Headings, tables, code and
what only a program reads are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from typing import TYPE_CHECKING

from kimera.console import how_to_install
from kimera.errors import UserError
from kimera.models import sentences

if TYPE_CHECKING:
    from markdown_it.token import Token

Sentences = Iterator[tuple[str, int]]

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

_ADORNMENT = re.compile(r"([^\w\s])\1{2,}\s*")
_DIRECTIVE = re.compile(r"\.\.(?:\s+(?:\|[^|]*\|\s+)?(?P<name>[\w:.-]+?)::(?P<rest>.*)|\s.*|)$")
_OF_PROSE = frozenset(
    {
        *(
            "note",
            "warning",
            "tip",
            "important",
            "caution",
            "attention",
            "hint",
            "danger",
            "error",
            "seealso",
        ),
        *("admonition", "versionadded", "versionchanged", "deprecated", "topic", "sidebar", "epigraph"),
        *("highlights", "pull-quote", "container", "compound", "rubric"),
    }
)
_TITLED = frozenset(
    {"admonition", "versionadded", "versionchanged", "deprecated", "topic", "sidebar", "rubric"}
)
_BULLET = re.compile(r"\A(?:[-*+•]|(?:\(?(?:\d+|[A-Za-z]|#)[.)]))\s+")
_RST_INLINE = (
    (re.compile(r"``(.+?)``", re.DOTALL), r"\1"),
    (re.compile(r":[\w:.+-]+:`~?!?([^`<]+?)(?:\s*<[^`>]*>)?`"), r"\1"),
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?"), r"\1"),
    (re.compile(r"`([^`]+)`(?:__?)?"), r"\1"),
    (re.compile(r"\*\*(\S(?:.*?\S)?)\*\*", re.DOTALL), r"\1"),
    (re.compile(r"\*(\S(?:[^*]*?\S)?)\*"), r"\1"),
    (re.compile(r"\s?\[(?:\d+|#\w*|\*)\]_"), ""),
    (re.compile(r"\|(\w[\w .-]*)\|_{0,2}"), r"\1"),
    (re.compile(r"(?<=\w)__?(?=[\s.,;:!?)]|$)"), ""),
    (re.compile(r"\\(.)"), r"\1"),
)

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
_INLINE_CODE = "code"
# What a head may hold: any other tag ends one without an end tag, as <dd> does <dt>.
_OF_HEAD = frozenset({"title", "meta", "link", "base", "script", "style", "noscript", "template"})


def sentences_of_text(text: str, line: int = 1) -> Sentences:
    """(sentence, the line on which it begins); `line` is that of the text's beginning.

    Line ends in a paragraph do not end a sentence, blank lines do.
    """
    at = 0
    for sentence in sentences(text) if text.strip() else ():
        begin = max(text.find(sentence, at), at)
        line += text.count("\n", at, begin)
        yield " ".join(sentence.split()), line
        at = begin + len(sentence)
        line += sentence.count("\n")


def sentences_of_markdown(text: str) -> Sentences:
    """The sentences of paragraphs, list items and quotations."""
    return _of_markdown(text, ())


def sentences_of_mdx(text: str) -> Sentences:
    """Of Markdown without its imports, exports, tags and expressions; what stands between tags is kept."""
    text = _without_front_matter(text)
    text = _MDX.sub(_without_component, _MODULE.sub(_as_blank_lines, text))
    # In MDX an indented line is no code, and what looks like HTML is a component.
    return _of_markdown(text, ("code", "html_block"))


def _without_component(found: re.Match[str]) -> str:
    return found[0] if found["code"] else _as_blank_lines(found)


def _as_blank_lines(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _without_front_matter(text: str) -> str:
    front_matter = _FRONT_MATTER.match(text)
    if not front_matter:
        return text
    return "\n" * front_matter[0].count("\n") + text[front_matter.end() :]


def _of_markdown(text: str, without: Iterable[str]) -> Sentences:
    if find_spec("markdown_it") is None:
        raise UserError(f"reading Markdown needs markdown-it-py; run: {how_to_install('scan')}")
    from markdown_it import MarkdownIt  # an extra

    text = _without_front_matter(text)
    around = ""
    for token in MarkdownIt("commonmark").enable("table").disable(list(without)).parse(text):
        if token.type == "inline" and around == "paragraph_open" and token.map:
            yield from sentences_of_text(_shown(token.children or ()), token.map[0] + 1)
        around = token.type


def _shown(tokens: Iterable[Token]) -> str:
    """What a reader sees of a paragraph, without its marks; its line ends are kept."""
    ends = {"softbreak": "\n", "hardbreak": "\n"}
    return "".join(
        token.content if token.type in ("text", "code_inline") else ends.get(token.type, "")
        for token in tokens
    )


def sentences_of_rst(text: str) -> Sentences:
    """Of reStructuredText, by its layout: paragraphs, list items, and what notes and warnings hold.

    Left out are titles, directives of other kinds, comments, literal blocks, tables and fields.
    """
    for paragraph, line in _rst_paragraphs(text.expandtabs(4).split("\n"), 1):
        shown = paragraph
        for pattern, kept in _RST_INLINE:
            shown = pattern.sub(kept, shown)
        yield from sentences_of_text(shown, line)


def _rst_paragraphs(lines: list[str], first: int) -> Iterator[tuple[str, int]]:
    """Paragraphs of one indentation or deeper ones; first: the number of the first of the lines."""
    at = 0
    literal_from: int | None = None  # the indentation of the paragraph that ended in "::"
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
            continue
        indent = _indent(line)
        if literal_from is not None and indent > literal_from:
            at = _end_of_block(lines, at, literal_from)
            literal_from = None
            continue
        literal_from = None
        if directive := _DIRECTIVE.match(line.strip()):
            end = _end_of_block(lines, at + 1, indent)
            if (directive["name"] or "").lower() in _OF_PROSE:
                yield from _rst_note(directive, lines[at + 1 : end], first + at)
            at = end
            continue
        end = at
        while end < len(lines) and lines[end].strip() and not (end > at and _begins_item(lines[end], indent)):
            end += 1
        block = lines[at:end]
        if _is_prose(block, lines, at):
            text = "\n".join(block)
            if text.rstrip().endswith("::"):
                literal_from = indent
                text = re.sub(r"\s*::\s*$", ":", text) if text.strip() != "::" else ""
            yield _BULLET.sub("", text.lstrip(), count=1), first + at
        at = end


def _rst_note(directive: re.Match[str], body: list[str], line: int) -> Iterator[tuple[str, int]]:
    """The prose that a note holds; the first of its lines may stand beside its name."""
    beside = directive["rest"].strip() if directive["name"].lower() not in _TITLED else ""
    if beside and body and body[0].strip() and not body[0].strip().startswith(":"):
        beside = " ".join([beside, body[0].strip()])
        body = ["", *body[1:]]
    if beside:
        yield beside, line
    margin = min((_indent(row) for row in body if row.strip()), default=0)
    inner = ["" if row.strip().startswith(":") else row[margin:] for row in body]
    yield from _rst_paragraphs(inner, line + 1)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _end_of_block(lines: list[str], at: int, indent: int) -> int:
    """Where what stands deeper than `indent` ends."""
    while at < len(lines) and (not lines[at].strip() or _indent(lines[at]) > indent):
        at += 1
    return at


def _begins_item(line: str, indent: int) -> bool:
    return _indent(line) == indent and bool(_BULLET.match(line.lstrip()) or _DIRECTIVE.match(line.strip()))


def _is_prose(block: list[str], lines: list[str], at: int) -> bool:
    first = block[0].strip()
    if any(_ADORNMENT.fullmatch(line.strip()) for line in block[:3]):
        return False  # a title, a rule, or a table without lines
    return not (first.startswith((":", "+-", "+=", "|", ">>>", "__ ", ".. ")) or re.match(r"={2,}\s", first))


class _Html(HTMLParser):
    """Blocks of text and the lines on which they begin."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[tuple[str, int]] = []
        self._text = ""
        self._line = 1
        self._skipped: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        within = self._skipped[-1] if self._skipped else ""
        if (within == "head" and tag not in _OF_HEAD) or (within == "dt" and tag in ("dt", "dd")):
            self._skipped.pop()
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
            self._skipped.pop()
        elif tag in _BLOCKS:
            self.end()

    def handle_data(self, data: str) -> None:
        if self._skipped:
            return
        if not self._text.strip():
            lead = len(data) - len(data.lstrip())
            self._text = ""
            self._line = self.getpos()[0] + data.count("\n", 0, lead)
            data = data[lead:]
        self._text += data

    def end(self) -> None:
        if self._text.strip():
            self.blocks.append((self._text, self._line))
        self._text = ""


def sentences_of_html(text: str) -> Sentences:
    """Of paragraphs, list items and other blocks; headings, tables, code and navigation are left out."""
    parser = _Html()
    parser.feed(_without_front_matter(text))
    parser.close()
    parser.end()
    for block, line in parser.blocks:
        yield from sentences_of_text(block, line)


READERS: dict[str, Callable[[str], Sentences]] = {
    ".md": sentences_of_markdown,
    ".markdown": sentences_of_markdown,
    ".mdx": sentences_of_mdx,
    ".rst": sentences_of_rst,
    ".html": sentences_of_html,
    ".htm": sentences_of_html,
    ".txt": sentences_of_text,
    ".text": sentences_of_text,
}
"""What reads a file, by its extension; those of other names are plain text where they are named."""
