"""Which statements of a corpus may be compared: of one subject, not in one table, one of them changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kimera.corpus.texts import Corpus


class Comparable:
    """subjects: the number of each text's subject, int of shape (n,)."""

    def __init__(self, corpus: Corpus) -> None:
        self.subjects = _numbers(corpus.subjects)
        self._tables = _numbers(corpus.tables)
        self._in_table = np.array([bool(table) for table in corpus.tables], dtype=bool)
        self._is_changed = np.array(corpus.is_changed, dtype=bool)

    @property
    def pairs(self) -> int:
        """How many pairs of one subject there are."""
        sizes = np.bincount(self.subjects).astype(int)
        return int((sizes * (sizes - 1) // 2).sum())

    def among(
        self, blocks: Iterator[tuple[np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Those of the pairs of rows, int64 of shape (m, 2), with their cosines."""
        for pairs, cosines in blocks:
            first, second = pairs.T
            of_one_table = self._in_table[first] & (self._tables[first] == self._tables[second])
            keep = (self.subjects[first] == self.subjects[second]) & ~of_one_table
            keep &= self._is_changed[first] | self._is_changed[second]
            yield pairs[keep], cosines[keep]


def _numbers(names: Sequence[str]) -> np.ndarray:
    number_of: dict[str, int] = {}
    return np.array([number_of.setdefault(name, len(number_of)) for name in names], dtype=np.int64)
