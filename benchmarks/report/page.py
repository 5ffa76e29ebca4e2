"""report.html: the whole run on one page, for a person who has to decide and for one who does not believe it.

One file that asks nothing of a network. Its policy allows the script and the style that stand in it, by their
hashes, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.report import (
    agreements,
    cascade_words,
    comparison_rows,
    conclusions,
    confusion,
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
from benchmarks.report.html_parts import (
    anchor,
    bullet_list,
    data_table,
    detector_table,
    escape,
    figure_grid,
    folded_plots,
    paragraphs,
    section,
    source,
)
from benchmarks.report.label_queue import LabelQueue
from benchmarks.report.label_section import LABELLING, label_section
from benchmarks.report.pair_section import pair_section
from benchmarks.report.pair_table import PairTable
from benchmarks.runs import RunResult
from benchmarks.stats import DIFFERENCES
from kimera.files import html_page, page_policy, page_style

Summary = dict[str, Any]
NOTES = "Before quoting these numbers"
LEFT_OUT = f"What “{words.MISSING}” stands for"


def render_page(
    summary: Summary,
    run: RunResult,
    table: PairTable,
    calibrations: Calibrations = NOT_CALIBRATED,
    queue: LabelQueue | None = None,
) -> str:
    """The page as HTML. table: the rows of this run's pairs, taken as they passed.

    calibrations: those that the summary was made with. queue: the pairs to label, taken likewise; without it
    the page has no place to label.
    """
    style = page_style() + source("page.css", "labelling.css")
    script = source("elements.js", "page.js", "labelling.js")
    title = conclusions.listed(list(words.titles(summary).values()))
    sections = {
        heading: body for heading, body in _sections(summary, run, table, calibrations, queue) if body
    }
    body = "\n".join(
        (
            '<a class="skip" href="#decision">Skip to the decision</a>',
            _header(summary, title, sections),
            f"<main>\n{chr(10).join(sections.values())}\n</main>",
            f'<script id="pair-rows" type="application/json">{table.as_json()}</script>',
            f'<script id="label-rows" type="application/json">{queue.as_json() if queue else ""}</script>',
            f"<script>{script}</script>",
        )
    )
    return html_page(escape(title), style, body, page_policy(style, script))


def _sections(
    summary: Summary, run: RunResult, table: PairTable, calibrations: Calibrations, queue: LabelQueue | None
) -> Iterator[tuple[str, str]]:
    """The heading and the HTML of each section, empty where there is nothing to show."""
    how_run, quality, speed, *elsewhere = comparison_rows.comparison_groups(summary)
    yield section("Decision", _decision(summary))
    curves = (
        plots.roc(summary, run),
        plots.precision_recall(summary, run),
        *plots.reliability(summary, run, calibrations),
    )
    yield section(
        "Quality",
        _overview(summary),
        figure_grid([plots.quality(summary), *curves]),
        detector_table(summary, *quality),
        _confusion(summary),
        paragraphs([*notes.interval_notes(summary), *findings.threshold_sentences(summary)]),
    )
    yield section("For all pairs", _estimated(summary))
    classes = three_way.tables(summary)
    yield section(
        three_way.HEADING,
        *(data_table(f"Verdicts of {rows[0][0]} by label", rows) for rows in classes),
        paragraphs(three_way.sentences(summary)),
    )
    yield section("Calibrated on your labels", _calibrated(summary))
    for group in elsewhere:
        yield section("Where contradictions are rarer", detector_table(summary, *group))
    yield section("Categories", _categories(summary))
    shown, rest = plots.cascades(summary)
    yield section("Cascade", _shares(summary), figure_grid(shown), folded_plots(rest))
    speeds = [plots.latency(run), plots.cost(summary), plots.concurrency(run)]
    yield section("Speed and cost", figure_grid(speeds), detector_table(summary, *speed))
    yield section(panel_words.HEADING, paragraphs(panel_words.sentences(summary)))
    yield section("Agreement", _agreement(summary))
    yield section("Pairs to look at", pair_section(summary, table))
    yield section(LABELLING, label_section(queue) if queue else "")
    yield section(NOTES, bullet_list(_notes(summary)))
    yield section(LEFT_OUT, bullet_list(comparison_rows.missing(summary)))
    yield section("Settings", detector_table(summary, *how_run), _settings(summary))


def _header(summary: Summary, title: str, headings: Iterable[str]) -> str:
    warnings = [*([notes.SIMULATED] if notes.is_simulated(summary) else []), *notes.unfinished(summary)]
    banner = "".join(f'<p class="banner">{escape(warning)}</p>' for warning in warnings)
    items = "".join(f'<li><a href="#{anchor(link)}">{escape(link)}</a></li>' for link in headings)
    return (
        f'<header>\n<p class="maker">Kimera {escape(summary["version"])}</p>\n<h1>{escape(title)}</h1>\n'
        f'<p class="about">{escape(words.dataset_sentence(summary))}.'
        f" Run on <time>{escape(summary['created'])}</time>.</p>\n"
        f'{banner}\n<nav aria-label="Sections"><ul>{items}</ul></nav>\n</header>'
    )


def _decision(summary: Summary) -> str:
    return f'<div class="decision">{"".join(map(_answer, decision.answers(summary)))}</div>'


def _answer(answer: conclusions.Question) -> str:
    claims = "".join(
        f'<p class="claim">{escape(finding.claim)}</p>'
        + (f'<p class="support">{escape(finding.support)}</p>' if finding.support else "")
        for finding in answer.conclusions
    )
    return f"<div><h3>{escape(answer.question)}</h3>{claims}</div>"


def _overview(summary: Summary) -> str:
    """A row for each detector, and for the rule that reads nothing."""
    return data_table(overview.heading(summary), overview.rows(summary))


def _confusion(summary: Summary) -> str:
    rows = confusion.rows(summary)
    return data_table(confusion.HEADING, rows) if rows else ""


def _notes(summary: Summary) -> list[str]:
    """Without those that stand on top of the page."""
    on_top = {notes.SIMULATED, *notes.unfinished(summary)}
    return [note for note in notes.notes(summary) if note not in on_top]


def _estimated(summary: Summary) -> str:
    """Where only some pairs are labelled."""
    told = paragraphs([*estimate_words.sentences(summary), *estimate_words.more_sentences(summary)])
    rows = estimate_words.rows(summary)
    return (data_table(estimate_words.HEADING, rows) if rows else "") + told


def _calibrated(summary: Summary) -> str:
    rows = findings.calibration_rows(summary)
    if not rows:
        return ""
    caption = f"{findings.calibration_heading(summary)}: before and after (95 % intervals)"
    return data_table(caption, rows) + paragraphs(findings.calibration_sentences(summary))


def _categories(summary: Summary) -> str:
    rows = findings.category_rows(summary)
    if not rows:
        return ""
    told = paragraphs(findings.category_sentences(summary))
    return data_table("Accuracy by category (95 % intervals)", rows) + told


def _shares(summary: Summary) -> str:
    """Where cascades are many, the share of pairs that each would have sent."""
    rows = cascade_words.share_rows(summary)
    if not rows:
        return ""
    return data_table("Pairs that still need a judge", rows) + paragraphs(
        cascade_words.cascade_sentences(summary)
    )


def _agreement(summary: Summary) -> str:
    if not summary["agreement"]:
        return ""
    if overview.are_many(summary):
        each_two = data_table(overview.heading_of_two(summary), overview.rows_of_two(summary))
    else:
        sentences = (
            agreements.same_verdict(entry, *agreements.couple_of(summary, entry))
            for entry in summary["agreement"]
        )
        each_two = paragraphs(list(sentences))
    who_was_right = data_table("Who was right, in pairs", agreements.agreement_rows(summary))
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
    return data_table("Differences on the same pairs (95 % intervals)", rows)


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


def _settings(summary: Summary) -> str:
    dataset, names = summary["dataset"], words.titles(summary)
    rows = [("kimera", summary["version"]), ("created", summary["created"])]
    rows += [
        ("dataset", str(dataset["name"])),
        ("dataset, SHA-256", str(dataset.get("sha256", words.MISSING))),
    ]
    parts = [data_table("This run", [("", "value"), *rows])]
    for name, detector in summary["detectors"].items():
        settings = [
            (key.replace("_", " "), names.get(value, value)) for key, value in _flat(detector["settings"])
        ]
        if settings:
            parts.append(data_table(f"Settings of {names[name]}", [("", "value"), *settings]))
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
