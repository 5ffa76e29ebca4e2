"""reStructuredText to its sentences, by docutils: paragraphs, lists, notes, and rows of tables.

Titles, fields, comments, code and directives of other kinds are left out. What Sphinx adds to the language is
unknown to docutils, which would report it as an error and drop its text: roles are read as their text, and
directives that hold prose as notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any

from kimera.console import how_to_install
from kimera.corpus.sentences import Sentences, sentence_of_row, sentences_of_text, under
from kimera.errors import UserError

if TYPE_CHECKING:
    from docutils import nodes

_LEFT_OUT = frozenset(
    {
        *("title", "subtitle", "rubric", "term", "classifier", "field_list", "docinfo", "option_group"),
        *("comment", "literal_block", "doctest_block", "math_block", "raw", "line_block", "image", "label"),
        *("system_message", "substitution_definition", "footnote_reference", "citation_reference", "pending"),
    }
)
_HEADED = ("section", "definition_list_item", "option_list_item")
_HEADS = ("title", "term", "option_group")
_OF_PROSE = ("seealso", "versionadded", "versionchanged", "deprecated", "versionremoved")
_TITLED = _OF_PROSE[1:]  # what stands beside their names is a version
_DIRECTIVE = re.compile(r"^\s*\.\. +(?:\|[^|\n]*\| +)?([\w:.+-]+?)::", re.MULTILINE)
_ROLE = re.compile(r":([A-Za-z][\w.:+-]*):(?=`)|(?<=`):([A-Za-z][\w.:+-]*):")
_OPENS_CODE = re.compile(r"\.\. +(?:code|code-block|sourcecode|parsed-literal|prompt)::|(?!\.\. ).*::\s*$")
_TARGET = re.compile(r"\s+<\S.*>\s*\Z", re.DOTALL)


def sentences_of_rst(text: str) -> Sentences:
    """Raises UserError without docutils."""
    if find_spec("docutils") is None:
        raise UserError(f"reading reStructuredText needs docutils; run: {how_to_install('scan')}")
    yield from _Reader(text.split("\n")).within(_document(text).children)


def code_of_rst(text: str) -> set[int]:
    """The lines, from 1, of its literal blocks: those indented behind "::" or a directive of code."""
    code: set[int] = set()
    opened: int | None = None  # how far its opening line is indented
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.lstrip()
        indent = len(line) - len(bare)
        if bare and opened is not None and indent <= opened:
            opened = None
        if opened is not None:
            code.add(number)
        elif _OPENS_CODE.match(bare):
            opened = indent
    return code


def _document(text: str) -> nodes.document:
    from docutils.frontend import get_default_settings  # an extra
    from docutils.parsers.rst import Parser
    from docutils.utils import new_document

    settings = get_default_settings(Parser)
    # What a text names is not opened, and nothing that is wrong in it is worth a message.
    settings.file_insertion_enabled = settings.raw_enabled = False
    settings.report_level = settings.halt_level = 5
    settings.warning_stream = StringIO()
    settings.line_length_limit = len(text) + 1
    settings.syntax_highlight = "none"
    document = new_document("", settings)
    _make_known(text, document)
    Parser().parse(text, document)
    return document


def _make_known(text: str, document: nodes.document) -> None:
    """The roles and directives of a text that docutils does not know; its registers hold for the process."""
    from docutils.parsers.rst import directives, roles
    from docutils.parsers.rst.languages import en

    for name in {found.lower() for found in _DIRECTIVE.findall(text)}:
        if directives.directive(name, en, document)[0] is None:
            directives.register_directive(name, _directive(name))
    for name in {(before or after).lower() for before, after in _ROLE.findall(text)}:
        if roles.role(name, en, 0, document.reporter)[0] is None:
            roles.register_local_role(name, _as_text)


def _as_text(
    name: str, rawtext: str, text: str, lineno: int, inliner: object, options: Any = None, content: Any = ()
) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """A role: "title <target>" is read as its title."""
    from docutils import nodes
    from docutils.utils import unescape

    shown = unescape(text)
    return [nodes.inline(rawtext, _TARGET.sub("", shown).lstrip("~!") or shown)], []


def _directive(name: str) -> type:
    """A directive that docutils does not know: as a note where it holds prose, else as nothing."""
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class Unknown(Directive):  # type: ignore[misc] # it has no types
        optional_arguments = 1
        final_argument_whitespace = True
        has_content = True

        def run(self) -> list[nodes.Node]:
            if name not in _OF_PROSE:
                return []
            note = nodes.container()
            beside, line = self._beside()
            if beside:
                shown, _ = self.state.inline_text(beside, line)
                note += nodes.paragraph(beside, "", *shown)
                note[-1].line = line
            self.state.nested_parse(self.content, self.content_offset, note)
            return [note]

        def _beside(self) -> tuple[str, int]:
            """What stands on the directive's own lines, behind the version where it has one, and its line."""
            beside = "".join(self.arguments)
            if name in _TITLED:
                beside = (beside.split(None, 1) + ["", ""])[1]
            before = "".join(self.arguments).partition(beside)[0] if beside else ""
            return beside, self.lineno + before.count("\n")

    return Unknown


