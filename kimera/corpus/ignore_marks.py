"""Marks in a text that keep statements out of a scan: `<!-- kimera: ignore -->`.

Behind a text it counts for its line; on a line of its own for the paragraph that it stands in, or else for
the next one. One that is shown as code is an example, and counts for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_WORDS = r"[ \t]*kimera:[ \t]*ignore[ \t]*"
# Of Markdown and HTML, of MDX, of reStructuredText, of AsciiDoc; ahead of it code within a line.
_CODE_OR_MARK = re.compile(
    r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)"
    rf"|(?P<mark><!--{_WORDS}-->|\{{/\*{_WORDS}\*/\}}|^[ \t]*(?:\.\.|//){_WORDS}$)",
    re.IGNORECASE,
)


def without_marks(text: str, code: Callable[[str], set[int]] | None = None) -> tuple[str, frozenset[int]]:
    """(the text without them, the lines that they keep out); lines stay where they are.

    code: gives the lines of the text, from 1, that show code.
    """
    lines = text.split("\n")
    marked = [number for number, line in enumerate(lines) if _without_mark(line) != line]
    if not marked:
        return text, frozenset()
    shown = code(text) if code else ()
    marked = [number for number in marked if number + 1 not in shown]
    for number in marked:
        lines[number] = _without_mark(lines[number])
    ignored: set[int] = set()
    for number in marked:
        ignored.update([number] if lines[number].strip() else _paragraph(lines, number))
    return "\n".join(lines), frozenset(number + 1 for number in ignored)


def _without_mark(line: str) -> str:
    return _CODE_OR_MARK.sub(lambda found: "" if found["mark"] else found[0], line)


def _paragraph(lines: list[str], at: int) -> range:
    """Around a line that is blank now; where nothing is around it, the next one."""
    start = end = at
    while start > 0 and lines[start - 1].strip():
        start -= 1
    while end + 1 < len(lines) and lines[end + 1].strip():
        end += 1
    if start < end:
        return range(start, end + 1)
    while end + 1 < len(lines) and not lines[end + 1].strip():
        end += 1
    return range(end + 1, _paragraph(lines, end).stop) if end + 1 < len(lines) else range(at, at + 1)
