"""Two detectors on the same pairs: what others compute, published examples, and the edges."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from benchmarks.stats.intervals import auc_components
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.paired import (
    accuracy_difference_interval,
    auc_difference,
    conclusion,
    design_effect,
    equivalence,
    holm,
    mcnemar_clustered,
    mcnemar_exact,
    min_detectable_difference,
    tango_z,
)


@pytest.fixture(scope="module")
def frozen_heap() -> Iterator[None]:
    """`multipletests` collects garbage at every call: it need not look through what is there already."""
    gc.freeze()
    yield
    gc.unfreeze()


@given(st.integers(0, 300), st.integers(0, 300))
def test_exact_mcnemar_is_statsmodels(only_a, only_b):
    expected = min(1.0, mcnemar([[5, only_a], [only_b, 9]], exact=True).pvalue)
    assert mcnemar_exact(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_six_discordant_pairs_are_the_least_that_tell():
    assert mcnemar_exact(5, 0) > 0.05 > mcnemar_exact(6, 0)


def test_clustered_mcnemar_of_single_pairs_is_the_plain_chi_squared():
    right_a = np.array([1] * 15 + [0] * 5 + [1] * 40, bool)
    right_b = np.array([0] * 15 + [1] * 5 + [1] * 40, bool)
    expected = mcnemar([[40, 15], [5, 0]], exact=False, correction=False).pvalue
    assert mcnemar_clustered(right_a, right_b, np.arange(60)) == pytest.approx(expected)


def test_copies_of_a_disagreement_tell_no_more_than_one():
    right_a, right_b = np.array([1, 1, 0, 1], bool), np.array([0, 1, 1, 0], bool)
    twice = mcnemar_clustered(right_a.repeat(2), right_b.repeat(2), np.arange(4).repeat(2))
    often = mcnemar_clustered(right_a.repeat(9), right_b.repeat(9), np.arange(4).repeat(9))
    assert often == pytest.approx(twice)
    assert design_effect(right_a.repeat(9), right_b.repeat(9), np.arange(4).repeat(9)) > 8


def test_tangos_interval_is_his_published_example():
    """Of 44 pairs with none and 1 discordant: -0.119 to 0.061 is what Tango (1998) and others give."""
    low, high = accuracy_difference_interval(0, 1, 44)
    assert (low, high) == pytest.approx((-0.1181, 0.0601), abs=0.002)


@given(st.integers(0, 80), st.integers(0, 80), st.integers(160, 400))
def test_the_interval_of_the_difference_is_what_the_score_does_not_reject(only_a, only_b, n):
    low, high = accuracy_difference_interval(only_a, only_b, n)
    assert low <= (only_a - only_b) / n <= high
    for end in (low, high):
        assert abs(tango_z(only_a, only_b, n, end)) == pytest.approx(1.959964, abs=1e-4)


def test_the_score_at_no_difference_is_mcnemars():
    assert tango_z(30, 12, 500, 0) == pytest.approx((30 - 12) / np.sqrt(42))


def test_equivalence_is_shown_by_many_pairs_and_not_by_few():
    assert equivalence(30, 30, 4000, 0.02).is_shown
    assert not equivalence(3, 3, 50, 0.02).is_shown
    assert not equivalence(300, 100, 4000, 0.02).is_shown
    assert not equivalence(30, 30, 4000, 0.02, effect=40).is_shown


@pytest.mark.usefixtures("frozen_heap")
@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@pytest.mark.parametrize(
    ("n", "discordance", "points"),
    [(200, 0.10, 6.2), (200, 0.15, 7.6), (200, 0.20, 8.8), (1000, 0.10, 2.8), (1000, 0.15, 3.4)],
)
def test_the_least_difference_is_that_of_the_tables(n, discordance, points):
    assert 100 * min_detectable_difference(n, discordance) == pytest.approx(points, abs=0.06)


def test_where_too_few_pairs_differ_no_difference_can_be_seen():
    for n, discordance in ((50, 0.0), (50, 0.02)):
        with pytest.raises(UndefinedMetricError, match="too few"):
            min_detectable_difference(n, discordance)


def test_areas_of_one_ranking_do_not_differ_and_of_others_do():
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 800)
    good, poor = truth + random.normal(size=800), truth + 3 * random.normal(size=800)
    a, b = auc_components(truth, good), auc_components(truth, poor)
    difference, (low, high), p = auc_difference(a, b, np.arange(800))
    assert low < difference < high
    assert difference == pytest.approx(a.auc - b.auc)
    assert p < 1e-6
    with pytest.raises(UndefinedMetricError, match="rank the pairs alike"):
        auc_difference(a, a, np.arange(800))


def test_words_follow_the_numbers():
    alike = equivalence(30, 30, 4000, 0.02)
    apart = equivalence(3, 3, 50, 0.02)
    assert (
        conclusion("a", "b", 0.0, (-0.01, 0.01), 1.0, alike, 4000) == "a and b are equivalent within 2 points"
    )
    assert conclusion("a", "b", -0.05, (-0.09, -0.01), 0.01, apart, 50) == "b is better than a by 5.0 points"
    assert conclusion("a", "b", 0.01, (0.002, 0.018), 0.01, alike, 4000) == (
        "a is better than b by 1.0 points, and they are equivalent within 2 points"
    )
    assert conclusion("a", "b", 0.05, (-0.04, 0.14), 0.3, apart, 50) == (
        "50 pairs show neither a difference between a and b nor that they are equivalent within 2 points"
    )
