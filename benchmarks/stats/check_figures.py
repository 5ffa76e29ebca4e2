"""The figures of a judge's checks: how steady its verdicts are, and its two kinds of score compared."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.stats.figure import DetectorFigure, Shown, Unit, is_asked
from benchmarks.stats.metrics import require, value
from benchmarks.stats.quality_figures import BRIER
from benchmarks.stats.results import SCORE_SOURCES, OneDetector

NOT_ASKED_FOR = ""


def flip_rate(verdicts: np.ndarray) -> float:
    """Share of pairs whose repeated verdicts, int8 (n, k), differ; a pair with a gap is left out."""
    whole = (verdicts >= 0).all(axis=1)
    require(whole.any(), "no pair was answered every time")
    return float((verdicts[whole].min(axis=1) != verdicts[whole].max(axis=1)).mean())


def _variants(one: OneDetector) -> np.ndarray:
    """int8 (m, v): of the pairs that its quality is measured on."""
    variants, measured = one.detector.variants, one.detector.measured
    if variants is None:
        return np.empty((0, one.info.variants), np.int8)
    return variants if measured is None else variants[measured]


def why_not_repeated(one: OneDetector, times: int = 2) -> str | None:
    """Why it was not asked about a pair so often; None where it was."""
    is_repeated = one.detector.variants is not None and one.info.variants > 1
    return None if is_repeated and one.info.repeat >= times else NOT_ASKED_FOR


def _why_not_swapped(one: OneDetector) -> str | None:
    return None if one.detector.variants is not None and one.info.swap else NOT_ASKED_FOR


def _why_no_two_scores(one: OneDetector) -> str | None:
    has_both = one.detector.stated is not None and one.detector.settings.get("logprobs")
    return None if has_both else NOT_ASKED_FOR


def _stated(one: OneDetector) -> np.ndarray:
    return np.full(one.labels.size, np.nan) if one.detector.stated is None else one.detector.stated


def _from_logprobs(one: OneDetector) -> np.ndarray:
    sources = one.detector.score_sources
    return np.asarray((0 if sources is None else sources) == np.full(one.labels.size, LOGPROBS))


def _with_both(one: OneDetector) -> np.ndarray:
    """bool (n,): pairs with a score from logprobs and a stated one."""
    return np.asarray(_from_logprobs(one) & ~np.isnan(one.detector.scores + _stated(one)))


def _brier(one: OneDetector, scores: np.ndarray) -> float:
    both = _with_both(one)
    counted = both & (one.labels >= 0)
    require(_from_logprobs(one).any(), "no answer came with usable logprobs")
    require(both.any(), "no answer with logprobs stated a confidence")
    require(counted.any(), "no labelled pair has such a score")
    return value(BRIER, one.labels[counted], one.labels[counted], scores[counted])


LOGPROBS = SCORE_SOURCES.index("logprobs")
_checked = partial(DetectorFigure, shown=Shown.NOWHERE, only_of=is_asked)
_compared = partial(_checked, takes_labels=True, why_none=_why_no_two_scores)

CHECKS = (
    _checked(
        "stability.further_askings_failed",
        "further askings failed",
        "Askings after the first that brought no verdict.",
        Unit.COUNT,
        of=lambda one: int((_variants(one)[:, 1:] < 0).sum()),
        why_none=partial(why_not_repeated, times=1),
    ),
    _checked(
        "stability.flip_rate",
        "share of verdicts that changed",
        "Share of pairs whose repeated verdicts differ.",
        of=lambda one: flip_rate(_variants(one)[:, : one.info.repeat]),
        why_none=why_not_repeated,
    ),
    _checked(
        "stability.order_disagreement",
        "disagreement between the orders of the texts",
        "Share of pairs whose verdict depends on the order of the texts.",
        of=lambda one: flip_rate(_variants(one)[:, [0, one.info.repeat]]),
        why_none=_why_not_swapped,
    ),
    _compared(
        "calibration.pairs",
        "pairs with both kinds of score",
        "Labelled pairs with a score of each kind.",
        Unit.COUNT,
        of=lambda one: int((_with_both(one) & (one.labels >= 0)).sum()),
    ),
    _compared(
        "calibration.brier",
        "Brier score from logprobs",
        "Brier score of the scores from logprobs.",
        of=lambda one: _brier(one, one.detector.scores),
    ),
    _compared(
        "calibration.brier_stated",
        "Brier score as stated",
        "Brier score of the stated confidences.",
        of=lambda one: _brier(one, _stated(one)),
    ),
)
