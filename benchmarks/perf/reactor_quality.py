"""Quality of the reactor's two stages as shipped, and what int8 and the order of the texts change.

python -m benchmarks.perf.reactor_quality FILE...
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kimera.files.pair_files import read_pairs
from kimera.models.calibration import calibration_error
from kimera.models.cross_encoder import CrossEncoder
from kimera.models.encoder import Encoder
from kimera.models.head import ContradictionHead
from kimera.models.runtime import Precision
from kimera.reactor import SHIPPED_CROSS_ENCODER, SHIPPED_HEAD

PRECISIONS: tuple[Precision, ...] = ("int8", "float32")


def main(arguments: Sequence[str] | None = None) -> int:
    from sklearn.metrics import roc_auc_score

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="labelled pairs")
    parser.add_argument("--weights", type=Path, default=SHIPPED_CROSS_ENCODER, help="of verify")
    options = parser.parse_args(arguments)
    stages: dict[str, Callable[[Precision], Callable[[list[tuple[str, str]]], np.ndarray]]] = {
        "screen": screen,
        "verify": lambda precision: CrossEncoder(options.weights, precision=precision).predict,
    }
    print("| set | stage | precision | given order | swapped | mean of both |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path in options.files:
        pairs = [pair for pair in read_pairs(path) if pair.label is not None]
        truth = np.array([pair.is_contradiction for pair in pairs])
        given = [(pair.text1, pair.text2) for pair in pairs]
        for stage, opened in stages.items():
            for precision in PRECISIONS:
                predict = opened(precision)
                one_way = predict(given)[:, 0]
                other_way = predict([(second, first) for first, second in given])[:, 0]
                cells = [
                    f"{roc_auc_score(truth, scores):.4f}, {calibration_error(scores, truth):.4f}"
                    for scores in (one_way, other_way, (one_way + other_way) / 2)
                ]
                print(f"| {path.name} | {stage} | {precision} | {' | '.join(cells)} |", flush=True)
    return 0


def screen(precision: Precision) -> Callable[[list[tuple[str, str]]], np.ndarray]:
    """Pairs to the shipped head's probabilities, on vectors of such a precision."""
    encoder, head = Encoder(precision=precision), ContradictionHead.load(SHIPPED_HEAD)

    def predict(pairs: list[tuple[str, str]]) -> np.ndarray:
        vectors = encoder.encode([text for pair in pairs for text in pair])
        return head.predict(vectors[0::2], vectors[1::2])

    return predict


if __name__ == "__main__":
    raise SystemExit(main())
