"""Logits of the three classes to calibrated probabilities, and the fit of that calibration."""

from __future__ import annotations

import numpy as np

from kimera.pairs import CONTRADICTION, LABELS

CALIBRATION_BINS = 15


def calibrated_probabilities(logits: np.ndarray, slope: float, offset: float) -> np.ndarray:
    """Probabilities, float32 of shape (n, 3) in the order of the logits' classes; rows sum to 1.

    Platt's calibration (1999): P(contradiction) = sigmoid(slope * logit + offset). Entailment and neutral
    share the rest in the proportion that the network gave them.
    """
    contradiction = _sigmoid(slope * contradiction_logit(logits) + offset)
    entailment = (1.0 - contradiction) * _sigmoid(logits[:, 1] - logits[:, 2])
    neutral = 1.0 - contradiction - entailment
    return np.stack([contradiction, entailment, neutral], axis=1).clip(0.0, 1.0)


def fit_calibration(logits: np.ndarray, label: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """(slope, offset) by Platt's method. label: int64, index into `LABELS`; weight: what each pair counts."""
    from sklearn.linear_model import LogisticRegression  # here: it takes a second, and only fits need it

    platt = LogisticRegression(C=1e6).fit(
        contradiction_logit(logits)[:, None], label == LABELS.index(CONTRADICTION), sample_weight=weight
    )
    return float(platt.coef_[0, 0]), float(platt.intercept_[0])


def contradiction_logit(logits: np.ndarray) -> np.ndarray:
    """log P(contradiction) - log P(not contradiction), from logits of shape (n, 3): shape (n,)."""
    return np.asarray(logits[:, 0] - np.logaddexp(logits[:, 1], logits[:, 2]))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return (0.5 * (1.0 + np.tanh(0.5 * values))).astype(np.float32)  # tanh cannot overflow


def calibration_error(scores: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error over bins of equal mass (Nixon et al. 2019): mean |score - frequency|."""
    bins = equal_mass_bins(scores, truth, CALIBRATION_BINS)
    return sum(count * abs(score - share) for count, score, share in bins) / len(scores)


def equal_mass_bins(scores: np.ndarray, truth: np.ndarray, bins: int) -> list[tuple[int, float, float]]:
    """(pairs, mean score, share that is true) of at most so many bins, in the order of the scores."""
    parts = np.array_split(np.argsort(scores, kind="stable"), min(bins, len(scores)) or 1)
    return [(len(rows), float(scores[rows].mean()), float(truth[rows].mean())) for rows in parts if len(rows)]
