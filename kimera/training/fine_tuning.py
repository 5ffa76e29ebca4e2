"""Fine-tunes a model of sentence vectors into a cross-encoder, which reads both texts of a pair at once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from kimera.errors import UserError
from kimera.models import (
    DEEP_MODEL,
    CrossEncoderWeights,
    fit_calibration,
    load_tensors,
    logits_module,
    open_network,
    tensors_of,
    three_way_loss,
    torch_logits,
)
from kimera.pairs import CONTRADICTION, LABELS, NOT_CONTRADICTION
from kimera.training import low_rank
from kimera.training.labelled_tokens import UNLABELLED, LabelledTokens

# torch is imported where it is used: it takes seconds, and `--help` and mistaken flags need none.

TWO_WAY = LABELS.index(NOT_CONTRADICTION)
TEMPERATURES = np.geomspace(0.25, 8, 51).tolist()


@dataclass(frozen=True)
class FineTuneOptions:
    """How a cross-encoder is fitted. Word embeddings stay as they are.

    new_layers_rate: learning rate of the layers that the base lacks. warmup: share of the steps in which the
    rates rise from 0; they then fall to 0. swap: the share of pairs, drawn anew for each epoch, that are read
    with their texts in the other order; then it only counts whether they contradict each other.
    soft: how much a teacher's probabilities count beside the label, where a pair has both.
    rank: of the adapters that learn in place of the network's own weights; 0 is none. See `low_rank`.
    checkpoint_every_s: what an interrupted fit may lose.
    compiled: through torch.compile, which takes a C++ compiler.
    """

    epochs: int = 3
    patience: int = 3  # evaluations, two an epoch, without a lower held-out loss
    batch_size: int = 32
    learning_rate: float = 1e-4
    new_layers_rate: float = 5e-4
    warmup: float = 0.05
    weight_decay: float = 0.01
    dropout: float = 0.1
    max_tokens: int = 256
    swap: float = 0.0
    soft: float = 0.7
    rank: int = 0
    seed: int = 0
    compiled: bool = False
    checkpoint_every_s: float = 240.0

    def decisive(self) -> dict[str, Any]:
        """Those that decide the weights."""
        return {k: v for k, v in asdict(self).items() if k not in {"compiled", "checkpoint_every_s"}}


FINE_TUNING = {
    "verify": FineTuneOptions(),
    "deep": FineTuneOptions(learning_rate=3e-4, max_tokens=192, rank=32),
}


def fine_tune(
    folder: Path,
    learn: LabelledTokens,
    calibrate: LabelledTokens,
    *,
    base: str,
    base_name: str,
    options: FineTuneOptions,
    checkpoint: Path,
    start: CrossEncoderWeights | None = None,
    report: Callable[[float, float, float], None] = lambda epoch, train_loss, held_out_loss: None,
) -> CrossEncoderWeights:
    """Fit a cross-encoder on labelled pairs with AdamW, and calibrate it. Needs torch and transformers.

    start: weights to go on from, made from the same base; without, the base's own and a new last layer.
    The weights kept are those of the evaluation with the lowest held-out loss; there are two an epoch. That
    loss is taken at the temperature that suits it best, since the weights are calibrated afterwards: a fit
    grows too sure of itself long before it ranks pairs worse (Guo et al. 2017).
    checkpoint: a file that an interrupted fit leaves, and from which the same fit goes on; the outcome is the
    same as that of an undisturbed one. It is left there also at the end, for the caller to remove once the
    weights are safe. Raises `UserError` if it is of another fit.
    """
    fit = _Fit(folder, learn, calibrate, options, start)
    mark = _fingerprint(start.fingerprint if start else base, learn, calibrate, options)
    if checkpoint.exists():
        fit.restore(checkpoint, mark)
    fit.run(lambda: fit.save(checkpoint, mark), report)
    fit.save(checkpoint, mark)
    return calibrated(fit.weights(base, base_name), folder, calibrate)


def calibrated(weights: CrossEncoderWeights, folder: Path, calibrate: LabelledTokens) -> CrossEncoderWeights:
    """The weights with a calibration fitted on these pairs, which they did not learn from."""
    # Measured as they will be read back, so that saving changes no score.
    network, _ = open_network(folder)
    load_tensors(network, weights.applied_to(tensors_of(network)))
    logits = torch_logits(network, calibrate.tokens)
    slope, offset = fit_calibration(logits, calibrate.label, calibrate.weight)
    return replace(weights, slope=slope, offset=offset)


class _Fit:
    """The state of a fit: network, optimizer, where it stands, and the best weights so far."""

    def __init__(
        self,
        folder: Path,
        learn: LabelledTokens,
        calibrate: LabelledTokens,
        options: FineTuneOptions,
        start: CrossEncoderWeights | None,
    ) -> None:
        import torch  # only for a fit

        torch.manual_seed(options.seed)
        self.learn, self.calibrate, self.options = learn, calibrate, options
        self.before: Mapping[str, np.ndarray] = {}
        self.network, new_layers = self._opened(folder, start)
        self.parameters = {name: p for name, p in self.network.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": [parameter],
                    "peak": options.new_layers_rate if name in new_layers else options.learning_rate,
                    "weight_decay": options.weight_decay if parameter.ndim > 1 else 0.0,
                }
                for name, parameter in self.parameters.items()
            ],
            fused=True,
        )
        drawn = (len(learn.drawn(self._random(epoch))) for epoch in range(options.epochs))
        self.epoch_ends = np.cumsum([-(-count // options.batch_size) for count in drawn])
        self.steps = int(self.epoch_ends[-1])
        self.step = 0
        self.best = self._learnt()
        self.best_loss, self.evaluations_since_best = float("inf"), 0
        self.train_loss = 0.0

    def _opened(self, folder: Path, start: CrossEncoderWeights | None) -> tuple[Any, Set[str]]:
        """(the network to fit; names of its new layers, those that `start` does not have)."""
        options = self.options
        network, new_layers = open_network(folder, dropout=0.0 if options.rank else options.dropout)
        if options.rank:
            low_rank.adapt(network, options.rank, options.dropout)
            if unknown := sorted(name for name in new_layers if not name.startswith(low_rank.HEAD)):
                raise UserError(
                    f"adapters cannot be fitted to this base: its layers {', '.join(unknown)} are new, and "
                    f"only those of {low_rank.HEAD!r} are learnt. Give {DEEP_MODEL}, or a base of its kind"
                )
            if start is not None:
                low_rank.require_rank(start, options.rank)
                load_tensors(network, {**low_rank.parameters_of(start.low_rank), **start.whole})
            return network, set() if start else new_layers
        self.before = {name: tensor for name, tensor in tensors_of(network).items() if name not in new_layers}
        network.get_input_embeddings().weight.requires_grad_(False)
        if start is not None:
            load_tensors(network, start.applied_to(self.before))
        return network, set() if start else new_layers

    def _learnt(self) -> dict[str, np.ndarray]:
        """A copy of the weights that learn, by their names."""
        return {name: p.detach().float().numpy().copy() for name, p in self.parameters.items()}

    def weights(self, base: str, base_name: str) -> CrossEncoderWeights:
        """The best so far, uncalibrated."""
        max_tokens = self.options.max_tokens
        if not self.options.rank:
            return CrossEncoderWeights.between(self.before, self.best, max_tokens, base, base_name)
        factors, whole = low_rank.factors(self.best)
        return CrossEncoderWeights({}, whole, 1.0, 0.0, max_tokens, base, base_name, low_rank=factors)

    def run(self, save: Callable[[], None], report: Callable[[float, float, float], None]) -> None:
        """All steps that are left; a checkpoint now and then, and when interrupted."""
        import torch  # only for a fit

        module = logits_module(self.network)
        forward: Callable[..., Any] = torch.compile(module, dynamic=True) if self.options.compiled else module
        begins = [0, *self.epoch_ends[:-1]]
        evaluate_at = {
            begin + round((end - begin) * share)
            for begin, end in zip(begins, self.epoch_ends, strict=True)
            for share in (0.5, 1.0)
        }
        if self._has_ended:  # and was interrupted before its weights were safe
            return
        saved_at = time.monotonic()
        progress = {"total": self.steps, "initial": self.step, "desc": "fine-tuning", "unit": "batch"}
        with _DeferredInterrupt() as interrupt, tqdm(**progress, file=sys.stderr) as bar:
            for rows, swapped in self._batches():
                self._learn(forward, rows, swapped)
                bar.update()
                is_over = self.step in evaluate_at and self._is_over(report)
                if is_over and not interrupt.asked:
                    return
                if interrupt.asked or time.monotonic() - saved_at > self.options.checkpoint_every_s:
                    save()
                    saved_at = time.monotonic()
                if interrupt.asked:
                    raise KeyboardInterrupt

    def _batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (rows of a batch, which of them are swapped), from the present step on."""
        for epoch, end in enumerate(self.epoch_ends):
            if self.step >= end:
                continue
            batches = self.learn.batches(self._random(epoch), self.options.batch_size)
            random = np.random.default_rng([self.options.seed, epoch, 1])
            swapped = random.random(len(self.learn)) < self.options.swap
            for rows in batches[len(batches) - (end - self.step) :]:
                yield rows, swapped[rows]

    def _random(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng([self.options.seed, epoch])

    def _learn(self, forward: Callable[..., Any], rows: np.ndarray, swapped: np.ndarray) -> None:
        import torch  # only for a fit

        # Seeded anew for each step, so that a fit which was interrupted draws the same dropout.
        torch.manual_seed(self.options.seed * 1_000_003 + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self._rate()
        self.network.train()
        label = self.learn.label[rows]
        # Entailment has a direction; of the other order only this much is known.
        label = np.where(swapped & (label != LABELS.index(CONTRADICTION)), TWO_WAY, label)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = forward(*map(torch.from_numpy, self.learn.padded(rows, swapped)))
        loss = self._loss(logits.float(), rows, torch.from_numpy(label)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.train_loss += 0.01 * (loss.item() - self.train_loss) if self.step > 1 else loss.item()

    def _loss(self, logits: Any, rows: np.ndarray, label: Any) -> Any:
        """Of each pair: cross-entropy with its label, with the teacher's probabilities, or a mean of both."""
        import torch  # only for a fit

        if self.learn.taught is None:
            return three_way_loss(logits, label)
        taught = torch.from_numpy(self.learn.taught[rows])
        soft = -(taught * logits.log_softmax(dim=1)).sum(dim=1)
        hard = three_way_loss(logits, label.clamp(min=0))
        return torch.where(label == UNLABELLED, soft, hard.lerp(soft, self.options.soft))

    def _rate(self) -> float:
        """The share of the peak rate at this step: linear warm-up, then linear decay to 0."""
        warm = max(1, round(self.options.warmup * self.steps))
        return min((self.step + 1) / warm, (self.steps - self.step) / max(1, self.steps - warm))

    def _is_over(self, report: Callable[[float, float, float], None]) -> bool:
        """Evaluates; whether the fit has stopped getting better."""
        import torch  # only for a fit

        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = torch_logits(self.network, self.calibrate.tokens)
        held_out_loss = loss_at_best_temperature(logits, self.calibrate.label, self.calibrate.weight)
        report(self.options.epochs * self.step / self.steps, self.train_loss, held_out_loss)
        self.evaluations_since_best += 1
        if held_out_loss < self.best_loss:
            self.best, self.best_loss = self._learnt(), held_out_loss
            self.evaluations_since_best = 0
        return self._has_ended

    @property
    def _has_ended(self) -> bool:
        """Whether it got no better for so long that no step follows."""
        return self.evaluations_since_best > self.options.patience

    def save(self, path: Path, mark: str) -> None:
        """Writes where the fit stands, atomically."""
        import torch  # only for a fit
        from safetensors.torch import save_file

        tensors = {f"best.{name}": torch.from_numpy(tensor) for name, tensor in self.best.items()}
        for name, parameter in self.parameters.items():
            tensors[f"now.{name}"] = parameter.detach()
            state = self.optimizer.state[parameter]
            tensors |= {f"{key}.{name}": state[key] for key in ("exp_avg", "exp_avg_sq")}
        stand = {
            "mark": mark,
            "step": self.step,
            "best_loss": self.best_loss,
            "evaluations_since_best": self.evaluations_since_best,
            "train_loss": self.train_loss,
        }
        part = path.with_name(f"{path.name}.part")
        save_file(tensors, part, metadata={"fit": json.dumps(stand)})
        os.replace(part, path)

    def restore(self, path: Path, mark: str) -> None:
        """Goes on where `save` left off. Raises `UserError` for the checkpoint of another fit."""
        import torch  # only for a fit

        try:
            with safe_open(path, framework="pt") as stream:
                stand = json.loads((stream.metadata() or {})["fit"])
                if stand["mark"] != mark:
                    raise ValueError("of other pairs or options")
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (no dict)
        except (SafetensorError, OSError, LookupError, ValueError) as error:
            raise UserError(
                f"{path} is not a checkpoint of this fit ({error}). Delete it to start again, or give the "
                "same files and options as before."
            ) from error
        self.best = {
            name.removeprefix("best."): tensor.numpy()
            for name, tensor in tensors.items()
            if name.startswith("best.")
        }
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"now.{name}"])
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(float(stand["step"])),
                    "exp_avg": tensors[f"exp_avg.{name}"],
                    "exp_avg_sq": tensors[f"exp_avg_sq.{name}"],
                }
        self.step, self.train_loss = stand["step"], stand["train_loss"]
        self.best_loss, self.evaluations_since_best = stand["best_loss"], stand["evaluations_since_best"]


class _DeferredInterrupt:
    """Notes a first Ctrl-C, so that a step is finished and saved; a second one interrupts at once."""

    asked = False

    def __enter__(self) -> _DeferredInterrupt:
        self._in_charge = threading.current_thread() is threading.main_thread()
        if self._in_charge:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_charge:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def loss_at_best_temperature(logits: np.ndarray, label: np.ndarray, weight: np.ndarray) -> float:
    """Mean three-way cross-entropy of logits, shape (n, 3), divided by what makes it least."""
    import torch  # only for a fit

    tensor, labels = torch.from_numpy(logits), torch.from_numpy(label)
    return min(
        float(np.average(three_way_loss(tensor / temperature, labels).numpy(), weights=weight))
        for temperature in TEMPERATURES
    )


def _fingerprint(
    start: str, learn: LabelledTokens, calibrate: LabelledTokens, options: FineTuneOptions
) -> str:
    """SHA-256 of all that decides the outcome of a fit."""
    digest = hashlib.sha256(f"{start}\0{json.dumps(options.decisive())}\0".encode())
    for array in (*learn.arrays(), *calibrate.arrays()):
        digest.update(array.tobytes())
    return digest.hexdigest()
