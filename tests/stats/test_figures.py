"""Each figure is declared once: what is generated is fresh, and what is declared is measured and shown."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import GUESSES, LABELLED, SOME_FAILED, judge, partly_labelled_run, reactor, run_of
from test_evidence import sample

from benchmarks.judge import TOKENS
from benchmarks.report import build_summary
from benchmarks.report.calibrations import calibrations_of
from benchmarks.report.comparison_rows import comparison_groups
from benchmarks.report.words import label
from benchmarks.stats.agreement_figures import KAPPA, OF_TWO
from benchmarks.stats.evidence import Side, compare, quality_intervals
from benchmarks.stats.figure import Method, QualityFigure, Shown
from benchmarks.stats.figure_tables import (
    FIGURES_OF,
    SCHEMA,
    STATISTICS,
    figures_table,
    with_figures,
    written,
)
from benchmarks.stats.figures import BY_NAME, OF_DETECTORS
from benchmarks.stats.formulas import Counts, cells_of
from benchmarks.stats.gates import FROM_LABELS
from benchmarks.stats.quality_figures import DIFFERENCES, QUALITY, of_counts, shown_in
from benchmarks.stats.results import SCORE_SOURCES
from benchmarks.stats.schema import figures, load_schema

STALE = "run python -m benchmarks.stats.figure_tables"
OF_COUNTS = of_counts((*QUALITY, KAPPA))
counted = st.lists(st.integers(0, 200), min_size=4, max_size=4)


def test_the_schema_holds_every_figure_as_it_is_declared() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == written(with_figures(load_schema())) + "\n", STALE


def test_a_schema_without_figures_gets_them_again() -> None:
    schema = load_schema()
    bare = copy.deepcopy(schema)
    for name in ("accuracy", "f1", "pairs_per_s"):
        del bare["$defs"]["detector"]["properties"][name]
    del bare["$defs"]["quality_intervals"]["properties"]["f1"]
    assert with_figures(bare) == schema


def test_the_document_explains_every_figure_of_quality() -> None:
    assert figures_table() in STATISTICS.read_text(encoding="utf-8"), STALE


def test_a_figure_has_one_name_and_no_two_have_one_label() -> None:
    declared = [figure.name for figure in (*OF_DETECTORS, *OF_TWO)]
    assert Counter(declared).most_common(1)[0][1] == 1
    assert len({figure.label for figure in BY_NAME.values()}) == len(BY_NAME)


def test_every_declared_figure_may_be_asked_for_in_a_gate() -> None:
    assert {figure.name for figure in OF_DETECTORS} <= figures("detector")
    assert {figure.name for figure in OF_TWO} <= figures("agreement")
    assert {f"differences.{figure.name}.low" for figure in DIFFERENCES} <= figures("agreement")
    assert {figure.name for figure in FIGURES_OF["detector"] if figure.takes_labels} == {
        name for name in figures("detector") & BY_NAME.keys() if name.startswith(FROM_LABELS)
    }


def test_every_figure_with_a_method_has_an_interval_and_no_other() -> None:
    found = quality_intervals(*sample(200), np.arange(200))
    assert found.keys() == {figure.name for figure in QUALITY if figure.interval}


def test_a_share_has_wilsons_interval_and_another_figure_of_counts_a_bootstraps() -> None:
    wilsons = {figure.name for figure in QUALITY if figure.interval is Method.WILSON}
    assert {name for name, of in OF_COUNTS.items() if of.among} == wilsons


def test_every_figure_shown_as_a_difference_is_compared() -> None:
    labels, verdicts, scores = sample(200)
    _, others, other_scores = sample(200, seed=0, noise=3.0)
    found = compare(
        labels, Side("a", verdicts, scores), Side("b", others, other_scores), np.arange(200), margin=0.02
    )
    assert list(found.differences) == [figure.name for figure in DIFFERENCES]
    assert {*found.differences} <= found.intervals.keys()


def test_every_declared_figure_is_in_the_summary_of_a_run_that_has_them_all() -> None:
    asked = replace(
        judge(SOME_FAILED, repeat=2, swap=True),
        stated=np.where(SOME_FAILED < 0, np.nan, 0.7),
        score_sources=np.full(20, SCORE_SOURCES.index("logprobs"), np.uint8),
        variants=np.stack([SOME_FAILED] * 4, axis=1),
        dollars=0.02,
        dollars_of_pair=np.full(20, 0.001),
        stated_dollars=np.where(SOME_FAILED < 0, np.nan, 0.001),
        busy_s=3.0,
        tokens=dict.fromkeys(TOKENS, 1),
        settings={"logprobs": True},
        classes=np.where(SOME_FAILED < 0, -1, 0).astype(np.int8),
    )
    three_way = np.where(LABELLED == 1, 0, 1 + np.arange(20) % 2).astype(np.int8)
    run = replace(run_of(LABELLED, reactor(GUESSES), asked), classes=three_way)
    calibrations = calibrations_of(run, "platt")
    whole = build_summary(run, prevalence=0.01, calibrations=calibrations)
    partly = build_summary(partly_labelled_run())
    detectors = [*whole["detectors"].values(), *partly["detectors"].values()]
    there = {name for detector in detectors for name in (*detector["absent"], *dotted(detector))}
    assert {figure.name for figure in OF_DETECTORS} <= there


def dotted(part: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in part.items():
        yield from dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else (prefix + name,)


def test_a_figure_has_the_interval_that_it_declares_and_no_other() -> None:
    run = run_of(
        LABELLED, replace(judge(SOME_FAILED), dollars=0.02, dollars_of_pair=np.linspace(0.001, 0.002, 20))
    )
    (detector,) = build_summary(run, prevalence=0.01)["detectors"].values()
    for group in ("cost", "at_prevalence"):
        declared = {
            name for name in detector[group] if (of := BY_NAME.get(f"{group}.{name}")) and of.interval
        }
        assert detector[group]["intervals"].keys() <= declared


def test_only_figures_of_counts_are_restated_or_measured_on_other_verdicts() -> None:
    elsewhere = {*shown_in(Shown.ELSEWHERE), *shown_in(Shown.PREVALENCE)}
    assert {figure.name for figure in elsewhere} <= OF_COUNTS.keys()


def test_the_report_has_a_row_for_each_figure_in_the_order_of_the_declarations() -> None:
    _, (_, rows), *_ = comparison_groups(build_summary(run_of(LABELLED, reactor(GUESSES))))
    labels = [figure.label for figure in QUALITY if Shown.TABLE in figure.shown]
    assert [name for name, _ in rows if name in labels] == labels


@given(st.lists(counted, min_size=1, max_size=6))
def test_a_formula_gives_for_many_samples_what_it_gives_for_each(samples: list[list[int]]) -> None:
    cells = np.array(samples, dtype=np.float64)
    for name, of in OF_COUNTS.items():
        each = np.array([of(one) for one in cells])
        np.testing.assert_array_equal(of(cells), each, err_msg=name)


@pytest.mark.parametrize("figure", [*QUALITY, KAPPA], ids=lambda figure: figure.name)
@given(counted)
def test_a_figure_of_counts_has_no_value_exactly_where_a_need_is_not_met(
    figure: QualityFigure, cells: list[int]
) -> None:
    if figure.name not in OF_COUNTS or not any(cells):
        return
    counts = Counts.of(np.array(cells, dtype=np.float64))
    is_met = all(need.holds(counts) for need in figure.needs)
    assert is_met != np.isnan(OF_COUNTS[figure.name](np.array(cells)))


def test_cells_are_counted_in_their_order() -> None:
    truth, said = np.array([0, 0, 1, 1, 1], np.int8), np.array([0, 1, 0, 1, 1], np.int8)
    assert Counts.of(cells_of(truth, said)) == Counts(tn=1, fp=1, fn=1, tp=2)


def test_labels_are_words() -> None:
    assert label("roc_auc") == "ROC AUC"
    assert label("latency_ms.p95") == "p95 latency"
