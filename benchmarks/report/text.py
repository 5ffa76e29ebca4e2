"""The summary for a terminal: detectors side by side, in 100 columns where they fit."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks.report import (
    agreements,
    cascade_words,
    comparison_rows,
    decision,
    estimate_words,
    notes,
    overview,
    panel_words,
    three_way,
    words,
)
from benchmarks.report import observations as findings
from benchmarks.report.conclusions import Question
from kimera.console import is_coloured

WIDTH = 100
FIRST_COLUMN = 36
MAX_CATEGORIES = 10
MAX_ROWS, MAX_CLAIMS = 10, 4  # of the short table, and of each decision
MORE = "More: summary.md and results.csv beside it, or --verbose here. The report, to open in a browser:"
MIN_COLUMN = 11  # holds "(simulated)"
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def print_summary(summary: dict[str, Any], folder: Path, *, verbose: bool) -> None:
    """The decisions and where the report is, on standard output; the whole summary before, if verbose."""
    if verbose:
        print(render_text(summary, colour=is_coloured()))
    print(render_decisions(summary, folder, colour=is_coloured()), end="")


def render_decisions(summary: dict[str, Any], folder: Path, colour: bool) -> str:
    """A short table, the three decisions, and the whole path of report.html as the last line."""

    def heading(text: str) -> str:
        return f"{BOLD}{text}{PLAIN}" if colour else text

    blocks = [wrapped(f"{words.dataset_sentence(summary)}.")]
    if rows := _answering(summary):
        blocks.append(_lines_of(rows))
    blocks += [wrapped(warning) for warning in notes.warnings(summary)]
    *decisions, cost = decision.answers(summary)
    if len(summary["detectors"]) == 1:
        decisions = [decisions[0], cost, decisions[2]]
    blocks += [[heading(answer.question), *_claims(answer)] for answer in decisions]
    lines = "\n\n".join("\n".join(block) for block in blocks)
    return f"{lines}\n\n{MORE}\n{folder.resolve() / 'report.html'}\n"


def _answering(summary: dict[str, Any]) -> list[words.Row]:
    """Rows of those that answered any pair, the best ones where they are many."""
    heard = {name: each for name, each in summary["detectors"].items() if each["answered"]}
    if not heard:
        return []
    rows = overview.rows({**summary, "detectors": heard})
    if len(rows) <= MAX_ROWS + 2:  # a header, and the trivial rule
        return rows
    more = f"{len(rows) - MAX_ROWS - 2} more in summary.md"
    return [*rows[: MAX_ROWS + 1], (more, *[""] * (len(rows[0]) - 1)), rows[-1]]


def _claims(answer: Question) -> list[str]:
    told = [line for finding in answer.conclusions[:MAX_CLAIMS] for line in wrapped(finding.claim)]
    left = len(answer.conclusions) - MAX_CLAIMS
    return [*told, f"({left} more in report.html)"] if left > 0 else told


def render_text(summary: dict[str, Any], colour: bool) -> str:
    """The whole summary, ending in a newline; `colour` sets the headings in bold."""

    def heading(text: str) -> str:
        return f"{BOLD}{text}{PLAIN}" if colour else text

    dataset = wrapped(words.dataset_sentence(summary))
    if overview.are_many(summary):
        blocks = [dataset, [heading(overview.heading(summary)), *_lines_of(overview.rows(summary))]]
        for some in overview.blocks(summary):
            blocks += _side_by_side(some, heading)
        blocks += _three_way(summary, heading)
        blocks.append([heading(overview.heading_of_two(summary)), *_lines_of(overview.rows_of_two(summary))])
    else:
        first, *others = _side_by_side(summary, heading)
        blocks = [[*dataset, "", *first], *others]
        blocks += _three_way(summary, heading)
        if summary["agreement"]:
            sentences = _wrapped_all(agreements.agreement_sentences(summary))
            blocks.append([heading("Agreement"), *sentences, *_lines_of(agreements.agreement_rows(summary))])
    if panel := panel_words.sentences(summary):
        blocks.append([heading(panel_words.HEADING), *_wrapped_all(panel)])
    if estimated := estimate_words.sentences(summary):
        blocks.append([heading(estimate_words.HEADING), *_wrapped_all(estimated)])
    if thresholds := findings.threshold_sentences(summary):
        blocks.append(_wrapped_all(thresholds))
    if findings.calibration_rows(summary):
        sentences = _wrapped_all(findings.calibration_sentences(summary))
        told = _in_blocks(summary, findings.calibration_rows)
        blocks.append([heading(findings.calibration_heading(summary)), *told, *sentences])
    if findings.category_rows(summary, MAX_CATEGORIES):
        sentences = _wrapped_all(findings.category_sentences(summary, MAX_CATEGORIES))
        told = _in_blocks(summary, partial(findings.category_rows, maximum=MAX_CATEGORIES))
        blocks.append([heading("Accuracy by category, the largest first"), *told, *sentences])
    if cascade := cascade_words.cascade_sentences(summary):
        shares = cascade_words.share_rows(summary)
        blocks.append([heading("Cascade"), *(_lines_of(shares) if shares else []), *_wrapped_all(cascade)])
    blocks += [wrapped(note) for note in notes.notes(summary)]
    if missing := comparison_rows.missing(summary):
        blocks.append([f'"{words.MISSING}" in a cell, or no row at all:', *_wrapped_all(missing)])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _three_way(summary: dict[str, Any], heading: Callable[[str], str]) -> list[list[str]]:
    """A block of the tables of three classes, where there are any."""
    tables = three_way.tables(summary)
    lines = _lines_of([row for rows in tables for row in rows]) if tables else []
    return (
        [[heading(three_way.HEADING), *lines, *_wrapped_all(three_way.sentences(summary))]] if lines else []
    )


def _side_by_side(summary: dict[str, Any], heading: Callable[[str], str]) -> list[list[str]]:
    """The names of the detectors, then each group of rows under its heading."""
    groups = comparison_rows.comparison_groups(summary)
    head = ("", *words.titles(summary).values())
    # One layout for all groups, so that the columns line up; the headings go between the rows afterwards.
    laid_out = iter(table([head, *(row for _, rows in groups for row in rows)]))
    named = [*map(heading, next(laid_out))]
    return [
        named,
        *([heading(title), *(line for _ in rows for line in next(laid_out))] for title, rows in groups),
    ]


def _in_blocks(summary: dict[str, Any], rows_of: Callable[[dict[str, Any]], list[words.Row]]) -> list[str]:
    """A table with a column for each detector, in as many tables as the detectors have blocks."""
    tables = filter(None, map(rows_of, overview.blocks(summary)))
    return [line for place, rows in enumerate(tables) for line in (*[""] * bool(place), *_lines_of(rows))]


def _lines_of(rows: list[words.Row]) -> list[str]:
    return [line for row in table(rows) for line in row]


def _wrapped_all(sentences: Iterable[str]) -> list[str]:
    return [line for sentence in sentences for line in wrapped(sentence)]


def wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False)


def table(rows: list[words.Row]) -> list[list[str]]:
    """Each row as its lines: cells wrap within their column; only many columns make them exceed WIDTH."""
    first = min(FIRST_COLUMN, _widest(row[0] for row in rows))
    wanted = [_widest(row[i] for row in rows) for i in range(1, len(rows[0]))]
    room = MIN_COLUMN  # what narrow columns leave goes to the wide ones
    while (
        room < max(wanted, default=0) and first + sum(min(room + 1, width) + 2 for width in wanted) <= WIDTH
    ):
        room += 1
    widths = [first, *(min(room, width) for width in wanted)]
    return [_lines(row, widths) for row in rows]


def _widest(cells: Iterable[str]) -> int:
    return max(map(len, cells))


def _lines(row: words.Row, widths: list[int]) -> list[str]:
    cells = [textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    return [
        "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip_longest(*cells, fillvalue="")
    ]
