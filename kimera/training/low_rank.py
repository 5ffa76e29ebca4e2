"""Low-rank adapters: what is learnt of a large network, while its own weights stay as they are.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021, arXiv:2106.09685): to the product with
a frozen matrix W comes that with B A, of which A has few rows and B, zero at first, few columns. Both learn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kimera.errors import UserError
from kimera.models import CrossEncoderWeights

if TYPE_CHECKING:
    import torch

SCALE = 2.0  # of B A; alpha over rank, in the paper's words
HEAD = "classifier"
A, B = "adapter_a", "adapter_b"


def adapt(network: torch.nn.Module, rank: int, dropout: float) -> None:
    """Freezes the network in bfloat16 and gives each of its linear layers an adapter.

    The head learns whole, in float32. dropout: in the head alone; elsewhere drawing it costs much time.
    """
    import torch  # only for a fit

    network.requires_grad_(False)
    network.to(torch.bfloat16)
    head = network.get_submodule(HEAD)
    head.to(torch.float32).requires_grad_(True)
    layer_class = _layer_class()
    for name, layer in list(network.named_modules()):
        if name.startswith(HEAD):
            if isinstance(layer, torch.nn.Dropout):
                layer.p = dropout
        elif isinstance(layer, torch.nn.Linear):
            parent, _, attribute = name.rpartition(".")
            setattr(network.get_submodule(parent), attribute, layer_class(layer, rank))


def factors(
    parameters: Mapping[str, np.ndarray],
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], dict[str, np.ndarray]]:
    """(by a matrix's name its B and A, scaled; the head's tensors) of what learnt, all in float16."""
    low_rank, whole = {}, {}
    for name, values in parameters.items():
        layer, _, what = name.rpartition(".")
        if what == B:
            low_rank[f"{layer}.weight"] = (_half(SCALE * values), _half(parameters[f"{layer}.{A}"]))
        elif what != A:
            whole[name] = _half(values)
    return low_rank, whole


def parameters_of(low_rank: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """The adapters' parameters, float32 by their names, from what `factors` made of them."""
    parameters: dict[str, np.ndarray] = {}
    for name, (b, a) in low_rank.items():
        layer = name.removesuffix(".weight")
        parameters |= {f"{layer}.{B}": b.astype(np.float32) / SCALE, f"{layer}.{A}": a.astype(np.float32)}
    return parameters


def require_rank(start: CrossEncoderWeights, rank: int, flag: str = "--start") -> None:
    """Raise `UserError` where weights, given by a flag, are no adapters of this rank."""
    ranks = sorted({b.shape[1] for b, _ in start.low_rank.values()})
    if ranks != [rank] or start.differences:
        held = f"adapters of rank {ranks[0]}" if ranks else "no adapters"
        raise UserError(
            f"{flag}: these weights hold {held}; a fit of the stage deep goes on from rank {rank}"
        )


def _half(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float16)


def _layer_class() -> type[torch.nn.Module]:
    import torch  # only for a fit

    class AdaptedLinear(torch.nn.Module):
        """A frozen linear layer and its adapter."""

        def __init__(self, layer: torch.nn.Linear, rank: int) -> None:
            super().__init__()
            self.layer = layer
            self.adapter_a = torch.nn.Parameter(torch.empty(rank, layer.in_features))
            self.adapter_b = torch.nn.Parameter(torch.zeros(layer.out_features, rank))
            torch.nn.init.kaiming_uniform_(self.adapter_a, a=math.sqrt(5))

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            flat = rows.flatten(0, -2)
            own = torch.nn.functional.linear(flat, self.layer.weight, self.layer.bias)
            few = torch.nn.functional.linear(flat, SCALE * self.adapter_a)
            out: torch.Tensor = torch.addmm(own, few, self.adapter_b.t()).unflatten(0, rows.shape[:-1])
            return out

    return AdaptedLinear
