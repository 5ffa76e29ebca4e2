"""How fast the reactor is: each figure beside what it is held against, in the same minute.

python -m benchmarks.perf.reactor_speed FILE...    pairs; the processes encode each distinct text of all once
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.perf.setting import setting
from kimera.cache.embedding_cache import EmbeddingCache
from kimera.files.pair_files import read_pairs
from kimera.models.cross_encoder import CrossEncoder
from kimera.models.encoder import Encoder, embed
from kimera.models.head import ContradictionHead
from kimera.models.model_folders import find_folder
from kimera.reactor import SHIPPED_CROSS_ENCODER, SHIPPED_HEAD, Reactor

ROUNDS = 3
FEW, MANY = 2_000, 20_000
ENCODE = """
import sys
from pathlib import Path
from kimera.models.encoder import Encoder

if __name__ == "__main__":
    with Encoder() as encoder:
        encoder.encode(Path(sys.argv[1]).read_text().splitlines(), workers=int(sys.argv[2]) or None)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    print(setting())
    every: dict[str, None] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in options.files:
            pairs = [(pair.text1, pair.text2) for pair in read_pairs(path)]
            texts = list(dict.fromkeys(" ".join(text.split()) for pair in pairs for text in pair))
            print(f"{path.name}: {len(pairs):,} pairs, {len(texts):,} distinct texts; medians of {ROUNDS}")
            encoding(texts[:FEW])
            verifying(pairs[:FEW])
            screening(pairs, Path(folder))
            every |= dict.fromkeys(texts)
        processes(list(every)[:MANY], Path(folder))
        whole_process(Path(folder))
    return 0


def encoding(texts: list[str]) -> None:
    """Kimera's encoder, and sentence-transformers as it comes."""
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(find_folder("all-MiniLM-L6-v2")), device="cpu", local_files_only=True)
    whole, int8 = Encoder(precision="float32"), Encoder()
    runs: dict[str, Callable[[], object]] = {
        "sentence-transformers": lambda: theirs.encode(texts, show_progress_bar=False),
        "float32": lambda: whole.encode(texts),
        "int8": lambda: int8.encode(texts),
    }
    told = {name: len(texts) / second for name, second in in_turn(runs).items()}
    for name in ("float32", "int8"):
        ratio = told[name] / told["sentence-transformers"]
        print(
            f"encode, {name}: {told[name]:,.0f} texts/s; sentence-transformers "
            f"{told['sentence-transformers']:,.0f}; {ratio:.2f} times"
        )


def verifying(pairs: list[tuple[str, str]]) -> None:
    int8 = CrossEncoder(SHIPPED_CROSS_ENCODER)
    whole = CrossEncoder(SHIPPED_CROSS_ENCODER, precision="float32")
    seconds = in_turn({"float32": lambda: whole.predict(pairs), "int8": lambda: int8.predict(pairs)})
    for name, second in seconds.items():
        print(f"verify, {name}: {len(pairs) / second:,.0f} pairs/s")


def screening(pairs: list[tuple[str, str]], folder: Path) -> None:
    """The head alone, and from texts to verdicts where the cache has every vector."""
    cache = EmbeddingCache(folder / "screen")
    head = ContradictionHead.load(SHIPPED_HEAD)
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    rows = {text: row for row, text in enumerate(texts)}
    vectors = embed(texts, Encoder(), cache).vectors
    first, second = ([rows[pair[side]] for pair in pairs] for side in (0, 1))
    one, other = vectors[first], vectors[second]
    reactor = Reactor(cache=cache, stages="screen")
    seconds = in_turn({"head": lambda: head.predict(one, other), "reactor": lambda: reactor.detect(pairs)})
    print(f"screen, the head alone: {len(pairs) / seconds['head']:,.0f} pairs/s")
    print(f"screen, warm cache, texts to verdicts: {len(pairs) / seconds['reactor']:,.0f} pairs/s")


def processes(texts: list[str], folder: Path) -> None:
    """Whole processes that encode: this one alone (0), and with worker processes."""
    script, file = folder / "encode.py", folder / "texts.txt"
    script.write_text(ENCODE)
    for count in (len(texts), 100):
        file.write_text("\n".join(texts[:count]), encoding="utf-8")
        seconds = in_turn(
            {
                workers: lambda workers=workers: run(sys.executable, script, file, workers)  # type: ignore[misc]  # mypy has no type for such a default
                for workers in ("0", "1", "2")
            }
        )
        print(
            f"{count:,} texts, start-up included: default {seconds['0']:.2f} s, --mp 1 {seconds['1']:.2f} s, "
            f"--mp 2 {seconds['2']:.2f} s; --mp 2 is {seconds['1'] / seconds['2']:.2f} times --mp 1 and "
            f"{seconds['0'] / seconds['2']:.2f} times the default"
        )


def whole_process(folder: Path) -> None:
    """python -m benchmarks.llm_compare --kimera-only on 50 pairs, warm caches, no picture."""
    out = iter(range(1000))
    command = (sys.executable, "-m", "benchmarks.llm_compare", "--kimera-only", "--no-viz", "--quiet")

    def compare(*more: str) -> None:
        run(*command, "--cache-dir", folder / "cache", "--out", folder / f"run{next(out)}", *more)

    with_torch = (
        "import runpy, sys, torch, sentence_transformers; sys.argv = sys.argv[1:];"
        "runpy.run_module('benchmarks.llm_compare', run_name='__main__', alter_sys=True)"
    )

    def compare_after_torch() -> None:
        where = ("--cache-dir", folder / "cache", "--out", folder / f"run{next(out)}")
        run(sys.executable, "-c", with_torch, "llm_compare", *command[3:], *where)

    seconds = in_turn({"plain": compare, "with torch": compare_after_torch})
    print(
        f"--kimera-only, 50 pairs, warm: {seconds['plain']:.2f} s the whole process; with torch and "
        f"sentence-transformers imported {seconds['with torch']:.2f} s"
    )


def in_turn(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds that each takes, the median of `ROUNDS`, in turn after one that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for counted in [False] + [True] * ROUNDS:
        for name, do in runs.items():
            begun = time.perf_counter()
            do()
            if counted:
                taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (our own programs)


if __name__ == "__main__":
    raise SystemExit(main())
