"""How high a weighted sum of features can be, as far as the sets of words tell.

Whatever the weights are: of a feature that is not known, the end of its range counts that gives more. The
kinds of difference are taken together, and so are the words replaced and added, since each is one of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kimera.corpus.word_sets import SetDifferences

STEPS = 12


def highest(
    known: Mapping[str, np.ndarray],
    sets: SetDifferences,
    longer: np.ndarray,
    pairs: int,
    weights: Mapping[str, float],
) -> np.ndarray:
    """At most this is the weighted sum of the features of n pairs: float64 (n,).

    known: the features that the sets tell, by name, each of length n. longer: words of the longer statement.
    pairs: of the whole corpus. weights: of all features, by name.
    """
    ends = {
        "where": 1.0 - known["first_differs"],
        "name": sets.name,
        "parallel": np.float64(1),
        "told_apart": np.float64(1),
        "recurring": np.log1p(pairs),
    }
    told = sum(weights[name] * values for name, values in known.items())
    other = sum(max(weights[name], 0.0) * end for name, end in ends.items())
    kinds, words = _kinds(known, sets, weights), _words(sets, weights)
    return np.asarray(told + other + kinds + words + _order(sets, longer, weights))


def _order(sets: SetDifferences, longer: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
    """Of words in the same order, and of stretches in which both differ.

    Of m words in the same order, one stands between any two such stretches, and each stretch has one of the
    others; so with weights above 0 the sum is highest for most words in the same order, or for some fewer.
    It is tried for m in STEPS parts, and the weight of what lies between two of them is added.
    """
    same, slots = max(weights["same_order"], 0.0), max(weights["slots"], 0.0)
    highest_sum = np.full(len(longer), -np.inf)
    for step in range(STEPS):
        below, upto = (sets.same * (step + more) / STEPS for more in (0, 1))
        stretches = np.minimum(upto + 1, np.maximum(sets.words - 2 * below, 0))
        part = same * upto / np.maximum(longer, 1) + slots * np.log1p(stretches)
        highest_sum = np.maximum(highest_sum, part)
    return highest_sum


def _kinds(known: Mapping[str, np.ndarray], sets: SetDifferences, weights: Mapping[str, float]) -> np.ndarray:
    """Of a difference of a kind, or of none where that can be."""
    typed = weights["typed"] + weights["typed_shared"] * sets.share + max(weights["only"], 0.0)
    for kind in ("number", "opposite", "obligation"):
        typed = typed + max(weights[kind], 0.0) * getattr(sets, kind)
    can_be = sets.number | sets.opposite | sets.obligation
    return np.where(known["negation"] > 0, typed, np.where(can_be, np.maximum(typed, 0.0), 0.0))


def _words(sets: SetDifferences, weights: Mapping[str, float]) -> np.ndarray:
    """Of words replaced, which are two at least, words added, both or none, `content` of them at least.

    The more words, the less each counts: so with weights below 0 nearly all are of one sort where the sum is
    highest.
    """

    def sort(name: str, least: np.ndarray | int) -> np.ndarray:
        most = np.log1p(sets.words if weights[name] > 0 else least)
        return np.asarray(weights[name] * most + max(weights[f"{name}_weight"], 0.0) * sets.rarest)

    none = np.where(sets.content == 0, 0.0, -np.inf)
    alone = [
        sort("added", np.maximum(sets.content, 1)),
        sort("replaced", np.maximum(sets.content, 2)),
    ]
    few_replaced = sort("replaced", 2) + sort("added", np.maximum(sets.content - 2, 1))
    few_added = sort("added", 1) + sort("replaced", np.maximum(sets.content - 1, 2))
    return np.asarray(np.max([none, *alone, few_replaced, few_added], axis=0))
