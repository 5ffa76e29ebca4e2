"""The second decision: which pairs still need the judge, at which risk, and what the others save."""

from __future__ import annotations

from typing import Any

from benchmarks.cascade import min_handed_on, positives_needed
from benchmarks.report import comparison_rows, overview, words
from benchmarks.report.cascade_words import (
    cascade_run_sentences,
    curve_claim,
    most_sent,
    share_needed,
)
from benchmarks.report.conclusions import (
    Conclusion,
    Question,
    Summary,
    compared,
    of_role,
    why_not_estimated,
)
from benchmarks.report.cost_words import saved, written_dollars
from kimera.console import printable

MAX_TOLD = 6  # couples of detectors, each with a sentence of its own
RISK = 0.02  # that is told of where nobody named one
LEVEL = "With 95% probability"


def gate_question(summary: Summary) -> Question:
    """May the local detector gate the judge; without both, on which pairs the detectors differ."""
    cascades = [entry for entry in summary.get("cascade") or [] if entry["curve"]]
    question = "May it gate the judge, so that only some pairs are sent?"
    if "cascade_run" in summary:
        return Question("Which pairs still need the LLM?", _of_cascade_run(summary))
    if cascades:
        return Question(question, tuple(_of_cascades(summary, cascades)))
    if len(summary["detectors"]) > 1 and not all(of_role(summary, role) for role in ("local", "judge")):
        question = "On which pairs do they differ?"
    if entries := compared(summary):
        return Question(question, tuple(_differing(summary, entries)))
    return Question(question, (Conclusion("Not known: only one detector was asked."),))


def _of_cascades(summary: Summary, cascades: list[dict[str, Any]]) -> list[Conclusion]:
    """Of each; where local detectors are many, of the best one, and a line for the others."""
    best, *others = overview.best_first(summary, "local")
    if len(others) < 2:
        return [cascade_finding(summary, entry) for entry in cascades]
    findings = [cascade_finding(summary, entry) for entry in cascades if entry["reactor"] == best]
    names = words.titles(summary)
    for judge in of_role(summary, "judge"):
        sent = {entry["reactor"]: share_needed(entry) for entry in cascades if entry["judge"] == judge}
        shares = ", ".join(f"{names[other]} {sent[other]}" for other in others if other in sent)
        if shares:
            claim = f"Pairs that still need {names[judge]} after the others: {shares}."
            findings.append(Conclusion(claim))
    return findings


def cascade_finding(summary: Summary, entry: dict[str, Any]) -> Conclusion:
    """How many pairs must go to the judge until the two together are not told from the judge alone."""
    enough = entry["indistinguishable"]
    support = [f"{curve_claim(summary, entry)}."]
    if enough and 0 < enough["sent"] < 1:
        at = min(entry["curve"], key=lambda point: abs(point["sent"] - enough["sent"]))
        _, accuracy = comparison_rows.figure("accuracy")
        last = entry["curve"][-1]
        figures = f"Accuracy {accuracy(at)} against {last['accuracy']:.3f}{_dollars(summary, entry)}"
        support = [f"{figures}. {support[0]}"]
        support.append("This was seen afterwards, on these pairs; --cascade gives a bound beforehand.")
    claim = _gate_claim(summary, entry)
    if why := _only_of_labelled(summary):
        claim = f"Not known for all pairs, since {why}. Of the labelled ones: {claim}"
    return Conclusion(f"{claim} {_risk_claim(summary, entry)}".strip(), " ".join(support))


def _only_of_labelled(summary: Summary) -> str:
    """Why the curve, which counts each labelled pair once, says nothing of others; empty where it does."""
    if why_not_estimated(summary):
        return "the labelled ones are no random part of them"
    return (
        "the labelled ones were not drawn equally often"
        if (summary.get("estimates") or {}).get("weighted")
        else ""
    )


def _dollars(summary: Summary, entry: dict[str, Any]) -> str:
    """What the pairs of this run cost when only so many are sent."""
    some, all_pairs = entry["indistinguishable"]["dollars"], entry["curve"][-1]["dollars"]
    if some is None:
        return ""
    if_real = " if the judge were real" if summary["detectors"][entry["judge"]]["simulated"] else ""
    return f", for {written_dollars(some)} instead of {written_dollars(all_pairs)}{if_real}"


def _gate_claim(summary: Summary, entry: dict[str, Any]) -> str:
    """What the curve shows, in words to repeat."""
    names, pairs = words.titles(summary), words.counted(entry["pairs"], "pair")
    local, judge = names[entry["reactor"]], names[entry["judge"]]
    margin, enough, not_worse = f"{100 * entry['margin']:g} points", *_places(entry)
    if not_worse == 0:
        saving = saved(summary, entry["reactor"], entry["judge"], 1.0)
        alone = f"{local} alone is at most {margin} less accurate than {judge}"
        return f"Yes, with none of them sent: {alone}. {saving}"
    if enough is None or enough == 1:
        maximum = most_sent(entry)
        if not maximum:
            return f"Not known: the scores of {local} do not tell which pairs it is less sure of."
        return f"No: even with {maximum:.0%} of the pairs sent, the two are less accurate than {judge} alone."
    if enough == 0:
        return f"Not known: {pairs} are too few to tell {local} alone from {judge}."
    sure = f"on {pairs} that was not shown to be less accurate than {judge} alone"
    if not_worse is not None and not_worse < 1:
        sure += f", and with {not_worse:.0%} sent it is shown to be at most {margin} less accurate"
    saving = saved(summary, entry["reactor"], entry["judge"], 1 - enough)
    return f"Perhaps, with {enough:.0%} of the pairs sent to it: {sure}. {saving}"


