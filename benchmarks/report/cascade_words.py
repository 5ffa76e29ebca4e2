"""The cascade in words: how a run as one went, and which share of the pairs still needs a judge."""

from __future__ import annotations

from typing import Any

from benchmarks.report.words import MISSING, Row, counted, titles
from kimera.detectors import THRESHOLD

NEARLY_ALL = 0.9
NOT_KNOWN = "not known"
MAX_TOLD = 4  # cascades with a sentence each


def cascade_sentences(summary: dict[str, Any]) -> list[str]:
    """What a cascade did, where the run was one, and what one would have been worth, where labels tell."""
    sentences = cascade_run_sentences(summary) if "cascade_run" in summary else []
    drawn = _drawn(summary)
    if len(drawn) > MAX_TOLD:
        return [*sentences, _of_shares(drawn[0]["margin"])]
    names = titles(summary)
    return sentences + [
        f"Pairs that still need {names[entry['judge']]}: {curve_claim(summary, entry)}." for entry in drawn
    ]


def _of_shares(margin: float) -> str:
    """How the cells of `share_rows` are to be read."""
    least = f"at most {100 * margin:g} points less accurate"
    return (
        "Each share is of the pairs that the local detector is least sure of: a cascade that sends these to "
        "the judge is not significantly less accurate than the judge alone. None: the local one alone is "
        f"shown to be {least}. Not known: alone it is neither significantly less accurate nor shown to be "
        f"{least}, or its scores do not tell which pairs it is less sure of."
    )


def curve_claim(summary: dict[str, Any], entry: dict[str, Any]) -> str:
    """What a cascade without any promise would have been worth, no more than the curve shows."""
    names, pairs = titles(summary), counted(entry["pairs"], "pair")
    reactor, judge = names[entry["reactor"]], names[entry["judge"]]
    margin = f"{100 * entry['margin']:g} points"
    enough, not_worse = entry["indistinguishable"], entry["not_worse"]
    if not_worse and not_worse["sent"] == 0:
        return f"None: {reactor} alone is shown to be at most {margin} less accurate than {judge}"
    if not enough or enough["sent"] == 1:
        maximum = most_sent(entry)
        if not maximum:
            return (
                f"Not known: {judge} alone is significantly more accurate than {reactor} alone, whose scores "
                "do not tell which pairs it is less sure of"
            )
        return (
            f"{share_needed(entry).capitalize()}: {judge} alone is significantly more accurate than a "
            f"cascade in which {reactor} sends it up to {maximum:.0%} of the pairs"
        )
    claim = (
        f"Not known: {reactor} alone is not significantly less accurate than {judge} on {pairs}"
        if enough["sent"] == 0
        else f"{enough['sent']:.0%} of the pairs, those that {reactor} is least sure of: a cascade that "
        f"sends these to {judge} is not significantly less accurate than {judge} alone on {pairs}"
    )
    if not_worse and not_worse["sent"] < 1:
        return (
            f"{claim}; with {not_worse['sent']:.0%} sent, the cascade is shown to be at most {margin} less "
            "accurate"
        )
    return f"{claim}, but is not shown to be at most {margin} less accurate either"


def most_sent(entry: dict[str, Any]) -> float:
    """The largest share that the scores allow to send, short of all pairs: pairs of one score go together."""
    return float(max(point["sent"] for point in entry["curve"][:-1]))


def share_needed(entry: dict[str, Any]) -> str:
    """The share of pairs that still needs the judge, in a word or two; `curve_claim` says it whole."""
    enough, not_worse, maximum = entry["indistinguishable"], entry["not_worse"], most_sent(entry)
    if not_worse and not_worse["sent"] == 0:
        return "none"
    if enough and enough["sent"] == 0:
        return NOT_KNOWN
    if enough and enough["sent"] < 1:
        return f"{enough['sent']:.0%}"
    if maximum >= NEARLY_ALL:
        return "nearly all"
    return f"more than {maximum:.0%}" if maximum else NOT_KNOWN


