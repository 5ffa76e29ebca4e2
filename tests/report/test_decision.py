"""The sentences on top of report.html say what the run shows, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_runs import GUESSES, LABELLED, SOME_FAILED, UNLABELLED, judge, reactor, run_of

from benchmarks.detector_info import DetectorInfo, judge_info, local_info
from benchmarks.report import build_summary, overview
from benchmarks.report.agreements import agreement_sentences
from benchmarks.report.cascade_words import cascade_sentences
from benchmarks.report.comparison_rows import comparison_groups
from benchmarks.report.conclusions import Question
from benchmarks.report.cost_words import dollars_per_thousand, written_dollars
from benchmarks.report.decision import answers
from benchmarks.report.notes import notes
from benchmarks.runs.run_result import RunResult
from benchmarks.stats.results import SCORE_SOURCES, DetectorResult

MANY = np.tile(LABELLED, 20)
WORSE = np.where(np.arange(MANY.size) % 4 == 0, 1 - MANY, MANY).astype(np.int8)


def decided(run: RunResult, margin: float = 0.02) -> tuple[Question, Question, Question]:
    """Of quality, of cost, and of the pairs that go to a judge."""
    quality, pairs, _, cost = answers(build_summary(run, margin))
    return quality, cost, pairs


def claims(answer: Question) -> list[str]:
    return [finding.claim for finding in answer.conclusions]


def test_that_texts_were_long_is_said_where_some_were() -> None:
    sources = np.full(MANY.size, SCORE_SOURCES.index("calibrated"), np.uint8)
    short = replace(reactor(MANY), score_sources=sources.copy())
    sources[:3] = SCORE_SOURCES.index("passages")
    said = [
        any("3 pairs had texts too long" in claim for claim in claims(decided(run_of(MANY, one))[0]))
        for one in (short, replace(short, score_sources=sources))
    ]
    assert said == [False, True]


@pytest.mark.parametrize(
    ("local", "asked", "margin", "claim"),
    [
        (
            WORSE,
            MANY,
            0.02,
            "No: kimera has 75.0% of 400 labelled pairs right, gpt-4o-mini (simulated) 100.0%, a difference "
            "of 25.0 points.",
        ),
        (
            MANY,
            WORSE,
            0.02,
            "Yes: kimera has 100.0% of 400 labelled pairs right, gpt-4o-mini (simulated) 75.0%, a difference "
            "of 25.0 points.",
        ),
        (
            MANY,
            MANY,
            0.02,
            "Yes: kimera has 100.0% of 400 labelled pairs right, gpt-4o-mini (simulated) 100.0%, which is "
            "equal within 2 points.",
        ),
        (
            WORSE,
            MANY,
            0.4,
            "Yes: kimera has 75.0% of 400 labelled pairs right, gpt-4o-mini (simulated) 100.0%, which is "
            "equal within 40 points.",
        ),
    ],
)
def test_the_local_detector_is_as_good_or_is_not(
    local: np.ndarray, asked: np.ndarray, margin: float, claim: str
) -> None:
    quality, _, _ = decided(run_of(MANY, reactor(local), judge(asked)), margin)
    assert quality.question == "May the local detector replace the judge?"
    assert claims(quality) == [claim]


def test_few_pairs_show_nothing() -> None:
    near = GUESSES.copy()
    near[0] = 1 - near[0]
    (finding,) = decided(run_of(LABELLED, reactor(GUESSES), judge(near)))[0].conclusions
    assert finding.claim.startswith(
        "Not known, by a smoke test of 20 labels: kimera has 50.0% of 20 labelled pairs right, gpt-4o-mini "
        "(simulated) 45.0%; so few pairs show neither a difference nor that there is none."
    )


def hardly_worse() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and two sets of verdicts: 61 % and 51.5 % right, too few pairs to tell which is better."""
    truth = MANY[:200]
    first, second = truth.copy(), truth.copy()
    first[:78] = 1 - truth[:78]
    second[:35], second[78:140] = 1 - truth[:35], 1 - truth[78:140]
    return truth, first, second


def test_who_is_shown_to_be_hardly_worse_if_at_all_may_replace_the_judge() -> None:
    """Where too few pairs tell whether it is better; the gate says the same, and no labels are asked for."""
    truth, local, asked = hardly_worse()
    quality, _, labels, _ = answers(build_summary(run_of(truth, reactor(local), judge(asked)), 0.02))
    assert claims(quality)[0].startswith(
        "Yes: kimera has 61.0% of 200 labelled pairs right, gpt-4o-mini (simulated) 51.5%, which shows the "
        "first to be at most 2 points less accurate, if at all."
    )
    assert claims(labels)[0].startswith("No more for pairs like these: 200 labels settle it.")


