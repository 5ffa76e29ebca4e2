"""PairModel: what every network that reads both texts of a pair together has in common."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kimera.models.text_model import Batches, TextModel
from kimera.models.tokens import Tokenizer

if TYPE_CHECKING:
    import torch

PAIRS_PER_TASK = 256  # of a worker process
PAIRS_WORTH_A_POOL = 1024  # fewer are read here sooner than processes start


class PairModel(TextModel[tuple[str, str]]):
    """Reads two texts within one window of tokens; its outputs become the probabilities of three classes."""

    @property
    @abstractmethod
    def max_tokens(self) -> int:
        """The window: how many tokens both texts may have together, special ones counted in."""

    @property
    @abstractmethod
    def _counting_tokenizer(self) -> Tokenizer:
        """Cuts one token after the window, so that it shows what is too long."""

    @abstractmethod
    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """Of outputs, shape (n, dimension), the probabilities: float32 of shape (n, 3), as in `CLASSES`."""

    def cache_key(self, item: tuple[str, str]) -> str:
        """One text for two. With a mark between them alone, texts that hold it could make the same."""
        return f"{len(item[0])}:{item[0]}{item[1]}"

    def _length(self, item: tuple[str, str]) -> int:
        return len(item[0]) + len(item[1])

    def _here(self, items: Sequence[tuple[str, str]]) -> Batches:
        # Not in parts, as the encoder does: cut by tokens all at once, more pairs share a length and a batch.
        yield from self._read(items)

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Probabilities, float32 of shape (n, 3) in the order of `CLASSES`; rows sum to 1."""
        return self.calibrated(self.logits(pairs))

    def logits(self, pairs: Sequence[tuple[str, str]], *, workers: int | None = None) -> np.ndarray:
        """The network's outputs: float32 of shape (n, dimension). For `workers` see `batches`."""
        return self.outputs(pairs, workers=workers)

    def too_long(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Which pairs do not fit into the window, so that they would be cut: bool of shape (n,)."""
        cut = np.array([self._may_be_too_long(pair) for pair in pairs], bool)
        at = np.flatnonzero(cut).tolist()  # the others are sure to fit, and need not be counted
        if at:
            tokens = self._counting_tokenizer.of_pairs([pairs[row] for row in at])
            cut[at] = tokens.lengths > self.max_tokens
        return cut

    def _may_be_too_long(self, pair: tuple[str, str]) -> bool:
        """By its bytes; a token of a BERT has one at least, and there are three special ones."""
        return bytes_of(pair[0]) + bytes_of(pair[1]) > self.max_tokens - 3


def bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def logits_module(network: torch.nn.Module, *, tells_types: bool | None = None) -> torch.nn.Module:
    """The network as a module of (ids, mask, types) with its logits as the only output.

    tells_types: whether to tell it the types; None where it takes them.
    """
    if tells_types is None:
        tells_types = "token_type_ids" in inspect.signature(network.forward).parameters
    import torch  # takes seconds, and onnxruntime does without

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> Any:
            told = {"token_type_ids": types} if tells_types else {}
            return self.network(input_ids=ids, attention_mask=mask, **told).logits

    return Logits()
