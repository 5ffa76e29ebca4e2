"""What a cascade would have been worth: both ends, what lies between, and what cannot be said."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cascade.trade_off import curve
from benchmarks.stats.figure import Shown
from benchmarks.stats.metrics import UndefinedMetricError, quality
from benchmarks.stats.quality_figures import names_in


def run_of(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(truth, the reactor's scores, the verdicts of a judge that errs on one pair of twenty)."""
    random = np.random.default_rng(seed)
    truth = (random.random(n) < 0.4).astype(np.int8)
    scores = 1 / (1 + np.exp(-(random.normal(size=n) + np.where(truth == 1, 1.2, -1.2))))
    return truth, scores, np.where(random.random(n) < 0.05, 1 - truth, truth).astype(np.int8)


def test_its_ends_are_the_reactor_and_the_judge_alone() -> None:
    truth, scores, judged = run_of(500)
    first, *_, last = curve(truth, scores, judged, np.arange(500), np.full(500, 0.01), margin=0.02).points
    alone = (scores >= 0.5).astype(np.int8)
    for point, said in ((first, alone), (last, judged)):
        values = quality(truth, said, scores).values
        expected = {name: values[name] for name in names_in(Shown.ELSEWHERE)}
        assert point.metrics == pytest.approx(expected)
    assert (first.sent, first.dollars, last.sent, last.difference) == (0, 0, 1, 0)
    assert last.dollars == pytest.approx(5.0)


def test_each_point_sends_about_its_share_and_lies_within_its_interval() -> None:
    truth, scores, judged = run_of(2000)
    for number, point in enumerate(curve(truth, scores, judged, np.arange(2000), None, margin=0.02).points):
        assert point.sent == pytest.approx(number / 20, abs=0.02)
        low, high = point.intervals["accuracy"]
        assert low <= point.metrics["accuracy"] <= high
        assert point.dollars is None


def test_from_the_indistinguishable_point_on_the_judge_is_never_shown_to_be_better() -> None:
    truth, scores, judged = run_of(3000)
    found = curve(truth, scores, judged, np.arange(3000), None, margin=0.02)
    assert found.indistinguishable
    at = found.points.index(found.indistinguishable)
    assert 0 < at < 20
    assert not any(point.is_worse for point in found.points[at:])
    assert found.points[at - 1].is_worse


def test_a_judge_that_knows_everything_is_made_up_for_by_nothing_less() -> None:
    """Where the reactor is wrong at random and never in doubt about it."""
    random = np.random.default_rng(1)
    truth = (random.random(4000) < 0.5).astype(np.int8)
    wrong = random.random(4000) < 0.2
    scores = np.where(wrong, 1 - truth, truth) * 0.98 + 0.01
    found = curve(truth, scores, truth, np.arange(4000), None, margin=0.02)
    assert found.indistinguishable == found.points[-1]


def test_pairs_that_share_a_text_lie_in_the_same_half_and_widen_the_intervals() -> None:
    truth, scores, judged = (np.repeat(column, 4) for column in run_of(400))
    alone = curve(truth, scores, judged, np.arange(1600), None, margin=0.02).points[10]
    shared = curve(truth, scores, judged, np.repeat(np.arange(400), 4), None, margin=0.02).points[10]
    assert np.diff(shared.intervals["accuracy"]) > 1.5 * np.diff(alone.intervals["accuracy"])


def test_one_pair_has_no_halves() -> None:
    one = np.ones(1, np.int8)
    with pytest.raises(UndefinedMetricError, match="too few pairs"):
        curve(one, np.array([0.9]), one, np.zeros(1, np.int64), None, margin=0.02)


def test_however_few_the_pairs_the_judge_alone_is_no_worse_than_itself() -> None:
    truth = (np.arange(80) % 4 == 0).astype(np.int8)
    guesses = np.where(np.arange(80) < 34, 1 - truth, truth).astype(np.int8)
    found = curve(truth, truth * 0.98 + 0.01, guesses, np.arange(80), None, margin=0.02)
    assert found.not_worse == found.points[0]
    found = curve(truth, guesses * 0.98 + 0.01, truth, np.arange(80), None, margin=0.02)
    assert found.not_worse == found.points[-1]


def test_the_local_detector_alone_is_no_worse_whatever_points_between_show() -> None:
    """As the decision says of the two, which compares them alone."""
    random = np.random.default_rng(2)
    truth = (random.random(120) < 0.5).astype(np.int8)
    scores = 1 / (1 + np.exp(-(random.normal(size=120) + np.where(truth == 1, 0.5, -0.5))))
    judged = np.where(random.random(120) < 0.45, 1 - truth, truth).astype(np.int8)
    found = curve(truth, scores, judged, np.arange(120), None, margin=0.02)
    assert any(point.difference_interval[0] < -0.02 for point in found.points[:-1])
    assert found.points[0].difference_interval[0] > -0.02
    assert found.not_worse == found.points[0]
