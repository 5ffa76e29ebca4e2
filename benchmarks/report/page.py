"""report.html: the whole run on one page, for a person who has to decide and for one who does not believe it.

One file that asks nothing of a network. Its policy allows the script and the style that stand in it, by their
hashes, and nothing else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
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
    plots,
    three_way,
    words,
)
from benchmarks.report import observations as findings
from benchmarks.report.calibrations import NOT_CALIBRATED, Calibrations
from benchmarks.report.pair_table import MAX_OF_A_TEXT, PairTable
from benchmarks.report.svg import Plot
from benchmarks.runs import RunResult
from benchmarks.stats import DIFFERENCES
from kimera.files import page_policy

Summary = dict[str, Any]
FOLDER = Path(__file__).parent
NOTES = "Before quoting these numbers"
LEFT_OUT = f"What “{words.MISSING}” stands for, and rows left out"
BRACKETS = re.compile(r"\([^()]{1,30}\)")
KINDS = (("d", "disagreement"), ("w", "wrong"), ("f", "failed"))


def render_page(
    summary: Summary, run: RunResult, table: PairTable, calibrations: Calibrations = NOT_CALIBRATED
) -> str:
    """The page as HTML. table: the rows of this run's pairs, taken as they passed.

    calibrations: those that the summary was made with.
    """
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    title = decision.listed(list(words.titles(summary).values()))
    sections = {heading: body for heading, body in _sections(summary, run, table, calibrations) if body}
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{page_policy(style, script)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)} · Kimera</title>\n<style>{style}</style>\n</head>\n<body>",
            '<a class="skip" href="#decision">Skip to the decision</a>',
            _header(summary, title, sections),
            f"<main>\n{chr(10).join(sections.values())}\n</main>",
            f'<script id="pair-rows" type="application/json">{table.as_json()}</script>',
            f"<script>{script}</script>\n</body>\n</html>\n",
        )
    )


def escape(text: str) -> str:
    """`text` on one line, as text: neither markup nor a bidi mark in it is obeyed."""
    return html.escape(words.printable(text))


def _sections(
    summary: Summary, run: RunResult, table: PairTable, calibrations: Calibrations
) -> Iterator[tuple[str, str]]:
    """The heading and the HTML of each section, empty where there is nothing to show."""
    how_run, quality, speed, *elsewhere = comparison_rows.comparison_groups(summary)
    yield _section("Decision", _decision(summary))
    curves = (
        plots.roc(summary, run),
        plots.precision_recall(summary, run),
        *plots.reliability(summary, run, calibrations),
    )
    yield _section(
        "Quality",
        _overview(summary),
        _figures([plots.quality(summary), *curves]),
        _detector_table(summary, *quality),
        _paragraphs(findings.threshold_sentences(summary)),
    )
    yield _section("For all pairs", _estimated(summary))
    classes = three_way.tables(summary)
    yield _section(
        three_way.HEADING,
        *(_table(f"Verdicts of {rows[0][0]} by label", rows) for rows in classes),
        _paragraphs(three_way.sentences(summary)),
    )
    yield _section("Calibrated on your labels", _calibrated(summary))
    for group in elsewhere:
        yield _section("Where contradictions are rarer", _detector_table(summary, *group))
    yield _section("Categories", _categories(summary))
    shown, rest = plots.cascades(summary)
    yield _section("Cascade", _shares(summary), _figures(shown), _folded(rest))
    speeds = [plots.latency(run), plots.cost(summary), plots.concurrency(run)]
    yield _section("Speed and cost", _figures(speeds), _detector_table(summary, *speed))
    yield _section(panel_words.HEADING, _paragraphs(panel_words.sentences(summary)))
    yield _section("Agreement", _agreement(summary))
    yield _section("Pairs to look at", _pairs(summary, table))
    yield _section(NOTES, _list(_notes(summary)))
    yield _section(LEFT_OUT, _list(comparison_rows.missing(summary)))
    yield _section("Settings", _detector_table(summary, *how_run), _settings(summary))


def _section(heading: str, *parts: str) -> tuple[str, str]:
    """(heading, HTML), the latter empty where all parts are."""
    if not any(parts):
        return heading, ""
    name = _anchor(heading)
    return heading, (
        f'<section id="{name}" aria-labelledby="{name}-heading">\n'
        f'<h2 id="{name}-heading">{escape(heading)}</h2>\n{chr(10).join(filter(None, parts))}\n</section>'
    )


def _anchor(heading: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in heading.lower()).split())


def _header(summary: Summary, title: str, headings: Iterable[str]) -> str:
    warnings = [*([notes.SIMULATED] if notes.is_simulated(summary) else []), *notes.unfinished(summary)]
    banner = "".join(f'<p class="banner">{escape(warning)}</p>' for warning in warnings)
    links = (heading for heading in headings if heading != LEFT_OUT)
    items = "".join(f'<li><a href="#{_anchor(link)}">{escape(link)}</a></li>' for link in links)
    return (
        f'<header>\n<p class="maker">Kimera {escape(summary["version"])}</p>\n<h1>{escape(title)}</h1>\n'
        f'<p class="about">{escape(words.dataset_sentence(summary))}.'
        f" Run on <time>{escape(summary['created'])}</time>.</p>\n"
        f'{banner}\n<nav aria-label="Sections"><ul>{items}</ul></nav>\n</header>'
    )


def _decision(summary: Summary) -> str:
    return f'<div class="decision">{"".join(map(_answer, decision.answers(summary)))}</div>'


def _answer(answer: decision.Question) -> str:
    paragraphs = "".join(
        f'<p class="claim">{escape(finding.claim)}</p>'
        + (f'<p class="support">{escape(finding.support)}</p>' if finding.support else "")
        for finding in answer.conclusions
    )
    return f"<div><h3>{escape(answer.question)}</h3>{paragraphs}</div>"


def _figures(drawn: Iterable[Plot | None]) -> str:
    figures = "".join(
        f"<figure><figcaption><strong>{escape(plot.title)}</strong> {escape(plot.caption)}</figcaption>"
        f"{plot.render()}</figure>"
        for plot in drawn
        if plot
    )
    return f'<div class="figures">{figures}</div>' if figures else ""


def _folded(drawn: Sequence[Plot]) -> str:
    """Plots that are seen only by who asks for them."""
    if not drawn:
        return ""
    return f"<details><summary>{words.counted(len(drawn), 'more plot')}</summary>{_figures(drawn)}</details>"


def _overview(summary: Summary) -> str:
    """Where detectors are many, a row for each; their columns below scroll."""
    if not overview.are_many(summary):
        return ""
    return _table(overview.heading(summary), overview.rows(summary))


def _detector_table(summary: Summary, heading: str, rows: Sequence[words.Row]) -> str:
    return _table(heading, [("", *words.titles(summary).values()), *rows])


def _table(caption: str, rows: Sequence[words.Row]) -> str:
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


def _notes(summary: Summary) -> list[str]:
    """Without those that stand on top of the page."""
    on_top = {notes.SIMULATED, *notes.unfinished(summary)}
    return [note for note in notes.notes(summary) if note not in on_top]


def _cell(text: str) -> str:
    """An interval in brackets is not torn apart."""
    return f"<td>{BRACKETS.sub(_whole, escape(text))}</td>"


def _whole(match: re.Match[str]) -> str:
    return f'<span class="whole">{match[0]}</span>'


def _list(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _paragraphs(sentences: Sequence[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _estimated(summary: Summary) -> str:
    """Where only some pairs are labelled."""
    told = _paragraphs([*estimate_words.sentences(summary), *estimate_words.more_sentences(summary)])
    rows = estimate_words.rows(summary)
    return (_table(estimate_words.HEADING, rows) if rows else "") + told


def _calibrated(summary: Summary) -> str:
    rows = findings.calibration_rows(summary)
    if not rows:
        return ""
    caption = f"{findings.calibration_heading(summary)}: before and after (95 % intervals)"
    return _table(caption, rows) + _paragraphs(findings.calibration_sentences(summary))


def _categories(summary: Summary) -> str:
    rows = findings.category_rows(summary)
    if not rows:
        return ""
    paragraphs = _paragraphs(findings.category_sentences(summary))
    return _table("Accuracy by category (95 % intervals)", rows) + paragraphs


def _shares(summary: Summary) -> str:
    """Where cascades are many, the share of pairs that each would have sent."""
    rows = cascade_words.share_rows(summary)
    if not rows:
        return ""
    return _table("Pairs that still need a judge", rows) + _paragraphs(
        cascade_words.cascade_sentences(summary)
    )


def _agreement(summary: Summary) -> str:
    if not summary["agreement"]:
        return ""
    if overview.are_many(summary):
        each_two = _table(overview.heading_of_two(summary), overview.rows_of_two(summary))
    else:
        sentences = (
            agreements.same_verdict(entry, *agreements.couple_of(summary, entry))
            for entry in summary["agreement"]
        )
        each_two = _paragraphs(list(sentences))
    who_was_right = _table("Who was right, in pairs", agreements.agreement_rows(summary))
    return each_two + who_was_right + _differences(summary)


def _differences(summary: Summary) -> str:
    """A column for each two detectors that can be compared; a row, where they are many."""
    names = words.titles(summary)
    tested = [entry for entry in summary["agreement"] if "accuracy" in entry["differences"]]
    if not tested:
        return ""
    head = ("first minus second", *(f"{names[entry['a']]} / {names[entry['b']]}" for entry in tested))
    columns = [_difference_cells(entry["differences"], len(tested)) for entry in tested]
    rows = [head, *((label, *(column[label] for column in columns)) for label in columns[0])]
    if overview.are_many(summary):
        rows = list(zip(*rows, strict=True))
    return _table("Differences on the same pairs (95 % intervals)", rows)


def _difference_cells(found: dict[str, Any], tests: int) -> dict[str, str]:
    cells = {figure.label: _difference(found, figure.name) for figure in DIFFERENCES}
    margin = f"{100 * found['equivalence']['margin']:g}"
    ps = {"p of McNemar's test": found["mcnemar"]["p"]}
    if tests > 1:
        ps[f"the same, adjusted for {tests} tests"] = found["mcnemar"]["p_holm"]
    ps[f"p of the test for equivalence within {margin} points"] = found["equivalence"]["p"]
    cells |= {label: agreements.p_value(p).removeprefix("p ") for label, p in ps.items()}
    minimum = found.get("least_difference")
    cells["minimum detectable difference of accuracies (power 0.8)"] = (
        words.MISSING if minimum is None else f"{minimum:.3f}"
    )
    return cells


def _difference(found: dict[str, Any], name: str) -> str:
    if name not in found:
        return words.MISSING
    ends = found["intervals"].get(name)
    return f"{found[name]:+.3f}" + (f" ({words.from_to(ends)})" if ends else "")


def _pairs(summary: Summary, table: PairTable) -> str:
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


def _settings(summary: Summary) -> str:
    dataset, names = summary["dataset"], words.titles(summary)
    rows = [("kimera", summary["version"]), ("created", summary["created"])]
    rows += [
        ("dataset", str(dataset["name"])),
        ("dataset, SHA-256", str(dataset.get("sha256", words.MISSING))),
    ]
    parts = [_table("This run", [("", "value"), *rows])]
    for name, detector in summary["detectors"].items():
        settings = [
            (key.replace("_", " "), names.get(value, value)) for key, value in _flat(detector["settings"])
        ]
        if settings:
            parts.append(_table(f"Settings of {names[name]}", [("", "value"), *settings]))
    return f'<div class="settings">{"".join(parts)}</div>'


def _flat(settings: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """("prompt, name", "same-event") for {"prompt": {"name": "same-event"}}."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}, ")
        else:
            yield f"{above}{key}", _written(value)


def _written(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return words.quantity(value)
    return str(value)
