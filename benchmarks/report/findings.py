"""What a run shows beyond its table, in words: other thresholds, categories, the cascade."""

from __future__ import annotations

from typing import Any

from benchmarks.report.words import MISSING, Detector, Row, counted, from_to, printable, titles
from kimera.reactor import THRESHOLD

SIGNIFICANT = 0.05


def threshold_sentences(summary: dict[str, Any]) -> list[str]:
    """What another threshold than its own would make of a reactor, without tuning on the test."""
    names = titles(summary)
    return [
        _threshold_sentence(names[name], detector)
        for name, detector in summary["detectors"].items()
        if {"cross_validated", "f1"} <= (found := detector.get("thresholds", {})).keys()
        and found["f1"] > detector.get("f1", 1.0)
    ]


def _threshold_sentence(who: str, detector: Detector) -> str:
    found = detector["thresholds"]
    ends = found["intervals"].get("f1")
    interval = f" ({from_to(ends)})" if ends else ""
    accuracies = ""
    if "accuracy" in found and "accuracy" in detector:
        accuracies = f", and accuracy {found['accuracy']:.3f} in place of {detector['accuracy']:.3f}"
    return (
        f"Threshold of {who}: {found['default']:g} is its own; the best for F1 in cross-validation is "
        f"{found['cross_validated']:.2f}, with F1 {found['f1']:.3f}{interval} in place of "
        f"{detector['f1']:.3f}{accuracies}."
    )


def category_rows(summary: dict[str, Any], maximum: int | None = None) -> list[Row]:
    """A header, then a row a category, the largest first: its size, and the accuracy of each detector."""
    shown = summary["categories"].get("shown", [])[:maximum]
    if not shown:
        return []
    names = titles(summary)
    rows: list[Row] = [("category", "pairs", *names.values())]
    for entry in shown:
        small = " (small)" if entry["small"] else ""
        figures = (_accuracy_cell(entry["detectors"][name]) for name in names)
        rows.append((printable(entry["category"]), f"{entry['pairs']:,}{small}", *figures))
    return rows


def _accuracy_cell(figures: dict[str, Any]) -> str:
    if "accuracy" not in figures:
        return MISSING
    return f"{figures['accuracy']:.2f} ({from_to(figures['intervals']['accuracy'], 1, 2)})"


def category_sentences(summary: dict[str, Any], maximum: int | None = None) -> list[str]:
    """Where two detectors differ, after as many tests as there are; how many categories are not shown."""
    found = summary["categories"]
    if not found:
        return []
    names = titles(summary)
    better: dict[tuple[str, str], list[str]] = {}
    for entry in found["shown"]:
        for test in entry["differences"]:
            if "mcnemar" in test and test["mcnemar"]["p_holm"] < SIGNIFICANT:
                couple = (test["a"], test["b"]) if test["accuracy"] > 0 else (test["b"], test["a"])
                better.setdefault(couple, []).append(printable(entry["category"]))
    sentences = [
        f"By category, adjusted for all: {names[a]} is better than {names[b]} in {len(where):,} of "
        f"{len(found['shown']):,} ({', '.join(where[:maximum])}"
        f"{', ...' if maximum and len(where) > maximum else ''})."
        for (a, b), where in better.items()
    ]
    if not better and len(names) > 1:
        sentences.append("By category, adjusted for all, no difference between two detectors is shown.")
    if hidden := len(found["shown"][maximum:] if maximum else []) + found["more"]:
        sentences.append(
            f"Not in this table: {counted(hidden, 'smaller category').replace('categorys', 'categories')}."
        )
    return sentences


def cascade_sentences(summary: dict[str, Any]) -> list[str]:
    """What a cascade did, where the run was one, and what one would have been worth, where labels tell."""
    found = cascade_run_sentences(summary) if "cascade_run" in summary else []
    names = titles(summary)
    return found + [
        f"Pairs that still need {names[entry['judge']]}: {curve_claim(summary, entry)}."
        for entry in summary["cascade"]
        if entry["curve"]
    ]


