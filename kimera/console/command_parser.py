"""A parser that says which flag a mistyped one may have been meant to be."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any

# What argparse, too, takes for a flag: no negative number, no - for standard input, no text with a blank.
_FLAG = re.compile(r"(--?[^\W\d][^\s=]*)(=.*)?", re.DOTALL)


def nearest(word: str, known: Collection[str]) -> str | None:
    """The one of these words that is most like it, if any is."""
    return next(iter(get_close_matches(word, known, n=1)), None)


class CommandParser(argparse.ArgumentParser):
    """An `ArgumentParser` that refuses unknown flags first, names the nearest, and ends with the same code.

    argparse itself speaks of them last: of `kimera scan --hlep` it says that FILE is missing.
    """

    def parse_args(  # type: ignore[override]  # its overloads tell what becomes of a namespace that is given
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        self._require_known_flags(sys.argv[1:] if args is None else args)
        return super().parse_args(args, namespace)

    def parse_intermixed_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        self._require_known_flags(sys.argv[1:] if args is None else args)
        return super().parse_intermixed_args(args, namespace)

    def _require_known_flags(self, words: Sequence[str]) -> None:
        matches = map(_FLAG.fullmatch, takewhile(lambda word: word != "--", words))
        unknown = [match[1] for match in matches if match and not self._is_known(match[1])]
        if unknown:
            meant = " and ".join(dict.fromkeys(self._meant(unknown)))
            question = f"; did you mean {meant}?" if meant else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{question}")

    def _is_known(self, flag: str) -> bool:
        known = self._option_string_actions
        return flag in known or (self.allow_abbrev and any(name.startswith(flag) for name in known))

    def _meant(self, unknown: Sequence[str]) -> Iterator[str]:
        """For each the nearest flag that --help shows, if any is near: no earlier spelling of one."""
        shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
        flags = [name for action in shown for name in action.option_strings if name.startswith("--")]
        yield from filter(None, (nearest(flag, flags) for flag in unknown))
