"""NLIModel: any natural language inference model of the Hugging Face hub, or in a folder, as a detector."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress, islice
from pathlib import Path
from typing import Any, Literal, get_args

from kimera.cache import EmbeddingCache
from kimera.console import note
from kimera.detectors.chunk_progress import ChunkProgress
from kimera.detectors.chunks import chunk_size, require_workers, verdict_of
from kimera.detectors.verdict_source import VerdictSource
from kimera.models import (
    MIN_PARITY_PAIRS,
    PARITY_PAIRS,
    Backend,
    Device,
    Parity,
    Precision,
    Runtime,
    SequenceClassifier,
    Strongest,
    choose_runtime,
    find_checkpoint,
    parity,
    verify,
)
from kimera.pairs import EMPTY_TEXT, Failure, Pair, Verdict, pair_of
from kimera.workers import LOCAL, ClosedAtExit, Engine, EngineName, as_engine

MAX_AHEAD = 4096  # pairs that are held for the check of int8, where most are the same

NOT_A_NUMBER = Failure(
    "not_a_number", "the model gave no number for this pair: its weights are damaged, or float16 is too small"
)

TwoTexts = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Counts:
    """See `COUNTED`."""

    read: int = 0
    read_from_cache: int = 0
    workers_used: int = 0


class NLIModel(ClosedAtExit, VerdictSource):
    """A fine-tuned encoder with a classification head: a pair's score is its P(contradiction).

    model: a folder, or a name on the Hugging Face hub; of a name the hub's local cache is looked through
    first. A folder of sentence-transformers' `CrossEncoder` is one too. revision: a branch, tag or commit of
    the hub. labels: names of the outputs, in their order, where the model's own do not say which one is
    contradiction: "contradiction", "entailment", "neutral", "not_contradiction", anything for others; of a
    single output ("consistent",) if it is the logit of P(consistent), so that the score is 1 - P.
    cache: of what was read before, by default in the user's cache folder; None keeps nothing.
    workers: processes, unless a call says otherwise; None is this process. engine: what runs them.
    symmetric: each pair is read in both orders and the mean counts, at twice the time.
    backend, precision, device: see `choose_runtime`, with one difference. Int8 is used only if it scores the
    first few hundred distinct pairs as float32 does, and else float32, also where int8 was asked for; a note
    says which it is. What was found is kept beside the prepared network and counts for later runs too.
    Until then the precision of a call is settled by its own pairs: with too few for the check it is answered
    in float32, and the next call checks again. Within one call it never changes.
    Texts that are too long together for the model are read passage by passage.
    Raises `UserError` where there is no such model, or it cannot tell contradictions.

    A context manager: `close` ends the worker processes. Weights are read from safetensors alone, and no code
    of a model's is ever run.
    """

    kind = "NLI model"

    def __init__(
        self,
        model: str | Path,
        *,
        revision: str | None = None,
        labels: Sequence[str] | str | None = None,
        cache: EmbeddingCache | Literal["default"] | None = "default",
        workers: int | None = None,
        symmetric: bool = False,
        backend: Backend | None = None,
        precision: Precision | None = None,
        device: Device = "cpu",
        engine: Engine | EngineName = LOCAL,
    ) -> None:
        self._runtime = choose_runtime(backend, precision, device)
        self._engine = as_engine(engine)
        self._engine.require_cpu(self._runtime.device)
        self._checkpoint = find_checkpoint(str(model), revision)
        self._labels = labels
        self._made: list[SequenceClassifier] = []
        self._model = self._classifier(self._runtime)
        self._rounded = self._model
        self._parity: Parity | None = None
        self._is_held = False
        self._is_settled = (self._runtime.backend, self._runtime.precision) != ("onnx", "int8")
        if not self._is_settled and (earlier := Parity.read(self._model.parity_file)):
            self._take_by(earlier, f"an earlier run compared int8 with float32: {earlier}")
        self.symmetric = symmetric
        self.cache = EmbeddingCache() if cache == "default" else cache
        self.workers = workers
        self._counts = _Counts()
        self._checked_s = 0.0

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the verdicts and how they are computed, JSON-ready.

        Whether int8 passed, and so precision and backend, is known once the first pairs were read.
        """
        runtime = self._model.runtime
        return {
            "model": self._checkpoint.name,
            "revision": self._checkpoint.revision,
            "labels": list(self._model.labels.names),
            "precision": "int8, if it passes the check" if self._is_open else runtime.precision,
            "backend": runtime.backend,
            "device": runtime.device,
            "symmetric": self.symmetric,
            "max_tokens": self._model.max_tokens,
            "fingerprint": self._model.fingerprint,
            "cache": self.cache is not None,
            **(self._parity.as_settings() if self._parity else {}),
        }

    @property
    def _is_open(self) -> bool:
        """Whether no pair was answered yet and the first ones have to be checked."""
        return not self._is_settled and self._model is self._rounded

    @property
    def fingerprints(self) -> dict[str, str]:
        """The precision is not among them: it is known only after the first pairs, see `take_settings`."""
        return {
            "model": self._model.digest,
            "revision": self._checkpoint.revision or "",
            "labels": ",".join(self._model.labels.names),
        }

    def take_settings(self, settings: Mapping[str, Any]) -> None:
        """Go on in the precision and on the backend that these `settings` of an earlier object say it took.

        Nothing happens where it had not settled on any. Raises `UserError` where they cannot be had here.
        """
        backend, precision = settings.get("backend"), settings.get("precision")
        if backend not in get_args(Backend) or precision not in get_args(Precision):
            return
        taken = choose_runtime(backend, precision, self._runtime.device)
        self._parity = Parity.from_settings(settings) or self._parity
        made = next((model for model in self._made if model.runtime == taken), None)
        self._take(made or self._classifier(taken), "so were its earlier verdicts made")

    def settle(self, pairs: Iterable[Pair | TwoTexts]) -> None:
        """Int8 or float32 by these pairs, now; with too few of them float32, also for the calls to come."""
        self._is_held = True
        if not self._is_settled:
            self._checked(_texts_of(pairs))

    @property
    def trained_on(self) -> list[str] | None:
        """The data sets that the model card's metadata names, None where it names none."""
        return self._checkpoint.data_sets

    @property
    def runtime(self) -> Runtime:
        return self._model.runtime

    @property
    def counts(self) -> dict[str, float]:
        """read: distinct pairs, or passages of them, that the network read. load_s: the check is in it."""
        done = self._counts
        return {
            "read": done.read,
            "read_from_cache": done.read_from_cache,
            "load_s": self._checked_s + self._loaded_s,
            "workers_used": done.workers_used,
        }

    @property
    def _loaded_s(self) -> float:
        return sum(model.load_s for model in self._made)

    def close(self) -> None:
        """End the worker processes. The detector stays usable."""
        for model in self._made:
            model.close()

    def detect(self, pairs: Iterable[Pair | TwoTexts], workers: int | None = None) -> list[Verdict | Failure]:
        """One verdict a pair, in order.

        A pair with an empty text gives a `Failure` of kind "empty_text", and one for which the network gives
        NaN one of kind "not_a_number".
        """
        return list(self.stream(pairs, workers))

    def stream(
        self,
        pairs: Iterable[Pair | TwoTexts],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        """`detect`, chunk by chunk, in memory that grows with the workers, not with the number of pairs.

        Raises `UserError` for `workers` below 1, where the model cannot be loaded, and where a pool's `map`
        does; ValueError for what is no pair.
        """
        workers = self.workers if workers is None else workers
        require_workers(workers)
        texts = _texts_of(pairs)
        if not (self._is_settled or self._is_held):
            texts = self._checked(texts)
        model = self._model  # another call, made before this one has ended, may settle on another
        while chunk := list(islice(texts, chunk_size(workers, self._engine, self._counts.workers_used))):
            progress = ChunkProgress(len(chunk), on_progress)
            outcomes = self._detect_chunk(model, chunk, workers, progress)
            progress.reach(1.0)
            yield from outcomes

    def _detect_chunk(
        self,
        model: SequenceClassifier,
        chunk: list[TwoTexts],
        workers: int | None,
        progress: ChunkProgress,
    ) -> list[Verdict | Failure]:
        start, loaded_s = time.perf_counter(), model.load_s
        answerable = [all(text.strip() for text in texts) for texts in chunk]
        pairs = list(compress(chunk, answerable))
        verified = verify(
            pairs,
            model,
            self.cache,
            symmetric=self.symmetric,
            workers=workers,
            on_read=progress.part(0.0, 1.0),
        )
        self._counts = replace(
            self._counts,
            read=self._counts.read + verified.read,
            read_from_cache=self._counts.read_from_cache + verified.from_cache,
            workers_used=max(self._counts.workers_used, verified.workers_used),
        )
        busy_s = time.perf_counter() - start - (model.load_s - loaded_s)
        latency_ms = busy_s * 1000 / len(chunk)
        passages = [verified.strongest.get(place) for place in range(len(pairs))]
        rows = zip(verified.probabilities.tolist(), passages, strict=True)
        return [_verdict(*next(rows), latency_ms) if full else EMPTY_TEXT for full in answerable]

    def _classifier(self, runtime: Runtime) -> SequenceClassifier:
        made = SequenceClassifier(self._checkpoint, runtime, labels=self._labels, engine=self._engine)
        self._made.append(made)
        return made

    def _checked(self, texts: Iterator[TwoTexts]) -> Iterator[TwoTexts]:
        """The same pairs, after the first of them have decided whether int8 may be used."""
        ahead: list[TwoTexts] = []
        different: dict[TwoTexts, None] = {}
        for pair in islice(texts, MAX_AHEAD):
            ahead.append(pair)
            if all(text.strip() for text in pair):
                different[pair] = None
            if len(different) == PARITY_PAIRS:
                break
        if ahead:
            self._settle(list(different))
        return chain(ahead, texts)

    def _settle(self, pairs: list[TwoTexts]) -> None:
        """Int8 or float32, by these distinct pairs; here, whatever the engine, since the work is short."""
        begun, loaded_s = time.perf_counter(), self._loaded_s
        exact, rounded = self._exact, self._rounded
        if len(pairs) < MIN_PARITY_PAIRS:
            why = f"{len(pairs)} different pairs are too few to check int8, which takes {MIN_PARITY_PAIRS}"
            self._take(exact, why, settled=False)
            return
        exact.load()
        if exact.runtime.backend == "onnx":
            rounded.load()
        if exact.runtime.backend == "torch" or rounded.runtime.backend == "torch":
            self._take(exact, "there is no network in int8 for onnxruntime")
        else:
            found = parity(*(model.calibrated(model.work(pairs))[:, 0] for model in (exact, rounded)))
            found.write(rounded.parity_file)
            self._take_by(found, f"int8 was compared with float32: {found}")
        self._checked_s = time.perf_counter() - begun - (self._loaded_s - loaded_s)

    @functools.cached_property
    def _exact(self) -> SequenceClassifier:
        """Made once: calls that bring too few pairs to check may be many."""
        return self._classifier(replace(self._runtime, precision="float32"))

    def _take_by(self, found: Parity, why: str) -> None:
        self._parity = found
        self._take(self._rounded if found.passes else self._exact, why)

    def _take(self, model: SequenceClassifier, why: str, *, settled: bool = True) -> None:
        is_known = model is self._model and self._is_settled >= settled
        self._model, self._is_settled = model, settled
        if is_known:
            return
        runtime = model.runtime
        note(f"{self._checkpoint.name} runs on {runtime.backend} in {runtime.precision}: {why}")


def _texts_of(pairs: Iterable[Pair | TwoTexts]) -> Iterator[TwoTexts]:
    given = (pair_of(pair, number) for number, pair in enumerate(pairs))
    return ((pair.text1, pair.text2) for pair in given)


def _verdict(probabilities: list[float], passages: Strongest | None, latency_ms: float) -> Verdict | Failure:
    contradiction, *others = probabilities
    if math.isnan(contradiction):
        return NOT_A_NUMBER
    entailment, neutral = (None if math.isnan(value) else value for value in others)
    known = [f"P(contradiction) {contradiction:.2f}"]
    if neutral is not None:
        known.append(f"neutral {neutral:.2f}")
    if entailment is not None:
        known.append(f"entailment {entailment:.2f}")
    return verdict_of(
        contradiction, known, passages, latency_ms, "stated", entailment=entailment, neutral=neutral
    )
