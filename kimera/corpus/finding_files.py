"""Findings as JSON Lines, CSV or an HTML page: a file, or standard output."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from html import escape
from io import StringIO
from math import isfinite

from kimera.corpus.findings import Finding
from kimera.files import cell_writer, text_cell
from kimera.local_names import REACTOR

COLUMNS = (
    "score",
    "text1",
    "text2",
    "places1",
    "places2",
    "screen_score",
    "cosine",
    "judge",
    "judge_confidence",
    "reasoning",
    "key",
    "detector",
)
DIGITS = 6
STYLE = """\
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
li { margin: 0 0 1.5rem; }
p { margin: 0.2rem 0; overflow-wrap: anywhere; }
.place { font-size: 0.85rem; opacity: 0.8; margin-left: 1rem; }
"""


def render_jsonl(findings: Sequence[Finding]) -> str:
    """An object a line."""
    return "".join(f"{json.dumps(_fields(finding), ensure_ascii=False)}\n" for finding in findings)


def render_csv(findings: Sequence[Finding]) -> str:
    """A row a finding; several places of a statement are parted by "; "."""
    file = StringIO()
    writer = cell_writer(file)
    writer.writerow(COLUMNS)
    for finding in findings:
        fields = _fields(finding) | {
            "places1": "; ".join(finding.places1),
            "places2": "; ".join(finding.places2),
        }
        writer.writerow(
            text_cell(visible(cell)) if isinstance(cell, str) else cell for cell in map(fields.get, COLUMNS)
        )
    return file.getvalue()


def render_html(findings: Sequence[Finding], incomplete: str = "") -> str:
    """A page without scripts; every text is escaped. incomplete: what the scan has not looked at."""
    items = "\n".join(map(_item, findings))
    count = f"{len(findings):,} contradiction{'' if len(findings) == 1 else 's'}"
    missing = f"<p><strong>Not all: {escape(incomplete)}.</strong></p>\n" if incomplete else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{count}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{count}</h1>\n"
        "<p>Pairs of statements that cannot both be true of the same situation: by a judge, or where none is "
        f"named by the score of {_decided_by(findings)} alone. The most certain come first.</p>\n"
        f"{missing}<ol>\n{items}\n</ol>\n</main>\n</body>\n</html>\n"
    )


def _decided_by(findings: Sequence[Finding]) -> str:
    others = sorted({finding.detector for finding in findings} - {REACTOR})
    return _shown(", ".join(others)) if others else "the cross-encoder"


def visible(text: str) -> str:
    """What a terminal or a browser would obey and not show (escapes, marks of direction) as its code."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)


FORMATS: dict[str, Callable[[Sequence[Finding], str], str]] = {
    "jsonl": lambda findings, _: render_jsonl(findings),
    "csv": lambda findings, _: render_csv(findings),
    "html": render_html,
}


def _fields(finding: Finding) -> dict[str, object]:
    rounded = {
        name: (round(value, DIGITS) if isfinite(value) else None) if isinstance(value, float) else value
        for name, value in asdict(finding).items()
    }
    detector = rounded.pop("detector")  # the newest column is the last one
    return rounded | {"key": finding.key, "detector": detector}


def _item(finding: Finding) -> str:
    statements = "\n".join(
        f'<p>{_shown(text)}</p>\n<p class="place">{_shown(", ".join(places))}</p>'
        for text, places in ((finding.text1, finding.places1), (finding.text2, finding.places2))
    )
    judged = ""
    if finding.judge:
        confidence = finding.judge_confidence or 0.0
        judged = f"<p>{_shown(finding.judge)}, confidence {confidence:.2f}: {_shown(finding.reasoning)}</p>\n"
    by = "" if finding.detector == REACTOR else f" by {_shown(finding.detector)}"
    return f"<li>\n{statements}\n{judged}<p>score {finding.score:.3f}{by}</p>\n</li>"


def _shown(text: str) -> str:
    return escape(visible(text))
