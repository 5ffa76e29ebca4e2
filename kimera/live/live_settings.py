"""The settings of `kimera live`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from kimera.console import Groups, cosine, option, port_number, whole
from kimera.deciding_detector import DecidingSettings
from kimera.live.candidate_rule import CandidateRule
from kimera.live.capacity import LiveLimits
from kimera.models import PACKAGED_NAMES
from kimera.reactor_settings import ModelSettings

TOKEN = "KIMERA_LIVE_TOKEN"  # noqa: S105 (its name)
_RULE, _LIMITS = CandidateRule(), LiveLimits()


def _limit(name: str, told: str) -> int:
    """An option whose field is one of `LiveLimits`."""
    flag = f"--{name.replace('_', '-')}"
    default: int = getattr(_LIMITS, name)
    return option(default, flag, type=whole(1), metavar="N", help=f"{told} (default: %(default)s)")


@dataclass(frozen=True, kw_only=True)
class LiveSettings(DecidingSettings, ModelSettings):
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {
        "server": ("host", "port", "allow_origin", "token", "store"),
        "detection": ("reactor", "min_cosine", "verify"),
        "what decides": (DecidingSettings,),
        "models": (ModelSettings,),
        "limits": (
            *("connections", "statements", "statements_in_all", "characters", "waiting"),
            "stall_s",
        ),
    }
    host: str = option(
        "127.0.0.1",
        "--host",
        metavar="NAME",
        outward=True,
        help="address to listen on (default: %(default)s)",
    )
    port: int = option(
        8765,
        "--port",
        type=port_number,
        metavar="N",
        help="port to listen on; 0 takes any free one (default: %(default)s)",
    )
    allow_origin: tuple[str, ...] = option(
        (),
        "--allow-origin",
        repeated=True,
        metavar="ORIGIN",
        outward=True,
        help="let pages of this origin connect, e.g. https://example.org; may be given several times",
    )
    token: str | None = option(
        None,
        "--token",
        metavar="TEXT",
        secret=True,
        variable=TOKEN,
        help="token that clients have to send. Other users of this machine can read the command line, so "
        f"prefer to set {TOKEN}",
    )
    store: Path | None = option(
        None,
        "--store",
        type=Path,
        metavar="FILE",
        outward=True,
        help="SQLite file in which sessions that clients name are kept; without it nothing outlives its "
        "connection",
    )
    reactor: Literal["screen", "both"] | None = option(
        None,
        "--reactor",
        choices=("screen", "both"),
        help="screen: sentence vectors and a head decide, which is fast but less accurate; both: a "
        "cross-encoder then reads the best candidates (default: both; screen if --encoder or --head is "
        "given)",
    )
    min_cosine: float | None = option(
        None,
        "--min-cosine",
        type=cosine,
        metavar="X",
        old=("--least-cosine",),
        help="minimum cosine of two statements' vectors; statements below it are not compared "
        f"(default: {_RULE.min_cosine:g}; with another --encoder, what few random pairs of a session's "
        "statements reach)",
    )
    verify: int = option(
        _RULE.max_chosen,
        "--verify",
        type=whole(1),
        metavar="N",
        help="maximum number of candidates that are read with a statement (default: %(default)s)",
    )
    connections: int = _limit("connections", "maximum number of sessions at a time")
    statements: int = _limit("statements", "maximum number of statements of one session")
    statements_in_all: int = _limit(
        "statements_in_all",
        "maximum number of statements of all sessions; each takes 1.5 to 3 kB of memory besides its text",
    )
    characters: int = _limit("characters", "maximum length of a statement in characters")
    waiting: int = _limit(
        "waiting",
        "maximum number of unanswered statements of one session; the server reads no more until some are "
        "answered",
    )
    stall_s: float = option(
        _LIMITS.stall_s,
        "--stall-s",
        type=whole(1),
        metavar="S",
        help="disconnect a client that has not read its answers for this many seconds (default: %(default)g)",
    )

    @property
    def rule(self) -> CandidateRule:
        if self.min_cosine is not None:
            return CandidateRule(min_cosine=self.min_cosine, max_chosen=self.verify)
        return CandidateRule(max_chosen=self.verify, is_own_floor=self.encoder not in PACKAGED_NAMES)

    @property
    def limits(self) -> LiveLimits:
        return LiveLimits(
            connections=self.connections,
            statements=self.statements,
            statements_in_all=self.statements_in_all,
            characters=self.characters,
            waiting=self.waiting,
            stall_s=float(self.stall_s),
        )
