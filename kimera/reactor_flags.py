"""The flags of every command that runs the reactor, what they take, and the reactor that they ask for."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from kimera.commands import as_called
from kimera.engine import add_engine_flags, engine_of
from kimera.errors import UserError
from kimera.flags import TakesFlags
from kimera.standard_output import note

if TYPE_CHECKING:
    from kimera.reactor import Reactor, Stages


def add_reactor_flags(group: TakesFlags) -> None:
    group.add_argument(
        "--mp",
        type=whole(1),
        metavar="N",
        help="use N processes of one thread each (default: one process with all cores)",
    )
    add_engine_flags(group)
    group.add_argument(
        "--symmetric",
        action="store_true",
        help="read each pair in both orders with the cross-encoder and take the mean; takes twice the time",
    )
    add_model_flags(group)
    group.add_argument("--no-cache", action="store_true", help="keep no embeddings or scores on disk")
    group.add_argument(
        "--cache-size",
        type=size,
        metavar="SIZE",
        help="maximum size of the cache on disk, e.g. 500M or 4G; the oldest entries are deleted (default: "
        "2G)",
    )
    group.add_argument(
        "--cache-dir",
        metavar="DIR",
        help="folder of the cache (default: KIMERA_CACHE_DIR, or the user's cache folder)",
    )


def add_model_flags(group: TakesFlags) -> None:
    """Which weights compute, on what."""
    group.add_argument(
        "--verify-weights",
        metavar="FILE",
        help=as_called("cross-encoder weights that kimera train --stage verify wrote"),
    )
    group.add_argument(
        "--encoder",
        default="all-MiniLM-L6-v2",
        metavar="NAME",
        help="a sentence-transformers model by name or path (default: all-MiniLM-L6-v2, shipped)",
    )
    group.add_argument(
        "--head",
        metavar="FILE",
        help=as_called("head weights that kimera train wrote (required with another encoder)"),
    )
    group.add_argument(
        "--backend",
        choices=("onnx", "torch"),
        help="library that computes (default: onnx; torch on a GPU and for models that onnx cannot run)",
    )
    group.add_argument(
        "--precision",
        choices=("int8", "float16", "float32"),
        help="number format; int8 is faster and a little less exact (default: int8 on onnx, float32 on "
        "torch, float16 on a GPU)",
    )
    group.add_argument(
        "--device",
        choices=("cpu", "cuda", "mps", "auto"),
        default="cpu",
        help="device to compute on; auto takes a GPU if torch finds one (default: cpu)",
    )


def check_cache_flags(options: argparse.Namespace) -> None:
    """Raises UserError for flags of the cache that contradict each other."""
    if options.no_cache and (options.cache_size or options.cache_dir):
        raise UserError(
            "--no-cache keeps nothing on disk, so it cannot be combined with --cache-size or --cache-dir"
        )


def check_reactor_flags(options: argparse.Namespace) -> None:
    """`check_cache_flags`, and a note of a flag that does nothing beside the others."""
    check_cache_flags(options)
    if options.ray_address and options.engine == "local":
        note("--ray-address has no effect without --engine ray")


def reactor_of(options: argparse.Namespace, stages: Stages | None) -> Reactor:
    """The reactor of these flags. Raises `UserError` where `Reactor` does."""
    from kimera.cache import MAX_BYTES, EmbeddingCache
    from kimera.reactor import Reactor

    max_bytes = options.cache_size or MAX_BYTES
    return Reactor(
        options.encoder,
        options.head,
        None if options.no_cache else EmbeddingCache(options.cache_dir, max_bytes=max_bytes),
        stages=stages,
        cross_encoder=options.verify_weights,
        symmetric=options.symmetric,
        backend=options.backend,
        precision=options.precision,
        device=options.device,
        engine=engine_of(options),
    )


def add_old_name(group: TakesFlags, flag: str, dest: str, type: Callable[[str], object]) -> None:
    """An earlier spelling of a flag, which goes on working and is not shown."""
    group.add_argument(flag, dest=dest, type=type, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def whole(minimum: int) -> Callable[[str], int]:
    """For argparse: a whole number of at least `minimum`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= minimum):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}")
        return int(text)

    return parse


def share(text: str) -> float:
    """For argparse: a share from 0 to 1, both included."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")


def size(text: str) -> int:
    """For argparse: 500M, 4G, or a plain number of bytes."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    with contextlib.suppress(ValueError, OverflowError):
        found = int(float(number) * {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}.get(unit, -1))
        if found > 0:
            return found
    raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500M or 4G")
