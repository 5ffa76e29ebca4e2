"""From a run to its summary: plain, JSON-ready numbers with a reason for each one that is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from benchmarks.data import families_of
from benchmarks.detector_info import are_told_apart
from benchmarks.judge import unasked_in
from benchmarks.report.calibrations import NOT_CALIBRATED, Calibrations, facts_of, labels_for
from benchmarks.report.cascades import cascade_run, curves
from benchmarks.report.categories import categories
from benchmarks.report.estimates import PartlyLabelledRun, partly_labelled
from benchmarks.report.operating import at_best_threshold, recalibrated, restated
from benchmarks.report.panels import panel_run
from benchmarks.runs import RunResult
from benchmarks.stats import (
    MEASURED,
    OF_DETECTORS,
    OF_TWO,
    SCORE_SOURCES,
    CrossFitted,
    DetectorResult,
    OneDetector,
    Side,
    agreement,
    compare,
    confusion,
    differences_part,
    holm,
    metrics,
    quality_intervals,
    side_of,
    why_not_repeated,
    why_not_three_way,
    why_unranked,
)
from kimera.detectors import THRESHOLD
from kimera.pairs import NO_CLASS
from kimera.version import __version__

T = TypeVar("T")
WITH_INTERVALS = {figure.group for figure in OF_DETECTORS if figure.interval}
GROUP = "estimates"  # of all pairs, where only a part of them is labelled
MARGIN = 0.02  # a difference of accuracies that does not matter, where nothing else is asked for


def build_summary(
    run: RunResult,
    margin: float = MARGIN,
    prevalence: float | None = None,
    calibrations: Calibrations = NOT_CALIBRATED,
) -> dict[str, Any]:
    """Everything the report says in numbers; `render_text` and `render_markdown` need nothing else.

    Metrics are plain numbers, never NaN: one that is undefined is left out and listed in `absent` with the
    reason (one of a group as "latency_ms.p50"). `intervals` are of 95 %. margin: the difference of accuracies
    within which two detectors are equivalent. prevalence: the share of contradictions elsewhere, for which
    precision and cost are restated. calibrations: of `calibrations_of`, where scores are calibrated.
    Raises ValueError if two detectors share a name.
    """
    names = [detector.name for detector in run.detectors]
    if len(set(names)) < len(names):
        raise ValueError(f"detectors must have different names, got {', '.join(names)}")
    clusters = run.cluster_numbers
    labels = [labels_for(run.labels, detector) for detector in run.detectors]
    classes = [_gold_classes(run, own) for own in labels]
    sides = [side_of(detector) for detector in run.detectors]
    partly = partly_labelled(run)
    agreements = _agreements(run, sides, clusters, margin, partly)
    return {
        "version": __version__,
        "created": run.created,
        "dataset": {**_dataset(run), "clusters": int(np.unique(clusters).size)},
        "detectors": {
            detector.name: _detector(
                OneDetector(detector, own, clusters, prevalence, calibrations.get(detector.name), gold)
            )
            | _estimates(partly.of_detector(detector) if partly else None)
            for own, gold, detector in zip(labels, classes, run.detectors, strict=True)
        },
        "agreement": agreements,
        **_estimates(partly.of_pairs() if partly else None),
        "cascade": curves(run, clusters, margin),
        **({"cascade_run": cascade_run(run)} if run.cascade else {}),
        **({"panel_run": panel_run(run, agreements)} if run.panel else {}),
        "categories": categories(run, clusters, labels, sides, margin),
    }


def _estimates(part: dict[str, Any] | None) -> dict[str, Any]:
    return {} if part is None else {GROUP: part}


def _gold_classes(run: RunResult, labels: np.ndarray) -> np.ndarray | None:
    """The classes of the labels, none where the detector's verdict does not count."""
    return None if run.classes is None else np.where(labels >= 0, run.classes, NO_CLASS)


def _dataset(run: RunResult) -> dict[str, Any]:
    """What the run says of its dataset, counted anew; without labels nobody knows how many contradict."""
    labelled = int((run.labels >= 0).sum())
    counts = {"pairs": run.labels.size, "labelled": labelled}
    if labelled:
        counts["contradictions"] = int((run.labels == 1).sum())
    stated = {name: value for name, value in run.dataset.items() if name != "contradictions"}
    return {**stated, **counts, "families": families_of([str(run.dataset["name"])])}


def _detector(one: OneDetector) -> dict[str, Any]:
    detector, info = one.detector, one.info
    found = _measured(one)
    groups = metrics.nested({name: list(ends) for name, ends in found.intervals.items()})
    facts = _beside_figures(one)
    values = metrics.nested(_in_order(found.values))
    for group, beside in facts.items():
        intervals = {"intervals": groups.pop(group, {})} if group in WITH_INTERVALS else {}
        values[group] = {**beside, **values.get(group, {}), **intervals}
    effort = info.effort_key
    return {
        "kind": info.kind,
        "role": info.role,
        "paid": info.is_paid,
        "simulated": info.is_simulated,
        "mode": detector.mode,
        effort: detector.asked,
        f"{effort}_used": detector.used,
        **({"loop": detector.loop} if detector.loop else {}),
        **({"spared": detector.spared} if detector.spared else {}),
        "errors": dict(detector.errors),
        "score_sources": _score_sources(detector),
        "tokens": None,
        **(_requests(detector) if info.is_paid else {}),
        **values,
        "intervals": groups,
        **({"trained_on": info.trained_on} if info.role == "local" else {}),
        "settings": detector.settings,
        "absent": _in_order(found.absent),
    }


