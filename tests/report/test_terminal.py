"""What a run prints ends with the decisions, and with the path of the report."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_runs import GUESSES, LABELLED, NOTHING, RUNS, judge, reactor, run_of, summary_of

from benchmarks.report import build_summary, print_summary, render_decisions
from benchmarks.report.notes import interval_notes

MANY = np.tile(LABELLED, 20)
DECISIONS = (
    "May the local detector replace the judge?",
    "May it gate the judge, so that only some pairs are sent?",
    "What would have to be labelled to know?",
)


def told(kind: str) -> str:
    return render_decisions(summary_of(kind), Path("run"), colour=False)


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("kind", sorted(RUNS))
def test_the_last_line_is_the_whole_path_of_the_report(kind: str) -> None:
    assert told(kind).splitlines()[-1] == str(Path("run").resolve() / "report.html")


@pytest.mark.parametrize("kind", sorted(RUNS.keys() - {"hostile names"}))
def test_it_fits_a_hundred_columns_of_printable_characters(kind: str) -> None:
    assert all(len(line) <= 100 and line.isprintable() for line in told(kind).splitlines())


def test_a_reactor_beside_a_judge_is_told_in_thirty_lines_that_end_with_three_decisions() -> None:
    shown = render_decisions(
        build_summary(run_of(LABELLED, reactor(GUESSES), judge(LABELLED))), Path(), False
    )
    places = [shown.index(question) for question in DECISIONS]
    assert places == sorted(places)
    assert len(shown.splitlines()) <= 29  # beside the line that names the folder
    assert shown.count("MCC") == shown.count("Brier") == 0


def test_all_else_takes_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    summary, printed = summary_of("two detectors"), []
    for verbose in (False, True):
        print_summary(summary, Path(), verbose=verbose)
        printed.append(capsys.readouterr().out)
    short, whole = printed
    assert "Brier score" in whole
    assert whole.endswith(short)


def test_a_judge_that_answered_nothing_is_an_error_and_no_row_of_dashes() -> None:
    shown = told("judge failed")
    assert not re.search(r"^gpt-4o-mini", shown, re.MULTILINE)
    assert "Not known: gpt-4o-mini (simulated) gave no verdict (timeout 20)." in flat(shown)
    silent = render_decisions(build_summary(run_of(LABELLED, judge(NOTHING))), Path(), colour=False)
    assert "pairs/s" not in silent


def test_a_rule_that_reads_nothing_is_a_row_and_who_is_no_better_is_said_to_be_so() -> None:
    shown = flat(told("one detector"))
    assert 'always "no contradiction" 0.600 0.000 0.500' in shown
    assert 'A rule that reads nothing, always "no contradiction", has 60.0% right: more than kimera.' in shown
    good = flat(render_decisions(build_summary(run_of(MANY, reactor(MANY))), Path(), colour=False))
    assert "A rule that reads nothing" not in good
    turned = flat(
        render_decisions(build_summary(run_of((1 - MANY).astype(np.int8), reactor(MANY))), Path(), False)
    )
    assert 'always "contradiction" 0.600 0.750 0.500' in turned


def test_a_rule_that_reads_nothing_is_compared_on_the_pairs_that_a_detector_answered() -> None:
    """All in all 60 % have no contradiction; of the four that were answered, one."""
    answered = np.full(LABELLED.size, -1, np.int8)
    answered[[*np.flatnonzero(LABELLED == 1)[:3], np.flatnonzero(LABELLED == 0)[0]]] = [1, 1, 0, 1]
    shown = flat(render_decisions(build_summary(run_of(LABELLED, reactor(answered))), Path(), colour=False))
    assert 'A rule that reads nothing, always "contradiction", has 75.0% right: more than kimera.' in shown


@pytest.mark.parametrize(("repeats", "is_smoke"), [(1, True), (20, False)])
def test_few_labels_are_called_a_smoke_test_in_the_decisions(repeats: int, is_smoke: bool) -> None:
    labels, guesses = np.tile(LABELLED, repeats), np.tile(GUESSES, repeats)
    run = run_of(labels, reactor(guesses), judge(labels))
    shown = flat(render_decisions(build_summary(run), Path(), colour=False))
    assert ("No, by a smoke test of 20 labels: " in shown) is is_smoke
    assert ("20 labels (50 or fewer) make a smoke test" in shown) is is_smoke
    assert ("No: kimera has 50.0% of 400 labelled pairs right" in shown) is not is_smoke


def test_without_labels_it_says_how_many_to_draw() -> None:
    many = run_of(np.full(MANY.size, -1, np.int8), reactor(MANY))
    shown = flat(render_decisions(build_summary(many), Path(), colour=False))
    assert "100 pairs, drawn at random, are enough for a first estimate for all pairs." in shown


def test_no_more_pairs_are_to_be_drawn_than_there_are() -> None:
    shown = flat(told("no labels"))
    assert "All 20 pairs, and more like these: 20 pairs are few." in shown
    assert "100 pairs" not in shown


def test_contradictions_among_pairs_without_a_label_count_for_the_promise() -> None:
    labels, guesses = np.tile(LABELLED, 40), np.tile(GUESSES, 40)
    labels[np.random.default_rng(0).permutation(labels.size)[100:]] = -1
    run = run_of(labels, reactor(guesses), judge(np.tile(LABELLED, 40)))
    shown = flat(render_decisions(build_summary(run), Path(), colour=False))
    assert "of them must be sent" in shown
    assert "too few for that promise" not in shown


def test_what_is_saved_is_told_in_time_in_money_and_in_pairs_that_stay() -> None:
    dear = replace(judge(MANY, simulated=False), dollars=4.0, wall_s=400.0)
    shown = flat(render_decisions(build_summary(run_of(MANY, reactor(MANY), dear)), Path(), colour=False))
    assert (
        "Yes, with none of them sent: kimera alone is at most 2 points less accurate than gpt-4o-mini."
        in shown
    )
    assert "Of 1,000 pairs 1,000 would never leave the house, which saves 16.7 minutes and $10.00." in shown


def test_an_interval_by_texts_instead_of_pairs_has_its_reason_beside_it() -> None:
    shared = np.arange(LABELLED.size, dtype=np.int64) // 4
    clustered = replace(run_of(LABELLED, reactor(LABELLED)), clusters=shared)
    alone = run_of(LABELLED, reactor(LABELLED))
    told = [interval_notes(build_summary(run)) for run in (clustered, alone)]
    assert told[1] == []
    assert told[0][0].startswith(
        "Intervals of accuracy of kimera, precision of kimera, recall of kimera: all"
    )
    assert "Each text counts once, not each pair" in told[0][0]


def test_a_promise_that_the_base_rate_rules_out_is_said_to_be_so() -> None:
    shown = flat(told("two detectors"))
    assert (
        "Where at most 2% of the contradictions may be missed, about 48% of them must be sent, since "
        "kimera alone misses 50%" in shown
    )
    assert (
        "These pairs hold 8 contradictions, too few for that promise (--cascade 0.02), which takes 149."
        in shown
    )
