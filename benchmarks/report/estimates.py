"""What is estimated for all pairs of a run where only a part of them is labelled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.runs import RunResult
from benchmarks.stats import (
    FAILED,
    DetectorResult,
    KnownPairs,
    UndefinedMetricError,
    are_estimated,
    estimates_of_detector,
    estimates_of_pairs,
    estimates_of_two,
    mean_of_scores,
    rogan_gladen,
    why_not_random,
)

MAX_SPLITS = 8  # detectors whose verdicts make strata


@dataclass(frozen=True)
class PartlyLabelledRun:
    """A run of which only some pairs are labelled."""

    run: RunResult

    @cached_property
    def counted(self) -> list[DetectorResult]:
        """The detectors that were asked about every pair by themselves, judges first."""
        asked = [
            result
            for result in self.run.detectors
            if result.measured is None and result.info.role != "combination"
        ]
        return sorted(asked, key=lambda result: result.info.role != "judge")

    @cached_property
    def refused(self) -> str:
        if self.run.drawn is not None or not self.counted:
            return ""
        return why_not_random(
            self.run.labels >= 0,
            [result.verdicts for result in self.counted],
            [result.scores for result in self.counted],
            self.run.cluster_numbers,
            [result.title for result in self.counted],
        )

    @cached_property
    def drawn(self) -> np.ndarray | None:
        """None where all labelled pairs were drawn with the same probability."""
        drawn, labelled = self.run.drawn, self.run.labels >= 0
        return None if drawn is None or not np.ptp(drawn[labelled]) else drawn

    @cached_property
    def proxy(self) -> np.ndarray | None:
        """The mean of the judges' scores, without a judge of the local ones'; no label plays a part."""
        judges = [result for result in self.counted if result.info.role == "judge"]
        return mean_of_scores([result.scores for result in judges or self.counted])

    def known(self, *but: str) -> KnownPairs:
        """What is known of the pairs beside the verdicts of these detectors."""
        others = [result for result in self.counted if result.name not in but]
        return KnownPairs(
            self.run.labels,
            self.run.cluster_numbers,
            [result.verdicts == 1 for result in others[:MAX_SPLITS]],
            self.proxy,
            self.drawn,
            self.refused,
        )

    def of_detector(self, detector: DetectorResult) -> dict[str, Any] | None:
        """None of a judge in a cascade, which was asked about the pairs that are hard."""
        if detector.measured is not None:
            return None
        return estimates_of_detector(self.known(detector.name), detector.verdicts).as_json()

    def of_two(self, a: DetectorResult, b: DetectorResult) -> dict[str, Any] | None:
        if a.measured is not None or b.measured is not None:
            return None
        return estimates_of_two(self.known(a.name, b.name), a.verdicts, b.verdicts).as_json()

    def of_pairs(self) -> dict[str, Any]:
        part = estimates_of_pairs(self.known()).as_json()
        by_rates = self._by_rates()
        return {
            **part,
            "weighted": self.drawn is not None,
            **({"refused": self.refused} if self.refused else {}),
            **({"rogan_gladen": by_rates} if by_rates else {}),
        }

    def _by_rates(self) -> dict[str, dict[str, Any]]:
        """Prevalence by each detector's rates, where labelled pairs are independent and count alike."""
        labelled, clusters = self.run.labels >= 0, self.run.cluster_numbers
        if self.drawn is not None or np.unique(clusters[labelled]).size < labelled.sum():
            return {}
        found = {}
        for detector in self.counted:
            try:
                value, interval = _by_rates_of(self.run.labels, detector.verdicts)
            except UndefinedMetricError:
                continue
            found[detector.name] = {"prevalence": value, "interval": list(interval)}
        return found


def _by_rates_of(labels: np.ndarray, verdicts: np.ndarray) -> tuple[float, tuple[float, float]]:
    answered, called = verdicts != FAILED, verdicts == 1
    contradictions, others = answered & (labels == 1), answered & (labels == 0)
    return rogan_gladen(
        called=int(called.sum()),
        pairs=int(answered.sum()),
        found=int((called & contradictions).sum()),
        contradictions=int(contradictions.sum()),
        alarms=int((called & others).sum()),
        others=int(others.sum()),
    )


def partly_labelled(run: RunResult) -> PartlyLabelledRun | None:
    """None where nearly all pairs are labelled, or none is."""
    return PartlyLabelledRun(run) if are_estimated(run.labels) else None
