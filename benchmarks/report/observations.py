"""What a run shows beyond its table, in words: other thresholds, calibration, categories."""

from __future__ import annotations

from typing import Any

from benchmarks.report.words import MISSING, Detector, Row, counted, from_to, label, titles
from benchmarks.stats import Shown, metrics, names_in
from kimera.console import printable
from kimera.detectors import moved_score

SIGNIFICANT = 0.05
MIN_OF_ISOTONIC = 1000  # labels, below which it fits what is chance
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
    called, is_better = _called_alike(detector), round(tuned["f1"], 3) > round(detector.get("f1", 1.0), 3)
    facts = [called] * bool(called)
    if not (called or is_better):
        return ""
    if useless := _why_no_threshold(detector):
        return f"Threshold of {who}: {'; '.join([*facts, useless])}."
    if is_better:
        facts.append(_advice(who, detector))
    return f"Threshold of {who}: it is {_own_threshold(detector):g}. {'. '.join(map(_capital, facts))}."


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


def _own_threshold(detector: Detector) -> float:
    return float(detector["settings"].get("threshold", detector["thresholds"]["default"]))


def _advice(who: str, detector: Detector) -> str:
    tuned = detector["thresholds"]
    # Its scores were moved with a threshold of its own: here the advice is moved back.
    selected = f"{moved_score(tuned['cross_validated'], 1 - _own_threshold(detector)):.2f}"
    ends = tuned["intervals"].get("f1")
    interval = f" ({from_to(ends)})" if ends else ""
    accuracies = ""
    if "accuracy" in tuned and "accuracy" in detector:
        accuracies = f", and accuracy is {tuned['accuracy']:.3f} instead of {detector['accuracy']:.3f}"
    return (
        f"cross-validation selects {selected} for the highest F1 (--threshold {who}={selected}): there F1 is "
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
        *_cautions(summary),
        *maps,
    ]


def _cautions(summary: dict[str, Any]) -> list[str]:
    """Where calibration made figures worse on pairs it was not fitted on, and where it had few labels."""
    names, calibrated = titles(summary), _calibrated(summary)
    cautions = [
        f"Caution: calibration made {names[name]} worse on pairs that its map was not fitted on ({worse}); "
        "its scores as they are serve better."
        for name in calibrated
        if (worse := _worse_by(summary["detectors"][name]))
    ]
    few = [
        names[name]
        for name, found in calibrated.items()
        if found["method"] == "isotonic" and found["pairs"] < MIN_OF_ISOTONIC
    ]
    if few:
        cautions.append(
            f"Caution: isotonic regression follows chance in fewer than {MIN_OF_ISOTONIC:,} labels, and "
            f"there are fewer for {', '.join(few)}; --calibrate platt needs fewer."
        )
    return cautions


def _worse_by(detector: Detector) -> str:
    """Figures that are worse after calibration, before and after; empty where none is."""
    after = detector["calibrated"]
    worse = [
        f"{label(name)} {detector[name]:.3f} -> {after[name]:.3f}"
        for name, sign in (("accuracy", -1), ("brier", 1))
        if name in after and name in detector
        if sign * (round(after[name], 3) - round(detector[name], 3)) > 0
    ]
    return ", ".join(worse)


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
        sizes = [entry["labelled"] for entry in categories["shown"]]
        sentences.append(
            "By category, with p-values adjusted for all tests, no difference between detectors is "
            f"significant; with {min(sizes):,} to {max(sizes):,} labelled pairs in each, large ones may go "
            "unseen."
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