def test_of_two_local_detectors_it_is_not_settled_which_is_better() -> None:
    truth, first, second = hardly_worse()
    run = run_of(truth, reactor(first, "a"), reactor(second, "b"))
    *_, labels, _ = answers(build_summary(run, 0.02))
    assert claims(labels)[0].startswith("More pairs than these: 200 labels do not settle it.")


def test_accuracies_are_of_the_pairs_that_both_answered() -> None:
    (finding,) = decided(run_of(LABELLED, reactor(GUESSES), judge(SOME_FAILED)))[0].conclusions
    assert "kimera has 58.8% of 17 labelled pairs right, gpt-4o-mini (simulated) 100.0%" in finding.claim
    assert "On 17 of 20 pairs (those with a label that both answered" in finding.support


def test_two_that_are_right_as_often_may_err_in_opposite_ways() -> None:
    labels = np.array([1] * 5 + [0] * 5, np.int8)
    blind, alarmed = labels.copy(), labels.copy()
    blind[:2], alarmed[5:7] = 0, 1
    (finding,) = decided(run_of(labels, reactor(blind), judge(alarmed)))[0].conclusions
    assert finding.support.startswith(
        "kimera misses 40% of the contradictions and calls 0% of the other pairs contradictions; "
        "gpt-4o-mini (simulated) misses 0% of the contradictions and calls 40% of the other pairs "
    )


def test_without_labels_only_agreement_is_known() -> None:
    quality, _, pairs = decided(run_of(UNLABELLED, reactor(GUESSES), judge(LABELLED)))
    assert claims(quality) == [
        "Not known for kimera and gpt-4o-mini (simulated): no labelled pair was answered by both."
    ]
    assert claims(pairs) == ["kimera and gpt-4o-mini (simulated) disagree on 10 of 20 pairs (50.0%)."]


def test_each_judge_is_set_against_the_reactor_and_not_against_another_judge() -> None:
    quality, cost, pairs = decided(
        run_of(LABELLED, reactor(GUESSES), judge(LABELLED, "a"), judge(GUESSES, "b"))
    )
    assert [len(answer.conclusions) for answer in (quality, cost, pairs)] == [2, 3, 2]
    assert all("kimera" in claim for claim in (*claims(quality), *claims(pairs)))


def test_judges_alone_are_set_against_each_other() -> None:
    quality, _, pairs = decided(run_of(LABELLED, judge(LABELLED, "a"), judge(GUESSES, "b")))
    assert (quality.question, pairs.question) == ("Which judge is better?", "On which pairs do they differ?")
    assert claims(quality)[0].startswith(
        "a (simulated) has 100.0% of 20 labelled pairs right, b (simulated) 50.0%, a difference of "
        "50.0 points."
    )


def test_one_detector_is_told_with_its_interval() -> None:
    quality, cost, pairs = decided(run_of(LABELLED, reactor(GUESSES)))
    assert claims(quality) == [
        'Accuracy of kimera: 0.500 (0.299 to 0.701). A rule that reads nothing, always "no contradiction", '
        "has 60.0% right: more than kimera."
    ]
    assert cost.question == "What does it take?"
    assert claims(pairs) == ["Not known: only one detector was asked."]


def test_a_time_from_the_cache_is_not_shown_as_one_of_a_first_run() -> None:
    cached = replace(reactor(LABELLED), settings={"encoded": 0, "from_cache": 40})
    (finding,) = decided(run_of(LABELLED, cached))[1].conclusions
    assert finding.claim.startswith("kimera: time not measured (all from the cache), 400 pairs/s with the")
    assert finding.support == (
        "Speed of kimera: 40 of 40 texts came from the cache, so its own speed is not known; --no-cache "
        "measures it."
    )


def test_the_time_of_what_was_computed_is_told_beside_a_cache() -> None:
    partly = replace(reactor(LABELLED), settings={"read": 5, "read_from_cache": 15})
    (finding,) = decided(run_of(LABELLED, partly))[1].conclusions
    assert (
        finding.claim == "kimera: 3.6 ms for each pair that it computed, 400 pairs/s with the cache, no fee."
    )
    assert finding.support == (
        "Speed of kimera: 15 of 20 pairs came from the cache. A pair that it computed took 3.6 ms; "
        "--no-cache measures them all."
    )


