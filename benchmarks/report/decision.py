"""What someone who has to decide reads first: may the local detector replace the judge, and what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.report import (
    agreements,
    comparison_rows,
    estimate_words,
    notes,
    overview,
    panel_words,
    words,
)
from benchmarks.report.conclusions import (
    Conclusion,
    Question,
    Summary,
    compared,
    is_local_beside_judge,
    listed,
    of_role,
)
from benchmarks.report.cost_words import cost_question
from benchmarks.report.gate_words import gate_question
from benchmarks.report.label_words import label_question
from benchmarks.report.observations import SIGNIFICANT
from benchmarks.report.trivial_rule import no_better
from kimera.console import printable

ABOUT = 1.1  # times, within which two detectors take about as long


def answers(summary: Summary) -> tuple[Question, Question, Question, Question]:
    """May it replace the judge, may it gate it, what would have to be labelled, and what each takes."""
    quality = _quality(summary)
    beside = (*_panel(summary), *_long_texts(summary))
    said = replace(quality, conclusions=(*quality.conclusions, *beside))
    return said, gate_question(summary), label_question(summary), cost_question(summary)


def _panel(summary: Summary) -> list[Conclusion]:
    """What a panel bought for its price, where the run has one."""
    return [Conclusion(claim, support) for claim, support in panel_words.gains(summary)]


def _long_texts(summary: Summary) -> list[Conclusion]:
    """Of how many pairs the texts were too long for a detector to read at once."""
    return [
        Conclusion(
            f"{words.counted(long, 'pair')} had texts too long for {name} to read at once.",
            "It read sentences of them instead; of such pairs it is less sure (docs/long-texts.md).",
        )
        for name, detector in summary["detectors"].items()
        if (long := detector.get("score_sources", {}).get("passages"))
    ]


def _quality(summary: Summary) -> Question:
    if one_class := notes.one_class(summary):
        return Question("How good is it?", (_not_answered(summary, one_class),))
    if len(of_role(summary, "local")) > 1:
        return _best_local(summary)
    entries = compared(summary)
    if not entries:
        alone = tuple(_alone(summary, name) for name in summary["detectors"])
        return Question("How good is it?", alone)
    judges = of_role(summary, "judge")
    question = "Which judge is better?" if judges else "Which detector is better?"
    if judges and of_role(summary, "local"):
        question = "May the local detector replace the judge?"
    return Question(question, tuple(_better(summary, entry) for entry in entries))


def _not_answered(summary: Summary, one_class: str) -> Conclusion:
    """What labels of one class leave to say: how many verdicts of each detector contradict them."""
    names = words.titles(summary)
    accuracies = [
        f"{names[name]} {detector['accuracy']:.3f}"
        for name, detector in summary["detectors"].items()
        if "accuracy" in detector
    ]
    kind = (
        "contradictions that were found"
        if summary["dataset"]["contradictions"]
        else "pairs left without alarm"
    )
    support = f"The share of {kind}: {', '.join(accuracies)}." if accuracies else ""
    return Conclusion(f"This set cannot answer it: {one_class}", support)


def _best_local(summary: Summary) -> Question:
    """The best local detector, against each other one, then against each judge."""
    question = "Which local detector is the best?"
    if judges := of_role(summary, "judge"):
        question = "Which local detector is the best, and may it replace the judge?"
    best, *others = overview.ranked(summary, "local")
    detector = summary["detectors"][best]
    if not detector["labelled_answered"] or overview.accuracy_of(detector) is None:
        return Question(question, (Conclusion(f"Not known: {_why_unranked(summary)}."),))
    findings = [_best(summary, best, others), *(_against(summary, best, other) for other in others)]
    for judge in judges:
        findings += _against_judge(summary, judge, best, others)
    return Question(question, tuple(findings))


def _why_unranked(summary: Summary) -> str:
    """Why no local detector has an accuracy."""
    local = (summary["detectors"][name] for name in of_role(summary, "local"))
    absent = [detector["absent"] for detector in local]
    reasons = (why.get("accuracy") or why.get("accuracy_failed_as_wrong", "") for why in absent)
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _best(summary: Summary, best: str, others: list[str]) -> Conclusion:
    names, detector = words.titles(summary), summary["detectors"][best]
    _, accuracy = comparison_rows.figure("accuracy_failed_as_wrong" if detector["failed"] else "accuracy")
    differences = {other: overview.between(summary, best, other) for other in others}
    alike = [
        names[other]
        for other, found in differences.items()
        if found and not (overview.is_real(found) and found["accuracy"] > 0)
    ]
    figure = f"{accuracy(detector)}{', failures as wrong' if detector['failed'] else ''}"
    claim = f"The best local detector is {names[best]}: accuracy {figure}."
    if alike:
        claim = (
            f"The highest accuracy of a local detector is that of {names[best]}, {figure}. It is not told "
            f"apart from {listed(alike)}."
        )
    counted = words.counted(summary["dataset"]["labelled"], "labelled pair")
    return Conclusion(
        f"{claim} {no_better(summary, best)}".strip(),
        f"95 % interval, on {counted}. The best of {len(others) + 1} on the same pairs looks a little better "
        "there than it is.",
    )


def _against(summary: Summary, best: str, other: str) -> Conclusion:
    """Whether the best one's difference from another is real, and what it costs in time."""
    names, found = words.titles(summary), overview.between(summary, best, other)
    times = _times(*(summary["detectors"][name] for name in (best, other)))
    if found is None:
        return Conclusion(f"Not compared with {names[other]}: no labelled pair was answered by both. {times}")
    if overview.are_same(summary, best, other):
        pairs = words.counted(found["pairs"], "labelled pair")
        return Conclusion(f"The same verdicts as {names[other]} on all {pairs} that both answered. {times}")
    points, margin = f"{100 * abs(found['accuracy']):.1f} points", f"{100 * found['equivalence']['margin']:g}"
    if overview.is_real(found):
        how = "Better" if found["accuracy"] > 0 else "Worse, on the pairs that both answered,"
        claim = f"{how} than {names[other]} by {points}: the difference is real."
        if overview.is_equivalent(found):
            claim = f"{claim[:-1]}, and within {margin} points."
    elif overview.is_equivalent(found):
        claim = f"Equivalent to {names[other]} within {margin} points: any difference is smaller."
    else:
        pairs = words.counted(found["pairs"], "pair")
        claim = f"Not told apart from {names[other]}: {pairs} are too few for a difference of {points}."
    evidence = agreements.evidence(found, len(summary["agreement"]), (names[best], names[other]))
    return Conclusion(f"{claim} {times}", f"Accuracy, {evidence}.")


