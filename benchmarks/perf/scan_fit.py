"""Fit the scores of scans: kimera/weights/scan.json, from documentation and what is changed of it by rule.

python -m benchmarks.perf.scan_fit --trees FOLDER --out scan.json

Negatives are the candidates among the statements of maintained documentation, which hardly ever contradict
each other, and copies that are only reworded; positives are copies changed by rule. Both regressions are
fitted on the whole of both, and their intercepts are moved to the base rate (Elkan 2001, theorem 2).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.perf.scan_trees import TABLES, TREES, Planted, planted, statements_of
from benchmarks.perf.setting import NO_BAR
from kimera.corpus.deciding import read_both_ways
from kimera.corpus.differences import FEATURES, Differences
from kimera.corpus.scan_rule import Rule
from kimera.corpus.scan_scores import READ, ScanScores, clipped
from kimera.corpus.scanning import Scan, screened_pairs
from kimera.reactor import Reactor

PLANTS, HARMLESS, SEED = 120, 60, 7
BASE_RATE = 0.001
READ_FROM = 0.001  # P(contradiction) without reading from which a pair is read for the second fit


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trees", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("scan.json"), metavar="FILE")
    options = parser.parse_args(arguments)
    names = [tree.package for tree in TREES if tree.use == "fit"] + [
        name for name, use in TABLES.items() if use == "fit"
    ]
    with Reactor(symmetric=False) as reactor:
        parts = [_candidates(name, options.trees, reactor) for name in names]
        features = np.concatenate([features for features, _, _ in parts])
        label = np.concatenate([label for _, label, _ in parts])
        pairs = [pair for _, _, pairs in parts for pair in pairs]
        scores = fitted(features, label, pairs, reactor)
    scores.save(options.out)
    return 0


def _candidates(
    name: str, folder: Path, reactor: Reactor
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
    made = planted(statements_of(name, folder), PLANTS, HARMLESS, "fit", SEED)
    scan = Scan()
    screened = screened_pairs(made.corpus, reactor, scan, NO_BAR, rule=Rule())
    pairs = screened.texts(made.corpus.texts, np.arange(len(screened.first)))
    known = _labels(made, pairs)
    keep = known >= 0
    features = Differences(made.corpus).of(screened.first, screened.second, screened.cosine)
    print(
        f"{name}: {len(made.corpus.texts):,} statements, {keep.sum():,} candidates, {(known == 1).sum()} "
        f"planted",
        flush=True,
    )
    return features[keep], known[keep], [pair for pair, kept in zip(pairs, keep, strict=True) if kept]


def _labels(made: Planted, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """1 planted, 0 not a contradiction, -1 not known, since a plant may contradict more than its source."""
    kinds = {"planted": 1, "harmless": 0, "": 0, "of a plant": -1}
    return np.array([kinds[made.label(*pair)] for pair in pairs], dtype=int)


def fitted(
    features: np.ndarray, label: np.ndarray, pairs: Sequence[tuple[str, str]], reactor: Reactor
) -> ScanScores:
    from sklearn.linear_model import LogisticRegression

    spread = features.std(axis=0) + 1e-9
    first = LogisticRegression(C=1.0, max_iter=5000).fit(features / spread, label)
    moved = math.log(BASE_RATE / (1 - BASE_RATE)) - math.log(label.mean() / (1 - label.mean()))
    weights = first.coef_[0] / spread
    log_odds = features @ weights + first.intercept_[0]
    rows = np.flatnonzero(1 / (1 + np.exp(-log_odds)) >= READ_FROM)
    contradiction, entailment, _ = read_both_ways([pairs[row] for row in rows.tolist()], reactor)
    read = np.stack([log_odds[rows] + moved, clipped(contradiction), clipped(entailment)], axis=1)
    second = LogisticRegression(C=1.0, max_iter=5000).fit(read, label[rows])
    print(f"read {len(rows):,} of {len(pairs):,}, {label[rows].sum()} planted of {label.sum()}", flush=True)
    _tell_out_of_sample(read, label[rows], moved)
    return ScanScores(
        {name: round(float(weight), 4) for name, weight in zip(FEATURES, weights, strict=True)},
        round(float(first.intercept_[0] + moved), 4),
        {name: round(float(weight), 4) for name, weight in zip(READ, second.coef_[0], strict=True)},
        round(float(second.intercept_[0] + moved), 4),
        BASE_RATE,
    )


def _tell_out_of_sample(read: np.ndarray, label: np.ndarray, moved: float) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    logits = (
        cross_val_predict(LogisticRegression(max_iter=5000), read, label, cv=5, method="decision_function")
        + moved
    )
    for floor in (0.2, 0.3, 0.5, 0.7, 0.9):
        found = 1 / (1 + np.exp(-logits)) >= floor
        print(
            f"  at {floor}: {found[label == 1].mean():.2f} of the planted, {found[label == 0].sum()} others",
            flush=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
