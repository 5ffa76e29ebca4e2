"""What every section of report.html is built of: headings, tables, lists, figures; all texts escaped here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import words
from benchmarks.report.svg import Plot
from kimera.console import printable

Summary = dict[str, Any]
FOLDER = Path(__file__).parent
BRACKETS = re.compile(r"\([^()]{1,30}\)")


def source(*names: str) -> str:
    """Styles or scripts of pages that stand beside this module, one after the other."""
    return "".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


def escape(text: str) -> str:
    """`text` on one line, as text: neither markup nor a bidi mark in it is obeyed."""
    return html.escape(printable(text))


def section(heading: str, *parts: str) -> tuple[str, str]:
    """(heading, HTML), the latter empty where all parts are."""
    if not any(parts):
        return heading, ""
    name = anchor(heading)
    return heading, (
        f'<section id="{name}" aria-labelledby="{name}-heading">\n'
        f'<h2 id="{name}-heading">{escape(heading)}</h2>\n{chr(10).join(filter(None, parts))}\n</section>'
    )


def anchor(heading: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in heading.lower()).split())


def figure_grid(drawn: Iterable[Plot | None]) -> str:
    shown = "".join(
        f"<figure><figcaption><strong>{escape(plot.title)}</strong> {escape(plot.caption)}</figcaption>"
        f"{plot.render()}</figure>"
        for plot in drawn
        if plot
    )
    return f'<div class="figures">{shown}</div>' if shown else ""


def folded_plots(drawn: Sequence[Plot]) -> str:
    """Plots that are seen only by who asks for them."""
    if not drawn:
        return ""
    return (
        f"<details><summary>{words.counted(len(drawn), 'more plot')}</summary>{figure_grid(drawn)}</details>"
    )


def detector_table(summary: Summary, heading: str, rows: Sequence[words.Row]) -> str:
    return data_table(heading, [("", *words.titles(summary).values()), *rows])


def data_table(caption: str, rows: Sequence[words.Row]) -> str:
    """The first row is the head; the first cell of each names it. Scrolls within its own box."""
    head, *body = rows
    columns = "".join(f'<th scope="col">{escape(cell)}</th>' if cell else "<td></td>" for cell in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, cells))}</tr>' for name, *cells in body
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    """An interval in brackets is not torn apart."""
    return f"<td>{BRACKETS.sub(_whole, escape(text))}</td>"


def _whole(match: re.Match[str]) -> str:
    return f'<span class="whole">{match[0]}</span>'


def bullet_list(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def paragraphs(sentences: Sequence[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
