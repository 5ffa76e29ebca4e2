"""Which earlier statements are worth reading beside a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SAME_COSINE = 0.9999  # what says the same in the same words does not contradict


@dataclass(frozen=True, slots=True)
class CandidateRule:
    """min_cosine: of related statements. max_scored: so many of the nearest does the head see.

    max_chosen: so many of these are candidates.
    The models give unrelated statements a high P(contradiction), so that scores alone would choose those.
    """

    min_cosine: float = 0.4
    max_scored: int = 64
    max_chosen: int = 8


def choose_candidates(
    cosines: np.ndarray, scores_of: Callable[[np.ndarray], np.ndarray], rule: CandidateRule
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, their scores) of the related statements with the greatest cosine times score, that one first.

    cosines: float32 of shape (n,), of the new statement with each earlier one. scores_of: the head's
    P(contradiction) of some rows, int64 of shape (m,) to float32 of shape (m,).
    """
    related = np.flatnonzero((cosines >= rule.min_cosine) & (cosines < SAME_COSINE))
    nearest = related[np.argsort(-cosines[related], kind="stable")][: rule.max_scored]
    scores = scores_of(nearest)
    best = np.argsort(-cosines[nearest] * scores, kind="stable")[: rule.max_chosen]
    return nearest[best], scores[best]