def _times(best: dict[str, Any], other: dict[str, Any]) -> str:
    times = [comparison_rows.computed_ms(detector) for detector in (best, other)]
    if times[0] is None or times[1] is None:
        cached = any(map(comparison_rows.is_cached, (best, other)))
        return f"Their times cannot be compared{' (--no-cache measures them)' if cached else ''}."
    ratio = times[0] / times[1]
    if 1 / ABOUT <= ratio <= ABOUT:
        return "It takes about as long."
    if ratio > 1:
        return f"It takes {words.quantity(ratio)} times as long a pair."
    return f"It is {words.quantity(1 / ratio)} times as fast."


def _against_judge(summary: Summary, judge: str, best: str, others: list[str]) -> list[Conclusion]:
    """The best local one against this judge, and who else is shown to be as good."""
    entries = {
        entry["a"]: entry for entry in compared(summary) if entry["b"] == judge and "differences" in entry
    }
    findings = [_better(summary, entries[best])] if best in entries else []
    names = words.titles(summary)
    tested = {name: entries[name]["differences"] for name in others if name in entries}
    as_good = [
        names[name] for name, found in tested.items() if "accuracy" in found and _yes_or_no(found) == "Yes"
    ]
    if as_good:
        findings.append(
            Conclusion(f"As good as {names[judge]} is, of the other local detectors: {listed(as_good)}.")
        )
    return findings