def curve_claim(summary: dict[str, Any], entry: dict[str, Any]) -> str:
    """What a cascade without any promise would have been worth, no more than the curve shows."""
    names, pairs = titles(summary), counted(entry["pairs"], "pair")
    reactor, judge = names[entry["reactor"]], names[entry["judge"]]
    margin = f"{100 * entry['margin']:g} points"
    enough, not_worse = entry["indistinguishable"], entry["not_worse"]
    if not_worse and not_worse["sent"] == 0:
        return f"None: {reactor} alone is shown to be at most {margin} less accurate than {judge}"
    if not enough or enough["sent"] == 1:
        maximum = max(point["sent"] for point in entry["curve"][:-1])
        return (
            f"Nearly all: {judge} alone is shown to be more accurate than {reactor} with up to {maximum:.0%} "
            "of the pairs sent to it"
        )
    told = (
        f"Not known: {pairs} cannot tell {judge} from {reactor} alone"
        if enough["sent"] == 0
        else f"{enough['sent']:.0%} of the pairs, those that {reactor} is least sure of: with these sent to "
        f"{judge}, {pairs} cannot tell its accuracy from that of the judge alone"
    )
    if not_worse and not_worse["sent"] < 1:
        return f"{told}; with {not_worse['sent']:.0%} it is shown to be at most {margin} lower"
    return f"{told}, nor show that it is at most {margin} lower"


def cascade_run_sentences(summary: dict[str, Any]) -> list[str]:
    """How a run as a cascade went: what it asked, what it promises, what its false alarms are."""
    run, names = summary["cascade_run"], titles(summary)
    reactor, judge = names[run["reactor"]], names[run["judge"]]
    if run["absent"]:
        return [f"Cascade: nothing can be said of it yet: {run['absent']['bounds']}."]
    asked, spared, sampled = run["asked"], run["spared"], run["sampled"]
    money = "" if run["dollars_saved"] is None else f", which saved about ${run['dollars_saved']:,.2f}"
    found = [
        f"Cascade: {judge} was asked about {asked:,} of {counted(run['pairs'], 'pair')} "
        f"({asked / run['pairs']:.1%}), {sampled:,} of them a random sample; {reactor} settled the other "
        f"{spared:,}{money}."
    ]
    if run["most_sent"] is not None and asked > run["most_sent"] * run["pairs"]:
        found.append(f"That is more than --max-sent {run['most_sent']:g}.")
    return found + (_promises(run, judge, reactor) if spared else [])


def _promises(run: dict[str, Any], judge: str, reactor: str) -> list[str]:
    level, bounds, rest = f"{run['confidence']:.0%}", run["bounds"], run["pairs"] - run["sampled"]
    beside = f"the {rest:,} pairs beside the sample"
    if not bounds["promised"]:
        missed = (
            f"No promise: the sample that --max-sent allows, with "
            f"{counted(run['sampled_contradictions'], 'contradiction')}, is too small for a risk of "
            f"{run['risk']:g}. {reactor}'s own verdicts stand on {beside}: with {level} probability at most "
            f"{bounds['missed']:.1%} of what {judge} would call contradictions there is missed."
        )
    elif run["thresholds"]["lower"] > 0:
        missed = (
            f"Promise, with {level} probability: of what {judge} would call contradictions among {beside}, "
            f"at most {bounds['missed']:.1%} is missed (in the sample {run['in_sample']['missed']:,} of "
            f"{run['sampled_contradictions']:,} lay below the threshold)."
        )
    else:
        missed = (
            f"Promise: nothing was settled as no contradiction, so nothing is missed: the sample, with "
            f"{counted(run['sampled_contradictions'], 'contradiction')}, is too small for a risk of "
            f"{run['risk']:g}."
        )
    alarms = (
        f"Not promised, but bounded, each with {level} probability: at most {bounds['false_alarms']:.1%} of "
        f"what {judge} would not call so are false alarms, and at most {bounds['disagreement']:.1%} of the "
        f"verdicts on {beside} are not its own."
    )
    upper = run["thresholds"]["upper"]
    forced = (
        [
            f"To keep to --max-sent, pairs are called contradictions from a score of {upper:.2f} on, "
            f"where {reactor} itself says so from {THRESHOLD:g} on: expect false alarms."
        ]
        if upper < THRESHOLD
        else []
    )
    return [missed, alarms, *forced]
