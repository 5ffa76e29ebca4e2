"""SequenceClassifier: any encoder with a classification head, over both texts of a pair."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kimera.cache import MODELS
from kimera.errors import UserError
from kimera.models.bert_graph import INPUTS
from kimera.models.checkpoints import Checkpoint, find_checkpoint
from kimera.models.class_labels import class_labels
from kimera.models.model_folders import folder_digest
from kimera.models.onnx_models import RECIPE as ONNX_RECIPE
from kimera.models.onnx_models import OnnxModel, exported, prepared
from kimera.models.pair_model import (
    PAIRS_PER_TASK,
    PAIRS_WORTH_A_POOL,
    PairModel,
    bytes_of,
    logits_module,
)
from kimera.models.runtime import Runtime
from kimera.models.text_model import Batches
from kimera.models.tokens import Tokenizer, Tokens
from kimera.models.torch_models import copies, torch_batches
from kimera.workers import LOCAL, Engine, EngineName

# torch and transformers are imported where they are used: once a network is prepared, nothing needs them.
if TYPE_CHECKING:
    import onnx
    import torch

# Changes whenever this module would turn the same model and pair into other logits.
RECIPE = "1"
USUAL_WINDOW = 512  # tokens, where neither the model nor its tokenizer states one
UNLIMITED = 1_000_000  # tokenizers without a limit state a number far above it
# Their positions begin after the padding's, so that the last ones are not for tokens.
OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})
# Of the library transformers, by its own model_input_names; those of other classes do not tell types.
TYPED_TOKENIZERS = ("BertTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer", "ElectraTokenizer")
TYPED_MODELS = frozenset({"bert", "electra", "deberta", "deberta-v2"})  # where no tokenizer is named
TYPES_OF = {"bert": 2, "albert": 2, "electra": 2}  # types that a configuration has by default
LENGTHS_TO_CHECK = (5, 40, 130)  # tokens; the exporter traces 7
# Of a logit, over its size where that is above 1. Rounding is 1e-6, and in deep networks up to 1e-4; a trace
# that does something else is off by tenths.
MAX_EXPORT_ERROR = 1e-3


class SequenceClassifier(PairModel):
    """A fine-tuned encoder as its authors saved it.

    checkpoint: has to be one that `require_classifier` accepts. labels: names of its outputs, in their order,
    where its own do not say which is contradiction; see `class_labels`.
    runtime: "onnx" turns to torch in float32 where no equal network can be made for onnxruntime.
    In float32 a pair's logits do not depend on the others beyond 1e-5, on "onnx" not at all.
    Raises `UserError` where the model cannot be read, or leaves open what its outputs mean.
    """

    kind = "nli-model"
    doing = "reading"
    folder: Path

    def __init__(
        self,
        checkpoint: Checkpoint,
        runtime: Runtime,
        *,
        labels: Sequence[str] | str | None = None,
        cache_dir: str | Path | None = None,
        threads: int | None = None,
        engine: Engine | EngineName = LOCAL,
    ) -> None:
        checkpoint.require_classifier()
        self.checkpoint = checkpoint
        self.folder = checkpoint.folder
        self._config = checkpoint.config
        self.labels = class_labels(checkpoint.name, self._config, labels)
        super().__init__(
            checkpoint.name,
            runtime,
            worth=PAIRS_WORTH_A_POOL,
            per_task=PAIRS_PER_TASK,
            cache_dir=cache_dir,
            threads=threads,
            engine=engine,
        )

    @property
    def dimension(self) -> int:
        return len(self.labels.names)

    @functools.cached_property
    def digest(self) -> str:
        """Names the weights, the settings and the tokenizer: the content of the folder."""
        return folder_digest(self.folder, str(self.folder))

    @property
    def fingerprint(self) -> str:
        """Names what decides the logits: the files, their revision, and the number format."""
        recipe = f"{RECIPE}.{ONNX_RECIPE}"
        return f"{self.digest}:{self.checkpoint.revision or ''}:{self.runtime.precision}:{recipe}"

    @property
    def parity_file(self) -> Path:
        """Beside the network that is prepared in int8: what `parity` found of it."""
        what = f"{self.digest}\0{RECIPE}\0{ONNX_RECIPE}\0{self.labels.meanings}"
        key = hashlib.sha256(what.encode()).hexdigest()[:16]
        return self.cache_dir / MODELS / f"{self.kind}-int8-{key}.parity.json"

    @functools.cached_property
    def max_tokens(self) -> int:
        """The smaller of what the tokenizer states and what the network has positions for."""
        stated = self.checkpoint.settings("tokenizer_config.json").get("model_max_length")
        positions = self._config.get("max_position_embeddings")
        if positions and self._config.get("model_type") in OFFSET_POSITIONS:
            positions -= self._config.get("pad_token_id", 1) + 1
        limits = [int(limit) for limit in (stated, positions) if limit and 0 < limit < UNLIMITED]
        return min(limits, default=USUAL_WINDOW)

    @functools.cached_property
    def tells_types(self) -> bool:
        """Whether the network is told which text a token belongs to, as its tokenizer would have it."""
        kind = self._config.get("model_type", "")
        if self._config.get("type_vocab_size", TYPES_OF.get(kind, 0)) < 2:
            return False
        stated = self.checkpoint.settings("tokenizer_config.json")
        if names := stated.get("model_input_names"):
            return INPUTS[2] in names
        tokenizer = stated.get("tokenizer_class")
        return tokenizer.removesuffix("Fast") in TYPED_TOKENIZERS if tokenizer else kind in TYPED_MODELS

    @functools.cached_property
    def _counting_tokenizer(self) -> Tokenizer:
        return Tokenizer(self.folder, self.max_tokens + 1)

    def _may_be_too_long(self, pair: tuple[str, str]) -> bool:
        # Of a text that is not ASCII a tokenizer may make more tokens than it has bytes: it writes one sign
        # out as many. One more a text is the mark of a word's beginning.
        if not (pair[0].isascii() and pair[1].isascii()):
            return True
        special = self._counting_tokenizer.special_tokens
        return bytes_of(pair[0]) + bytes_of(pair[1]) + 2 > self.max_tokens - special

    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """P of contradiction, entailment and neutral, NaN for what has no output. Nobody calibrated them."""
        return self.labels.probabilities(logits)

    def _tokens(self, tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]]) -> Tokens:
        tokens = tokenizer.of_pairs(pairs)
        return tokens if self.tells_types else tokens.as_one_text()

    def _load(self) -> Callable[[Sequence[tuple[str, str]]], Batches]:
        model = self._open_onnx(self._graph, self._onnx)
        batches = (
            model.batches
            if model is not None
            else functools.partial(torch_batches, copies(self._network(), self.runtime))
        )
        tokenizer = Tokenizer(self.folder, self.max_tokens)
        return lambda pairs: batches(self._tokens(tokenizer, pairs))

    def _onnx(self) -> onnx.ModelProto:
        """The network for onnxruntime in float32; for int8 the one that was prepared before is read."""
        if self.runtime.precision == "float32":
            return self._exported()
        import onnx  # only where a network is prepared

        source = prepared(self.cache_dir, self.kind, self._graph, "float32", self._exported)
        return onnx.load_from_string(source if isinstance(source, bytes) else source.read_bytes())

    def _exported(self) -> onnx.ModelProto:
        """Raises ValueError where torch's exporter makes another network of it."""
        network = self._network()
        made = exported(network)
        _require_equal(made, network, min(self.max_tokens, int(self._config.get("vocab_size", 100))))
        return made

    @property
    def _graph(self) -> str:
        """Names what a prepared network is made from."""
        return f"{self.digest}:{RECIPE}"

    def _network(self) -> torch.nn.Module:
        return logits_module(open_classifier(self.checkpoint), tells_types=self.tells_types)

    def _maker(self) -> Callable[..., SequenceClassifier]:
        checkpoint = self.checkpoint
        place = checkpoint.name if checkpoint.revision else str(checkpoint.folder.resolve())
        return functools.partial(
            _elsewhere, checkpoint.folder.resolve(), place, checkpoint.revision, self.labels.names
        )


