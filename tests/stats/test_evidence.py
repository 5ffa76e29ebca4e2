"""What a run proves, from arrays: intervals beside each figure, and detectors compared two by two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import GUESSES, LABELLED, reactor, run_of
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
)

from benchmarks.detector_info import DetectorInfo, judge_info, local_info
from benchmarks.report import build_summary
from benchmarks.stats import metrics
from benchmarks.stats.agreement_figures import kappa
from benchmarks.stats.evidence import Side, compare, quality_intervals, why_unranked
from benchmarks.stats.formulas import Counts, cells_of
from benchmarks.stats.quality_figures import (
    DIFFERENCES,
    QUALITY,
    balanced_accuracy,
    f1,
    mcc,
    of_counts,
    squared_error,
    surprise,
)
from benchmarks.stats.results import FAILED, SCORE_SOURCES

NAMES = {figure.name for figure in QUALITY}


def sample(n, seed=0, noise=1.0):
    """(labels, verdicts, scores) of a detector that is right more often than not."""
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.4).astype(np.int8)
    scores = 1 / (1 + np.exp(-(2 * labels - 1 + noise * random.normal(size=n))))
    return labels, (scores >= 0.5).astype(np.int8), scores


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 80))
def test_metrics_of_counts_are_scikit_learns(seed, n):
    random = np.random.default_rng(seed)
    truth, said = random.integers(0, 2, (2, n)).astype(np.int8)
    truth[:2], said[:2] = (0, 1), (1, 0)
    counts = Counts.of(cells_of(truth, said))
    assert balanced_accuracy(counts) == pytest.approx(balanced_accuracy_score(truth, said))
    assert f1(counts) == pytest.approx(f1_score(truth, said))
    assert mcc(counts) == pytest.approx(matthews_corrcoef(truth, said), abs=1e-9)
    assert kappa(counts) == pytest.approx(cohen_kappa_score(truth, said), abs=1e-9)
    measured = metrics.quality(truth, said, np.full(n, 0.5)).values
    assert measured["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, said))


def test_losses_are_scikit_learns():
    labels, _, scores = sample(300)
    assert surprise(labels, scores).mean() == pytest.approx(log_loss(labels, scores))
    assert squared_error(labels, scores).mean() == pytest.approx(brier_score_loss(labels, scores))


def test_every_figure_lies_in_its_interval():
    labels, verdicts, scores = sample(400)
    verdicts[:7], scores[:7] = FAILED, np.nan
    labels[50:60] = -1
    figures = metrics.quality(labels, verdicts, scores).values
    intervals = quality_intervals(labels, verdicts, scores, np.arange(400))
    assert set(intervals) == NAMES == set(figures)
    for name, (low, high) in intervals.items():
        assert low < high
        assert low <= figures[name] <= high or name == "calibration_error", name
    low, high = intervals["calibration_error"]
    assert 0 <= low < figures["calibration_error"]  # of a sample it is too great on average, so not below


def test_the_same_seed_gives_the_same_intervals():
    run = sample(120)
    once, again, other = (quality_intervals(*run, np.arange(120), seed=seed) for seed in (1, 1, 2))
    assert once == again != other


def test_copies_make_no_interval_narrower():
    labels, verdicts, scores = sample(200)
    once = quality_intervals(labels, verdicts, scores, np.arange(200))
    copied = quality_intervals(
        labels.repeat(5), verdicts.repeat(5), scores.repeat(5), np.arange(200).repeat(5)
    )
    for name in NAMES - {"calibration_error"}:  # whose bins copies fill otherwise
        assert np.ptp(copied[name]) == pytest.approx(np.ptp(once[name]), rel=0.1), name


@pytest.mark.parametrize(
    ("labels", "verdicts", "left"),
    [
        ([1, 1, 1, 1], [1, 1, 0, 1], {"accuracy", "precision", "recall", "f1"}),
        ([0, 0, 0], [0, 0, 0], {"accuracy"}),
        ([1], [1], {"accuracy", "precision", "recall"}),
        ([-1, -1], [1, 0], set()),
        ([1, 0, 1], [FAILED, FAILED, FAILED], set()),
    ],
)
def test_where_a_figure_cannot_vary_it_has_no_interval(labels, verdicts, left):
    labels, verdicts = np.array(labels, np.int8), np.array(verdicts, np.int8)
    scores = np.where(verdicts == FAILED, np.nan, 0.5 + 0.4 * verdicts)
    found = quality_intervals(labels, verdicts, scores, np.arange(len(labels)), are_ranked=False)
    assert set(found) - {"accuracy_failed_as_wrong"} == left


def test_without_enough_different_scores_there_is_no_ranking_and_no_calibration():
    labels, verdicts, _ = sample(100)
    coarse = np.where(verdicts == 1, 0.9, 0.1)
    found = metrics.quality(labels, verdicts, coarse, unranked="there are fewer than 10 different scores")
    for name in ("roc_auc", "average_precision", "brier", "log_loss", "calibration_error"):
        assert "fewer than 10 different scores" in found.absent[name]
    intervals = quality_intervals(labels, verdicts, coarse, np.arange(100), are_ranked=False)
    assert set(intervals) == set(found.values)


def two(n, seed=0, noise=1.0):
    labels, verdicts, scores = sample(n, seed, noise)
    return labels, Side("reactor", verdicts, scores)


def judge_of(labels, errors, seed=9):
    random = np.random.default_rng(seed)
    verdicts = np.where(random.random(labels.size) < errors, 1 - labels, labels).astype(np.int8)
    return Side("judge", verdicts, np.where(verdicts == 1, 0.95, 0.05), are_ranked=False)


def test_a_better_detector_is_called_better_where_the_run_can_tell():
    labels, reactor = two(2000)
    found = compare(labels, reactor, judge_of(labels, 0.05), np.arange(2000), margin=0.02)
    assert found.pairs == 2000
    assert found.mcnemar == "exact"
    assert found.mcnemar_p < 0.001
    assert found.conclusion(found.mcnemar_p).startswith("judge is better than reactor by")
    assert found.differences["accuracy"] < 0
    for name in ("accuracy", "f1", "mcc"):
        low, high = found.intervals[name]
        assert low < found.differences[name] < high < 0
    assert 0 < found.min_detectable_difference < 0.05
    assert "roc_auc" not in found.differences  # of a judge whose scores are two


def test_few_pairs_cannot_tell():
    labels, reactor = two(50)
    found = compare(labels, reactor, judge_of(labels, 0.15), np.arange(50), margin=0.02)
    assert found.conclusion(found.mcnemar_p).startswith(
        "50 pairs show neither a difference between reactor and judge nor"
    )
    assert found.equivalence_p > 0.05


def test_a_detector_is_equivalent_to_itself():
    labels, reactor = two(3000)
    twin = Side("twin", reactor.verdicts.copy(), reactor.scores)
    found = compare(labels, reactor, twin, np.arange(3000), margin=0.02)
    assert found.differences == dict.fromkeys(of_counts(DIFFERENCES), 0)
    assert found.mcnemar_p == 1
    assert found.conclusion(found.mcnemar_p) == (
        "reactor and twin gave the same verdicts on all 3,000 labelled pairs that both answered, and are "
        "equivalent within 2 points"
    )
    assert "too few pairs" in found.absent["least_difference"]


def test_shared_texts_make_the_test_clustered():
    labels, reactor = two(400)
    judge = judge_of(labels, 0.05)
    clusters = np.arange(400) // 4
    found = compare(labels, reactor, judge, clusters, margin=0.02)
    assert found.mcnemar == "clustered"


def test_without_labels_only_their_agreement_is_known():
    _, reactor = two(100)
    labels = np.full(100, -1, np.int8)
    found = compare(labels, reactor, judge_of(reactor.verdicts, 0.2), np.arange(100), margin=0.02)
    assert set(found.intervals) == {"kappa"}
    assert found.absent == {"differences": "no labelled pair was answered by both"}


ROUNDED = np.round(np.linspace(0.0, 1.0, LABELLED.size), 1)


@pytest.mark.parametrize("of", [local_info("rule", "function"), judge_info("judge")])
@pytest.mark.parametrize(
    ("source", "scores", "reason"),
    [
        ("verdict", GUESSES, "it gives verdicts without scores"),
        ("stated", GUESSES, "there are fewer than 10 different scores"),
        ("stated", ROUNDED, ""),
    ],
)
def test_what_is_left_out_depends_on_what_a_detector_gives_and_not_on_which_it_is(
    of: DetectorInfo, source: str, scores: np.ndarray, reason: str
) -> None:
    size = scores.size
    sources = np.full(size, SCORE_SOURCES.index(source), np.uint8)
    detector = replace(reactor(GUESSES), info=of, scores=scores.astype(np.float64), score_sources=sources)
    (told,) = build_summary(run_of(LABELLED, detector))["detectors"].values()
    for name in ("roc_auc", "average_precision", "brier", "log_loss", "calibration_error"):
        assert (name in told) == (not reason)
        assert told["absent"].get(name, "") == reason


def test_a_local_detector_on_few_pairs_is_ranked_by_as_many_scores() -> None:
    few = replace(reactor(GUESSES[:5]), scores=np.array([0.9, 0.1, 0.2, 0.8, 0.3]))
    assert not why_unranked(few)
    assert why_unranked(replace(few, scores=np.array([0.9, 0.1, 0.1, 0.9, 0.1])))
