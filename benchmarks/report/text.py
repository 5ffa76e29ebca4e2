"""The summary for a terminal: detectors side by side, in 100 columns where they fit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks.report import notes, three_way, words
from benchmarks.report import observations as findings
from kimera.console import is_coloured

WIDTH = 100
FIRST_COLUMN = 36
MAX_CATEGORIES = 10
MIN_COLUMN = 11  # holds "(simulated)"
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def print_summary(summary: dict[str, Any], folder: Path, *, viz: bool) -> None:
    """The summary and where its files are, on standard output. viz: whether comparison.png is among them."""
    print(render_text(summary, colour=is_coloured()))
    figure = ["comparison.png"] if viz else []
    names = ["report.html", *figure, "summary.md", "summary.json", "results.csv", "journal.jsonl"]
    print(f"Files in {folder}: {', '.join(names)}")


def render_text(summary: dict[str, Any], colour: bool) -> str:
    """The whole summary, ending in a newline; `colour` sets the headings in bold."""

    def heading(text: str) -> str:
        return f"{BOLD}{text}{PLAIN}" if colour else text

    groups = words.comparison_groups(summary)
    head = ("", *words.titles(summary).values())
    # One layout for all groups, so that the columns line up; the headings go between the rows afterwards.
    laid_out = iter(table([head, *(row for _, rows in groups for row in rows)]))
    blocks = [[*wrapped(words.dataset_sentence(summary)), "", *map(heading, next(laid_out))]]
    blocks += [[heading(title), *(line for _ in rows for line in next(laid_out))] for title, rows in groups]
    if classes := three_way.tables(summary):
        aligned = table([row for rows in classes for row in rows])
        blocks.append([heading(three_way.HEADING), *(line for row in aligned for line in row)])
    if summary["agreement"]:
        who_was_right = [line for row in table(words.agreement_rows(summary)) for line in row]
        sentences = [line for sentence in words.agreement_sentences(summary) for line in wrapped(sentence)]
        blocks.append([heading("Agreement"), *sentences, *who_was_right])
    if thresholds := findings.threshold_sentences(summary):
        blocks.append([line for sentence in thresholds for line in wrapped(sentence)])
    if rows := findings.category_rows(summary, MAX_CATEGORIES):
        sentences = [
            line
            for sentence in findings.category_sentences(summary, MAX_CATEGORIES)
            for line in wrapped(sentence)
        ]
        rows_told = [line for row in table(rows) for line in row]
        blocks.append([heading("Accuracy by category, the largest first"), *rows_told, *sentences])
    if cascade := findings.cascade_sentences(summary):
        blocks.append([heading("Cascade"), *(line for sentence in cascade for line in wrapped(sentence))])
    blocks += [wrapped(note) for note in notes.notes(summary)]
    if missing := words.missing(summary):
        blocks.append(
            [f'"{words.MISSING}" in a cell:', *(line for sentence in missing for line in wrapped(sentence))]
        )
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH)


def table(rows: list[words.Row]) -> list[list[str]]:
    """Each row as its lines: cells wrap within their column; only many columns make them exceed WIDTH."""
    first = min(FIRST_COLUMN, _widest(row[0] for row in rows))
    columns = len(rows[0]) - 1
    room = max(MIN_COLUMN, (WIDTH - first) // max(columns, 1) - 2)
    widths = [first, *(min(room, _widest(row[i] for row in rows)) for i in range(1, columns + 1))]
    return [_lines(row, widths) for row in rows]


def _widest(cells: Iterable[str]) -> int:
    return max(map(len, cells))


def _lines(row: words.Row, widths: list[int]) -> list[str]:
    cells = [textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    return [
        "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip_longest(*cells, fillvalue="")
    ]
