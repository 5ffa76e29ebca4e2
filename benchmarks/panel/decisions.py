"""What the members of a panel say together: verdicts and scores of all pairs at once.

A verdict stands only where the members that gave none could not have changed it: a member that failed is not
taken for one that agrees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.panel.rules import Rule
from benchmarks.stats import FAILED

HALF = 0.5
ROUNDING = 1e-9  # 0.9 and 1 - 0.9 are a tie

# Of each pair: the least and the greatest that it can come to, whatever the missing members say, and what it
# comes to without them. Above one half is a contradiction, below it none.
_Weighed = tuple[np.ndarray, np.ndarray, np.ndarray]


def decide(rule: Rule, verdicts: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The panel's verdicts, int8 (n,), FAILED where there is none, and its scores, float64 (n,), NaN there.

    verdicts: int8 (members, n), FAILED where a member gave none. scores: float64 (members, n),
    P(contradiction). The score is the share of the members for a contradiction by "majority", the mean of
    their scores by "mean", and the lowest of them by "unanimous"; each of the members that gave a verdict.
    """
    with np.errstate(invalid="ignore"):  # where no member gave a verdict
        lowest, highest, score = _WEIGHED[rule](verdicts, scores)
    said = np.full(verdicts.shape[1], FAILED, np.int8)
    said[lowest > HALF + ROUNDING] = 1
    said[highest < HALF - ROUNDING] = 0
    return said, np.where(said == FAILED, np.nan, score)


def _majority(verdicts: np.ndarray, _: np.ndarray) -> _Weighed:
    return _mean(verdicts, verdicts.astype(np.float64))


def _mean(verdicts: np.ndarray, scores: np.ndarray) -> _Weighed:
    given, members = verdicts != FAILED, len(verdicts)
    total, answered = np.where(given, scores, 0.0).sum(axis=0), given.sum(axis=0)
    return total / members, (total + members - answered) / members, total / answered


def _unanimous(verdicts: np.ndarray, scores: np.ndarray) -> _Weighed:
    lowest, highest = (verdicts == 1).all(axis=0), (verdicts != 0).all(axis=0)
    score = np.where(verdicts != FAILED, scores, 1.0).min(axis=0)
    return lowest.astype(np.float64), highest.astype(np.float64), score


_WEIGHED: Mapping[Rule, Callable[[np.ndarray, np.ndarray], _Weighed]] = {
    "majority": _majority,
    "mean": _mean,
    "unanimous": _unanimous,
}
