"""Two runs side by side: in words, for a terminal, as Markdown, and as a CSV of the changed verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import agreements, comparison_rows, estimate_words, markdown, notes, text, words
from benchmarks.report.results_csv import DETECTOR_COLUMNS, PAIR_COLUMNS, finding_cells, pair_cells
from benchmarks.report.words import MISSING, Row, counted
from benchmarks.runs import CHANGES, COMPARED, OF_ONE, Changed
from benchmarks.stats import DOLLARS, NO_FEE, Figure, Unit
from kimera.console import printable
from kimera.files import csv_file, text_cell

Part = dict[str, Any]
CHANGE_COLUMNS = (
    *PAIR_COLUMNS,
    "detector",
    "change",
    *(f"{run}_{column}" for run in "ab" for column in DETECTOR_COLUMNS),
)
IN_WORDS = dict(
    zip(CHANGES[1:], ("from wrong to right", "from right to wrong", "on pairs without a label"), strict=True)
)


@dataclass(frozen=True)
class Section:
    """A heading of our own words, a table, sentences, another table; tables have their header first."""

    heading: str
    figures: list[Row]
    sentences: list[str]
    settings: list[Row]


def two_runs_as_text(found: Part, colour: bool) -> str:
    """What `build_differences` found, for a terminal; `colour` sets the headings in bold."""
    blocks = [_wrapped(_opening(found))]
    for section in _sections(found):
        heading = f"{text.BOLD}{section.heading}{text.PLAIN}" if colour else section.heading
        body = [*_laid_out(section.figures), *_wrapped(section.sentences), *_laid_out(section.settings)]
        blocks.append([heading, *body])
    blocks += [_wrapped([note]) for note in _notes(found)]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _wrapped(sentences: list[str]) -> list[str]:
    return [line for sentence in sentences for line in text.wrapped(sentence)]


def _laid_out(rows: list[Row]) -> list[str]:
    return [line for row in text.table(rows) for line in row] if rows else []


def two_runs_as_markdown(found: Part) -> str:
    """The same as GitHub Markdown, for a pull request."""
    parts = [f"# Kimera {found['version']}: two runs", markdown.bullets(_opening(found))]
    for section in _sections(found):
        tables = [markdown.table(rows) if rows else "" for rows in (section.figures, section.settings)]
        sentences = map(markdown.escape, section.sentences)
        parts += [f"## {markdown.escape(section.heading)}", tables[0], *sentences, tables[1]]
    if lines := _notes(found):
        parts += ["## Before quoting these numbers", markdown.bullets(lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_changes_csv(path: Path, changed: Iterable[Changed]) -> None:
    """A row for each verdict that changed, as `write_results_csv` writes those of one run."""
    with csv_file(path) as writer:
        writer.writerow(CHANGE_COLUMNS)
        for change in changed:
            cells = [text_cell(change.detector), change.change]
            writer.writerow(
                [*pair_cells(change.pair), *cells, *finding_cells(change.a), *finding_cells(change.b)]
            )


def _opening(found: Part) -> list[str]:
    pairs = found["pairs"]
    labelled = {pairs["both"]: "all labelled", 0: "none labelled"}.get(
        pairs["labelled"], f"{pairs['labelled']:,} labelled"
    )
    runs = [
        printable(f"Run {letter.upper()}: {found[letter]['folder']}, {found[letter]['created']}")
        for letter in "ab"
    ]
    return [
        *runs,
        f"Pairs: {pairs['both']:,} in both ({labelled}), {pairs['only_a']:,} only in A, "
        f"{pairs['only_b']:,} only in B. All figures are over the pairs in both.",
        *_left_out(found),
    ]


def _left_out(found: Part) -> list[str]:
    """What the runs have and nothing here is of."""
    names = {letter: ", ".join(map(printable, found[f"only_{letter}"])) for letter in "ab"}
    alone = "; ".join(f"only in {letter.upper()}: {names[letter]}" for letter in "ab" if names[letter])
    lines = [f"Detectors that are not compared, {alone}."] if alone else []
    methods = found["calibrated"]
    if any(methods.values()):
        a, b = (method or "none" for method in methods.values())
        lines.append(
            f"Calibration: {a} in A, {b} in B. All figures are of the scores before it; calibrated ones "
            "are not compared."
        )
    return lines


def _sections(found: Part) -> list[Section]:
    sections = [_section(part, len(found["detectors"])) for part in found["detectors"].values()]
    if differing := _settings(found["settings"]):
        sections.insert(0, Section("Runs", [], [], differing))
    return sections


def _section(part: Part, tests: int) -> Section:
    titles = [words.title(part[run]["name"], part[run]["simulated"]) for run in "ab"]
    heading = titles[0] if titles[0] == titles[1] else f"{titles[0]} in A, {titles[1]} in B"
    sentences = [_changed(part)]
    if part["pairs"]:
        sentences.append(agreements.difference_sentence(part, tests, _later_and_earlier(part)))
    sentences += estimate_words.difference_of_runs(part, _later_and_earlier(part))
    reasons = {words.label(name): why for name, why in part["absent"].items() if _is_expected(part, name)}
    sentences += [f"No difference in {name}: {why}." for name, why in reasons.items()]
    return Section(f"Detector {heading}", _figures(part), sentences, _settings(part["settings"]))


def _is_expected(part: Part, figure: str) -> bool:
    """Whether a reader asks why this difference is not there."""
    if figure not in OF_ONE or (figure == DOLLARS.name and _is_free(part)):
        return False
    return not figure.startswith("three_way.") or any("three_way" in part[run] for run in "ab")


def _is_free(part: Part) -> bool:
    """Whether neither run has cost anything with this detector."""
    paid = [part[run] for run in "ab" if part[run]["paid"]]
    return not paid or (
        NO_FEE in part["absent"].get(DOLLARS.name, "") and not any("dollars" in of for of in paid)
    )


def _later_and_earlier(part: Part) -> agreements.Couple:
    """B before A, as the differences are."""
    b, a = (words.title(part[run]["name"], part[run]["simulated"]) for run in "ba")
    return f"{b} in B", f"{a} in A"


def _changed(part: Part) -> str:
    changed, answered = part["changed"], counted(part["both_answered"], "pair")
    if not changed["all"]:
        return f"Verdicts: none changed among the {answered} that both runs answered."
    kinds = ", ".join(f"{changed[kind]:,} {name}" for kind, name in IN_WORDS.items() if changed[kind])
    return f"Verdicts: {changed['all']:,} changed among the {answered} that both runs answered: {kinds}."


def _figures(part: Part) -> list[Row]:
    rows: list[Row] = [("", "A", "B", "B minus A (95 % interval)")]
    is_free = _is_free(part)
    rows += [_row(part, figure) for figure in COMPARED if not (is_free and figure.unit is Unit.DOLLARS)]
    return [row for row in rows if set(row[1:]) != {MISSING}]


def _row(part: Part, figure: Figure) -> Row:
    write = WRITTEN[figure.unit]
    ends = part.get("intervals", {}).get(figure.name)
    interval = f" ({words.from_to(ends)})" if ends else ""
    return (
        figure.label,
        *(_cell(part[run], figure, write) for run in "ab"),
        comparison_rows.figure_cell(
            part, figure.name, lambda value: f"{_sign(value)}{write(abs(value))}{interval}"
        ),
    )


def _cell(side: Part, figure: Figure, write: Callable[[float], str]) -> str:
    if figure.unit is Unit.DOLLARS and not side["paid"]:
        return "none"
    return comparison_rows.figure_cell(side, figure.name, write)


def _sign(value: float) -> str:
    return "-" if value < 0 else "+"


WRITTEN: dict[Unit, Callable[[float], str]] = {
    **comparison_rows.WRITTEN,
    Unit.DIFFERENCE: "{:.3f}".format,
    Unit.DOLLARS: "${:,.4f}".format,
}


def _settings(differing: Part) -> list[Row]:
    """A header and what differs, or nothing."""
    rows = [
        (
            printable(name),
            *(MISSING if setting[run] is None else printable(_setting(setting[run])) for run in "ab"),
        )
        for name, setting in differing.items()
    ]
    return [("settings that differ", "A", "B"), *rows] if rows else []


def _setting(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _notes(found: Part) -> list[str]:
    sides = [(run.upper(), part[run]) for part in found["detectors"].values() for run in "ab"]
    lines = [notes.SIMULATED] if any(side["simulated"] for _, side in sides) else []
    for letter, side in sides:
        lines += notes.speed_notes(f"{words.title(side['name'], side['simulated'])} in {letter}", side)
    return lines
