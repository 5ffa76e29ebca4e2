"""A text that is too long against another: the sentences that are related, read, and what they come to.

A document holds hundreds of sentences that have nothing to do with a claim, and a cross-encoder, which learnt
from pairs about one situation, calls many of those contradictions. So only the sentences nearest to each
sentence of the shorter text are read, and a rule fitted on claims over documents weighs what was found.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kimera.models.passages import joined_by_two, sentences

NEAREST = 8  # sentences of the longer text that are read for each of the shorter
MAX_SENTENCE_BYTES = 400  # two such fit into a window of 256 tokens; longer ones are code and tables
MIN_WORDS = 4  # fewer are a heading, a number or a list's mark, which says nothing that could be contradicted
EDGE = 1e-4  # probabilities nearer to 0 or 1 say no more than this
RELATED_SLOPE = 6.0  # what a cosine counts beside the logit of P(contradiction) where the strongest is chosen
METHOD = 1  # to be raised where what is read or weighed changes and none of the numbers here does

ENDS = ".!?"
STATED = (0.0, 1.0, 0.0)  # of a claim that stands in the evidence word for word

VectorsOf = Callable[[Sequence[str]], np.ndarray]

_WORD = re.compile(r"[^\W\d_]{2,}|\b[aAI]\b")


@dataclass(frozen=True, slots=True)
class Related:
    """What is read of a pair of which one text at least is long.

    texts: premise and hypothesis, one of the longer text (the evidence) and one of the shorter (the claim).
    claim: of each of them, which sentence of the shorter text it has, int64 of shape (m,); cosine: of their
    vectors, float32 of shape (m,); is_copy: whether the evidence has it word for word, bool of shape (m,).
    sentences: of the longer text, without fragments. is_swapped: whether the
    longer text is the second of the pair.
    """

    texts: list[tuple[str, str]]
    claim: np.ndarray
    cosine: np.ndarray
    is_copy: np.ndarray
    sentences: int
    is_swapped: bool

    def of_each_claim(self) -> list[np.ndarray]:
        """Of each sentence of the shorter text, the places of what is read with it."""
        return [np.flatnonzero(self.claim == claim) for claim in np.unique(self.claim)]

    def as_given(self, place: int) -> tuple[str, str]:
        """The texts at a place, in the order of the pair."""
        first, second = self.texts[place]
        return (second, first) if self.is_swapped else (first, second)


@dataclass(frozen=True, slots=True)
class LongTextRule:
    """P(contradiction) of a claim against long evidence: a logistic function of `features`, in their order.

    Fitted by `python -m benchmarks.perf.long_texts`; see docs/long-texts.md.
    """

    weights: tuple[float, ...]
    offset: float

    @property
    def fingerprint(self) -> str:
        """Names all that decides the score of a long pair, but for the network and the encoder."""
        numbers = (METHOD, NEAREST, MAX_SENTENCE_BYTES, MIN_WORDS, EDGE, RELATED_SLOPE, STATED)
        described = repr((*numbers, self.weights, self.offset))
        return hashlib.sha256(described.encode()).hexdigest()[:16]

    def scores(self, features: np.ndarray) -> np.ndarray:
        """features: shape (n, len(weights)). Gives float64 of shape (n,)."""
        values = features @ np.array(self.weights) + self.offset
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))

    def weigh(self, related: Related, probabilities: np.ndarray) -> tuple[np.ndarray, int]:
        """(the three probabilities of the whole pair, the place of the strongest of those that were read).

        probabilities: of what was read, float of shape (m, 3). Of several sentences in the shorter text the
        one that is contradicted most counts.
        """
        probabilities = _as_stated(related, probabilities)
        claims = related.of_each_claim()
        scores = self.scores(claim_features(related, probabilities))
        worst = int(scores.argmax())
        at = claims[worst]
        entailment = (1.0 - scores[worst]) * float(probabilities[at, 1].max())
        whole = np.array([scores[worst], entailment, 1.0 - scores[worst] - entailment], dtype=np.float32)
        return whole.clip(0.0, 1.0), int(at[_strongest(probabilities[at], related.cosine[at])])


LONG_TEXT_RULE = LongTextRule(weights=(0.829, 7.58, -0.555, 1.309, -0.122), offset=-5.627)

FEATURES = (
    "logit of P(contradiction) of the strongest related sentence",
    "its cosine to the claim",
    "logit of the greatest P(entailment) of a sentence",
    "the greatest cosine of a sentence",
    "logarithm of the number of sentences",
)


def claim_features(related: Related, probabilities: np.ndarray) -> np.ndarray:
    """Of each sentence of the shorter text, `FEATURES`: float64 of shape (claims, 5)."""
    probabilities = _as_stated(related, probabilities)
    return np.array(
        [features(probabilities[at], related.cosine[at], related.sentences) for at in related.of_each_claim()]
    )


def _as_stated(related: Related, probabilities: np.ndarray) -> np.ndarray:
    """Probabilities, of copies `STATED`: networks call some contradictions, of lists and code above all."""
    return np.where(related.is_copy[:, None], STATED, probabilities)


def features(probabilities: np.ndarray, cosine: np.ndarray, sentences: int) -> np.ndarray:
    """Of one claim and the m sentences read with it, `FEATURES`: float64 of shape (5,)."""
    at = _strongest(probabilities, cosine)
    return np.array(
        [
            _logit(probabilities[at, 0]),
            cosine[at],
            _logit(probabilities[:, 1].max()),
            cosine.max(),
            np.log(sentences),
        ],
        dtype=np.float64,
    )


def related_sentences(
    pairs: Sequence[tuple[str, str]], vectors_of: VectorsOf, maximum: int, nearest: int = NEAREST
) -> list[Related]:
    """What to read of each pair; at most so many of one. vectors_of: unit vectors of texts, a row each."""
    sides = [_sides(pair, maximum) for pair in pairs]
    texts = list(
        dict.fromkeys(text for side in sides for part in (side.evidence, side.claims) for text in part)
    )
    places = {text: row for row, text in enumerate(texts)}
    vectors = vectors_of(texts) if texts else np.empty((0, 0), np.float32)
    related = []
    for side in sides:
        evidence, claims = (vectors[[places[text] for text in part]] for part in (side.evidence, side.claims))
        of_each_claim = min(nearest, max(1, maximum // len(side.claims)))
        related.append(_nearest(side, claims @ evidence.T, of_each_claim))
    return related


def is_fragment(sentence: str) -> bool:
    """Whether it is a heading, a number, a mark of a list: too few words to be a statement."""
    return len(_WORD.findall(sentence)) < MIN_WORDS or sentence.startswith("#")


@dataclass(frozen=True, slots=True)
class _Sides:
    evidence: list[str]
    claims: list[str]
    is_swapped: bool = field(default=False)


def _sides(pair: tuple[str, str], maximum: int) -> _Sides:
    first, second = (_statements(text) for text in pair)
    is_swapped = len(second) > len(first)
    evidence, claims = (second, first) if is_swapped else (first, second)
    if len(claims) > 1:  # what stands in both is no news; a lone claim that does is answered by its copy
        known = set(evidence)
        claims = [claim for claim in claims if claim not in known] or claims
    while len(claims) > maximum:
        claims = joined_by_two(claims)
    return _Sides(evidence, claims, is_swapped)


def _statements(text: str) -> list[str]:
    parts = list(dict.fromkeys(part for whole in sentences(text) for part in split_sentence(whole)))
    return [sentence for sentence in parts if not is_fragment(sentence)] or parts


def split_sentence(sentence: str, max_bytes: int = MAX_SENTENCE_BYTES) -> list[str]:
    """Its parts of at most so many bytes of UTF-8: whole lines where they fit, else whole words."""
    parts, start = [], 0
    while start < len(sentence):
        head = sentence[start : start + max_bytes].encode("utf-8", "replace")[:max_bytes]
        part = head.decode("utf-8", "ignore")
        if start + len(part) < len(sentence):
            line, word = part.rfind("\n") + 1, part.rfind(" ") + 1
            part = part[: line or word or len(part)]
        start += len(part)
        if stripped := part.strip():
            parts.append(stripped)
    return parts or [sentence]


def _nearest(side: _Sides, cosines: np.ndarray, nearest: int) -> Related:
    """cosines: of shape (claims, evidence). Of a claim that is copied, only the nearest sentence is read."""
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :nearest]
    copied = _copied(side.claims, side.evidence)
    chosen = [
        (at, row)
        for at, is_copied in enumerate(copied)
        for row in order[at, : 1 if is_copied else None].tolist()
    ]
    claims, rows = np.array(chosen).T
    texts = [(side.evidence[row], side.claims[at]) for at, row in chosen]
    return Related(
        texts, claims, cosines[claims, rows], np.array(copied)[claims], len(side.evidence), side.is_swapped
    )


def _copied(claims: Sequence[str], evidence: Sequence[str]) -> list[bool]:
    """Which claims are whole sentences of the evidence, one or several.

    A part of one does not count: "Nobody believes that Ann left." does not state "Ann left.".
    """
    known = {_bare(sentence) for sentence in evidence}
    whole = f". {' '.join(' '.join(evidence).split())} "
    return [
        (bare := _bare(claim)) in known
        or any(f"{end} {bare}{mark} " in whole for end in ENDS for mark in ENDS)
        for claim in claims
    ]


def _bare(sentence: str) -> str:
    """With single blanks, and without the mark at its end."""
    return " ".join(sentence.split()).rstrip(ENDS)


def _strongest(probabilities: np.ndarray, cosine: np.ndarray) -> int:
    """The place of the sentence that contradicts most and is related as well."""
    return int((_logit(probabilities[:, 0]) + RELATED_SLOPE * cosine).argmax())


def _logit(probability: np.ndarray) -> np.ndarray:
    inside = np.clip(np.asarray(probability, dtype=np.float64), EDGE, 1.0 - EDGE)
    return np.asarray(np.log(inside) - np.log1p(-inside))
