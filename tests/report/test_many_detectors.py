"""A run of many detectors stays readable: an overview, a table of pairs, plots that tell them apart."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import LABELLED, UNLABELLED, judge, reactor, rows_of, run_of

from benchmarks.report import (
    build_summary,
    draw_comparison,
    plots,
    render_markdown,
    render_text,
    write_report,
)
from benchmarks.report.calibrations import calibrations_of
from benchmarks.report.svg import LOOKS, Plot, linear
from benchmarks.runs.run_result import RunResult
from benchmarks.stats.results import FAILED

MANY = np.tile(LABELLED, 20)
LOCAL = [f"detector-{letter}" for letter in "abcdefgh"]


def many(labels: np.ndarray = MANY, count: int = 7) -> RunResult:
    """So many local detectors, each worse than the one before, and a judge; in four categories."""
    random = np.random.default_rng(3)
    wrong = (random.random(MANY.size) < 0.05 * place for place in range(count))
    local = [
        reactor(np.where(is_wrong, 1 - MANY, MANY).astype(np.int8), name)
        for is_wrong, name in zip(wrong, LOCAL, strict=False)
    ]
    return run_of(labels, *local, judge(MANY))


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    return build_summary(many())


@pytest.fixture(scope="module")
def text(summary: dict[str, Any]) -> str:
    return render_text(summary, colour=False)


def test_the_text_stays_within_a_hundred_columns(text: str) -> None:
    assert max(map(len, text.splitlines())) <= 100


def test_an_overview_has_a_row_for_each_the_highest_accuracy_first(text: str) -> None:
    overview = text.split("Overview")[1].split("\n\n")[0].splitlines()
    assert overview[1].split() == ["accuracy", "F1", "ROC", "AUC", "pairs/s", "cost", "failed"]
    assert [line.split()[0] for line in overview[2:]] == ["detector-a", "gpt-4o-mini", *LOCAL[1:7], "always"]


def test_the_whole_table_follows_in_blocks_of_four(text: str) -> None:
    heads = [line.split() for line in text.splitlines() if line.startswith(" ") and "detector-" in line]
    assert heads == [LOCAL[:4], [*LOCAL[4:7], "gpt-4o-mini"]]
    assert text.count("\nmean latency ") == 2


def test_each_two_detectors_are_a_row_and_not_a_paragraph(text: str) -> None:
    assert "first minus second (95 % intervals, p adjusted for 28 tests)" in text
    assert "Same verdict:" not in text
    row = next(line for line in text.splitlines() if line.startswith("detector-a / detector-g"))
    cells = r"\d\d\.\d% +\+\d\d\.\d \(\d\d\.\d to \d\d\.\d\) +< 0\.001  first is better$"
    assert re.search(cells, row)


def test_four_detectors_have_no_overview() -> None:
    told = render_text(build_summary(many(count=3)), colour=False)
    assert "Overview" not in told
    assert "Same verdict: detector-a and detector-b agree" in told


def test_markdown_has_the_overview_and_the_table_of_pairs(summary: dict[str, Any]) -> None:
    told = render_markdown(summary)
    assert "## Overview, the highest accuracy first" in told
    assert told.count("first is better |") > 5
    assert "Same verdict:" not in told


def test_one_sentence_says_that_local_detectors_cost_nothing(text: str) -> None:
    told = " ".join(text.split())
    assert f"contradiction found for {', '.join(LOCAL[:7])}: a local detector costs nothing." in told


def test_the_overview_says_where_its_order_is_not_that_of_the_accuracy_shown() -> None:
    run = many()
    few = np.where(np.arange(MANY.size) < 300, FAILED, MANY).astype(np.int8)
    told = render_text(
        build_summary(replace(run, detectors=(*run.detectors, reactor(few, "few")))), colour=False
    )
    assert "Overview, by accuracy with failed pairs as wrong" in told
    assert told.split("Overview")[1].split("\n\n")[0].splitlines()[-2].split()[:2] == ["few", "1.000"]


def test_without_labels_the_overview_says_what_is_known() -> None:
    told = render_text(build_summary(many(UNLABELLED.repeat(20))), colour=False)
    rows = told.split("Overview\n")[1].split("\n\n")[0].splitlines()
    assert [row.split()[0] for row in rows[1:]] == [*LOCAL[:7], "gpt-4o-mini"]
    assert rows[0].split() == ["pairs/s", "cost", "failed"]
    each_two = told.split("Verdicts of each two\n")[1].splitlines()
    assert each_two[0].split() == ["first", "/", "second", "agree", "kappa", "answered", "by", "both"]
    assert re.match(r"detector-a / detector-b +\d\d\.\d% +0\.\d{3} +400$", each_two[1])


def test_eight_detectors_differ_in_colour_mark_and_dash() -> None:
    drawn = []
    for look in range(LOOKS):
        plot = Plot("title", "caption", linear("x", 0, 1), linear("y", 0, 1))
        plot.line([(0, 0), (1, 1)], look)
        plot.dot(0.5, 0.5, look)
        drawn.append(plot.render())
    assert LOOKS == 8
    dashes = [re.findall(r'stroke-dasharray="([^"]*)"', each) for each in drawn]
    marks = [re.findall(r'<(?:path|circle|rect) class="dot s\d"([^>]*)>', each)[0] for each in drawn]
    assert len(set(map(str, dashes))) == len(set(marks)) == 8


@pytest.mark.parametrize("place", range(LOOKS))
def test_each_colour_is_declared_for_light_dark_and_print(place: int) -> None:
    style = (Path(plots.__file__).parent / "page.css").read_text()
    assert len(re.findall(rf"--s{place}: #[0-9a-f]{{6}};", style)) == 3


def test_reliability_is_drawn_for_few_detectors_at_a_time(summary: dict[str, Any]) -> None:
    drawn = plots.reliability(summary, many())
    assert [plot.title for plot in drawn] == [f"Reliability of the scores, {n} of 2" for n in (1, 2)]
    few = many(count=2)
    (alone,) = plots.reliability(build_summary(few), few)
    assert alone.title == "Reliability of the scores"


def test_only_the_best_local_detectors_cascade_is_priced_beside_the_judge() -> None:
    run = many()
    *local, asked = run.detectors
    priced = replace(asked, dollars=0.4, dollars_of_pair=np.full(MANY.size, 0.001))
    run = run_of(MANY, *local, priced)
    plot = plots.cost(build_summary(run))
    assert plot
    assert plot.render().count("cascade of ") == 1


@pytest.mark.parametrize("labels", [MANY, UNLABELLED.repeat(20)])
def test_the_picture_grows_with_the_detectors_and_needs_no_labels(labels: np.ndarray, tmp_path: Path) -> None:
    sizes = []
    for count in (5, 8):
        run = many(labels, count)
        draw_comparison(build_summary(run), run, tmp_path / "comparison.png")
        sizes.append(struct.unpack(">II", (tmp_path / "comparison.png").read_bytes()[16:24]))
    (width, height), (same_width, more) = sizes
    assert width == same_width == 1440
    assert height < more


def test_the_page_has_the_overview_a_row_for_each_two_and_most_cascades_folded(tmp_path: Path) -> None:
    run = many()
    write_report(run, rows_of(run), tmp_path, viz=False)
    page = (tmp_path / "report.html").read_text()
    assert "<caption>Overview, the highest accuracy first (95 % intervals)</caption>" in page
    differences = page.split("<caption>Differences on the same pairs")[1].split("</table>")[0]
    assert differences.count("<tr>") == 1 + 28
    folded = page.split("<details><summary>6 more plots</summary>")[1].split("</details>")[0]
    assert folded.count("<strong>Cascade: ") == 6


def test_where_local_detectors_are_many_the_cascade_of_the_best_is_drawn_and_the_others_are_folded(
    summary: dict[str, Any],
) -> None:
    shown, folded = plots.cascades(summary)
    assert [plot.title for plot in shown] == ["Cascade: detector-a, then gpt-4o-mini (simulated)"]
    assert len(folded) == 6


def test_calibrated_scores_of_many_detectors_stay_within_a_hundred_columns() -> None:
    random = np.random.default_rng(4)
    scores = np.where(MANY == 1, 0.6, 0.3) + 0.3 * random.random(MANY.size)
    run = run_of(MANY, *(replace(reactor(MANY, f"a-longer-name-{n}"), scores=scores) for n in range(10)))
    told = render_text(build_summary(run, calibrations=calibrations_of(run, "platt")), colour=False)
    assert "Calibrated on your labels" in told
    assert max(map(len, told.splitlines())) <= 100


def test_colour_and_mark_together_tell_twenty_detectors_apart() -> None:
    marks = set()
    for look in range(20):
        plot = Plot("title", "caption", linear("x", 0, 1), linear("y", 0, 1))
        plot.dot(0.5, 0.5, look)
        marks.add(re.findall(r'<(?:path|circle|rect) class="dot[^>]*>', plot.render())[0])
    assert len(marks) == 20


def test_the_menu_leads_to_every_section_that_is_there(tmp_path: Path) -> None:
    run = many()
    write_report(run, rows_of(run), tmp_path, viz=False)
    page = (tmp_path / "report.html").read_text()
    menu = re.findall(r'<li><a href="#([^"]+)">', page.split("<nav")[1].split("</nav>")[0])
    sections = re.findall(r'<section id="([^"]+)"', page)
    assert {"cascade", "agreement"} <= set(menu)
    assert menu == sections


def test_the_mean_on_a_logarithmic_axis_is_the_mean_of_the_times(tmp_path: Path) -> None:
    quick = replace(reactor(MANY, "quick"), latency_ms=np.where(MANY == 1, 0.002, 0.0001))
    drawn = plots.latency(run_of(MANY, quick, judge(MANY)))
    assert drawn
    assert "quick: mean 0.00086 ms, amortised" in drawn.render()
