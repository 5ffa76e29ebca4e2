"""Networks on onnxruntime: made once, quantised where asked, kept in the cache folder."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kimera.cache import MODELS
from kimera.console import interrupts_withheld
from kimera.errors import UserError
from kimera.models.bert_graph import INPUTS, OPSET, OUTPUT
from kimera.models.row_quantisation import quantise_rows
from kimera.models.runtime import Precision
from kimera.models.tokens import Tokens, batches_of_one_length
from kimera.workers import usable_cores

# These are imported where they are used: on warm caches no network is run (onnxruntime), one that is prepared
# needs no onnx, and few need torch.
if TYPE_CHECKING:
    import onnx
    import onnxruntime
    import torch

TOKENS_PER_BATCH = 512  # more do not fit into a core's cache: 2,048 took a twelfth more CPU time
# Changes whenever this module would make another file of the same network.
RECIPE = "2"


class OnnxModel:
    """A network of token ids on onnxruntime.

    source: the path of its file, or what the file would hold.
    threads: None for as many as there are cores. Each takes a batch of its own, which is quicker than all of
    them on one. What a sequence gives does not depend on what runs beside it: only sequences of one length
    share a batch, so nothing is padded, and int8 scales belong to a token.
    """

    def __init__(self, source: Path | bytes, threads: int | None = None) -> None:
        with interrupts_withheld():  # amid it a Ctrl-C becomes an ImportError, and torch would take over
            import onnxruntime  # on warm caches no network is run

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; it warns of constants that its own optimiser has replaced
        options.intra_op_num_threads = 1
        self._session: onnxruntime.InferenceSession = onnxruntime.InferenceSession(
            source if isinstance(source, bytes) else str(source), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {node.name for node in self._session.get_inputs()}  # not all networks take all three
        self._cores = threads or usable_cores()
        self._threads = ThreadPoolExecutor(self._cores)

    def batches(self, tokens: Tokens) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (rows, the network's output for these sequences as float32), longest sequences first."""
        share = -(-int(tokens.lengths.sum()) // self._cores)  # of few sequences each core gets some, too
        batches = list(batches_of_one_length(tokens.lengths, TOKENS_PER_BATCH, share))
        yield from zip(
            batches, self._threads.map(functools.partial(self._output, tokens), batches), strict=True
        )

    def _output(self, tokens: Tokens, rows: np.ndarray) -> np.ndarray:
        output: np.ndarray
        arrays = zip(INPUTS, tokens.padded(rows), strict=True)
        [output] = self._session.run(None, {name: array for name, array in arrays if name in self._inputs})
        return output


def open_onnx(
    folder: Path,
    name: str,
    fingerprint: str,
    precision: Precision,
    build: Callable[[], onnx.ModelProto],
    threads: int | None,
    *,
    is_bound: bool = False,
) -> OnnxModel | None:
    """The network on onnxruntime; None with a warning where that fails, so that torch has to do the work.

    is_bound: whether outputs that were made with it before have to be gone on with. For the other arguments
    see `prepared` and `OnnxModel`.
    Raises `UserError` where `build` does: the model itself is at fault; and where it fails and `is_bound`.
    """
    try:
        return OnnxModel(prepared(folder, name, fingerprint, precision, build), threads)
    except UserError:
        raise
    except Exception as error:  # torch and onnxruntime raise a dozen kinds; each leaves torch
        why = f"no network for onnxruntime could be made ({type(error).__name__}: {error})"
        if is_bound:
            raise UserError(
                f"{why}, and earlier verdicts of this run were made with one, in {precision}. Begin a new run"
            ) from error
        warnings.warn(f"{why}; torch is used, in float32", stacklevel=5)
        return None


def prepared(
    folder: Path, name: str, fingerprint: str, precision: Precision, build: Callable[[], onnx.ModelProto]
) -> Path | bytes:
    """The file of a network, made if it is not there; its content where it cannot be written.

    folder: of caches. fingerprint: names the network's weights and what it gives. build: makes the network,
    in float32, which takes the three inputs of `INPUTS` and gives one output; called only where the file is
    missing. A file is written whole or not at all, and its name ends with the digest of what it holds: one
    that was damaged is made anew. Two processes that start at once both write the same.
    """
    key = hashlib.sha256(f"{fingerprint}\0{precision}\0{RECIPE}".encode()).hexdigest()[:16]
    stem = f"{name}-{precision}-{key}"
    for path in (folder / MODELS).glob(f"{stem}-*.onnx"):
        if _is_whole(path):
            return path
        print(f"kimera: {path} is damaged and is prepared again", file=sys.stderr)
        with contextlib.suppress(OSError):  # another process may have been faster
            path.unlink()
    print(f"kimera: preparing {name} in {precision}, once, in {folder / MODELS}", file=sys.stderr)
    content = _content(build(), precision)
    path = folder / MODELS / f"{stem}-{_digest(io.BytesIO(content))}.onnx"
    try:
        _write(path, content)
    except OSError as error:
        print(
            f"kimera: {path} cannot be written ({error}), so every start prepares it again", file=sys.stderr
        )
        return content
    return path


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return path.stem.endswith(f"-{_digest(stream)}")
    except OSError:
        return False


def _digest(stream: io.BufferedIOBase) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _content(model: onnx.ModelProto, precision: Precision) -> bytes:
    if precision == "int8":
        quantise_rows(model)
    return bytes(model.SerializeToString())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as own:  # others may be making the same
        part = Path(own) / path.name
        part.write_bytes(content)
        os.replace(part, path)


def exported(network: torch.nn.Module) -> onnx.ModelProto:
    """A network of torch that takes the three inputs of `INPUTS` and gives one output, as torch writes it."""
    # Few networks need them; see the top of this module.
    import onnx
    import torch

    example = torch.ones((2, 7), dtype=torch.long)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants in traced code, which are constant here
        torch.onnx.export(
            network.eval(),
            (example,) * len(INPUTS),
            (path := str(Path(folder) / "network.onnx")),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in INPUTS} | {OUTPUT: {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
        return onnx.load(path)