def _measured(one: OneDetector) -> metrics.Measured:
    """Every figure that is declared, or why there is none."""
    detector = one.detector
    arrays, unranked = (one.labels, detector.verdicts, detector.scores), why_unranked(detector)
    quality = metrics.quality(*arrays, unranked=unranked)
    quality.intervals.update(quality_intervals(*arrays, one.clusters, are_ranked=not unranked))
    if unasked := unasked_in(detector.errors):
        quality.values.pop("accuracy_failed_as_wrong", None)
        quality.absent["accuracy_failed_as_wrong"] = f"{unasked} pairs were not asked"
        quality.intervals.pop("accuracy_failed_as_wrong", None)
    found = quality | metrics.measured(MEASURED, one)
    if one.has_labels and one.info.role == "local":
        found |= at_best_threshold(one)
    if one.has_labels and one.prevalence is not None:
        found |= restated(one, one.prevalence)
    if one.has_labels and one.calibration is not None:
        found |= recalibrated(one, one.calibration)
    return found


def _in_order(by_figure: Mapping[str, T]) -> dict[str, T]:
    """In the order in which the figures are declared."""
    return {figure.name: by_figure[figure.name] for figure in OF_DETECTORS if figure.name in by_figure}


def _beside_figures(one: OneDetector) -> dict[str, dict[str, Any]]:
    """Of each group of figures that this detector has, what stands in it beside them."""
    detector, info = one.detector, one.info
    is_repeated = why_not_repeated(one, times=1) is None
    groups: dict[str, dict[str, Any] | None] = {
        "latency_ms": {"amortised": info.is_amortised},
        "pair_ms": None if info.is_amortised else {},
        "tokens": None if detector.tokens is None else {},
        "stability": {"repeat": info.repeat, "swap": info.swap} if is_repeated else None,
        "thresholds": {"default": THRESHOLD} if one.has_labels and info.role == "local" else None,
        "three_way": {"confusion": confusion(one)} if why_not_three_way(one) is None else None,
        "cost": {} if one.has_labels and detector.dollars_of_pair is not None else None,
        "at_prevalence": {"prevalence": one.prevalence} if one.has_labels and one.prevalence else None,
        "calibrated": facts_of(one.calibration) if isinstance(one.calibration, CrossFitted) else None,
    }
    return {group: beside for group, beside in groups.items() if beside is not None}


def _score_sources(detector: DetectorResult) -> dict[str, int]:
    """How many scores come from where; see `kimera.pairs.Verdict.score_source`."""
    if detector.score_sources is None:
        return {}
    counts = np.bincount(detector.score_sources, minlength=len(SCORE_SOURCES)).tolist()
    return {name: count for name, count in zip(SCORE_SOURCES, counts, strict=True) if name and count}


def _requests(detector: DetectorResult) -> dict[str, Any]:
    """What only a judge has, and a cascade through it, beside its figures.

    The dollars are null here; the figure replaces that where they are known.
    """
    changes = [list(change) for change in detector.limit_changes]
    return {
        "attempt_errors": detector.attempt_errors,
        "dollars": None,
        **({"limit_changes": changes} if changes else {}),
    }


def _agreements(
    run: RunResult,
    sides: Sequence[Side],
    clusters: np.ndarray,
    margin: float,
    partly: PartlyLabelledRun | None,
) -> list[dict[str, Any]]:
    """Each two detectors; the p-values of McNemar's tests are adjusted for how many there are (Holm).

    sides: what each said, in their order. A cascade is its judge where that was asked, so these two are not
    compared.
    """
    couples = [
        couple
        for couple in combinations(zip(run.detectors, sides, strict=True), 2)
        if are_told_apart(*(detector.info for detector, _ in couple))
    ]
    comparisons = [compare(run.labels, a, b, clusters, margin=margin) for (_, a), (_, b) in couples]
    tested = [comparison.mcnemar_p for comparison in comparisons if comparison.mcnemar_p is not None]
    adjusted = iter(holm(tested))
    entries = []
    for ((a, said_a), (b, said_b)), paired in zip(couples, comparisons, strict=True):
        measured = agreement(run.labels, said_a.verdicts, said_b.verdicts)
        intervals = {
            figure.name: list(paired.intervals[figure.name])
            for figure in OF_TWO
            if figure.name in paired.intervals
        }
        entries.append(
            {
                "a": a.name,
                "b": b.name,
                **measured.values,
                "intervals": intervals,
                "differences": differences_part(paired, adjusted),
                "absent": measured.absent,
                **_estimates(partly.of_two(a, b) if partly else None),
            }
        )
    return entries
