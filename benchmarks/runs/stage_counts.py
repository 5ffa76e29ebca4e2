"""How many pairs of a run each stage of a chain was given, and on how many of them it failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np


class StageCounts:
    """Of n pairs, by what the last outcome of each says; a number is held of each pair."""

    def __init__(self, size: int) -> None:
        self._paths: dict[tuple[tuple[str, bool], ...], int] = {(): 0}
        self._path_of_pair = np.zeros(size, np.int32)

    def note(self, index: int, answered: Mapping[str, bool]) -> None:
        """answered: the stages that this pair came to, and whether each gave a verdict."""
        path = tuple(answered.items())
        self._path_of_pair[index] = self._paths.setdefault(path, len(self._paths))

    def as_settings(self) -> dict[str, dict[str, int]]:
        """`given` and `failed`, pairs by stage; nothing where no pair came to any stage."""
        given: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        pairs_of_path = np.bincount(self._path_of_pair, minlength=len(self._paths)).tolist()
        for path, pairs in zip(self._paths, pairs_of_path, strict=True):
            for stage, gave_verdict in path:
                given[stage] += pairs
                failed[stage] += 0 if gave_verdict else pairs
        return {"given": dict(given), "failed": dict(failed)} if given else {}