class _Reader:
    """Nodes to sentences, in order. lines: of the text."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._last = 1

    def within(self, children: Iterable[nodes.Node], headings: tuple[str, ...] = ()) -> Sentences:
        for node in children:
            kind = node.tagname if hasattr(node, "tagname") else ""
            if kind == "paragraph":
                text = _shown(node)
                yield from under(headings, sentences_of_text(text, self._line(node, text)))
            elif kind == "table":
                yield from under(headings, self._rows(node))
            elif kind in _HEADED:
                titles = (" ".join(each.astext().split()) for each in node.children if each.tagname in _HEADS)
                yield from self.within(node.children, (*headings, *titles))
            elif kind not in _LEFT_OUT:
                yield from self.within(node.children, headings)

    def _rows(self, table: Any) -> Sentences:
        heads = [[_cell(entry) for entry in row.children] for row in _rows_of(table, "thead")]
        header = [" ".join(filter(None, cells)) for cells in zip(*heads, strict=False)] if heads else []
        begin = self._line(table, "")
        for row in _rows_of(table, "tbody"):
            cells = [_cell(entry) for entry in row.children]
            line = self._line(next(iter(row.findall(_is_paragraph)), table), next(filter(None, cells), ""))
            if header:
                yield from sentence_of_row(header, cells, line, begin)

    def _line(self, node: Any, text: str) -> int:
        """Where it begins: near the line that docutils says, which is wrong within nested directives."""
        told = min(max(node.line or self._last, self._last, 1), len(self._lines))
        start = (text or "").strip().split("\n")[0].split(" ")[0]
        near = (at for far in range(len(self._lines)) for at in (told - far, told + far))
        here = (at for at in near if self._last <= at <= len(self._lines) and start in self._lines[at - 1])
        self._last = next(here, told) if start else told
        return self._last


def _is_paragraph(node: Any) -> bool:
    return getattr(node, "tagname", "") == "paragraph"


def _rows_of(table: Any, part: str) -> list[Any]:
    groups = [child for child in table.children if getattr(child, "tagname", "") == "tgroup"]
    return [
        row for group in groups for each in group.children if each.tagname == part for row in each.children
    ]


def _cell(entry: Any) -> str:
    return " ".join(_shown(node) for node in entry.findall(_is_paragraph))


def _shown(node: Any) -> str:
    """What a reader sees of a paragraph; its line ends are kept."""
    if not hasattr(node, "tagname") or node.tagname == "#text":
        return str(node.astext())
    return "".join(_shown(child) for child in node.children if child.tagname not in _LEFT_OUT)
