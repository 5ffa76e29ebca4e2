"""What a reader must know before quoting a run's numbers, in sentences."""

from __future__ import annotations

from typing import Any

from benchmarks.data import families_of
from benchmarks.judge import REASONING_FIRST, unasked_in
from benchmarks.report.comparison_rows import (
    cached_parts,
    computed_ms,
    failed_of,
    is_cached,
    kinds_of_failure,
)
from benchmarks.report.words import Detector, counted, label, quantity, titles
from benchmarks.stats import TWO_WAY_LABELS
from kimera.console import printable
from kimera.pairs import RELATIONS

SIMULATED = (
    "Simulated: these answers come from a simulator, not from a language model. "
    "They show how the software behaves and say nothing about any LLM."
)
FEW_LABELS = 200
FEW_CLUSTERS = 30
ALL_CLASSES = len(RELATIONS)
MUCH = 2.0  # times its own time, which a local detector's run took
SMOKE_TEST = 50
CHANCE, CHANCE_UP_TO = 0.5, 0.6


def is_simulated(summary: dict[str, Any]) -> bool:
    return any(detector["simulated"] for detector in summary["detectors"].values())


def warnings(summary: dict[str, Any]) -> list[str]:
    """What stands before any number: that its judge is none, that the run did not end, that pairs failed."""
    names = titles(summary)
    failed = [
        note for name, each in summary["detectors"].items() for note in _failure_notes(names[name], each)
    ]
    return [*([SIMULATED] if is_simulated(summary) else []), *unfinished(summary), *failed]


def notes(summary: dict[str, Any]) -> list[str]:
    """What a reader must know before quoting the numbers."""
    lines = []
    if is_simulated(summary):
        lines.append(SIMULATED)
    lines += [f"One class only: {why}" for why in (one_class(summary),) if why]
    names = titles(summary)
    for name, detector in summary["detectors"].items():
        for about in (
            _unfinished_notes,
            _chance_notes,
            _failure_notes,
            speed_notes,
            _passage_notes,
            _stability_notes,
            _calibration_notes,
            _limit_notes,
            _spared_notes,
            _place_notes,
            _order_notes,
            _example_notes,
            _vote_notes,
            _together_notes,
            _end_notes,
        ):
            lines += about(names[name], detector)
    lines += _time_notes(summary, names) + _family_notes(summary, names) + _cluster_notes(summary["dataset"])
    lines += interval_notes(summary) + _class_notes(summary)
    lines += _people_notes(summary["dataset"].get("people"))
    return lines + _label_notes(summary["dataset"]["labelled"], len(names))


def one_class(summary: dict[str, Any]) -> str:
    """Why labels of one class alone answer no question about detectors; empty for both classes, or none."""
    labelled, contradictions = (summary["dataset"].get(name, 0) for name in ("labelled", "contradictions"))
    if not labelled or 0 < contradictions < labelled:
        return ""
    pairs = counted(labelled, "labelled pair")
    if contradictions:
        what, always, lacks = "all are contradictions", "always", "pairs without one"
    else:
        what, always, lacks = "none is a contradiction", "never", "contradictions"
    return (
        f"of {pairs}, {what}. A detector that {always} says contradiction would have accuracy 1.000, so no "
        f"accuracy or difference on this set tells how well contradictions are found. Add {lacks}."
    )


def _people_notes(people: dict[str, Any] | None) -> list[str]:
    if not people or not people["changed"]:
        return []
    return [
        f"People changed {counted(people['changed'], 'label')} of the dataset. Labels that detectors "
        "contradict are looked at first, so errors that detectors share with the dataset stay, and figures "
        "may flatter the detectors."
    ]


def _class_notes(summary: dict[str, Any]) -> list[str]:
    """Where three classes were asked for, and no detector has figures of them."""
    detectors = summary["detectors"].values()
    asked = [detector for detector in detectors if detector["settings"].get("classes") == ALL_CLASSES]
    if not asked or any("three_way" in detector for detector in detectors):
        return []
    reasons = (detector["absent"].get("three_way.accuracy") for detector in asked)
    otherwise = TWO_WAY_LABELS if summary["dataset"]["labelled"] else "no pair carries a label"
    why = next(filter(None, reasons), otherwise)
    return [f"No three-way figures, although --classes 3 asked for three classes: {why}."]


def _cluster_notes(dataset: dict[str, Any]) -> list[str]:
    texts, pairs = dataset["clusters"], dataset["pairs"]
    if texts == pairs or texts >= FEW_CLUSTERS or not dataset["labelled"]:
        return []
    return [
        f"Few texts: the {pairs:,} pairs share {counted(texts, 'first text')}, so they carry little more "
        "information than one pair for each of these texts would; intervals are rough."
    ]


