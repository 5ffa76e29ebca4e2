"""The scores of a run's detectors, calibrated on its labels: what --calibrate adds to a report's files."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from benchmarks.runs import RunResult
from benchmarks.stats import CrossFitted, DetectorResult, UndefinedMetricError, cross_fitted, why_unranked
from kimera.models import MapName

# By the name of a detector: what became of its scores, or why they are not calibrated.
Calibrations: TypeAlias = Mapping[str, CrossFitted | str]
NOT_CALIBRATED: Calibrations = MappingProxyType({})


def calibrations_of(run: RunResult, method: MapName) -> dict[str, CrossFitted | str]:
    clusters = run.cluster_numbers
    return {detector.name: _calibrated(run, detector, clusters, method) for detector in run.detectors}


def _calibrated(
    run: RunResult, detector: DetectorResult, clusters: np.ndarray, method: MapName
) -> CrossFitted | str:
    if unranked := why_unranked(detector):
        return unranked
    try:
        return cross_fitted(labels_for(run.labels, detector), detector.scores, clusters, method)
    except UndefinedMetricError as reason:
        return str(reason)


def labels_for(labels: np.ndarray, detector: DetectorResult) -> np.ndarray:
    """The labels, -1 where the detector's verdict does not count."""
    return labels if detector.measured is None else np.where(detector.measured, labels, -1)


def scores_of(calibrations: Calibrations, name: str) -> np.ndarray | None:
    """float64 (n,), NaN where the detector failed; None where its scores are not calibrated."""
    calibration = calibrations.get(name)
    return calibration.scores if isinstance(calibration, CrossFitted) else None


def facts_of(calibration: CrossFitted) -> dict[str, Any]:
    """What stands in the summary beside the figures."""
    return {
        "method": calibration.method,
        "folds": calibration.folds,
        "pairs": calibration.pairs,
        "map": calibration.map.as_json(),
    }
