"""Which pairs of a run a person labels, in which order: a random block, doubtful labels, unsure pairs.

Arrays are of shape (N,), in the order of the pairs; scores (D, N), P(contradiction) by each of D detectors,
NaN where one gave none. labels: int8, 1 contradiction, 0 not, -1 without a label.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from benchmarks.stats.formulas import Floats, known_mean

RANDOM, DOUBTFUL, NEXT = "random", "mislabelled", "next"
DOUBTFUL_PAIRS = 100
NEXT_PAIRS = 100


@dataclass(frozen=True)
class Asked:
    """place: of the pair, from 0. block: `RANDOM`, `DOUBTFUL` or `NEXT`. probability: of being drawn."""

    place: int
    block: str
    probability: float | None = None


def asked_pairs(labels: np.ndarray, scores: Floats, seed: str, at_random: int) -> list[Asked]:
    """The pairs that a person is asked about, each once, in order.

    seed: what tells this run from others. at_random: how many of the random block, as of `block_size`.
    """
    block = random_block(labels, seed, at_random)
    probability = block.size / max(1, int((labels < 0).sum()))
    unsure = unsure_first(labels, scores)
    following = unsure[~np.isin(unsure, block)]
    return [
        *(Asked(int(place), RANDOM, probability) for place in block),
        *(Asked(int(place), DOUBTFUL) for place in doubtful_first(labels, scores)[:DOUBTFUL_PAIRS]),
        *(Asked(int(place), NEXT) for place in following[:NEXT_PAIRS]),
    ]


def random_block(labels: np.ndarray, seed: str, pairs: int) -> np.ndarray:
    """So many places of pairs without a label, in random order; all of them where they are few."""
    unlabelled = np.flatnonzero(labels < 0)
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    return np.asarray(np.random.default_rng(number).permutation(unlabelled)[:pairs])


def doubtful_first(labels: np.ndarray, scores: Floats) -> np.ndarray:
    """Places of labelled pairs whose label is probably wrong, the likeliest first.

    Confident learning (Northcutt, Jiang and Chuang 2021): with p(k) a detector's probability of class k, and
    t(k) its mean over the pairs labelled k, a label i is doubted by the margin (p(i) - t(i)) - (p(j) - t(j)).
    Margins of detectors are added up with their `weights`. Where the sum is below 0 the label is doubtful;
    pairs on which all detectors say otherwise come first.
    """
    labelled = labels >= 0
    if not scores.size or not ((labels == 1).any() and (labels == 0).any()):
        return np.empty(0, np.int64)
    of_label = np.where(labels == 1, scores, 1 - scores)
    t_yes, t_no = (known_mean(np.where(labels == k, of_label, np.nan))[:, None] for k in (1, 0))
    margins = 2 * of_label - 1 - np.where(labels == 1, t_yes - t_no, t_no - t_yes)
    margin = np.nansum(margins * weights(labels, scores)[:, None], axis=0)
    everyone = np.all(np.isnan(scores) | (of_label < 0.5), axis=0)
    doubtful = np.flatnonzero(labelled & (margin < 0) & ~np.isnan(scores).all(axis=0))
    return np.asarray(doubtful[np.lexsort((margin[doubtful], ~everyone[doubtful]))])


def unsure_first(labels: np.ndarray, scores: Floats) -> np.ndarray:
    """Places of pairs without a label, those first where the mean score is nearest to 1/2.

    That is where detectors disagree, or are unsure: the entropy of the mean is a committee's (Dagan and
    Engelson 1995; McCallum and Nigam 1998).
    """
    unlabelled = np.flatnonzero(labels < 0)
    if not scores.size:
        return unlabelled
    weight = np.where(np.isnan(scores), np.nan, weights(labels, scores)[:, None])
    with np.errstate(invalid="ignore"):
        mean = np.nansum(scores * weight, axis=0) / np.nansum(weight, axis=0)
    distance = np.where(np.isnan(mean), 0.0, np.abs(mean - 0.5))
    return np.asarray(unlabelled[np.argsort(distance[unlabelled], kind="stable")])


def weights(labels: np.ndarray, scores: Floats) -> Floats:
    """(D,): log odds of each detector's agreement with the labels, at least 0.05; all 1 without labels."""
    known = (labels >= 0) & ~np.isnan(scores)
    agree = (((scores >= 0.5) == (labels == 1)) & known).sum(axis=1)
    share = (agree + 1) / (known.sum(axis=1) + 2)
    return np.asarray(np.maximum(np.log(share / (1 - share)), 0.05) if known.any() else np.ones(len(scores)))


def probabilities(labels: np.ndarray, given: np.ndarray, scores: Floats, chosen: np.ndarray) -> Floats | None:
    """With what probability each pair came to have a label, NaN where it has none; None where nobody can say.

    given: int8, the labels of the dataset and those of people together. chosen: bool, labelled as `NEXT`.
    Labels of the dataset are a part that is known whole. Of the others, the pairs that stand in
    `unsure_first` up to the last that was chosen are one part, the rest another; within each, labels are
    taken to be drawn at random, so that a random block that was labelled in part is a smaller one.
    """
    of_dataset = labels >= 0
    order = unsure_first(labels, scores)
    last = np.flatnonzero(chosen[order])
    on_top = np.zeros(labels.size, bool)
    on_top[order[: last[-1] + 1 if last.size else 0]] = True
    drawn = np.where(of_dataset, 1.0, np.nan)
    for part in (on_top & ~of_dataset, ~on_top & ~of_dataset):
        labelled = part & (given >= 0)
        if part.any() and not labelled.any():
            return None
        drawn[labelled] = labelled.sum() / max(1, int(part.sum()))
    return drawn