def share_rows(summary: dict[str, Any]) -> list[Row]:
    """Where cascades are many, a header, then a row for each local detector: its share with each judge."""
    drawn = _drawn(summary)
    if len(drawn) <= MAX_TOLD:
        return []
    names, shares = titles(summary), {(entry["reactor"], entry["judge"]): entry for entry in drawn}
    judges = [*dict.fromkeys(entry["judge"] for entry in drawn)]
    rows: list[Row] = [("pairs that still need", *(names[judge] for judge in judges))]
    for local in dict.fromkeys(entry["reactor"] for entry in drawn):
        cells = (shares.get((local, judge)) for judge in judges)
        rows.append((f"after {names[local]}", *(share_needed(cell) if cell else MISSING for cell in cells)))
    return rows


def _drawn(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in summary["cascade"] if entry["curve"]]


def cascade_run_sentences(summary: dict[str, Any]) -> list[str]:
    """How a run as a cascade went: what it asked, what it promises, what its false alarms are."""
    run, names = summary["cascade_run"], titles(summary)
    reactor, judge = names[run["reactor"]], names[run["judge"]]
    if run["absent"]:
        return [f"Cascade: there is no result yet: {run['absent']['bounds']}."]
    asked, spared, sampled = run["asked"], run["spared"], run["sampled"]
    money = "" if run["dollars_saved"] is None else f", which saved about ${run['dollars_saved']:,.2f}"
    sentences = [
        f"Cascade: {judge} was asked about {asked:,} of {counted(run['pairs'], 'pair')} "
        f"({asked / run['pairs']:.1%}), including a random sample of {sampled:,}; {reactor} settled the "
        f"other {spared:,}{money}."
    ]
    if run["most_sent"] is not None and asked > run["most_sent"] * run["pairs"]:
        sentences.append(f"That is more than --max-sent {run['most_sent']:g} allows.")
    return sentences + (_promises(run, judge, reactor) if spared else [])


def _promises(run: dict[str, Any], judge: str, reactor: str) -> list[str]:
    level, bounds, rest = f"{run['confidence']:.0%}", run["bounds"], run["pairs"] - run["sampled"]
    beside = f"the {rest:,} pairs outside the sample"
    if not bounds["promised"]:
        missed = (
            f"No promise: the sample that --max-sent allows holds "
            f"{counted(run['sampled_contradictions'], 'contradiction')}, too few for a risk of "
            f"{run['risk']:g}. The verdicts on {beside} are those of {reactor} alone: with {level} "
            f"probability, at most {bounds['missed']:.1%} of the contradictions that {judge} would find "
            "there are missed."
        )
    elif run["thresholds"]["lower"] > 0:
        missed = (
            f"Promise: with {level} probability, at most {bounds['missed']:.1%} of the contradictions that "
            f"{judge} would find among {beside} are missed (in the sample, {run['in_sample']['missed']:,} of "
            f"{run['sampled_contradictions']:,} scored below the threshold)."
        )
    else:
        missed = (
            f"Promise: no pair was settled as free of contradiction, so none is missed. The sample holds "
            f"{counted(run['sampled_contradictions'], 'contradiction')}, too few for a risk of "
            f"{run['risk']:g}."
        )
    alarms = (
        f"Other bounds, each with {level} probability: at most {bounds['false_alarms']:.1%} of the pairs "
        f"that {judge} would not call contradictions are false alarms, and at most "
        f"{bounds['disagreement']:.1%} of the verdicts on {beside} differ from those of {judge}."
    )
    upper = run["thresholds"]["upper"]
    forced = (
        [
            f"To keep to --max-sent, a pair is called a contradiction if its score is at least {upper:.2f}; "
            f"the threshold of {reactor} itself is {THRESHOLD:g}. Expect false alarms."
        ]
        if upper < THRESHOLD
        else []
    )
    return [missed, alarms, *forced]
