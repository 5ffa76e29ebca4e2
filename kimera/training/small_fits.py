"""Few labelled pairs: the calibration of a model that is there, fitted anew, and measured out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from kimera.models import calibrated_probabilities, contradiction_logit
from kimera.pairs import CONTRADICTION, LABELS, Pair

CALIBRATED_BELOW = 1000  # pairs; with fewer, new weights did worse than the shipped ones, or differed by seed
FOLDS = 5
HOW_FITTED = "Only slope and offset were fitted in this run (Newton's method); all else was there before."
# How strongly the old slope and offset are held on to, in pairs that speak for them; None keeps them.
HOLDS: tuple[float | None, ...] = (None, 300.0, 100.0, 30.0, 10.0, 3.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(contradiction) = sigmoid(slope * logit + offset)."""

    slope: float
    offset: float

    def loss(self, logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Log loss of each pair. logits: float64 (n,). truth: bool (n,)."""
        scores = self.slope * logits + self.offset
        return np.asarray(np.logaddexp(0.0, scores) - truth * scores)


@dataclass(frozen=True, eq=False)
class SmallFit:
    """A calibration fitted on all pairs, and for each fold the one fitted on the others.

    hold: the chosen strength (of `HOLDS`). fold_of: by the two texts of a pair.
    """

    calibration: Calibration
    hold: float | None
    folds: tuple[Calibration, ...]
    fold_of: dict[frozenset[str], int]

    def out_of_fold(self, pairs: Sequence[Pair], logits: np.ndarray) -> np.ndarray:
        """Probabilities of shape (n, 3), each by the calibration that did not see the pair.

        pairs: those of the fit, in either order. logits: of shape (n, 3).
        """
        probabilities = np.empty((len(pairs), 3), dtype=np.float32)
        fold = np.array([self.fold_of[texts_of(pair)] for pair in pairs], dtype=np.int64)
        for number, calibration in enumerate(self.folds):
            rows = fold == number
            probabilities[rows] = calibrated_probabilities(
                logits[rows], calibration.slope, calibration.offset
            )
        return probabilities


def fit_small(pairs: Sequence[Pair], logits: np.ndarray, weight: np.ndarray, old: Calibration) -> SmallFit:
    """Fit slope and offset, held to the old ones as strongly as cross-validation says.

    Folds are drawn by a hash of the premise, so no seed decides anything. Of the strengths whose loss out of
    fold is within a standard error of the best one's, the strongest is taken.
    logits: of shape (n, 3). weight: what each pair counts.
    """
    truth = np.array([pair.label == CONTRADICTION for pair in pairs])
    x = contradiction_logit(logits).astype(np.float64)
    fold = np.array([fold_by_premise(pair.text1) for pair in pairs], dtype=np.int64)
    hold = _chosen_hold(x, truth, weight, fold, old)
    parts = [fold != number for number in range(FOLDS)]
    return SmallFit(
        calibration=held_to(old, hold, x, truth, weight),
        hold=hold,
        folds=tuple(held_to(old, hold, x[rows], truth[rows], weight[rows]) for rows in parts),
        fold_of={texts_of(pair): int(number) for pair, number in zip(pairs, fold, strict=True)},
    )


def _chosen_hold(
    logits: np.ndarray, truth: np.ndarray, weight: np.ndarray, fold: np.ndarray, old: Calibration
) -> float | None:
    losses = np.zeros((len(HOLDS), len(logits)))
    for row, hold in enumerate(HOLDS):
        for number in range(FOLDS):
            rows, out = fold != number, fold == number
            fitted = held_to(old, hold, logits[rows], truth[rows], weight[rows])
            losses[row, out] = fitted.loss(logits[out], truth[out]) * weight[out]
    worse = losses - losses[losses.mean(axis=1).argmin()]
    standard_error = worse.std(axis=1) / np.sqrt(len(logits))
    return HOLDS[int((worse.mean(axis=1) <= standard_error).argmax())]


def held_to(
    old: Calibration, hold: float | None, logits: np.ndarray, truth: np.ndarray, weight: np.ndarray
) -> Calibration:
    """The least log loss plus hold / 2 times the squared distance from the old slope and offset (Newton)."""
    if hold is None:
        return old
    start = np.array([old.slope, old.offset])
    inputs = np.stack([logits, np.ones_like(logits)], axis=1)
    found = start.copy()
    for _ in range(100):
        probability = 0.5 * (1.0 + np.tanh(0.5 * inputs @ found))
        gradient = inputs.T @ (weight * (probability - truth)) + hold * (found - start)
        curvature = (inputs.T * (weight * probability * (1 - probability))) @ inputs + hold * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    slope, offset = (float(value) for value in found)
    return Calibration(max(slope, 0.0), offset)


def fold_by_premise(premise: str) -> int:
    digest = blake2b(premise.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % FOLDS


def texts_of(pair: Pair) -> frozenset[str]:
    return frozenset((pair.text1, pair.text2))


def told(fit: SmallFit, pairs: Sequence[Pair], logits: np.ndarray, old: Calibration) -> str:
    """What the calibration changed, in sentences for the run and the card."""
    truth = np.array([pair.label == LABELS[0] for pair in pairs])
    before = calibrated_probabilities(logits, old.slope, old.offset)[:, 0] >= 0.5
    after = fit.out_of_fold(pairs, logits)[:, 0] >= 0.5
    held = "kept as it is" if fit.hold is None else f"fitted anew (held to the old one by {fit.hold:g})"
    return (
        f"{len(pairs):,} pairs are fewer than {CALIBRATED_BELOW:,}, too few for new weights: these are the "
        f"old ones, their calibration {held}. Accuracy (contradiction or not) on these pairs: "
        f"{(before == truth).mean():.3f} before, {(after == truth).mean():.3f} out of fold. "
        "--refit fits new weights all the same."
    )
