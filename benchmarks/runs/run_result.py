"""What a run found: its detectors over the same pairs, in arrays; texts and reasonings stay on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cascade import CascadeRun
from benchmarks.detector_info import Role
from benchmarks.panel import PanelRun
from benchmarks.stats import DetectorResult


@dataclass(frozen=True)
class RunResult:
    """All detectors over the same pairs.

    labels: int8 (n,), 1 contradiction, 0 not, -1 where the pair carries no gold label.
    classes: int8 (n,), indices of the labels into `kimera.pairs.RELATIONS`, -1 where a pair has none of the
    three; None where nobody knows.
    clusters: int64 (n,), pairs of one number share their first text; None where no two do.
    cascade: how the pairs were shared out, where they were. panel: what the judges say together, where they
    are asked for that. categories: int32 (n,), indices into
    `category_names`, -1 for none; None where there are none.
    drawn: float64 (n,), the probability with which a labelled pair was drawn to be labelled; None where
    nobody says.
    created: ISO 8601 with offset. dataset: {"name", "sha256", "pairs", "contradictions", ...}, JSON-ready.
    """

    created: str
    dataset: dict[str, Any]
    labels: np.ndarray
    detectors: tuple[DetectorResult, ...]
    clusters: np.ndarray | None = None
    cascade: CascadeRun | None = None
    panel: PanelRun | None = None
    categories: np.ndarray | None = None
    category_names: tuple[str, ...] = ()
    classes: np.ndarray | None = None
    drawn: np.ndarray | None = None

    @property
    def cluster_numbers(self) -> np.ndarray:
        """int64 (n,): `clusters`, or a number for each pair."""
        return np.arange(self.labels.size) if self.clusters is None else self.clusters

    @property
    def combination(self) -> CascadeRun | PanelRun | None:
        """What gives the findings of the last detector from those of others, where there is one."""
        return self.cascade if self.cascade and self.cascade.decision else self.panel

    def detector(self, name: str) -> DetectorResult:
        return next(detector for detector in self.detectors if detector.name == name)

    def of_role(self, role: Role) -> list[DetectorResult]:
        """In their order."""
        return [detector for detector in self.detectors if detector.info.role == role]
