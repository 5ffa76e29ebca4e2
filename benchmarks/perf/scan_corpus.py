"""A scan of statements with planted contradictions: its recall, its cost, and how that grows.

python -m benchmarks.perf.scan_corpus FILE... [--sizes 10000 100000] [--recall-of 5000]    labelled pairs
python -m benchmarks.perf.scan_corpus FILE... --prose    as sentences of a text, not as rows of a table

Rows and sentences go different ways: on rows the cross-encoder decides alone, and reads all that the screen
lets through; on sentences the scores of scans decide, and only what may still become a finding is read.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.perf.setting import NO_BAR, setting
from kimera.cache.embedding_cache import EmbeddingCache
from kimera.corpus.candidates import rare_word_pairs
from kimera.corpus.findings import MIN_SCORE
from kimera.corpus.scan_rule import Rule
from kimera.corpus.scanning import Scan, run_scan
from kimera.corpus.texts import Corpus, Statement
from kimera.files.pair_files import read_pairs
from kimera.reactor import Reactor
from kimera.training.neighbour_fit import drawn_pairs

ROWS_PER_BLOCK = 512
PAIRS_PER_BLOCK = 4096

Found = set[frozenset[str]]


@dataclass(frozen=True)
class Planted:
    """Distinct statements, and those pairs of them that are labelled a contradiction."""

    texts: list[str]
    contradictions: Found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--sizes", nargs="*", type=int, default=[10_000, 100_000], metavar="N")
    parser.add_argument("--recall-of", type=int, default=5000, metavar="N")
    parser.add_argument("--prose", action="store_true", help="of the cost: sentences, not rows")
    options = parser.parse_args(arguments)
    print(f"{setting()}; load {os.getloadavg()[0]:.1f}", flush=True)
    if options.recall_of:
        print(recall(planted_corpus(options.files, options.recall_of)), flush=True)
    for size in options.sizes:
        print(cost(planted_corpus(options.files, size), is_prose=options.prose), flush=True)
    return 0


def planted_corpus(files: Sequence[Path], size: int, seed: int = 0) -> Planted:
    """The statements of pairs drawn from the files in turn, until there are `size`."""
    texts: dict[str, None] = {}
    contradictions: Found = set()
    for pair, both in drawn_pairs([list(read_pairs(path)) for path in files], size, seed):
        texts |= dict.fromkeys(both)
        if pair.is_contradiction and both[0] != both[1]:
            contradictions.add(frozenset(both))
    return Planted(list(texts), contradictions)


def recall(planted: Planted, rule: Rule = Rule()) -> str:  # noqa: B008 (frozen)
    """A scan beside one that verifies every related pair, however many neighbours that makes."""
    corpus = Corpus()
    for line, text in enumerate(planted.texts, 1):
        corpus.add(Statement(text, "corpus", line))
    with tempfile.TemporaryDirectory() as folder, Reactor(cache=EmbeddingCache(folder)) as reactor:
        scan = Scan()
        run_scan(corpus, reactor, scan, NO_BAR, rule=rule, min_score=MIN_SCORE)
        found = {frozenset((each.text1, each.text2)) for each in scan.findings}
        related, every = _exhaustive(corpus.texts, reactor, rule)
    pairs = len(corpus.texts) * (len(corpus.texts) - 1) // 2
    return (
        f"{len(corpus.texts):,} statements, {pairs:,} pairs. Exhaustive: {related:,} related, {len(every):,} "
        f"findings. Scan: {scan.candidates:,} candidates ({scan.candidates / pairs:.3%} of all pairs), "
        f"{scan.screened:,} verified, {len(found):,} findings, {len(found & every) / len(every):.1%} of the "
        f"exhaustive. {_planted_in(planted, found)}; the exhaustive has "
        f"{len(every & planted.contradictions):,}"
    )


def _exhaustive(texts: list[str], reactor: Reactor, rule: Rule) -> tuple[int, Found]:
    """(how many pairs are related by the rule, those of them that are findings), each pair verified."""
    vectors = reactor.embed(texts).vectors
    codes = [_codes_above(vectors, rule.min_cosine)]
    rare = rare_word_pairs(texts, rule.rare_in_corpus(len(texts)))
    close = np.einsum("ij,ij->i", vectors[rare[:, 0]], vectors[rare[:, 1]]) >= rule.min_cosine_rare
    codes.append(rare[close, 0] * len(texts) + rare[close, 1])
    rows = np.stack(np.divmod(np.unique(np.concatenate(codes)), len(texts)), axis=1).tolist()
    pairs = [sorted((texts[a], texts[b]), key=lambda text: (len(text), text), reverse=True) for a, b in rows]
    found: Found = set()
    for start in range(0, len(pairs), PAIRS_PER_BLOCK):
        block = [(first, second) for first, second in pairs[start : start + PAIRS_PER_BLOCK]]
        scores = reactor.verify(block).scores
        found |= {frozenset(pair) for pair, score in zip(block, scores, strict=True) if score >= MIN_SCORE}
    return len(pairs), found


def _codes_above(vectors: np.ndarray, minimum: float) -> np.ndarray:
    """first * n + second of all pairs of rows with at least this cosine, the lower row first."""
    found = []
    for start in range(0, len(vectors), ROWS_PER_BLOCK):
        first, second = np.nonzero(vectors[start : start + ROWS_PER_BLOCK] @ vectors.T >= minimum)
        first += start
        found.append((first * len(vectors) + second)[first < second])
    return np.concatenate(found)


def cost(planted: Planted, *, is_prose: bool = False) -> str:
    """The command itself: with empty caches, again, and after a hundredth of the statements was changed."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / ("corpus.txt" if is_prose else "corpus.jsonl")
        out = Path(folder) / "findings.jsonl"
        command = [sys.executable, "-m", "kimera.scan", str(corpus), "--out", str(out)]
        command += ["--cache-dir", str(Path(folder) / "cache")]
        _write(corpus, planted.texts)
        runs = [_measured(command) for _ in range(2)]
        findings = [json.loads(line) for line in out.read_text().splitlines()]
        _write(corpus, [_changed(text, at) for at, text in enumerate(planted.texts)])
        runs.append(_measured(command))
    found = {frozenset((each["text1"], each["text2"])) for each in findings}
    pairs = len(planted.texts) * (len(planted.texts) - 1) // 2
    told = [
        f"{wall_s:.1f} s, {cpu_s:.1f} s of CPU, {pairs / wall_s:,.0f} pairs/s, {peak:,.0f} MB: {line}"
        for wall_s, cpu_s, peak, line in runs
    ]
    load = f"load {os.getloadavg()[0]:.1f}"
    lines = [told[0], f"again {told[1]}", f"after a change {told[2]}; {load}"]
    # Of prose, a statement of several sentences is several there, and no longer what was planted.
    return "\n  ".join(lines if is_prose else [*lines, _planted_in(planted, found)])


def _write(corpus: Path, texts: Sequence[str]) -> None:
    lines = (f"{text}\n" if corpus.suffix == ".txt" else json.dumps({"text": text}) for text in texts)
    corpus.write_text("".join(f"{line}\n" for line in lines))


def _changed(text: str, at: int) -> str:
    """Every hundredth statement says something else at its end."""
    return f"{text.rstrip('.!?')} since Tuesday." if at % 100 == 0 else text


def _measured(command: Sequence[str]) -> tuple[float, float, float, str]:
    """(wall seconds, seconds of CPU, peak resident MB, the last line on standard error).

    The peak is this process's own where that is higher: Linux counts it in before a new program starts.
    """
    begun = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 (our own)
        told = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(told)
    cpu_s = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - begun, cpu_s, usage.ru_maxrss / 1024, told.strip().rpartition("\n")[2]


def _planted_in(planted: Planted, found: Found) -> str:
    hits = len(found & planted.contradictions)
    return f"planted: {hits:,} of {len(planted.contradictions):,} found, in {len(found):,} findings"


if __name__ == "__main__":
    raise SystemExit(main())
