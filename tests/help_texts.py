"""What a command says of itself."""

from __future__ import annotations

import argparse
import re


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    """The flags that --help explains: each stands at the beginning of a line, before two blanks."""
    explained = re.findall(r"^  (-.*?)(?:  |$)", parser.format_help(), re.MULTILINE)
    return {flag for names in explained for flag in re.findall(r"--[a-z0-9-]+", names)}
