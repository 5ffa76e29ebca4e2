"""Texts and pairs of texts to token ids, by the model's own tokenizer; padded batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import tokenizers

from kimera.errors import UserError

SEQUENCES_PER_CALL = 4096  # an Encoding holds some kilobytes beside its ids


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token ids of n sequences, one after the other.

    ids: int32, all of them. ends: int64 of shape (n,), where each sequence ends. firsts: int32 of shape (n,),
    how many ids of each belong to its first text; all of them where there is no second.
    """

    ids: np.ndarray
    ends: np.ndarray
    firsts: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> np.ndarray:
        """How many tokens each sequence has: int64 of shape (n,)."""
        return np.diff(self.ends, prepend=0)

    def as_one_text(self) -> Tokens:
        """The same ids with type 0 alone: for networks that are not told which text a token belongs to."""
        return replace(self, firsts=self.lengths.astype(np.int32))

    def padded(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(ids, mask, types) of these sequences: int64 of shape (rows, the longest), zeros after each end.

        types: 0 in the first text and 1 in the second.
        """
        ends = self.ends[rows]
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max(initial=0))
        mask = columns < lengths[:, None]
        ids = np.zeros(mask.shape, dtype=np.int64)
        for row, (end, length) in enumerate(zip(ends, lengths, strict=True)):
            ids[row, :length] = self.ids[end - length : end]
        types = mask & (columns >= self.firsts[rows][:, None])
        return ids, mask.astype(np.int64), types.astype(np.int64)


class Tokenizer:
    """The tokenizer of a model folder. Needs neither torch nor transformers.

    max_tokens: longer sequences are cut there, special tokens counted in; of a pair the longer text first.
    Raises `UserError` if the folder has no tokenizer.json.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise UserError(f"{folder} has no tokenizer.json; give a model folder with a fast tokenizer")
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")

    @property
    def special_tokens(self) -> int:
        """How many it adds to a pair."""
        return int(self._tokenizer.num_special_tokens_to_add(True))

    def of_texts(self, texts: Sequence[str]) -> Tokens:
        return self._tokens([_clean(text) for text in texts])

    def of_pairs(self, pairs: Sequence[tuple[str, str]]) -> Tokens:
        return self._tokens([(_clean(first), _clean(second)) for first, second in pairs])

    def _tokens(self, inputs: Sequence[str] | Sequence[tuple[str, str]]) -> Tokens:
        ids, ends, firsts = [], [], []
        total = 0
        for encoding in self._encodings(inputs):
            ids.append(np.array(encoding.ids, dtype=np.int32))
            total += len(encoding.ids)
            ends.append(total)
            firsts.append(encoding.type_ids.count(0))
        return Tokens(
            np.concatenate(ids) if ids else np.empty(0, dtype=np.int32),
            np.array(ends, dtype=np.int64),
            np.array(firsts, dtype=np.int32),
        )

    def _encodings(self, inputs: Sequence[str] | Sequence[tuple[str, str]]) -> Iterator[tokenizers.Encoding]:
        source = iter(inputs)
        while chunk := list(islice(source, SEQUENCES_PER_CALL)):
            yield from self._tokenizer.encode_batch(chunk)


def batches_by_length(lengths: np.ndarray, tokens_per_batch: int) -> Iterator[np.ndarray]:
    """Rows of each batch, longest first, so that a batch holds little padding and at most so many tokens."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens_per_batch // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


def batches_of_one_length(
    lengths: np.ndarray, tokens_per_batch: int, share: int | None = None
) -> Iterator[np.ndarray]:
    """Rows of each batch, longest first; all of one length, and at most so many tokens.

    share: tokens that a core is to get, rounded up to whole sequences: of five for two cores one gets three.
    """
    order = np.argsort(-lengths, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        length = max(1, int(lengths[rows[0]]) if len(rows) else 1)
        size = max(1, tokens_per_batch // length)
        if share is not None:
            size = max(1, min(size, -(-share // length)))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))


def _clean(text: str) -> str:
    """Tokenizers refuse lone surrogates; as question marks they are encoded like any other text."""
    return text.encode("utf-8", "replace").decode("utf-8")
