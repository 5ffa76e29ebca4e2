"""LabelledTokens: what a fit of a network reads, and in which batches an epoch reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kimera.models import Tokens

UNLABELLED = -1
BATCHES_PER_WINDOW = 64  # shuffled pairs are sorted by length within so many batches: little padding


@dataclass(frozen=True, eq=False)
class LabelledTokens:
    """Tokens of n labelled pairs.

    tokens: of n sequences, or of 2 n: after those of the pairs, those of the pairs in the other order.
    label: int64, index into `pairs.LABELS`, or `UNLABELLED`. weight: float32, how often an epoch reads the
    pair, on average. taught: a teacher's probabilities, float32 of shape (n, 3); without a label they alone
    count.
    """

    tokens: Tokens
    label: np.ndarray
    weight: np.ndarray
    taught: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.label)

    def padded(self, rows: np.ndarray, swapped: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `Tokens.padded`. swapped: which of the rows to take in the other order, bool."""
        return self.tokens.padded(rows + len(self) * swapped)

    def batches(self, random: np.random.Generator, batch_size: int) -> list[np.ndarray]:
        """The rows of each batch of an epoch, in its order: each pair as often as its weight says."""
        rows = random.permutation(self.drawn(random))
        batches = _of_similar_length(rows, self.tokens.lengths, batch_size)
        return [batches[index] for index in random.permutation(len(batches))]

    def drawn(self, random: np.random.Generator) -> np.ndarray:
        """The rows that an epoch reads: of a weight what is beyond its whole part is drawn."""
        often = np.floor(self.weight).astype(int) + (random.random(len(self)) < self.weight % 1)
        return np.repeat(np.arange(len(self)), often)

    def arrays(self) -> list[np.ndarray]:
        """All that decides what a fit learns from it."""
        taught = [] if self.taught is None else [self.taught]
        return [self.tokens.ids, self.tokens.ends, self.tokens.firsts, self.label, self.weight, *taught]


def _of_similar_length(rows: np.ndarray, lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Shuffled rows in batches, pairs of similar length together."""
    window = batch_size * BATCHES_PER_WINDOW
    batches: list[np.ndarray] = []
    for start in range(0, len(rows), window):
        part = rows[start : start + window]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += np.split(part, range(batch_size, len(part), batch_size))
    return batches
