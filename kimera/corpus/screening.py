"""Which of the candidates are read: by what their statements share and differ in, and by the head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kimera.corpus.candidates import Blocks
from kimera.corpus.differences import Differences
from kimera.corpus.scan_rule import Rule
from kimera.corpus.scan_scores import ScanScores
from kimera.corpus.texts import Corpus
from kimera.corpus.word_sets import WordSets
from kimera.models import NeighbourScreen

PAIRS_PER_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Screened:
    """Pairs of rows, arrays of length n; those that go to the cross-encoder have the likeliest first.

    first, second: int32; the longer text is first, as premises are, whichever stands first in the corpus.
    cosine, score: float32; the score is the head's, NaN without one. candidates: how many pairs the rule
    found. log_odds: float64, how likely both contradict each other by their words, where these were compared.
    """

    first: np.ndarray
    second: np.ndarray
    cosine: np.ndarray
    score: np.ndarray
    candidates: int
    log_odds: np.ndarray | None = None

    def texts(self, texts: Sequence[str], rows: np.ndarray) -> list[tuple[str, str]]:
        """Of these rows. texts: of the corpus."""
        places = zip(self.first[rows].tolist(), self.second[rows].tolist(), strict=True)
        return [(texts[first], texts[second]) for first, second in places]

    def turned(self) -> Screened:
        """Each pair in the other order; the score is that of the first order."""
        return replace(self, first=self.second, second=self.first)

    def part(self, rows: np.ndarray) -> Screened:
        """rows: indices, or a mask."""
        return replace(
            self,
            first=self.first[rows],
            second=self.second[rows],
            cosine=self.cosine[rows],
            score=self.score[rows],
            log_odds=None if self.log_odds is None else self.log_odds[rows],
        )


def unscreened(texts: Sequence[str], pairs: Blocks) -> Screened:
    """All of the pairs, the nearest first."""
    place = np.empty(len(texts), dtype=np.int64)
    place[sorted(range(len(texts)), key=lambda row: (len(texts[row]), texts[row]))] = np.arange(len(texts))
    rows, cosines = [np.empty((0, 2), np.int32)], [np.empty(0, np.float32)]
    for block, cosine in pairs:
        is_longer = (place[block[:, 0]] > place[block[:, 1]])[:, None]
        rows.append(np.where(is_longer, block, block[:, ::-1]).astype(np.int32))
        cosines.append(cosine)
    (first, second), every = np.concatenate(rows).T, np.concatenate(cosines)
    order = np.argsort(-every, kind="stable")
    score = np.full(len(every), np.nan, np.float32)
    return Screened(first[order], second[order], every[order], score, len(every))


def screened_by_words(
    corpus: Corpus,
    pairs: Screened,
    scores: ScanScores,
    min_score: float,
    *,
    words: WordSets | None = None,
    on_progress: Callable[[int], object] = lambda pairs: None,
) -> Screened:
    """Those of which reading may make a finding, the likeliest first.

    scores: what they are made of; a finding has at least `min_score`. words: of the corpus's texts.
    """
    least = scores.least_log_odds(min_score) - scores.intercept
    rows, features = Differences(corpus, words).promising(
        pairs.first, pairs.second, pairs.cosine, scores.weights, least, on_progress
    )
    log_odds = scores.without_reading(features)
    may = np.flatnonzero(scores.highest(log_odds) >= min_score)
    order = may[np.argsort(-log_odds[may], kind="stable")]
    return replace(pairs.part(rows[order]), log_odds=log_odds[order])


def screened_by_head(
    vectors: np.ndarray,
    pairs: Screened,
    head: Callable[[np.ndarray, np.ndarray], np.ndarray],
    rule: Rule,
    *,
    on_progress: Callable[[int], object] = lambda pairs: None,
) -> Screened:
    """What of the pairs the head for pairs lets through, the likeliest first: by their words, else by it.

    head: the vectors of n pairs to probabilities of shape (n, 3), as `Reactor.screen`. on_progress is told
    how many pairs it has looked at.
    """
    score = _scores(pairs, lambda first, second: head(vectors[first], vectors[second])[:, 0], on_progress)
    return _kept(replace(pairs, score=score), (score >= rule.min_screen) | (pairs.cosine >= rule.surely))


def screened_by_neighbours(
    vectors: np.ndarray,
    pairs: Screened,
    texts: Sequence[str],
    screen: NeighbourScreen,
    min_score: float,
    *,
    on_progress: Callable[[int], object] = lambda pairs: None,
) -> Screened:
    """What of the pairs the head for neighbours lets through, the likeliest first.

    min_score: P(contradiction) of a finding, by the cross-encoder. on_progress as by `screened_by_head`.
    """
    if not len(pairs.first):
        return pairs
    pieces, characters = screen.pieces.of(texts), np.array(list(map(len, texts)))
    score = _scores(pairs, lambda first, second: screen.scores(vectors, pieces, first, second), on_progress)
    both = characters[pairs.first] + characters[pairs.second]
    return _kept(replace(pairs, score=score), screen.worth_reading(score, both, min_score))


def _scores(
    pairs: Screened,
    score_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    on_progress: Callable[[int], object],
) -> np.ndarray:
    """Block by block. score_of: rows of texts to P(contradiction)."""
    score = np.empty(len(pairs.first), np.float32)
    for at in range(0, len(score), PAIRS_PER_BLOCK):
        block = slice(at, at + PAIRS_PER_BLOCK)
        score[block] = score_of(pairs.first[block], pairs.second[block])
        on_progress(len(score[block]))
    return score


def _kept(pairs: Screened, is_kept: np.ndarray) -> Screened:
    keep = np.flatnonzero(is_kept)
    if pairs.log_odds is None:
        keep = keep[np.argsort(-pairs.score[keep], kind="stable")]
    return pairs.part(keep)
