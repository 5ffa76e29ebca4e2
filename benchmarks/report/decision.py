"""What someone who has to decide reads first: how good, at what cost, which pairs still need a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from benchmarks.report import agreements, comparison_rows, notes, overview, panel_words, words
from benchmarks.report.cascade_words import cascade_run_sentences, curve_claim, share_needed
from benchmarks.report.observations import SIGNIFICANT

Summary = dict[str, Any]

MAX_TOLD = 6  # couples of detectors, each with a sentence of its own
ABOUT = 1.1  # times, within which two detectors take about as long


@dataclass(frozen=True)
class Conclusion:
    """A sentence to remember, and what it rests on."""

    claim: str
    support: str = ""


@dataclass(frozen=True)
class Question:
    """One of the three questions that the page answers on top."""

    question: str
    conclusions: tuple[Conclusion, ...]


def answers(summary: Summary) -> tuple[Question, Question, Question]:
    quality = _quality(summary)
    beside = (*_panel(summary), *_long_texts(summary))
    said = replace(quality, conclusions=(*quality.conclusions, *beside))
    return said, _cost(summary), _which_pairs(summary)


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


def _of_role(summary: Summary, role: str) -> list[str]:
    return [name for name, detector in summary["detectors"].items() if detector["role"] == role]


def _compared(summary: Summary) -> list[dict[str, Any]]:
    """The agreements that matter: of each local detector and judge; of all judges where no local one ran.

    What a panel is beside its members is told by itself.
    """
    wanted = {*product(_of_role(summary, "local"), _of_role(summary, "judge"))}
    panels = _of_role(summary, "combination") if "panel_run" in summary else []
    entries = [entry for entry in summary["agreement"] if entry["b"] not in panels]
    return [entry for entry in entries if not wanted or (entry["a"], entry["b"]) in wanted]


def _quality(summary: Summary) -> Question:
    if one_class := notes.one_class(summary):
        return Question("How good is it?", (_not_answered(summary, one_class),))
    if len(_of_role(summary, "local")) > 1:
        return _best_local(summary)
    compared = _compared(summary)
    if not compared:
        alone = tuple(_alone(summary, name) for name in summary["detectors"])
        return Question("How good is it?", alone)
    judges = _of_role(summary, "judge")
    question = "Which judge is better?" if judges else "Which detector is better?"
    if judges and _of_role(summary, "local"):
        question = "Is the local detector as good as the judge?"
    return Question(question, tuple(_better(summary, entry) for entry in compared))


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
    if judges := _of_role(summary, "judge"):
        question = "Which local detector is the best, and is it as good as the judge?"
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
    local = (summary["detectors"][name] for name in _of_role(summary, "local"))
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
        claim,
        f"95 % interval, on {counted}. The best of {len(others) + 1} on the same pairs looks a little better "
        "there than it is.",
    )


def listed(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


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
        claim = f"Not told apart from {names[other]}: the difference of {points} is not shown to be real."
    evidence = agreements.evidence(found, len(summary["agreement"]), (names[best], names[other]))
    return Conclusion(f"{claim} {times}", f"Accuracy, {evidence}.")


def _times(best: dict[str, Any], other: dict[str, Any]) -> str:
    if not (notes.is_timed(best) and notes.is_timed(other)):
        return "Their times cannot be compared."
    ratio = best["latency_ms"]["mean"] / other["latency_ms"]["mean"]
    if 1 / ABOUT <= ratio <= ABOUT:
        return "It takes about as long."
    if ratio > 1:
        return f"It takes {words.quantity(ratio)} times as long a pair."
    return f"It is {words.quantity(1 / ratio)} times as fast."


def _against_judge(summary: Summary, judge: str, best: str, others: list[str]) -> list[Conclusion]:
    """The best local one against this judge, and who else is shown to be as good."""
    entries = {
        entry["a"]: entry for entry in _compared(summary) if entry["b"] == judge and "differences" in entry
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
        f"Accuracy of {title}: {accuracy(detector)}.",
        f"95 % interval, on {counted}; there is no other detector to compare it with.",
    )


def _better(summary: Summary, entry: dict[str, Any]) -> Conclusion:
    differences, names = entry["differences"], words.titles(summary)
    if "accuracy" not in differences:
        absent = differences["absent"]
        why = absent.get("accuracy") or absent.get("differences", "there is no difference of accuracies")
        return Conclusion(f"Not known for {names[entry['a']]} and {names[entry['b']]}: {why}.")
    roles = [summary["detectors"][entry[side]]["role"] for side in "ab"]
    answer = f"{_yes_or_no(differences)}: " if roles == ["local", "judge"] else ""
    accuracies = ""
    if {"both_right", "only_a", "only_b"} <= entry.keys():
        right = (entry["both_right"] + entry[only] for only in ("only_a", "only_b"))
        accuracies = " against ".join(f"{count / differences['pairs']:.3f}" for count in right) + " "
    pairs = f"{differences['pairs']:,} of {words.counted(summary['dataset']['pairs'], 'pair')}"
    evidence = agreements.evidence(
        differences, len(summary["agreement"]), agreements.couple_of(summary, entry)
    )
    return Conclusion(
        f"{answer}{words.printable(differences['conclusion'])}.",
        f"Accuracy {accuracies}on {pairs} (those with a label that both answered): {evidence}.",
    )


def _yes_or_no(found: dict[str, Any]) -> str:
    """Of the first one's being as good as the second: shown to be better, or equivalent within the margin."""
    different = found["mcnemar"]["p_holm"] < SIGNIFICANT
    if overview.is_equivalent(found) or (different and found["accuracy"] > 0):
        return "Yes"
    return "No" if different else "Not shown"


