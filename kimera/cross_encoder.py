"""CrossEncoder: pairs of texts, read together, to the probabilities of three classes."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kimera.bert_graph import BertConfig, UnknownNetwork, classifier_graph, read_tensors
from kimera.calibration import calibrated_probabilities
from kimera.cross_encoder_weights import CrossEncoderWeights
from kimera.engine import LOCAL, Engine, EngineName, as_engine
from kimera.errors import UserError
from kimera.head import CLASSES
from kimera.model_folders import DEFAULT_MODEL, find_folder, folder_digest, name_elsewhere
from kimera.onnx_models import RECIPE, exported, open_onnx
from kimera.pool import ClosedAtExit, Load
from kimera.runtime import (
    TORCH_ON_CPU,
    Backend,
    Device,
    Precision,
    Runtime,
    choose_runtime,
    require_runtime,
    require_same,
)
from kimera.sqlite_files import default_folder
from kimera.tokens import Tokenizer, Tokens
from kimera.torch_models import copies, torch_batches

if TYPE_CHECKING:
    import onnx
    import torch

PAIRS_PER_TASK = 256  # of a worker process
PAIRS_WORTH_A_POOL = 1024  # fewer are read here sooner than processes start

Logits: TypeAlias = Iterator[tuple[np.ndarray, np.ndarray]]


class CrossEncoder(ClosedAtExit):
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
        self.runtime = choose_runtime(backend, precision, device)
        engine = as_engine(engine)
        engine.require_cpu(self.runtime.device)
        self._given_cache_dir = cache_dir
        self.cache_dir = Path(cache_dir) if cache_dir is not None else default_folder()
        self.threads = threads
        self.weights = (
            weights if isinstance(weights, CrossEncoderWeights) else CrossEncoderWeights.load(weights)
        )
        self.name = str(model)
        self.folder = model_folder(self.name)
        self.weights.require_base(base_fingerprint(self.folder, self.name), self.name)
        self._loaded_s = 0.0
        self._pool = engine.pool(
            self._prepared, "verifying", worth=PAIRS_WORTH_A_POOL, per_task=PAIRS_PER_TASK
        )

    def close(self) -> None:
        """End the worker processes. The cross-encoder stays usable."""
        self._pool.close()

    @property
    def load_s(self) -> float:
        """Wall seconds that went into making the file, loading it and starting processes so far."""
        return self._loaded_s + self._pool.load_s

    @property
    def fingerprint(self) -> str:
        """Names what decides the logits: the weights, the model they belong to, and the precision."""
        return f"{self.weights.fingerprint}:{self.runtime.precision}:{RECIPE}"

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer(self.folder, self.weights.max_tokens)

    @functools.cached_property
    def _counting_tokenizer(self) -> Tokenizer:
        return Tokenizer(self.folder, self.weights.max_tokens + 1)

    @functools.cached_property
    def _run(self) -> Callable[[Tokens], Logits]:
        """Tokens of pairs to batches of logits."""
        begun = time.perf_counter()
        try:
            return self._load()
        finally:
            self._loaded_s += time.perf_counter() - begun

    def _load(self) -> Callable[[Tokens], Logits]:
        if self.runtime.backend == "onnx":
            mark, precision = self.weights.fingerprint, self.runtime.precision
            model = open_onnx(self.cache_dir, "cross-encoder", mark, precision, self._onnx, self.threads)
            if model is not None:
                return model.batches
            self.runtime = TORCH_ON_CPU
        return functools.partial(torch_batches, copies(self._network(), self.runtime))

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

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Calibrated probabilities, float32 of shape (n, 3) in the order of `CLASSES`; rows sum to 1."""
        return calibrated_probabilities(self.logits(pairs), self.weights.slope, self.weights.offset)

    def logits(self, pairs: Sequence[tuple[str, str]], *, workers: int | None = None) -> np.ndarray:
        """What the network says before calibration: float32 of shape (n, 3)."""
        logits = np.empty((len(pairs), len(CLASSES)), dtype=np.float32)
        for rows, found in self.logits_batches(pairs, workers=workers):
            logits[rows] = found
        return logits

    def logits_batches(self, pairs: Sequence[tuple[str, str]], *, workers: int | None = None) -> Logits:
        """Yield (indices into `pairs`, their logits) batch by batch, longest pairs first.

        workers: None reads in this process with all its cores, or on all CPUs of a Ray cluster; N uses N
        processes of one thread each, which start with the first call that brings `PAIRS_WORTH_A_POOL` and
        serve later calls. On a GPU all is read in this process.
        Raises `UserError` where the pool's `map` does.
        """
        workers = None if self.runtime.on_gpu else workers
        if not self._pool.takes(len(pairs), workers):
            if pairs:
                yield from self._run(self._tokenizer.of_pairs(pairs))
            return
        lengths = np.array([len(first) + len(second) for first, second in pairs])
        order = np.argsort(-lengths, kind="stable")
        tasks = [order[start : start + PAIRS_PER_TASK] for start in range(0, len(order), PAIRS_PER_TASK)]
        found = self._pool.map([[pairs[row] for row in rows] for rows in tasks], workers)
        yield from zip(tasks, found, strict=True)

    def too_long(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Which pairs do not fit into the window, so that they would be cut: bool of shape (n,)."""
        maximum = self.weights.max_tokens
        cut = np.array([_bytes(first) + _bytes(second) > maximum - 3 for first, second in pairs], bool)
        at = np.flatnonzero(cut).tolist()  # a token has a byte at least; the others have to be counted
        if at:
            cut[at] = self._counting_tokenizer.of_pairs([pairs[row] for row in at]).lengths > maximum
        return cut

    def processes_for(self, count: int, workers: int | None) -> int:
        """How many processes `logits_batches` would occupy with so many pairs: 0 with none."""
        return self._pool.processes_for(count, None if self.runtime.on_gpu else workers)

    def settle(self) -> None:
        """Find out whether onnxruntime can do the work, before `fingerprint` is relied on."""
        if self.runtime.backend == "onnx":
            self._run  # noqa: B018 (loads it, or turns to torch)

    def _prepared(self) -> Load:
        self.settle()  # makes the file once, before several processes would
        name = name_elsewhere(self.name, self.folder)
        return functools.partial(
            _load_worker, self.weights, name, self.runtime, self._given_cache_dir, self.fingerprint
        )


def _load_worker(
    weights: CrossEncoderWeights,
    model: str,
    runtime: Runtime,
    cache_dir: str | Path | None,
    fingerprint: str,
) -> Callable[[list[tuple[str, str]]], np.ndarray]:
    """What a worker process reads a batch of pairs with."""
    if runtime.backend == "torch":
        import torch

        torch.set_num_threads(1)
    cross_encoder = CrossEncoder(
        weights, model, backend=runtime.backend, precision=runtime.precision, cache_dir=cache_dir, threads=1
    )
    cross_encoder.logits([("warm", "up")])
    require_runtime(cross_encoder.runtime, runtime)
    require_same(cross_encoder.fingerprint, fingerprint, "the cross-encoder")
    return cross_encoder.logits


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


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

    dropout: everywhere but in the attention's weights, where drawing it costs most. The attention is the
    plain one: torch's fused one is slower to train on a CPU.
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
        hidden_dropout_prob=dropout,
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


def logits_module(network: torch.nn.Module) -> torch.nn.Module:
    """The network as a module of (ids, mask, types) with its logits as the only output."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> Any:
            return self.network(input_ids=ids, attention_mask=mask, token_type_ids=types).logits

    return Logits()


def torch_logits(network: torch.nn.Module, tokens: Tokens) -> np.ndarray:
    """Logits of all sequences, float32 of shape (n, 3), in their order."""
    logits = np.empty((len(tokens), len(CLASSES)), dtype=np.float32)
    for rows, found in torch_batches([logits_module(network.eval())], tokens):
        logits[rows] = found
    return logits
