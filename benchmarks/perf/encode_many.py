"""A million texts through the encoder: its memory, and its speed beside that on few.

python -m benchmarks.perf.encode_many FILE      FILE: pairs; each second text, numbered, makes many texts
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from benchmarks.perf.setting import setting
from kimera.files.pair_files import read_pairs
from kimera.models.encoder import Encoder

FEW = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--texts", type=int, default=1_000_000, metavar="N")
    options = parser.parse_args(arguments)
    print(setting())
    sentences = [pair.text2 for pair in read_pairs(options.file)]
    encoder = Encoder()
    few = numbered(sentences, FEW, start=options.texts)
    encode(encoder, few)  # a warm-up, not counted
    before = encode(encoder, few)
    texts = numbered(sentences, options.texts)
    held = peak_mb()
    many = encode(encoder, texts)
    added = peak_mb() - held
    after = encode(encoder, few)
    print(f"{FEW:,} texts: {before:,.0f} texts/s before, {after:,.0f} after; {options.texts:,}: {many:,.0f}")
    print(f"peak memory: {held:,.0f} MB with the texts, {added:,.0f} MB more at the end")
    return 0


def numbered(sentences: list[str], count: int, start: int = 0) -> list[str]:
    """Distinct texts of much the same lengths, whatever the count."""
    return [f"{number}: {sentences[number % len(sentences)]}" for number in range(start, start + count)]


def encode(encoder: Encoder, texts: list[str]) -> float:
    """Texts a second; the vectors are dropped as they come."""
    begun = time.perf_counter()
    with tqdm(total=len(texts), unit="text") as bar:
        for rows, _ in encoder.encode_batches(texts):
            bar.update(len(rows))
    return len(texts) / (time.perf_counter() - begun)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    raise SystemExit(main())
