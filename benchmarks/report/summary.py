"""From a run to its summary: plain, JSON-ready numbers with a reason for each one that is missing."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks import metrics
from benchmarks.results import SCORE_SOURCES, DetectorResult, RunResult
from kimera import __version__


def build_summary(run: RunResult) -> dict[str, Any]:
    """Everything the report says in numbers; `render_text` and `render_markdown` need nothing else.

    Metrics are plain numbers, never NaN: one that is undefined is left out and listed in `absent` with the
    reason (one of a group as "latency_ms.p50"). Raises ValueError if two detectors share a name.
    """
    names = [detector.name for detector in run.detectors]
    if len(set(names)) < len(names):
        raise ValueError(f"detectors must have different names, got {', '.join(names)}")
    return {
        "version": __version__,
        "created": run.created,
        "dataset": _dataset(run),
        "detectors": {detector.name: _detector(run.labels, detector) for detector in run.detectors},
        "agreement": [_agreement(run.labels, a, b) for a, b in combinations(run.detectors, 2)],
    }


def _dataset(run: RunResult) -> dict[str, Any]:
    """What the run says of its dataset, counted anew; without labels nobody knows how many contradict."""
    labelled = int((run.labels >= 0).sum())
    counts = {"pairs": run.labels.size, "labelled": labelled}
    if labelled:
        counts["contradictions"] = int((run.labels == 1).sum())
    told = {name: value for name, value in run.dataset.items() if name != "contradictions"}
    return {**told, **counts}


def _detector(labels: np.ndarray, detector: DetectorResult) -> dict[str, Any]:
    amortised = detector.kind == "reactor"
    answered = int(detector.answered.sum())
    quality = metrics.quality(labels, detector.verdicts, detector.scores)
    latency = metrics.latency(detector.latency_ms, amortised)
    throughput = metrics.throughput(
        answered, detector.busy_s, detector.wall_s, amortised, detector.from_cache
    )
    if unasked := detector.errors.get("not_asked"):
        quality.values.pop("accuracy_failed_as_wrong", None)
        quality.absent["accuracy_failed_as_wrong"] = f"{unasked} pairs were not asked"
    checks = _checks(labels, detector)
    effort = "workers" if amortised else "concurrency"
    return {
        "kind": detector.kind,
        "simulated": detector.simulated,
        "mode": detector.mode,
        effort: detector.asked,
        f"{effort}_used": detector.used,
        "answered": answered,
        "failed": labels.size - answered,
        "errors": dict(detector.errors),
        "labelled_answered": int(((labels >= 0) & detector.answered).sum()),
        **quality.values,
        "distinct_scores": metrics.distinct_scores(detector.scores),
        "score_sources": _score_sources(detector),
        "wall_s": float(detector.wall_s),
        **throughput.values,
        "latency_ms": {**latency.values, "amortised": amortised},
        "tokens": detector.tokens,
        **(_judge(detector) if detector.kind == "judge" else {}),
        **{group: measured.values for group, measured in checks.items()},
        "settings": detector.settings,
        "absent": {
            **quality.absent,
            **throughput.absent,
            **_absent_in_groups({"latency_ms": latency, **checks}),
        },
    }


def _absent_in_groups(groups: dict[str, metrics.Measured]) -> dict[str, str]:
    return {
        f"{group}.{name}": reason
        for group, measured in groups.items()
        for name, reason in measured.absent.items()
    }


def _score_sources(detector: DetectorResult) -> dict[str, int]:
    """How many scores come from where; see `kimera.pairs.Verdict.score_source`."""
    if detector.score_sources is None:
        return {}
    counts = np.bincount(detector.score_sources, minlength=len(SCORE_SOURCES)).tolist()
    return {name: count for name, count in zip(SCORE_SOURCES, counts, strict=True) if name and count}


def _checks(labels: np.ndarray, detector: DetectorResult) -> dict[str, metrics.Measured]:
    """How far a judge's word can be trusted, as was asked for: its stability, its two kinds of score."""
    checks = {}
    if detector.variants is not None and (detector.repeat > 1 or detector.swap):
        steady = metrics.stability(detector.variants, detector.repeat, detector.swap)
        failed = int((detector.variants[:, 1:] < 0).sum())
        asked = {"repeat": detector.repeat, "swap": detector.swap, "further_askings_failed": failed}
        checks["stability"] = replace(steady, values=asked | steady.values)
    if detector.stated is not None and detector.settings.get("logprobs"):
        checks["calibration"] = metrics.calibration(
            labels, detector.scores, detector.stated, _from_logprobs(detector)
        )
    return checks


def _from_logprobs(detector: DetectorResult) -> np.ndarray:
    if detector.score_sources is None:
        return np.zeros(detector.scores.size, dtype=bool)
    return detector.score_sources == SCORE_SOURCES.index("logprobs")


def _judge(detector: DetectorResult) -> dict[str, Any]:
    """What only a judge has: what it cost and how --async auto went."""
    found: dict[str, Any] = {
        "attempts": detector.attempts,
        "attempt_errors": detector.attempt_errors,
        "from_cache": detector.from_cache,
        "dollars": detector.dollars,
    }
    if detector.limit_changes:
        found["limit_changes"] = [list(change) for change in detector.limit_changes]
    return found


def _agreement(labels: np.ndarray, a: DetectorResult, b: DetectorResult) -> dict[str, Any]:
    measured = metrics.agreement(labels, a.verdicts, b.verdicts)
    return {"a": a.name, "b": b.name, **measured.values, "absent": measured.absent}
