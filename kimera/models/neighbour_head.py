"""NeighbourHead: what a cross-encoder would say of two neighbours, without reading them.

The vectors of neighbours are close whatever they say, so that a head on these alone is little better than
chance among them. This one is also told the word pieces that only one of the two holds, and those of both.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kimera.console import as_called
from kimera.errors import UserError
from kimera.models.bert_graph import UnknownNetwork, read_tensors
from kimera.models.calibration import calibrated_probabilities
from kimera.models.head import CLASSES, Layers, checked_layers, layer_tensors
from kimera.models.tokens import Tokenizer
from kimera.models.weights_file import read_weights, write_weights

FORMAT = "kimera-neighbour-head-1"
WORD_VECTORS = "bert.embeddings.word_embeddings.weight"
BAGS, COUNTS = 5, 5  # what it takes beside the vectors; see `NeighbourScreen.scores` and `counts_of`
MAX_TOKENS = 256  # of a text; pieces further on do not count
MAX_CHARACTERS = 600  # of both texts, about which length the teacher begins to read passages
PAIRS_PER_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class NeighbourHead:
    """A small network over two unit vectors (u, v, |u-v|, u*v) and over the word pieces of both texts.

    layers: as of `ContradictionHead`. projection: float32 of shape (dimension, width), word vectors of the
    encoder to those that are summed over pieces. encoder, encoder_name: fingerprint and name of the encoder
    whose vectors it was fitted on. teacher: fingerprint of the cross-encoder's weights whose probabilities it
    was fitted to. floors: (what the teacher says of a pair at least, P(contradiction) by the head below which
    few such pairs are), ascending.
    """

    layers: Layers
    projection: np.ndarray
    encoder: str
    encoder_name: str
    teacher: str
    floors: tuple[tuple[float, float], ...]

    def floor_for(self, least: float) -> float:
        """The score below which few pairs are of which the teacher says `least`; 0 where none is known."""
        return [0.0, *(floor for of, floor in self.floors if of <= least)][-1]

    def save(self, path: str | Path) -> None:
        """Write a safetensors file: float16 weights, and what they were fitted for as metadata."""
        metadata = {
            "format": FORMAT,
            "classes": CLASSES,
            "encoder": self.encoder,
            "encoder_name": self.encoder_name,
            "teacher": self.teacher,
            "floors": self.floors,
        }
        projection = np.ascontiguousarray(self.projection, dtype=np.float16)
        write_weights(path, {"projection": projection, **layer_tensors(self.layers)}, metadata)

    @classmethod
    def load(cls, path: str | Path) -> NeighbourHead:
        """Read what `save` wrote. Raises `UserError` if the file is missing, malformed or something else."""
        try:
            tensors, metadata = read_weights(path)
            return _checked(metadata, tensors)
        except FileNotFoundError as error:
            raise UserError(
                f"there is no head for neighbours at {path}; fit one: {as_called('kimera train')} --help"
            ) from error
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is not a head for neighbours of this version of Kimera ({type(error).__name__}: "
                f"{error}). Fit it anew with {as_called('kimera train')} --stage neighbours, or delete it."
            ) from error


def _checked(metadata: dict[str, Any], tensors: dict[str, np.ndarray]) -> NeighbourHead:
    if metadata["format"] != FORMAT or tuple(metadata["classes"]) != CLASSES:
        raise ValueError(f"format {metadata['format']!r} with classes {metadata['classes']!r}")
    projection = tensors.pop("projection").astype(np.float32)
    if projection.ndim != 2 or not np.isfinite(projection).all():
        raise ValueError(f"a projection of shape {projection.shape} does not fit, or is not finite")
    dimension, width = projection.shape
    layers = checked_layers(tensors, 4 * dimension + BAGS * width + COUNTS)
    floors = tuple((float(least), float(floor)) for least, floor in metadata["floors"])
    if list(floors) != sorted(floors) or not all(0.0 <= share <= 1.0 for pair in floors for share in pair):
        raise ValueError(f"floors of {floors}")
    encoder, encoder_name, teacher = (str(metadata[name]) for name in ("encoder", "encoder_name", "teacher"))
    return NeighbourHead(layers, projection, encoder, encoder_name, teacher, floors)


class Pieces:
    """The word pieces of texts, by the tokenizer of a model's folder.

    Those of n texts are a sparse matrix of shape (n, vocabulary), 1 for each that a text holds. vocabulary:
    how many there are.
    """

    def __init__(self, folder: Path, vocabulary: int) -> None:
        self._tokenizer = Tokenizer(folder, MAX_TOKENS)
        self._vocabulary = vocabulary

    def of(self, texts: Sequence[str]) -> Any:
        """Of n texts."""
        tokens = self._tokenizer.of_texts(texts)
        pieces = self._matrix(tokens.ids, tokens.ends)
        pieces.sum_duplicates()  # in place
        pieces.data[:] = 1
        return pieces

    def numbers(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Of each text the numbers of its pieces, ascending, int32."""
        found = self.of(texts)
        return [part.copy() for part in np.split(found.indices, found.indptr[1:-1])]  # no views of the whole

    def of_numbers(self, numbers: Sequence[np.ndarray]) -> Any:
        """Of n texts, from what `numbers` gives."""
        return self._matrix(np.concatenate(numbers), np.cumsum(list(map(len, numbers))))

    def _matrix(self, numbers: np.ndarray, ends: np.ndarray) -> Any:
        from scipy import sparse  # takes a moment, and few commands need it

        begins = np.concatenate([[0], ends]).astype(np.int32)
        held = np.ones(len(numbers), np.float32)
        return sparse.csr_array((held, numbers, begins), shape=(len(ends), self._vocabulary))


