"""From a run to its summary: plain, JSON-ready numbers with a reason for each one that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.data import families_of
from benchmarks.detector_info import are_told_apart
from benchmarks.judge import unasked_in
from benchmarks.report.cascades import cascade_run, curves
from benchmarks.report.categories import categories
from benchmarks.report.operating import Group, cost, restated, thresholds
from benchmarks.runs import RunResult
from benchmarks.stats import (
    SCORE_SOURCES,
    DetectorResult,
    Side,
    compare,
    differences_part,
    holm,
    metrics,
    quality_intervals,
    side_of,
    why_unranked,
)
from kimera.version import __version__

EFFORTS = {"workers": "workers", "requests in flight": "concurrency"}  # what the summary calls them
MARGIN = 0.02  # a difference of accuracies that does not matter, where nothing else is asked for


def build_summary(run: RunResult, margin: float = MARGIN, prevalence: float | None = None) -> dict[str, Any]:
    """Everything the report says in numbers; `render_text` and `render_markdown` need nothing else.

    Metrics are plain numbers, never NaN: one that is undefined is left out and listed in `absent` with the
    reason (one of a group as "latency_ms.p50"). `intervals` are of 95 %. margin: the difference of accuracies
    within which two detectors are equivalent. prevalence: the share of contradictions elsewhere, for which
    precision and cost are restated. Raises ValueError if two detectors share a name.
    """
    names = [detector.name for detector in run.detectors]
    if len(set(names)) < len(names):
        raise ValueError(f"detectors must have different names, got {', '.join(names)}")
    clusters = np.arange(run.labels.size) if run.clusters is None else run.clusters
    labels = [_labels_for(run.labels, detector) for detector in run.detectors]
    sides = [side_of(detector) for detector in run.detectors]
    return {
        "version": __version__,
        "created": run.created,
        "dataset": {**_dataset(run), "clusters": int(np.unique(clusters).size)},
        "detectors": {
            detector.name: _detector(own, detector, clusters, prevalence)
            for own, detector in zip(labels, run.detectors, strict=True)
        },
        "agreement": _agreements(run, sides, clusters, margin),
        "cascade": curves(run, clusters, margin),
        **({"cascade_run": cascade_run(run)} if run.cascade else {}),
        "categories": categories(run, clusters, labels, sides, margin),
    }


def _labels_for(labels: np.ndarray, detector: DetectorResult) -> np.ndarray:
    """The labels, -1 where the detector's verdict does not count."""
    return labels if detector.measured is None else np.where(detector.measured, labels, -1)


def _dataset(run: RunResult) -> dict[str, Any]:
    """What the run says of its dataset, counted anew; without labels nobody knows how many contradict."""
    labelled = int((run.labels >= 0).sum())
    counts = {"pairs": run.labels.size, "labelled": labelled}
    if labelled:
        counts["contradictions"] = int((run.labels == 1).sum())
    stated = {name: value for name, value in run.dataset.items() if name != "contradictions"}
    return {**stated, **counts, "families": families_of([str(run.dataset["name"])])}


def _detector(
    labels: np.ndarray, detector: DetectorResult, clusters: np.ndarray, share: float | None
) -> dict[str, Any]:
    unranked = why_unranked(detector)
    info, amortised = detector.info, detector.info.is_amortised
    answered = int(detector.answered.sum())
    quality = metrics.quality(labels, detector.verdicts, detector.scores, unranked=unranked)
    intervals = quality_intervals(
        labels, detector.verdicts, detector.scores, clusters, are_ranked=not unranked
    )
    latency = metrics.latency(detector.latency_ms, amortised)
    waiting = metrics.latency(detector.latency_ms + detector.wait_ms, amortised)
    at_work_s = detector.wall_s - detector.settings.get("load_s", 0.0)  # loading a model is done once
    throughput = metrics.throughput(answered, detector.busy_s, at_work_s, amortised, detector.from_cache)
    if unasked := unasked_in(detector.errors):
        quality.values.pop("accuracy_failed_as_wrong", None)
        quality.absent["accuracy_failed_as_wrong"] = f"{unasked} pairs were not asked"
        intervals.pop("accuracy_failed_as_wrong", None)
    checks = _checks(labels, detector)
    points = _operating_points(labels, detector, clusters, share)
    effort = EFFORTS[info.effort]
    return {
        "kind": info.kind,
        "role": info.role,
        "paid": info.is_paid,
        "simulated": info.is_simulated,
        "mode": detector.mode,
        effort: detector.asked,
        f"{effort}_used": detector.used,
        "answered": answered,
        "failed": labels.size - answered - detector.spared,
        **({"spared": detector.spared} if detector.spared else {}),
        "errors": dict(detector.errors),
        "called": int((detector.verdicts == 1).sum()),
        "labelled_answered": int(((labels >= 0) & detector.answered).sum()),
        **quality.values,
        "intervals": {name: list(ends) for name, ends in intervals.items()},
        "distinct_scores": metrics.distinct_scores(detector.scores),
        "score_sources": _score_sources(detector),
        "wall_s": float(detector.wall_s),
        **throughput.values,
        "latency_ms": {**latency.values, "amortised": amortised},
        **({} if amortised else {"pair_ms": waiting.values}),
        "tokens": detector.tokens,
        **(_requests(detector) if info.is_paid else {}),
        **{group: measured.values for group, measured in checks.items()},
        **{name: group.as_dict() for name, group in points.items()},
        **({"trained_on": info.trained_on} if info.role == "local" else {}),
        "settings": detector.settings,
        "absent": {
            **quality.absent,
            **throughput.absent,
            **_nothing_to_pay(labels, detector),
            **{f"tokens.{name}": reason for name, reason in detector.tokens_absent.items()},
            **_absent_in_groups(
                {"latency_ms": latency.absent}
                | {name: check.absent for name, check in checks.items()}
                | {name: group.absent for name, group in points.items()}
            ),
        },
    }


