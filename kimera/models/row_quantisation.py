"""Quantises the matrix products of an ONNX model to int8, each row of the activations by itself.

onnxruntime's own dynamic quantisation takes one scale for a whole batch, so that what a text scores depends
on the texts beside it. Here every token's activations have a scale of their own (symmetric, the largest value
is 127 steps), and every column of the weights has one.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    from onnx import helper, numpy_helper  # only where a network is prepared

    graph = model.graph
    matrices = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 2}
    quantiser = _Quantiser()
    nodes: list[onnx.NodeProto] = []
    replaced: set[str] = set()
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in matrices:
            weights = numpy_helper.to_array(matrices[node.input[1]])
            nodes += quantiser.product(node.input[0], weights, node.output[0])
            replaced.add(node.input[1])
        else:
            nodes.append(node)
    kept = [tensor for tensor in graph.initializer if tensor.name not in replaced]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *quantiser.constants])
    model.opset_import.append(helper.make_opsetid(CONTRIB, 1))


class _Quantiser:
    """Makes the nodes that stand for a product; inputs that several products share are quantised once."""

    def __init__(self) -> None:
        from onnx import numpy_helper  # only where a network is prepared

        self._count = 0
        self._done: dict[str, tuple[str, str]] = {}  # input -> (its uint8 rows, their scales)
        self._to_tensor = numpy_helper.from_array
        self.constants: list[onnx.TensorProto] = []
        self._per_step = self._constant(np.array(1 / STEPS, dtype=np.float32))
        self._minimum = self._constant(np.array(MIN_SCALE, dtype=np.float32))
        self._one = self._constant(np.array(1.0, dtype=np.float32))
        self._zero_point = self._constant(np.array(ZERO_POINT, dtype=np.uint8))
        self._zero_points = self._constant(np.array([ZERO_POINT], dtype=np.uint8))
        self._flat = self._constant(np.array([-1], dtype=np.int64))

    def product(self, rows: str, weights: np.ndarray, output: str) -> Iterator[onnx.NodeProto]:
        """The nodes of rows @ weights. rows: float32 of shape (..., K); weights: float32 of shape (K, N)."""
        inner, columns = weights.shape
        if rows not in self._done:
            yield from self._quantised(rows, inner)
        quantised, scales = self._done[rows]
        weight_scales = (np.abs(weights).max(axis=0) / STEPS).clip(MIN_SCALE).astype(np.float32)
        steps = np.round(weights / weight_scales).astype(np.int8)
        # The operator takes one scale for all rows of activations, here 1; each row's own comes afterwards.
        product, scaled = self._name(), self._name()
        yield self._node(
            "MatMulIntegerToFloat",
            [quantised, self._constant(steps), self._one, self._constant(weight_scales), self._zero_point],
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
