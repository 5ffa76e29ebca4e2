"""What a report advises beside its table: nothing that the scores or the verdicts do not bear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from made_runs import LABELLED, judge, reactor, run_of

from benchmarks.detector_info import local_info
from benchmarks.report import build_summary, render_markdown, render_text
from benchmarks.report.cascade_words import cascade_sentences, curve_claim, share_needed, share_rows
from benchmarks.report.observations import threshold_sentences
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


def test_one_that_is_not_shown_worse_is_not_said_to_need_no_judge() -> None:
    other = MANY.copy()
    other[:6] = 1 - other[:6]
    summary = build_summary(run_of(MANY, scored(np.where(MANY == 1, 0.9, 0.1)), judge(other)))
    entry = {**summary["cascade"][0], "not_worse": None}
    assert entry["indistinguishable"]["sent"] == 0
    assert curve_claim(summary, entry).startswith("Not known: ")
    assert share_needed(entry) == "not known"
    assert share_needed(summary["cascade"][0]) == "none"
    assert curve_claim(summary, summary["cascade"][0]).startswith("None: ")


def test_many_cascades_are_a_table_and_one_sentence() -> None:
    wrong = (RANDOM.random(MANY.size) < 0.1 * place for place in range(1, 5))
    local = [
        replace(scored(np.where(w, 0.6 - 0.2 * MANY, 0.1 + 0.8 * MANY)), info=local_info(f"l{n}", "rules"))
        for n, w in enumerate(wrong)
    ]
    summary = build_summary(run_of(MANY, *local, judge(MANY, "one"), judge(MANY, "two")))
    assert share_rows(summary)[0] == ("pairs that still need", "one (simulated)", "two (simulated)")
    assert [row[0] for row in share_rows(summary)[1:]] == [f"after l{n}" for n in range(4)]
    assert len(cascade_sentences(summary)) == 1
    for told in (render_text(summary, colour=False), render_markdown(summary)):
        assert "after l3" in told
        assert "Pairs that still need" not in told
