"""Figures of three classes: their tables are scikit-learn's, and where there are none the reason is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import reactor, run_of
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from benchmarks.detector_info import judge_info
from benchmarks.report import build_summary, render_markdown, render_text
from benchmarks.report.page import render_page
from benchmarks.report.pair_table import PairTable
from benchmarks.stats.metrics import measured
from benchmarks.stats.results import FAILED, DetectorResult, OneDetector
from benchmarks.stats.three_way_figures import THREE_WAY, confusion, why_not_three_way
from kimera.pairs import RELATIONS, Verdict

ALL_THREE = [0, 1, 2]


def one_of(gold: list[int] | None, said: list[int] | None) -> OneDetector:
    """A detector over as many pairs. Classes are indices into RELATIONS, -1 for none."""
    size = len(gold or said or [0])
    classes = None if gold is None else np.array(gold, np.int8)
    labels = np.zeros(size, np.int8) if classes is None else np.where(classes < 0, -1, classes == 0)
    arrays = {name: np.zeros(size) for name in ("scores", "latency_ms", "wait_ms")}
    detector = DetectorResult(
        info=judge_info("judge"),
        mode="async",
        asked=1,
        used=1,
        wall_s=1.0,
        verdicts=np.zeros(size, np.int8),
        classes=None if said is None else np.array(said, np.int8),
        **arrays,
    )
    return OneDetector(detector, labels.astype(np.int8), np.arange(size) // 2, gold_classes=classes)


pairs = st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 2)), max_size=60)


@given(pairs)
def test_the_table_is_that_of_scikit_learn_over_the_pairs_counted(drawn: list[tuple[int, int]]) -> None:
    whole = [*drawn, *zip(ALL_THREE, [0, 2, 2], strict=True)]
    one = one_of([gold for gold, _ in whole], [said for _, said in whole])
    gold, said = zip(*((gold, said) for gold, said in whole if gold >= 0 and said >= 0), strict=True)
    table = np.array([[confusion(one)[row][column] for column in RELATIONS] for row in RELATIONS])
    assert table.tolist() == confusion_matrix(gold, said, labels=ALL_THREE).tolist()
    found = measured(THREE_WAY, one)
    assert table.sum() == found.values["three_way.pairs"] == len(gold)
    assert found.values["three_way.accuracy"] == pytest.approx(accuracy_score(gold, said))
    expected = f1_score(gold, said, labels=ALL_THREE, average="macro", zero_division=0)
    assert found.values["three_way.macro_f1"] == pytest.approx(expected)
    for name, (low, high) in found.intervals.items():
        assert 0 <= low <= found.values[name] <= high <= 1


def test_one_that_answered_nothing_is_not_said_to_tell_two_classes_only() -> None:
    one = one_of(ALL_THREE, None)
    failed = replace(one, detector=replace(one.detector, verdicts=np.full(3, FAILED, np.int8)))
    assert why_not_three_way(failed) == "no labelled pair was answered"


def test_the_pairs_of_three_classes_are_found_once() -> None:
    one = one_of(ALL_THREE, [0, -1, 1])
    assert one.of_three_classes.tolist() == [True, False, True]
    assert one.of_three_classes is one.of_three_classes


@pytest.mark.parametrize("said", [[0, 1, 2, 0], [0, 1, 2, -1]])
def test_figures_over_some_pairs_only_are_shown_as_such(said: list[int]) -> None:
    labels = np.array([1, 0, 0, 1], np.int8)
    detector = replace(reactor(labels), classes=np.array(said, np.int8))
    run = replace(run_of(labels, detector), classes=np.array([0, 1, 2, 0], np.int8))
    summary, warning = build_summary(run), "Three-way figures of kimera are over 3 of its 4 labelled pairs"
    page = render_page(summary, run, PairTable())
    for told in (render_text(summary, colour=False), render_markdown(summary), page):
        assert (warning in told.replace("\\", "")) == (-1 in said)


@pytest.mark.parametrize(
    ("gold", "said", "reason"),
    [
        (ALL_THREE, ALL_THREE, None),
        (ALL_THREE, None, "it tells contradictions from others only"),
        (None, ALL_THREE, "the labels tell contradictions from others only"),
        ([0, 1, 1], ALL_THREE, "no pair is labelled neutral"),
        ([-1, -1, -1], ALL_THREE, "no pair carries a label"),
        (ALL_THREE, [-1, -1, -1], "no pair with such a label got a verdict of one of three classes"),
        (None, None, ""),
    ],
)
def test_where_there_are_no_such_figures_the_reason_is_said(
    gold: list[int] | None, said: list[int] | None, reason: str | None
) -> None:
    one = one_of(gold, said)
    assert why_not_three_way(one) == reason
    absent = measured(THREE_WAY, one).absent
    assert absent == ({figure.name: reason for figure in THREE_WAY} if reason else {})


@pytest.mark.parametrize(
    ("verdict", "relation"),
    [
        ({"contradiction": True, "entailment": 0.1, "neutral": 0.2}, "contradiction"),
        ({"contradiction": False, "entailment": 0.3, "neutral": 0.2}, "entailment"),
        ({"contradiction": False, "entailment": 0.2, "neutral": 0.2}, "neutral"),
        ({"contradiction": False, "relation": "entailment"}, "entailment"),
        ({"contradiction": True, "entailment": 0.1}, None),
        ({"contradiction": True}, None),
    ],
)
def test_the_class_of_a_verdict_never_contradicts_it(verdict: dict[str, Any], relation: str | None) -> None:
    assert Verdict(**verdict, confidence=0.6).three_way == relation


@pytest.mark.parametrize(
    ("contradiction", "relation"), [(True, "neutral"), (False, "contradiction"), (False, "unclear")]
)
def test_a_relation_that_says_otherwise_than_the_verdict_is_refused(
    contradiction: bool, relation: str
) -> None:
    with pytest.raises(ValueError, match="relation"):
        Verdict(contradiction, 0.9, relation=relation)
