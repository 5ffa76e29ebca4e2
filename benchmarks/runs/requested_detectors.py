"""The detectors that the flags of a comparison ask for."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cascade import CascadePlan
from benchmarks.detector_info import (
    CASCADE_NAME,
    PANEL_NAME,
    DetectorInfo,
    default_infos,
    judge_info,
    local_info,
)
from benchmarks.judge import (
    AUTO,
    DEFAULT_JUDGE,
    DEFAULT_PROTOCOL,
    REASONING_FIRST,
    CostLimit,
    Prompt,
    ReplyCache,
    require_alone,
    require_text,
    resolved_key,
)
from benchmarks.panel import MAJORITY
from benchmarks.runs.file_detector import FileDetector
from benchmarks.runs.judge_detector import JudgeDetector, JudgeOptions
from benchmarks.runs.local_detector import LocalDetector
from benchmarks.runs.requested_judges import check_parameters, client_of, protocol_of, simulated
from benchmarks.settings import RunSettings
from benchmarks.stats import CASCADE_RUN, PANEL_RUN
from kimera.console import as_called, nearest, note, options_of, words_of
from kimera.detectors import ScoresFile
from kimera.errors import UserError
from kimera.local_names import (
    MODEL,
    REACTOR,
    LocalName,
    absolute_name,
    chained,
    local_kind,
    local_name,
    local_names,
    require_titles,
)
from kimera.local_settings import idle_options, require_models, run_code

if TYPE_CHECKING:
    from benchmarks.datasets import Dataset
    from benchmarks.judge import Api
    from benchmarks.runs.detector import Detector
    from kimera.console import CommandLine
    from kimera.detectors import VerdictSource
    from kimera.pairs import Pair

WAYS_WITHOUT = {
    "--simulate": "a simulated judge, offline; its answers come from the labels",
    "--kimera-only": "the local detectors alone",
}
NAMING = ("local", "first", "then")  # the settings that name local detectors
SIMULATED_NAME = "simulated-judge"
MIN_PANEL = 2
OURS = (CASCADE_NAME, CASCADE_RUN, PANEL_NAME, PANEL_RUN)  # names that no other detector may have


def check_judge(settings: RunSettings, ways_without: Mapping[str, str] = WAYS_WITHOUT) -> None:
    """Says over which protocol it is asked, where that is guessed.

    Raises UserError where no judge can be asked, or not as a cascade.

    ways_without: what can be done where there is none, for the message.
    """
    protocol = protocol_of(settings)
    if settings.protocol == AUTO and protocol.name != DEFAULT_PROTOCOL and not settings.kimera_only:
        note(
            f"--protocol {protocol.name} is what {settings.base_url} speaks; its key is read from "
            f"{protocol.api.key_variable}"
        )
    configured = resolved_key(settings.api_key, protocol)
    elsewhere = settings.base_url or os.environ.get(protocol.api.base_url_variable)
    if not (settings.kimera_only or settings.simulate or settings.sends_nothing or configured or elsewhere):
        ways = {**_ways_to_a_judge(protocol.api), **ways_without}
        width = max(map(len, ways))
        listed = "\n".join(f"  {way:{width}}   {gives}" for way, gives in ways.items())
        raise UserError(f"there is no judge to ask. Choose one of these:\n{listed}")
    takes_cascade = {"--max-sent": settings.max_sent, "--first": settings.first, "--then": settings.then}
    for flag, value in takes_cascade.items():
        if value and not settings.cascade:
            raise UserError(f"{flag} goes with --cascade RISK; give both")
    if settings.cascade and all(local_kind(name).is_judge for name in local_names_of(settings)):
        raise UserError("--cascade takes a local detector that goes first; give --first NAME")
    judges = [] if settings.kimera_only else judges_of(settings)
    if settings.cascade and settings.panel:
        raise UserError("--cascade takes one judge, and --panel two or more; leave one of them out")
    if settings.cascade and len(judges) > 1:
        raise UserError("--cascade takes one judge; give --model once")
    _check_panel(settings)
    for model in judges:  # what makes no sense is refused before anything is asked
        check_parameters(settings, model)
    if judges:
        require_text(
            protocol,
            reasoning_first=settings.reasoning == REASONING_FIRST,
            examples=settings.examples is not None,
            votes=settings.votes is not None,
            several_pairs=settings.pairs_per_request > 1,
        )
        require_alone(settings.pairs_per_request, batch=settings.batch, logprobs=settings.logprobs)


def _check_panel(settings: RunSettings) -> None:
    if not settings.panel:
        return
    members = len([info for info in planned(settings) if info.role == "judge"])
    if members < MIN_PANEL:
        raise UserError(
            f"--panel {settings.panel} takes two judges or more, and this run has {members or 'none'}; "
            "repeat --model NAME, or --local judge:FILE for verdicts that are there already"
        )
    if settings.panel == MAJORITY and members % 2 == 0:
        note(
            f"--panel {settings.panel}: a panel of {members} gives no verdict where as many say yes as no; "
            "another judge, or --panel mean, leaves fewer such pairs"
        )


def _ways_to_a_judge(api: Api) -> dict[str, str]:
    return {
        f"{api.key_variable}=...": f"set the key in the environment, to ask {api.provider}'s API",
        "--base-url URL": f"another {api.provider}-compatible endpoint, a local server for instance",
    }


def judges_of(settings: RunSettings) -> list[str]:
    """Raises UserError for names that a run cannot tell apart, or that no table could show."""
    models = settings.models or [_default_model(settings)]
    check_names(models, [name.title for name in _asked_for(settings)])
    return list(models)


def _default_model(settings: RunSettings) -> str:
    """Raises UserError where the only name there is would be that of a model behind another API."""
    if settings.simulate:
        return SIMULATED_NAME
    if model := os.environ.get("KIMERA_MODEL"):
        return model
    if (name := protocol_of(settings).name) != DEFAULT_PROTOCOL:
        raise UserError(f"--protocol {name} has no default model: name the judge's with --model")
    return DEFAULT_JUDGE


def local_names_of(settings: RunSettings) -> list[LocalName]:
    """Its local detectors, that of a cascade ahead. Raises UserError for unusable names."""
    if settings.judge_only:
        return []
    names = _asked_for(settings)
    require_models(settings, names)
    for name in names:
        if not name.title.isprintable() or name.title != name.title.strip():
            raise UserError(
                f"--local {name.title!r}: the name has blanks around it, or characters that cannot be shown; "
                "give --local TITLE=NAME"
            )
        if name.title in OURS:
            raise UserError(f"--local {name.title}: Kimera uses that name itself; give --local TITLE=NAME")
    return names


def idle_flags(told: CommandLine[RunSettings], run: RunSettings) -> Iterator[str]:
    """A note of the flags of this command line that do nothing for the run's local detectors, if any."""
    names = local_names_of(run)
    idle = idle_options(names) & told.flags if names else ()
    flags = [setting.flag for name, setting in options_of(RunSettings).items() if name in idle]
    if flags:
        yield f"without effect on {', '.join(name.title for name in names)}: {', '.join(flags)}"