def _nothing_to_pay(labels: np.ndarray, detector: DetectorResult) -> dict[str, str]:
    """Why there is no price of a verdict, and of what computes in batches no waiting."""
    waiting, costs = ("pair_ms.mean", "pair_ms.p95"), ("cost.per_correct", "cost.per_contradiction")
    reasons = dict.fromkeys(waiting, metrics.AMORTISED) if detector.info.is_amortised else {}
    if not detector.info.is_paid:
        return {**reasons, **dict.fromkeys(costs, f"the {detector.info.kind} costs nothing")}
    if detector.dollars_of_pair is None:
        return {**reasons, **dict.fromkeys(("dollars", *costs), detector.dollars_absent)}
    return reasons if (labels >= 0).any() else {**reasons, **dict.fromkeys(costs, "no pair carries a label")}


def _absent_in_groups(groups: dict[str, dict[str, str]]) -> dict[str, str]:
    return {f"{group}.{name}": reason for group, absent in groups.items() for name, reason in absent.items()}


def _operating_points(
    labels: np.ndarray,
    detector: DetectorResult,
    clusters: np.ndarray,
    share: float | None,
) -> dict[str, Group]:
    """Thresholds of a local detector, costs of a judge, and both elsewhere; only what there is to say."""
    points = {}
    if (labels >= 0).any():
        if detector.info.role == "local":
            points["thresholds"] = thresholds(labels, detector, clusters)
        if detector.dollars_of_pair is not None:
            points["cost"] = cost(labels, detector, clusters)
        if share is not None:
            points["at_prevalence"] = restated(labels, detector, clusters, share)
    return points


def _score_sources(detector: DetectorResult) -> dict[str, int]:
    """How many scores come from where; see `kimera.pairs.Verdict.score_source`."""
    if detector.score_sources is None:
        return {}
    counts = np.bincount(detector.score_sources, minlength=len(SCORE_SOURCES)).tolist()
    return {name: count for name, count in zip(SCORE_SOURCES, counts, strict=True) if name and count}


def _checks(labels: np.ndarray, detector: DetectorResult) -> dict[str, metrics.Measured]:
    """How far a judge's word can be trusted, as was asked for: its stability, its two kinds of score."""
    checks = {}
    if detector.variants is not None and detector.info.variants > 1:
        repeat, swap = detector.info.repeat, detector.info.swap
        variants = detector.variants if detector.measured is None else detector.variants[detector.measured]
        steady = metrics.stability(variants, repeat, swap)
        failed = int((variants[:, 1:] < 0).sum())
        asked = {"repeat": repeat, "swap": swap, "further_askings_failed": failed}
        checks["stability"] = replace(steady, values=asked | steady.values)
    if detector.stated is not None and detector.settings.get("logprobs"):
        checks["calibration"] = metrics.calibration(
            labels, detector.scores, detector.stated, _from_logprobs(detector)
        )
    return checks


def _from_logprobs(detector: DetectorResult) -> np.ndarray:
    if detector.score_sources is None:
        return np.zeros(detector.scores.size, dtype=bool)
    return np.asarray(detector.score_sources == SCORE_SOURCES.index("logprobs"))


def _requests(detector: DetectorResult) -> dict[str, Any]:
    """What only a judge has, and a cascade through it: what it cost and how --async auto went."""
    requests: dict[str, Any] = {
        "attempts": detector.attempts,
        "attempt_errors": detector.attempt_errors,
        "from_cache": detector.from_cache,
        "dollars": detector.dollars,
    }
    if detector.limit_changes:
        requests["limit_changes"] = [list(change) for change in detector.limit_changes]
    return requests


def _agreements(
    run: RunResult, sides: Sequence[Side], clusters: np.ndarray, margin: float
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
        measured = metrics.agreement(run.labels, said_a.verdicts, said_b.verdicts)
        intervals = {name: list(paired.intervals[name]) for name in ("kappa",) if name in paired.intervals}
        entries.append(
            {
                "a": a.name,
                "b": b.name,
                **measured.values,
                "intervals": intervals,
                "differences": differences_part(paired, adjusted),
                "absent": measured.absent,
            }
        )
    return entries
