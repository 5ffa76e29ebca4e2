"""The categories of the dataset in the summary: each with the figures of the whole; small ones are marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.detector_info import are_told_apart
from benchmarks.runs import RunResult
from benchmarks.stats import Differences, Shown, Side, compare, holm, metrics, names_in, quality_intervals

MAX_SHOWN = 40
FEW = 50  # labelled pairs; below, a category is marked as small
FIGURES = names_in(Shown.CATEGORIES)


def categories(
    run: RunResult,
    clusters: np.ndarray,
    labels: Sequence[np.ndarray],
    sides: Sequence[Side],
    margin: float,
) -> dict[str, Any]:
    """{"shown": [...], "more": how many beyond `MAX_SHOWN`}, the largest first; empty for fewer than two.

    labels: of each detector, -1 where its verdict does not count. sides: what each said.
    """
    codes = run.categories
    if codes is None or len(run.category_names) < 2:
        return {}
    sizes = np.bincount(codes[codes >= 0], minlength=len(run.category_names))
    order = [int(code) for code in np.argsort(-sizes, kind="stable") if sizes[code]]
    shown = [
        _category(run, codes == code, run.category_names[code], clusters, labels, sides, margin)
        for code in order[:MAX_SHOWN]
    ]
    _conclude([difference for entry in shown for difference in entry["differences"]])
    return {"shown": shown, "more": max(0, len(order) - MAX_SHOWN)}


def _category(
    run: RunResult,
    here: np.ndarray,
    name: str,
    clusters: np.ndarray,
    labels: Sequence[np.ndarray],
    sides: Sequence[Side],
    margin: float,
) -> dict[str, Any]:
    labelled = int((run.labels[here] >= 0).sum())
    return {
        "category": name,
        "pairs": int(here.sum()),
        "labelled": labelled,
        "contradictions": int((run.labels[here] == 1).sum()),
        "small": labelled < FEW,
        "detectors": {
            detector.name: _figures(own[here], side, here, clusters[here])
            for detector, own, side in zip(run.detectors, labels, sides, strict=True)
        },
        "differences": [
            _difference(run, here, clusters, a, b, sides, margin)
            for a, b in combinations(range(len(sides)), 2)
            if are_told_apart(run.detectors[a].info, run.detectors[b].info)
        ],
    }


def _figures(labels: np.ndarray, side: Side, here: np.ndarray, clusters: np.ndarray) -> dict[str, Any]:
    verdicts, scores = side.verdicts[here], side.scores[here]
    unranked = "" if side.are_ranked else "its scores are not a ranking"
    quality = metrics.quality(labels, verdicts, scores, unranked=unranked)
    intervals = quality_intervals(
        labels, verdicts, scores, clusters, are_ranked=side.are_ranked, figures=FIGURES
    )
    return {
        "answered": int(((labels >= 0) & (verdicts >= 0)).sum()),
        **{figure: quality.values[figure] for figure in FIGURES if figure in quality.values},
        "intervals": {figure: list(ends) for figure, ends in intervals.items()},
    }


def _difference(
    run: RunResult,
    here: np.ndarray,
    clusters: np.ndarray,
    a: int,
    b: int,
    sides: Sequence[Side],
    margin: float,
) -> dict[str, Any]:
    compared = compare(
        run.labels[here],
        sides[a].at(here),
        sides[b].at(here),
        clusters[here],
        margin=margin,
        figures=("accuracy",),
    )
    entry: dict[str, Any] = {"a": run.detectors[a].name, "b": run.detectors[b].name, "pairs": compared.pairs}
    return entry if compared.mcnemar_p is None else {**entry, "found": compared}


def _conclude(entries: list[dict[str, Any]]) -> None:
    """Writes each difference out; as many categories are as many tests."""
    tested = [entry for entry in entries if "found" in entry]
    adjusted = holm([entry["found"].mcnemar_p for entry in tested])
    for entry, p_holm in zip(tested, adjusted, strict=True):
        compared: Differences = entry.pop("found")
        entry |= {
            "accuracy": float(compared.differences["accuracy"]),
            "interval": list(compared.intervals["accuracy"]),
            "mcnemar": {"p": compared.mcnemar_p, "p_holm": p_holm, "method": compared.mcnemar},
            "conclusion": compared.conclusion(p_holm),
        }
