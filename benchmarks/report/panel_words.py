"""The panel in words: who agrees with it, and what it bought for its price."""

from __future__ import annotations

from typing import Any

from benchmarks.judge import in_dollars
from benchmarks.panel import DIVIDED
from benchmarks.report.agreements import points
from benchmarks.report.words import counted, from_to, titles
from kimera.console import printable

Part = dict[str, Any]

HEADING = "Panel"
RULES = {
    "majority": "more than half of {members} decide",
    "mean": "the mean of the scores of {members} decides",
    "unanimous": "a contradiction is what all of {members} call one",
}


def sentences(summary: dict[str, Any]) -> list[str]:
    """None where the run has no panel."""
    if "panel_run" not in summary:
        return []
    panel = summary["panel_run"]
    bought = (" ".join(filter(None, gain)) for gain in gains(summary))
    told = [_agreement(summary, panel), *bought, _missing(summary)]
    return [sentence for sentence in told if sentence]


def _agreement(summary: dict[str, Any], panel: Part) -> str:
    names = titles(summary)
    rule = RULES[panel["rule"]].format(members=counted(len(panel["members"]), "judge"))
    rates = [
        f"{names[member['name']]} {member['agreement']:.1%}"
        for member in panel["members"]
        if "agreement" in member
    ]
    share = "on this share of the pairs that both answered"
    agree = f"Each member says the same as the panel {share}: {', '.join(rates)}."
    cost = "Its time, requests, tokens and cost are those of all its members."
    return f"Panel: {rule}. {cost} {agree if rates else ''}".rstrip()


def gains(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """(what it bought, what to know of that): beside its best member, and beside the cheapest if another."""
    panel = summary.get("panel_run", {})
    groups = {place: panel[place] for place in ("best", "cheapest") if place in panel}
    names = [group["name"] for group in groups.values()]
    if len(names) == 2 and len(set(names)) == 1:
        groups = {"best, which is the cheapest as well": groups["best"]}
    return [_gain(summary, place, group) for place, group in groups.items()]


def _gain(summary: dict[str, Any], place: str, group: Part) -> tuple[str, str]:
    who = titles(summary)[group["name"]]
    more = _price(summary, group)
    place, _, aside = place.partition(", ")
    member = f"its {place} member {who}{f' ({aside})' if aside else ''}"
    if "accuracy_gained" not in group:
        return f"Panel beside {member}: accuracies cannot be compared{more}.", ""
    ends = from_to(group["intervals"]["accuracy_gained"], 100, 1)
    picked = (
        "The best was picked on these very pairs, where it looks a little better than it is, and the panel's "
        "gain a little smaller."
        if place == "best"
        else ""
    )
    gained = points(group["accuracy_gained"])
    bought = (
        f"Panel beside {member}: {gained} points of accuracy (95 % interval {ends}) on "
        f"{counted(group['pairs'], 'labelled pair')} that both answered{more}."
    )
    return bought, picked


def _price(summary: dict[str, Any], group: Part) -> str:
    if "dollars_more" not in group:
        return ", at a price that is not known"
    if not group["dollars_more"]:
        return ", for no dollar more"
    if_real = " if the judges were real" if _is_simulated(summary) else ""
    return f", for {in_dollars(group['dollars_more'])} more{if_real}"


def _is_simulated(summary: dict[str, Any]) -> bool:
    members = summary["panel_run"]["members"]
    return any(summary["detectors"][member["name"]]["simulated"] for member in members)


def _missing(summary: dict[str, Any]) -> str:
    """On how many pairs it gave no verdict, and why."""
    errors = [*summary["detectors"].values()][-1]["errors"]
    divided, others = errors.get(DIVIDED, 0), {k: n for k, n in errors.items() if k != DIVIDED}
    reasons = [f"on {divided:,} its members are divided evenly"] * bool(divided)
    if others:
        kinds = ", ".join(f"{printable(kind)} {count:,}" for kind, count in others.items())
        reasons.append(f"on {sum(others.values()):,} a member without a verdict might have decided ({kinds})")
    total = counted(sum(errors.values()), "pair")
    return f"Panel without a verdict on {total}: {'; '.join(reasons)}." if reasons else ""
