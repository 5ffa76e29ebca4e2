"""What fine-tuning made of a model's weights, as a small file: a quantised difference, and the new layers."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kimera.console import as_called
from kimera.errors import UserError
from kimera.models.data_sets import TrainingSource, source_of
from kimera.models.head import CLASSES
from kimera.models.weights_file import read_weights, write_weights

FORMAT = "kimera-cross-encoder-1"
STEPS = 127  # int8, symmetric


@dataclass(frozen=True, eq=False)
class CrossEncoderWeights:
    """A model's weights after fine-tuning, as a difference from those before.

    differences: by a matrix's name (int8 of the matrix's shape, float32 scale of shape (rows,)): the
        fine-tuned matrix is the base's plus difference * scale. low_rank: by a matrix's name (B, A), float16
        of shapes (rows, rank) and (rank, columns): the fine-tuned matrix is the base's plus B A.
        whole: float32 or float16, all other tensors that changed, and the new layers.
    slope, offset: Platt's calibration: P(contradiction) = sigmoid(slope * logit + offset).
    max_tokens: how long a pair may be. base, base_name: fingerprint and name of the model before.
    commands, sources: those of the fits that made the weights, in their order; they decide no score.
    """

    differences: Mapping[str, tuple[np.ndarray, np.ndarray]]
    whole: Mapping[str, np.ndarray]
    slope: float
    offset: float
    max_tokens: int
    base: str
    base_name: str
    commands: tuple[str, ...] = ()
    sources: tuple[TrainingSource, ...] = ()
    low_rank: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def average(cls, fits: Sequence[CrossEncoderWeights]) -> CrossEncoderWeights:
        """The mean of what several fits of one base changed, uncalibrated; what made it is not recorded yet.

        Of low-rank differences the mean is the nearest product of the first fit's rank (Eckart and Young
        1936). The fits are of one `kind`.
        """
        first = fits[0]
        differences = {
            name: _quantised(_mean([_product(*fit.differences[name]) for fit in fits]))
            for name in first.differences
        }
        low_rank = {name: _nearest([fit.low_rank[name] for fit in fits]) for name in first.low_rank}
        whole = {
            name: _mean([fit.whole[name] for fit in fits]).astype(tensor.dtype)
            for name, tensor in first.whole.items()
        }
        return replace(
            first,
            differences=differences,
            low_rank=low_rank,
            whole=whole,
            slope=1.0,
            offset=0.0,
            commands=(),
            sources=(),
        )

    @classmethod
    def between(
        cls,
        before: Mapping[str, np.ndarray],
        after: Mapping[str, np.ndarray],
        max_tokens: int,
        base: str,
        base_name: str,
    ) -> CrossEncoderWeights:
        """What `after` has that `before` has not, uncalibrated; what is equal in both is left out."""
        differences, whole = {}, {}
        for name, tensor in after.items():
            old = before.get(name)
            if old is None or tensor.ndim != 2:
                if old is None or not np.array_equal(old, tensor):
                    whole[name] = tensor.astype(np.float32)
            elif not np.array_equal(old, tensor):
                differences[name] = _quantised(tensor - old)
        return cls(differences, whole, 1.0, 0.0, max_tokens, base, base_name)

    def applied_to(self, before: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The fine-tuned model's tensors, float32."""
        after = {name: np.asarray(tensor, dtype=np.float32) for name, tensor in before.items()}
        for name, (steps, scale) in self.differences.items():
            after[name] = after[name] + _product(steps, scale)
        for name, (b, a) in self.low_rank.items():
            after[name] = after[name] + b.astype(np.float32) @ a.astype(np.float32)
        return after | {name: tensor.astype(np.float32) for name, tensor in self.whole.items()}

    @property
    def kind(self) -> tuple[object, ...]:
        """What two fits must share so that their mean means something: the base, and what was learnt."""
        shapes = {
            name: tensor.shape for name, tensor in self._tensors().items() if name[:2] not in ("a.", "b.")
        }
        return self.base, self.max_tokens, shapes, sorted(self.low_rank)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the scores."""
        digest = hashlib.sha256(f"{self.base}\0{self.slope!r}\0{self.offset!r}\0{self.max_tokens}\0".encode())
        for name, tensor in sorted(self._tensors().items()):
            digest.update(f"{name}\0{tensor.dtype}\0{tensor.shape}\0".encode())
            digest.update(np.ascontiguousarray(tensor).tobytes())
        return f"sha256:{digest.hexdigest()}"

    def save(self, path: str | Path) -> None:
        """Write a safetensors file."""
        metadata = {
            "format": FORMAT,
            "classes": CLASSES,
            "slope": self.slope,
            "offset": self.offset,
            "most_tokens": self.max_tokens,
            "base": self.base,
            "base_name": self.base_name,
            "commands": self.commands,
            "sources": list(map(asdict, self.sources)),
        }
        write_weights(path, self._tensors(), metadata)

    @classmethod
    def load(cls, path: str | Path) -> CrossEncoderWeights:
        """Read what `save` wrote. Raises `UserError` if the file is missing, malformed or something else."""
        try:
            tensors, metadata = read_weights(path)
            return _checked(metadata, tensors)
        except FileNotFoundError as error:
            raise UserError(
                f"there are no weights at {path}; fit some: {as_called('kimera train')} --stage verify, or "
                "--stage deep"
            ) from error
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} does not hold a cross-encoder of this version of Kimera ({type(error).__name__}: "
                f"{error}). Give a file that {as_called('kimera train')} wrote with --stage verify or deep."
            ) from error

    def require_base(self, fingerprint: str, name: str) -> None:
        """Raise `UserError` if these weights differ from another model than this one."""
        if fingerprint != self.base:
            raise UserError(
                f"this cross-encoder was made from {self.base_name!r} ({self.base}), not from {name!r} "
                f"({fingerprint}). Use that model, or fit one for this: "
                f"{as_called('kimera train')} FILE --stage {'deep' if self.low_rank else 'verify'} --encoder "
                "NAME --out WEIGHTS"
            )

    def _tensors(self) -> dict[str, np.ndarray]:
        tensors = {f"whole.{name}": np.ascontiguousarray(tensor) for name, tensor in self.whole.items()}
        for name, (steps, scale) in self.differences.items():
            tensors |= {f"difference.{name}": np.ascontiguousarray(steps), f"scale.{name}": scale}
        for name, (b, a) in self.low_rank.items():
            tensors |= {f"b.{name}": np.ascontiguousarray(b), f"a.{name}": np.ascontiguousarray(a)}
        return tensors


def _product(steps: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The difference that `_quantised` made steps of, float32."""
    product: np.ndarray = steps.astype(np.float32) * scale[:, None]
    return product


