"""The names of local detectors: what `--local NAME` may be, and what each kind of it makes.

A kind of local detector is one entry of `KINDS`, or an entry point of another package in the group
`kimera.detectors`: something to call with what follows the kind's name and a colon, which gives a
`kimera.detectors.VerdictSource`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kimera.console import nearest
from kimera.errors import UserError
from kimera.reactor_settings import ReactorSettings, of_stages, reactor_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from kimera.detectors import VerdictSource
    from kimera.reactor_stages import Stages

REACTOR = "kimera"
GROUP = "kimera.detectors"
STAGES = {"": None} | {name: name for name in ("screen", "verify", "deep", "screen,verify,deep")}
_ALIAS = re.compile(r"([^=/\\:]*)=(.*)", re.DOTALL)
_FUNCTION = re.compile(r".+:[^\W\d]\w*(\.[^\W\d]\w*)*", re.DOTALL)


class LocalName(NamedTuple):
    """What `--local` was given. title: its name in the run. kind: a key of `KINDS`, or an entry point's."""

    title: str
    kind: str
    rest: str


class Asked(NamedTuple):
    """What a kind is made from. rest: of its name. labels, revision: told of this one, if they were.

    batch_size, batch_timeout_s: of a function. sure: of a chain. stages: of a reactor whose name tells none.
    pair_columns: of id, text1 and text2, how their columns in the file of pairs are called, where told.
    sources_of: makes the stages of a chain, by their titles.
    """

    rest: str
    settings: ReactorSettings
    stages: Stages | None
    labels: str | None
    revision: str | None
    batch_size: int
    batch_timeout_s: float | None
    sure: float
    pair_columns: Mapping[str, str]
    in_chain: bool
    sources_of: Callable[[Sequence[LocalName]], dict[str, VerdictSource]]


@dataclass(frozen=True)
class LocalKind:
    """A kind of local detector. noun: what people call one. title: of one without a title of its own.

    has_prefix: whether a name of this kind begins with the kind, as in scores:FILE. path: of what follows it,
    the part that may be a path. is_replayed: its verdicts were given before. is_judge: by a judge.
    takes_engine: whether it computes where --engine says. runs_code: whether making it runs the user's code.
    """

    noun: str
    make: Callable[[Asked], VerdictSource]
    title: Callable[[str], str]
    has_prefix: bool = False
    path: Callable[[str], str] = str
    is_replayed: bool = False
    is_judge: bool = False
    takes_engine: bool = False
    runs_code: bool = False


def _reactor(asked: Asked) -> VerdictSource:
    require_stage(asked.rest)
    stages: Any = STAGES[asked.rest]
    if stages is None:
        return reactor_of(asked.settings, asked.stages)
    # Its settings are those of all reactors of a run, of which this one may be a single stage.
    return reactor_of(of_stages(asked.settings, stages), stages)


def require_stage(rest: str) -> None:
    """Raises UserError where the reactor has no such stage. rest: of a name of its kind."""
    if rest not in STAGES:
        known = ", ".join(f"{REACTOR}:{name}" for name in STAGES if name)
        raise UserError(f"--local {REACTOR}:{rest}: the reactor has no such stage; give {known}")


def _nli_model(asked: Asked) -> VerdictSource:
    from kimera.detectors import NLIModel  # numpy among it, for which --help need not wait
    from kimera.reactor_settings import cache_of, engine_of

    settings = asked.settings
    return NLIModel(
        asked.rest,
        revision=asked.revision,
        labels=asked.labels or None,
        cache=cache_of(settings),
        symmetric=settings.symmetric,
        backend=settings.backend,
        precision=settings.precision,
        device=settings.device,
        engine=engine_of(settings),
    )


def _function(asked: Asked) -> VerdictSource:
    from kimera.detectors import FunctionDetector  # as above

    return FunctionDetector.named(asked.rest, batch_size=asked.batch_size, timeout_s=asked.batch_timeout_s)


