"""What argparse has no public name for: a thing that takes flags, and which flags it took."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Protocol


class TakesFlags(Protocol):
    """A parser, or one of its groups."""

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """As argparse has it."""
        ...


class _Noting:
    """Takes flags as a parser does, and keeps a list of them."""

    def __init__(self) -> None:
        self.taken: list[argparse.Action] = []
        self._parser = argparse.ArgumentParser(add_help=False)

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        self.taken.append(self._parser.add_argument(*names, **options))
        return self.taken[-1]


def flags_added_by(add_flags: Callable[[TakesFlags], object]) -> list[argparse.Action]:
    """The flags that a function adds to a group, in order, each with its names, `dest` and default."""
    noting = _Noting()
    add_flags(noting)
    return noting.taken
