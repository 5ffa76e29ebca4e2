"""What `kimera train` makes of few pairs: accuracy on other pairs of the file, and how it differs by draw.

    python -m benchmarks.perf.few_pairs FILE... [--sizes 200 800 1500] [--known-only]

Of each file at most so many pairs are taken. A fixed part of them is only measured; pairs to fit from are
drawn from the rest, and no text is in both. Each draw has a seed, which is also that of the fit.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.perf.setting import setting
from kimera.models import DataSet
from kimera.pairs import CONTRADICTION, Pair
from kimera.shipped_weights import SHIPPED_HEAD
from kimera.training.out_of_fold import ALL, AS_BEFORE, CALIBRATION, LAST_LAYER, NEW_WEIGHTS, Predict
from kimera.training.small_fits import small_fit
from kimera.training.train_settings import TrainSettings
from kimera.training.training_data import LabelledFile, chained, read_labelled, undivided

MOST_PAIRS, MEASURED, DRAWS = 3000, 1000, 5
CHOSEN = "chosen"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="few_pairs", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[200, 800, 1500])
    parser.add_argument("--cache-dir", type=Path, help="folder of the cache of vectors")
    parser.add_argument(
        "--known-only", action="store_true", help="try no new weights, which take the most time"
    )
    asked = parser.parse_args(argv)
    print(f"{setting()}; mean, spread (largest minus least), worst draw against the weights as before\n")
    print("| pairs from | pairs | as before | calibration | last layer | new weights | chosen | which |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    parts = {path: _parts(path) for path in asked.files}
    for size in asked.sizes:
        for path, (measured, others) in parts.items():
            cells = (
                path.name,
                str(size),
                *_figures(measured, others, size, asked.cache_dir, not asked.known_only),
            )
            print(f"| {' | '.join(cells)} |", flush=True)
    return 0


def _parts(path: Path) -> tuple[list[Pair], list[list[Pair]]]:
    """(the pairs to measure, the others in groups that share no text)."""
    pairs = read_labelled(path, {}).pairs
    random.Random(0).shuffle(pairs)  # noqa: S311 (no secret)
    grouped: dict[str, list[Pair]] = defaultdict(list)
    for name, pair in zip(chained(pairs[:MOST_PAIRS]), pairs, strict=False):
        grouped[name].append(pair)
    groups = [grouped[name] for name in sorted(grouped)]
    random.Random(0).shuffle(groups)  # noqa: S311 (no secret)
    measured: list[Pair] = []
    while len(measured) < MEASURED:
        measured += groups.pop()
    return measured[:MEASURED], groups


def _figures(
    measured: list[Pair], others: list[list[Pair]], size: int, cache_dir: Path | None, with_new: bool
) -> Iterator[str]:
    accuracies: dict[str, list[float]] = defaultdict(list)
    kinds: Counter[str] = Counter()
    for seed in range(DRAWS):
        order = random.Random(seed).sample(others, len(others))  # noqa: S311 (no secret)
        drawn = [pair for group in order for pair in group][:size]
        parts = undivided([LabelledFile(DataSet("drawn"), drawn)])
        settings = TrainSettings(seed=seed, cache_dir=cache_dir)
        others_too = [LabelledFile(DataSet("measured"), measured)]
        fit = small_fit(SHIPPED_HEAD, parts, others_too, settings, with_new=with_new)
        for trial in fit.best:
            accuracies[trial.candidate.kind].append(_accuracy(trial.candidate.fit(ALL).predict, measured))
        accuracies[CHOSEN].append(_accuracy(fit.model.predict, measured))
        kinds[fit.chosen.candidate.kind] += 1
    before = np.array(accuracies[AS_BEFORE])
    for kind in (AS_BEFORE, CALIBRATION, LAST_LAYER, NEW_WEIGHTS, CHOSEN):
        of_kind = np.array(accuracies[kind])
        worst = f", {(of_kind - before).min():+.3f}" if len(of_kind) == DRAWS else ""
        spread = (
            f", {np.ptp(of_kind):.3f}" if len(of_kind) == DRAWS else f" ({len(of_kind)} of {DRAWS} draws)"
        )
        yield f"{of_kind.mean():.3f}{spread}{worst}" if len(of_kind) else "none"
    yield ", ".join(f"{kind} {times}" for kind, times in kinds.items())


def _accuracy(predict: Predict, pairs: Sequence[Pair]) -> float:
    truth = np.array([pair.label == CONTRADICTION for pair in pairs])
    return float(((predict(pairs)[:, 0] >= 0.5) == truth).mean())


if __name__ == "__main__":
    raise SystemExit(main())
