"""Networks on onnxruntime: exported once, quantised where asked, kept in the cache folder.

Once a model is there, neither torch nor transformers is imported for it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from kimera.row_quantisation import quantise_rows
from kimera.tokens import Tokens, batches_of_one_length

if TYPE_CHECKING:
    import onnxruntime
    import torch

Precision: TypeAlias = Literal["int8", "float32"]

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OPSET = 17
TOKENS_PER_BATCH = 2048
# Changes whenever this module would make another file of the same network.
RECIPE = "1"


class OnnxModel:
    """A network of token ids on onnxruntime.

    threads: None for all cores. What a sequence gives does not depend on what runs beside it: only sequences
    of one length share a batch, so nothing is padded, and int8 scales belong to a token.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; it warns of constants that its own optimiser has replaced
        options.intra_op_num_threads = threads or 0
        self._session: onnxruntime.InferenceSession = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def run(self, tokens: Tokens) -> np.ndarray:
        """The network's output for all sequences, float32, in their order."""
        outputs: np.ndarray | None = None
        for rows in batches_of_one_length(tokens.lengths, TOKENS_PER_BATCH):
            [found] = self._session.run(None, dict(zip(INPUTS, tokens.padded(rows), strict=True)))
            if outputs is None:
                outputs = np.empty((len(tokens), *found.shape[1:]), dtype=np.float32)
            outputs[rows] = found
        return np.empty((0, 0), dtype=np.float32) if outputs is None else outputs


def onnx_file(
    folder: Path, name: str, fingerprint: str, precision: Precision, build: Callable[[], torch.nn.Module]
) -> Path:
    """The exported file of a network, made if it is not there, which takes some seconds and says so.

    folder: of caches. fingerprint: names the network's weights and what it gives. build: makes the network,
    which takes the three inputs of `INPUTS` and gives one output; called only where the file is missing.
    Written whole or not at all; two processes that start at once both write the same.
    """
    key = hashlib.sha256(f"{fingerprint}\0{precision}\0{RECIPE}".encode()).hexdigest()[:16]
    path = folder / "models" / f"{name}-{precision}-{key}.onnx"
    if not path.exists():
        print(f"kimera: preparing {name} in {precision}, once, as {path}", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            _export(build(), part, precision)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    return path


def _export(network: torch.nn.Module, path: Path, precision: Precision) -> None:
    import torch

    example = torch.ones((2, 7), dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants in traced code, which are constant here
        torch.onnx.export(
            network.eval(),
            (example,) * len(INPUTS),
            str(path),
            input_names=list(INPUTS),
            output_names=["output"],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in INPUTS} | {"output": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    if precision == "int8":
        import onnx

        model = onnx.load(path)
        quantise_rows(model)
        onnx.save(model, path)
