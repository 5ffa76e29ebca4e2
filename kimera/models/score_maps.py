"""Maps of any detector's scores to probabilities, fitted on labelled pairs: Platt's and the isotonic one.

Neither lets a higher score mean less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

CLOSEST = 1e-6  # to 0 and 1, of a score whose logit is taken: float32 tells hardly more
SLOPES = 1e6  # how little a slope is held back (the C of scikit-learn); Platt's targets keep it finite

MapName: TypeAlias = Literal["platt", "isotonic"]


class ScoreMap(Protocol):
    """Scores, float64 (n,), to P(contradiction), float64 (n,); NaN stays NaN."""

    def __call__(self, scores: np.ndarray) -> np.ndarray: ...

    def as_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class PlattMap:
    """P(contradiction) = sigmoid(slope * logit(score) + offset); slope is at least 0."""

    slope: float
    offset: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        return _sigmoid(self.slope * _logit(scores) + self.offset)

    def as_json(self) -> dict[str, Any]:
        return {"slope": self.slope, "offset": self.offset}


@dataclass(frozen=True)
class IsotonicMap:
    """Straight lines between points, flat beyond them. scores, probabilities: float64 (k,), neither falls."""

    scores: np.ndarray
    probabilities: np.ndarray

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(np.interp(scores, self.scores, self.probabilities))

    def as_json(self) -> dict[str, Any]:
        return {"points": np.stack([self.scores, self.probabilities], axis=1).tolist()}


def fit_platt(scores: np.ndarray, truth: np.ndarray) -> PlattMap:
    """Logistic regression on the logit of the score (Platt 1999), with his targets.

    scores: float64 (n,), from 0 to 1. truth: bool (n,). Where higher scores go with fewer contradictions the
    best slope that is not negative is 0.
    """
    from sklearn.linear_model import LogisticRegression  # here: it takes a second, and only fits need it

    logits = _logit(scores)
    low, high = _targets(truth)
    target = np.where(truth, high, low)
    flat = PlattMap(0.0, float(_logit(target.mean())))
    if np.ptp(logits) == 0:
        return flat
    # Each pair is there twice, as either class, weighted by its target.
    fitted = LogisticRegression(C=SLOPES, solver="newton-cholesky", tol=1e-8).fit(
        np.tile(logits, 2)[:, None],
        np.repeat([True, False], truth.size),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return PlattMap(slope, offset) if slope > 0 else flat


def fit_isotonic(scores: np.ndarray, truth: np.ndarray) -> IsotonicMap:
    """Isotonic regression (Zadrozny and Elkan 2002), kept within Platt's targets.

    scores: float64 (n,). truth: bool (n,). Without these bounds its ends are 0 and 1, and one pair there of
    the other class costs an endless log loss.
    """
    from sklearn.isotonic import IsotonicRegression  # here: as above

    low, high = _targets(truth)
    fitted = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(scores, truth.astype(float))
    return IsotonicMap(fitted.X_thresholds_, fitted.y_thresholds_)


FITS: Mapping[MapName, Callable[[np.ndarray, np.ndarray], ScoreMap]] = {
    "platt": fit_platt,
    "isotonic": fit_isotonic,
}


def fit_score_map(name: MapName, scores: np.ndarray, truth: np.ndarray) -> ScoreMap:
    """The map of this name, fitted on labelled pairs: scores float64 (n,), truth bool (n,).

    Niculescu-Mizil and Caruana (2005): isotonic regression needs some 1,000 pairs to be the better one.
    """
    return FITS[name](scores, truth)


def _targets(truth: np.ndarray) -> tuple[float, float]:
    """(of a pair that is no contradiction, of one that is): 0 and 1, less what so many labels leave open."""
    positive = int(truth.sum())
    return 1 / (truth.size - positive + 2), (positive + 1) / (positive + 2)


def _logit(scores: np.ndarray) -> np.ndarray:
    kept = np.clip(scores, CLOSEST, 1 - CLOSEST)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))  # tanh cannot overflow
