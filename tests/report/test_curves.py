"""The points that a report draws are those of the figures beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import GUESSES, LABELLED, judge, reactor, run_of

from benchmarks.report import curves
from benchmarks.report.pair_table import clipped, visible
from benchmarks.report.plots import concurrency
from benchmarks.report.svg import linear, logarithmic
from benchmarks.stats.formulas import Ranking
from benchmarks.stats.quality_figures import average_precision, roc_auc
from kimera.files import marked

scored = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.2, 0.5, 0.9]) | st.floats(0, 1)), min_size=2
).filter(lambda pairs: len({truth for truth, _ in pairs}) == 2)


def arrays(pairs: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = zip(*pairs, strict=True)
    return np.array(truth, np.int8), np.array(scores)


@given(scored)
def test_the_area_under_the_roc_curve_is_the_one_that_is_reported(pairs: list) -> None:
    truth, scores = arrays(pairs)
    x, y = np.array(curves.roc(truth, scores)).T
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(roc_auc(truth, scores))


@given(scored)
def test_the_area_under_the_steps_of_precision_is_the_average_precision(pairs: list) -> None:
    truth, scores = arrays(pairs)
    x, y = np.array(curves.precision_recall(truth, scores)).T
    assert np.trapezoid(y, x) == pytest.approx(average_precision(*Ranking(truth, scores).counts()))


def test_many_points_are_thinned_and_keep_their_ends() -> None:
    scores = np.random.default_rng(0).random(50_000)
    truth = (scores > 0.4).astype(np.int8)
    points = curves.roc(truth, scores)
    assert len(points) == curves.MAX_POINTS
    assert (points[0], points[-1]) == ((0, 0), (1, 1))


@given(st.lists(st.floats(0.001, 1e6), min_size=1))
def test_a_distribution_rises_from_nothing_to_all(values: list[float]) -> None:
    points = curves.distribution(np.array(values))
    assert points[0] == (min(values), 0)
    assert points[-1] == (max(values), 1)
    assert points == sorted(points)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(1, 50_000)), min_size=1))
def test_the_most_requests_in_flight_are_those_that_overlap(answers: list[tuple[float, float]]) -> None:
    done_s, latency_ms = (np.array(each) for each in zip(*answers, strict=True))
    begun_s = np.maximum(0, done_s - latency_ms / 1000)
    maximum = max(int(((begun_s <= at) & (done_s >= at)).sum()) for at in begun_s)
    points = curves.in_flight(done_s, latency_ms, 100.0)
    assert max(height for _, height in points) == maximum
    assert [second for second, _ in points] == sorted(second for second, _ in points)
    assert points[-1][1] == 0


def test_the_limits_that_async_auto_found_are_drawn_beside_the_requests() -> None:
    timed = replace(judge(LABELLED), done_s=np.arange(1, 21, dtype=np.float32) / 10)
    found = replace(timed, limit_changes=((0.0, 4, "start"), (1.0, 9, "no limit met")))
    for each, drawn in ((judge(LABELLED), None), (timed, 0), (found, 1)):
        plot = concurrency(run_of(LABELLED, reactor(GUESSES), each))
        assert (plot and plot.render().count('class="line faint')) == drawn


@given(st.floats(-10, 10), st.floats(0.01, 1e6))
def test_an_axis_holds_its_ends_and_numbers_both(low: float, width: float) -> None:
    axis = linear("", low, low + width)
    assert axis.low <= low + 1e-9 * width
    assert axis.high >= low + width - 1e-9 * width
    assert axis.ticks[0][0] == axis.low
    assert axis.ticks[-1][0] == axis.high
    assert 2 <= len(axis.ticks) <= 9


def test_a_logarithmic_axis_ends_at_powers_of_ten() -> None:
    axis = logarithmic("", 3.0, 480.0)
    assert (axis.low, axis.high) == (1, 1000)
    assert axis.share(1) == 0
    assert axis.share(1000) == 1
    assert axis.share(10) == pytest.approx(1 / 3)


@given(st.text(), st.text())
def test_marked_pieces_join_to_the_whole_text(first: str, second: str) -> None:
    pieces = marked(first, second)
    assert tuple("".join(each) for each in pieces) == (first, second)


@pytest.mark.parametrize(
    ("first", "second", "marks"),
    [
        ("A cat sleeps.", "a CAT sleeps.", ([], [])),
        ("The door is open.", "The door is not open.", ([], ["not"])),
        ("Anna paid Ben.", "Ben paid Anna.", (["paid Ben"], ["Ben paid"])),
        ("猫が寝る", "犬が寝る", (["猫"], ["犬"])),
    ],
)
def test_only_words_that_differ_are_marked(first: str, second: str, marks: tuple) -> None:
    assert tuple(each[1::2] for each in marked(first, second)) == marks


@given(st.text(st.characters()))
def test_nothing_that_is_not_seen_is_left_in_a_text(text: str) -> None:
    shown = visible(text)
    assert all(c.isprintable() or c in "\n\t" or c.isspace() for c in shown)
    assert not set(shown) & set("\u202a\u202e\u2066\u2069\u200f\u2028\u2029\x1b\x00")
    assert visible(shown) == shown


def test_a_cut_text_says_how_long_it_was() -> None:
    assert clipped("abcdef", 6) == "abcdef"
    assert clipped("abcdefg", 6) == "abcdef… (6 of 7 characters)"