def require_told_again(
    told: CommandLine[RunSettings], run: RunSettings, folder: str, command: str = "kimera compare"
) -> None:
    """Raises UserError where a run that goes on has code of the user's, and this command line names none.

    command: which goes on with it.
    """
    names = run_code(local_names_of(run))
    if names and not told.flags.intersection(NAMING):
        raise UserError(
            f"--resume {folder}: this run has code of yours, {', '.join(name.title for name in names)}, and "
            f"that is not run because a folder says so; go on with: {way_on(command, run, folder)}"
        )


def way_on(command: str, run: RunSettings, folder: str | Path) -> str:
    """What goes on with the run in `folder`; code of the user's is named by flags again."""
    return f"{as_called(command)}{local_words(run)} --resume {shlex.quote(str(folder))}"


def local_words(settings: RunSettings) -> str:
    """The flags that name its code again, with a blank before each; empty where there is none."""
    if not run_code(local_names_of(settings)):
        return ""
    return f" {shlex.join(words_of(settings, NAMING))}"


def _asked_for(settings: RunSettings) -> list[LocalName]:
    """Its local detectors; what goes first in a cascade is the first one."""
    by_title = {name.title: name for name in local_names(settings.local)}
    given = list(by_title.values()) if settings.local or not settings.first else []
    # A journal has the path of a folder that a title happens to be as well.
    known = by_title | {absolute_name(title): name for title, name in by_title.items()}
    told = [("--first", name) for name in (settings.first,) if name]
    told += [("--then", name) for name in settings.then]
    ahead = [known.get(name) or _named_ahead(flag, name, given) for flag, name in told]
    if ahead and local_kind(ahead[0]).is_judge:
        raise UserError(f"--first {settings.first}: this is a judge's; a local detector goes first")
    if settings.then:
        ahead = [chained(ahead if settings.first else [*by_title.values()][:1] + ahead)]
        given = given if settings.local else []
    names = require_titles([*ahead, *(name for name in given if name not in ahead)])
    return sorted(names, key=lambda name: local_kind(name).is_judge)  # as they run


