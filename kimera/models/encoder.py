"""Encoder: texts to unit vectors, in this process or in a pool of worker processes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from kimera.cache import EmbeddingCache
from kimera.console import interrupts_withheld
from kimera.errors import UserError
from kimera.models.bert_graph import BertConfig, UnknownNetwork, read_tensors, sentence_graph
from kimera.models.cached_outputs import cached_outputs, distinct
from kimera.models.model_folders import (
    DEFAULT_MODEL,
    PACKAGED_DIMENSION,
    PACKAGED_NAMES,
    find_folder,
    folder_digest,
    is_mean_of_bert,
    load_model,
    model_json,
    name_elsewhere,
)
from kimera.models.onnx_models import RECIPE as ONNX_RECIPE
from kimera.models.onnx_models import exported
from kimera.models.runtime import TORCH_ON_CPU, Backend, Device, Precision, Runtime, choose_runtime
from kimera.models.text_model import Batches, TextModel, in_order
from kimera.models.tokens import Tokenizer
from kimera.models.torch_models import copies, torch_batches
from kimera.workers import LOCAL, Engine, EngineName

# torch is imported where it is used: it takes seconds, and on onnxruntime nothing needs it.
if TYPE_CHECKING:
    import onnx
    import torch

TORCH_BATCH_SIZE = {"cpu": 64, "cuda": 128, "mps": 64}  # of what sentence-transformers runs
ONNX_BATCH_SIZE = 1024  # it takes the texts of one length together, of which more hold more
GPU_BATCH_SIZE = 16_384  # of which batches of tokens are made, for all GPUs
TEXTS_PER_TASK = 128  # of a worker process
TEXTS_WORTH_A_POOL = 480  # fewer are done here sooner than processes start, which takes seconds

# Changes whenever this module would turn the same model and text into another vector.
RECIPE = "float32-unit-1"


class Encoder(TextModel[str]):
    """A sentence-transformers model.

    model: "all-MiniLM-L6-v2" (the copy in the installed package; the network is never used), a folder, or
        a name on the Hugging Face hub. Raises `UserError` where it is missing or its weights are not the
        expected ones; a hub name is first looked for when texts are encoded.
    backend, precision, device: see `choose_runtime`. On "onnx" a file for onnxruntime is made in the cache
        folder on first use, and torch is not needed afterwards; where that fails, a warning says so and
        torch does the work. It is for local BERT models with mean pooling; any other runs on "torch". There
        a text's vector does not depend on what is encoded beside it, not even in int8.
    threads: of onnxruntime in this process; None for all cores. engine: what runs the workers; see `Engine`.

    A context manager: `close` ends the worker processes.
    """

    kind = "encoder"
    doing = "encoding"

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        backend: Backend | None = None,
        precision: Precision | None = None,
        device: Device = "cpu",
        cache_dir: str | Path | None = None,
        threads: int | None = None,
        engine: Engine | EngineName = LOCAL,
    ) -> None:
        self.folder = find_folder(str(model))
        runtime = choose_runtime(backend, precision, device)
        if runtime.backend == "onnx" and not (self.folder and is_mean_of_bert(self.folder)):
            if backend == "onnx" or precision == "int8":
                raise UserError(
                    f"{model} is not a local BERT model with mean pooling, and only such models run on "
                    "onnxruntime or in int8; leave backend and precision out"
                )
            runtime = TORCH_ON_CPU
        super().__init__(
            str(model),
            runtime,
            worth=TEXTS_WORTH_A_POOL,
            per_task=TEXTS_PER_TASK,
            cache_dir=cache_dir,
            threads=threads,
            engine=engine,
        )

    @functools.cached_property
    def fingerprint(self) -> str:
        """Names the model: the content of a local folder, or a hub name. Needs no torch.

        Not the number format: a head is fitted on the exact vectors, and used on rounded ones too.
        """
        if self.folder is None:
            return f"hub:{self.name}:{RECIPE}"
        return f"{folder_digest(self.folder, self.name)}:{RECIPE}"

    @property
    def output_fingerprint(self) -> str:
        """Names what decides the vectors: the model, and the rounding where there is any."""
        precision = self.runtime.precision
        return self.fingerprint if precision == "float32" else f"{self.fingerprint}:{precision}:{ONNX_RECIPE}"

    @functools.cached_property
    def dimension(self) -> int:
        """The length of a vector. A model that is not one of `is_mean_of_bert` has to be loaded for it."""
        if self.name in PACKAGED_NAMES:
            return PACKAGED_DIMENSION
        if self.folder is not None and is_mean_of_bert(self.folder):
            return int(model_json(self.folder / "config.json")["hidden_size"])
        return int(self.work(["text"]).shape[1])

    def cache_key(self, item: str) -> str:
        """The text itself."""
        return item

    @property
    def batch_size(self) -> int:
        """Texts a batch in this process."""
        if self.runtime.backend == "onnx":
            return ONNX_BATCH_SIZE
        return GPU_BATCH_SIZE if self._on_own_torch else TORCH_BATCH_SIZE[self.runtime.device]

    @property
    def _on_own_torch(self) -> bool:
        """Whether texts are batched by tokens here, on all GPUs; else sentence-transformers does it."""
        return self.runtime.on_gpu and self.folder is not None and is_mean_of_bert(self.folder)

    def _load(self) -> Callable[[Sequence[str]], Batches]:
        if self.folder:
            model = self._open_onnx(self.fingerprint, functools.partial(_network, self.name, self.folder))
            if model is not None:
                batches, tokenizer = model.batches, _tokenizer(self.folder)
                return lambda texts: batches(tokenizer.of_texts(texts))
        if self._on_own_torch and self.folder:
            encode = torch_work(self.name, self.folder, self.runtime)
        else:
            encode = functools.partial(encode_batch, load_model(self.name, self.folder, self.runtime))
        return lambda texts: iter([(np.arange(len(texts)), encode(texts))])

    def _maker(self) -> Callable[..., Encoder]:
        return functools.partial(Encoder, name_elsewhere(self.name, self.folder))

    def _length(self, item: str) -> int:
        return len(item)

    def _here(self, items: Sequence[str]) -> Batches:
        self.load()  # what it runs on decides the size of a batch
        for rows in self._parts(items, self.batch_size):
            yield rows, self.work([items[row] for row in rows])

    def encode(self, texts: Sequence[str], *, workers: int | None = None) -> np.ndarray:
        """Unit vectors, float32 of shape (n, dimension), in the order of the texts.

        Each distinct text is encoded once. A text longer than the model's window (256 tokens of
        all-MiniLM-L6-v2) is cut there. For `workers` see `batches`.
        """
        different, rows = distinct(texts)
        vectors = self.outputs(different, workers=workers)
        return vectors if len(different) == len(texts) else vectors[rows]

    def encode_batches(self, texts: Sequence[str], *, workers: int | None = None) -> Batches:
        """Yield (indices into `texts`, their unit vectors) batch by batch: see `batches`."""
        return self.batches(texts, workers=workers)


@dataclass(frozen=True, slots=True)
class Embedded:
    """What `embed` did.

    vectors: unit vectors, float32 of shape (n, dimension). from_cache: how many of them the cache had.
    workers_used: how many processes encoded the others; 0 where there were none.
    """

    vectors: np.ndarray
    from_cache: int
    workers_used: int


def embed(
    texts: Sequence[str],
    encoder: Encoder,
    cache: EmbeddingCache | None,
    *,
    workers: int | None = None,
    progress: bool = False,
    on_encoded: Callable[[int, int], object] | None = None,
) -> Embedded:
    """The vectors of distinct texts: see `cached_outputs`.

    progress: a bar over the texts to encode, on stderr. on_encoded: is told after each batch how many of
    them are encoded, and how many there are.
    """
    with interrupts_withheld():  # a half-made bar complains when it goes
        bar = tqdm(desc=encoder.doing, unit="text", disable=not progress, file=sys.stderr)
    with bar:

        def on_batch(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)
            if on_encoded is not None:
                on_encoded(done, of)

        made = cached_outputs(texts, encoder, cache, workers=workers, on_batch=on_batch)
    return Embedded(made.outputs, made.from_cache, made.workers_used)


def encode_batch(model: Any, texts: Sequence[str]) -> np.ndarray:
    """One batch through a model: float32 unit vectors of shape (n, dimension)."""
    # Tokenizers refuse lone surrogates; as question marks they are encoded like any other text.
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    made = model.encode(clean, batch_size=len(clean), normalize_embeddings=True, show_progress_bar=False)
    vectors = np.asarray(made, dtype=np.float32)
    return _as_unit_vectors(vectors) if made.dtype == np.float16 else vectors


def unit_vectors_module(model: Any) -> torch.nn.Module:
    """Token ids to unit vectors, as the modules of a sentence-transformers model do it."""
    import torch  # takes seconds, and onnxruntime does without

    class UnitVectors(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
            tokens = self.network(input_ids=ids, attention_mask=mask, token_type_ids=types)[0]
            kept = mask.unsqueeze(-1).to(tokens.dtype)
            mean = (tokens * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, p=2.0, dim=1)

    return UnitVectors(model[0].auto_model)


def _network(name: str, folder: Path) -> onnx.ModelProto:
    """An `is_mean_of_bert` model for onnxruntime: without torch, unless something is special about it."""
    try:
        _refuse_changed_settings(folder)
        return sentence_graph(BertConfig.read(folder), read_tensors(folder))
    except UnknownNetwork:
        model = load_model(name, folder)
        model[0].auto_model.set_attn_implementation("eager")
        return exported(unit_vectors_module(model))


def _refuse_changed_settings(folder: Path) -> None:
    """Raise `UnknownNetwork` where sentence-transformers is told to read the network in some other way."""
    for name, value in model_json(folder / "sentence_bert_config.json").items():
        if value and name.endswith(("_args", "_kwargs")) and name.startswith(("model_", "config_")):
            raise UnknownNetwork(f"{name} is {value!r}")


def _tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer(folder, model_json(folder / "sentence_bert_config.json")["max_seq_length"])


def torch_work(name: str, folder: Path, runtime: Runtime) -> Callable[[Sequence[str]], np.ndarray]:
    """What encodes texts in batches of tokens on all devices of the runtime: for `is_mean_of_bert` models."""
    networks = copies(unit_vectors_module(load_model(name, folder)), runtime)
    tokenizer = _tokenizer(folder)
    return lambda texts: _as_unit_vectors(in_order(torch_batches(networks, tokenizer.of_texts(texts))))


def _as_unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Of vectors computed in float16, which are so only to three digits."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
