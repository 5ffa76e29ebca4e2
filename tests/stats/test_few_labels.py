"""Figures of all pairs from the labels of some: estimators, intervals, weights, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.stats.evidence import share_interval
from benchmarks.stats.few_labels import (
    BUY_NOTHING,
    FEW,
    LABELS_ALONE,
    MIN_LABELS,
    PREDICTION_POWERED,
    KnownPairs,
    are_estimated,
    estimates_of_detector,
    estimates_of_pairs,
    estimates_of_two,
)
from benchmarks.stats.formulas import Counts, cells_of
from benchmarks.stats.intervals import wilson
from benchmarks.stats.labels_alone import difference_alone, measured_alone, rogan_gladen, share_alone
from benchmarks.stats.metrics import UndefinedMetricError
from benchmarks.stats.prediction_powered import PartlyLabelled, figures_of, mean_of, strata_of
from benchmarks.stats.quality_figures import f1
from benchmarks.stats.random_part import why_not_random
from benchmarks.stats.results import FAILED
from benchmarks.stats.score_intervals import OfShares, Shares, score_interval, tilted

PAIRS = 2000
counted = st.integers(0, 60)


def truth_and_verdicts(
    n: int = PAIRS, wrong: tuple[float, ...] = (0.05, 0.2), prevalence: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, list[np.ndarray]]:
    random = np.random.default_rng(seed)
    truth = (random.random(n) < prevalence).astype(np.int8)
    said = [np.where(random.random(n) < share, 1 - truth, truth).astype(np.int8) for share in wrong]
    return truth, said


def part_of(truth: np.ndarray, labels: int, seed: int = 1) -> np.ndarray:
    """The truth where it is known, -1 elsewhere."""
    chosen = np.random.default_rng(seed).choice(truth.size, labels, replace=False)
    known = np.full(truth.size, -1, np.int8)
    known[chosen] = truth[chosen]
    return known


def known_pairs(labels: np.ndarray, *others: np.ndarray, **more: object) -> KnownPairs:
    pairs = KnownPairs(labels, np.arange(labels.size), [said == 1 for said in others])
    return replace(pairs, **more)  # type: ignore[arg-type]


# Intervals of the score.


def one_stratum(share: float, size: float) -> Shares:
    return Shares(np.array([share]), np.array([size]), np.array([1.0]), np.array(1e12))


@given(counted, st.integers(1, 200))
@settings(max_examples=15, deadline=None)
def test_of_one_stratum_the_score_interval_is_wilsons(right: int, beside: int) -> None:
    n = right + beside
    low, high = score_interval(mean_of(1), one_stratum(right / n, n), 1.959963984540054)
    assert (float(low), float(high)) == pytest.approx(wilson(right / n, n), abs=1e-8)


@given(st.lists(st.tuples(counted, counted), min_size=2, max_size=2))
@settings(max_examples=5, deadline=None)
def test_an_interval_holds_its_figure_and_lies_within_what_is_possible(cells: list[tuple[int, int]]) -> None:
    sizes = np.array([sum(pair) for pair in cells], np.float64)
    if not sizes.all():
        return
    shares = Shares(np.array([a for a, _ in cells]) / sizes, sizes, np.array([0.3, 0.7]), np.array(4000.0))
    for of in figures_of(np.array([1, 0])).values():
        value = float(of.value(of.among(shares)))
        low, high = map(float, score_interval(of, of.among(shares), 1.96))
        assert np.isnan(value) or (0 <= low <= value + 1e-9 and value - 1e-9 <= high <= 1)


@given(st.floats(-30, 30), st.floats(0, 1))
def test_tilted_shares_stay_shares_and_fall_as_the_tilt_grows(tilt: float, share: float) -> None:
    less, more = (float(tilted(np.array(each), np.array(share))) for each in (tilt, tilt + 1))
    assert 0 <= more <= less + 1e-9 <= 1 + 1e-8
    assert float(tilted(np.array(0.0), np.array(share))) == pytest.approx(share)


def test_more_labels_make_a_narrower_interval() -> None:
    widths = []
    for size in (50.0, 100.0, 400.0):
        low, high = score_interval(mean_of(1), one_stratum(0.2, size), 1.96)
        widths.append(float(high - low))
    assert widths == sorted(widths, reverse=True)


# Strata, and the shares in them.


def test_a_stratum_is_split_only_where_both_parts_keep_enough_labels() -> None:
    cells = np.repeat([0, 1], 100)
    is_labelled = np.arange(200) % 4 == 0  # 25 in each cell
    split = np.arange(200) % 100 < 50  # 13 and 12 labels, of either cell
    rare = np.arange(200) == 0
    assert np.unique(strata_of(cells, [split], is_labelled)).size == 4
    assert np.array_equal(strata_of(cells, [rare], is_labelled), cells)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_strata_depend_on_no_label(seed: int) -> None:
    truth, (a, b) = truth_and_verdicts(seed=seed)
    labels = part_of(truth, 100)
    turned = np.where(labels < 0, -1, 1 - labels)
    assert np.array_equal(
        strata_of(a, [b == 1], labels >= 0),
        strata_of(a, [b == 1], turned >= 0),
    )


def test_the_share_of_a_stratum_is_that_of_ppi_plus_plus() -> None:
    """Against the formulas of the paper, written with the pairs without a label alone."""
    random = np.random.default_rng(3)
    truth = (random.random(1000) < 0.4).astype(np.int8)
    proxy = np.clip(0.3 + 0.4 * truth + 0.3 * random.normal(size=1000), 0, 1)
    labels = part_of(truth, 200)
    at, rest = labels >= 0, labels < 0
    y, f, n, others = truth[at].astype(float), proxy[at], 200, 800
    power = np.cov(y, f)[0, 1] / (1 + n / others) / np.var(f, ddof=1)
    expected = y.mean() - power * (f.mean() - proxy[rest].mean())
    pairs = PartlyLabelled(labels, np.zeros(1000, np.int64), np.arange(1000), proxy)
    assert 0 < power < 1
    assert float(pairs.estimates.shares.share[0]) == pytest.approx(expected, abs=1e-9)
    residual = (y - power * f).var(ddof=2) / n + power**2 * proxy[rest].var() / others
    size = pairs.estimates.shares.size[0]
    assert y.mean() * (1 - y.mean()) / size == pytest.approx(residual, rel=0.02)


def test_a_proxy_that_tells_nothing_or_lies_is_not_used() -> None:
    truth, _ = truth_and_verdicts()
    labels, alike = part_of(truth, 200), np.zeros(PAIRS, np.int64)
    for proxy in (np.full(PAIRS, 0.5), 1.0 - truth):
        estimates = PartlyLabelled(labels, alike, np.arange(PAIRS), proxy).estimates
        assert estimates.power.tolist() == [0.0]
        assert estimates.shares.share[0] == truth[labels >= 0].mean()


def test_few_labels_of_a_stratum_are_not_corrected_by_scores() -> None:
    truth, _ = truth_and_verdicts()
    pairs = PartlyLabelled(part_of(truth, 29), np.zeros(PAIRS, np.int64), np.arange(PAIRS), truth * 1.0)
    assert pairs.estimates.power.tolist() == [0.0]


# Whole figures.


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_where_all_are_labelled_each_figure_is_the_plain_one(seed: int) -> None:
    truth, (a, b) = truth_and_verdicts(200, seed=seed)
    found = estimates_of_detector(known_pairs(truth, b), a).figures
    counts = Counts.of(cells_of(truth, a))
    assert found["accuracy"].value == pytest.approx(float((truth == a).mean()))
    assert found["f1"].value == pytest.approx(float(f1(counts)))
    assert found["recall"].value == pytest.approx(float(counts.tp / counts.contradictions))
    assert found["false_alarm_rate"].value == pytest.approx(float(counts.fp / counts.others))
    assert estimates_of_pairs(known_pairs(truth, a, b)).figures["prevalence"].value == truth.mean()
    difference = estimates_of_two(known_pairs(truth), a, b).figures["accuracy"].value
    assert difference == pytest.approx(float((truth == a).mean() - (truth == b).mean()))


@given(st.integers(0, 2**32 - 1), st.sampled_from([20, 50, 100, 400]))
@settings(max_examples=8, deadline=None)
def test_no_interval_is_wider_than_by_the_labels_alone(seed: int, labels: int) -> None:
    truth, (a, b) = truth_and_verdicts(seed=seed, prevalence=0.2)
    known = known_pairs(part_of(truth, labels, seed % 1000), b)
    everything = (estimates_of_detector(known, a), estimates_of_pairs(known), estimates_of_two(known, a, b))
    for estimate in (each for found in everything for each in found.figures.values()):
        width, alone = (np.ptp(ends) for ends in (estimate.interval, estimate.alone[1]))
        assert width <= alone
        assert (estimate.method == PREDICTION_POWERED) == (width < alone)


def test_good_verdicts_narrow_the_interval_and_move_the_estimate_to_the_truth() -> None:
    truth, (a, b) = truth_and_verdicts()
    found = estimates_of_pairs(known_pairs(part_of(truth, 100), a, b)).figures["prevalence"]
    assert found.method == PREDICTION_POWERED
    assert np.ptp(found.interval) < 0.7 * np.ptp(found.alone[1])
    assert abs(found.value - truth.mean()) < abs(found.alone[0] - truth.mean())


def test_verdicts_by_chance_buy_nothing() -> None:
    truth, _ = truth_and_verdicts()
    by_chance = np.random.default_rng(5).integers(2, size=PAIRS).astype(np.int8)
    found = estimates_of_pairs(known_pairs(part_of(truth, 100), np.zeros(PAIRS), by_chance))
    constant = estimates_of_pairs(known_pairs(part_of(truth, 100), np.zeros(PAIRS)))
    assert np.ptp(found.figures["prevalence"].interval) > 0.95 * np.ptp(found.figures["prevalence"].alone[1])
    assert (constant.figures["prevalence"].method, constant.figures["prevalence"].reason) == (
        LABELS_ALONE,
        BUY_NOTHING,
    )


def test_the_order_of_pairs_and_the_names_of_texts_play_no_part() -> None:
    truth, (a, b) = truth_and_verdicts()
    known, turned = known_pairs(part_of(truth, 100), b), np.random.default_rng(2).permutation(PAIRS)
    other = replace(
        known,
        labels=known.labels[turned],
        clusters=1_000_000 - known.clusters[turned],
        splits=[split[turned] for split in known.splits],
    )
    first, second = (estimates_of_detector(known, a), estimates_of_detector(other, a[turned]))
    for name, estimate in first.figures.items():
        assert second.figures[name].value == pytest.approx(estimate.value)
        assert second.figures[name].interval == pytest.approx(estimate.interval)


def test_the_difference_turns_its_sign_with_the_order_of_detectors() -> None:
    truth, (a, b) = truth_and_verdicts()
    known = known_pairs(part_of(truth, 100))
    forth, back = (estimates_of_two(known, *sides).figures["accuracy"] for sides in ((a, b), (b, a)))
    assert forth.value == pytest.approx(-back.value)
    assert forth.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=1e-6)


def test_pairs_without_a_verdict_are_left_out() -> None:
    truth, (a, b) = truth_and_verdicts()
    labels, failed = part_of(truth, 200), a.copy()
    failed[::2] = FAILED
    found = estimates_of_detector(known_pairs(labels, b), failed)
    kept = estimates_of_detector(known_pairs(labels[1::2], b[1::2]), a[1::2])
    assert (found.verdicts, found.labels) == (PAIRS // 2, kept.labels)
    assert found.figures["accuracy"].value == kept.figures["accuracy"].value


def test_texts_that_pairs_share_widen_the_interval() -> None:
    truth, (a, b) = truth_and_verdicts(PAIRS // 4)
    truth, a, b = (np.repeat(values, 4) for values in (truth, a, b))
    labels = np.where(np.arange(PAIRS) // 4 % 20 == 0, truth, -1).astype(np.int8)
    apart = known_pairs(labels, b)
    shared = replace(apart, clusters=np.arange(PAIRS) // 4)
    narrow, wide = (estimates_of_detector(known, a).figures["accuracy"].interval for known in (apart, shared))
    assert np.ptp(wide) > 1.5 * np.ptp(narrow)


def test_fewer_labels_than_needed_are_taken_alone_and_say_so() -> None:
    truth, (a, _) = truth_and_verdicts()
    found = estimates_of_detector(known_pairs(part_of(truth, MIN_LABELS - 1)), a).figures["accuracy"]
    assert (found.method, found.reason) == (LABELS_ALONE, FEW)


def test_a_share_among_next_to_no_labels_is_not_estimated() -> None:
    truth, (a, _) = truth_and_verdicts(prevalence=0.01)
    found = estimates_of_detector(known_pairs(part_of(truth, 50)), a)
    assert "recall" not in found.figures
    assert "labelled pairs are contradictions, and 5 are needed" in found.absent["recall"]


def test_what_is_refused_has_no_figure_but_those_of_the_labels() -> None:
    truth, (a, _) = truth_and_verdicts()
    found = estimates_of_detector(known_pairs(part_of(truth, 100), refused="they differ"), a)
    assert not found.figures
    assert found.absent["accuracy"] == "they differ"
    assert found.as_json()["labels_alone"]["accuracy"] == found.alone["accuracy"][0]


@pytest.mark.parametrize(
    ("labelled", "expected"), [(0, False), (1, True), (89, True), (90, False), (100, False)]
)
def test_figures_are_estimated_where_a_part_is_labelled(labelled: int, expected: bool) -> None:
    assert are_estimated(np.where(np.arange(100) < labelled, 1, -1)) is expected


# Labels drawn with known probabilities.


def drawn_by_verdict(truth: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(labels, probabilities): pairs that are called contradictions are drawn five times as often."""
    drawn = np.where(said == 1, 0.25, 0.05)
    chosen = np.random.default_rng(4).random(truth.size) < drawn
    return np.where(chosen, truth, -1).astype(np.int8), drawn