def interval_notes(summary: dict[str, Any]) -> list[str]:
    """Why an interval may be wider than that of a detector with an error more."""
    names = titles(summary)
    texts, pairs = summary["dataset"]["clusters"], summary["dataset"]["pairs"]
    alike = [
        f"{label(figure)} of {names[name]}"
        for name, detector in summary["detectors"].items()
        for figure in ("accuracy", "precision", "recall")
        if detector.get(figure) in (0.0, 1.0)
    ]
    if texts == pairs or not alike:
        return []
    return [
        f"Intervals of {', '.join(alike)}: all verdicts there are right, or all wrong, which does not show "
        "how far pairs that share a text go together. Each text counts once, not each pair, so that the "
        "interval is wider than that of a detector with an error more; so it is in categories."
    ]


def _family_notes(summary: dict[str, Any], names: dict[str, str]) -> list[str]:
    """Which detectors were fitted on data like these, as far as names tell."""
    families = summary["dataset"]["families"]
    lines: list[str] = []
    unknown: list[str] = []
    for name, detector in summary["detectors"].items():
        if detector["role"] != "local":
            continue
        trained_on = detector["trained_on"]
        if trained_on is None:
            unknown.append(names[name])
        elif shared := sorted(set(families) & set(families_of(trained_on))):
            lines.append(
                f"Training data of {names[name]}: it includes other pairs of {', '.join(shared)}, to which "
                "this dataset belongs by its name. Expect worse figures on pairs of another kind."
            )
    if unknown:
        lines.append(f"Training data of {', '.join(unknown)}: not stated. It may include pairs like these.")
    judges = [names[name] for name, detector in summary["detectors"].items() if detector["role"] == "judge"]
    real = [who for who in judges if "(simulated)" not in who]
    if families and real:
        lines.append(
            f"Training data of {', '.join(real)}: not known. It may include {', '.join(families)}, since "
            "that is public."
        )
    return lines


def _label_notes(labelled: int, detectors: int) -> list[str]:
    if labelled == 0:
        return [
            "No labels: what these detectors are worth is not known. Labels of 100 pairs that are drawn at "
            "random, in the column of labels, are enough for a first estimate for all pairs."
        ]
    if labelled >= FEW_LABELS:
        return []
    smoke = "This is a smoke test. " if labelled <= SMOKE_TEST else ""
    if detectors < 2:
        return [
            f"{smoke}Few labels: with only {counted(labelled, 'labelled pair')}, other pairs may give other "
            "numbers."
        ]
    return [f"{smoke}Few labels: {counted(labelled, 'labelled pair')} cannot show a small difference."]


def _failure_notes(who: str, detector: Detector) -> list[str]:
    failed = failed_of(detector)
    if not failed:
        return []
    is_asked = detector["role"] == "judge" and detector["mode"] != "file"
    again = " --resume asks about them again." if is_asked else ""
    return [
        f"{failed:,} of {counted(detector['answered'] + failed, 'pair')} of {who} failed "
        f"({kinds_of_failure(detector)}); accuracy counts only answered pairs.{again}"
    ]


def _chance_notes(who: str, detector: Detector) -> list[str]:
    area = detector.get("roc_auc")
    if area is None:
        return []
    low, _ = detector["intervals"].get("roc_auc", (area, area))
    if low > CHANCE and area >= CHANCE_UP_TO:
        return []
    if low > CHANCE:
        claim = "ranks contradictions hardly better than chance"
    elif area > CHANCE:
        claim = "is not shown to rank contradictions better than chance"
    else:
        claim = "ranks contradictions no better than chance"
    return [f"On these pairs {who} {claim} (ROC AUC {area:.3f}; {CHANCE} is chance)."]


def speed_notes(who: str, detector: Detector) -> list[str]:
    cached = cached_parts(detector)
    if not cached:
        return []
    parts = " and ".join(f"{some:,} of {counted(total, noun)}" for some, total, noun in cached)
    counted_at = " (counted at each stage that they came to)" if "chain" in detector["settings"] else ""
    came = f"Speed of {who}: {parts}{counted_at} came from the cache"
    if not is_cached(detector):
        return [f"{came}, which hardly changes its time."]
    if (time_ms := computed_ms(detector)) is None:
        return [f"{came}, so its own speed is not known; --no-cache measures it."]
    return [f"{came}. A pair that it computed took {quantity(time_ms)} ms; --no-cache measures them all."]


def _time_notes(summary: dict[str, Any], names: dict[str, str]) -> list[str]:
    untimed = [
        names[name]
        for name, detector in summary["detectors"].items()
        if detector["role"] == "local" and detector["latency_ms"].get("mean") == 0
    ]
    slowed = [
        names[name]
        for name, detector in summary["detectors"].items()
        if detector["role"] == "local" and _is_slowed(detector)
    ]
    return [
        f"Speed of {', '.join(slowed)}: mean latency is the detector's own time. Pairs a second are over the "
        "whole time of its pass, most of which reading, handing over and recording the pairs took."
    ] * bool(slowed) + [
        f"Time of {', '.join(untimed)}: none is stated, as where verdicts were read from a file. Pairs "
        "a second are those at which this run took the verdicts."
    ] * bool(untimed)


def _is_slowed(detector: Detector) -> bool:
    """Whether one process computed, and its pass took much longer than that."""
    rate, own_ms = detector.get("pairs_per_s"), detector["latency_ms"].get("mean")
    return bool(rate and own_ms and detector.get("workers_used") == 1 and 1000 / rate > MUCH * own_ms)