def test_texts_of_a_chain_are_said_to_count_at_each_stage() -> None:
    chain = {"from_cache": 67, "chain": {"kimera:screen": {}, "kimera:verify": {}}}
    (finding,) = decided(run_of(LABELLED, replace(reactor(LABELLED), settings=chain)))[1].conclusions
    assert "67 of 67 texts (counted at each stage that they came to) came from the cache" in finding.support


def test_a_fee_is_of_the_pairs_that_were_asked_and_paid_for() -> None:
    priced = replace(judge(SOME_FAILED, simulated=False), dollars=0.05)
    stopped = replace(priced, errors={"not_asked": 3})
    cached = replace(priced, from_cache=2)
    fees = []
    for each in (priced, stopped, cached, judge(LABELLED)):
        summary = build_summary(run_of(LABELLED, each))
        fees.append(
            (dollars_per_thousand(summary["detectors"]["gpt-4o-mini"]), claims(answers(summary)[3])[0])
        )
    assert [fee for fee, _ in fees] == [2.5, pytest.approx(50 / 17), None, None]
    assert "$2.50 for 1,000 pairs" in fees[0][1]
    assert "$0.0500 for the run, whose 2 replies from the cache cost nothing again" in fees[2][1]
    assert "no fee, simulated" in fees[3][1]


def test_dollars_have_the_digits_that_matter() -> None:
    written = [written_dollars(each) for each in (0.0, 0.000123, 0.0456, 0.6, 1234.567)]
    assert written == ["$0.00", "$0.00012", "$0.046", "$0.60", "$1,234.57"]


# Several local detectors


def local(share_wrong: float, name: str, latency_ms: float = 1.0) -> DetectorResult:
    """Wrong on about that share of the pairs."""
    random = np.random.default_rng(sum(map(ord, name)))
    is_wrong = random.random(MANY.size) < share_wrong
    result = reactor(np.where(is_wrong, 1 - MANY, MANY).astype(np.int8), name)
    return replace(result, latency_ms=np.full(MANY.size, latency_ms))


def test_the_best_local_detector_is_named_and_set_against_each_other() -> None:
    detectors = local(0.4, "poor"), local(0.02, "good", 10.0), local(0.3, "fair", 2.0)
    quality, _, _ = decided(run_of(MANY, *detectors))
    assert quality.question == "Which local detector is the best?"
    best, *others = claims(quality)
    assert best.startswith("The best local detector is good: accuracy 0.9")
    assert [claim.split(" by ")[0] for claim in others] == ["Better than fair", "Better than poor"]
    assert others[0].endswith("the difference is real. It takes 5 times as long a pair.")
    assert others[1].endswith("the difference is real. It takes 10 times as long a pair.")
    assert "adjusted for 3 tests" in quality.conclusions[1].support


def test_a_difference_that_is_not_shown_is_no_victory() -> None:
    detectors = local(0.02, "first", 1.0), local(0.03, "second", 4.0), local(0.4, "third")
    quality, _, _ = decided(run_of(MANY, *detectors))
    best, second, third = claims(quality)
    assert best.startswith("The highest accuracy of a local detector is that of first, 0.9")
    assert best.endswith("It is not told apart from second.")
    assert second.startswith(
        "Not told apart from second: 400 labelled pairs are too few for a difference of "
    )
    assert second.endswith("points. It is 4 times as fast.")
    assert third.startswith("Better than third")


def test_equal_detectors_are_equivalent_and_neither_is_better() -> None:
    other = MANY.copy()
    other[0] = 1 - other[0]
    best, against = claims(
        decided(
            run_of(
                MANY, local(0.0, "first"), replace(reactor(other, "second"), latency_ms=np.ones(MANY.size))
            )
        )[0]
    )
    assert best.endswith("It is not told apart from second.")
    assert against.startswith("Equivalent to second within 2 points")
    assert against.endswith("It takes about as long.")


def test_detectors_with_the_same_verdicts_are_said_to_have_them() -> None:
    summary = build_summary(run_of(LABELLED, reactor(GUESSES, "first"), reactor(GUESSES, "second")))
    quality, pairs, _, _ = answers(summary)
    assert claims(quality)[1].startswith(
        "The same verdicts as second on all 20 labelled pairs that both answered."
    )
    assert claims(pairs) == ["first and second disagree on 0 of 20 pairs (0.0%)."]
    (_, accuracy) = agreement_sentences(summary)
    assert accuracy.startswith(
        "Accuracy: first and second gave the same verdicts on all 20 labelled pairs that both answered, "
        "which are too few to show that they are equivalent within 2 points elsewhere ("
    )


