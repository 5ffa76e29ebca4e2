"""The one detector that decides on pairs which the reactor's encoder found, in a scan and live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from kimera.console import changed
from kimera.detectors import Chain
from kimera.errors import UserError
from kimera.local_names import REACTOR, LocalName, local_kind, local_names, require_stage, stages_in
from kimera.local_settings import LocalSettings, require_models, sources_of
from kimera.models import PACKAGED_NAMES
from kimera.reactor_settings import ReactorSettings, reactor_of

if TYPE_CHECKING:
    from kimera.detectors import VerdictSource
    from kimera.reactor import Reactor, Stages


# What a reactor takes whose named stage decides; its head screens in any case.
_STAGES: Mapping[str, Stages] = {
    "screen": "screen",
    "verify": "both",
    "deep": "screen,deep",
    "screen,verify,deep": "screen,verify,deep",
}


@dataclass(frozen=True, kw_only=True)
class DecidingSettings(LocalSettings):
    """Which detector decides."""

    local: tuple[str, ...] = changed(
        LocalSettings,
        "local",
        help="the local detector that reads the candidates: kimera or kimera:verify, the cross-encoder; "
        "kimera:deep, the large one; kimera:screen, the head; an NLI model or sentence-transformers "
        "CrossEncoder by its name on the Hugging Face hub or its folder; MODULE:FUNCTION or "
        "FILE.py:FUNCTION, which takes a list of (text1, text2) and gives scores or verdicts; or several of "
        "these, 'A>B': B gets what A is not sure of. "
        "TITLE= names it in the findings (default: kimera)",
    )


class Deciding(NamedTuple):
    """Who finds candidates and who decides on them.

    reactor: its encoder and its head, if it has one, find the candidates. source: decides, None where the
    reactor's deciding stage does.
    """

    reactor: Reactor
    source: VerdictSource | None


def deciding_name(local: LocalSettings) -> LocalName:
    """The one that decides. Raises UserError for several, and for one that can say nothing of these pairs."""
    if len(local.local) > 1:
        chained = ">".join(local.local)
        raise UserError(
            "--local: one detector decides on the candidates; give it once, or several as a chain: "
            f"{chained!r}"
        )
    [name] = names = local_names(local.local)
    if file := next((stage for stage in stages_in(names) if local_kind(stage).is_replayed), None):
        raise UserError(
            f"--local {file.kind}:{file.rest}: which pairs are asked about is found only now, so no file "
            "holds their scores; give kimera, an NLI model or a function"
        )
    for stage in filter(is_reactor, stages_in(names)):
        require_stage(stage.rest)
    require_models(local, names)
    return name


def is_reactor(name: LocalName) -> bool:
    return name.kind == REACTOR


def is_calibrated(name: LocalName) -> bool:
    """Whether its scores are calibrated: those of the reactor's stages are."""
    return all(map(is_reactor, stages_in([name])))


def keeps_scores(source: VerdictSource | None) -> bool:
    """Whether the cache keeps all its scores: those of the reactor, None here, and of NLI models."""
    if isinstance(source, Chain):
        return all(map(keeps_scores, source.sources.values()))
    return source is None or "read_from_cache" in source.counts


def given_to_stages(source: VerdictSource | None) -> Mapping[str, int]:
    """How many pairs each stage was given, by its name, where a chain decides; empty elsewhere."""
    return {name: source.given.get(name, 0) for name in source.sources} if isinstance(source, Chain) else {}


def check_deciding(settings: ReactorSettings, name: LocalName) -> None:
    """Raises UserError for weights that would read nothing."""
    given = {"--verify-weights": settings.verify_weights, "--deep-weights": settings.deep_weights}
    for flag in (flag for flag, weights in given.items() if weights):
        if not any(map(is_reactor, stages_in([name]))):
            raise UserError(
                f"{flag} are those of the reactor's cross-encoder, and {name.title} decides; leave out one "
                f"of {flag} and --local"
            )


def finding_reactor(settings: ReactorSettings, name: LocalName, stages: Stages | None) -> Reactor:
    """The reactor that finds the candidates, and decides on them where `name` is its own.

    stages: of a reactor that decides and whose name asks for none. Raises UserError where `Reactor` does.
    """
    if is_reactor(name):
        return reactor_of(settings, _STAGES.get(name.rest, stages))
    has_head = settings.head is not None or settings.encoder in PACKAGED_NAMES
    finding = replace(settings, verify_weights=None, deep_weights=None, symmetric=False)
    # Of a reactor without a head only the encoder is used: its cross-encoder is never loaded.
    return reactor_of(finding, "screen" if has_head else "verify")


def deciding_of(
    settings: ReactorSettings, local: LocalSettings, name: LocalName, stages: Stages | None
) -> Deciding:
    """Both, made from the settings. Raises UserError for what cannot be made."""
    check_deciding(settings, name)
    if is_reactor(name):
        return Deciding(finding_reactor(settings, name, stages), None)
    [source] = sources_of(settings, local, None, [name]).values()
    return Deciding(finding_reactor(settings, name, stages), source)
