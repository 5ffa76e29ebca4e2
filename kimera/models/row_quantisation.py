"""Quantises the matrix products of an ONNX model to int8, each row of the activations by itself.

onnxruntime's own dynamic quantisation takes one scale for a whole batch, so that what a text scores depends
on the texts beside it. Here every token's activations have a scale of their own (symmetric, the largest value
is 127 steps), and every column of the weights has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

# onnx is imported where it is used: a network that is prepared already needs none.
if TYPE_CHECKING:
    import onnx

STEPS = 127
ZERO_POINT = 128  # activations are stored as uint8: the kernels for uint8 times int8 are the fast ones
MIN_SCALE = 1e-12  # of a row of zeros
CONTRIB = "com.microsoft"  # onnxruntime's own operators


def quantise_rows(model: onnx.ModelProto) -> None:
    """Replaces every product with a constant matrix; changes the model in place."""
    from onnx import helper  # only where a network is prepared

    graph = model.graph
    matrices = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 2}
    # Layers that share a matrix, as those of ALBERT, get it from torch's exporter by way of such nodes.
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in matrices:
            matrices[node.output[0]] = matrices[node.input[0]]
    quantiser = _Quantiser()
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in matrices:
            nodes += quantiser.product(node.input[0], matrices[node.input[1]], node.output[0])
        elif node.op_type != "Identity" or node.output[0] not in matrices:
            nodes.append(node)
    nodes = _with_aliases(nodes, graph.node, matrices)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *quantiser.constants])
    model.opset_import.append(helper.make_opsetid(CONTRIB, 1))


def _with_aliases(
    nodes: list[onnx.NodeProto], before: Iterable[onnx.NodeProto], matrices: Mapping[str, onnx.TensorProto]
) -> list[onnx.NodeProto]:
    """With those of the nodes that only rename a matrix which something other than a product still needs."""
    used = {name for node in nodes for name in node.input}
    aliases = [
        node
        for node in before
        if node.op_type == "Identity" and node.output[0] in matrices and node.output[0] in used
    ]
    return aliases + nodes


class _Quantiser:
    """Makes the nodes that stand for a product; inputs that several products share are quantised once."""

    def __init__(self) -> None:
        from onnx import numpy_helper  # only where a network is prepared

        self._count = 0
        self._weights: dict[str, tuple[int, int, str, str]] = {}  # matrix -> (K, N, its steps, their scales)
        self._done: dict[str, tuple[str, str]] = {}  # input -> (its uint8 rows, their scales)
        self._to_tensor, self._to_array = numpy_helper.from_array, numpy_helper.to_array
        self.constants: list[onnx.TensorProto] = []
        self._per_step = self._constant(np.array(1 / STEPS, dtype=np.float32))
        self._minimum = self._constant(np.array(MIN_SCALE, dtype=np.float32))
        self._one = self._constant(np.array(1.0, dtype=np.float32))
        self._zero_point = self._constant(np.array(ZERO_POINT, dtype=np.uint8))
        self._zero_points = self._constant(np.array([ZERO_POINT], dtype=np.uint8))
        self._flat = self._constant(np.array([-1], dtype=np.int64))

    def product(self, rows: str, matrix: onnx.TensorProto, output: str) -> Iterator[onnx.NodeProto]:
        """The nodes of rows @ matrix. rows: float32 of shape (..., K); matrix: float32 of shape (K, N)."""
        inner, columns, steps, weight_scales = self._steps_of(matrix)
        if rows not in self._done:
            yield from self._quantised(rows, inner)
        quantised, scales = self._done[rows]
        # The operator takes one scale for all rows of activations, here 1; each row's own comes afterwards.
        product, scaled = self._name(), self._name()
        yield self._node(
            "MatMulIntegerToFloat",
            [quantised, steps, self._one, weight_scales, self._zero_point],
            product,
            domain=CONTRIB,
        )
        yield self._node("Mul", [product, scales], scaled)
        # Back to the shape that came in, but for its last axis.
        shape, leading, whole = self._name(), self._name(), self._name()
        yield self._node("Shape", [rows], shape)
        yield self._node("Slice", [shape, self._ints(0), self._ints(-1)], leading)
        yield self._node("Concat", [leading, self._ints(columns)], whole, axis=0)
        yield self._node("Reshape", [scaled, whole], output)

    def _steps_of(self, matrix: onnx.TensorProto) -> tuple[int, int, str, str]:
        """(K, N, the matrix in steps, the scale of each column): once for all that share it."""
        if matrix.name not in self._weights:
            weights = self._to_array(matrix)
            scales = (np.abs(weights).max(axis=0) / STEPS).clip(MIN_SCALE).astype(np.float32)
            steps = np.round(weights / scales).astype(np.int8)
            self._weights[matrix.name] = *weights.shape, self._constant(steps), self._constant(scales)
        return self._weights[matrix.name]

    def _quantised(self, rows: str, inner: int) -> Iterator[onnx.NodeProto]:
        # Not DynamicQuantizeLinear, which would be one node: its scale is that of the whole tensor.
        flat, size, largest, fraction, scales, line, count, zeros, quantised = (
            self._name() for _ in range(9)
        )
        yield self._node("Reshape", [rows, self._ints(-1, inner)], flat)
        yield self._node("Abs", [flat], size)
        yield self._node("ReduceMax", [size], largest, axes=[-1], keepdims=1)
        yield self._node("Mul", [largest, self._per_step], fraction)
        yield self._node("Max", [fraction, self._minimum], scales)
        yield self._node("Reshape", [scales, self._flat], line)
        yield self._node("Shape", [line], count)
        yield self._node("Expand", [self._zero_points, count], zeros)
        yield self._node("QuantizeLinear", [flat, line, zeros], quantised, axis=0)
        self._done[rows] = quantised, scales

    def _ints(self, *values: int) -> str:
        return self._constant(np.array(values, dtype=np.int64))

    def _constant(self, value: np.ndarray) -> str:
        name = self._name()
        self.constants.append(self._to_tensor(value, name))
        return name

    def _name(self) -> str:
        self._count += 1
        return f"rows.{self._count}"

    @staticmethod
    def _node(
        kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any
    ) -> onnx.NodeProto:
        from onnx import helper  # only where a network is prepared

        return helper.make_node(kind, inputs, [output], domain=domain, **attributes)
