"""What a run shows beyond its table, in words: other thresholds, calibration, categories, the cascade."""

from __future__ import annotations

from typing import Any

from benchmarks.report.words import MISSING, Detector, Row, counted, from_to, label, printable, titles
from benchmarks.stats import Shown, metrics, names_in
from kimera.reactor import THRESHOLD

SIGNIFICANT = 0.05
NEARLY_ALL = 0.9
MAP_TITLES = {"platt": "Platt", "isotonic": "isotonic regression"}
MAX_COLUMNS = 4  # detectors that stand side by side, each two with sentences of their own


def threshold_sentences(summary: dict[str, Any]) -> list[str]:
    """What another threshold than its own would make of a reactor, without tuning on the test."""
    names = titles(summary)
    told = (_threshold_sentence(names[name], each) for name, each in summary["detectors"].items())
    return [sentence for sentence in told if sentence]


def _threshold_sentence(who: str, detector: Detector) -> str:
    """Empty where no other threshold is better and verdicts are of both kinds."""
    tuned = detector.get("thresholds", {})
    if not {"cross_validated", "f1"} <= tuned.keys():
        return ""
    called, is_better = _called_alike(detector), tuned["f1"] > detector.get("f1", 1.0)
    facts = [called] * bool(called)
    if not (called or is_better):
        return ""
    if useless := _why_no_threshold(detector):
        return f"Threshold of {who}: {'; '.join([*facts, useless])}."
    if is_better:
        facts.append(_advice(detector))
    return f"Threshold of {who}: it is {tuned['default']:g}. {'. '.join(map(_capital, facts))}."


def _called_alike(detector: Detector) -> str:
    """What is said of a detector whose verdicts are all the same."""
    how = {0: "none", detector["answered"]: "all"}.get(detector["called"])
    return f"it calls {how} of {counted(detector['answered'], 'pair')} contradictions" if how else ""


def _why_no_threshold(detector: Detector) -> str:
    """Why another one is no advice; empty where it is."""
    if (scores := detector["distinct_scores"]) < metrics.MIN_SCORES:
        return f"no other is advised, since it gives only {counted(scores, 'different score')}"
    if "mcc" not in detector["thresholds"]:  # undefined only where all verdicts are the same
        return "no other is advised, since F1 is highest where all pairs are called contradictions"
    return ""


def _advice(detector: Detector) -> str:
    tuned = detector["thresholds"]
    ends = tuned["intervals"].get("f1")
    interval = f" ({from_to(ends)})" if ends else ""
    accuracies = ""
    if "accuracy" in tuned and "accuracy" in detector:
        accuracies = f", and accuracy is {tuned['accuracy']:.3f} instead of {detector['accuracy']:.3f}"
    return (
        f"cross-validation selects {tuned['cross_validated']:.2f} for the highest F1: there F1 is "
        f"{tuned['f1']:.3f}{interval} instead of {detector['f1']:.3f}{accuracies}"
    )


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def calibration_heading(summary: dict[str, Any]) -> str:
    first = next(iter(_calibrated(summary).values()))
    return (
        f"Calibrated on your labels ({MAP_TITLES[first['method']]}, cross-fitted in {first['folds']} folds)"
    )


def calibration_rows(summary: dict[str, Any]) -> list[Row]:
    """A header, then a row a figure: before and after calibration, of each detector."""
    if not _calibrated(summary):
        return []
    detectors = summary["detectors"].values()
    rows = [
        (label(name), *(_before_and_after(name, detector) for detector in detectors))
        for name in names_in(Shown.CALIBRATED)
    ]
    return [("", *titles(summary).values()), *rows]