@pytest.mark.parametrize(
    ("label", "claim"),
    [
        (0, "none is a contradiction. A detector that never says contradiction would have accuracy 1.000"),
        (1, "all are contradictions. A detector that always says contradiction would have accuracy 1.000"),
    ],
)
def test_labels_of_one_class_name_no_best_detector(label: int, claim: str) -> None:
    alike = np.full(MANY.size, label, dtype=np.int8)
    summary = build_summary(run_of(alike, reactor(WORSE, "first"), reactor(MANY, "second"), judge(WORSE)))
    quality, pairs, _, _ = answers(summary)
    (told,) = claims(quality)
    assert told.startswith(f"This set cannot answer it: of 400 labelled pairs, {claim}")
    assert told.split(": ", 1)[1] in notes(summary)[1]
    assert notes(summary)[1].startswith("One class only: ")
    assert not any("still need" in claim or "least sure" in claim for claim in claims(pairs))
    assert not cascade_sentences(summary)


def test_a_difference_says_of_whom_it_is_and_has_the_signs_of_the_table() -> None:
    summary = build_summary(run_of(MANY, reactor(WORSE), judge(MANY)))
    (_, accuracy) = agreement_sentences(summary)
    low, high = summary["agreement"][0]["differences"]["intervals"]["accuracy"]
    assert low < high < 0
    assert (
        f"(kimera minus gpt-4o-mini (simulated) is -25.0 points, 95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f}, so gpt-4o-mini (simulated) is higher here; McNemar"
    ) in accuracy
    assert "is -25.0 points" in answers(summary)[0].conclusions[0].support


def test_one_that_answers_few_pairs_is_not_the_best_for_that() -> None:
    few = reactor(np.where(np.arange(MANY.size) < 20, MANY, -1).astype(np.int8), "few")
    quality, _, _ = decided(run_of(MANY, few, local(0.1, "all")))
    assert "all" in claims(quality)[0]
    assert "few" in claims(quality)[1]


def test_one_that_was_not_asked_about_all_pairs_is_not_the_best_yet() -> None:
    begun = reactor(np.where(np.arange(MANY.size) < 60, MANY, -1).astype(np.int8), "begun")
    begun = replace(begun, errors={"not_asked": MANY.size - 60})
    quality, _, _ = decided(run_of(MANY, local(0.2, "all"), begun))
    assert "all" in claims(quality)[0]
    (unknown,) = claims(decided(run_of(MANY, begun, replace(begun, info=local_info("too", "reactor"))))[0])
    assert unknown == f"Not known: {MANY.size - 60} pairs were not asked."


def test_a_real_difference_the_other_way_makes_no_best_one() -> None:
    failed = np.arange(MANY.size) % 4 == 0
    better = reactor(np.where(failed, -1, MANY).astype(np.int8), "better")
    best, against = claims(decided(run_of(MANY, local(0.1, "whole"), better))[0])
    assert best.startswith("The highest accuracy of a local detector is that of whole")
    assert against.startswith("Worse, on the pairs that both answered, than better")


def test_one_that_failed_on_all_pairs_is_compared_with_nothing() -> None:
    dead = reactor(np.full(MANY.size, -1, dtype=np.int8), "dead")
    best, against = claims(decided(run_of(MANY, local(0.1, "alive"), dead))[0])
    assert best.startswith("The best local detector is alive")
    assert against.startswith("Not compared with dead")
    (unknown,) = claims(decided(run_of(MANY, dead, replace(dead, info=local_info("too", "reactor"))))[0])
    assert unknown.startswith("Not known: ")


def test_with_a_judge_the_best_local_detector_is_held_against_it() -> None:
    detectors = local(0.4, "poor"), local(0.0, "good"), local(0.0, "alike"), local(0.3, "fair")
    run = run_of(MANY, *detectors, judge(WORSE))
    quality, _, pairs = decided(run)
    assert quality.question == "Which local detector is the best, and may it replace the judge?"
    against_judge = [claim for claim in claims(quality) if claim.startswith(("Yes", "No"))]
    assert against_judge == [
        "Yes: good has 100.0% of 400 labelled pairs right, gpt-4o-mini (simulated) 75.0%, a difference of "
        "25.0 points."
    ]
    assert claims(quality)[-1] == (
        "As good as gpt-4o-mini (simulated) is, of the other local detectors: alike."
    )
    assert len(claims(pairs)) == 2
    assert claims(pairs)[1].startswith("Pairs that still need gpt-4o-mini (simulated) after the others: ")