def _alone(summary: Summary, name: str) -> Conclusion:
    detector, title = summary["detectors"][name], words.titles(summary)[name]
    counted = words.counted(detector["labelled_answered"], "labelled pair")
    if "accuracy" not in detector:
        return Conclusion(f"Not known for {title}: {detector['absent']['accuracy']}.")
    _, accuracy = comparison_rows.figure("accuracy")
    return Conclusion(
        _told(
            f"Accuracy of {title}: {accuracy(detector)}.",
            estimate_words.for_decision(summary, (name,)),
            no_better(summary, name),
        ),
        f"95 % interval, on {counted}; there is no other detector to compare it with.",
    )


def _better(summary: Summary, entry: dict[str, Any]) -> Conclusion:
    """Which of the two is right more often, in shares to repeat; what a local one is, beside a judge."""
    differences, names = entry["differences"], words.titles(summary)
    if "accuracy" not in differences:
        absent = differences["absent"]
        why = absent.get("accuracy") or absent.get("differences", "there is no difference of accuracies")
        if silent := _silent(summary, entry):
            return Conclusion(f"Not known: {silent}.")
        return Conclusion(f"Not known for {names[entry['a']]} and {names[entry['b']]}: {why}.")
    evidence = agreements.evidence(
        differences, len(summary["agreement"]), agreements.couple_of(summary, entry)
    )
    of_all = estimate_words.for_decision(summary, (entry["a"], entry["b"]), entry.get("estimates"))
    pairs = f"{differences['pairs']:,} of {words.counted(summary['dataset']['pairs'], 'pair')}"
    return Conclusion(
        _told(
            f"{_answer(summary, entry)}{_shares(entry, names)}{_and_so(differences)}.",
            of_all,
            *(no_better(summary, entry[side]) for side in "ab"),
        ),
        f"On {pairs} (those with a label that both answered): {evidence}.",
    )


def _told(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _silent(summary: Summary, entry: dict[str, Any]) -> str:
    """Who gave no verdict at all, and why: an endpoint that cannot be reached is no table of dashes."""
    names = words.titles(summary)
    mute = [entry[side] for side in "ab" if not summary["detectors"][entry[side]]["answered"]]
    told = (
        f"{names[name]} gave no verdict ({comparison_rows.kinds_of_failure(summary['detectors'][name])})"
        for name in mute
        if comparison_rows.failed_of(summary["detectors"][name])
    )
    return "; ".join(told)


def _answer(summary: Summary, entry: dict[str, Any]) -> str:
    """Yes, No or Not known, of a local detector beside a judge; marked where labels are a smoke test's."""
    if not is_local_beside_judge(summary, entry):
        return ""
    labels, smoke = entry["differences"]["pairs"], ""
    if labels <= notes.SMOKE_TEST:
        smoke = f", by a smoke test of {words.counted(labels, 'label')}"
    return f"{_yes_or_no(entry['differences'])}{smoke}: "


def _shares(entry: dict[str, Any], names: dict[str, str]) -> str:
    a, b, pairs = names[entry["a"]], names[entry["b"]], entry["differences"]["pairs"]
    if not {"both_right", "only_a", "only_b"} <= entry.keys():
        return printable(entry["differences"]["conclusion"])
    right_a, right_b = (f"{(entry['both_right'] + entry[only]) / pairs:.1%}" for only in ("only_a", "only_b"))
    return f"{a} has {right_a} of {words.counted(pairs, 'labelled pair')} right, {b} {right_b}"


def _and_so(found: dict[str, Any]) -> str:
    """What the labels show of two shares."""
    margin = f"{100 * found['equivalence']['margin']:g} points"
    if overview.is_equivalent(found):
        return f", which is equal within {margin}"
    if overview.is_real(found):
        return f", a difference of {100 * abs(found['accuracy']):.1f} points"
    if overview.is_no_worse(found):
        return f", which shows the first to be at most {margin} less accurate, if at all"
    return "; so few pairs show neither a difference nor that there is none"


def _yes_or_no(found: dict[str, Any]) -> str:
    """Of the first one's being as good as the second: shown to be better, or worse by the margin at most."""
    different = found["mcnemar"]["p_holm"] < SIGNIFICANT
    better = different and found["accuracy"] > 0
    if better or overview.is_equivalent(found) or (overview.is_no_worse(found) and not different):
        return "Yes"
    return "No" if different else "Not known"
