"""The figures of two detectors' verdicts: how often they say the same, and who was right.

Differences of figures of quality follow from these figures themselves, in `quality_figures`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.stats.figure import AgreementFigure, Method, QualityFigure, Shown, Unit
from benchmarks.stats.formulas import Counts, Floats, OfCounts, Requirement
from benchmarks.stats.metrics import Measured, collect, require, value
from benchmarks.stats.quality_figures import of_counts
from benchmarks.stats.results import TwoDetectors


def kappa(counts: Counts) -> Floats:
    n = counts.contradictions + counts.others
    by_chance = counts.others / n * (counts.passed / n) + counts.contradictions / n * (counts.called / n)
    return ((counts.tn + counts.tp) / n - by_chance) / (1 - by_chance)


def _rate(two: TwoDetectors) -> float:
    require(two.both.any(), "no pair was answered by both")
    return float((two.a == two.b)[two.both].mean())


def _who(a_is_right: bool, b_is_right: bool) -> Callable[[TwoDetectors], int]:
    """How many labelled pairs they have right or wrong so."""

    def of(two: TwoDetectors) -> int:
        labelled = two.both & (two.labels >= 0)
        require((two.labels >= 0).any(), "no pair carries a label")
        require(labelled.any(), "no labelled pair was answered by both")
        a, b = ((verdicts == two.labels)[labelled] for verdicts in (two.a, two.b))
        return int(((a == a_is_right) & (b == b_is_right)).sum())

    return of


ANSWERED_BY_BOTH = Requirement(np.any, "no pair was answered by both")
NOT_ALL_ALIKE = Requirement(
    lambda counts: np.logical_and(counts.contradictions + counts.called, counts.others + counts.passed),
    "both gave every pair the same verdict",
)
_count = partial(AgreementFigure, unit=Unit.COUNT, shown=Shown.NOWHERE)
_right = partial(_count, takes_labels=True)

KAPPA = QualityFigure(
    "kappa",
    "kappa",
    "Cohen's kappa: agreement beyond chance.",
    Unit.CORRELATION,
    of=OfCounts(kappa),
    interval=Method.BOOTSTRAP,
    needs=(ANSWERED_BY_BOTH, NOT_ALL_ALIKE),
    source="Cohen 1960",
)
WHO_WAS_RIGHT = (
    _right("both_right", "both right", "Labelled pairs that both have right.", of=_who(True, True)),
    _right("only_a", "only first right", "Labelled pairs that only a has right.", of=_who(True, False)),
    _right("only_b", "only second right", "Labelled pairs that only b has right.", of=_who(False, True)),
    _right("both_wrong", "both wrong", "Labelled pairs that both have wrong.", of=_who(False, False)),
)
OF_TWO: tuple[AgreementFigure | QualityFigure, ...] = (
    _count(
        "both_answered",
        "pairs that both answered",
        "Pairs that both answered.",
        of=lambda two: int(two.both.sum()),
    ),
    AgreementFigure(
        "rate", "same verdict", "Share of these with the same verdict.", shown=Shown.NOWHERE, of=_rate
    ),
    KAPPA,
    *WHO_WAS_RIGHT,
)
# The formulas of those with an interval: of how many pairs each cell of two verdicts holds.
RESAMPLED_OF_TWO = of_counts(figure for figure in OF_TWO if isinstance(figure, QualityFigure))


def agreement(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> Measured:
    """`OF_TWO` of labels and two detectors' verdicts, int8 (n,), as of `TwoDetectors`."""
    two = TwoDetectors(labels, a, b)

    def measure(figure: AgreementFigure | QualityFigure) -> float:
        if isinstance(figure, QualityFigure):
            return value(figure, a[two.both], b[two.both])
        return figure.of(two)

    return collect({figure.name: partial(measure, figure) for figure in OF_TWO})