def word_vectors(folder: Path) -> np.ndarray:
    """Of a BERT's vocabulary, centred and of standard deviation 1 in each dimension.

    float32 of shape (vocabulary, dimension). Raises `UserError` for a folder that has none.
    """
    try:
        vectors = read_tensors(folder)[WORD_VECTORS]
    except (UnknownNetwork, LookupError) as error:
        raise UserError(f"{folder}: has no word vectors of a BERT: {error}") from error
    centred = vectors - vectors.mean(axis=0)
    return np.asarray(centred / centred.std(axis=0))


class NeighbourScreen:
    """A head at work. folder: of its encoder, which is read once something is scored.

    What reads it raises `UserError` for a folder that the head does not fit.
    """

    def __init__(self, head: NeighbourHead, folder: Path) -> None:
        self._head, self._folder = head, folder

    @functools.cached_property
    def _table(self) -> np.ndarray:
        """Of each piece what is summed of it, float32 of shape (vocabulary, width)."""
        vectors = word_vectors(self._folder)
        if vectors.shape[1] != len(self._head.projection):
            raise UserError(
                f"a head for neighbours of {len(self._head.projection)} dimensions does not fit word vectors "
                f"of {vectors.shape[1]}, in {self._folder}"
            )
        return np.asarray(vectors @ self._head.projection)

    @functools.cached_property
    def pieces(self) -> Pieces:
        return Pieces(self._folder, len(self._table))

    def can_drop(self, least: float) -> bool:
        """Whether a floor is known for what the teacher says at least of a pair that is sought."""
        return self._head.floor_for(least) > 0

    def worth_reading(self, scores: np.ndarray, characters: np.ndarray, least: float) -> np.ndarray:
        """Of n pairs whether the teacher may say `least` of them: bool of shape (n,).

        characters: of both texts together; it does not know the ends of long ones, which are always read.
        """
        return np.asarray((scores >= self._head.floor_for(least)) | (characters > MAX_CHARACTERS))

    def scores(self, vectors: np.ndarray, pieces: Any, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """P(contradiction) that the teacher would give, float32 of shape (pairs,).

        vectors, pieces: of n texts, unit vectors in float32 of shape (n, dimension) and what `Pieces` gives.
        first, second: rows of both texts of each pair.
        """
        scores = np.empty(len(first), np.float32)
        for start in range(0, len(first), PAIRS_PER_BLOCK):
            block = slice(start, start + PAIRS_PER_BLOCK)
            one, other = first[block], second[block]
            u, v, split = vectors[one], vectors[other], split_pieces(pieces[one], pieces[other])
            a, b, both = (each @ self._table for each in split)
            bags = [a, b, both, np.abs(a - b), a * b]
            hidden = np.concatenate([u, v, np.abs(u - v), u * v, *bags, counts_of(u, v, split)], axis=1)
            for weights, bias in self._head.layers[:-1]:
                hidden = np.maximum(hidden @ weights + bias, 0.0)
            weights, bias = self._head.layers[-1]
            scores[block] = calibrated_probabilities(hidden @ weights + bias, 1.0, 0.0)[:, 0]
        return scores


def split_pieces(pieces: Any, other_pieces: Any) -> tuple[Any, Any, Any]:
    """(what only the first of each pair holds, only the second, both)."""
    both = pieces.multiply(other_pieces).tocsr()
    only = [(each - both).tocsr() for each in (pieces, other_pieces)]
    for each in only:
        each.eliminate_zeros()
    return only[0], only[1], both


def counts_of(u: np.ndarray, v: np.ndarray, split: Sequence[Any]) -> np.ndarray:
    """The cosine, the share of pieces that both hold, log(1 + n) of each part: float32 (n, COUNTS)."""
    one, other, both = (np.diff(each.indptr) for each in split)
    share = both / np.maximum(one + other + both, 1)
    columns = [np.einsum("ij,ij->i", u, v), share, np.log1p(both), np.log1p(one), np.log1p(other)]
    return np.stack(columns, axis=1).astype(np.float32)
