"""Findings as JSON Lines, CSV, SARIF or an HTML page: a file, or standard output."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from io import StringIO

from kimera.corpus.about_scan import About
from kimera.corpus.finding_groups import Group
from kimera.corpus.finding_page import render_html
from kimera.corpus.findings import fields_of, visible
from kimera.corpus.sarif import render_sarif
from kimera.files import cell_writer, text_cell

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
    "kind",
    "newer",
    "subject",
    "time1",
    "time2",
    "headings1",
    "before1",
    "headings2",
    "before2",
    "group",
)


def render_jsonl(groups: Sequence[Group]) -> str:
    """An object a pair; those of one finding follow each other, and have the same number as their group."""
    return "".join(f"{json.dumps(fields, ensure_ascii=False)}\n" for fields in _rows(groups))


def render_csv(groups: Sequence[Group]) -> str:
    """A row a pair, as in `render_jsonl`; several places of a statement are parted by "; "."""
    file = StringIO()
    writer = cell_writer(file)
    writer.writerow(COLUMNS)
    for fields in _rows(groups):
        cells = [fields[name] for name in COLUMNS]
        texts = ["; ".join(map(str, cell)) if isinstance(cell, list | tuple) else cell for cell in cells]
        writer.writerow(text_cell(visible(cell)) if isinstance(cell, str) else cell for cell in texts)
    return file.getvalue()


def _rows(groups: Sequence[Group]) -> Iterator[dict[str, object]]:
    for number, group in enumerate(groups, 1):
        yield from (fields_of(finding) | {"group": number} for finding in group.findings)


FORMATS: dict[str, Callable[[Sequence[Group], About], str]] = {
    "jsonl": lambda groups, _: render_jsonl(groups),
    "csv": lambda groups, _: render_csv(groups),
    "html": render_html,
    "sarif": render_sarif,
}