def _cost(summary: Summary) -> Question:
    names = words.titles(summary)
    findings = (_cost_of(names[name], detector) for name, detector in summary["detectors"].items())
    question = "What does each cost?" if len(names) > 1 else "What does it cost?"
    return Question(question, tuple(findings))


def _cost_of(title: str, detector: dict[str, Any]) -> Conclusion:
    cached = " ".join(notes.speed_notes(title, detector)) if comparison_rows.is_cached(detector) else ""
    return Conclusion(f"{title}: {_price(detector)}, {_time_of(detector)}.", cached)


def _time_of(detector: dict[str, Any]) -> str:
    """A pair's time and pairs a second: of a local detector its own time, and those of its whole pass."""
    is_file, mean = detector["mode"] == "file", detector["latency_ms"].get("mean")
    if not mean:
        return "its file states no time" if is_file else "no time measured"
    time = f"{words.quantity(mean)} ms a pair"
    if is_file:
        return f"{time} as its file states"
    if detector["role"] != "local":
        return f"{time}, {comparison_rows.rate(detector)} pairs/s" if "pairs_per_s" in detector else time
    own = f"{time} of its own time"
    if "pairs_per_s" not in detector:
        return own
    speed = f"{own}, {words.quantity(detector['pairs_per_s'])} pairs/s over its whole pass"
    return f"{speed}, with the cache" if comparison_rows.is_cached(detector) else speed


def _price(detector: dict[str, Any]) -> str:
    if not detector["paid"]:
        return "no fee"
    if detector["from_cache"]:
        return f"fee not known, {detector['from_cache']:,} replies came from the cache"
    dollars = dollars_per_thousand(detector)
    if dollars is None:
        return (
            comparison_rows.no_dollars(detector)
            .replace("none", "no fee")
            .replace("not known", "fee not known")
        )
    if_real = " if the judge were real" if detector["simulated"] else ""
    return f"{written_dollars(dollars)} for 1,000 pairs{if_real}"


def dollars_per_thousand(detector: dict[str, Any]) -> float | None:
    """What requests for a thousand pairs cost; None where it is not known, as with replies from a cache."""
    if not detector["paid"]:
        return 0.0
    asked = detector["answered"] + comparison_rows.failed_of(detector)
    if detector["dollars"] is None or detector["from_cache"] or not asked:
        return None
    return float(1000 * detector["dollars"] / asked)


