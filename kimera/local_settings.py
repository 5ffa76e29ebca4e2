"""Which local detectors compute: the settings, and the detectors that they ask for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kimera.console import confidence, option, positive, whole
from kimera.detectors import SURE
from kimera.errors import UserError
from kimera.local_names import (
    CHAIN,
    FUNCTION,
    MODEL,
    REACTOR,
    Asked,
    LocalName,
    absolute_name,
    local_kind,
    stages_in,
)
from kimera.reactor_settings import ReactorSettings
from kimera.reactor_stages import WEIGHTS

if TYPE_CHECKING:
    from kimera.detectors import VerdictSource
    from kimera.reactor_stages import Stages


@dataclass(frozen=True, kw_only=True)
class LocalSettings:
    """Which detectors compute on this machine."""

    local: tuple[str, ...] = option(
        (),
        "--local",
        repeated=True,
        metavar="[TITLE=]NAME",
        identity=True,
        outward=True,
        kept=absolute_name,
        help="a local detector; repeat the flag for several, side by side. kimera, kimera:screen, "
        "kimera:verify; an NLI model or sentence-transformers CrossEncoder by its name on the Hugging Face "
        "hub or its folder; MODULE:FUNCTION or FILE.py:FUNCTION, which takes a list of (text1, text2) and "
        "gives scores or verdicts; scores:FILE, verdicts or scores that something else wrote, or of a run's "
        "results.csv scores:FILE#NAME, those of one detector; judge:FILE, those of a judge; or several, "
        "'A>B': B gets what A is not sure of. TITLE= names it in the report (default: kimera)",
    )
    labels: tuple[str, ...] = option(
        (),
        "--labels",
        repeated=True,
        metavar="[TITLE=]A,B,...",
        identity=True,
        help="what the outputs of an NLI model mean, in their order, where its own configuration does not "
        "say: contradiction,entailment,neutral; or consistent for a model with one output",
    )
    revision: tuple[str, ...] = option(
        (),
        "--revision",
        repeated=True,
        metavar="[TITLE=]REVISION",
        identity=True,
        help="branch, tag or commit of an NLI model on the hub (default: main)",
    )
    batch_size: int = option(
        32,
        "--batch-size",
        type=whole(1),
        metavar="N",
        help="maximum number of pairs that a function of yours is given at once (default: %(default)s)",
    )
    batch_timeout: float | None = option(
        None,
        "--batch-timeout",
        type=positive,
        metavar="S",
        help="time limit of one such call, in seconds (default: none)",
    )
    sure: float = option(
        SURE,
        "--sure",
        type=confidence,
        metavar="C",
        identity=True,
        help="confidence from which a stage's verdict stands, where several local detectors go one after the "
        "other (default: %(default)s)",
    )


def sources_of(
    settings: ReactorSettings,
    local: LocalSettings,
    stages: Stages | None,
    names: Sequence[LocalName],
    pair_columns: Mapping[str, str] | None = None,
    *,
    in_chain: bool = False,
) -> dict[str, VerdictSource]:
    """The local detectors of these names by their titles. stages: of a reactor whose name asks for none.

    pair_columns: of id, text1 and text2, how their columns in the file of pairs are called, where told.

    Raises UserError for one that cannot be made.
    """
    labels, revisions = _told(local.labels), _told(local.revision)
    columns = pair_columns or {}
    return {
        name.title: local_kind(name).make(
            Asked(
                name.rest,
                settings,
                stages,
                labels.get(name.title, labels.get("")),
                revisions.get(name.title, revisions.get("")),
                local.batch_size,
                local.batch_timeout,
                local.sure,
                columns,
                in_chain,
                partial(sources_of, settings, local, stages, pair_columns=columns, in_chain=True),
            )
        )
        for name in names
    }


def _of_unused_stages(names: Sequence[LocalName]) -> set[str]:
    """The weights of those that none of the reactors has; each names its stages."""
    used = {stage for name in names if name.kind == REACTOR for stage in name.rest.split(",")}
    return {setting for stage, setting in WEIGHTS.items() if stage not in used}


def _told(given: Sequence[str]) -> dict[str, str]:
    """What a flag tells of each NLI model by its title; without a title, of all others."""
    return {title: value for title, _, value in (item.rpartition("=") for item in given)}


def to_be_fetched(
    names: Sequence[LocalName], settings: ReactorSettings, local: LocalSettings, stages: Stages | None
) -> list[str]:
    """Models that are not on this machine, so that making these detectors would fetch them from the hub.

    stages: of a reactor whose name asks for none.
    """
    from kimera.models import DEEP_MODEL, DEEP_NAMES, has_deep_base, is_cached  # --help need not wait for it

    revisions = _told(local.revision)
    wanted: list[str] = []
    for stage in stages_in(names):
        if stage.kind == MODEL and not os.path.isdir(stage.rest):
            revision = revisions.get(stage.title, revisions.get(""))
            wanted += [stage.rest] * (not is_cached(stage.rest, revision))
        if stage.kind == REACTOR and "deep" in (stage.rest or stages or ""):
            is_named = settings.deep_base in DEEP_NAMES
            wanted += [DEEP_MODEL] * (is_named and not has_deep_base())
    return list(dict.fromkeys(wanted))


def require_models(local: LocalSettings, names: Sequence[LocalName]) -> None:
    """Raises UserError for a flag about an NLI model that none of these is."""
    titles = [name.title for name in stages_in(names) if name.kind == MODEL]
    for flag, given in (("--labels", local.labels), ("--revision", local.revision)):
        for title in _told(given):
            if not titles:
                raise UserError(f"{flag}: no local detector is an NLI model; give --local MODEL")
            if title and title not in titles:
                raise UserError(
                    f"{flag} {title}=...: no NLI model of this run is called so; they are {', '.join(titles)}"
                )


def run_code(names: Sequence[LocalName]) -> list[LocalName]:
    """Those whose making runs code of the user's."""
    return [name for name in names if any(local_kind(stage).runs_code for stage in stages_in([name]))]


def idle_options(names: Sequence[LocalName]) -> set[str]:
    """The settings, by name, that do nothing for any of these detectors."""
    stages = list(stages_in(names))
    kinds = {name.kind for name in stages}
    of_reactor = {"reactor", "encoder", "head", "verify_weights", "deep_weights", "deep_base", "stage_bounds"}
    of_models = {"symmetric", "backend", "precision", "device", "no_cache", "cache_size", "cache_dir"}
    idle = set() if REACTOR in kinds else of_reactor
    if all(name.rest for name in stages if name.kind == REACTOR):
        idle |= {"reactor", *_of_unused_stages(stages)}
    if not kinds & {REACTOR, MODEL}:
        idle |= of_models
    if FUNCTION not in kinds:
        idle |= {"batch_size", "batch_timeout"}
    return idle if any(name.kind == CHAIN for name in names) else idle | {"sure"}
