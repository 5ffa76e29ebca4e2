"""What a larger model says of the training pairs, and of new ones, for a smaller model to learn from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from kimera.cache import EmbeddingCache
from kimera.models import CrossEncoder, Encoder, distinct, embed, through_cache
from kimera.training.labelled_tokens import UNLABELLED
from kimera.training.new_pairs import Texts, new_pairs
from kimera.training.training_data import LabelledFile, labels_and_weights

WORTH_A_BAR = 1000


@dataclass(frozen=True, eq=False)
class Lessons:
    """n pairs to learn from: the labelled ones first, then the new.

    label, weight: as in `LabelledTokens`. taught: the teacher's probabilities, float32 of shape (n, 3).
    """

    texts: list[Texts]
    label: np.ndarray
    weight: np.ndarray
    taught: np.ndarray


def lessons(
    files: Sequence[LabelledFile],
    teacher: CrossEncoder,
    new: int,
    seed: int,
    cache: EmbeddingCache | None,
    held_out: Sequence[LabelledFile] = (),
) -> Lessons:
    """The pairs of the files, and about `new` unlabelled ones made of their texts, read by a teacher.

    What it has read is in the cache, so an interrupted call goes on where it was. held_out: what the fit is
    measured on; see `new_pairs`.
    """
    pairs = [pair for file in files for pair in file.pairs]
    label, weight = labels_and_weights(files)
    apart = {(pair.text1, pair.text2) for file in held_out for pair in file.pairs}
    made = new_pairs(pairs, new, seed, lambda texts: _vectors(texts, cache), apart, weight) if new else []
    texts = [(pair.text1, pair.text2) for pair in pairs] + made
    return Lessons(
        texts,
        np.concatenate([label, np.full(len(made), UNLABELLED, dtype=np.int64)]),
        np.concatenate([weight, np.ones(len(made), dtype=np.float32)]),
        read_through_cache(texts, teacher, cache, "teacher"),
    )


def _vectors(texts: Sequence[str], cache: EmbeddingCache | None) -> np.ndarray:
    with Encoder() as encoder:
        return embed(texts, encoder, cache, progress=True).vectors


def read_through_cache(
    texts: Sequence[Texts], model: CrossEncoder, cache: EmbeddingCache | None, doing: str
) -> np.ndarray:
    """The model's probabilities of n pairs, float32 of shape (n, 3), with a bar; see `through_cache`."""
    read, rows = distinct(texts)
    with tqdm(
        total=len(read), desc=doing, unit="pair", file=sys.stderr, disable=len(read) < WORTH_A_BAR
    ) as bar:

        def advance(done: int, of: int) -> None:
            bar.update(len(read) - of + done - bar.n)

        logits = through_cache(read, model, cache, on_batch=advance).outputs
    return np.asarray(model.calibrated(logits)[rows])
