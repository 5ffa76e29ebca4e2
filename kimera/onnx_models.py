"""Networks on onnxruntime: exported once, quantised where asked, kept in the cache folder.

Once a model is there, neither torch nor transformers is imported for it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kimera.errors import UserError
from kimera.row_quantisation import quantise_rows
from kimera.runtime import Precision
from kimera.tokens import Tokens, batches_of_one_length

if TYPE_CHECKING:
    import onnxruntime
    import torch

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OPSET = 17
MODELS = "models"  # the folder, inside that of the caches
TOKENS_PER_BATCH = 2048
# Changes whenever this module would make another file of the same network.
RECIPE = "1"


class OnnxModel:
    """A network of token ids on onnxruntime.

    threads: None for as many as there are cores. Each takes a batch of its own, which is quicker than all of
    them on one. What a sequence gives does not depend on what runs beside it: only sequences of one length
    share a batch, so nothing is padded, and int8 scales belong to a token.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; it warns of constants that its own optimiser has replaced
        options.intra_op_num_threads = 1
        self._session: onnxruntime.InferenceSession = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._threads = ThreadPoolExecutor(threads or _cores())

    def batches(self, tokens: Tokens) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (rows, the network's output for these sequences as float32), longest sequences first."""
        batches = list(batches_of_one_length(tokens.lengths, TOKENS_PER_BATCH))
        yield from zip(
            batches, self._threads.map(functools.partial(self._output, tokens), batches), strict=True
        )

    def _output(self, tokens: Tokens, rows: np.ndarray) -> np.ndarray:
        [found] = self._session.run(None, dict(zip(INPUTS, tokens.padded(rows), strict=True)))
        return found


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_onnx(
    folder: Path,
    name: str,
    fingerprint: str,
    precision: Precision,
    build: Callable[[], torch.nn.Module],
    threads: int | None,
) -> OnnxModel | None:
    """The network on onnxruntime; None with a warning where that fails, so that torch has to do the work.

    For the arguments see `onnx_file` and `OnnxModel`. A file that cannot be read is made anew, once.
    Raises `UserError` where `build` does: the model itself is at fault.
    """
    try:
        path = onnx_file(folder, name, fingerprint, precision, build)
        try:
            return OnnxModel(path, threads)
        except Exception as error:  # onnxruntime has a dozen kinds for a file that it cannot read
            print(f"kimera: {path} cannot be read ({type(error).__name__})", file=sys.stderr)
            path.unlink(missing_ok=True)  # another process may have found it first
        return OnnxModel(onnx_file(folder, name, fingerprint, precision, build), threads)
    except UserError:
        raise
    except Exception as error:  # torch and onnxruntime raise a dozen kinds; each leaves torch
        why = f"no network for onnxruntime could be made ({type(error).__name__}: {error})"
        warnings.warn(f"{why}; torch is used, in float32", stacklevel=5)
        return None


def onnx_file(
    folder: Path, name: str, fingerprint: str, precision: Precision, build: Callable[[], torch.nn.Module]
) -> Path:
    """The exported file of a network, made if it is not there, which takes some seconds and says so.

    folder: of caches. fingerprint: names the network's weights and what it gives. build: makes the network,
    which takes the three inputs of `INPUTS` and gives one output; called only where the file is missing.
    Written whole or not at all; two processes that start at once both write the same.
    """
    key = hashlib.sha256(f"{fingerprint}\0{precision}\0{RECIPE}".encode()).hexdigest()[:16]
    path = folder / MODELS / f"{name}-{precision}-{key}.onnx"
    if not path.exists():
        print(f"kimera: preparing {name} in {precision}, once, as {path}", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as own:  # others may be making the same
            part = Path(own) / path.name
            _export(build(), part, precision)
            os.replace(part, path)
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
