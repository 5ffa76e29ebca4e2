"""The numbers: right on worked examples and by counted formulas, absent with a reason where undefined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.detector_info import DetectorInfo, judge_info, local_info
from benchmarks.stats import metrics
from benchmarks.stats.agreement_figures import KAPPA, agreement
from benchmarks.stats.check_figures import CHECKS
from benchmarks.stats.quality_figures import QUALITY
from benchmarks.stats.results import FAILED, SCORE_SOURCES, DetectorResult, OneDetector
from benchmarks.stats.speed_figures import AMORTISED, SPEED

T = TypeVar("T")
NAN = float("nan")
REACTOR = local_info("kimera", "reactor")
NAMES = {figure.name for figure in QUALITY}


def int8(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int8)


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def judge(labels: np.ndarray, info: DetectorInfo | None = None, **measured: Any) -> OneDetector:
    """One that answered every pair, but for what is measured otherwise."""
    arrays = {name: np.zeros(labels.size) for name in ("scores", "latency_ms", "wait_ms")}
    said = {"verdicts": np.zeros(labels.size, np.int8), "wall_s": 1.0, **arrays, **measured}
    detector = DetectorResult(info=info or judge_info("judge"), mode="async", asked=1, used=1, **said)
    return OneDetector(detector, labels, np.arange(labels.size))


def timed(*latency_ms: float, info: DetectorInfo | None = None, **measured: Any) -> metrics.Measured:
    verdicts = np.where(np.isnan(latency_ms), FAILED, 1).astype(np.int8)
    one = judge(verdicts, info, verdicts=verdicts, latency_ms=floats(*latency_ms), **measured)
    return metrics.measured(SPEED, one)


def group(name: str, of: Mapping[str, T]) -> dict[str, T]:
    """Figures of this group by the rest of their names."""
    return {figure.removeprefix(f"{name}."): it for figure, it in of.items() if figure.startswith(f"{name}.")}


PAIRWISE = (np.greater, np.equal)

# Ten pairs by hand: one without a label, one failed; of the other eight TP 3, FN 1, FP 1, TN 3.
LABELS = int8(1, 1, 1, 1, 0, 0, 0, 0, -1, 1)
VERDICTS = int8(1, 1, 1, 0, 0, 0, 0, 1, 1, FAILED)
SCORES = floats(0.9, 0.8, 0.7, 0.4, 0.1, 0.2, 0.3, 0.6, 0.9, NAN)


def test_quality_of_a_worked_example() -> None:
    measured = metrics.quality(LABELS, VERDICTS, SCORES)
    assert measured.absent == {}
    assert measured.values == pytest.approx(
        {
            "accuracy": 6 / 8,
            "precision": 3 / 4,
            "recall": 3 / 4,
            "f1": 3 / 4,
            "mcc": (3 * 3 - 1 * 1) / 16,
            "roc_auc": 15 / 16,  # of 4 x 4 comparisons only 0.4 against 0.6 is lost
            "average_precision": (1 + 1 + 1 + 4 / 5) / 4,
            "balanced_accuracy": (3 / 4 + 3 / 4) / 2,
            "brier": 2 * (0.01 + 0.04 + 0.09 + 0.36) / 8,
            "log_loss": -np.log(0.9 * 0.8 * 0.7 * 0.4) / 4,
            "calibration_error": 2 * (0.1 + 0.2 + 0.3 + 0.6) / 8,  # each pair is a bin of its own
            "accuracy_failed_as_wrong": 6 / 9,
        }
    )


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from([FAILED, 0, 1])), max_size=30))
def test_every_quality_metric_is_a_finite_number_or_absent_with_a_reason(rows: list[tuple[int, int]]) -> None:
    labels, verdicts = int8(*(row[0] for row in rows)), int8(*(row[1] for row in rows))
    scores = np.where(verdicts == FAILED, NAN, 0.3 + 0.4 * verdicts)
    measured = metrics.quality(labels, verdicts, scores)
    assert measured.values.keys() | measured.absent.keys() == NAMES
    assert not measured.values.keys() & measured.absent.keys()
    assert all(type(value) is float and np.isfinite(value) for value in measured.values.values())
    assert all(measured.absent.values())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=60))
def test_every_metric_is_what_scikit_learn_says(rows: list[tuple[int, int, int]]) -> None:
    from sklearn import metrics as reference

    truth, said = int8(*(row[0] for row in rows)), int8(*(row[1] for row in rows))
    scores = floats(*(row[2] / 9 for row in rows))
    values = metrics.quality(truth, said, scores).values
    of_verdicts = {
        "accuracy": reference.accuracy_score,
        "precision": reference.precision_score,
        "recall": reference.recall_score,
        "f1": reference.f1_score,
        "mcc": reference.matthews_corrcoef,
    }
    of_scores = {"roc_auc": reference.roc_auc_score, "average_precision": reference.average_precision_score}
    for name in of_verdicts.keys() & values.keys():
        assert values[name] == pytest.approx(of_verdicts[name](truth, said)), name
    for name in of_scores.keys() & values.keys():
        assert values[name] == pytest.approx(of_scores[name](truth, scores)), name
    assert values["brier"] == pytest.approx(reference.brier_score_loss(truth, scores))
    if len({*truth, *said}) == 2:
        assert metrics.value(KAPPA, truth, said) == pytest.approx(reference.cohen_kappa_score(truth, said))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=40))
def test_quality_equals_the_counted_formulas(rows: list[tuple[int, int, int]]) -> None:
    truth, said = int8(*(row[0] for row in rows)), int8(*(row[1] for row in rows))
    scores = floats(*(row[2] / 5 for row in rows))
    values = metrics.quality(truth, said, scores).values
    tp, fp = ((truth == 1) & (said == 1)).sum(), ((truth == 0) & (said == 1)).sum()
    fn, tn = ((truth == 1) & (said == 0)).sum(), ((truth == 0) & (said == 0)).sum()
    assert values["accuracy"] == pytest.approx((tp + tn) / len(rows))
    if tp + fp:
        assert values["precision"] == pytest.approx(tp / (tp + fp))
    if tp + fn:
        assert values["recall"] == pytest.approx(tp / (tp + fn))
    if tp + fp + fn:
        assert values["f1"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    if margins := float((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)):
        assert values["mcc"] == pytest.approx((tp * tn - fp * fn) / margins**0.5)
    if (tp + fn) * (fp + tn):
        above, ties = (np.mean(compare.outer(scores[truth == 1], scores[truth == 0])) for compare in PAIRWISE)
        assert values["roc_auc"] == pytest.approx(above + ties / 2)


def test_without_labels_all_quality_is_absent_for_that_reason() -> None:
    measured = metrics.quality(int8(-1, -1), int8(1, 0), floats(0.9, 0.1))
    assert measured.values == {}
    assert measured.absent == dict.fromkeys(NAMES, "no pair carries a label")


def test_when_all_pairs_failed_only_the_accuracy_that_counts_failures_is_left() -> None:
    measured = metrics.quality(int8(1, 0), int8(FAILED, FAILED), floats(NAN, NAN))
    assert measured.values == {"accuracy_failed_as_wrong": 0.0}
    assert set(measured.absent.values()) == {"no labelled pair was answered"}


def test_one_class_leaves_no_ranking_metric_and_no_mcc() -> None:
    measured = metrics.quality(int8(1, 1), int8(1, 0), floats(0.9, 0.2))
    assert measured.absent.keys() == {"balanced_accuracy", "mcc", "roc_auc", "average_precision"}
    assert set(measured.absent.values()) == {"all labelled pairs that were answered carry the same label"}


def test_precision_is_absent_where_nothing_was_called_a_contradiction() -> None:
    measured = metrics.quality(int8(1, 0), int8(0, 0), floats(0.4, 0.2))
    assert measured.absent.keys() == {"precision", "mcc"}
    assert (measured.values["recall"], measured.values["f1"]) == (0.0, 0.0)


def test_recall_is_absent_without_a_labelled_contradiction() -> None:
    measured = metrics.quality(int8(0, 0), int8(1, 0), floats(0.6, 0.2))
    assert "recall" in measured.absent
    assert measured.values["precision"] == 0.0


def test_one_right_pair_has_an_accuracy_and_no_f1_if_it_is_no_contradiction() -> None:
    measured = metrics.quality(int8(0), int8(0), floats(0.2))
    assert measured.values["accuracy"] == measured.values["accuracy_failed_as_wrong"] == 1.0
    assert measured.values["calibration_error"] == pytest.approx(0.2)
    assert measured.absent["f1"] == "no contradiction, neither labelled nor called"


def test_distinct_scores_ignore_rounding_noise_and_failures() -> None:
    assert metrics.distinct_scores(floats(0.1, 1 - 0.9, 0.5, NAN)) == 2


def test_latency_percentiles_are_over_answered_pairs() -> None:
    measured = timed(*range(1, 102), NAN)
    assert group("latency_ms", measured.values) == pytest.approx(
        {"mean": 51, "p50": 51, "p95": 96, "p99": 100}
    )


def test_a_pairs_time_is_that_of_its_answer_and_of_waiting_for_it() -> None:
    measured = timed(1, 2, 3, wait_ms=floats(9, 0, 0))
    assert measured.values["latency_ms.p50"] == 2
    assert group("pair_ms", measured.values)["p50"] == 3


def test_amortised_latency_has_a_mean_and_no_percentiles() -> None:
    measured = timed(2, 2, 5, info=REACTOR)
    assert group("latency_ms", measured.values) == {"mean": 3.0}
    assert group("latency_ms", measured.absent) == dict.fromkeys(("p50", "p95", "p99"), AMORTISED)
    assert group("pair_ms", measured.absent) == dict.fromkeys(("mean", "p95"), AMORTISED)


@pytest.mark.parametrize("info", [None, REACTOR])
def test_latency_of_nothing_answered_is_absent(info: DetectorInfo | None) -> None:
    absent = timed(NAN, info=info).absent
    assert group("latency_ms", absent) == dict.fromkeys(("mean", "p50", "p95", "p99"), "no answer was timed")


def test_mean_in_flight_is_summed_latency_over_wall_time() -> None:
    values = timed(1, 1, busy_s=1.5, wall_s=0.5).values
    assert (values["pairs_per_s"], values["mean_in_flight"]) == (4.0, 3.0)


def test_the_reactor_has_no_requests_in_flight() -> None:
    measured = timed(1, 1, info=REACTOR, busy_s=0.002, wall_s=0.002)
    assert measured.values["pairs_per_s"] == pytest.approx(1000)
    assert "batches" in measured.absent["mean_in_flight"]


def test_loading_a_model_takes_no_speed_away() -> None:
    measured = timed(1, 1, info=REACTOR, wall_s=2.5, settings={"load_s": 2.0})
    assert (measured.values["pairs_per_s"], measured.values["wall_s"]) == (4.0, 2.5)


def test_throughput_without_a_measured_time_is_absent() -> None:
    measured = timed(1, busy_s=0.001, wall_s=0.0)
    assert measured.absent == dict.fromkeys(("pairs_per_s", "mean_in_flight"), "no time was measured")


def test_replies_from_a_cache_leave_no_pairs_a_second() -> None:
    measured = timed(1, 1, busy_s=1.5, wall_s=0.5, from_cache=1)
    assert measured.values["mean_in_flight"] == 3.0
    assert measured.absent == {"pairs_per_s": "replies came from the cache"}


def checked(labels: np.ndarray, repeat: int = 1, swap: bool = False, **measured: Any) -> metrics.Measured:
    return metrics.measured(CHECKS, judge(labels, judge_info("judge", repeat=repeat, swap=swap), **measured))


def test_stability_of_a_worked_example() -> None:
    """Asked twice in each order: one of three whole pairs changed, two of four differ between the orders."""
    variants = np.array(
        [[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0, FAILED, 1, 1]],
        dtype=np.int8,
    )
    measured = checked(int8(-1, -1, -1, -1), repeat=2, swap=True, variants=variants)
    assert group("stability", measured.values) == pytest.approx(
        {"flip_rate": 1 / 3, "order_disagreement": 2 / 4, "further_askings_failed": 1}
    )


@pytest.mark.parametrize(
    ("repeat", "swap", "figure"), [(2, False, "flip_rate"), (1, True, "order_disagreement")]
)
def test_stability_has_only_what_was_asked_for(repeat: int, swap: bool, figure: str) -> None:
    measured = checked(int8(-1), repeat, swap, variants=np.array([[1, 0]], dtype=np.int8))
    assert group("stability", measured.values) == {figure: 1.0, "further_askings_failed": 0}
    assert measured.absent == {}


def test_what_nobody_asked_for_is_neither_there_nor_missed() -> None:
    assert checked(int8(1, 0), variants=np.array([[1], [0]], dtype=np.int8)) == metrics.Measured({}, {})


def calibrated(
    labels: np.ndarray, scores: np.ndarray, stated: np.ndarray, from_logprobs: list[bool]
) -> metrics.Measured:
    sources = np.where(from_logprobs, SCORE_SOURCES.index("logprobs"), SCORE_SOURCES.index("stated"))
    settings = {"logprobs": True}
    return checked(labels, scores=scores, stated=stated, score_sources=sources, settings=settings)


def test_calibration_compares_both_scores_on_the_same_labelled_pairs() -> None:
    """Of five pairs the third has no logprobs, the fourth no stated score and the fifth no label."""
    measured = calibrated(
        int8(1, 0, 1, 1, -1),
        scores=floats(0.9, 0.2, 0.0, 0.0, 0.9),
        stated=floats(0.7, 0.4, 0.0, NAN, 0.9),
        from_logprobs=[True, True, False, True, True],
    )
    assert measured.absent == {}
    assert group("calibration", measured.values) == pytest.approx(
        {"pairs": 2, "brier": 0.025, "brier_stated": 0.125}
    )


@pytest.mark.parametrize(
    ("stated", "from_logprobs", "reason"),
    [
        (0.7, False, "no answer came with usable logprobs"),
        (NAN, True, "no answer with logprobs stated a confidence"),
    ],
)
def test_calibration_without_one_kind_of_score_is_absent(
    stated: float, from_logprobs: bool, reason: str
) -> None:
    measured = calibrated(int8(1), floats(0.9), floats(stated), [from_logprobs])
    assert group("calibration", measured.values) == {"pairs": 0}
    assert group("calibration", measured.absent) == {"brier": reason, "brier_stated": reason}


def test_agreement_of_a_worked_example() -> None:
    """Both answered six of eight pairs; five of those carry a label. Chance agreement is 1/2."""
    labels = int8(1, 1, 0, 0, 1, -1, 1, 0)
    a = int8(1, 1, 0, 1, 0, 0, FAILED, 0)
    b = int8(1, 0, 0, 0, 0, 1, 1, FAILED)
    measured = agreement(labels, a, b)
    assert measured.absent == {}
    assert measured.values == pytest.approx(
        {
            "both_answered": 6,
            "rate": 3 / 6,
            "kappa": 0.0,
            "both_right": 2,
            "only_a": 1,
            "only_b": 1,
            "both_wrong": 1,
        }
    )


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(*[st.sampled_from([-1, 0, 1])] * 3), max_size=30))
def test_who_was_right_adds_up_to_the_labelled_pairs_both_answered(rows: list[tuple[int, int, int]]) -> None:
    labels, a, b = (int8(*(row[i] for row in rows)) for i in range(3))
    measured = agreement(labels, a, b)
    counts = [measured.values.get(name, 0) for name in ("both_right", "only_a", "only_b", "both_wrong")]
    assert sum(counts) == ((labels >= 0) & (a >= 0) & (b >= 0)).sum()
    assert all(np.isfinite(value) for value in measured.values.values())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_kappa_is_agreement_beyond_chance(rows: list[tuple[int, int]]) -> None:
    a, b = int8(*(row[0] for row in rows)), int8(*(row[1] for row in rows))
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    if chance == 1:
        with pytest.raises(metrics.UndefinedMetricError, match="the same verdict"):
            metrics.value(KAPPA, a, b)
    else:
        assert metrics.value(KAPPA, a, b) == pytest.approx(((a == b).mean() - chance) / (1 - chance))


def test_agreement_without_labels_keeps_rate_and_kappa() -> None:
    measured = agreement(int8(-1, -1), int8(1, 0), int8(1, 0))
    assert measured.values == {"both_answered": 2, "rate": 1.0, "kappa": 1.0}
    assert set(measured.absent.values()) == {"no pair carries a label"}


def test_agreement_on_no_common_pair_is_absent() -> None:
    measured = agreement(int8(1, 0), int8(1, FAILED), int8(FAILED, 0))
    assert measured.values == {"both_answered": 0}
    assert measured.absent["rate"] == "no pair was answered by both"
    assert measured.absent["both_right"] == "no labelled pair was answered by both"
