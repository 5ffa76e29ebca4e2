"""Figures of all pairs in a report where only some are labelled: what is said, and what may be asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_runs import LABELLED, judge, partly_labelled_run, reactor, run_of, summary_of

from benchmarks import diff, llm_compare
from benchmarks.report import __main__ as report
from benchmarks.report import build_summary, render_markdown, render_text
from benchmarks.report.decision import answers
from benchmarks.report.estimate_words import more_sentences, rows, sentences
from benchmarks.report.shown_differences import shown
from benchmarks.stats.label_order import NEXT, asked_pairs, probabilities

PAIRS = 200


def test_a_run_in_which_nearly_all_are_labelled_is_as_it_was() -> None:
    labels = np.where(np.arange(20) == 0, -1, LABELLED).astype(np.int8)
    for run in (run_of(LABELLED, reactor(LABELLED)), run_of(labels, reactor(LABELLED))):
        summary = build_summary(run)
        assert "estimates" not in summary
        assert "estimates" not in summary["detectors"]["kimera"]
        assert sentences(summary) == [] == rows(summary)


def test_a_run_without_labels_says_what_is_needed() -> None:
    summary = summary_of("no labels")
    assert "estimates" not in summary
    assert "Labels of 100 pairs that are drawn at random" in " ".join(render_text(summary, False).split())


def test_the_terminal_gives_each_estimate_beside_that_of_the_labels() -> None:
    summary = summary_of("partly labelled")
    first = sentences(summary)[0]
    part = summary["detectors"]["kimera"]["estimates"]
    low, high = part["intervals"]["accuracy"]
    assert part["methods"]["accuracy"] == "prediction_powered"
    assert first.startswith(
        f"Accuracy of kimera: {part['accuracy']:.3f} ({low:.3f} to {high:.3f}) from 120 labels and 1,000 "
        f"verdicts; from the labels alone {part['labels_alone']['accuracy']:.3f} ("
    )
    assert first.split(":")[0] in render_text(summary, colour=False)


def test_the_whole_report_has_differences_prevalence_and_every_figure() -> None:
    summary = summary_of("partly labelled")
    told = " ".join(sentences(summary))
    assert "Accuracy of kimera minus that of gpt-4o-mini (simulated): -0." in told
    assert "Share of contradictions: 0.288 (" in told
    assert {row[0] for row in rows(summary)} >= {"recall, all pairs", "misses, labels alone"}
    assert "by the error rates of gpt-4o-mini (simulated)" in more_sentences(summary)[0]
    assert "| precision, all pairs |" in render_markdown(summary)


def test_the_decision_tells_what_holds_for_all_pairs() -> None:
    summary = summary_of("partly labelled")
    (entry,) = summary["agreement"]
    low, high = (-100 * end for end in reversed(entry["estimates"]["intervals"]["accuracy"]))
    local, judge = (f"{summary['detectors'][entry[side]]['estimates']['accuracy']:.1%}" for side in "ab")
    assert (
        f"estimated for all pairs, kimera has {local} right and gpt-4o-mini (simulated) {judge}; their "
        f"difference, estimated by itself, is {-100 * entry['estimates']['accuracy']:.1f} points (95 % "
        f"interval {low:.1f} to {high:.1f})"
    ) in answers(summary)[0].conclusions[0].claim


def test_labels_of_no_random_part_decide_nothing() -> None:
    replaced, gate, labels, _ = answers(summary_of("the first ones labelled"))
    assert replaced.conclusions[0].claim.startswith("Not known: ")
    assert "the labelled ones are no random part of all" in replaced.conclusions[0].claim
    assert gate.conclusions[0].claim.startswith(
        "Not known for all pairs, since the labelled ones are no random"
    )
    assert labels.conclusions[0].claim.startswith("Pairs drawn at random: ")


def test_labels_drawn_unequally_are_weighed_before_anything_is_decided() -> None:
    """As the page draws them: a random block, and the pairs that are hardest for these detectors."""
    rng = np.random.default_rng(1)
    truth = (rng.random(3000) < 0.1).astype(np.int8)
    local = np.where(rng.random(3000) < 0.06, 1 - truth, truth).astype(np.int8)
    judged = np.where(rng.random(3000) < 0.04, 1 - truth, truth).astype(np.int8)
    none = np.full(3000, -1, np.int8)
    run = run_of(none, reactor(local), judge(judged, simulated=False))
    given, chosen = none.copy(), np.zeros(3000, bool)
    for asked in asked_pairs(none, run.own_scores, "a run", 150):
        given[asked.place], chosen[asked.place] = truth[asked.place], asked.block == NEXT
    drawn = probabilities(none, given, run.own_scores, chosen)
    summary = build_summary(replace(run, labels=given, dataset_labels=none, drawn=drawn))
    assert summary["detectors"]["kimera"]["accuracy"] < 0.7  # of the labelled ones, chosen to be hard
    replaced, gate, _, _ = (answer.conclusions[0].claim for answer in answers(summary))
    assert "estimated for all pairs, kimera has 9" in replaced
    assert "A rule that reads nothing" not in replaced
    assert gate.startswith("Not known for all pairs, since the labelled ones were not drawn equally often.")
    rates = summary["detectors"]["kimera"]["estimates"]
    support = answers(summary)[0].conclusions[0].support
    assert f"kimera misses {rates['miss_rate']:.0%} of the contradictions" in support
    assert f"calls {rates['false_alarm_rate']:.0%} of the other pairs contradictions" in support


def test_the_best_local_detector_is_the_best_on_all_pairs() -> None:
    """A errs three times as often as B, but not on the labelled pairs, most of which are hard ones."""
    rng = np.random.default_rng(2)
    truth = (rng.random(3000) < 0.3).astype(np.int8)
    hard = rng.random(3000) < 0.05
    a = np.where(~hard & (rng.random(3000) < 0.16), 1 - truth, truth).astype(np.int8)
    b = np.where(hard & (rng.random(3000) < 0.9), 1 - truth, truth).astype(np.int8)
    drawn = np.where(hard, 0.9, 0.06)
    labels = np.where(rng.random(3000) < drawn, truth, -1).astype(np.int8)
    summary = build_summary(replace(run_of(labels, reactor(a, "A"), reactor(b, "B")), drawn=drawn))
    accuracies = {name: detector["accuracy"] for name, detector in summary["detectors"].items()}
    assert accuracies["A"] > accuracies["B"]
    best, against = answers(summary)[0].conclusions
    assert best.claim.startswith("The best local detector is B: accuracy ")
    assert " of the labelled pairs. Estimated for all pairs: 9" in best.claim
    assert against.claim.startswith("Better than A by ")
    assert against.support.startswith("Accuracy, on the labelled pairs, ")


@pytest.mark.parametrize(
    ("interval", "couples", "shown_as"),
    [
        ([0.001, 0.099], 1, (True, False, True)),
        ([-0.001, 0.099], 1, (False, False, True)),
        ([0.001, 0.099], 3, (False, False, True)),  # one of three couples has to show more
        ([0.03, 0.07], 3, (True, False, True)),
        ([0.0, 0.015], 1, (False, True, True)),
        ([-0.099, -0.001], 1, (True, False, False)),
    ],
)
def test_what_an_estimated_difference_shows(
    interval: list[float], couples: int, shown_as: tuple[bool, bool, bool]
) -> None:
    of_all = {"accuracy": sum(interval) / 2, "intervals": {"accuracy": interval}}
    found = {
        "accuracy": 0.5,
        "intervals": {"accuracy": [0.4, 0.6]},
        "equivalence": {"margin": 0.02, "p": 1.0},
    }
    found |= {"mcnemar": {"p_holm": 1.0}}
    entry = {"a": "x", "b": "y", "differences": found, "estimates": of_all}
    summary = {"agreement": [entry, *({**entry, "b": f"y{other}"} for other in range(couples - 1))]}
    told = shown(summary, "x", "y")
    assert told is not None
    assert told.for_all
    assert (told.is_real, told.is_equivalent, told.is_no_worse) == shown_as
    turned = shown(summary, "y", "x")
    assert turned is not None
    assert turned.difference == -told.difference
    assert (turned.is_real, turned.is_equivalent) == shown_as[:2]
    assert turned.is_no_worse == (interval[1] < 0.02)


@pytest.mark.parametrize("first", [True, False])
def test_several_local_detectors_have_estimates_too(first: bool) -> None:
    run = partly_labelled_run(labels=150, pairs=1500, first=first)
    other = reactor(run.detectors[1].verdicts, "other")
    best, against = answers(build_summary(replace(run, detectors=(run.detectors[0], other))))[0].conclusions
    assert ("no random part of all" in best.claim) is first
    assert ("Estimated for all pairs: 9" in best.claim) is not first
    assert ("by the estimate for all pairs" in against.claim) is not first


def test_the_first_rows_are_no_random_part_and_the_way_out_is_told() -> None:
    summary = summary_of("the first ones labelled")
    (told,) = sentences(summary)
    assert "they differ in their places in the file" in told
    assert "--label-weights COLUMN" in told
    estimates = summary["detectors"]["kimera"]["estimates"]
    assert "accuracy" not in estimates
    assert estimates["absent"]["accuracy"] == summary["estimates"]["refused"]


def test_known_probabilities_are_taken_at_their_word() -> None:
    run = partly_labelled_run(labels=40, pairs=200, first=True)
    whole = build_summary(replace(run, drawn=np.full(run.labels.size, 0.12)))["estimates"]
    uneven = np.where(np.arange(run.labels.size) % 2, 0.1, 0.2)
    weighted = build_summary(replace(run, drawn=uneven))
    assert not whole["weighted"]
    assert "refused" not in whole
    assert weighted["estimates"]["weighted"]
    assert more_sentences(weighted)[0].startswith("Each label counts by the inverse")


def test_a_judge_that_was_asked_about_hard_pairs_only_has_no_estimates() -> None:
    run = partly_labelled_run()
    local, dear = run.detectors
    measured = np.arange(run.labels.size) % 3 == 0
    summary = build_summary(replace(run, detectors=(local, replace(dear, measured=measured))))
    assert "estimates" in summary["detectors"]["kimera"]
    assert "estimates" not in summary["detectors"]["gpt-4o-mini"]


# On the command line.


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of pairs of which a quarter is labelled, and two files of scores."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    truth = random.random(PAIRS) < 0.4
    labelled = random.random(PAIRS) < 0.3
    with (folder / "pairs.jsonl").open("w") as file:
        for i in range(PAIRS):
            label = ("contradiction" if truth[i] else "neutral") if labelled[i] else None
            row = {
                "id": f"p{i}",
                "text1": f"Shop {i} is open.",
                "text2": f"Shop {i} is shut.",
                "label": label,
            }
            file.write(json.dumps({**row, "drawn": 0.2 + 0.2 * (i % 2), "rest": 7}) + "\n")
    for name, wrong in (("good", 0.05), ("poor", 0.3)):
        said = np.where(random.random(PAIRS) < wrong, ~truth, truth)
        scores = np.where(said, 0.9, 0.1) + 0.05 * random.random(PAIRS)
        lines = [json.dumps({"id": f"p{i}", "score": float(scores[i])}) for i in range(PAIRS)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return folder


def compare(data: Path, out: Path, *more: str) -> int:
    detectors = [
        word for name in ("good", "poor") for word in ("--local", f"{name}=scores:{data / name}.jsonl")
    ]
    given = [str(data / "pairs.jsonl"), "--max-pairs", "0", "--kimera-only", *detectors, "--out", str(out)]
    return llm_compare.main([*given, "--no-viz", "--quiet", *more])


def summary_in(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    return dict(json.loads((folder / "summary.json").read_text()))


def test_gates_and_diff_take_estimates(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    met = (
        "good.estimates.accuracy.low < 0.5",
        "good/poor.estimates.accuracy < 0",
        "estimates.prevalence > 0.9",
    )
    gates = [word for gate in met for word in ("--fail-if", gate)]
    assert compare(data, tmp_path / "run", *gates) == 0
    assert compare(data, tmp_path / "other", "--fail-if", "good.estimates.accuracy > 0") == 3
    capsys.readouterr()
    runs = [str(tmp_path / "run"), str(tmp_path / "other"), "--detector", "good=poor"]
    assert diff.main([*runs, "--fail-if", "good=poor.estimates.accuracy.high < 0"]) == 3
    assert "For all pairs in both runs, accuracy of poor in B minus that of good in A: -0." in (
        " ".join(capsys.readouterr().out.split())
    )


def test_weights_are_read_from_their_column_in_a_run_or_for_its_report(data: Path, tmp_path: Path) -> None:
    assert compare(data, tmp_path / "a", "--label-weights", "drawn") == 0
    assert compare(data, tmp_path / "b") == 0
    weighted, plain = summary_in(tmp_path / "a"), summary_in(tmp_path / "b")
    assert (weighted["estimates"]["weighted"], plain["estimates"]["weighted"]) == (True, False)
    assert report.main([str(tmp_path / "b"), "--no-viz", "--label-weights", "drawn"]) == 0
    assert summary_in(tmp_path / "b")["estimates"] == weighted["estimates"]


def test_what_is_no_probability_is_an_error(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(data, tmp_path / "run", "--label-weights", "rest") != 0
    assert "expected the probability with which this labelled pair was drawn" in capsys.readouterr().err


def test_weights_and_gates_are_refused_where_nothing_is_estimated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = ["--kimera-only", "--max-pairs", "4", "--no-viz", "--quiet", "--out", str(tmp_path / "run")]
    assert llm_compare.main([*plain, "--label-weights", "id"]) != 0
    assert llm_compare.main([*plain, "--fail-if", "kimera.estimates.accuracy < 0.5"]) != 0
    assert "nearly all pairs are labelled, so nothing is estimated" in capsys.readouterr().err


def test_a_judge_of_its_own_name_is_no_trouble() -> None:
    run = partly_labelled_run()
    other = judge(run.detectors[1].verdicts, "estimates")
    assert "estimates" in build_summary(replace(run, detectors=(other,)))["detectors"]