def written_dollars(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 0.1 or not dollars else f"${dollars:.2g}"


def _which_pairs(summary: Summary) -> Question:
    question = "Which pairs still need the LLM?"
    if len(summary["detectors"]) > 1 and not all(_of_role(summary, role) for role in ("local", "judge")):
        question = "On which pairs do they differ?"
    cascades = [entry for entry in summary.get("cascade") or [] if entry["curve"]]
    if "cascade_run" in summary:
        findings = [_of_cascade_run(summary)]
    elif cascades:
        findings = _of_cascades(summary, cascades)
    elif compared := _compared(summary):
        findings = _differing(summary, compared)
    else:
        findings = [Conclusion("Not known: only one detector was asked.")]
    return Question(question, tuple(findings))


def _of_cascades(summary: Summary, cascades: list[dict[str, Any]]) -> list[Conclusion]:
    """Of each; where local detectors are many, of the best one, and a line for the others."""
    best, *others = overview.ranked(summary, "local")
    if len(others) < 2:
        return [cascade_finding(summary, entry) for entry in cascades]
    findings = [cascade_finding(summary, entry) for entry in cascades if entry["reactor"] == best]
    names = words.titles(summary)
    for judge in _of_role(summary, "judge"):
        sent = {entry["reactor"]: share_needed(entry) for entry in cascades if entry["judge"] == judge}
        shares = ", ".join(f"{names[other]} {sent[other]}" for other in others if other in sent)
        if shares:
            claim = f"Pairs that still need {names[judge]} after the others: {shares}."
            findings.append(Conclusion(claim))
    return findings


def _differing(summary: Summary, compared: list[dict[str, Any]]) -> list[Conclusion]:
    """On how many pairs each two differ; of many, the most and the least alike."""
    known = sorted((entry for entry in compared if "rate" in entry), key=lambda entry: float(entry["rate"]))
    if len(compared) <= MAX_TOLD or len(known) < 2:
        return [_apart(summary, entry) for entry in compared]
    ends = zip(("Least", "Most"), (known[0], known[-1]), strict=True)
    told = [(how, _apart(summary, entry)) for how, entry in ends]
    return [Conclusion(f"{how} alike: {apart.claim}", apart.support) for how, apart in told]


def cascade_finding(summary: Summary, entry: dict[str, Any]) -> Conclusion:
    """How many pairs must go to the judge until the two together are not told from the judge alone."""
    fewest_sent, last = entry["indistinguishable"], entry["curve"][-1]
    claim = f"{curve_claim(summary, entry)}."
    if not fewest_sent or not 0 < fewest_sent["sent"] < 1:
        return Conclusion(claim)
    at = min(entry["curve"], key=lambda point: abs(point["sent"] - fewest_sent["sent"]))
    _, accuracy = comparison_rows.figure("accuracy")
    support = f"Accuracy {accuracy(at)} against {last['accuracy']:.3f}"
    if fewest_sent["dollars"] is not None:
        if_real = " if the judge were real" if summary["detectors"][entry["judge"]]["simulated"] else ""
        spent = " instead of ".join(written_dollars(point["dollars"]) for point in (fewest_sent, last))
        support += f", for {spent}{if_real}"
    return Conclusion(
        claim, f"{support}. This was seen afterwards, on these pairs; --cascade gives a bound beforehand."
    )


def _of_cascade_run(summary: Summary) -> Conclusion:
    """First whether the cascade is better than its reactor alone, then what it asked and promises."""
    sentences = " ".join(cascade_run_sentences(summary))
    for entry in summary["agreement"]:
        is_cascade = summary["detectors"][entry["b"]]["role"] == "combination"
        of_its_sides = is_cascade and entry["a"] == summary["cascade_run"]["reactor"]
        if of_its_sides and entry["differences"]["pairs"]:
            claim = words.printable(entry["differences"]["conclusion"])
            return Conclusion(f"{claim[0].upper()}{claim[1:]}.", sentences)
    claim, _, rest = sentences.partition(". ")
    return Conclusion(f"{claim.removesuffix('.')}.", rest)


def _apart(summary: Summary, entry: dict[str, Any]) -> Conclusion:
    names = words.titles(summary)
    a, b = names[entry["a"]], names[entry["b"]]
    if "rate" not in entry:
        return Conclusion(f"Not known: no pair was answered by both {a} and {b}.")
    both = entry["both_answered"]
    apart = both - round(entry["rate"] * both)
    claim = f"{a} and {b} disagree on {apart:,} of {words.counted(both, 'pair')} ({1 - entry['rate']:.1%})."
    if not apart or "only_a" not in entry:
        return Conclusion(claim)
    return Conclusion(
        claim,
        f"By the labels, {a} is right on {entry['only_a']:,} of these, {b} on {entry['only_b']:,}.",
    )