def _mean(tensors: Sequence[np.ndarray]) -> np.ndarray:
    mean: np.ndarray = np.mean([tensor.astype(np.float32) for tensor in tensors], axis=0)
    return mean


def _nearest(factors: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """(B, A), float16, of the first one's rank, whose product is nearest to the mean of the products.

    By the singular values of R_B R_A', where Q_B R_B are all B side by side and Q_A R_A all A' side by side.
    """
    rank = factors[0][0].shape[1]
    q_b, r_b = np.linalg.qr(np.concatenate([b for b, _ in factors], axis=1, dtype=np.float64))
    q_a, r_a = np.linalg.qr(np.concatenate([a for _, a in factors], axis=0, dtype=np.float64).T)
    u, singular, v = np.linalg.svd(r_b @ r_a.T / len(factors))
    root = np.sqrt(singular[:rank])  # shared by both factors, so that neither is too small for float16
    b, a = q_b @ u[:, :rank] * root, (q_a @ v[:rank].T * root).T
    return b.astype(np.float16), a.astype(np.float16)


def _quantised(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int8 steps, float32 scale of each row); a row's largest value is `STEPS` steps."""
    scale = (np.abs(difference).max(axis=1) / STEPS).astype(np.float32)
    steps = np.round(difference / np.where(scale > 0, scale, 1)[:, None])
    return steps.clip(-STEPS, STEPS).astype(np.int8), scale


def _checked(metadata: dict[str, Any], tensors: dict[str, np.ndarray]) -> CrossEncoderWeights:
    if metadata["format"] != FORMAT or tuple(metadata["classes"]) != CLASSES:
        raise ValueError(f"format {metadata['format']!r} with classes {metadata['classes']!r}")
    differences, whole, low_rank = {}, {}, {}
    for key, tensor in tensors.items():
        kind, _, name = key.partition(".")
        if kind == "difference":
            scale = tensors[f"scale.{name}"]
            if tensor.dtype != np.int8 or tensor.ndim != 2 or scale.shape != tensor.shape[:1]:
                raise ValueError(f"{name} is {tensor.dtype} of shape {tensor.shape}, scaled by {scale.shape}")
            differences[name] = (tensor, scale)
        elif kind == "whole":
            whole[name] = tensor
        elif kind == "b":
            low_rank[name] = (tensor, _fitting(tensor, tensors[f"a.{name}"], name))
        elif kind not in {"scale", "a"}:
            raise ValueError(f"a tensor called {key!r}")
        if not np.isfinite(tensor).all():
            raise ValueError(f"{key} is not finite")
    slope, offset = float(metadata["slope"]), float(metadata["offset"])
    if not np.isfinite([slope, offset]).all():
        raise ValueError(f"calibration of slope {slope} and offset {offset}")
    return CrossEncoderWeights(
        differences,
        whole,
        slope,
        offset,
        int(metadata["most_tokens"]),
        str(metadata["base"]),
        str(metadata["base_name"]),
        tuple(map(str, metadata.get("commands", ()))),
        tuple(map(source_of, metadata.get("sources", ()))),
        low_rank,
    )


def _fitting(b: np.ndarray, a: np.ndarray, name: str) -> np.ndarray:
    """A, which must have as many rows as B has columns."""
    if b.ndim != 2 or a.ndim != 2 or b.shape[1] != a.shape[0]:
        raise ValueError(f"{name} is a product of {b.shape} and {a.shape}")
    return a
