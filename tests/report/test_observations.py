"""What a report advises beside its table: nothing that the scores or the verdicts do not bear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from made_runs import LABELLED, judge, reactor, run_of

from benchmarks.report import build_summary, render_text
from benchmarks.report.observations import cascade_sentences, threshold_sentences
from benchmarks.stats.results import DetectorResult

MANY = np.tile(LABELLED, 20)
RANDOM = np.random.default_rng(5)


def scored(scores: np.ndarray) -> DetectorResult:
    return replace(reactor((scores >= 0.5).astype(np.int8)), scores=scores)


def advice(scores: np.ndarray) -> str:
    return " ".join(threshold_sentences(build_summary(run_of(MANY, scored(scores)))))


def test_no_threshold_is_advised_among_two_scores() -> None:
    told = advice(np.where(MANY == 1, 0.4, 0.1))
    assert told == (
        "Threshold of kimera: it calls none of 400 pairs contradictions; no other is advised, since it gives "
        "only 2 different scores."
    )


def test_no_threshold_is_advised_that_calls_every_pair_a_contradiction() -> None:
    told = advice(np.where(MANY == 1, 0.1, 0.3) + 0.1 * RANDOM.random(MANY.size))
    assert told == (
        "Threshold of kimera: it calls none of 400 pairs contradictions; no other is advised, since F1 is "
        "highest where all pairs are called contradictions."
    )


def test_a_useful_threshold_is_advised_to_one_that_calls_nothing() -> None:
    told = advice(np.where(MANY == 1, 0.3, 0.1) + 0.1 * RANDOM.random(MANY.size))
    assert told.startswith(
        "Threshold of kimera: it is 0.5. It calls none of 400 pairs contradictions. Cross-"
    )
    assert "there F1 is 1.000" in told


def test_two_scores_do_not_tell_which_pairs_need_the_judge() -> None:
    verdicts = np.where(np.arange(MANY.size) % 3 == 0, 1 - MANY, MANY)
    local = scored(np.where(verdicts == 1, 0.9, 0.1))
    (told,) = cascade_sentences(build_summary(run_of(MANY, local, judge(MANY, simulated=False))))
    assert told == (
        "Pairs that still need gpt-4o-mini: Not known: gpt-4o-mini alone is significantly more accurate than "
        "kimera alone, whose scores do not tell which pairs it is less sure of."
    )


def test_a_row_that_says_nothing_of_any_detector_is_left_out() -> None:
    told = render_text(build_summary(run_of(MANY, scored(RANDOM.random(MANY.size)))), colour=False)
    assert [line for line in told.splitlines() if line.endswith("  -")] == []
    assert "No dollars per correct verdict" in " ".join(told.split())
