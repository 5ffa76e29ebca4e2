"""Which earlier statements are worth reading beside a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Which quantile of the cosines of random pairs 0.4 is on the packaged encoder: 0.993 on kimera-everyday,
# 0.997 on kimera-hard (2026-11-28).
QUANTILE = 0.993
# The power of the cosine beside the score, chosen on SNLI's development set (1 to 4 were tried).
NEARNESS = 3
SAME_COSINE = 0.9999  # what says the same in the same words does not contradict


@dataclass(frozen=True, slots=True)
class CandidateRule:
    """min_cosine: of related statements. max_scored: so many of the nearest does the head see.

    max_chosen: so many of these are candidates. is_own_floor: each session takes its min_cosine from its own
    statements once three differ, for an encoder on which none was measured.
    The models give unrelated statements a high P(contradiction), so that scores alone would choose those.
    """

    min_cosine: float = 0.4
    max_scored: int = 64
    max_chosen: int = 4
    is_own_floor: bool = False


def choose_candidates(
    cosines: np.ndarray,
    scores_of: Callable[[np.ndarray], np.ndarray],
    rule: CandidateRule,
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, their scores) of the related statements with the greatest score times cosine ** NEARNESS.

    cosines: float32 of shape (n,), of the new statement with each earlier one. scores_of: the head's
    P(contradiction) of some rows, int64 of shape (m,) to float32 of shape (m,); 0 is no candidate.
    """
    import numpy as np  # settings hold a rule, and --help need not wait for it

    related = np.flatnonzero((cosines >= rule.min_cosine) & (cosines < SAME_COSINE))
    if not len(related):
        return related, np.empty(0, np.float32)
    nearest = related[np.argsort(-cosines[related], kind="stable")][: rule.max_scored]
    scores = scores_of(nearest)
    nearest, scores = nearest[scores > 0], scores[scores > 0]
    weighed = cosines[nearest] ** NEARNESS * scores
    best = np.argsort(-weighed, kind="stable")[: rule.max_chosen]
    return nearest[best], scores[best]


def own_floor(vectors: np.ndarray) -> float | None:
    """What few random pairs of a session's statements reach; None where no three of them differ.

    vectors: unit vectors, of shape (n, dimension).
    """
    from kimera.corpus import floor_of, random_cosines

    if not _three_differ(vectors):  # of two the floor would be the very cosine that it is to judge
        return None
    cosines = random_cosines(vectors)
    # The same statement again and again would leave no other one related.
    differing = cosines[cosines < SAME_COSINE]
    return floor_of(differing, len(vectors), QUANTILE) if len(differing) else None


def _three_differ(vectors: np.ndarray) -> bool:
    others = vectors[vectors @ vectors[0] < SAME_COSINE]
    return len(others) > 0 and bool((others @ others[0] < SAME_COSINE).any())
