"""CrossEncoder: pairs of texts, read together, to the probabilities of three classes."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kimera.calibration import calibrated_probabilities
from kimera.cross_encoder_weights import CrossEncoderWeights
from kimera.encoder import DEFAULT_MODEL, find_folder, folder_digest
from kimera.errors import UserError
from kimera.head import CLASSES
from kimera.onnx_models import OnnxModel, Precision, onnx_file
from kimera.sqlite_files import default_folder
from kimera.tokens import Tokenizer, Tokens, batches_by_length

if TYPE_CHECKING:
    import torch

TOKENS_PER_BATCH = 2048


class CrossEncoder:
    """A fine-tuned model over both texts of a pair, on the CPU.

    weights: what fine-tuning made of `model`, or the path of such a file. model: "all-MiniLM-L6-v2" (the copy
    in the installed package), or a folder. Raises `UserError` if either is missing, or they do not belong
    together.
    backend: "onnx" makes a file for onnxruntime in the cache folder on first use, and needs no torch
    afterwards; where that fails, a warning says so and torch does the work, in float32. precision: "int8" is
    for "onnx" alone. threads: None for all cores. A pair's scores do not depend on the others': exactly on
    "onnx", within 1e-5 on "torch".
    """

    def __init__(
        self,
        weights: CrossEncoderWeights | str | Path,
        model: str | Path = DEFAULT_MODEL,
        *,
        backend: Literal["onnx", "torch"] = "onnx",
        precision: Precision = "int8",
        cache_dir: str | Path | None = None,
        threads: int | None = None,
    ) -> None:
        self.backend = backend
        self.precision: Precision = precision if backend == "onnx" else "float32"
        self.cache_dir = Path(cache_dir) if cache_dir is not None else default_folder()
        self.threads = threads
        self.weights = (
            weights if isinstance(weights, CrossEncoderWeights) else CrossEncoderWeights.load(weights)
        )
        self.name = str(model)
        self.folder = model_folder(self.name)
        self.weights.require_base(base_fingerprint(self.folder, self.name), self.name)

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer(self.folder, self.weights.most_tokens)

    @functools.cached_property
    def _run(self) -> Callable[[Tokens], np.ndarray]:
        """Tokens of pairs to logits."""
        if self.backend == "onnx":
            try:
                return OnnxModel(self._onnx_file(), self.threads).run
            except Exception as error:  # torch and onnxruntime raise a dozen kinds; each leaves torch
                why = f"no file for onnxruntime could be made ({type(error).__name__}: {error})"
                warnings.warn(f"{why}; torch is used, in float32", stacklevel=4)
                self.precision = "float32"
        return functools.partial(torch_logits, self._network())

    def _onnx_file(self) -> Path:
        mark = self.weights.fingerprint
        return onnx_file(self.cache_dir, "cross-encoder", mark, self.precision, self._exportable)

    def _network(self) -> Any:
        network, _ = open_network(self.folder)
        load_tensors(network, self.weights.applied_to(tensors_of(network)))
        return network.eval()

    def _exportable(self) -> torch.nn.Module:
        import torch

        class Logits(torch.nn.Module):
            """The network, with its logits as the only output."""

            def __init__(self, network: Any) -> None:
                super().__init__()
                self.network = network

            def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> Any:
                return self.network(input_ids=ids, attention_mask=mask, token_type_ids=types).logits

        return Logits(self._network())

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Calibrated probabilities, float32 of shape (n, 3) in the order of `CLASSES`; rows sum to 1."""
        return calibrated_probabilities(self.logits(pairs), self.weights.slope, self.weights.offset)

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """What the network says before calibration: float32 of shape (n, 3)."""
        return self._run(self._tokenizer.of_pairs(pairs)).reshape(-1, len(CLASSES))


def model_folder(name: str) -> Path:
    """The local folder of a model. Raises `UserError` where there is none."""
    folder = find_folder(name)
    if folder is None:
        raise UserError(
            f"{name!r} is not a folder; a cross-encoder needs a local model, such as {DEFAULT_MODEL}"
        )
    return folder


def base_fingerprint(folder: Path, name: str) -> str:
    """Names the weights and the tokenizer that a cross-encoder differs from."""
    return folder_digest(folder, name)


def open_network(folder: Path, dropout: float = 0.0) -> tuple[Any, set[str]]:
    """(a model with a new layer for three classes, in float32; the names of the tensors that are new).

    dropout: before the last layer; there is none elsewhere. The attention is the plain one: torch's fused one
    is slower to train on a CPU.
    """
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    network, loading = transformers.AutoModelForSequenceClassification.from_pretrained(
        str(folder),
        local_files_only=True,
        use_safetensors=True,
        num_labels=len(CLASSES),
        attn_implementation="eager",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        classifier_dropout=dropout,
        output_loading_info=True,
    )
    return network, set(loading["missing_keys"])


def tensors_of(network: torch.nn.Module) -> dict[str, np.ndarray]:
    """A copy of the weights, float32, by their names."""
    return {
        name: tensor.detach().float().numpy().copy()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }


def load_tensors(network: torch.nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    """Puts weights into a network."""
    import torch

    network.load_state_dict(
        {name: torch.from_numpy(np.ascontiguousarray(tensor)) for name, tensor in tensors.items()},
        strict=False,
    )


def torch_logits(network: torch.nn.Module, tokens: Tokens) -> np.ndarray:
    """Logits of all sequences, float32 of shape (n, 3), in their order."""
    import torch

    logits = np.empty((len(tokens), len(CLASSES)), dtype=np.float32)
    network.eval()
    with torch.no_grad():
        for rows in batches_by_length(tokens.lengths, TOKENS_PER_BATCH):
            ids, mask, types = map(torch.from_numpy, tokens.padded(rows))
            found = network(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
            logits[rows] = found.float().numpy()
    return logits
