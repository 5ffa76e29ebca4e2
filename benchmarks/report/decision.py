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
    why_not_estimated,
)
from benchmarks.report.cost_words import cost_question
from benchmarks.report.gate_words import gate_question
from benchmarks.report.label_words import label_question
from benchmarks.report.shown_differences import are_same, between, shown, shown_in
from benchmarks.report.trivial_rule import no_better
from benchmarks.stats import CONFUSION
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
    best, *others = overview.best_first(summary, "local")
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
    differences = {other: shown(summary, best, other) for other in others}
    alike = [
        names[other]
        for other, found in differences.items()
        if found and not (found.is_real and found.difference > 0)
    ]
    figure = f"{accuracy(detector)}{', failures as wrong' if detector['failed'] else ''}"
    figure += " of the labelled pairs" if "estimates" in detector else ""
    claim = f"The best local detector is {names[best]}: accuracy {figure}."
    if alike:
        claim = (
            f"The highest accuracy of a local detector is that of {names[best]}, {figure}. It is not told "
            f"apart from {listed(alike)}."
        )
    counted = words.counted(summary["dataset"]["labelled"], "labelled pair")
    return Conclusion(
        _told(claim, estimate_words.for_decision(summary, best), no_better(summary, best)),
        f"95 % interval, on {counted}. The best of {len(others) + 1} on the same pairs looks a little better "
        "there than it is.",
    )


def _against(summary: Summary, best: str, other: str) -> Conclusion:
    """Whether the best one's difference from another is real, and what it costs in time."""
    names, found, real = words.titles(summary), between(summary, best, other), shown(summary, best, other)
    times = _times(*(summary["detectors"][name] for name in (best, other)))
    if found is None or real is None:
        return Conclusion(f"Not compared with {names[other]}: no labelled pair was answered by both. {times}")
    if are_same(summary, best, other):
        pairs = words.counted(found["pairs"], "labelled pair")
        return Conclusion(f"The same verdicts as {names[other]} on all {pairs} that both answered. {times}")
    points, margin = f"{100 * abs(real.difference):.1f} points", f"{100 * found['equivalence']['margin']:g}"
    pairs = words.counted(found["pairs"], "labelled pair")
    where = ", by the estimate for all pairs" if real.for_all else ""
    if real.is_real:
        worse = "Worse" if real.for_all else "Worse, on the pairs that both answered,"
        how = "Better" if real.difference > 0 else worse
        claim = f"{how} than {names[other]} by {points}{where}: the difference is real."
        if real.is_equivalent:
            claim = f"{claim[:-1]}, and within {margin} points."
    elif real.is_equivalent:
        claim = f"Equivalent to {names[other]} within {margin} points{where}: any difference is smaller."
    else:
        claim = (
            f"Not told apart from {names[other]}{where}: {pairs} are too few for a difference of {points}."
        )
    evidence = agreements.evidence(found, len(summary["agreement"]), (names[best], names[other]))
    on = "Accuracy, on the labelled pairs" if real.for_all else "Accuracy"
    return Conclusion(f"{claim} {times}", f"{on}, {evidence}.")


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
    as_good = [
        names[name] for name in others if name in entries and _yes_or_no(summary, entries[name]) == "Yes"
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
            estimate_words.for_decision(summary, name),
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
    pairs = f"{differences['pairs']:,} of {words.counted(summary['dataset']['pairs'], 'pair')}"
    return Conclusion(
        _told(
            f"{_answer(summary, entry)}{_shares(summary, entry)}{_and_so(summary, entry)}.",
            estimate_words.beside_the_estimate(summary, entry),
            *(no_better(summary, entry[side]) for side in "ab"),
        ),
        _told(_errors(summary, entry), f"On {pairs} (those with a label that both answered): {evidence}."),
    )


def _errors(summary: Summary, entry: dict[str, Any]) -> str:
    """What each gets wrong: two that are right as often may err in opposite ways.

    For all pairs where that is estimated of both, else of the labelled ones.
    """
    names, pair = words.titles(summary), (entry["a"], entry["b"])
    rates = [_estimated_errors(summary["detectors"][name]) for name in pair]
    of = ""
    if not all(rates):
        rates = [_errors_on_labels(summary["detectors"][name]) for name in pair]
        of = "labelled " if summary["dataset"]["labelled"] < summary["dataset"]["pairs"] else ""
    told = [
        f"{names[name]} misses {rate[0]:.0%} of the {of}contradictions and calls {rate[1]:.0%} of the other "
        f"{of}pairs contradictions"
        for name, rate in zip(pair, rates, strict=True)
        if rate
    ]
    return f"{'; '.join(told)}." if len(told) == len(pair) else ""


def _estimated_errors(detector: dict[str, Any]) -> tuple[float, float] | None:
    """(misses, false alarms) as shares of all pairs of either kind."""
    part = detector.get("estimates") or {}
    return (
        (part["miss_rate"], part["false_alarm_rate"])
        if {"miss_rate", "false_alarm_rate"} <= part.keys()
        else None
    )


def _errors_on_labels(detector: dict[str, Any]) -> tuple[float, float] | None:
    found, missed, alarms, passed = (detector.get(count.name, 0) for count in CONFUSION)
    contradictions, others = found + missed, alarms + passed
    return (missed / contradictions, alarms / others) if contradictions and others else None


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
    return f"{_yes_or_no(summary, entry)}{smoke}: "


def _shares(summary: Summary, entry: dict[str, Any]) -> str:
    """What share each has right: of all pairs where that is estimated, else of those with a label."""
    if of_all := estimate_words.shares(summary, entry):
        return of_all
    names, pairs = words.titles(summary), entry["differences"]["pairs"]
    if not {"both_right", "only_a", "only_b"} <= entry.keys():
        return printable(entry["differences"]["conclusion"])
    right_a, right_b = (f"{(entry['both_right'] + entry[only]) / pairs:.1%}" for only in ("only_a", "only_b"))
    counted = words.counted(pairs, "labelled pair")
    return f"{names[entry['a']]} has {right_a} of {counted} right, {names[entry['b']]} {right_b}"


def _and_so(summary: Summary, entry: dict[str, Any]) -> str:
    """What two shares show."""
    found = shown_in(summary, entry)
    if found is None:
        return ""
    margin = f"{100 * entry['differences']['equivalence']['margin']:g} points"
    if found.is_equivalent:
        return f", which is equal within {margin}"
    if found.is_real:
        return "" if found.for_all else f", a difference of {100 * abs(found.difference):.1f} points"
    if found.is_no_worse:
        return f", which shows the first to be at most {margin} less accurate, if at all"
    return "; so few pairs show neither a difference nor that there is none"


def _yes_or_no(summary: Summary, entry: dict[str, Any]) -> str:
    """Of the first one's being as good as the second: shown to be better, or worse by the margin at most.

    Labelled pairs that are no random part of all leave it open.
    """
    found = shown_in(summary, entry)
    if found is None or why_not_estimated(summary):
        return "Not known"
    better = found.is_real and found.difference > 0
    if better or found.is_equivalent or (found.is_no_worse and not found.is_real):
        return "Yes"
    return "No" if found.is_real else "Not known"
