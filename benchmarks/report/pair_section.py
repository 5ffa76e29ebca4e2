"""The table of pairs in report.html: its words and controls; page.js draws the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.report import words
from benchmarks.report.html_parts import escape
from benchmarks.report.pair_table import MAX_OF_A_TEXT, PairTable

Summary = dict[str, Any]
KINDS = (("d", "disagreement"), ("w", "wrong"), ("f", "failed"))


def pair_section(summary: Summary, table: PairTable) -> str:
    if not table.found:
        return "<p>No pair failed, none is known to be wrong, and no two detectors disagree.</p>"
    names = list(words.titles(summary).values())
    caption = "Pairs on which detectors disagree, are wrong or failed"
    return f"""<p>{escape(_what_is_listed(table))}</p>
<noscript><p>The table needs JavaScript; results.csv holds the same pairs.</p></noscript>
<div id="pair-table" hidden>
{_controls(names)}
<p role="status" class="count"></p>
<div class="scroll" tabindex="0" role="region" aria-label="Table of pairs"><table class="pairs">
<caption class="spoken">{caption}</caption>
<thead><tr>{_pair_columns(names)}</tr></thead><tbody></tbody></table></div>
<div class="paging"><button type="button" class="previous">Previous</button>
<button type="button" class="next">Next</button></div>
</div>"""


def _what_is_listed(table: PairTable) -> str:
    parts = [
        "Pairs on which detectors disagree, contradict the label (✗) or gave no verdict (–): "
        f"{table.found:,}. Numbers are scores, P(contradiction); words that only one text has are marked."
    ]
    if len(table.rows) < table.found:
        parts.append(f"Only the first {len(table.rows):,} are on this page; all are in results.csv.")
    if table.is_clipped:
        parts.append(f"Texts are cut after {MAX_OF_A_TEXT:,} characters; the whole text is in results.csv.")
    return " ".join(parts)


def _controls(names: Sequence[str]) -> str:
    choices = {
        "kind": KINDS,
        "detector": tuple((str(place), name) for place, name in enumerate(names)),
        "category": (),  # the script knows them
    }
    search = '<label>Search<input type="search" id="pairs-search" autocomplete="off"></label>'
    return (
        f'<div class="controls">{search}'
        f"{''.join(_choice(name, values) for name, values in choices.items())}</div>"
    )


def _choice(name: str, choices: Sequence[tuple[str, str]]) -> str:
    options = "".join(f'<option value="{value}">{escape(text)}</option>' for value, text in choices)
    any_of_them = '<option value="">any</option>'
    return f'<label>{name.capitalize()}<select id="pairs-{name}">{any_of_them}{options}</select></label>'


def _pair_columns(names: Sequence[str]) -> str:
    columns = [("id", "pair"), ("texts", "texts"), ("label", "label")]
    columns += [(str(place), name) for place, name in enumerate(names)]
    columns += [("kind", "kind"), ("category", "category")]
    return "".join(
        f'<th scope="col" data-column="{column}"><button type="button">{escape(name)}</button></th>'
        for column, name in columns
    )
