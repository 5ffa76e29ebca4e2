"""Cosine floors of the rule for an encoder on which they were not measured, from the corpus itself.

Another encoder's cosines lie elsewhere: of many, two statements drawn at random have one of 0.7. What stays
about the same is how rare a related pair is among all.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from kimera.corpus.scan_rule import Rule

MAX_PAIRS = 10_000
MIN_FLOOR = 0.2
# With the packaged encoder, on which 0.6 and 0.3 were measured, these quantiles are 0.61 and 0.39 on this
# repository's docs and README, 0.52 and 0.24 on kimera-hard, 0.55 and 0.32 on SNLI's test set, 0.43
# and 0.24 on MultiNLI's, 0.76 and 0.30 on FEVER Symmetric's: in the median 0.55 and 0.30 (2026-11-28).
QUANTILE, QUANTILE_RARE = 0.9985, 0.97
FLOORS = ("min_cosine", "min_cosine_rare")
_SEED = 0


@dataclass(frozen=True, slots=True)
class Floors:
    """What a corpus gave: the rule with its floors, and from how many pairs."""

    rule: Rule
    pairs: int


def floors_of(vectors: np.ndarray, rule: Rule, derived: Collection[str]) -> Floors:
    """The rule with those of `FLOORS` that are to be derived as quantiles of the cosines of random pairs.

    vectors: unit vectors of the corpus, of shape (n, dimension). The same corpus gives the same floors.

    In a small corpus a lower quantile counts, so that one pair remains for two statements. No floor is below
    `MIN_FLOOR`. `surely` moves along: it is halfway between the floor and 1, as 0.8 is from 0.6.
    """
    cosines = _random_cosines(vectors)
    if not len(cosines):
        return Floors(rule, 0)
    small = max(0.0, 1 - 1 / (len(vectors) - 1))
    if "min_cosine" in derived:
        floor = _quantile(cosines, min(QUANTILE, small))
        rule = replace(rule, min_cosine=floor, surely=(1 + floor) / 2)
    if "min_cosine_rare" in derived:
        rare = _quantile(cosines, min(QUANTILE_RARE, small))
        rule = replace(rule, min_cosine_rare=rare)
    return Floors(rule, len(cosines))


def _quantile(cosines: np.ndarray, share: float) -> float:
    """To four digits, down: the pair that the quantile is of still counts."""
    return max(MIN_FLOOR, math.floor(float(np.quantile(cosines, share)) * 1e4) / 1e4)


def _random_cosines(vectors: np.ndarray) -> np.ndarray:
    """Of random pairs of different rows; of all pairs where these are no more than `MAX_PAIRS`."""
    count = len(vectors)
    if count * (count - 1) // 2 <= MAX_PAIRS:
        first, second = np.triu_indices(count, 1)
    else:
        random = np.random.default_rng(_SEED)
        first = random.integers(0, count, MAX_PAIRS)
        second = (first + random.integers(1, count, MAX_PAIRS)) % count
    return np.asarray(np.einsum("ij,ij->i", vectors[first], vectors[second]))
