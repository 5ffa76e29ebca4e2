"""Platt's and the isotonic map: held to scikit-learn, to known distortions, and to what they promise."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from benchmarks.settings import RunSettings
from kimera.console.options import options_of
from kimera.models.score_maps import FITS, MapName, fit_isotonic, fit_platt, fit_score_map

rows = st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=2, max_size=60)


def arrays(drawn: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score / 50 for score, _ in drawn]), np.array([label for _, label in drawn])


@pytest.mark.parametrize("name", FITS)
@given(rows)
def test_a_higher_score_never_means_less(name: MapName, drawn: list[tuple[int, bool]]) -> None:
    scores, truth = arrays(drawn)
    mapped = fit_score_map(name, scores, truth)(np.linspace(0, 1, 101))
    assert (np.diff(mapped) >= -1e-12).all()
    assert mapped.min() >= 0
    assert mapped.max() <= 1


@given(rows, st.sampled_from([np.sqrt, np.square, lambda scores: 0.1 + scores / 2]))
def test_a_rising_change_of_the_scores_changes_nothing_of_an_isotonic_fit(drawn, change) -> None:  # type: ignore[no-untyped-def]
    scores, truth = arrays(drawn)
    plain, changed = fit_isotonic(scores, truth), fit_isotonic(change(scores), truth)
    np.testing.assert_allclose(changed(change(scores)), plain(scores), atol=1e-12)


@given(rows)
def test_isotonic_maps_are_those_of_scikit_learn_within_the_targets(drawn: list[tuple[int, bool]]) -> None:
    scores, truth = arrays(drawn)
    low, high = 1 / ((~truth).sum() + 2), (truth.sum() + 1) / (truth.sum() + 2)
    theirs = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(scores, truth)
    everywhere = np.linspace(0, 1, 33)
    np.testing.assert_allclose(
        fit_isotonic(scores, truth)(everywhere), theirs.predict(everywhere), atol=1e-12
    )


def test_platts_map_is_the_most_likely_one_for_his_targets() -> None:
    random = np.random.default_rng(1)
    scores = random.uniform(0.02, 0.98, 300)
    truth = random.random(300) < expit(0.6 * logit(scores) - 0.8)
    target = np.where(truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2))

    def loss(map_: np.ndarray) -> float:
        z = map_[0] * logit(scores) + map_[1]
        return float((np.logaddexp(0, z) - target * z).sum())

    best = minimize(loss, np.zeros(2), tol=1e-10).x
    found = fit_platt(scores, truth)
    assert (found.slope, found.offset) == pytest.approx(best, abs=1e-3)


def test_platts_map_undoes_a_known_distortion() -> None:
    random = np.random.default_rng(0)
    true = random.beta(1, 2, 50_000)
    found = fit_platt(expit(2.5 * logit(true) + 1.0), random.random(50_000) < true)
    assert found.slope == pytest.approx(1 / 2.5, abs=0.02)
    assert found.offset == pytest.approx(-1 / 2.5, abs=0.03)


def test_scores_that_separate_the_classes_give_a_finite_map() -> None:
    truth = np.repeat([False, True], 30)
    mapped = fit_platt(np.where(truth, 1.0, 0.0), truth)(np.array([0.0, 1.0]))
    assert mapped == pytest.approx([1 / 32, 31 / 32], abs=1e-3)


def test_scores_against_the_labels_are_not_turned_round() -> None:
    truth = np.tile([True, True, False], 30)
    against = np.where(truth, 0.2, 0.7) + np.linspace(0, 0.1, 90)
    found = fit_platt(against, truth)
    assert found.slope == 0
    assert found(against) == pytest.approx(np.full(90, 2 / 3), abs=0.02)


@pytest.mark.parametrize("name", FITS)
def test_what_has_no_score_stays_without_one(name: MapName) -> None:
    scores, truth = np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, True, False, True])
    assert np.isnan(fit_score_map(name, scores, truth)(np.array([np.nan, 0.5]))).tolist() == [True, False]


def test_the_command_line_offers_every_map() -> None:
    assert list(options_of(RunSettings)["calibrate"].choices or ()) == list(FITS) == list(get_args(MapName))
