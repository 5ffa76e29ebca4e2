"""Every figure of a detector, and of two: each is declared once, with its formula, in the module of its kind.

Rows, plots and captions of reports, gates, `kimera diff`, the JSON schema and the table in docs/statistics.md
follow from these declarations, and the numbers of summary.json too. A new figure is one entry;
`python -m benchmarks.stats.figure_tables` writes the schema and the table anew.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.stats.agreement_figures import OF_TWO
from benchmarks.stats.check_figures import CHECKS
from benchmarks.stats.cost_figures import COST_AT_PREVALENCE, COSTS, DOLLARS, PARTLY_KNOWN
from benchmarks.stats.count_figures import CONFUSION, DISTINCT_SCORES, PAIRS, REQUESTS
from benchmarks.stats.estimate_figures import ESTIMATES, by_labels_alone
from benchmarks.stats.figure import DetectorFigure, Figure, Method, Shown, is_local, is_one
from benchmarks.stats.quality_figures import QUALITY, shown_in
from benchmarks.stats.speed_figures import SPEED
from benchmarks.stats.three_way_figures import THREE_WAY

# Figures of quality, of verdicts at another threshold, of another share of contradictions, of other scores.
BEST_THRESHOLD = Figure(
    "thresholds.cross_validated",
    "cross-validated threshold",
    "The best for F1: the median of ten folds.",
    shown=Shown.NOWHERE,
    takes_labels=True,
    only_of=is_local,
)
AT_THRESHOLD = tuple(
    replace(
        figure,
        name=f"thresholds.{figure.name}",
        label=f"{figure.label} at that threshold",
        meaning="Of each fold's verdicts at the threshold that is best for the others.",
        only_of=is_local,
    )
    for figure in shown_in(Shown.ELSEWHERE)
)
AT_PREVALENCE = tuple(
    replace(
        figure,
        name=f"at_prevalence.{figure.name}",
        label=f"restated {figure.label}",
        meaning=f"{figure.meaning.removesuffix('.')}, at that prevalence.",
        interval=Method.BOOTSTRAP,
    )
    for figure in shown_in(Shown.PREVALENCE)
)
CALIBRATED = tuple(
    replace(
        figure,
        name=f"calibrated.{figure.name}",
        label=f"calibrated {figure.label}",
        meaning=f"{figure.meaning.removesuffix('.')}, of the calibrated scores.",
        only_of=is_one,
    )
    for figure in shown_in(Shown.CALIBRATED)
)

OF_DETECTORS: tuple[Figure, ...] = (
    *(*PAIRS, *CONFUSION, *QUALITY, *THREE_WAY, DISTINCT_SCORES),
    *(*SPEED, *REQUESTS, DOLLARS, *PARTLY_KNOWN, *CHECKS),
    *(BEST_THRESHOLD, *AT_THRESHOLD, *COSTS, *AT_PREVALENCE, COST_AT_PREVALENCE, *CALIBRATED),
    *(*ESTIMATES, *by_labels_alone(ESTIMATES)),
)
MEASURED = tuple(figure for figure in OF_DETECTORS if isinstance(figure, DetectorFigure))
OF_RUNS = tuple(figure for figure in MEASURED if Shown.OF_RUNS in figure.shown)
BY_NAME = {figure.name: figure for figure in (*OF_DETECTORS, *OF_TWO)}
