"""Local detectors side by side: ROC AUC, accuracy, speed and memory, each in a process of its own.

python -m benchmarks.perf.local_detectors NAME... --file PAIRS [--max-pairs N]    NAME: as --local takes it

Beside an NLI model stands sentence-transformers' `CrossEncoder.predict` on the same pairs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.perf.setting import peak_mib, setting
from benchmarks.settings import RunSettings
from benchmarks.stats.quality_figures import roc_auc
from kimera.detectors import NLIModel, VerdictSource
from kimera.files.pair_files import read_pairs
from kimera.local_names import local_names
from kimera.local_settings import sources_of
from kimera.pairs import Pair, Verdict

WARM = 256  # pairs before the clock starts: models are loaded, and int8 is checked


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--file", type=Path, required=True, help="labelled pairs")
    parser.add_argument(
        "--max-pairs", type=int, default=1000, metavar="N", help="of the file, from its start"
    )
    parser.add_argument("--precision", choices=("int8", "float32"))
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.alone:
        print(json.dumps(measured(options.names[0], options.file, options.max_pairs, options.precision)))
        return 0
    print(setting())
    print("| detector | precision | pairs | ROC AUC | accuracy | pairs/s | beside it | peak memory |")
    print("| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |")
    for name in options.names:
        print(_row(name, _in_a_process(name, options)), flush=True)
    return 0


def _in_a_process(name: str, options: argparse.Namespace) -> dict[str, Any]:
    flags = ["--file", str(options.file), "--max-pairs", str(options.max_pairs), "--alone"]
    flags += ["--precision", options.precision] if options.precision else []
    command = [sys.executable, "-m", "benchmarks.perf.local_detectors", name, *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 (our own)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _row(name: str, found: dict[str, Any]) -> str:
    beside = ""
    if "theirs" in found:
        theirs = found["theirs"]
        beside = (
            f"CrossEncoder.predict: AUC {theirs['auc']:.5f}, {theirs['pairs_per_s']:,.1f}/s; "
            f"{found['pairs_per_s'] / theirs['pairs_per_s']:.2f} times"
        )
        beside += f"; int8 parity {found['parity']}" if found["parity"] else ""
    return (
        f"| {name} | {found['precision']} | {found['pairs']:,} | {found['auc']:.5f} | "
        f"{found['accuracy']:.3f} | {found['pairs_per_s']:,.1f} | {beside} | {found['memory_mib']:,.0f} MiB |"
    )


def measured(name: str, path: Path, max_pairs: int, precision: Any = None) -> dict[str, Any]:
    """What one detector does with labelled pairs, computing everything anew."""
    pairs = [pair for pair in islice(read_pairs(path), max_pairs) if pair.label is not None]
    truth = np.array([bool(pair.is_contradiction) for pair in pairs])
    settings = RunSettings(local=(name,), no_cache=True, precision=precision)
    [source] = sources_of(settings, settings, None, local_names(settings.local)).values()
    with source:
        list(source.stream(pairs[:WARM]))
        scores, seconds = timed(lambda: scores_of(source, pairs))
    memory_mib = peak_mib()
    known = ~np.isnan(scores)
    found = {
        "precision": str(source.settings.get("precision", "-")),
        "pairs": len(pairs),
        "auc": roc_auc(truth[known], scores[known]),
        "accuracy": float(((scores >= 0.5) == truth)[known].mean()),
        "pairs_per_s": len(pairs) / seconds,
        "memory_mib": memory_mib,
        "parity": {key: value for key, value in source.settings.items() if "parity" in key},
    }
    if isinstance(source, NLIModel):
        found["theirs"] = beside(str(source.settings["model"]), source.settings["labels"], pairs, truth)
    return found


def scores_of(source: VerdictSource, pairs: Sequence[Pair]) -> np.ndarray:
    """float64 (n,), NaN where it failed."""
    results = source.stream(pairs)
    return np.array([result.score if isinstance(result, Verdict) else np.nan for result in results])


def beside(model: str, labels: Sequence[str], pairs: Sequence[Pair], truth: np.ndarray) -> dict[str, float]:
    """The same model by sentence-transformers, as it comes."""
    from sentence_transformers import CrossEncoder

    theirs = CrossEncoder(model, device="cpu", local_files_only=True)
    texts = [(pair.text1, pair.text2) for pair in pairs]
    theirs.predict(texts[:WARM], show_progress_bar=False)
    logits, seconds = timed(lambda: np.asarray(theirs.predict(texts, show_progress_bar=False)))
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = (odds / odds.sum(axis=1, keepdims=True))[:, list(labels).index("contradiction")]
    return {"auc": roc_auc(truth, scores), "pairs_per_s": len(pairs) / seconds}


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    begun = time.perf_counter()
    done = work()
    return done, time.perf_counter() - begun


if __name__ == "__main__":
    raise SystemExit(main())
