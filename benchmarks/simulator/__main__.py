"""An OpenAI-compatible judge on loopback: answers from labels, with latency, limits and faults on demand.

It stands in for an LLM where none may be asked: in tests, in `--simulate`, and by hand
(`python -m benchmarks.simulator`).
"""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import asyncio
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.data import EMBEDDED
from benchmarks.judge import DEFAULT_PROMPT, load_prompt
from benchmarks.simulator.http_server import HOST, Simulator, listening
from benchmarks.simulator.simulation import PROFILES, GoldAnswer, SimulatorConfig, answers_for
from kimera.console import add_options, as_called, note, options_of, settings_of
from kimera.errors import UserError
from kimera.files import PairSettings, reading_of

__all__ = ["build_parser", "main"]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=as_called("kimera simulate"),
        description="A simulated judge on loopback that speaks OpenAI's chat completions.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--dataset", default=EMBEDDED, help="labelled pairs that it answers from, by name or file"
    )
    parser.add_argument(
        "--prompt", default=DEFAULT_PROMPT, help="prompt that the client uses, by name or file"
    )
    parser.add_argument("--swap", action="store_true", help="also answer for the pairs in the other order")
    parser.add_argument(
        "--profile", choices=PROFILES, default="plain", help="preset whose values the flags below override"
    )
    for field in dataclasses.fields(SimulatorConfig):
        _add_setting(parser, field)
    group = parser.add_argument_group("how the dataset is read")
    add_options(group, options_of(PairSettings).values())
    return parser


def _add_setting(parser: argparse.ArgumentParser, field: dataclasses.Field[Any]) -> None:
    """A flag that is left out has no value, so that the profile's stands."""
    how: dict[str, Any] = {"type": type(field.default)}
    if isinstance(field.default, bool):
        how = {"action": argparse.BooleanOptionalAction}
    elif isinstance(field.default, tuple):
        how = {"type": _names, "metavar": "NAME,..."}
    shown = f" (plain: {field.default})" if field.default not in (False, "", ()) else ""
    flag = "--" + field.name.replace("_", "-")
    parser.add_argument(flag, default=argparse.SUPPRESS, help=field.metadata["help"] + shown, **how)


def _names(value: str) -> tuple[str, ...]:
    return tuple(name for name in value.split(",") if name)


def _config_from(arguments: argparse.Namespace) -> SimulatorConfig:
    """The profile, and what the flags say otherwise."""
    values = vars(arguments)
    names = {field.name for field in dataclasses.fields(SimulatorConfig)}
    settings = {name: value for name, value in values.items() if name in names}
    return dataclasses.replace(PROFILES[arguments.profile], **settings)


def _answers_for_dataset(arguments: argparse.Namespace) -> dict[bytes, GoldAnswer]:
    """The answers to a dataset's pairs as the client's prompt words them."""
    from benchmarks.datasets import load_dataset  # and with it numpy, for which --help need not wait

    reading = reading_of(settings_of(PairSettings, vars(arguments)))
    dataset = load_dataset(arguments.dataset, on_note=note, **reading)
    if dataset.unlabelled:
        note(f"the simulated judge abstains on the {dataset.unlabelled} pairs that have no label")
    return answers_for(dataset, load_prompt(arguments.prompt).question, arguments.swap)


async def _serve_until_interrupted(
    config: SimulatorConfig, answers: Mapping[bytes, GoldAnswer], port: int
) -> None:
    async with listening(Simulator(config, answers), port) as actual_port:
        root = f"http://{HOST}:{actual_port}"
        print(f"A simulated judge that knows {len(answers)} questions listens on {root}/v1. To ask it:")
        key = "THE_KEY_YOU_SET" if config.api_key else "simulated"
        print(f"  export OPENAI_BASE_URL={root}/v1 OPENAI_API_KEY={key}")
        print(f"Counters are at {root}/stats. Ctrl-C stops it.", flush=True)
        await asyncio.Event().wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the simulator by hand; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        config = _config_from(arguments)
        answers = _answers_for_dataset(arguments)
        asyncio.run(_serve_until_interrupted(config, answers, arguments.port))
    except KeyboardInterrupt:
        return 130
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
