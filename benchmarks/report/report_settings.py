"""The settings of `kimera report`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from benchmarks.settings import RunSettings
from kimera.console import Groups, changed, option
from kimera.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from kimera.models import MapName


LABELS = "labels.jsonl"  # in a run's folder, as kimera label writes it


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """What the command takes. margin, prevalence and calibrate: those of the run where they are None."""

    GROUPS: ClassVar[Groups] = {
        "": (
            "folder",
            "margin",
            "prevalence",
            "calibrate",
            "labels",
            "label_weights",
            "fail_if",
            "no_viz",
            "verbose",
        )
    }
    folder: str = option("", metavar="DIR", help="the run's folder")
    margin: float | None = changed(
        RunSettings,
        "margin",
        default=None,
        help="margin of the equivalence test, in points of accuracy (default: the run's own)",
    )
    prevalence: float | None = changed(
        RunSettings,
        "prevalence",
        help="also report precision and cost at this share of contradictions (default: the run's own)",
    )
    calibrate: MapName | None = changed(RunSettings, "calibrate")
    labels: tuple[str, ...] = option(
        (),
        "--labels",
        repeated=True,
        metavar="FILE",
        path=True,
        help="labels.jsonl, as report.html exports it: count these labels in the place of the dataset's own. "
        "May be given several times, one file a person: the majority decides",
    )
    label_weights: str | None = changed(RunSettings, "label_weights")
    fail_if: tuple[str, ...] = changed(RunSettings, "fail_if")
    no_viz: bool = changed(RunSettings, "no_viz")
    verbose: bool = changed(RunSettings, "verbose")


def require_labels(settings: RunSettings | ReportSettings, labels: np.ndarray) -> None:
    """Raises UserError where settings ask for what these labels, as of a run's pairs, cannot give."""
    from benchmarks.stats import are_estimated  # takes long, and --help needs these settings

    is_labelled = bool((labels >= 0).any())
    if settings.prevalence and not is_labelled:
        raise UserError(
            "--prevalence restates figures that take labels, and no pair of this dataset has one; leave the "
            "flag out"
        )
    if settings.calibrate and not is_labelled:
        raise UserError("--calibrate takes labels, and no pair of this dataset has one; leave the flag out")
    if settings.label_weights and not are_estimated(labels):
        raise UserError(
            "--label-weights is for datasets of which only a part is labelled; of this one, "
            f"{'nearly all pairs are' if is_labelled else 'no pair is'}; leave the flag out"
        )