def _places(entry: dict[str, Any]) -> tuple[float | None, float | None]:
    """The shares sent from which the cascade is not told from the judge, and is shown to be as good."""
    enough, not_worse = (entry[name] and entry[name]["sent"] for name in ("indistinguishable", "not_worse"))
    return enough, not_worse


def _risk_claim(summary: Summary, entry: dict[str, Any]) -> str:
    """Where the share of contradictions, or what it misses itself, leaves a promise little room.

    For all pairs where that is estimated, else of the labelled ones, if these are like all.
    """
    whole, detector = summary.get("estimates") or {}, summary["detectors"][entry["reactor"]]
    of_all = detector.get("estimates") or {}
    part = of_all if "recall" in of_all else detector
    share = min_handed_on(RISK, 1 - part["recall"]) if "recall" in part else 0.0
    if not share or why_not_estimated(summary):
        return ""
    about, needed = summary["dataset"], positives_needed(RISK)
    prevalence = whole.get("prevalence", about["contradictions"] / about["labelled"])
    contradictions = round(prevalence * about["pairs"])
    nearly = "about " if about["labelled"] < about["pairs"] else ""
    too_few = (
        f" These pairs hold {nearly}{contradictions:,} contradictions, too few for that promise (--cascade "
        f"{RISK:g}), which takes {needed:,}."
        if contradictions < needed
        else ""
    )
    local = words.titles(summary)[entry["reactor"]]
    missed = words.from_to([1 - end for end in reversed(part["intervals"]["recall"])], 100, 0)
    return (
        f"Where at most {RISK:.0%} of the contradictions may be missed, about {share:.0%} of them must be "
        f"sent, since {local} alone misses {1 - part['recall']:.0%} ({missed} %).{too_few}"
    )


def _of_cascade_run(summary: Summary) -> tuple[Conclusion, ...]:
    """How many pairs were sent, and whether the cascade is worse than the judge."""
    sentences = cascade_run_sentences(summary)
    run, names = summary["cascade_run"], words.titles(summary)
    if run["absent"]:
        return (Conclusion(" ".join(sentences)),)
    judge, asked, pairs = names[run["judge"]], run["asked"], run["pairs"]
    sent = f"{asked:,} of {words.counted(pairs, 'pair')} ({asked / pairs:.1%}) went to {judge}"
    if not run["spared"]:
        return (Conclusion(f"{sent}: all of them, so that nothing was saved.", " ".join(sentences)),)
    saving = saved(summary, run["reactor"], run["judge"], run["spared"] / pairs)
    claim = f"{sent}. {_against_its_judge(run, judge)} {saving}"
    return Conclusion(claim, " ".join(sentences)), *_against_its_local(summary)


def _against_its_judge(run: dict[str, Any], judge: str) -> str:
    """Its accuracy cannot lie further below the judge's than their verdicts differ."""
    differ = run["bounds"]["disagreement"] * (run["pairs"] - run["sampled"]) / run["pairs"]
    if not differ:
        return f"The cascade's verdicts are those of {judge}, so that it is no worse."
    return f"{LEVEL}, the cascade is at most {100 * differ:.1f} points less accurate than {judge} alone."


def _against_its_local(summary: Summary) -> list[Conclusion]:
    """Whether the cascade is better than its local detector alone."""
    for entry in summary["agreement"]:
        is_cascade = summary["detectors"][entry["b"]]["role"] == "combination"
        of_its_sides = is_cascade and entry["a"] == summary["cascade_run"]["reactor"]
        if of_its_sides and entry["differences"]["pairs"]:
            claim = printable(entry["differences"]["conclusion"])
            return [Conclusion(f"{claim[0].upper()}{claim[1:]}.")]
    return []


def _differing(summary: Summary, compared: list[dict[str, Any]]) -> list[Conclusion]:
    """On how many pairs each two differ; of many, the most and the least alike."""
    known = sorted((entry for entry in compared if "rate" in entry), key=lambda entry: float(entry["rate"]))
    if len(compared) <= MAX_TOLD or len(known) < 2:
        return [_apart(summary, entry) for entry in compared]
    ends = zip(("Least", "Most"), (known[0], known[-1]), strict=True)
    told = [(how, _apart(summary, entry)) for how, entry in ends]
    return [Conclusion(f"{how} alike: {apart.claim}", apart.support) for how, apart in told]


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
