"""The settings of every command that runs the reactor, and the reactor that they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from kimera.cache import CacheSettings
from kimera.console import changed, note, option, whole
from kimera.errors import UserError
from kimera.models import DEEP_MODEL, DEFAULT_MODEL, Backend, Device, Precision
from kimera.reactor_stages import ALL, WEIGHTS, Stages, stages_of
from kimera.workers import EngineName

if TYPE_CHECKING:
    from kimera.cache import EmbeddingCache
    from kimera.reactor import Reactor, Stages
    from kimera.workers import Engine


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Which weights compute, on what."""

    verify_weights: str | None = option(
        None,
        "--verify-weights",
        metavar="FILE",
        identity=True,
        path=True,
        help="cross-encoder weights that kimera train --stage verify wrote",
    )
    deep_weights: str | None = option(
        None,
        "--deep-weights",
        metavar="FILE",
        identity=True,
        path=True,
        help="weights of the stage deep that kimera train --stage deep wrote",
    )
    deep_base: str = option(
        DEEP_MODEL,
        "--deep-base",
        metavar="NAME",
        identity=True,
        path=True,
        help="folder of the model that the stage deep was made from (default: %(default)s, looked for in the "
        "Hugging Face cache, the installed packages and on the hub)",
    )
    stage_bounds: str | None = option(
        None,
        "--stage-bounds",
        metavar="FILE",
        identity=True,
        path=True,
        help="bounds between the stages screen, verify and deep that kimera train --stage bounds wrote "
        "(default: those of the shipped weights)",
    )
    encoder: str = option(
        DEFAULT_MODEL,
        "--encoder",
        metavar="NAME",
        identity=True,
        path=True,
        help="a sentence-transformers model by name or path (default: %(default)s, shipped)",
    )
    head: str | None = option(
        None,
        "--head",
        metavar="FILE",
        identity=True,
        path=True,
        help="head weights that kimera train wrote (required with another encoder)",
    )
    backend: Backend | None = option(
        None,
        "--backend",
        choices=get_args(Backend),
        identity=True,
        help="library that computes the networks (default: onnx on a CPU; torch on a GPU, and for a network "
        "that onnx cannot run)",
    )
    precision: Precision | None = option(
        None,
        "--precision",
        choices=get_args(Precision),
        identity=True,
        help="number format; int8 is faster and a little less exact (default: int8 on onnx, float32 on "
        "torch, float16 on a GPU)",
    )
    device: Device = option(
        "cpu",
        "--device",
        choices=get_args(Device),
        identity=True,
        help="device to compute on; auto takes a GPU if torch finds one (default: %(default)s)",
    )


@dataclass(frozen=True, kw_only=True)
class _WorkSettings:
    """Where the work is done, and how often."""

    mp: int | None = option(
        None,
        "--mp",
        type=whole(1),
        metavar="N",
        help="use N processes of one thread each (default: one process with all cores)",
    )
    engine: EngineName = option(
        "local",
        "--engine",
        choices=get_args(EngineName),
        help="where to compute: local is this machine; ray is the workers of a Ray cluster, one for each of "
        "its CPUs unless --mp sets their number (default: %(default)s)",
    )
    ray_address: str | None = option(
        None,
        "--ray-address",
        metavar="HOST:PORT",
        outward=True,
        help="address of the Ray cluster that this machine belongs to, or auto (default: RAY_ADDRESS; if "
        "that is not set, Ray is started on this machine and stopped at the end)",
    )
    symmetric: bool = option(
        False,
        "--symmetric",
        identity=True,
        help="read each pair in both orders with the cross-encoder and take the mean; takes twice the time",
    )


@dataclass(frozen=True, kw_only=True)
class ReactorSettings(ModelSettings, _WorkSettings):  # the fields of the last base come first
    """All of them, and the cache. Commands that offer a choice of stages declare it themselves."""

    no_cache: bool = option(
        False,
        "--no-cache",
        overrules=("cache_size", "cache_dir"),
        help="keep no embeddings or scores on disk",
    )
    cache_size: int | None = changed(CacheSettings, "cache_size", overrules=("no_cache",))
    cache_dir: str | None = changed(CacheSettings, "cache_dir", overrules=("no_cache",))


HEAD_ALONE = (
    "with --head that head alone gives the verdicts, no cross-encoder reads them; with --reactor both "
    "a cross-encoder gives the verdicts, and the head's scores stand beside them"
)


def check_cache(settings: ReactorSettings) -> None:
    """Raises UserError for settings of the cache that contradict each other."""
    if settings.no_cache and (settings.cache_size or settings.cache_dir):
        raise UserError(
            "--no-cache keeps nothing on disk, so it cannot be combined with --cache-size or --cache-dir"
        )


def idle_address(ray_address: str | None, engine: EngineName) -> Iterator[str]:
    """A note of an address that does nothing."""
    if ray_address and engine == "local":
        yield "--ray-address has no effect without --engine ray"


def check_reactor(settings: ReactorSettings) -> None:
    """`check_cache`, and a note of a setting that does nothing beside the others."""
    check_cache(settings)
    for told in idle_address(settings.ray_address, settings.engine):
        note(told)


def models_of(settings: ModelSettings) -> dict[str, Any]:
    """What `Reactor` takes of these settings, by the names of its parameters."""
    return {
        "encoder": settings.encoder,
        "head": settings.head,
        "cross_encoder": settings.verify_weights,
        "deep": settings.deep_weights,
        "deep_base": settings.deep_base,
        "bounds": settings.stage_bounds,
        "backend": settings.backend,
        "precision": settings.precision,
        "device": settings.device,
    }


def of_stages(settings: ReactorSettings, stages: Stages) -> ReactorSettings:
    """The same without what only stages that are not used would take."""
    used = stages_of(stages)
    idle: dict[str, Any] = {name: None for stage, name in WEIGHTS.items() if stage not in used}
    if used != ALL:
        idle["stage_bounds"] = None
    return replace(settings, **idle, symmetric=settings.symmetric and used != ("screen",))


def cache_of(settings: ReactorSettings) -> EmbeddingCache | None:
    """Where what is computed is kept; None keeps nothing."""
    from kimera.cache import MAX_BYTES, EmbeddingCache  # numpy among it, for which --help need not wait

    if settings.no_cache:
        return None
    return EmbeddingCache(settings.cache_dir, max_bytes=settings.cache_size or MAX_BYTES)


def engine_of(settings: ReactorSettings) -> Engine:
    """What runs the workers."""
    from kimera.workers import Engine  # as above

    return Engine(settings.engine, settings.ray_address)


def reactor_of(settings: ReactorSettings, stages: Stages | None) -> Reactor:
    """The reactor of these settings. Raises `UserError` where `Reactor` does."""
    from kimera.reactor import Reactor  # as above

    reactor = Reactor(
        **models_of(settings),
        cache=cache_of(settings),
        stages=stages,
        symmetric=settings.symmetric,
        engine=engine_of(settings),
    )
    if settings.head and stages is None and reactor.stages == "screen":
        note(HEAD_ALONE)
    return reactor
