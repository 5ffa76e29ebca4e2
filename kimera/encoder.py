"""Encoder: texts to unit vectors, in this process or in a pool of worker processes."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from tqdm import tqdm

from kimera.bert_graph import BertConfig, UnknownNetwork, read_tensors, sentence_graph
from kimera.cache import EmbeddingCache
from kimera.engine import LOCAL, Engine, EngineName, as_engine
from kimera.errors import UserError
from kimera.interrupts import interrupts_withheld
from kimera.model_folders import (
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
from kimera.onnx_models import RECIPE as ONNX_RECIPE
from kimera.onnx_models import exported, open_onnx
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

TORCH_BATCH_SIZE = {"cpu": 64, "cuda": 128, "mps": 64}  # of what sentence-transformers runs
ONNX_BATCH_SIZE = 1024  # it takes the texts of one length together, of which more hold more
GPU_BATCH_SIZE = 16_384  # of which batches of tokens are made, for all GPUs
TEXTS_PER_TASK = 128  # of a worker process
TEXTS_WORTH_A_POOL = 512  # fewer are done here sooner than processes start, which takes seconds
TEXTS_PER_WRITE = 4096  # what an interrupted run may lose

# Changes whenever this module would turn the same model and text into another vector.
RECIPE = "float32-unit-1"

Work: TypeAlias = Callable[[list[str]], np.ndarray]


class Encoder(ClosedAtExit):
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
        self.name = str(model)
        self.folder = find_folder(self.name)
        self.runtime = choose_runtime(backend, precision, device)
        if self._on_onnx and not (self.folder and is_mean_of_bert(self.folder)):
            if backend == "onnx" or precision == "int8":
                raise UserError(
                    f"{self.name} is not a local BERT model with mean pooling, and only such models run on "
                    "onnxruntime or in int8; leave backend and precision out"
                )
            self.runtime = TORCH_ON_CPU
        engine = as_engine(engine)
        engine.require_cpu(self.runtime.device)
        self._given_cache_dir = cache_dir
        self.cache_dir = Path(cache_dir) if cache_dir is not None else default_folder()
        self.threads = threads
        self._pool = engine.pool(
            self._prepared, "encoding", worth=TEXTS_WORTH_A_POOL, per_task=TEXTS_PER_TASK
        )
        self._loaded_s = 0.0

    def close(self) -> None:
        """End the worker processes; what waits in their queue is dropped. The encoder stays usable."""
        self._pool.close()

    @property
    def load_s(self) -> float:
        """Wall seconds that went into loading the model so far: in this process, and in worker processes.

        From their start until the last of them was ready. 0 until it was needed.
        """
        return self._loaded_s + self._pool.load_s

    @functools.cached_property
    def fingerprint(self) -> str:
        """Names the model: the content of a local folder, or a hub name. Needs no torch."""
        if self.folder is None:
            return f"hub:{self.name}:{RECIPE}"
        return f"{folder_digest(self.folder, self.name)}:{RECIPE}"

    @property
    def vector_fingerprint(self) -> str:
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

    @property
    def batch_size(self) -> int:
        """Texts a batch in this process."""
        if self._on_onnx:
            return ONNX_BATCH_SIZE
        return GPU_BATCH_SIZE if self._on_own_torch else TORCH_BATCH_SIZE[self.runtime.device]

    @functools.cached_property
    def work(self) -> Work:
        """What turns a batch of texts into unit vectors in this process; loads the model at first use."""
        self.fingerprint  # noqa: B018 (checks the weights before anything reads them)
        begun = time.perf_counter()
        try:
            return self._load()
        finally:
            self._loaded_s += time.perf_counter() - begun

    @property
    def _on_onnx(self) -> bool:
        return self.runtime.backend == "onnx"

    @property
    def _on_own_torch(self) -> bool:
        """Whether texts are batched by tokens here, on all GPUs; else sentence-transformers does it."""
        return self.runtime.on_gpu and self.folder is not None and is_mean_of_bert(self.folder)

    def _load(self) -> Work:
        if self._on_onnx and self.folder:
            model = open_onnx(
                self.cache_dir,
                "encoder",
                self.fingerprint,
                self.runtime.precision,
                functools.partial(_network, self.name, self.folder),
                self.threads,
            )
            if model is not None:
                return functools.partial(_encode_by_tokens, _tokenizer(self.folder), model.batches)
            self.runtime = TORCH_ON_CPU
        if self._on_own_torch and self.folder:
            return torch_work(self.name, self.folder, self.runtime)
        return functools.partial(encode_batch, load_model(self.name, self.folder, self.runtime))

    def settle(self) -> None:
        """Find out whether onnxruntime can do the work, before `vector_fingerprint` is relied on."""
        self.fingerprint  # noqa: B018 (checks the weights before anything reads them)
        if self._on_onnx:
            self.work  # noqa: B018 (loads it, or turns to torch)

    def _prepared(self) -> Load:
        self.settle()  # makes the file once, before several processes would
        name = name_elsewhere(self.name, self.folder)
        return functools.partial(_load_worker, name, self.runtime, self._given_cache_dir, self.fingerprint)

    def encode(self, texts: Sequence[str], *, workers: int | None = None) -> np.ndarray:
        """Unit vectors, float32 of shape (n, dimension), in the order of the texts.

        Each distinct text is encoded once. A text longer than the model's window (256 tokens of
        all-MiniLM-L6-v2) is cut there. For `workers` see `encode_batches`.
        """
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        vectors = np.empty((len(rows), self.dimension), dtype=np.float32)
        for indices, batch in self.encode_batches(list(rows), workers=workers):
            vectors[indices] = batch
        return vectors if len(rows) == len(texts) else vectors[[rows[text] for text in texts]]

    def encode_batches(
        self, texts: Sequence[str], *, workers: int | None = None
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """Yield (indices into `texts`, their unit vectors) batch by batch, longest texts first.

        workers: None encodes in this process with all its cores, or on all CPUs of a Ray cluster; N uses N
        processes of one thread each. They start with the first call that brings `TEXTS_WORTH_A_POOL`, load
        the model before the first batch, serve later calls, and end with `close`; see `processes_for`.
        Raises `UserError` if the model cannot be loaded, or where the pool's `map` does.
        """
        workers = None if self.runtime.on_gpu else workers
        in_pool = self._pool.takes(len(texts), workers)
        if texts and not in_pool:
            self.work  # noqa: B018 (what it runs on decides the size of a batch)
        # Sorted by length, a batch holds little padding, or few lengths; the longest first shows the memory.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]), reverse=True)
        size = self._pool.per_task if in_pool else self.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        texts_of = [[texts[index] for index in batch] for batch in batches]
        vectors = self._pool.map(texts_of, workers) if in_pool else map(self.work, texts_of)
        yield from zip(batches, vectors, strict=True)

    def processes_for(self, count: int, workers: int | None) -> int:
        """How many processes `encode_batches` would occupy with so many texts: 0 with none."""
        return self._pool.processes_for(count, None if self.runtime.on_gpu else workers)


def _load_worker(name: str, runtime: Runtime, cache_dir: str | Path | None, fingerprint: str) -> Work:
    """What a worker process encodes a batch of texts with."""
    if runtime.backend == "torch":
        import torch

        torch.set_num_threads(1)
    encoder = Encoder(
        name, backend=runtime.backend, precision=runtime.precision, cache_dir=cache_dir, threads=1
    )
    require_same(encoder.fingerprint, fingerprint, f"the encoder {name}")
    work = encoder.work
    require_runtime(encoder.runtime, runtime)
    return work


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
    """The vectors of distinct texts: from the cache where it has them, else encoded and added to it.

    progress: a bar over the texts to encode, on stderr. on_encoded: is told after each batch how many of
    them are encoded, and how many there are.
    New vectors are written every `TEXTS_PER_WRITE` texts, so an interrupted run loses little.
    """
    vectors, found, mark = _looked_up(texts, encoder, cache)
    if not found.all():
        encoder.settle()
        if encoder.vector_fingerprint != mark:
            vectors, found, mark = _looked_up(texts, encoder, cache)
    missing = np.flatnonzero(~found).tolist()
    pending: list[int] = []
    encoded = 0

    def write() -> None:
        if cache is not None and pending:
            cache.put_many(mark, [texts[row] for row in pending], vectors[pending])
        pending.clear()

    with interrupts_withheld():  # a half-made bar complains when it goes
        bar = tqdm(total=len(missing), desc="encoding", unit="text", disable=not progress, file=sys.stderr)
    with bar:
        try:
            for indices, batch in encoder.encode_batches([texts[row] for row in missing], workers=workers):
                rows = [missing[index] for index in indices]
                vectors[rows] = batch
                pending.extend(rows)
                encoded += len(rows)
                bar.update(len(rows))
                if on_encoded is not None:
                    on_encoded(encoded, len(missing))
                if len(pending) >= TEXTS_PER_WRITE:
                    write()
        finally:
            write()
    return Embedded(vectors, len(texts) - len(missing), encoder.processes_for(len(missing), workers))


def _looked_up(
    texts: Sequence[str], encoder: Encoder, cache: EmbeddingCache | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """(vectors, which of them the cache had, what they are of)."""
    mark = encoder.vector_fingerprint
    if cache is None:
        return np.empty((len(texts), encoder.dimension), np.float32), np.zeros(len(texts), bool), mark
    return *cache.get_many(mark, texts, encoder.dimension), mark


def encode_batch(model: Any, texts: list[str]) -> np.ndarray:
    """One batch through a model: float32 unit vectors of shape (n, dimension)."""
    # Tokenizers refuse lone surrogates; as question marks they are encoded like any other text.
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    found = model.encode(clean, batch_size=len(clean), normalize_embeddings=True, show_progress_bar=False)
    vectors = np.asarray(found, dtype=np.float32)
    return _as_unit_vectors(vectors) if found.dtype == np.float16 else vectors


def unit_vectors_module(model: Any) -> torch.nn.Module:
    """Token ids to unit vectors, as the modules of a sentence-transformers model do it."""
    import torch

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


def torch_work(name: str, folder: Path, runtime: Runtime) -> Work:
    """What encodes texts in batches of tokens on all devices of the runtime: for `is_mean_of_bert` models."""
    networks = copies(unit_vectors_module(load_model(name, folder)), runtime)
    encode = functools.partial(
        _encode_by_tokens, _tokenizer(folder), functools.partial(torch_batches, networks)
    )
    return lambda texts: _as_unit_vectors(encode(texts))


def _as_unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Of vectors computed in float16, which are so only to three digits."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _encode_by_tokens(
    tokenizer: Tokenizer,
    batches: Callable[[Tokens], Iterable[tuple[np.ndarray, np.ndarray]]],
    texts: list[str],
) -> np.ndarray:
    found = list(batches(tokenizer.of_texts(texts)))
    order = np.concatenate([rows for rows, _ in found])
    vectors = np.concatenate([values for _, values in found])
    return vectors[np.argsort(order)]