def _elsewhere(
    folder: Path, name: str, revision: str | None, labels: tuple[str, ...], **how: Any
) -> SequenceClassifier:
    """The same in a worker, which may be on a machine that has the model in another place."""
    is_here = folder.is_dir()
    checkpoint = (
        Checkpoint(name, folder, revision) if is_here else find_checkpoint(name, revision, quiet=True)
    )
    runtime = Runtime(how.pop("backend"), how.pop("precision"), "cpu")
    return SequenceClassifier(checkpoint, runtime, labels=labels, **how)


def open_classifier(checkpoint: Checkpoint) -> Any:
    """The network on torch, in float32. Raises `UserError` where weights of it are missing or do not fit."""
    import transformers  # takes seconds, and onnxruntime does without

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    import torch

    try:
        network, loading = transformers.AutoModelForSequenceClassification.from_pretrained(
            str(checkpoint.folder),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            # The plain one: torch's fused ones round otherwise, and not every network has them.
            attn_implementation="eager",
            output_loading_info=True,
        )
    except Exception as error:  # the library raises a dozen kinds; each means that there is no model
        raise UserError(
            f"{checkpoint.folder} cannot be read as a classifier ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}). Give a model for sequence classification "
            "that the installed transformers knows"
        ) from error
    if missing := sorted(loading["missing_keys"]):
        raise UserError(
            f"{checkpoint.folder} lacks weights of the network ({', '.join(missing[:3])}), which would be "
            "drawn at random. Give a model that was fine-tuned on natural language inference"
        )
    return network.eval()


def _require_equal(made: onnx.ModelProto, network: torch.nn.Module, limit: int) -> None:
    """Raise ValueError where what was exported computes something else: a trace may keep a length in it."""
    import torch  # only where a network is prepared

    model = OnnxModel(made.SerializeToString(), threads=1)
    random = np.random.default_rng(0)
    for length in sorted({min(length, limit) for length in LENGTHS_TO_CHECK}):
        ids = random.integers(0, limit, length, dtype=np.int32)
        tokens = Tokens(ids, np.array([length]), np.array([length // 2], np.int32))
        [(_, output)] = list(model.batches(tokens))
        with torch.no_grad():
            inputs = [torch.from_numpy(array) for array in tokens.padded(np.array([0]))]
            expected = network(*inputs).numpy()
        error = float((np.abs(output - expected) / np.abs(expected).clip(1.0)).max())
        if not error <= MAX_EXPORT_ERROR:
            raise ValueError(f"what was exported differs by {error:.2g} on {length} tokens")