def _calibrated(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By the names of those whose scores were."""
    detectors = summary["detectors"].items()
    return {name: detector["calibrated"] for name, detector in detectors if "calibrated" in detector}


def _before_and_after(name: str, detector: Detector) -> str:
    after = detector.get("calibrated", {})
    if name not in after:
        return MISSING
    ends = after["intervals"].get(name)
    return f"{detector[name]:.3f} -> {after[name]:.3f}" + (f" ({from_to(ends)})" if ends else "")


def calibration_sentences(summary: dict[str, Any]) -> list[str]:
    """What calibration leaves as it is, and the maps for scores to come."""
    names = titles(summary)
    maps = [
        f"Calibration of {names[name]}, fitted on all {counted(found['pairs'], 'labelled pair')}, for scores "
        f"to come: {_map_in_words(found['map'])}."
        for name, found in _calibrated(summary).items()
    ]
    if not maps:
        return []
    return [
        "No pair's own label decides about its calibrated score, and verdicts are by 0.5. ROC AUC is "
        "not measured again: a map keeps the order of scores, though those of different folds may swap.",
        *maps,
    ]


def _map_in_words(found: dict[str, Any]) -> str:
    if found.get("slope") == 0:
        return "the same for every score, since higher scores do not go with more contradictions"
    if "slope" in found:
        sign = "+" if found["offset"] >= 0 else "-"
        slope, offset = found["slope"], abs(found["offset"])
        return f"P(contradiction) = sigmoid({slope:.3f} * logit(score) {sign} {offset:.3f})"
    return f"the {len(found['points'])} points under calibrated.map in summary.json"


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
    categories = summary["categories"]
    if not categories:
        return []
    names = titles(summary)
    better: Better = {}
    for entry in categories["shown"]:
        for test in entry["differences"]:
            if "mcnemar" in test and test["mcnemar"]["p_holm"] < SIGNIFICANT:
                couple = (test["a"], test["b"]) if test["accuracy"] > 0 else (test["b"], test["a"])
                better.setdefault(couple, []).append(printable(entry["category"]))
    together = len(names) > MAX_COLUMNS
    sentences = (_by_better if together else _by_couple)(names, better, len(categories["shown"]), maximum)
    if not better and len(names) > 1:
        sentences.append(
            "By category, with p-values adjusted for all tests, no difference between detectors is "
            "significant."
        )
    if hidden := len(categories["shown"][maximum:] if maximum else []) + categories["more"]:
        sentences.append(
            f"This table leaves out {counted(hidden, 'smaller category').replace('categorys', 'categories')}."
        )
    return sentences


Better = dict[tuple[str, str], list[str]]  # (the better one, the worse one) to the categories in which it is


def _by_couple(names: dict[str, str], better: Better, shown: int, maximum: int | None) -> list[str]:
    return [
        f"By category, with p-values adjusted for all tests: {names[a]} is better than {names[b]} in "
        f"{len(where):,} of {shown:,} categories ({', '.join(where[:maximum])}"
        f"{', ...' if maximum and len(where) > maximum else ''})."
        for (a, b), where in better.items()
    ]


def _by_better(names: dict[str, str], better: Better, shown: int, maximum: int | None) -> list[str]:
    """Where detectors are many: one sentence for each, without the categories' names."""
    worse = {
        a: [f"{names[b]} in {len(where):,}" for (first, b), where in better.items() if first == a]
        for a in names
    }
    return [
        f"By category, of {shown:,}, with p-values adjusted for all tests: {names[a]} is better than "
        f"{', '.join(others)}."
        for a, others in worse.items()
        if others
    ]


def cascade_sentences(summary: dict[str, Any]) -> list[str]:
    """What a cascade did, where the run was one, and what one would have been worth, where labels tell."""
    sentences = cascade_run_sentences(summary) if "cascade_run" in summary else []
    names = titles(summary)
    return sentences + [
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
    """The share of pairs after which a cascade is not told from its judge, as far as scores tell."""
    enough, maximum = entry["indistinguishable"], most_sent(entry)
    if enough and enough["sent"] < 1:
        return f"{enough['sent']:.0%}"
    if maximum >= NEARLY_ALL:
        return "nearly all"
    return f"more than {maximum:.0%}" if maximum else "not known"


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
