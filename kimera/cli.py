# PYTHON_ARGCOMPLETE_OK
"""The command kimera: each of its commands is a module that `python -m` starts too, under a shorter name."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from kimera.console import COMMANDS, PROGRAM, CommandParser, complete, exit_quietly
from kimera.version import __version__

__all__ = ["build_parser", "main"]

EPILOG = """\
examples:
  kimera compare --simulate                          try it: a simulated judge, no key, no network
  kimera compare pairs.csv --kimera-only             the local detector alone, on your pairs
  kimera compare pairs.csv --max-pairs 0 --async 16  beside GPT-4o (OPENAI_API_KEY), 16 requests in flight
  kimera report runs/2026-01-31_12-00-00             write the report of that run again
  kimera scan docs README.md                         find the contradictions within documents
  eval "$(kimera completion bash)"                   the Tab key completes commands and flags
"""


def main(argv: Sequence[str] | None = None) -> int:
    exit_quietly()
    words = sys.argv[1:] if argv is None else argv
    if "_ARGCOMPLETE" in os.environ:
        complete(build_parser())
    if words and words[0] in COMMANDS:
        return int(import_module(COMMANDS[words[0]].home).main(words[1:]))
    parser = build_parser()
    if words:
        parser.parse_args(_before_flags_of_a_command(words))  # --help, --version, or what is neither
    parser.print_help(sys.stderr)
    return 2


def _before_flags_of_a_command(words: Sequence[str]) -> Sequence[str]:
    """Up to the first word that is no flag: where that is no command, its flags are not what is wrong."""
    ends = (place for place, word in enumerate(words, 1) if not word.startswith("-"))
    return words[: next(ends, len(words))]


def build_parser() -> argparse.ArgumentParser:
    """What is shown, and refused, where the first word is no command."""
    parser = CommandParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND [flags]",
        description="Contradictions between statements: found by a local detector, judged by an LLM, and the "
        "two compared.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    width = max(map(len, COMMANDS))
    summaries = "\n".join(f"{name:{width}}  {command.summary}" for name, command in COMMANDS.items())
    group = parser.add_argument_group("commands", summaries)
    explained = f"one of these; {PROGRAM} COMMAND --help explains it"
    group.add_argument(
        "command",
        nargs="?",  # else a mistyped flag before it would be refused as a lack of it
        type=_command,
        choices=COMMANDS,
        metavar="COMMAND",
        help=explained,
    )
    return parser


def _command(name: str) -> str:
    if name in COMMANDS:
        return name
    near = difflib.get_close_matches(name, COMMANDS, n=2)
    meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(COMMANDS)}"
    raise argparse.ArgumentTypeError(f"there is no command {name!r}; {meant}")


if __name__ == "__main__":
    sys.exit(main())
