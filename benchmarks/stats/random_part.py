"""Whether the labelled pairs of a run look like a random part of all pairs.

What is known of every pair (verdicts, scores, its place in the file) is compared between pairs with and
without a label. Arrays are of shape (N,), in the order of the pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import ndtr, stdtr

from benchmarks.stats.formulas import Floats
from benchmarks.stats.intervals import clusters_of

LEVEL = 0.001  # of all comparisons together (Bonferroni)
REMEDY = (
    "label pairs that are drawn at random, or tell with --label-weights COLUMN with what probability each "
    "labelled pair was drawn (the same number for all, where the file itself is in random order)"
)


def why_not_random(
    is_labelled: np.ndarray,
    verdicts: Sequence[np.ndarray],
    scores: Sequence[Floats],
    clusters: np.ndarray,
    names: Sequence[str] = (),
) -> str:
    """In what the labelled pairs differ most from all, and what to do; empty where they do not.

    verdicts: int8, of each detector; scores: float64, NaN where there is none. names: of the detectors.
    """
    compared = list(_compared(verdicts, scores, names or [f"detector {n + 1}" for n in range(len(verdicts))]))
    p_values = [_p(is_labelled, values, clusters) for _, values in compared]
    least = int(np.argmin(p_values))
    p = min(1.0, p_values[least] * len(p_values))
    if p >= LEVEL:
        return ""
    return (
        "the labelled pairs are no random part of all pairs: they differ in "
        f"{compared[least][0]} (p = {p:.1g}); {REMEDY}"
    )


def _compared(
    verdicts: Sequence[np.ndarray], scores: Sequence[Floats], names: Sequence[str]
) -> Iterator[tuple[str, Floats]]:
    """(what it is in words, a number of each pair)."""
    place = np.linspace(-1, 1, verdicts[0].size)
    yield "their places in the file", place
    yield "how far from its middle they stand in the file", np.abs(place)
    for name, said in zip(names, verdicts, strict=True):
        yield f"the verdicts of {name}", (said == 1).astype(np.float64)
        yield f"on which pairs {name} gave no verdict", (said < 0).astype(np.float64)
    for name, said in list(zip(names, verdicts, strict=True))[1:]:
        yield f"on which pairs {names[0]} and {name} differ", (said != verdicts[0]).astype(np.float64)
    from scipy.stats import rankdata  # takes long to import, and few runs have labels for a part only

    for name, given in zip(names, scores, strict=False):
        ranks = rankdata(np.where(np.isnan(given), 0.5, given)) / given.size
        yield f"the scores of {name}", ranks
        yield f"how sure {name} is", np.abs(np.where(np.isnan(given), 0.5, given) - 0.5)


def _p(is_labelled: np.ndarray, values: Floats, clusters: np.ndarray) -> float:
    """Two-sided p of the means of pairs with and without a label, over clusters (Cochran 1977)."""
    spread = np.ptp(values)
    if not spread:
        return 1.0
    apart = values - values.mean()
    n, all_ = int(is_labelled.sum()), values.size
    gap = float(apart[is_labelled].sum())
    among = clusters_of(clusters[is_labelled])
    count = int(among.max(initial=-1)) + 1
    sums = np.bincount(among, weights=apart[is_labelled])
    independent = n * float(np.square(apart).mean())
    variance = max(independent, float(np.square(sums).sum()) if count < n else 0.0) * (1 - n / all_)
    if not variance > 0:
        return 1.0
    z = -abs(gap) / np.sqrt(variance)
    p = 2 * float(ndtr(z) if count == n else stdtr(max(1, count - 1), z))
    if np.unique(values).size == 2:  # rare verdicts: the exact test is the careful one
        return max(p, _exact(is_labelled, values == values.max()))
    return p


def _exact(is_labelled: np.ndarray, is_one: np.ndarray) -> float:
    """Fisher's test, twice the smaller tail."""
    from scipy.stats import hypergeom  # see `_compared`

    seen = int((is_labelled & is_one).sum())
    of = hypergeom(is_one.size, int(is_one.sum()), int(is_labelled.sum()))
    return float(min(1.0, 2 * min(of.cdf(seen), of.sf(seen - 1))))