def test_weights_undo_how_the_labelled_pairs_were_drawn() -> None:
    truth, (a, b) = truth_and_verdicts(20_000, prevalence=0.1)
    labels, drawn = drawn_by_verdict(truth, a)
    plain = share_alone(truth[labels >= 0] == 1, np.arange((labels >= 0).sum()))
    found = estimates_of_pairs(known_pairs(labels, b, drawn=drawn)).figures["prevalence"]
    assert plain[0] > 0.2
    for value, (low, high) in ((found.value, found.interval), found.alone):
        assert low < truth.mean() < high
        assert abs(value - truth.mean()) < 0.03


@given(st.floats(0.01, 1))
@settings(max_examples=10, deadline=None)
def test_equal_weights_give_the_plain_values(probability: float) -> None:
    truth, (a, b) = truth_and_verdicts()
    known = known_pairs(part_of(truth, 100), b)
    weighted = replace(known, drawn=np.full(PAIRS, probability))
    first, second = (estimates_of_detector(each, a).figures for each in (known, weighted))
    for name, estimate in first.items():
        assert second[name].alone[0] == pytest.approx(estimate.alone[0])
        if estimate.method == second[name].method:
            assert second[name].value == pytest.approx(estimate.value)


def test_unequal_weights_make_labels_alone_less_sure() -> None:
    truth, (a, b) = truth_and_verdicts()
    labels = part_of(truth, 200)
    at = labels >= 0
    sides = truth[at], a[at], b[at], np.arange(200)
    weight = np.where(np.arange(200) % 2, 1.0, 9.0)
    assert np.ptp(difference_alone(*sides, weight)[1]) > np.ptp(difference_alone(*sides)[1])
    for name in ("accuracy", "recall", "f1", "miss_rate"):
        plain, weighted = (measured_alone(name, truth[at], a[at], np.arange(200), w) for w in (None, weight))
        assert np.ptp(weighted[1]) > np.ptp(plain[1])


