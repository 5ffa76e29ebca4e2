"""What int8 and the order of the texts change in the cross-encoder's figures, on labelled files.

python -m benchmarks.perf.verify_quality FILE...
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kimera.calibration import calibration_error
from kimera.cross_encoder import CrossEncoder
from kimera.pair_files import read_pairs
from kimera.reactor import SHIPPED_CROSS_ENCODER


def main(arguments: Sequence[str] | None = None) -> int:
    from sklearn.metrics import roc_auc_score

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--weights", type=Path, default=SHIPPED_CROSS_ENCODER)
    options = parser.parse_args(arguments)
    print("| set | precision | order | AUC | calibration error | pairs/s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path in options.files:
        pairs = [pair for pair in read_pairs(path) if pair.label is not None]
        truth = np.array([pair.is_contradiction for pair in pairs])
        given = [(pair.text1, pair.text2) for pair in pairs]
        swapped = [(second, first) for first, second in given]
        for precision in ("int8", "float32"):
            model = CrossEncoder(options.weights, precision=precision)
            model.predict(given[:64])
            begun = time.perf_counter()
            one_way = model.predict(given)[:, 0]
            rate = len(pairs) / (time.perf_counter() - begun)
            other_way = model.predict(swapped)[:, 0]
            both = (one_way + other_way) / 2
            for order, scores in (("given", one_way), ("swapped", other_way), ("mean of both", both)):
                auc, error = roc_auc_score(truth, scores), calibration_error(scores, truth)
                shown = f"{rate if order != 'mean of both' else rate / 2:.0f}"
                print(
                    f"| {path.name} | {precision} | {order} | {auc:.4f} | {error:.4f} | {shown} |", flush=True
                )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
