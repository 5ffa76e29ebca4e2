"""The ONNX graph of a BERT, written from its config.json and its safetensors: neither torch nor transformers.

The network is that of Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding" (2019, arXiv:1810.04805). Settings and tensors have the names that the library transformers
gives them in `BertForSequenceClassification`. Nodes are those that torch's exporter writes, so that rounding
is the same; what only finds out shapes is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from kimera.models.model_folders import model_json

if TYPE_CHECKING:
    import onnx

INPUTS = ("input_ids", "attention_mask", "token_type_ids")  # int64 of shape (batch, tokens)
OUTPUT = "output"
OPSET = 17  # the first with LayerNormalization
MASKED = float(np.finfo(np.float32).min)  # added to the scores of padding
IR_VERSION = 8  # that of its time: older versions of onnxruntime read it too


class UnknownNetwork(Exception):  # noqa: N818 (a refusal, not a fault)
    """The model may well be a good one, but what is written here is not all that it does."""


@dataclass(frozen=True, slots=True)
class BertConfig:
    """What of a config.json decides the graph; sizes are those of the tensors."""

    layers: int
    heads: int
    layer_norm_eps: float

    @classmethod
    def read(cls, folder: Path) -> BertConfig:
        """The settings of a model folder. Raises `UnknownNetwork` where one of them is not known here."""
        try:
            settings = model_json(folder / "config.json")
            _require_plain(settings)
        except (OSError, ValueError, AttributeError) as error:
            raise UnknownNetwork(f"{folder / 'config.json'}: {error}") from error
        # The library leaves out what has its default.
        return cls(
            settings.get("num_hidden_layers", 12),
            settings.get("num_attention_heads", 12),
            settings.get("layer_norm_eps", 1e-12),
        )


def _require_plain(settings: Mapping[str, Any]) -> None:
    plain: dict[str, tuple[Any, ...]] = {
        "model_type": ("bert",),
        "hidden_act": (None, "gelu"),
        "position_embedding_type": (None, "absolute"),
        "is_decoder": (None, False),
        "pruned_heads": (None, {}),
        "quantization_config": (None,),
    }
    for name, known in plain.items():
        if settings.get(name) not in known:
            raise UnknownNetwork(f"{name} is {settings.get(name)!r}")


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """The float32 tensors of a BERT by their names in `BertForSequenceClassification`.

    Raises `UnknownNetwork` where they do not lie in one model.safetensors. Those in number formats that numpy
    has not are left out.
    """
    if (folder / "adapter_config.json").exists():
        raise UnknownNetwork("an adapter changes the weights")
    try:
        with safe_open(folder / "model.safetensors", framework="numpy") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (no dict)
    except (OSError, SafetensorError, TypeError) as error:  # the last of number formats that numpy has not
        raise UnknownNetwork(f"{folder / 'model.safetensors'}: {error}") from error
    return {
        _full_name(name): tensor.astype(np.float32, copy=False)
        for name, tensor in tensors.items()
        if np.issubdtype(tensor.dtype, np.floating)
    }


def _full_name(name: str) -> str:
    """A model without a head has been saved without the first part."""
    return name if name.startswith(("bert.", "classifier.")) else f"bert.{name}"


def sentence_graph(config: BertConfig, tensors: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """Token ids to unit vectors, the means of the token vectors: float32 of shape (batch, hidden size).

    Reimers and Gurevych, "Sentence-BERT" (2019, arXiv:1908.10084). Raises `UnknownNetwork` where a tensor is
    missing.
    """
    graph = _Bert(config, tensors)
    hidden = graph.encoder()
    kept = graph.node("Cast", graph.node("Unsqueeze", "attention_mask", graph.ints(-1)), to=graph.FLOAT)
    total = graph.node("ReduceSum", graph.node("Mul", hidden, kept), graph.ints(1), keepdims=0)
    count = graph.node("Clip", graph.node("ReduceSum", kept, graph.ints(1), keepdims=0), graph.number(1e-9))
    mean = graph.node("Div", total, count)
    length = graph.node("Clip", graph.node("ReduceL2", mean, axes=[1], keepdims=1), graph.number(1e-12))
    return graph.model(graph.node("Div", mean, length))


def classifier_graph(config: BertConfig, tensors: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """Token ids to the logits of the classes, read off the first token: float32 of shape (batch, classes).

    Raises `UnknownNetwork` where a tensor is missing.
    """
    graph = _Bert(config, tensors)
    first = graph.node("Gather", graph.encoder(), graph.constant(np.array(0, dtype=np.int64)), axis=1)
    pooled = graph.node("Tanh", graph.small_linear(first, "bert.pooler.dense"))
    return graph.model(graph.small_linear(pooled, "classifier"))


class _Graph:
    """Nodes and constants, each known by the name of what it gives."""

    FLOAT, INT64, BOOL = 1, 7, 9  # of onnx.TensorProto

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        from onnx import helper, numpy_helper  # here, since only a file that is not prepared yet needs it

        self._tensors = tensors
        self._make_node = helper.make_node
        self._to_tensor = numpy_helper.from_array
        inputs = [helper.make_tensor_value_info(name, self.INT64, ["batch", "tokens"]) for name in INPUTS]
        outputs = [helper.make_tensor_value_info(OUTPUT, self.FLOAT, ["batch", None])]
        self._model = helper.make_model(
            helper.make_graph([], "bert", inputs, outputs),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        self._graph = self._model.graph  # filled in place: every copy of the weights is as large as the model

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind}.{len(self._graph.node)}"
        self._graph.node.append(self._make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: np.ndarray, name: str = "") -> str:
        name = name or f"constant.{len(self._graph.initializer)}"
        self._graph.initializer.append(self._to_tensor(value, name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        return self.constant(np.array(value, dtype=np.float32))

    def tensor(self, name: str, transposed: bool = False) -> str:
        if name not in self._tensors:
            raise UnknownNetwork(f"there is no tensor {name}")
        tensor = self._tensors[name]
        return self.constant(np.ascontiguousarray(tensor.T if transposed else tensor), name)

    def model(self, output: str) -> onnx.ModelProto:
        """The whole, which takes `INPUTS` and gives this output."""
        self._graph.node.append(self._make_node("Identity", [output], [OUTPUT]))
        return self._model


class _Bert(_Graph):
    def __init__(self, config: BertConfig, tensors: Mapping[str, np.ndarray]) -> None:
        super().__init__(tensors)
        self._config = config

    def encoder(self) -> str:
        """Vectors of all tokens after the last layer: (batch, tokens, hidden size)."""
        hidden = self._embeddings()
        is_text = self.node("Cast", self.node("Unsqueeze", "attention_mask", self.ints(1, 2)), to=self.BOOL)
        mask = self.node("Where", is_text, self.number(0), self.number(MASKED))
        for number in range(self._config.layers):
            layer = f"bert.encoder.layer.{number}"
            attended = self._attention(hidden, mask, f"{layer}.attention.self")
            hidden = self._add_and_norm(attended, hidden, f"{layer}.attention.output")
            inner = self._gelu(self._linear(hidden, f"{layer}.intermediate.dense"))
            hidden = self._add_and_norm(inner, hidden, f"{layer}.output")
        return hidden

    def _embeddings(self) -> str:
        names = ("word_embeddings", "token_type_embeddings", "position_embeddings")
        words, types, positions = (self.tensor(f"bert.embeddings.{name}.weight") for name in names)
        words = self.node("Gather", words, "input_ids")
        types = self.node("Gather", types, "token_type_ids")
        tokens = self.node("Shape", "input_ids", start=1, end=2)
        positions = self.node("Slice", positions, self.ints(0), tokens)
        embedded = self.node("Add", self.node("Add", words, types), positions)
        return self._layer_norm(embedded, "bert.embeddings.LayerNorm")

    def _attention(self, hidden: str, mask: str, name: str) -> str:
        query = self._heads(self._linear(hidden, f"{name}.query"), perm=[0, 2, 1, 3])
        key = self._heads(self._linear(hidden, f"{name}.key"), perm=[0, 2, 3, 1])
        value = self._heads(self._linear(hidden, f"{name}.value"), perm=[0, 2, 1, 3])
        size = len(self._tensors[f"{name}.query.bias"]) // self._config.heads
        scores = self.node("Mul", self.node("MatMul", query, key), self.number(size**-0.5))
        shares = self.node("Softmax", self.node("Add", scores, mask), axis=-1)
        context = self.node("Transpose", self.node("MatMul", shares, value), perm=[0, 2, 1, 3])
        return self.node("Reshape", context, self.ints(0, 0, -1))

    def _heads(self, rows: str, perm: list[int]) -> str:
        """Rows cut into heads: (batch, tokens, heads, size of a head), these axes in this order."""
        shape = self.ints(0, 0, self._config.heads, -1)  # 0: as it comes
        return self.node("Transpose", self.node("Reshape", rows, shape), perm=perm)

    def _add_and_norm(self, rows: str, residual: str, name: str) -> str:
        total = self.node("Add", self._linear(rows, f"{name}.dense"), residual)
        return self._layer_norm(total, f"{name}.LayerNorm")

    def _layer_norm(self, rows: str, name: str) -> str:
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        eps = self._config.layer_norm_eps
        return self.node("LayerNormalization", rows, weight, bias, axis=-1, epsilon=eps)

    def _gelu(self, rows: str) -> str:
        """x / 2 * (1 + erf(x / sqrt(2))); onnxruntime makes one operator of it."""
        erf = self.node("Erf", self.node("Div", rows, self.number(2**0.5)))
        doubled = self.node("Mul", rows, self.node("Add", erf, self.number(1)))
        return self.node("Mul", doubled, self.number(0.5))

    def _linear(self, rows: str, name: str) -> str:
        """A product and a sum, which is what can be quantised."""
        product = self.node("MatMul", rows, self.tensor(f"{name}.weight", transposed=True))
        return self.node("Add", self.tensor(f"{name}.bias"), product)

    def small_linear(self, rows: str, name: str) -> str:
        """Of one row a sequence; never quantised."""
        return self.node("Gemm", rows, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"), transB=1)