def _scores_file(role: Literal["local", "judge"], asked: Asked) -> VerdictSource:
    from kimera.detectors import ScoresFile  # as above

    file, detector = _file_and_detector(asked.rest)
    return ScoresFile(
        file,
        role=role,
        must_match=not asked.in_chain,
        detector=detector,
        pair_columns=asked.pair_columns,
    )


def _file_and_detector(rest: str) -> tuple[str, str]:
    """Of FILE#NAME, where NAME is one of several detectors in the file; NAME is empty for FILE alone."""
    file, _, detector = rest.rpartition("#")
    return (file, detector) if file and not os.path.exists(rest) else (rest, "")


def _scores_path(rest: str) -> str:
    return _file_and_detector(rest)[0]


def _scores_title(rest: str) -> str:
    file, detector = _file_and_detector(rest)
    return detector or Path(file).stem


def _chain(asked: Asked) -> VerdictSource:
    from kimera.detectors import Chain  # as above

    names = local_names(_stages(asked.rest))
    if judge := next((name for name in names if local_kind(name).is_judge), None):
        raise UserError(
            f"--local {asked.rest}: {JUDGE}:{judge.rest} holds what a judge said, and a chain is of local "
            f"detectors; give --local {JUDGE}:{judge.rest} beside it"
        )
    return Chain(asked.sources_of(names), asked.sure)


def _stages(rest: str) -> list[str]:
    return [name.strip() for name in rest.split(THEN)]


def _chain_title(rest: str) -> str:
    return f" {THEN} ".join(name.title for name in local_names(_stages(rest)))


MODEL, FUNCTION, SCORES, JUDGE, CHAIN = "model", "function", "scores", "judge", "chain"
THEN = ">"
KINDS = {
    REACTOR: LocalKind(
        "reactor",
        _reactor,
        lambda rest: f"{REACTOR}:{rest}" if rest else REACTOR,
        has_prefix=True,
        path=lambda _: "",
        takes_engine=True,
    ),
    SCORES: LocalKind(
        "scores file",
        partial(_scores_file, "local"),
        _scores_title,
        has_prefix=True,
        path=_scores_path,
        is_replayed=True,
    ),
    JUDGE: LocalKind(
        "judge's results file",
        partial(_scores_file, "judge"),
        _scores_title,
        has_prefix=True,
        path=_scores_path,
        is_replayed=True,
        is_judge=True,
    ),
    CHAIN: LocalKind("chain", _chain, _chain_title, path=lambda _: "", takes_engine=True),
    FUNCTION: LocalKind(
        "function",
        _function,
        os.path.basename,
        path=lambda rest: rest.rpartition(":")[0],
        runs_code=True,
    ),
    MODEL: LocalKind(
        "NLI model",
        _nli_model,
        lambda rest: Path(rest).resolve().name if os.path.isdir(rest) else rest,
        takes_engine=True,
    ),
}


def local_names(given: Sequence[str]) -> list[LocalName]:
    """What these names ask for, by default the reactor alone.

    Raises UserError for a name that is blank, or two that a run could not tell apart.
    """
    return require_titles([local_name(name) for name in given or (REACTOR,)])


def require_titles(names: list[LocalName]) -> list[LocalName]:
    """These names. Raises UserError for two of one title."""
    titles = [name.title for name in names]
    if twice := next((title for place, title in enumerate(titles) if title in titles[:place]), None):
        raise UserError(
            f"--local: two detectors would be called {twice!r}; give one of them another title: --local "
            f"OTHER={_whole(names[titles.index(twice)])}"
        )
    return names


def local_name(given: str, flag: str = "--local") -> LocalName:
    """flag: which gives it. Raises UserError for a blank name."""
    title, name = _split(given)
    if not name.strip():
        raise UserError(
            f"{flag} {given!r}: the name is blank; give kimera, an NLI model, a function or scores:FILE"
        )
    kind, rest = _kind_of(name)
    if title is not None and not title.strip():
        raise UserError(f"{flag} {given}: the title before = is blank")
    if kind in (SCORES, JUDGE) and not rest.strip():
        raise UserError(f"{flag} {given}: the file is missing; give {kind}:FILE")
    if kind == MODEL:
        _require_no_file(name, flag)
    return LocalName(title or _kind(kind).title(rest), kind, rest)


