"""Pairs of texts to the probabilities of a model that reads both together, by way of the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.models.cached_outputs import distinct, through_cache
from kimera.models.head import CLASSES
from kimera.models.long_texts import LONG_TEXT_RULE, Related, VectorsOf, related_sentences
from kimera.models.pair_model import PAIRS_PER_TASK, PairModel
from kimera.models.passages import MAX_PASSAGE_PAIRS, passage_pairs

MIN_AT_A_TIME = 4096
MAX_AT_A_TIME = 65_536  # vectors of their texts are 0.4 GB
TASKS_PER_WORKER = 4  # so that workers wait seldom for the last one


@dataclass(frozen=True, slots=True)
class Strongest:
    """Of a pair that is too long to be read at once, the two passages that contradict each other most.

    of: how many pairs of passages were read; cut: of how many of them the end was not, for they were too long
    themselves. is_weighed: whether the score is the rule's for long texts, and not that of these two.
    """

    texts: tuple[str, str]
    of: int
    cut: int
    is_weighed: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` did.

    probabilities: what the model's `calibrated` gives, float32 of shape (n, 3) in the order of `CLASSES`.
    strongest: of each pair that is too long to be read at once, by its place, in the order given; its
    probabilities are theirs, unless those of the other order count too.
    read: how many distinct pairs (of texts, or of passages) the network read. from_cache: how many the cache
    had.
    workers_used: how many processes read; 0 where there was nothing to read.
    again: which pairs another model has then read, bool of shape (n,); None where there was no other.
    """

    probabilities: np.ndarray
    strongest: dict[int, Strongest]
    read: int
    from_cache: int
    workers_used: int
    again: np.ndarray | None = None

    def with_rows(self, rows: np.ndarray, other: Verified) -> Verified:
        """With what another model says of some of the pairs. rows: their places, int64."""
        probabilities = self.probabilities.copy()
        probabilities[rows] = other.probabilities
        theirs = {int(rows[place]): strongest for place, strongest in other.strongest.items()}
        read_again = set(rows.tolist())
        return Verified(
            probabilities,
            {place: passages for place, passages in self.strongest.items() if place not in read_again}
            | theirs,
            self.read + other.read,
            self.from_cache + other.from_cache,
            max(self.workers_used, other.workers_used),
            np.isin(np.arange(len(probabilities)), rows),
        )

    @property
    def scores(self) -> np.ndarray:
        """P(contradiction), float32 of shape (n,)."""
        return self.probabilities[:, 0]


def pairs_at_a_time(workers: int | None) -> int:
    """How many pairs to hold and verify in one go, so that these workers are busy and memory is bounded.

    From 65,536 pairs on there are no more for more workers. None is this process alone.
    """
    return min(max(MIN_AT_A_TIME, (workers or 1) * TASKS_PER_WORKER * PAIRS_PER_TASK), MAX_AT_A_TIME)


def verify(
    pairs: Sequence[tuple[str, str]],
    model: PairModel,
    cache: EmbeddingCache | None,
    *,
    symmetric: bool = False,
    workers: int | None = None,
    max_passage_pairs: int = MAX_PASSAGE_PAIRS,
    vectors_of: VectorsOf | None = None,
    on_read: Callable[[int, int], object] | None = None,
) -> Verified:
    """The probabilities of pairs: each distinct pair is looked up, or else read and added to the cache.

    A pair that is too long for the model's window is read passage by passage. With `vectors_of` only the
    sentences nearest to those of the shorter text are read, and the score is that of `LongTextRule`. Without
    it all are, and the strongest contradiction counts, not calibrated: it is the greatest of many.

    symmetric: each pair is read in both orders, and the mean of the probabilities counts.
    max_passage_pairs: what one pair of long texts may cost; fewer make longer passages.
    vectors_of: the vectors of texts, by which sentences are related.
    on_read: is told after each batch how many pairs are read, and how many there are to read. What was read
    is kept also where the call is interrupted.
    """
    ordered = [*pairs, *((second, first) for first, second in pairs)] if symmetric else pairs
    long = model.too_long(ordered)
    parts = _passages(ordered, long, max_passage_pairs, vectors_of)
    different, rows = distinct(text for part in parts for text in part.texts)
    made = through_cache(different, model, cache, workers=workers, on_batch=on_read)
    probabilities = model.calibrated(made.outputs)
    flat = iter(rows.tolist())
    read = [probabilities[list(islice(flat, len(part.texts)))] for part in parts]
    weighed = [part.weighed(of_part) for part, of_part in zip(parts, read, strict=True)]
    # The mean is of probabilities, not of logits: those of one order are calibrated, not those of both.
    of_orders = np.array([row for row, _ in weighed], np.float32)
    of_orders = of_orders.reshape(1 + symmetric, len(pairs), len(CLASSES))
    strongest = {
        place: parts[place].strongest(weighed[place][1], int(model.too_long(parts[place].texts).sum()))
        for place in np.flatnonzero(long[: len(pairs)]).tolist()
    }
    return Verified(
        of_orders.mean(axis=0),
        strongest,
        len(different) - made.from_cache,
        made.from_cache,
        made.workers_used,
    )


@dataclass(frozen=True, slots=True)
class _Passages:
    """What is read of a pair. related: where that is chosen and weighed by the rule for long texts."""

    texts: list[tuple[str, str]]
    related: Related | None = None

    def weighed(self, probabilities: np.ndarray) -> tuple[np.ndarray, int]:
        """(the probabilities of the whole, the place of the strongest); probabilities: shape (m, 3)."""
        if self.related is not None:
            return LONG_TEXT_RULE.weigh(self.related, probabilities)
        strongest = int(probabilities[:, 0].argmax())
        return probabilities[strongest], strongest

    def strongest(self, place: int, cut: int) -> Strongest:
        texts = self.related.as_given(place) if self.related else self.texts[place]
        return Strongest(texts, len(self.texts), cut, self.related is not None)


def _passages(
    pairs: Sequence[tuple[str, str]], long: np.ndarray, maximum: int, vectors_of: VectorsOf | None
) -> list[_Passages]:
    """Of each pair what is read. long: which are too long to be read at once, bool of shape (n,)."""
    passages = [_Passages([pair]) for pair in pairs]
    at = np.flatnonzero(long).tolist()
    if vectors_of is None:
        for place in at:
            passages[place] = _Passages(passage_pairs(pairs[place], maximum))
    elif at:
        related = related_sentences([pairs[place] for place in at], vectors_of, maximum)
        for place, of_pair in zip(at, related, strict=True):
            passages[place] = _Passages(of_pair.texts, of_pair)
    return passages
