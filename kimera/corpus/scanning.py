"""A corpus to its findings, stage by stage: vectors, candidates, screen, and who decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from kimera.corpus.candidates import rare_word_pairs, related_pairs
from kimera.corpus.comparable import Comparable
from kimera.corpus.cosine_floors import floors_of
from kimera.corpus.deciding import Block, Decide, by_detector, by_reactor, by_scan_scores
from kimera.corpus.findings import CONTRADICTS, DUPLICATES, SUPERSEDES, Finding
from kimera.corpus.kept_neighbours import KeptNeighbours
from kimera.corpus.neighbours import Neighbours, nearest, nearest_within, require_search
from kimera.corpus.scan_rule import Rule
from kimera.corpus.scan_scores import ScanScores
from kimera.corpus.screening import (
    Screened,
    screened_by_head,
    screened_by_neighbours,
    screened_by_words,
    unscreened,
)
from kimera.corpus.texts import Corpus
from kimera.corpus.word_sets import WordSets
from kimera.detectors import VerdictSource
from kimera.files import holds_pair
from kimera.local_names import REACTOR
from kimera.reactor import Reactor

# title, how much there is (None: not known before), what is counted -> a tqdm bar
Bar = Callable[[str, int | None, str], Any]
# Up to so many texts their words are told apart beside what computes vectors and neighbours; of more both
# would take too much memory at a time.
MAX_BESIDE = 2**18


@dataclass
class Scan:
    """What a scan has done so far; what an interrupted one leaves.

    texts: distinct ones. pairs: of these, within a subject. candidates: related pairs. screened: those that
    words and head left; due: those of them that this scan is to verify. verified: those that have a score by
    now. read: of these, how many the cross-encoder read; it had the others' scores in the cache. Another
    detector says itself how many it read. failed: those on which the detector failed, by kind; failure: the
    first of these, in words. encoded: texts whose vectors were not in the cache. rule: with the cosines that
    counted. floor_pairs: random pairs that gave these, 0 where none were derived. tells_entailment: whether
    the detector says it, where duplicates are sought. findings: in no order.
    """

    statements: int = 0
    texts: int = 0
    pairs: int = 0
    candidates: int = 0
    screened: int = 0
    due: int = 0
    verified: int = 0
    encoded: int = 0
    read: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    failure: str = ""
    rule: Rule = field(default_factory=Rule)
    floor_pairs: int = 0
    tells_entailment: bool = False
    findings: list[Finding] = field(default_factory=list)

    @property
    def candidates_told(self) -> str:
        """The counts up to the screen, for a person."""
        return (
            f"{self.statements:,} statements, {self.texts:,} distinct ({self.encoded:,} encoded); "
            f"{self.candidates:,} candidates of {self.pairs:,} pairs; "
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
    detector: VerdictSource | None = None,
    title: str = REACTOR,
    duplicates: bool = False,
    derived: Collection[str] = (),
    on_floors: Callable[[Scan], object] = lambda scan: None,
    scores: ScanScores | None = None,
) -> None:
    """Fills `scan` as it goes: where it is interrupted, what was found so far is there.

    reactor: finds the candidates, as in `screened_pairs`, and its deciding stage decides on them, unless
    `detector` does, which is opened and closed here. title: what findings call the one that decides.
    min_score: P(contradiction) of a finding, by whoever decides. duplicates: whether pairs are findings too
    of which each follows from the other, P(entailment) being so high in both orders. scores: where the
    reactor's cross-encoder decides, what it says is put right by these, and duplicates are not found. shard:
    "I/N", which part of the pairs is verified; None for all. derived, on_floors: see `screened_pairs`.
    Memory grows by a vector a text, and by some 70 bytes a neighbour and pair.
    """
    screened = screened_pairs(
        corpus,
        reactor,
        scan,
        bar,
        rule=rule,
        workers=workers,
        derived=derived,
        on_floors=on_floors,
        by_words=partial(screened_by_words, scores=scores, min_score=min_score) if scores else None,
        by_head=None if detector or scores or duplicates else _by_neighbours(corpus, reactor, min_score),
    )
    if shard:
        screened = screened.part(_in_shard(shard, corpus, screened))
    scan.due = len(screened.first)
    if detector is not None:
        decide = by_detector(detector)
    else:
        decide = by_scan_scores(reactor, scores) if scores else by_reactor(reactor)
    entailed: dict[int, float] = {}
    with bar("verifying", len(screened.first), "pair") as progress:
        for block in decide(corpus.texts, screened, progress, workers):
            _count(scan, block)
            is_finding = block.scores >= min_score  # where it failed, the score is NaN
            scan.findings += (
                _finding(corpus, screened, row, score, title)
                for row, score in zip(
                    block.rows[is_finding].tolist(), block.scores[is_finding].tolist(), strict=True
                )
            )
            if duplicates and block.entailments is not None:
                scan.tells_entailment = True
                entailed |= _at_least(min_score, block.rows, block.entailments)
    if entailed:
        _find_duplicates(corpus, screened, entailed, scan, decide, bar, min_score, workers, title)


def _at_least(minimum: float, rows: np.ndarray, scores: np.ndarray) -> dict[int, float]:
    keep = scores >= minimum
    return dict(zip(rows[keep].tolist(), scores[keep].tolist(), strict=True))


def _find_duplicates(
    corpus: Corpus,
    screened: Screened,
    entailed: dict[int, float],
    scan: Scan,
    decide: Decide,
    bar: Bar,
    min_score: float,
    workers: int | None,
    title: str,
) -> None:
    """Of the rows whose second text follows from the first, those of which the first follows too."""
    rows = np.array(sorted(entailed), dtype=np.int64)
    with bar("duplicates", len(rows), "pair") as progress:
        for block in decide(corpus.texts, screened.part(rows).turned(), progress, workers):
            scan.read += block.read
            back = {} if block.entailments is None else _at_least(min_score, block.rows, block.entailments)
            for place, score in back.items():
                row = int(rows[place])
                lower = min(score, entailed[row])
                scan.findings.append(_finding(corpus, screened, row, lower, title, DUPLICATES))


def _count(scan: Scan, block: Block) -> None:
    scan.verified += len(block.rows) - len(block.failures)
    scan.read += block.read
    scan.failed.update(failure.kind for failure in block.failures)
    if block.failures and not scan.failure:
        scan.failure = block.failures[0].message


def screened_pairs(
    corpus: Corpus,
    reactor: Reactor,
    scan: Scan,
    bar: Bar,
    *,
    rule: Rule,
    workers: int | None = None,
    derived: Collection[str] = (),
    on_floors: Callable[[Scan], object] = lambda scan: None,
    by_words: Callable[..., Screened] | None = None,
    by_head: Callable[..., Screened] | None = None,
) -> Screened:
    """The pairs of a corpus that are worth verifying; counts them in `scan`.

    reactor: where it has no head, it drops no candidate. by_words: what leaves some for the head to see, as
    `screened_by_words`; so the head sees few. by_head: what drops candidates in the place of that head, as
    `screened_by_neighbours`. derived: those of `cosine_floors.FLOORS` that the
    corpus is to give, since they were not measured on this encoder; on_floors is called once it has.
    """
    scan.statements, scan.texts = corpus.statements, len(corpus.texts)
    comparable = Comparable(corpus)
    require_search(int(np.bincount(comparable.subjects).max(initial=0)))  # before what takes long
    scan.pairs = comparable.pairs
    with ThreadPoolExecutor(1) as beside:
        are_beside = by_words is not None and len(corpus.texts) <= MAX_BESIDE
        words = beside.submit(WordSets, corpus.texts) if are_beside else None
        rare = beside.submit(rare_word_pairs, corpus.texts, rule.rare_in_corpus(len(corpus.texts)))
        vectors = _vectors(corpus, reactor, scan, bar, workers)
        scan.rule = rule
        if derived:
            floors = floors_of(vectors, rule, derived)
            scan.rule, scan.floor_pairs = floors.rule, floors.pairs
            on_floors(scan)
        with bar("neighbours", 2 * len(vectors), "text") as progress:
            search = _search(corpus, reactor, vectors, rule.neighbours, progress.update)
            neighbours = nearest_within(comparable.subjects, rule.neighbours, search)
    related = comparable.among(related_pairs(vectors, neighbours, rare.result(), scan.rule))
    screened = unscreened(corpus.texts, related)
    if by_words is not None:
        with bar("comparing words", len(screened.first), "pair") as progress:
            known = words.result() if words else None
            screened = by_words(corpus, screened, words=known, on_progress=progress.update)
    if by_head is None and reactor.head:
        by_head = partial(screened_by_head, head=reactor.screen, rule=scan.rule)
    if by_head is not None:
        with bar("screening", len(screened.first), "pair") as progress:
            screened = by_head(vectors, screened, on_progress=progress.update)
    scan.candidates, scan.screened = screened.candidates, len(screened.first)
    return screened


def _by_neighbours(corpus: Corpus, reactor: Reactor, min_score: float) -> Callable[..., Screened] | None:
    """None where there is no head for neighbours that knows what this reactor's cross-encoder says so often.

    It leaves what may be a contradiction, and so no duplicates.
    """
    screen = reactor.neighbour_screen
    if screen is None or not screen.can_drop(min_score):
        return None
    return partial(screened_by_neighbours, texts=corpus.texts, screen=screen, min_score=min_score)


def _search(
    corpus: Corpus, reactor: Reactor, vectors: np.ndarray, count: int, on_progress: Callable[[int], object]
) -> Callable[[np.ndarray | slice], Neighbours]:
    """Rows to the `count` nearest of each among them, by what an earlier scan kept."""
    if reactor.cache is None:
        return lambda rows: nearest(vectors[rows], count, on_progress=on_progress)
    kept = KeptNeighbours(reactor.cache.folder, reactor.encoder.output_fingerprint)

    def by_kept(rows: np.ndarray | slice) -> Neighbours:
        of = corpus.texts if isinstance(rows, slice) else [corpus.texts[row] for row in rows.tolist()]
        return kept.nearest(of, vectors[rows], count, on_progress=on_progress)

    return by_kept


def _in_shard(shard: str, corpus: Corpus, screened: Screened) -> np.ndarray:
    rows = np.arange(len(screened.first))
    return np.array([holds_pair(shard, *pair) for pair in screened.texts(corpus.texts, rows)], dtype=bool)


def _vectors(corpus: Corpus, reactor: Reactor, scan: Scan, bar: Bar, workers: int | None) -> np.ndarray:
    with bar("encoding", len(corpus.texts), "text") as progress:

        def on_encoded(done: int, of: int) -> None:
            scan.encoded = done
            progress.update(len(corpus.texts) - of + done - progress.n)

        vectors = reactor.embed(corpus.texts, workers, on_encoded).vectors
        progress.update(len(corpus.texts) - progress.n)
    return vectors


def _finding(
    corpus: Corpus, screened: Screened, row: int, score: float, title: str, kind: str = CONTRADICTS
) -> Finding:
    first, second = int(screened.first[row]), int(screened.second[row])
    newer = corpus.newer(first, second) if kind == CONTRADICTS else 0
    return Finding(
        score,
        corpus.texts[first],
        corpus.texts[second],
        corpus.places[first],
        corpus.places[second],
        float(screened.score[row]),
        float(screened.cosine[row]),
        detector=title,
        kind=SUPERSEDES if newer else kind,
        newer=newer,
        subject=corpus.subjects[first],
        time1=corpus.time(first),
        time2=corpus.time(second),
        context1=corpus.contexts[first],
        context2=corpus.contexts[second],
    )
