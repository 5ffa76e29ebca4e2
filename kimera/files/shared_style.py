"""The style that all pages of Kimera share, and the words in which two texts differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

# One character at a time in scripts without spaces.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|(?:(?![\u3040-\u30ff\u3400-\u9fff])\w)+|[^\w\s]")

Segments: TypeAlias = list[str]


def page_style() -> str:
    """CSS; a page adds its own behind it."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def html_page(title: str, style: str, body: str, policy: str = "") -> str:
    """A whole page. title, body: HTML. policy: its Content-Security-Policy, where no header states one."""
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n' if policy else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'{meta}<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title} · Kimera</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def marked(first: str, second: str) -> tuple[Segments, Segments]:
    """Both texts in pieces that join to the whole; every second piece holds words that only it has."""
    if first == second:
        return [first], [second]
    places = [[match.span() for match in _WORD.finditer(text)] for text in (first, second)]
    words, others = (
        [text[a:b].casefold() for a, b in spans] for text, spans in zip((first, second), places, strict=True)
    )
    blocks = SequenceMatcher(None, words, others).get_opcodes()
    changed = [block for block in blocks if block[0] != "equal"]
    return (
        _pieces(first, [(places[0][a][0], places[0][b - 1][1]) for _, a, b, _, _ in changed if a < b]),
        _pieces(second, [(places[1][a][0], places[1][b - 1][1]) for _, _, _, a, b in changed if a < b]),
    )


def _pieces(text: str, spans: Sequence[tuple[int, int]]) -> Segments:
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]
