"""The bounds of a cascade: exact, and kept in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from benchmarks.cascade.bounds import (
    Sampled,
    Thresholds,
    bounds,
    choose,
    max_missed,
    max_of,
    min_handed_on,
    positives_needed,
    sample_size,
)


def test_a_risk_of_two_percent_needs_149_contradictions_before_none_may_be_missed() -> None:
    """0.98 ** 149 < 0.05 <= 0.98 ** 148."""
    assert positives_needed(0.02) == 149
    assert max_missed(0.02, 149) == 0
    assert max_missed(0.02, 148) == -1


@given(st.floats(0.001, 0.5), st.integers(0, 10))
def test_so_many_contradictions_are_the_fewest_that_do(risk: float, missed: int) -> None:
    needed = positives_needed(risk, missed)
    assert binom.cdf(missed, needed, risk) <= 0.05 < binom.cdf(missed, needed - 1, risk)


@given(st.floats(0, 1), st.floats(0.001, 0.5))
def test_what_must_be_sent_leaves_just_the_risk_of_all(miss_rate: float, risk: float) -> None:
    sent = min_handed_on(risk, miss_rate)
    assert 0 <= sent <= miss_rate
    assert miss_rate - sent == pytest.approx(min(risk, miss_rate))


@given(st.integers(0, 300), st.integers(1, 300))
def test_the_end_of_a_share_is_that_of_clopper_and_pearson(found: int, more: int) -> None:
    of = found + more
    assert max_of(found, of) == pytest.approx(beta.ppf(0.95, found + 1, more))


def test_of_a_large_rest_the_bound_is_that_of_all_and_of_a_small_one_it_is_wider() -> None:
    assert max_of(5, 200, 10_000_000) == pytest.approx(max_of(5, 200), rel=1e-3)
    assert max_of(5, 200, 50) > 1.2 * max_of(5, 200)


def test_what_is_left_of_a_small_run_varies_more_and_is_trusted_less() -> None:
    """With 10 contradictions left, one missed is a tenth: too likely after 149 of which none was."""
    assert max_missed(0.02, 149, rest=10) == -1
    assert max_missed(0.02, 149, rest=100_000) == 0


def test_a_large_run_samples_at_most_a_tenth_and_a_small_one_nearly_all() -> None:
    sizes = {pairs: sample_size(0.02, 0.3, pairs) for pairs in (100, 1_000, 10_000, 100_000)}
    assert sizes[100] == 100
    assert 900 < sizes[1_000] < 1_000
    assert sizes[10_000] <= 1_000
    assert sizes[10_000] < sizes[100_000] <= 10_000


def test_too_few_contradictions_settle_nothing_as_none() -> None:
    thresholds = choose(Sampled(np.full(20, 0.9), np.full(80, 0.1)), 0.02, np.linspace(0, 1, 50))
    assert thresholds.lower == 0
    assert bounds(Sampled(np.full(20, 0.9), np.full(80, 0.1)), thresholds, 0.02).missed == 0


@given(st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), min_size=1, max_size=60), st.integers(0, 70))
def test_no_more_go_to_the_judge_than_may(rest: list[float], maximum: int) -> None:
    """Scores that are alike go the same way, so that it may be fewer."""
    random = np.random.default_rng(0)
    sample = Sampled(random.beta(5, 2, 300), random.beta(2, 5, 300))
    scores = np.array(rest)
    assert (~choose(sample, 0.02, scores, maximum).settled(scores)).sum() <= maximum


def test_a_sample_without_contradictions_shows_nothing_of_what_is_missed() -> None:
    sample, rest = Sampled(np.empty(0), np.full(400, 0.2)), np.linspace(0, 1, 3000)
    thresholds = choose(sample, 0.05, rest, 100)
    found = bounds(sample, thresholds, 0.05, rest.size)
    assert (thresholds.lower, found.promised, found.missed) == (0.5, False, 1.0)
    assert found.disagreement > 0


def test_a_pair_without_a_score_is_never_settled() -> None:
    assert not Thresholds(0.9, 0.1).settled(np.array([np.nan])).any()


@pytest.mark.slow
@pytest.mark.parametrize("max_sent", [None, 0.5])
def test_the_bounds_are_kept_as_often_as_they_say(max_sent: float | None) -> None:
    """A judge that errs at random on one pair of twenty, 300 runs of 3,000 pairs: 5 % may break one."""
    random = np.random.default_rng(7)
    broken = np.zeros(3)
    for _ in range(300):
        truth = random.random(3000) < 0.35
        scores = 1 / (1 + np.exp(-(random.normal(size=3000) * 1.5 + np.where(truth, 2.5, -2.5))))
        judged = truth ^ (random.random(3000) < 0.05)
        sampled = np.zeros(3000, dtype=bool)
        sampled[random.permutation(3000)[: sample_size(0.02, scores.mean(), 3000)]] = True
        sample = Sampled(scores[sampled & judged], scores[sampled & ~judged])
        left = None if max_sent is None else max_sent * 3000 - sampled.sum()
        thresholds = choose(sample, 0.02, scores[~sampled], left)
        found = bounds(sample, thresholds, 0.02, int((~sampled).sum()))
        missed = ~sampled & judged & (scores < thresholds.lower)
        alarms = ~sampled & ~judged & (scores > thresholds.upper)
        rest = ~sampled
        broken += (
            missed.sum() / (rest & judged).sum() > found.missed,
            alarms.sum() / (rest & ~judged).sum() > found.false_alarms,
            (missed | alarms).sum() / rest.sum() > found.disagreement,
        )
    assert (broken / 300 <= 0.09).all(), broken