def test_labels_alone_are_the_figures_that_labelled_pairs_have() -> None:
    truth, (a, _) = truth_and_verdicts(100)
    clusters = np.arange(100) // 2
    value, interval = measured_alone("accuracy", truth, a, clusters)
    assert (value, interval) == (float((truth == a).mean()), share_interval(truth == a, clusters))


# Rogan and Gladen.


def test_rogan_gladen_is_as_worked_out_by_hand() -> None:
    """Recall 0.9, false alarms 0.1, 26 % called: (0.26 - 0.1) / (0.9 - 0.1)."""
    value, (low, high) = rogan_gladen(260, 1000, 90, 100, 10, 100)
    assert value == pytest.approx(0.2)
    assert low < 0.2 < high


@pytest.mark.parametrize("counts", [(10, 10_000, 18, 20, 8, 20), (9_990, 10_000, 30, 60, 2, 60)])
def test_rogan_gladen_gives_nothing_where_no_share_fits_the_rates(counts: tuple[int, ...]) -> None:
    with pytest.raises(UndefinedMetricError, match="no share of contradictions fits its rates"):
        rogan_gladen(*counts)


def test_rogan_gladen_does_not_depend_on_how_many_of_a_class_are_labelled() -> None:
    assert rogan_gladen(260, 1000, 90, 100, 10, 100)[0] == pytest.approx(
        rogan_gladen(260, 1000, 90, 100, 100, 1000)[0]
    )


