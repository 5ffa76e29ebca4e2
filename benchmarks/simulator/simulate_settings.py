"""The settings of `kimera simulate`: a server, the pairs that it answers from, and what the judge is like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from benchmarks.data import EMBEDDED
from benchmarks.judge import DEFAULT_PROMPT
from benchmarks.simulator.simulation import PROFILES, SimulatorConfig
from kimera.console import CommandLine, Groups, option, options_of, port_number
from kimera.files import PairSettings


@dataclass(frozen=True, kw_only=True)
class SimulateSettings(SimulatorConfig, PairSettings):
    """What the command takes. What the judge is like follows from the profile too: `config_of`."""

    GROUPS: ClassVar[Groups] = {
        "server": ("port", "dataset", "prompt", "swap", "profile"),
        "what the judge is like": (SimulatorConfig,),
        "how the dataset is read": (PairSettings,),
    }
    port: int = option(
        8000,
        "--port",
        type=port_number,
        metavar="N",
        help="port to listen on; 0 takes any free one (default: %(default)s)",
    )
    dataset: str = option(
        EMBEDDED,
        "--dataset",
        metavar="DATASET",
        path=True,
        help="labelled pairs that it answers from, by name or file (default: %(default)s)",
    )
    prompt: str = option(
        DEFAULT_PROMPT,
        "--prompt",
        metavar="NAME|FILE",
        path=True,
        help="prompt that the client uses, by name or file (default: %(default)s)",
    )
    swap: bool = option(False, "--swap", help="also answer for the pairs in the other order")
    profile: str = option(
        "plain",
        "--profile",
        choices=tuple(PROFILES),
        help="preset whose values the flags below override (default: %(default)s)",
    )


def config_of(told: CommandLine[SimulateSettings]) -> SimulatorConfig:
    """The profile, and what flags and the configuration file say otherwise.

    Raises UserError for values that make no sense together.
    """
    given = options_of(SimulatorConfig).keys() & (told.flags | told.in_file)
    values = {name: getattr(told.settings, name) for name in given}
    return replace(PROFILES[told.settings.profile], **values)
