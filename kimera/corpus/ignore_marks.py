"""Marks in a text that keep statements out of a scan: `<!-- kimera: ignore -->`.

Behind a text it counts for its line; on a line of its own for the paragraph that it stands in, or else for
the next one.
"""

from __future__ import annotations

import re

_WORDS = r"[ \t]*kimera:[ \t]*ignore[ \t]*"
_MARK = re.compile(
    rf"<!--{_WORDS}-->|\{{/\*{_WORDS}\*/\}}|^[ \t]*\.\.{_WORDS}$",  # of MDX, of reStructuredText
    re.MULTILINE | re.IGNORECASE,
)


def without_marks(text: str) -> tuple[str, frozenset[int]]:
    """(the text without them, the lines that they keep out); lines stay where they are."""
    if not _MARK.search(text):
        return text, frozenset()
    marked = [number for number, line in enumerate(text.split("\n")) if _MARK.search(line)]
    text = _MARK.sub("", text)
    lines = text.split("\n")
    ignored: set[int] = set()
    for number in marked:
        ignored.update([number] if lines[number].strip() else _paragraph(lines, number))
    return text, frozenset(number + 1 for number in ignored)


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
