"""How many labels a wanted interval or difference takes: held against the estimates that runs make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.stats.few_labels import KnownPairs, answered, questions_of_detector
from benchmarks.stats.intervals import wilson
from benchmarks.stats.label_plan import (
    ExpectedSide,
    WidthPlan,
    accuracy_of,
    block_size,
    discordance_of,
    expected_cells,
    labels_for_difference,
)
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.paired import mcnemar_exact, min_detectable_difference, pairs_to_detect

PAIRS = 4000
shares = st.floats(0.05, 0.95)


def drawn(
    cells: np.ndarray, n: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two detectors' verdicts of pairs as the cells say, int8 (n,) each."""
    at = random.choice(8, n, p=cells.ravel() / cells.sum())
    truth, first, second = (part.astype(np.int8) for part in np.unravel_index(at, (2, 2, 2)))
    return truth, first, second


@given(shares, shares, shares)
@settings(max_examples=40, deadline=None)
def test_expected_cells_have_the_shares_that_were_told(
    contradictions: float, first: float, second: float
) -> None:
    cells = expected_cells(contradictions, ExpectedSide(first), ExpectedSide(second))
    assert cells.sum() == pytest.approx(1)
    assert cells[1].sum() == pytest.approx(contradictions)
    assert accuracy_of(cells, 0) == pytest.approx(first)
    assert accuracy_of(cells, 1) == pytest.approx(second)
    assert discordance_of(cells) == pytest.approx(first * (1 - second) + second * (1 - first))


def test_how_often_a_detector_says_contradiction_decides_on_which_class_it_errs() -> None:
    cells = expected_cells(0.3, ExpectedSide(0.8, called=0.4), ExpectedSide(0.9))
    assert cells[:, 1].sum() == pytest.approx(0.4)
    assert accuracy_of(cells, 0) == pytest.approx(0.8)


@pytest.mark.parametrize(("agreement", "met"), [(0.8, 0.8), (0.75, 0.75), (1.0, 0.9), (0.5, 0.7)])
def test_an_agreement_is_kept_as_far_as_the_accuracies_allow(agreement: float, met: float) -> None:
    cells = expected_cells(0.4, ExpectedSide(0.8), ExpectedSide(0.9), agreement)
    assert 1 - discordance_of(cells) == pytest.approx(met)
    assert accuracy_of(cells, 1) == pytest.approx(0.9)


@pytest.mark.parametrize(("contradictions", "agreement", "wanted"), [(0.3, None, 0.05), (0.1, 0.85, 0.04)])
def test_the_planned_number_of_labels_gives_the_wanted_width(
    contradictions: float, agreement: float | None, wanted: float
) -> None:
    """Within 10 %, by the estimates of a run, of the detector with the wider interval."""
    cells = expected_cells(contradictions, ExpectedSide(0.8), ExpectedSide(0.9), agreement)
    needed = WidthPlan.of(cells, 2, PAIRS).needed(wanted)
    assert needed.powered is not None
    assert needed.alone is not None
    assert needed.powered < needed.alone
    random, questions = np.random.default_rng(1), {}
    for run in range(20):
        truth, first, second = drawn(cells, PAIRS, random)
        labels = np.full(PAIRS, -1, np.int8)
        chosen = random.choice(PAIRS, needed.powered, replace=False)
        labels[chosen] = truth[chosen]
        for side, (own, other) in enumerate([(first, second), (second, first)]):
            known = KnownPairs(labels, np.arange(PAIRS), [other == 1])
            questions[f"{run} {side}"] = questions_of_detector(known, own)["accuracy"]
    halves = [np.ptp(interval) / 2 for _, interval in answered(questions).values()]
    assert max(np.mean(np.reshape(halves, (20, 2)), axis=0)) == pytest.approx(wanted, rel=0.1)


def test_by_the_labels_alone_the_planned_number_gives_wilsons_interval() -> None:
    cells = expected_cells(0.3, ExpectedSide(0.8))
    needed = WidthPlan.of(cells, 1, PAIRS).needed(0.03)
    assert needed.alone is not None
    low, high = wilson(0.8, needed.alone)
    assert (high - low) / 2 == pytest.approx(0.03, rel=0.01)


def test_no_more_labels_are_planned_than_there_are_pairs() -> None:
    plan = WidthPlan.of(expected_cells(0.3, ExpectedSide(0.8)), 1, 100)
    needed = plan.needed(0.02)
    assert needed.alone is needed.powered is None
    assert needed.unbounded == pytest.approx(1535, abs=3)
    assert 0.02 < plan.narrowest < 0.09


@pytest.mark.parametrize("discordance", [0.1, 0.3])
def test_pairs_to_detect_is_the_inverse_of_the_minimum_detectable_difference(discordance: float) -> None:
    n = pairs_to_detect(0.05, discordance)
    assert min_detectable_difference(n, discordance) <= 0.05 < min_detectable_difference(n - 1, discordance)
    assert pairs_to_detect(0.05, discordance, are_verdicts_known=True) <= n


def test_so_many_labels_tell_such_a_difference_four_times_of_five() -> None:
    cells = expected_cells(0.3, ExpectedSide(0.8), ExpectedSide(0.85), 0.75)
    needed = labels_for_difference(cells, 0.05, PAIRS)
    assert needed.alone is not None
    random, told = np.random.default_rng(2), []
    for _ in range(300):
        truth, first, second = drawn(cells, needed.alone, random)
        only = (
            int(((first == truth) & (second != truth)).sum()),
            int(((first != truth) & (second == truth)).sum()),
        )
        told.append(mcnemar_exact(*only) < 0.05)
    assert 0.7 < np.mean(told) < 0.88


def test_detectors_that_differ_on_few_pairs_cannot_be_further_apart() -> None:
    cells = expected_cells(0.3, ExpectedSide(0.9), ExpectedSide(0.9), 0.97)
    assert labels_for_difference(cells, 0.05, PAIRS).unbounded is None
    with pytest.raises(UndefinedMetricError):
        pairs_to_detect(0.05, 0.03)


def test_the_random_block_is_as_large_as_the_detectors_need() -> None:
    random = np.random.default_rng(3)
    truth = (random.random(2000) < 0.4).astype(np.int8)
    scores = np.stack(
        [np.where((truth == 1) ^ (random.random(2000) < errors), 0.9, 0.1) for errors in (0.4, 0.1)]
    )
    unlabelled = np.full(2000, -1, np.int8)
    some = np.where(np.arange(2000) < 200, truth, -1).astype(np.int8)
    good = np.stack([np.where(truth == 1, 0.9, 0.1)] * 2)
    assert block_size(some, good) == 100 < block_size(unlabelled, scores) <= 400
    assert block_size(truth, scores) == 0
