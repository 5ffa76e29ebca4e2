"""A corpus to its findings, stage by stage: vectors, candidates, screen, verify."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kimera.corpus.candidates import Screened, nearest, related_pairs, screen
from kimera.corpus.findings import Finding
from kimera.corpus.scan_rule import Rule
from kimera.corpus.statements import Corpus
from kimera.files import holds_pair
from kimera.models import Verified
from kimera.reactor import Reactor

FIRST_BLOCK = 256

# title, how much there is (None: not known before), what is counted -> a tqdm bar
Bar = Callable[[str, int | None, str], Any]


@dataclass
class Scan:
    """What a scan has done so far; what an interrupted one leaves.

    texts: distinct ones. candidates: related pairs. screened: those that the head let through; due: those of
    them that this scan is to verify. verified: those that have a score by now. read: of these, how many the
    cross-encoder read; it had the others' scores in the cache. encoded: texts whose vectors were not in the
    cache. findings: in no order.
    """

    statements: int = 0
    texts: int = 0
    candidates: int = 0
    screened: int = 0
    due: int = 0
    verified: int = 0
    encoded: int = 0
    read: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def candidates_told(self) -> str:
        """The counts up to the screen, for a person."""
        return (
            f"{self.statements:,} statements, {self.texts:,} distinct ({self.encoded:,} encoded); "
            f"{self.candidates:,} candidates of {self.texts * (self.texts - 1) // 2:,} pairs; "
            f"{self.screened:,} remain after screening"
        )


def run_scan(
    corpus: Corpus,
    reactor: Reactor,
    scan: Scan,
    bar: Bar,
    *,
    rule: Rule,
    min_score: float,
    workers: int | None = None,
    shard: str | None = None,
) -> None:
    """Fills `scan` as it goes: where it is interrupted, what was found so far is there.

    reactor: of both stages. shard: "I/N", which part of the pairs is verified; None for all.
    Memory grows by a vector a text, and by some 70 bytes a neighbour and pair.
    """
    screened = screened_pairs(corpus, reactor, scan, bar, rule=rule, workers=workers)
    if shard:
        screened = screened.part(_in_shard(shard, corpus, screened))
    scan.due = len(screened.first)
    with bar("verifying", len(screened.first), "pair") as progress:
        for rows, verified in _verified(corpus, screened, reactor, progress, workers):
            scan.verified += len(rows)
            scan.read += verified.read
            is_finding = verified.scores >= min_score
            scan.findings += (
                _finding(corpus, screened, row, score)
                for row, score in zip(
                    rows[is_finding].tolist(), verified.scores[is_finding].tolist(), strict=True
                )
            )


def screened_pairs(
    corpus: Corpus, reactor: Reactor, scan: Scan, bar: Bar, *, rule: Rule, workers: int | None = None
) -> Screened:
    """The pairs of a corpus that are worth verifying; counts them in `scan`. reactor: of a screen stage."""
    scan.statements, scan.texts = corpus.statements, len(corpus.texts)
    vectors = _vectors(corpus, reactor, scan, bar, workers)
    with bar("neighbours", 2 * len(vectors), "text") as progress:
        neighbours = nearest(vectors, rule.neighbours, on_progress=progress.update)
    with bar("screening", None, "pair") as progress:
        related = related_pairs(corpus.texts, vectors, neighbours, rule)
        screened = screen(corpus.texts, vectors, related, reactor.screen, rule, on_progress=progress.update)
    scan.candidates, scan.screened = screened.candidates, len(screened.first)
    return screened


def _in_shard(shard: str, corpus: Corpus, screened: Screened) -> np.ndarray:
    rows = np.arange(len(screened.first))
    return np.array([holds_pair(shard, *pair) for pair in _texts(corpus, screened, rows)], dtype=bool)


def _texts(corpus: Corpus, screened: Screened, rows: np.ndarray) -> list[tuple[str, str]]:
    places = zip(screened.first[rows].tolist(), screened.second[rows].tolist(), strict=True)
    return [(corpus.texts[first], corpus.texts[second]) for first, second in places]


def _vectors(corpus: Corpus, reactor: Reactor, scan: Scan, bar: Bar, workers: int | None) -> np.ndarray:
    with bar("encoding", len(corpus.texts), "text") as progress:

        def on_encoded(done: int, of: int) -> None:
            scan.encoded = done
            progress.update(len(corpus.texts) - of + done - progress.n)

        vectors = reactor.embed(corpus.texts, workers, on_encoded).vectors
        progress.update(len(corpus.texts) - progress.n)
    return vectors


def _verified(
    corpus: Corpus, screened: Screened, reactor: Reactor, progress: Any, workers: int | None
) -> Iterator[tuple[np.ndarray, Verified]]:
    """(rows of `screened`, what the cross-encoder says of them) block by block.

    The first blocks are small, so that a scan that is interrupted has the likeliest.
    """
    start, maximum = 0, FIRST_BLOCK
    while start < len(screened.first):
        rows = np.arange(start, min(start + maximum, len(screened.first)))
        pairs = _texts(corpus, screened, rows)
        verified = reactor.verify(pairs, workers, _share_of(progress, start, len(rows)))
        progress.update(start + len(rows) - progress.n)
        yield rows, verified
        start, maximum = start + len(rows), min(2 * maximum, reactor.chunk_size(workers))


def _share_of(progress: Any, start: int, count: int) -> Callable[[int, int], object]:
    """Moves the bar on through a block of `count` pairs as parts of it are read."""
    return lambda done, of: progress.update(start + count * done // of - progress.n)


def _finding(corpus: Corpus, screened: Screened, row: int, score: float) -> Finding:
    first, second = int(screened.first[row]), int(screened.second[row])
    return Finding(
        score,
        corpus.texts[first],
        corpus.texts[second],
        corpus.places[first],
        corpus.places[second],
        float(screened.score[row]),
        float(screened.cosine[row]),
    )
