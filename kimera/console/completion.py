"""Completion by the shell, with argcomplete: what a shell has to run, and the answers to it."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from kimera.console.command_parser import CommandParser
from kimera.console.commands import COMMANDS, PROGRAM
from kimera.console.exit_codes import DONE, exit_code_of
from kimera.console.installation import how_to_install
from kimera.console.standard_output import tell
from kimera.errors import UserError

__all__ = ["build_parser", "complete", "main"]

ASKED = "_ARGCOMPLETE"  # a shell sets it: the word of its line, from 1, that is the program
FIRST_WORD = re.compile(r"\s*\S+\s+(\S+)\s")
EPILOG = """\
examples:
  eval "$(kimera completion bash)"                                  in ~/.bashrc
  eval "$(kimera completion zsh)"                                   in ~/.zshrc, below compinit
  kimera completion fish > ~/.config/fish/completions/kimera.fish
"""


def build_parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=f"{PROGRAM} completion",
        description="Print the script with which a shell completes the command kimera: its commands, their "
        "flags, and files.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    shells = ("bash", "zsh", "fish", "tcsh", "powershell")
    parser.add_argument("shell", choices=shells, metavar="|".join(shells))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return exit_code_of(lambda: _print_code(options.shell))


def _print_code(shell: str) -> int:
    if find_spec("argcomplete") is None:
        raise UserError(f"completion needs argcomplete; run: {how_to_install('completion')}")
    from argcomplete.shell_integration import shellcode  # an extra

    tell(shellcode([PROGRAM], shell=shell))
    return DONE


def complete(program: argparse.ArgumentParser) -> None:
    """Answers the shell and ends the process. Of the commands only the one on the line is imported."""
    if find_spec("argcomplete") is None:
        sys.exit(1)  # uninstalled since the shell learnt of it; it shows no message
    import argcomplete  # an extra

    line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    chosen = FIRST_WORD.match(line)
    if chosen is None or chosen[1] not in COMMANDS:
        argcomplete.autocomplete(program)
        return
    os.environ[ASKED] = str(int(os.environ[ASKED]) + 1)
    argcomplete.autocomplete(importlib.import_module(COMMANDS[chosen[1]].home).build_parser())


if __name__ == "__main__":
    sys.exit(main())
