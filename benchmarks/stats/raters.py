"""Several people's labels of the same pairs: what most of them say, and how far they agree.

votes: int8, shape (R, N), of R people on N pairs: 1 contradiction, 0 not, -1 where a person gave no label.
"""

from __future__ import annotations

import numpy as np

from benchmarks.stats.agreement_figures import NOT_ALL_ALIKE, kappa
from benchmarks.stats.formulas import Counts, cells_of


def majority(votes: np.ndarray) -> np.ndarray:
    """int8 (N,): what more people say; -1 where as many say one as the other, or nobody says anything."""
    yes, no = (votes == 1).sum(axis=0), (votes == 0).sum(axis=0)
    return np.select([yes > no, no > yes], [1, 0], -1).astype(np.int8)


def cohens_kappa(votes: np.ndarray) -> float | None:
    """Of two people on the pairs that both labelled (Cohen 1960); None where chance alone would agree."""
    counts = Counts.of(cells_of(*votes[:, (votes >= 0).all(axis=0)]))
    return float(kappa(counts)) if NOT_ALL_ALIKE.holds(counts) else None


def krippendorffs_alpha(votes: np.ndarray) -> float | None:
    """Of nominal labels on the pairs that two or more labelled (Krippendorff 2011); None with one class."""
    compared = votes[:, (votes >= 0).sum(axis=0) >= 2]
    yes, no = (compared == 1).sum(axis=0), (compared == 0).sum(axis=0)
    count = int((yes + no).sum())
    expected = 2 * int(yes.sum()) * int(no.sum()) / max(1, count - 1)
    if not expected:
        return None
    return float(1 - (2 * yes * no / (yes + no - 1)).sum() / expected)