def _passage_notes(who: str, detector: Detector) -> list[str]:
    long = detector["score_sources"].get("passages")
    if not long:
        return []
    return [
        f"Long texts: {counted(long, 'pair')} could not be read at once by {who}. The "
        "reactor with its own encoder weighs the sentences that are related (docs/long-texts.md); of "
        "other models the score is that of the strongest pair of passages, too high on average, and its "
        "quality is not known."
    ]


def _stability_notes(who: str, detector: Detector) -> list[str]:
    lines = []
    steady = detector.get("stability", {})
    if "flip_rate" in steady:
        times = steady["repeat"]
        lines.append(
            f"Asked {times} times, {who} changed its verdict on {steady['flip_rate']:.1%} of the pairs."
        )
    if "order_disagreement" in steady:
        share = steady["order_disagreement"]
        lines.append(
            f"Asked in both orders of the texts, {who} contradicted itself on {share:.1%} of the pairs."
        )
    return lines


def _calibration_notes(who: str, detector: Detector) -> list[str]:
    scores = detector.get("calibration", {})
    if not {"brier", "brier_stated"} <= scores.keys():
        return []
    better = "logprobs" if scores["brier"] < scores["brier_stated"] else "stated confidence"
    return [
        f"Confidence of {who} on the {counted(scores['pairs'], 'labelled pair')} that have both kinds: the "
        f"Brier score is {scores['brier']:.4f} from logprobs and {scores['brier_stated']:.4f} as stated "
        f"(lower is better: {better})."
    ]


def unfinished(summary: dict[str, Any]) -> list[str]:
    """Of the detectors that the run ended before."""
    names = titles(summary)
    return [
        note
        for name, detector in summary["detectors"].items()
        for note in _unfinished_notes(names[name], detector)
    ]


def _unfinished_notes(who: str, detector: Detector) -> list[str]:
    unasked = unasked_in(detector["errors"])
    if not unasked:
        return []
    pairs = counted(detector["answered"] + detector["failed"], "pair")
    return [
        f"Not finished: {who} was not asked about {unasked:,} of {pairs}; the figures cover what it "
        "has answered so far. Continue with --resume."
    ]


def _spared_notes(who: str, detector: Detector) -> list[str]:
    if not detector.get("spared"):
        return []
    return [
        f"Quality of {who} was measured on the random sample only. The other pairs that it was asked about "
        "are harder, and say nothing about its quality on all pairs."
    ]


def _place_notes(who: str, detector: Detector) -> list[str]:
    places = detector["settings"].get("found_in", {})
    total = sum(places.values())
    where = " and ".join(f"{printable(place)} ({count:,})" for place, count in places.items())
    on = counted(total, "pair")
    return [f"Replies of {who} had their text in {where} instead of content on {on}."] * bool(total)


def _order_notes(who: str, detector: Detector) -> list[str]:
    if detector["settings"].get("reasoning") != REASONING_FIRST:
        return []
    measured = (
        " Its scores from log-probabilities measure less than with the verdict first: they say how sure it "
        "was after its own reasoning, whatever that was."
        if detector["score_sources"].get("logprobs")
        else ""
    )
    return [f"Replies of {who}: its reasoning first, and then its verdict.{measured}"]


def _example_notes(who: str, detector: Detector) -> list[str]:
    if not (examples := detector["settings"].get("examples")):
        return []
    shown = counted(examples["shots"], "labelled example")
    return [f"Examples: {who} was shown {shown} of {printable(examples['name'])} ahead of each pair."]


def _vote_notes(who: str, detector: Detector) -> list[str]:
    if not (votes := detector["settings"].get("votes")):
        return []
    return [
        f"Votes: each verdict of {who} is that of the majority of {votes} askings, and its score the share "
        "of them. Latency, requests, tokens and cost are those of all askings together; compare with a run "
        "without --votes (kimera diff) to see what they bought."
    ]


def _together_notes(who: str, detector: Detector) -> list[str]:
    if not (pairs := detector["settings"].get("pairs_per_request")):
        return []
    return [
        f"Requests: {who} was asked about up to {pairs} pairs at a time. Latency is that of a whole request, "
        "tokens and cost of a pair are its share; one verdict may depend on the pairs beside it, so compare "
        "with a run without --pairs-per-request (kimera diff) to see which verdicts change."
    ]


def _end_notes(who: str, detector: Detector) -> list[str]:
    if not (notice := detector["settings"].get("notice")):
        return []
    return [f"End of {who}: its endpoint says {printable(notice)}. A later run needs another model."]


def _limit_notes(who: str, detector: Detector) -> list[str]:
    changes = detector.get("limit_changes")
    if not changes:
        return []
    limits = [limit for _, limit, _ in changes]
    return [
        f"Concurrency of {who} was set automatically: it began at {limits[0]} requests in flight, reached "
        f"{max(limits)} and ended at {limits[-1]}, after {counted(len(changes) - 1, 'change')}."
    ]
