"""A parser that says which flag a mistyped one may have been meant to be."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from typing import Any


def nearest(word: str, known: Collection[str]) -> str | None:
    """The one of these words that is most like it, if any is."""
    return next(iter(get_close_matches(word, known, n=1)), None)


class CommandParser(argparse.ArgumentParser):
    """An `ArgumentParser` that refuses unknown flags with the nearest ones, and the same exit code."""

    # Not in `error`, which is told a sentence, and not which words were unknown; nor in `parse_known_args`,
    # which argparse calls several times for one command line.
    def parse_args(  # type: ignore[override]  # its overloads say what becomes of a namespace that is given
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        self._require_known(unknown)
        return parsed

    def parse_intermixed_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        parsed, unknown = self.parse_known_intermixed_args(args, namespace)
        self._require_known(unknown)
        return parsed

    def _require_known(self, unknown: Sequence[str]) -> None:
        if not unknown:
            return
        meant = " and ".join(dict.fromkeys(self._meant(unknown)))
        self.error(
            f"unrecognized arguments: {' '.join(unknown)}" + (f"; did you mean {meant}?" if meant else "")
        )

    def _meant(self, unknown: Sequence[str]) -> Iterator[str]:
        """For each mistyped flag the nearest one that --help shows."""
        shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
        flags = [flag for action in shown for flag in action.option_strings if flag.startswith("--")]
        for word in unknown:
            near = nearest(word.partition("=")[0], flags) if word.startswith("-") else None
            if near:
                yield near
