"""Cross-fitted calibration: it recovers known distortions, and no pair decides about itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from benchmarks.stats.calibrated_scores import cross_fitted
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.operating_points import FOLDS, folds_of
from kimera.models import MapName, calibration_error, fit_score_map

METHODS: tuple[MapName, ...] = ("platt", "isotonic")
each_method = pytest.mark.parametrize("method", METHODS)


def distorted(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, true probabilities, scores that are a sigmoid of their logits)."""
    random = np.random.default_rng(seed)
    true = random.beta(1, 2, n)
    return (random.random(n) < true).astype(np.int8), true, expit(3 * logit(true) + 1.5)


@each_method
def test_a_known_distortion_is_undone_to_the_noise(method: MapName) -> None:
    labels, true, scores = distorted(6000)
    found = cross_fitted(labels, scores, np.arange(6000), method)
    noise = calibration_error(true, labels == 1)
    assert calibration_error(scores, labels == 1) > 0.1
    assert calibration_error(found.scores, labels == 1) < noise + 0.012
    assert np.abs(found.scores - true).mean() < 0.03


@each_method
@settings(max_examples=20)
@given(fold=st.integers(0, FOLDS - 1), seed=st.integers(0, 5))
def test_the_labels_of_a_fold_do_not_change_its_scores(method: MapName, fold: int, seed: int) -> None:
    labels, _, scores = distorted(300, seed)
    clusters = np.arange(300) // 2
    here = folds_of(clusters) == fold
    others = np.where(here, 1 - labels, labels).astype(np.int8)
    plain, changed = (cross_fitted(given, scores, clusters, method).scores for given in (labels, others))
    np.testing.assert_array_equal(plain[here], changed[here])
    assert (plain[~here] != changed[~here]).any()


@given(st.lists(st.integers(0, 30), min_size=60, max_size=120))
def test_pairs_that_share_a_text_are_in_one_fold(texts: list[int]) -> None:
    clusters = np.unique(texts, return_inverse=True)[1]
    if clusters.max() + 1 < FOLDS:
        return
    fold = folds_of(clusters)
    assert all(np.unique(fold[clusters == one]).size == 1 for one in range(clusters.max() + 1))


def test_a_label_that_a_text_gives_away_is_not_learnt_by_heart() -> None:
    """Each cluster has one score and one label of its own: seen elsewhere, they would be known."""
    random = np.random.default_rng(0)
    clusters = np.repeat(np.arange(200), 5)
    labels = (random.random(200) < 0.5).astype(np.int8)[clusters]
    found = cross_fitted(labels, random.random(200)[clusters], clusters, "isotonic")
    assert ((found.scores >= 0.5) == labels).mean() < 0.6


@each_method
def test_pairs_without_a_label_get_the_map_of_all_others(method: MapName) -> None:
    labels, _, scores = distorted(400)
    labels[:100], scores[:10] = -1, np.nan
    found = cross_fitted(labels, scores, np.arange(400), method)
    assert found.pairs == 300
    assert np.isnan(found.scores[:10]).all()
    whole = fit_score_map(method, scores[100:], labels[100:] == 1)
    np.testing.assert_array_equal(found.scores[10:100], whole(scores[10:100]))


def test_the_same_pairs_give_the_same_scores() -> None:
    labels, _, scores = distorted(300)
    once, again = (cross_fitted(labels, scores, np.arange(300), "platt").scores for _ in range(2))
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize(
    ("labels", "scores", "clusters", "told"),
    [
        (np.repeat([0, 1], [100, 19]), np.linspace(0, 1, 119), np.arange(119), "at least 20 .*there are 19"),
        (np.full(100, -1), np.linspace(0, 1, 100), np.arange(100), "at least 20 .*there are 0"),
        (np.repeat([0, 1], 20), np.full(40, 0.7), np.arange(40), "all are alike"),
        (np.repeat([0, 1], 20), np.linspace(0, 1, 40), np.arange(40) // 5, "at least 10 pairs that share no"),
        (np.repeat([0, 1], 20), np.linspace(0, 1, 40), np.minimum(np.arange(40), 20), "share their texts"),
    ],
)
def test_what_cannot_be_calibrated_says_why(
    labels: np.ndarray, scores: np.ndarray, clusters: np.ndarray, told: str
) -> None:
    with pytest.raises(UndefinedMetricError, match=told):
        cross_fitted(labels.astype(np.int8), scores, clusters, "platt")
