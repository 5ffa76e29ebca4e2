"""The commands: the short name of each, the module that it is, and how this process would start it."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "kimera"


@dataclass(frozen=True)
class Command:
    """home: the module that has its `main` and `build_parser`. summary: what it does, for --help.

    has_settings: whether it takes --config.
    """

    home: str
    summary: str
    has_settings: bool = True

    @property
    def module(self) -> str:
        """What `python -m` takes."""
        return self.home.removesuffix(".__main__")


# `benchmarks` is named here and imported by the command alone, when it is chosen: kimera knows no judge.
COMMANDS = {
    "compare": Command("benchmarks.llm_compare", "compare the reactor with LLM judges on the same pairs"),
    "scan": Command(
        "kimera.scan", "find the contradictions within documents or a table, with the reactor alone"
    ),
    "judged-scan": Command("benchmarks.scan", "find them with an LLM as the last stage"),
    "live": Command("kimera.live.__main__", "serve a WebSocket that checks statements one by one"),
    "mcp": Command("kimera.mcp.__main__", "serve checks to agents over the Model Context Protocol"),
    "train": Command("kimera.train", "fit a stage of the reactor on your labelled pairs"),
    "report": Command("benchmarks.report.__main__", "write the report of a run again"),
    "label": Command("benchmarks.label", "label pairs of a run, in the terminal or on a page"),
    "diff": Command("benchmarks.diff", "compare two runs pair by pair"),
    "distil": Command("benchmarks.distil", "write a judge's verdicts and people's labels as labelled pairs"),
    "cache": Command("kimera.cache.__main__", "show, clear or merge the caches"),
    "simulate": Command("benchmarks.simulator.__main__", "serve a simulated judge for tests"),
    "completion": Command(
        "kimera.console.completion",
        "print the script with which a shell completes these commands and their flags",
        has_settings=False,
    ),
}
_NAMED = re.compile(rf"\b{PROGRAM} ({'|'.join(COMMANDS)})(?![\w-])")


def as_called(text: str) -> str:
    """The text with every `kimera NAME` in it as this process's user starts commands.

    Who started `python -m benchmarks.llm_compare` may have no `kimera` on the path, and reads
    `python -m` with the module's name instead.
    """
    if [Path(word).name for word in sys.argv[:1]] == [PROGRAM]:
        return text
    return _NAMED.sub(lambda named: f"python -m {COMMANDS[named[1]].module}", text)
