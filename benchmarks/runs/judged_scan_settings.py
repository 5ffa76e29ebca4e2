"""The settings of a scan with a judge as its last stage, and of the comparison that it ends with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.runs.simulated_answers import SHARE
from benchmarks.settings import JudgeSettings, LimitSettings, RunSettings
from kimera.console import CommandLine, Groups, changed, open_share, option, options_of, share_above_0
from kimera.corpus import MIN_SCORE, CorpusSettings, FindingSettings, RuleSettings
from kimera.deciding_detector import DecidingSettings
from kimera.reactor_settings import ReactorSettings

RISK = 0.05
MAX_SENT = 1.0  # nothing is called a contradiction without the judge


@dataclass(frozen=True, kw_only=True)
class JudgedScanSettings(
    CorpusSettings,
    RuleSettings,
    JudgeSettings,
    LimitSettings,
    DecidingSettings,
    FindingSettings,
    ReactorSettings,
):
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {
        "corpus": (CorpusSettings,),
        "which pairs are candidates": (RuleSettings,),
        "which candidates go to the judge": ("likely_from", "cascade", "max_sent"),
        "what reads them before the judge": (DecidingSettings,),
        "judge": (JudgeSettings, "simulate", "planted"),
        "limits and cost of the judge": (LimitSettings,),
        "findings": (FindingSettings,),
        "reactor": (ReactorSettings,),
        "run": ("folder", "resume"),
    }
    files: tuple[str, ...] = changed(CorpusSettings, "files", nargs="*")
    prompt: str = changed(JudgeSettings, "prompt", default="collection")
    simulate: bool = changed(
        RunSettings,
        "simulate",
        help="use a simulated judge on this machine, which answers from --planted or at random, instead of a "
        "model",
    )
    planted: str | None = option(
        None,
        "--planted",
        metavar="FILE",
        path=True,
        help="labelled pairs that the judge of --simulate knows, in either order: it calls the "
        f"contradictions among them so, and no other pair (default: {SHARE:.0%}% of all pairs, at random)",
    )
    likely_from: float | None = option(
        None,
        "--likely-from",
        type=open_share,
        metavar="P",
        help="of prose, ask only about candidates that kimera scan could score at least P, by what their "
        "statements share and in what they differ, such as 0.01; the others are dismissed, and no promise "
        "covers them (default: none is)",
    )
    cascade: float = option(
        RISK,
        "--cascade",
        type=open_share,
        metavar="RISK",
        help="dismiss candidates that the local detector is sure about without asking the judge. With 95 %% "
        "probability, at most this share of the contradictions that the judge would find is missed. A random "
        "sample goes to the judge first (default: %(default)s)",
    )
    max_sent: float = option(
        MAX_SENT,
        "--max-sent",
        type=share_above_0,
        metavar="SHARE",
        old=("--most-sent",),
        help="maximum share of the candidates to send to the judge; below 1, candidates that it is "
        f"surest of become findings without the judge if their score is at least {MIN_SCORE:g} (default: "
        "%(default)s)",
    )
    folder: str | None = changed(
        RunSettings,
        "out",
        flag="--folder",
        help="folder to write the run to (default: runs/ and a timestamp); --out is the file of the findings",
    )
    resume: str | None = changed(
        RunSettings,
        "resume",
        help="continue the run in DIR; only missing and failed pairs are asked about. Give the flags of the "
        "findings, such as --baseline, again",
    )


# What candidates are made from: a scan that goes on has them already.
OF_CANDIDATES = (*options_of(CorpusSettings), *options_of(RuleSettings), "likely_from", "planted", "dry_run")
_OF_SCAN = {*options_of(CorpusSettings), *options_of(FindingSettings), "likely_from", "planted"} - {"quiet"}


def comparison_of(settings: JudgedScanSettings) -> RunSettings:
    """Of the comparison of the local detector and the judge; what is read and found is the scan's."""
    shared = options_of(RunSettings).keys() & options_of(JudgedScanSettings).keys() - _OF_SCAN
    return RunSettings(**{name: getattr(settings, name) for name in shared})


def comparison_command_line(told: CommandLine[JudgedScanSettings]) -> CommandLine[RunSettings]:
    """What a command line says of that comparison."""
    return CommandLine(
        comparison_of(told.settings),
        told.flags - _OF_SCAN,
        told.in_file - _OF_SCAN,
        told.file,
        told.is_file_named,
    )