def _require_no_file(name: str, flag: str) -> None:
    """Raises UserError for what is no model, but nearly another kind."""
    if os.path.isfile(name):
        meant = f"{name}:FUNCTION" if name.endswith(".py") else f"{SCORES}:{name}"
        raise UserError(f"{flag} {name}: this is a file, and a model is a folder; did you mean {meant}?")
    if "/" not in name and (near := nearest(name.lower(), [REACTOR, *_entry_points()])):
        raise UserError(f"{flag} {name}: did you mean {near}? A model in a folder is given as ./{name}")


def _split(given: str) -> tuple[str | None, str]:
    """(the title, if there is one; the name)."""
    match = None if os.path.exists(given) else _ALIAS.fullmatch(given)
    return (match[1], match[2]) if match else (None, given)


def _kind_of(name: str) -> tuple[str, str]:
    """(the kind, what follows it)."""
    if THEN in name:
        return CHAIN, name
    prefix, _, rest = name.partition(":")
    if os.path.isdir(name) and name != REACTOR:
        return MODEL, name
    if prefix in KINDS and KINDS[prefix].has_prefix:
        return prefix, rest
    if prefix in _entry_points():
        return f"{GROUP}:{prefix}", rest
    return (FUNCTION, name) if _FUNCTION.fullmatch(name) else (MODEL, name)


@cache  # each name may ask, several times in a run, and all that is installed is looked through
def _entry_points() -> Mapping[str, EntryPoint]:
    """Those of other packages, by name."""
    from importlib.metadata import entry_points  # as above

    return {point.name: point for point in entry_points(group=GROUP)}


def _kind(name: str) -> LocalKind:
    """Of `KINDS`, or of another package."""
    if name in KINDS:
        return KINDS[name]
    point = name.removeprefix(f"{GROUP}:")
    return LocalKind(
        "local detector",
        partial(_plugin, point),
        lambda rest: f"{point}:{rest}" if rest else point,
        has_prefix=True,
    )


def _plugin(name: str, asked: Asked) -> VerdictSource:
    point = _entry_points()[name]
    try:
        source: VerdictSource = point.load()(asked.rest)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"--local {name}: {point.value}, which another package brings, failed: "
            f"{type(error).__name__}: {error}"
        ) from error
    from kimera.detectors import VerdictSource  # as above

    if VerdictSource not in type(source).__mro__:
        raise UserError(
            f"--local {name}: {point.value} gave {type(source).__name__}; expected one of a class that "
            "inherits from kimera.detectors.VerdictSource"
        )
    return source


def chained(names: Sequence[LocalName]) -> LocalName:
    """The chain of these."""
    return LocalName(f" {THEN} ".join(name.title for name in names), CHAIN, THEN.join(map(_given, names)))


def _given(name: LocalName) -> str:
    """As `--local` would be given it."""
    return _whole(name) if name.title == local_kind(name).title(name.rest) else f"{name.title}={_whole(name)}"


def _whole(name: LocalName) -> str:
    prefix = [name.kind.removeprefix(f"{GROUP}:")] if local_kind(name).has_prefix else []
    return ":".join([*prefix, *filter(None, [name.rest])])


def local_kind(name: LocalName) -> LocalKind:
    return _kind(name.kind)


def absolute_name(given: str) -> str:
    """The name with its path made absolute, since a run may go on from another folder."""
    _, name = _split(given)
    kind, rest = _kind_of(name)
    if kind == CHAIN:
        parts = (
            part.replace(own, absolute_name(own)) if (own := part.strip()) else part
            for part in rest.split(THEN)
        )
        return given.removesuffix(rest) + THEN.join(parts)
    path = _kind(kind).path(rest)
    if not path or not os.path.exists(path):
        return given
    return given.removesuffix(rest) + os.path.abspath(path) + rest.removeprefix(path)


def stages_in(names: Sequence[LocalName]) -> Iterator[LocalName]:
    """These, and of a chain each of its stages."""
    for name in names:
        yield from local_names(_stages(name.rest)) if name.kind == CHAIN else [name]
