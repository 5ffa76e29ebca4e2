"""What a run shows beyond its table, in words: other thresholds, categories, the cascade."""

from __future__ import annotations

from typing import Any

from benchmarks.report.words import MISSING, Detector, Row, counted, from_to, printable, titles

SIGNIFICANT = 0.05


def threshold_sentences(summary: dict[str, Any]) -> list[str]:
    """What another threshold than its own would make of a reactor, without tuning on the test."""
    names = titles(summary)
    return [
        _threshold_sentence(names[name], detector)
        for name, detector in summary["detectors"].items()
        if "f1" in detector.get("thresholds", {}) and "f1" in detector
    ]


def _threshold_sentence(who: str, detector: Detector) -> str:
    found = detector["thresholds"]
    ends = found["intervals"].get("f1")
    interval = f" ({from_to(ends)})" if ends else ""
    return (
        f"Threshold of {who}: {found['default']:g} is its own; the best for F1 in cross-validation is "
        f"{found['cross_validated']:.2f}, with F1 {found['f1']:.3f}{interval} in place of "
        f"{detector['f1']:.3f}, and accuracy {found['accuracy']:.3f} in place of {detector['accuracy']:.3f}."
    )


def category_rows(summary: dict[str, Any], most: int | None = None) -> list[Row]:
    """A header, then a row a category, the largest first: its size, and the accuracy of each detector."""
    shown = summary["categories"].get("shown", [])[:most]
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


def category_sentences(summary: dict[str, Any], most: int | None = None) -> list[str]:
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
        f"{len(found['shown']):,} ({', '.join(where[:most])}{', ...' if most and len(where) > most else ''})."
        for (a, b), where in better.items()
    ]
    if not better and len(names) > 1:
        sentences.append("By category, adjusted for all, no difference between two detectors is shown.")
    if hidden := len(found["shown"][most:] if most else []) + found["more"]:
        sentences.append(
            f"Not in this table: {counted(hidden, 'smaller category').replace('categorys', 'categories')}."
        )
    return sentences


def cascade_sentences(summary: dict[str, Any]) -> list[str]:
    """What a cascade did, where the run was one, and what one would have been worth, where labels tell."""
    names = titles(summary)
    found = _cascade_run_sentences(summary["cascade_run"], names) if "cascade_run" in summary else []
    return found + [_curve_sentence(entry, names) for entry in summary["cascade"] if entry["curve"]]


def _cascade_run_sentences(run: dict[str, Any], names: dict[str, str]) -> list[str]:
    reactor, judge = names[run["reactor"]], names[run["judge"]]
    if run["absent"]:
        return [f"Cascade: nothing can be said of it: {run['absent']['bounds']}."]
    asked, spared = run["asked"], run["spared"]
    saved = run["dollars_saved"]
    money = f", which saved about ${saved:,.4f}" if saved is not None else ""
    share = asked / run["pairs"]
    found = [
        f"Cascade: {judge} was asked about {asked:,} of {counted(run['pairs'], 'pair')} ({share:.1%}), "
        f"{run['sampled']:,} of them a random sample; {reactor} settled the other {spared:,}{money}."
    ]
    level, bounds = f"{run['confidence']:.0%}", run["bounds"]
    if run["thresholds"]["lower"] <= 0:
        found.append(
            f"Promise: nothing was settled as no contradiction, so nothing is missed: the sample, with "
            f"{counted(run['sampled_contradictions'], 'contradiction')}, is too small for a risk of "
            f"{run['risk']:g}."
        )
    else:
        found.append(
            f"Promise, with {level} probability: of what {judge} would call contradictions the cascade "
            f"misses at most {bounds['missed']:.1%} (in the sample {run['in_sample']['missed']:,} of "
            f"{run['sampled_contradictions']:,})."
        )
    found.append(
        f"Beside it, each with {level} probability: at most {bounds['false_alarms']:.1%} of what {judge} "
        f"would not call so are false alarms, and at most {bounds['disagreement']:.1%} of all verdicts are "
        "not its own."
    )
    return found


def _curve_sentence(entry: dict[str, Any], names: dict[str, str]) -> str:
    reactor, judge = names[entry["reactor"]], names[entry["judge"]]
    alone, place = entry["curve"][-1], entry["indistinguishable"]
    if place is None or place["sent"] >= 1:
        return f"Cascade: no share of the pairs but all of them makes up for {judge}."
    if place["sent"] == 0:
        return (
            f"Cascade: none is needed, since {judge} is not shown to be more accurate than {reactor} alone."
        )
    known = place["dollars"] is not None
    money = f", for ${place['dollars']:,.4f} in place of ${alone['dollars']:,.4f}" if known else ""
    return (
        f"Cascade: had {judge} been asked only about the {place['sent']:.0%} of the pairs of which {reactor} "
        f"is least sure{money}, the accuracy would have been {place['accuracy']:.3f}, which these "
        f"{counted(entry['pairs'], 'pair')} cannot tell from its own {alone['accuracy']:.3f}."
    )
