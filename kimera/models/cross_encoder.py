"""CrossEncoder: pairs of texts, read together, to the probabilities of three classes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kimera.errors import UserError
from kimera.models.bert_graph import BertConfig, UnknownNetwork, classifier_graph, read_tensors
from kimera.models.calibration import calibrated_probabilities
from kimera.models.cross_encoder_weights import CrossEncoderWeights
from kimera.models.deep_base import DEEP_FINGERPRINT, DEEP_NAMES, find_deep_base, is_deep_base
from kimera.models.head import CLASSES
from kimera.models.model_folders import (
    DEFAULT_MODEL,
    PACKAGED_NAMES,
    find_folder,
    folder_digest,
    name_elsewhere,
)
from kimera.models.onnx_models import RECIPE, exported
from kimera.models.pair_model import PAIRS_PER_TASK, PAIRS_WORTH_A_POOL, PairModel, logits_module
from kimera.models.runtime import Backend, Device, Precision, choose_runtime
from kimera.models.text_model import Batches
from kimera.models.tokens import Tokenizer, Tokens
from kimera.models.torch_models import copies, torch_batches
from kimera.workers import LOCAL, Engine, EngineName

# torch and transformers are imported where they are used: they take seconds, and on onnxruntime nothing needs
# them.
if TYPE_CHECKING:
    import onnx
    import torch


class CrossEncoder(PairModel):
    """A fine-tuned model over both texts of a pair.

    weights: what fine-tuning made of `model`, or the path of such a file. model: "all-MiniLM-L6-v2" (the copy
    in the installed package), or a folder. Raises `UserError` if either is missing, or they do not belong
    together.
    backend, precision, device: see `choose_runtime`. On "onnx" a file for onnxruntime is made in the cache
    folder on first use, and torch is not needed afterwards; where that fails, a warning says so and torch
    does the work, in float32. threads: of onnxruntime; None for all cores. engine: what runs the workers; see
    `Engine`.
    A pair's scores do not depend on the others': exactly on "onnx"; on "torch" within 1e-5 in float32, 1e-2
    in float16.

    A context manager: `close` ends the worker processes.
    """

    base: str  # the fingerprint of the model
    origin: str  # of the model: "folder", "package", or of the deep stage's base "hub" or "packages"
    kind = "cross-encoder"
    doing = "verifying"
    dimension = len(CLASSES)
    folder: Path

    def __init__(
        self,
        weights: CrossEncoderWeights | str | Path,
        model: str | Path = DEFAULT_MODEL,
        *,
        backend: Backend | None = None,
        precision: Precision | None = None,
        device: Device = "cpu",
        cache_dir: str | Path | None = None,
        threads: int | None = None,
        engine: Engine | EngineName = LOCAL,
    ) -> None:
        super().__init__(
            str(model),
            choose_runtime(backend, precision, device),
            worth=PAIRS_WORTH_A_POOL,
            per_task=PAIRS_PER_TASK,
            cache_dir=cache_dir,
            threads=threads,
            engine=engine,
        )
        self.weights = (
            weights if isinstance(weights, CrossEncoderWeights) else CrossEncoderWeights.load(weights)
        )
        self.folder, self.origin = _found(self.name, self.cache_dir)
        self.base = base_fingerprint(self.folder, self.name, self.cache_dir)
        self.weights.require_base(self.base, self.name)

    @property
    def fingerprint(self) -> str:
        """Names what decides the logits: the weights, the model they belong to, and the precision."""
        return f"{self.weights.fingerprint}:{self.runtime.precision}:{RECIPE}"

    @property
    def max_tokens(self) -> int:
        """What fine-tuning cut pairs at."""
        return self.weights.max_tokens

    @functools.cached_property
    def _counting_tokenizer(self) -> Tokenizer:
        return Tokenizer(self.folder, self.weights.max_tokens + 1)

    def _load(self) -> Callable[[Sequence[tuple[str, str]]], Batches]:
        model = self._open_onnx(self.weights.fingerprint, self._onnx)
        batches = (
            model.batches
            if model is not None
            else functools.partial(torch_batches, copies(self._network(), self.runtime))
        )
        tokenizer = Tokenizer(self.folder, self.weights.max_tokens)
        return lambda pairs: batches(tokenizer.of_pairs(pairs))

    def _onnx(self) -> onnx.ModelProto:
        """The network for onnxruntime: without torch, unless something is special about the model."""
        try:
            config, before = BertConfig.read(self.folder), read_tensors(self.folder)
            return classifier_graph(config, self.weights.applied_to(before))
        except UnknownNetwork:
            return exported(self._network())

    def _network(self) -> torch.nn.Module:
        network, _ = open_network(self.folder)
        load_tensors(network, self.weights.applied_to(tensors_of(network)))
        return logits_module(network)

    def _maker(self) -> Callable[..., CrossEncoder]:
        # By its name each machine finds the deep stage's base where it has it.
        is_named = self.name in DEEP_NAMES
        name = self.name if is_named else name_elsewhere(self.name, self.folder)
        return functools.partial(CrossEncoder, self.weights, name)

    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """Of `logits`, shape (n, 3), what `predict` gives."""
        return calibrated_probabilities(logits, self.weights.slope, self.weights.offset)


def model_folder(name: str, cache_dir: Path | None = None) -> Path:
    """The local folder of a model. Raises `UserError` where there is none.

    cache_dir: where the base of the deep stage is put together, None for the default folder.
    """
    return _found(name, cache_dir)[0]


def _found(name: str, cache_dir: Path | None) -> tuple[Path, str]:
    """Of a model, its folder, and where that comes from."""
    if name in DEEP_NAMES:
        base = find_deep_base(cache_dir)
        return base.folder, base.origin
    folder = find_folder(name)
    if folder is None:
        raise UserError(
            f"{name!r} is not a folder; a cross-encoder needs a local model, such as {DEFAULT_MODEL}"
        )
    return folder, "package" if name in PACKAGED_NAMES else "folder"


def base_fingerprint(folder: Path, name: str, cache_dir: Path | None = None) -> str:
    """Names the weights and the tokenizer that a cross-encoder differs from."""
    return DEEP_FINGERPRINT if is_deep_base(folder, cache_dir) else folder_digest(folder, name)


def open_network(folder: Path, dropout: float = 0.0) -> tuple[Any, set[str]]:
    """(a model with a new layer for three classes, in float32; the names of the tensors that are new).

    dropout: everywhere but in the attention's weights, where drawing it costs most. The attention is the
    plain one: torch's fused one is slower to train on a CPU.
    """
    import transformers  # takes seconds, and onnxruntime does without

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    config = transformers.AutoConfig.from_pretrained(
        str(folder), local_files_only=True, num_labels=len(CLASSES)
    )
    rates = {
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout": dropout,
    }
    config.update({name: rate for name, rate in rates.items() if hasattr(config, name)})
    network, loading = transformers.AutoModelForSequenceClassification.from_pretrained(
        str(folder),
        config=config,
        local_files_only=True,
        use_safetensors=True,
        attn_implementation="eager",
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
    import torch  # takes seconds, and onnxruntime does without

    network.load_state_dict(
        {name: torch.from_numpy(np.ascontiguousarray(tensor)) for name, tensor in tensors.items()},
        strict=False,
    )


def torch_logits(network: torch.nn.Module, tokens: Tokens) -> np.ndarray:
    """Logits of all sequences, float32 of shape (n, 3), in their order."""
    logits = np.empty((len(tokens), len(CLASSES)), dtype=np.float32)
    for rows, values in torch_batches([logits_module(network.eval())], tokens):
        logits[rows] = values
    return logits
