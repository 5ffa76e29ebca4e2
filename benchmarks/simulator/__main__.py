"""A judge on loopback that speaks every protocol: answers from labels, with limits and faults on demand.

It stands in for an LLM where none may be asked: in tests, in `--simulate`, and by hand
(`python -m benchmarks.simulator`).
"""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence

from benchmarks.judge import Prompt, load_prompt
from benchmarks.simulator.http_server import HOST, Simulator, listening
from benchmarks.simulator.simulate_settings import SimulateSettings, config_of
from benchmarks.simulator.simulation import GoldAnswer, SimulatorConfig, answers_for
from kimera.console import DONE, CommandLine, command_line, exit_code_of, note, parser_of
from kimera.errors import UserError
from kimera.files import reading_of

__all__ = ["build_parser", "main"]


def build_parser() -> argparse.ArgumentParser:
    return parser_of(
        SimulateSettings,
        "simulate",
        description="A simulated judge on loopback that speaks every --protocol of a comparison.",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the simulator by hand; returns the exit code."""
    parsed = build_parser().parse_args(argv)
    return exit_code_of(lambda: _serve(command_line(SimulateSettings, "simulate", parsed)))


def _serve(told: CommandLine[SimulateSettings]) -> int:
    config = config_of(told)
    answers = _answers_for_dataset(told.settings)
    asyncio.run(_serve_until_interrupted(config, answers, told.settings.port))
    return DONE


def _answers_for_dataset(settings: SimulateSettings) -> dict[bytes, GoldAnswer]:
    """The answers to a dataset's pairs as the client's prompt words them, for two classes and for three."""
    from benchmarks.datasets import load_dataset  # and with it numpy, for which --help need not wait

    dataset = load_dataset(settings.dataset, on_note=note, **reading_of(settings))
    if dataset.unlabelled:
        note(f"the simulated judge abstains on the {dataset.unlabelled} pairs that have no label")
    answers: dict[bytes, GoldAnswer] = {}
    for prompt in _prompts(settings.prompt):
        answers |= answers_for(dataset, prompt.question, settings.swap)
    return answers


def _prompts(name: str) -> list[Prompt]:
    """As clients word it that ask for two classes or three, and for the reasoning last or first."""
    prompts = [load_prompt(name)]
    for classes, first in ((3, False), (2, True), (3, True)):
        with contextlib.suppress(UserError):  # a file that does not ask so, which a client refuses too
            prompts.append(load_prompt(name, classes, reasoning_first=first))
    return prompts


async def _serve_until_interrupted(
    config: SimulatorConfig, answers: Mapping[bytes, GoldAnswer], port: int
) -> None:
    async with listening(Simulator(config, answers), port) as actual_port:
        root = f"http://{HOST}:{actual_port}"
        print(f"A simulated judge that knows {len(answers)} questions listens on {root}/v1. To ask it:")
        key = "THE_KEY_YOU_SET" if config.api_key else "simulated"
        print(f"  export OPENAI_BASE_URL={root}/v1 OPENAI_API_KEY={key}")
        print("It speaks every --protocol at that base URL.")
        print(f"Counters are at {root}/stats. Ctrl-C stops it.", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
