"""Which pairs a person is asked to label: an unbiased part first, then doubtful labels, then unsure pairs."""

from __future__ import annotations

import numpy as np

from benchmarks.stats.label_order import (
    DOUBTFUL,
    NEXT,
    RANDOM,
    asked_pairs,
    doubtful_first,
    probabilities,
    random_block,
    unsure_first,
)


def scores_of(truth: np.ndarray, errors: float, rng: np.random.Generator) -> np.ndarray:
    """Of a detector that is wrong on this share of the pairs, and then a little less sure."""
    wrong = rng.random(truth.size) < errors
    sure = np.where(wrong, rng.uniform(0.5, 0.95, truth.size), rng.uniform(0.6, 1.0, truth.size))
    return np.where((truth == 1) ^ wrong, sure, 1 - sure)


def test_most_planted_errors_are_among_the_first_hundred_shown() -> None:
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth = (rng.random(2_000) < 0.4).astype(np.int8)
        planted = rng.choice(2_000, 100, replace=False)
        labels = truth.copy()
        labels[planted] = 1 - labels[planted]
        scores = np.stack([scores_of(truth, 0.25, rng), scores_of(truth, 0.05, rng)])
        found.append(np.isin(doubtful_first(labels, scores)[:100], planted).sum())
    assert min(found) >= 60


def test_the_random_block_is_the_same_for_a_run_and_another_for_another() -> None:
    labels = np.full(1_000, -1, np.int8)
    labels[:300] = 1
    block = random_block(labels, "one", 200)
    assert (
        block.tolist()
        == random_block(labels, "one", 200).tolist()
        != random_block(labels, "two", 200).tolist()
    )
    assert len(set(block.tolist())) == 200
    assert (labels[block] == -1).all()


def test_no_pair_is_asked_about_twice_and_the_random_ones_come_first() -> None:
    rng = np.random.default_rng(1)
    labels = np.where(np.arange(1_000) < 400, np.arange(1_000) % 2, -1).astype(np.int8)
    asked = asked_pairs(labels, rng.random((2, 1_000)), "run", 200)
    assert len({each.place for each in asked}) == len(asked) == 400
    blocks = [each.block for each in asked]
    assert blocks == [RANDOM] * 200 + [DOUBTFUL] * 100 + [NEXT] * 100
    assert {each.probability for each in asked[:200]} == {200 / 600}
    assert {each.probability for each in asked[200:]} == {None}


def test_detectors_that_differ_or_are_unsure_are_asked_about_before_those_that_agree() -> None:
    scores = np.array([[0.99, 0.99, 0.5, 0.01], [0.98, 0.02, 0.55, 0.03]])
    order = unsure_first(np.full(4, -1, np.int8), scores).tolist()
    assert set(order[:2]) == {1, 2}


def test_failures_of_all_detectors_and_one_class_alone_are_no_reason_to_doubt() -> None:
    scores = np.array([[np.nan, 0.9, 0.1, 0.9]])
    assert 0 not in doubtful_first(np.array([0, 1, 0, 0], np.int8), scores)
    assert doubtful_first(np.ones(4, np.int8), scores).size == 0


def test_probabilities_are_of_the_parts_that_pairs_were_drawn_from() -> None:
    labels = np.array([1, *[-1] * 9], np.int8)
    scores = np.array([[0.9, 0.5, 0.52, *np.linspace(0.6, 0.9, 7)]])
    given = labels.copy()
    given[[1, 2]] = 1
    chosen = given >= 0
    chosen[0] = False
    assert probabilities(labels, given, scores, chosen) is None  # of the others nothing is known
    given[[5, 8]] = 0
    drawn = probabilities(labels, given, scores, chosen)
    assert drawn is not None
    assert drawn[[0, 1, 2]].tolist() == [1, 1, 1]
    assert drawn[[5, 8]].tolist() == [2 / 7, 2 / 7]
    assert np.isnan(drawn[3])


def test_weighted_by_these_probabilities_the_share_of_contradictions_is_unbiased() -> None:
    shares = []
    rng = np.random.default_rng(3)
    truth = (rng.random(2_000) < 0.3).astype(np.int8)
    scores = np.stack([scores_of(truth, 0.3, rng), scores_of(truth, 0.2, rng)])
    first = np.where(np.arange(2_000) < 300, truth, -1).astype(np.int8)  # no random part
    for seed in range(100):
        asked = asked_pairs(first, scores, str(seed), 200)
        chosen = np.zeros(2_000, bool)
        chosen[[each.place for each in asked if each.block == NEXT][:80]] = True
        drawn_at_random = [each.place for each in asked if each.block == RANDOM][:150]
        given = np.where(chosen, truth, first)
        given[drawn_at_random] = truth[drawn_at_random]
        drawn = probabilities(first, given, scores, chosen)
        assert drawn is not None
        weight = np.where(given >= 0, 1 / drawn, 0)
        shares.append((weight * (given == 1)).sum() / weight.sum())
    assert abs(np.mean(shares) - truth.mean()) < 0.01