def test_times_that_nobody_measured_are_not_compared() -> None:
    stated = local(0.3, "stated")
    quality, cost, _ = decided(run_of(MANY, local(0.0, "file", 0.0), stated))
    assert claims(quality)[1].endswith("Their times cannot be compared.")
    assert claims(cost)[0] == "file: no time measured, no fee."


def test_a_few_texts_from_the_cache_do_not_hide_a_time() -> None:
    def cached(count: int) -> DetectorResult:
        return replace(local(0.3, "other", 2.0), settings={"encoded": 100 - count, "from_cache": count})

    best = local(0.0, "best", 1.0)
    few, many = (claims(decided(run_of(MANY, best, cached(count)))[0])[1] for count in (2, 100))
    assert few.endswith("It is 2 times as fast.")
    assert many.endswith("Their times cannot be compared (--no-cache measures them).")


def test_without_labels_no_local_detector_is_called_the_best() -> None:
    unlabelled = np.full(MANY.size, -1, dtype=np.int8)
    quality, _, pairs = decided(run_of(unlabelled, *(local(0.1 * i, f"detector-{i}") for i in range(5))))
    assert claims(quality) == ["Not known: no pair carries a label."]
    assert [claim.split(":")[0] for claim in claims(pairs)] == ["Least alike", "Most alike"]


def test_a_local_speed_says_that_a_time_is_its_own_and_a_rate_of_the_whole_pass() -> None:
    summary = build_summary(run_of(MANY, replace(local(0.1, "quick", 0.00105), wall_s=0.02, used=1)))
    assert claims(answers(summary)[3]) == [
        "quick: 0.00105 ms a pair of its own time, 20,000 pairs/s over its whole pass, no fee."
    ]
    assert any(
        note.startswith("Speed of quick: mean latency is the detector's own") for note in notes(summary)
    )


def test_a_speed_with_the_cache_is_the_same_everywhere_and_marked() -> None:
    settings = {"encoded": 0, "from_cache": 400}
    others = [local(0.1 * place, f"other-{place}") for place in range(4)]
    run = run_of(MANY, replace(local(0.0, "cached", 2.5), wall_s=1.0, settings=settings), *others)
    summary = build_summary(run)
    (told,) = (claim for claim in claims(answers(summary)[3]) if claim.startswith("cached"))
    assert told == ("cached: time not measured (all from the cache), 400 pairs/s with the cache, no fee.")
    (row,) = (row for row in overview.rows(summary) if row[0] == "cached")
    assert "400 (cached)" in row
    table = {row[0]: row[1] for row in comparison_groups(summary)[2][1]}
    assert table["pairs a second"] == "400 (cached)"
    assert table["mean latency"] == "2.5 ms a pair, amortised (cached)"


def test_a_file_is_said_to_state_what_it_states() -> None:
    def file(info: DetectorInfo, latency_ms: float) -> DetectorResult:
        return replace(local(0.1, "any", latency_ms), info=info, mode="file")

    summary = build_summary(
        run_of(
            MANY,
            file(local_info("plain", "scores file", is_replayed=True), np.nan),
            file(local_info("timed", "scores file", is_replayed=True), 2.0),
            file(judge_info("judged", is_replayed=True), 731.0),
        )
    )
    plain, timed, judged = (summary["detectors"][name] for name in ("plain", "timed", "judged"))
    assert (
        plain["absent"]["latency_ms.mean"] == plain["absent"]["latency_ms.p50"] == "its file states no times"
    )
    assert timed["absent"]["latency_ms.p50"].startswith("its file may state times of batches")
    assert "mean" not in judged["pair_ms"]
    for each in (plain, timed, judged):
        assert each["absent"]["pair_ms.mean"] == "its file states no retries"
    assert "timed by the batch" not in str(summary)
    times = [claim.split(": ")[1].split(", ")[0] for claim in claims(answers(summary)[3])]
    assert times == [
        "its file states no time",
        "2 ms a pair as its file states",
        "731 ms a pair as its file states",
    ]


@pytest.mark.parametrize("labels", [MANY, np.full(MANY.size, -1, dtype=np.int8)])
def test_three_classes_without_figures_have_a_sentence(labels: np.ndarray) -> None:
    asked = replace(judge(MANY), settings={"classes": 3})
    told = [note for note in notes(build_summary(run_of(labels, asked))) if "--classes 3" in note]
    assert len(told) == 1
    assert told[0].startswith("No three-way figures, although --classes 3 asked for three classes: ")
    assert not [note for note in notes(build_summary(run_of(labels, judge(MANY)))) if "--classes" in note]
