"""Intervals of one detector's figures: what others compute, what theory says, and the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from benchmarks.stats.intervals import (
    ClusterCounts,
    auc_components,
    auc_interval,
    auc_variance,
    bca,
    clusters_of,
    count_interval,
    effective_size,
    wilson,
)
from benchmarks.stats.metrics import UndefinedMetricError

# Cells of truth and verdict: right and wrong.
ACCURACY_CELLS = 2


def accuracy_of(counts):
    return counts[..., 1] / counts.sum(axis=-1)


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_is_statsmodels(n, share):
    found = round(share * n)
    low, high = proportion_confint(found, n, method="wilson")
    assert wilson(found / n, n) == pytest.approx((low, high), abs=1e-12)


def test_wilson_is_newcombes_published_example():
    """81 of 263: 0.2553 to 0.3662 (Newcombe 1998, table I)."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_independent_pairs_count_whole_and_copies_once():
    values = np.random.default_rng(0).integers(0, 2, 400).astype(float)
    assert effective_size(values, np.arange(400)) == 400
    copied = np.repeat(values, 5)
    assert effective_size(copied, np.repeat(np.arange(400), 5)) == pytest.approx(400, rel=0.01)


def test_clusters_of_what_never_varies_count_once_each():
    assert effective_size(np.ones(30), np.repeat(np.arange(10), 3)) == 10


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(2, 60), st.sampled_from([3, 1000]))
def test_the_area_is_scikit_learns_and_its_variance_is_the_textbooks(seed, m, n, levels):
    random = np.random.default_rng(seed)
    truth = np.repeat([1, 0], [m, n])
    scores = np.round(random.random(m + n) * levels) / levels
    found = auc_components(truth, scores)
    assert found.auc == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    psi = (scores[:m, None] > scores[None, m:]) + 0.5 * (scores[:m, None] == scores[None, m:])
    expected = psi.mean(axis=1).var(ddof=1) / m + psi.mean(axis=0).var(ddof=1) / n
    variance = auc_variance(found.placement - found.auc, found.truth, np.arange(m + n))
    assert variance == pytest.approx(expected, abs=1e-12)


def test_copies_of_pairs_do_not_make_an_area_surer():
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 300)
    scores = truth + random.normal(size=300)
    once = auc_interval(auc_components(truth, scores), np.arange(300))
    often = auc_interval(
        auc_components(np.repeat(truth, 4), np.repeat(scores, 4)), np.repeat(np.arange(300), 4)
    )
    assert often == pytest.approx(once, abs=0.002)


def test_bca_is_scipys():
    random = np.random.default_rng(2)
    right = random.random(120) < 0.85
    counts = ClusterCounts.of(right.astype(int), np.arange(120), ACCURACY_CELLS)
    low, high = count_interval(accuracy_of, counts, counts.draws(0, 20_000))
    theirs = bootstrap((right.astype(float),), np.mean, n_resamples=20_000, method="BCa", rng=random)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)


def test_a_bootstrap_resamples_clusters():
    """Of copies its interval is that of the pairs copied, not a narrower one."""
    right = (np.arange(100) % 5 > 0).astype(int)
    once = ClusterCounts.of(right, np.arange(100), ACCURACY_CELLS)
    often = ClusterCounts.of(np.repeat(right, 6), np.repeat(np.arange(100), 6), ACCURACY_CELLS)
    assert len(often.kinds) == 2
    assert count_interval(accuracy_of, once, once.draws(3)) == count_interval(
        accuracy_of, often, often.draws(3)
    )


def test_the_same_seed_gives_the_same_interval():
    random = np.random.default_rng(4)
    clusters = random.integers(0, 40, 500)
    clusters = clusters_of(clusters)
    counts = ClusterCounts.of(random.integers(0, 2, 500), clusters, ACCURACY_CELLS)
    assert np.array_equal(counts.draws(5, 100), counts.draws(5, 100))
    assert counts.draws(5, 100).shape == (100, 2)
    assert (counts.total == counts.times @ counts.kinds).all()


def test_what_nothing_varies_in_has_no_interval_but_a_reason():
    counts = ClusterCounts.of(np.ones(50, int), np.arange(50), ACCURACY_CELLS)
    with pytest.raises(UndefinedMetricError, match="no variance"):
        count_interval(accuracy_of, counts, counts.draws(0))
    with pytest.raises(UndefinedMetricError, match="do not overlap"):
        auc_interval(auc_components(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])), np.arange(4))
    with pytest.raises(UndefinedMetricError, match="same label"):
        auc_components(np.ones(5), np.arange(5.0))
    with pytest.raises(UndefinedMetricError, match="no value"):
        bca(0.5, np.full(100, np.nan), np.full(3, 0.5), np.ones(3))


@pytest.mark.parametrize("share", [0.7, 0.95])
def test_intervals_cover_what_is_true(share):
    """A small trial: 300 samples of 200 pairs in clusters of one to three."""
    random = np.random.default_rng(6)
    covered = {"wilson": 0, "bca": 0}
    for seed in range(300):
        clusters = np.repeat(np.arange(200), random.integers(1, 4, 200))[:200]
        alike, own = random.random((2, 200)) < share
        right = np.where(random.random(200) < 0.5, alike[clusters], own)
        wide = wilson(right.mean(), effective_size(right.astype(float), clusters))
        covered["wilson"] += wide[0] <= share <= wide[1]
        counts = ClusterCounts.of(right.astype(int), clusters, ACCURACY_CELLS)
        low, high = count_interval(accuracy_of, counts, counts.draws(seed, 500))
        covered["bca"] += low <= share <= high
    assert all(0.90 * 300 <= count <= 0.99 * 300 for count in covered.values()), covered
