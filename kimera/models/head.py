"""ContradictionHead: two sentence vectors to the probabilities of three classes; fit, save and load."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kimera.console import as_called
from kimera.errors import UserError
from kimera.models.calibration import calibrated_probabilities, fit_calibration
from kimera.models.weights_file import read_weights, write_weights
from kimera.pairs import CONTRADICTION, ENTAILMENT, NEUTRAL

# torch is imported where it is used: it takes seconds, and only a fit needs it.
if TYPE_CHECKING:
    import torch

__all__ = [
    "CLASSES",
    "ContradictionHead",
    "Examples",
    "FitOptions",
    "Layers",
    "as_saved",
    "averaged",
    "checked_layers",
    "fit",
    "layer_tensors",
    "three_way_loss",
]

CLASSES = (CONTRADICTION, ENTAILMENT, NEUTRAL)
FORMAT = "kimera-contradiction-head-1"
# Of a network: (weights of shape (inputs, outputs), bias of shape (outputs,)) in float32.
Layers: TypeAlias = tuple[tuple[np.ndarray, np.ndarray], ...]
ROWS_PER_BLOCK = 1024  # a block's features (6 MB) stay near the processor


@dataclass(frozen=True, eq=False)
class ContradictionHead:
    """A small network over (u, v, |u-v|, u*v), the features of InferSent (Conneau et al. 2017).

    layers: with ReLU between them.
    slope, offset: Platt's calibration (1999): P(contradiction) = sigmoid(slope * logit + offset).
    encoder, encoder_name: fingerprint and name of the encoder whose vectors it was fitted on.
    """

    layers: Layers
    slope: float
    offset: float
    encoder: str
    encoder_name: str

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the scores: weights, calibration, encoder."""
        digest = hashlib.sha256(f"{self.encoder}\0{self.slope!r}\0{self.offset!r}".encode())
        for weights, bias in self.layers:
            digest.update(np.ascontiguousarray(weights).tobytes() + bias.tobytes())
        return f"sha256:{digest.hexdigest()}"

    @property
    def dimension(self) -> int:
        """The length of the sentence vectors."""
        return int(self.layers[0][0].shape[0]) // 4

    def predict(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, float32 of shape (n, 3) in the order of `CLASSES`; rows sum to 1.

        first, second: unit vectors, float32 of shape (n, dimension).
        """
        return calibrated_probabilities(self.logits(first, second), self.slope, self.offset)

    def logits(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """What the network says before calibration: float32 of shape (n, 3)."""
        weights, bias = self.layers[-1]
        logits = np.empty((len(first), len(CLASSES)), dtype=np.float32)
        for rows, hidden in self._hidden_blocks(first, second):
            logits[rows] = hidden @ weights + bias
        return logits

    def hidden(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """What the last layer reads: float32 of shape (n, width)."""
        hidden = np.empty((len(first), len(self.layers[-1][0])), dtype=np.float32)
        for rows, block in self._hidden_blocks(first, second):
            hidden[rows] = block
        return hidden

    def _hidden_blocks(self, first: np.ndarray, second: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        for start in range(0, len(first), ROWS_PER_BLOCK):
            rows = slice(start, start + ROWS_PER_BLOCK)
            u, v = first[rows], second[rows]
            hidden = np.concatenate([u, v, np.abs(u - v), u * v], axis=1)
            for weights, bias in self.layers[:-1]:
                hidden = np.maximum(hidden @ weights + bias, 0.0)
            yield rows, hidden

    def shifted(self, shift: np.ndarray) -> ContradictionHead:
        """The head with a shift, shape (width of `hidden`,), added to the last layer for contradiction."""
        weights, bias = self.layers[-1]
        moved = weights.copy()
        moved[:, CLASSES.index(CONTRADICTION)] += shift
        return replace(self, layers=(*self.layers[:-1], (as_saved(moved), bias)))

    def save(self, path: str | Path) -> None:
        """Write a safetensors file: float16 weights, and what they were fitted for as metadata."""
        metadata = {
            "format": FORMAT,
            "classes": CLASSES,
            "encoder": self.encoder,
            "encoder_name": self.encoder_name,
            "slope": self.slope,
            "offset": self.offset,
        }
        write_weights(path, layer_tensors(self.layers), metadata)

    @classmethod
    def load(cls, path: str | Path) -> ContradictionHead:
        """Read what `save` wrote. Raises `UserError` if the file is missing, malformed or something else."""
        try:
            tensors, metadata = read_weights(path)
            return _checked(metadata, tensors)
        except FileNotFoundError as error:
            raise UserError(
                f"there is no head at {path}; fit one: {as_called('kimera train')} --help"
            ) from error
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is not a head of this version of Kimera ({type(error).__name__}: {error}). "
                f"Give a file that {as_called('kimera train')} wrote."
            ) from error

    def require_encoder(self, fingerprint: str, name: str) -> None:
        """Raise `UserError` if the head was fitted on the vectors of another encoder."""
        if fingerprint != self.encoder:
            raise UserError(
                f"this head was fitted on the encoder {self.encoder_name!r} ({self.encoder}), not on "
                f"{name!r} ({fingerprint}). Use that encoder, or fit a head for this one: "
                f"{as_called('kimera train')} FILE --encoder NAME --out HEAD; then --encoder NAME "
                "--head HEAD, or Reactor(encoder=NAME, head=HEAD)"
            )


def _checked(metadata: dict[str, Any], tensors: dict[str, np.ndarray]) -> ContradictionHead:
    if metadata["format"] != FORMAT or tuple(metadata["classes"]) != CLASSES:
        raise ValueError(f"format {metadata['format']!r} with classes {metadata['classes']!r}")
    inputs = len(tensors["layers.0.weight"])
    layers = checked_layers(tensors, inputs)
    if inputs == 0 or inputs % 4:
        raise ValueError(f"{inputs} inputs")
    slope, offset = float(metadata["slope"]), float(metadata["offset"])
    if not np.isfinite([slope, offset]).all():
        raise ValueError(f"calibration of slope {slope} and offset {offset}")
    return ContradictionHead(layers, slope, offset, str(metadata["encoder"]), str(metadata["encoder_name"]))


def layer_tensors(layers: Layers) -> dict[str, np.ndarray]:
    """As `checked_layers` takes them, in float16."""
    tensors = {}
    for number, (weights, bias) in enumerate(layers):
        tensors[f"layers.{number}.weight"] = np.ascontiguousarray(weights, dtype=np.float16)
        tensors[f"layers.{number}.bias"] = bias.astype(np.float16)
    return tensors


def checked_layers(tensors: Mapping[str, np.ndarray], inputs: int) -> Layers:
    """ "layers.0.weight", "layers.0.bias" and so on, in float32. Raises ValueError where they do not fit."""
    layers = []
    width = inputs
    for number in range(len(tensors) // 2):
        weights = tensors[f"layers.{number}.weight"].astype(np.float32)
        bias = tensors[f"layers.{number}.bias"].astype(np.float32)
        if (
            weights.shape != (width, len(bias))
            or not np.isfinite(weights).all()
            or not np.isfinite(bias).all()
        ):
            raise ValueError(f"layer {number} of shape {weights.shape} does not fit, or is not finite")
        layers.append((weights, bias))
        width = len(bias)
    if width != len(CLASSES):
        raise ValueError(f"{inputs} inputs and {width} outputs")
    return tuple(layers)


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled pairs as arrays of length n.

    first, second: int64, rows in an array of sentence vectors. label: int64, index into `pairs.LABELS`.
    weight: float32, what the pair counts for in the loss.
    """

    first: np.ndarray
    second: np.ndarray
    label: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def of(self, rows: np.ndarray) -> Examples:
        """Those of the rows, by their numbers or as booleans."""
        return Examples(self.first[rows], self.second[rows], self.label[rows], self.weight[rows])


@dataclass(frozen=True)
class FitOptions:
    """How a head is fitted. The defaults were chosen on held-out parts and on SNLI's development set."""

    hidden: tuple[int, ...] = (512, 128)
    epochs: int = 6
    patience: int = 2
    batch_size: int = 1024
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    dropout: float = 0.2
    seed: int = 0


def fit(
    vectors: np.ndarray,
    train: Examples,
    held_out: Examples,
    *,
    encoder: str,
    encoder_name: str,
    options: FitOptions = FitOptions(),
    report: Callable[[int, float, float], None] = lambda epoch, train_loss, held_out_loss: None,
) -> ContradictionHead:
    """Fit a head on unit vectors (float32, shape (texts, dimension)) with AdamW, and calibrate it.

    The weights kept are those of the epoch with the lowest held-out loss; `patience` epochs without a lower
    one end the fit. `report` is called after each epoch. Needs torch.
    """
    import torch  # only for a fit

    torch.manual_seed(options.seed)
    table = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
    network = _network(4 * vectors.shape[1], options)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    steps = options.epochs * -(-len(train) // options.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best_loss, best_epoch, best = float("inf"), 0, network.state_dict()
    for epoch in range(1, options.epochs + 1):
        train_loss = _train_epoch(network, table, train, optimizer, schedule, options)
        held_out_loss = _mean_loss(network, table, held_out)
        report(epoch, train_loss, held_out_loss)
        if held_out_loss < best_loss:
            best_loss, best_epoch = held_out_loss, epoch
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        elif epoch - best_epoch >= options.patience:
            break
    network.load_state_dict(best)
    return _calibrated(_layers(network), vectors, held_out, encoder, encoder_name)


def _network(inputs: int, options: FitOptions) -> torch.nn.Sequential:
    from torch import nn  # only for a fit

    modules: list[nn.Module] = []
    for width in options.hidden:
        # The vectors are given, not learnt: half the dropout on them is enough.
        modules.append(nn.Dropout(options.dropout if modules else options.dropout / 2))
        modules += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*modules, nn.Dropout(options.dropout), nn.Linear(inputs, len(CLASSES)))


def _train_epoch(
    network: torch.nn.Sequential,
    table: torch.Tensor,
    train: Examples,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    options: FitOptions,
) -> float:
    import torch  # only for a fit

    network.train()
    losses = []
    for rows in torch.randperm(len(train)).split(options.batch_size):
        first, second, label, weight = _batch(table, train, rows.numpy())
        loss = three_way_loss(network(_features(first, second)), label)
        mean = (loss * weight).sum() / weight.sum()
        optimizer.zero_grad()
        mean.backward()
        optimizer.step()
        schedule.step()
        losses.append(mean.item())
    return float(np.mean(losses))


def _mean_loss(network: torch.nn.Sequential, table: torch.Tensor, examples: Examples) -> float:
    import torch  # only for a fit

    network.eval()
    total = 0.0
    with torch.no_grad():
        for rows in np.array_split(np.arange(len(examples)), -(-len(examples) // 4096)):
            first, second, label, weight = _batch(table, examples, rows)
            total += float((three_way_loss(network(_features(first, second)), label) * weight).sum())
    return total / float(examples.weight.sum())


def _batch(table: torch.Tensor, examples: Examples, rows: np.ndarray) -> tuple[torch.Tensor, ...]:
    import torch  # only for a fit

    first, second = table[examples.first[rows]], table[examples.second[rows]]
    return first, second, torch.from_numpy(examples.label[rows]), torch.from_numpy(examples.weight[rows])


def _features(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    import torch  # only for a fit

    return torch.cat([first, second, (first - second).abs(), first * second], dim=1)


def three_way_loss(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each pair; of `not_contradiction` the likelihood is entailment plus neutral."""
    import torch  # only for a fit

    log_p = logits.log_softmax(dim=1)
    either = torch.logaddexp(log_p[:, 1], log_p[:, 2])
    return -torch.cat([log_p, either[:, None]], dim=1).gather(1, label[:, None]).squeeze(1)


def _layers(network: torch.nn.Sequential) -> Layers:
    """The layers as they will be read back: rounded to float16, so saving changes no score."""
    from torch import nn  # only for a fit

    linear = [module for module in network if isinstance(module, nn.Linear)]
    parameters = [(layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in linear]
    return tuple((as_saved(weights), as_saved(bias)) for weights, bias in parameters)


def averaged(heads: Sequence[ContradictionHead]) -> ContradictionHead:
    """One head, side by side within, whose logits are the mean of theirs; it is not calibrated."""
    layers = []
    for number, parts in enumerate(zip(*(head.layers for head in heads), strict=True)):
        weights = [part for part, _ in parts]
        if number == len(heads[0].layers) - 1:
            joined = np.concatenate(weights) / len(heads), np.mean([bias for _, bias in parts], axis=0)
        else:
            wide = np.concatenate(weights, axis=1) if number == 0 else _block_diagonal(weights)
            joined = wide, np.concatenate([bias for _, bias in parts])
        layers.append((as_saved(joined[0]), as_saved(joined[1])))
    return replace(heads[0], layers=tuple(layers), slope=1.0, offset=0.0)


def _block_diagonal(matrices: Sequence[np.ndarray]) -> np.ndarray:
    shapes = np.array([matrix.shape for matrix in matrices])
    whole = np.zeros(shapes.sum(axis=0), dtype=np.float32)
    for matrix, (row, column) in zip(matrices, np.cumsum(shapes, axis=0) - shapes, strict=True):
        whole[row : row + matrix.shape[0], column : column + matrix.shape[1]] = matrix
    return whole


def as_saved(values: np.ndarray) -> np.ndarray:
    """Rounded to float16, as weights are written, in float32."""
    return np.ascontiguousarray(values, dtype=np.float16).astype(np.float32)


def _calibrated(
    layers: Layers,
    vectors: np.ndarray,
    held_out: Examples,
    encoder: str,
    encoder_name: str,
) -> ContradictionHead:
    raw = ContradictionHead(layers, 1.0, 0.0, encoder, encoder_name)
    logits = raw.logits(vectors[held_out.first], vectors[held_out.second])
    slope, offset = fit_calibration(logits, held_out.label, held_out.weight)
    return ContradictionHead(layers, slope, offset, encoder, encoder_name)
