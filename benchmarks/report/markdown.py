"""The summary as GitHub Markdown."""

from __future__ import annotations

import html
import re
from typing import Any

from benchmarks.report import (
    agreements,
    cascade_words,
    comparison_rows,
    confusion,
    estimate_words,
    notes,
    overview,
    panel_words,
    three_way,
    words,
)
from benchmarks.report import observations as findings
from kimera.console import printable

SPECIAL = re.compile(r"[\\`*_\[\]|#~$@]|:(?=/)|(?<=www)\.")


def render_markdown(summary: dict[str, Any]) -> str:
    """The same content as `render_text`, as tables and lists."""
    titles = words.titles(summary).values()
    parts = [
        f"# Kimera {summary['version']}: {', '.join(map(escape, titles))}",
        f"{escape(words.dataset_sentence(summary))}. Run on {escape(summary['created'])}.",
    ]
    parts += [f"## {overview.heading(summary)}", table(overview.rows(summary))]
    for heading, rows in comparison_rows.comparison_groups(summary):
        parts += [f"## {heading}", table([("", *titles), *rows])]
    if matrix := confusion.rows(summary):
        parts += [f"## {confusion.HEADING}", table(matrix)]
    if classes := three_way.tables(summary):
        parts += [f"## {three_way.HEADING}", *map(table, classes)]
        parts += map(escape, three_way.sentences(summary))
    if summary["agreement"]:
        parts.append("## Agreement")
        if overview.are_many(summary):
            parts += [
                f"{overview.heading_of_two(summary)}:",
                table(overview.rows_of_two(summary)),
                "Who was right, in pairs:",
            ]
        else:
            parts += map(escape, agreements.agreement_sentences(summary))
        parts.append(table(agreements.agreement_rows(summary)))
    if panel := panel_words.sentences(summary):
        parts += [f"## {panel_words.HEADING}", *map(escape, panel)]
    if estimated := estimate_words.sentences(summary):
        rows = estimate_words.rows(summary)
        parts += [f"## {estimate_words.HEADING}", *([table(rows)] if rows else []), *map(escape, estimated)]
        parts += map(escape, estimate_words.more_sentences(summary))
    parts += map(escape, findings.threshold_sentences(summary))
    if rows := findings.calibration_rows(summary):
        parts += [f"## {findings.calibration_heading(summary)}", table(rows)]
        parts += map(escape, findings.calibration_sentences(summary))
    if rows := findings.category_rows(summary):
        parts += ["## Accuracy by category", table(rows)]
        parts += map(escape, findings.category_sentences(summary))
    if cascade := cascade_words.cascade_sentences(summary):
        shares = cascade_words.share_rows(summary)
        parts += ["## Cascade", *([table(shares)] if shares else []), *map(escape, cascade)]
    if lines := notes.notes(summary):
        parts += ["## Before quoting these numbers", bullets(lines)]
    if missing := comparison_rows.missing(summary):
        parts += [f"## What “{words.MISSING}” stands for, and rows left out", bullets(missing)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """`text` on one line, so that it shows as it is: no markup, no HTML, no link, no further table cell."""
    return SPECIAL.sub(r"\\\g<0>", html.escape(printable(text), quote=False))


def bullets(sentences: list[str]) -> str:
    return "\n".join(f"- {escape(sentence)}" for sentence in sentences)


def table(rows: list[words.Row]) -> str:
    head, *body = (f"| {' | '.join(map(escape, row))} |" for row in rows)
    rule = "| --- |" + " ---: |" * (len(rows[0]) - 1)
    return "\n".join([head, rule, *body])