def test_rogan_gladens_interval_is_that_of_lang_and_reiczigel() -> None:
    """Formulas of Lang and Reiczigel 2014, written out for one case."""
    z = 1.959963984540054
    apparent, recall, passed = (260 + z * z / 2) / (1000 + z * z), 91 / 102, 91 / 102
    centre = (apparent + passed - 1) / (recall + passed - 1)
    spread = recall * (1 - recall) / 102
    shift = 2 * z * z * (centre - (1 - centre)) * spread
    variance = apparent * (1 - apparent) / (1000 + z * z) + (centre**2 + (1 - centre) ** 2) * spread
    half = z * np.sqrt(variance) / (recall + passed - 1)
    assert rogan_gladen(260, 1000, 90, 100, 10, 100)[1] == pytest.approx(
        (max(0.0, centre + shift - half), centre + shift + half)
    )


@pytest.mark.parametrize(("found", "alarms"), [(50, 50), (10, 90)])
def test_rogan_gladen_takes_no_detector_that_is_no_better_than_chance(found: int, alarms: int) -> None:
    with pytest.raises(UndefinedMetricError, match="no better than chance"):
        rogan_gladen(500, 1000, found, 100, alarms, 100)


# A part that is not random.


def test_a_random_part_is_taken_and_others_are_told_from_it() -> None:
    truth, (a, b) = truth_and_verdicts()
    scores = np.clip(np.random.default_rng(8).normal(0.2 + 0.6 * a, 0.2), 0, 1)
    parts = {
        "": part_of(truth, 100) >= 0,
        "their places in the file": np.arange(PAIRS) < 100,
        "the verdicts of judge": (np.arange(PAIRS) % 7 == 0) & (a == 1),
        "on which pairs judge and local differ": np.cumsum(a != b) * (a != b) % 4 == 1,
    }
    for what, part in parts.items():
        said = why_not_random(part, [a, b], [scores, scores], np.arange(PAIRS), ["judge", "local"])
        assert (what in said) if what else not said
        assert not said or "--label-weights COLUMN" in said


def test_unsure_pairs_that_were_chosen_to_be_labelled_are_noticed() -> None:
    random = np.random.default_rng(9)
    scores = random.random(PAIRS)
    part = random.random(PAIRS) < 0.2 * np.exp(-np.square((scores - 0.5) / 0.1))
    said = why_not_random(part, [(scores > 0.5) * 1], [scores], np.arange(PAIRS), ["judge"])
    assert "how sure judge is" in said


def test_whole_texts_that_were_drawn_at_random_are_a_random_part() -> None:
    random = np.random.default_rng(10)
    clusters = np.arange(PAIRS) // 20
    said = (random.random(100)[clusters] < 0.3).astype(np.int8)
    refused = 0
    for _ in range(50):
        part = np.isin(clusters, random.choice(100, 10, replace=False))
        refused += bool(why_not_random(part, [said], [said * 1.0], clusters))
    assert refused <= 1


def test_ratios_have_no_value_where_nothing_is_called() -> None:
    nothing = Shares(np.array([0.0]), np.array([50.0]), np.array([1.0]), np.array(4000.0))
    none, all_ = np.zeros(1), np.ones(1)
    assert np.isnan(OfShares(none, none, all_, none).value(nothing))
