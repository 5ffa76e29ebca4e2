"""What a run found: its detectors over the same pairs, in arrays; texts and reasonings stay on disk."""

from __future__ import annotations

import hashlib
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
    dataset_labels: int8 (n,), where people's labels are laid over them, those of the dataset; else None.
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
    dataset_labels: np.ndarray | None = None

    @property
    def cluster_numbers(self) -> np.ndarray:
        """int64 (n,): `clusters`, or a number for each pair."""
        return np.arange(self.labels.size) if self.clusters is None else self.clusters

    @property
    def first_labels(self) -> np.ndarray:
        """int8 (n,): those of the dataset."""
        return self.labels if self.dataset_labels is None else self.dataset_labels

    @property
    def own_scores(self) -> np.ndarray:
        """float64 (D, n): the scores of each detector but those combined of others, NaN without a verdict."""
        own = [detector for detector in self.detectors if detector.info.role != "combination"]
        verdicts = np.array([detector.verdicts for detector in own])
        scores = np.array([detector.scores for detector in own])
        # A detector without scores, and one that scores failures, count by their verdicts.
        return np.where(verdicts < 0, np.nan, np.where(np.isnan(scores), verdicts, scores))

    @property
    def combination(self) -> CascadeRun | PanelRun | None:
        """What gives the findings of the last detector from those of others, where there is one."""
        return self.cascade if self.cascade and self.cascade.decision else self.panel

    def detector(self, name: str) -> DetectorResult:
        return next(detector for detector in self.detectors if detector.name == name)

    def of_role(self, role: Role) -> list[DetectorResult]:
        """In their order."""
        return [detector for detector in self.detectors if detector.info.role == role]


def key_of(run: RunResult) -> str:
    """What tells a run from others: when it was begun, and its dataset's name, hash and number of pairs."""
    about = run.dataset
    told = (run.created, about["name"], about.get("sha256", ""), str(run.labels.size))
    return hashlib.sha256("\n".join(told).encode("utf-8", "backslashreplace")).hexdigest()[:16]