def _named_ahead(flag: str, name: str, beside: Sequence[LocalName]) -> LocalName:
    """The detector of this name, which is none of those that --local gives, `beside`.

    Raises UserError for what is rather the title of one of them, spelt wrong.
    """
    titles = [other.title for other in beside]
    near = nearest(name, titles or [REACTOR])
    named = local_name(name, flag)
    is_model_or_title = named.kind == MODEL and named.title == name and "/" not in name
    if is_model_or_title and (titles or near) and not os.path.isdir(name):
        told = f"no local detector of this run is called so; they are {', '.join(titles)}" if titles else ""
        meant = f"did you mean {near}?" if near else f"give one of them, or --local {name} beside it"
        raise UserError(f"{flag} {name}: {'; '.join(filter(None, [told, meant]))}")
    return named


def local_infos(settings: RunSettings) -> list[DetectorInfo]:
    """What its local detectors will be, before any of them is made. Raises UserError for unusable names."""
    return [
        judge_info(name.title, kind=kind.noun, is_replayed=True)
        if (kind := local_kind(name)).is_judge
        else local_info(name.title, kind.noun, is_replayed=kind.is_replayed)
        for name in local_names_of(settings)
    ]


def check_names(models: Sequence[str], local: Sequence[str]) -> None:
    """Raises UserError unless each judge has a name of its own, which no part of a run has already.

    local: the names of its local detectors.
    """
    ours = (*local, *OURS)
    couples = {f"{a}/{b}" for a, b in permutations((*ours, *models), 2)}
    for place, name in enumerate(models):
        if not name.strip():
            raise UserError("--model: the name is blank; give that of the judge's model")
        if name != name.strip() or not name.isprintable():
            raise UserError(
                f"--model {name!r}: the name has blanks around it, or characters that cannot be shown; leave "
                "them out"
            )
        if name in ours:
            raise UserError(f"--model {name}: Kimera uses that name itself; give the judge another one")
        if name in models[:place]:
            raise UserError(f"--model {name} is given twice; give each judge once")
        if name in couples:
            raise UserError(
                f"--model {name}: Kimera uses that name for two detectors of this run side by side; give the "
                "judge another one"
            )


def planned(settings: RunSettings, models: Sequence[str] | None = None) -> list[DetectorInfo]:
    """What the detectors of the run will be, in the summary's order, before any of them is made.

    models: its judges, where these are known; by default those of the settings.
    """
    if models is None:
        models = [] if settings.kimera_only else judges_of(settings)
    plan = plan_of(settings)
    return default_infos(
        local_infos(settings),
        models,
        is_simulated=settings.simulate,
        repeat=settings.repeat,
        swap=settings.swap,
        cascade=plan.settings if plan else None,
        panel=settings.panel,
    )


def plan_of(settings: RunSettings) -> CascadePlan | None:
    """How the run shares out its pairs, where it is a cascade."""
    return CascadePlan(settings.cascade, settings.max_sent, settings.seed) if settings.cascade else None


def cascade_of(settings: RunSettings) -> DetectorInfo | None:
    """The run as a cascade of a local detector and its judge, where it is one."""
    return next((info for info in planned(settings) if info.sides), None)


def detectors_of(
    settings: RunSettings,
    dataset: Dataset,
    prompt: Prompt,
    sources: Mapping[str, VerdictSource],
    stack: contextlib.ExitStack,
    known: Iterable[Pair] | None = None,
) -> list[Detector]:
    """The detectors of a run.

    sources: its local detectors by name. known: what a simulated judge answers from, and then without a
    mistake; by default the labels of the dataset. Raises UserError for a file that says nothing of it.
    """
    on_ray = {
        name.title: settings.engine != "local" and local_kind(name).takes_engine
        for name in local_names_of(settings)
    }
    detectors: list[Detector] = [
        FileDetector(source, name, dataset)
        if isinstance(source, ScoresFile)
        else LocalDetector(source, settings.mp, name, on_ray=on_ray[name])
        for name, source in sources.items()
    ]
    if settings.kimera_only:
        return detectors
    simulator = None
    if settings.simulate:
        server = (
            simulated(dataset, prompt, settings.swap)
            if known is None
            else simulated(known, prompt, settings.swap, error_rate=0.0)
        )
        simulator = stack.enter_context(server)
    replies = stack.enter_context(ReplyCache()) if settings.cache_replies else None
    limits: list[CostLimit] = []
    cascade = cascade_of(settings)
    for model in judges_of(settings):
        client, price = client_of(settings, model, prompt, simulator, limits, replies)
        judging = JudgeOptions(
            settings.repeat,
            settings.swap,
            settings.logprobs,
            settings.max_error_rate,
            price,
            cascade,
            settings.votes,
            settings.loop,
        )
        asked = settings.concurrency or 1
        detectors.append(JudgeDetector(client, model, asked, simulated=settings.simulate, options=judging))
    return detectors
