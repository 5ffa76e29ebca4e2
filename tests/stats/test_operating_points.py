"""Thresholds, prevalence and price: held to scikit-learn, to arithmetic, and to simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from benchmarks.data.families import families_of
from benchmarks.stats.figure import Shown
from benchmarks.stats.intervals import ratio_interval
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.operating_points import (
    at_prevalence,
    best_threshold,
    cost_of_found,
    cross_validated_threshold,
)
from benchmarks.stats.quality_figures import of_counts, shown_in


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=40))
def test_no_threshold_has_a_better_f1_than_the_best(rows: list[tuple[bool, int]]) -> None:
    truth = np.array([label for label, _ in rows], np.int8)
    scores = np.array([score / 20 for _, score in rows])
    if not truth.any():
        with pytest.raises(UndefinedMetricError, match="is a contradiction"):
            best_threshold(truth, scores)
        return
    found = f1_score(truth, scores >= best_threshold(truth, scores))
    every = [f1_score(truth, scores >= cut) for cut in (*np.unique(scores), 0.0)]
    assert found == pytest.approx(max(every))


def test_a_threshold_that_is_off_is_found_in_cross_validation() -> None:
    random = np.random.default_rng(0)
    truth = (random.random(3000) < 0.5).astype(np.int8)
    scores = np.clip(0.2 + 0.2 * truth + random.normal(size=3000) * 0.05, 0, 1)
    found = cross_validated_threshold(truth, scores, np.arange(3000))
    assert found.threshold == pytest.approx(0.3, abs=0.03)
    assert (found.verdicts == truth).mean() > 0.95 > (truth == (scores >= 0.5)).mean()


def test_noise_gains_nothing_by_choosing_a_threshold() -> None:
    """Tuned on the pairs it is shown on, the best of many thresholds would look better than it is."""
    random = np.random.default_rng(3)
    gains = []
    for _ in range(40):
        truth = (random.random(60) < 0.5).astype(np.int8)
        scores = random.random(60)
        found = cross_validated_threshold(truth, scores, np.arange(60))
        gains.append((found.verdicts == truth).mean() - 0.5)
    assert abs(np.mean(gains)) < 0.05


def test_pairs_that_share_a_text_are_never_on_both_sides() -> None:
    """Each cluster holds one label and one score of its own: seen elsewhere, it would be known by heart."""
    truth = np.repeat(np.arange(40) % 2, 5).astype(np.int8)
    clusters = np.repeat(np.arange(40), 5)
    found = cross_validated_threshold(truth, np.random.default_rng(0).random(40)[clusters], clusters)
    assert all(np.unique(found.verdicts[clusters == one]).size == 1 for one in range(40))


def test_too_few_pairs_are_not_cross_validated() -> None:
    with pytest.raises(UndefinedMetricError, match="at least 10 pairs"):
        cross_validated_threshold(np.ones(9, np.int8), np.linspace(0, 1, 9), np.arange(9))


def test_at_the_prevalence_of_the_run_nothing_changes_and_elsewhere_bayes_holds() -> None:
    counts = np.array([700.0, 100, 40, 160])  # right and wrong about 800 others and 200 contradictions
    formulas = of_counts(shown_in(Shown.PREVALENCE))
    here = {name: float(at_prevalence(of, 0.2)(counts)) for name, of in formulas.items()}
    assert here == pytest.approx({"accuracy": 0.86, "precision": 160 / 260, "f1": 320 / 460})
    precision = float(at_prevalence(formulas["precision"], 0.01)(counts))
    assert precision == pytest.approx(0.01 * 0.8 / (0.01 * 0.8 + 0.99 * 0.125))


def test_a_contradiction_costs_more_where_they_are_rarer() -> None:
    value, interval = cost_of_found(0.001, 0.8, (0.7, 0.9), 0.01)
    assert value == pytest.approx(0.125)
    assert interval == pytest.approx((0.001 / 0.009, 0.001 / 0.007))
    with pytest.raises(UndefinedMetricError, match="no contradiction was found"):
        cost_of_found(0.001, 0.0, None, 0.01)


def test_the_interval_of_a_ratio_covers_what_is_true_of_all_pairs() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        clusters = np.repeat(np.arange(150), 2)
        price = np.repeat(random.gamma(20, 1e-5, 150), 2)
        right = random.random(300) < np.repeat(random.beta(8, 2, 150), 2)
        ratio, (low, high) = ratio_interval(price, right.astype(float), clusters)
        assert low < ratio < high
        covered += low <= 20e-5 / 0.8 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_nothing_right_has_no_price() -> None:
    with pytest.raises(UndefinedMetricError, match="nothing to divide"):
        ratio_interval(np.ones(5), np.zeros(5), np.arange(5))


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("data/snli.test.jsonl.gz", ["SNLI"]),
        ("hf:nyu-mll/multi_nli:validation_matched", ["MultiNLI"]),
        ("negation_nli_snli.test.jsonl.gz", ["SNLI"]),
        ("MultiNLI, part of the training set (some rows tokenised)", ["MultiNLI"]),
        ("Counterfactually augmented NLI (revisions of SNLI)", ["SNLI"]),
        ("fever_symmetric.dev.jsonl.gz", ["FEVER"]),
        ("kimera-everyday", []),
        ("panlingua.csv", []),
        ("/home/hans/snli/pairs.csv", []),
        ("sick_leave.csv", []),
        ("fever_patients.csv", []),
        ("disco_songs.csv", []),
        ("esnli.csv", ["SNLI"]),
        ("anlir1.jsonl", ["ANLI"]),
        ("sick.test.jsonl.gz", ["SICK"]),
        ("FEVER, evidence and claim (long premises; no neutral)", ["FEVER"]),
    ],
)
def test_a_name_tells_of_its_family(name: str, families: list[str]) -> None:
    assert families_of([name]) == families
