"""The words that everything else speaks: Pair, Verdict, Failure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

__all__ = [
    "CONTRADICTION",
    "EMPTY_TEXT",
    "ENTAILMENT",
    "LABELS",
    "NEUTRAL",
    "NOT_CONTRADICTION",
    "NO_CLASS",
    "RELATIONS",
    "SCORE_SOURCES",
    "Failure",
    "Pair",
    "Verdict",
    "pair_of",
]

CONTRADICTION = "contradiction"
ENTAILMENT = "entailment"
NEUTRAL = "neutral"
NOT_CONTRADICTION = "not_contradiction"
LABELS = (CONTRADICTION, ENTAILMENT, NEUTRAL, NOT_CONTRADICTION)
RELATIONS = (CONTRADICTION, ENTAILMENT, NEUTRAL)  # the three classes of natural language inference
SCORE_SOURCES = (  # of a `Verdict`
    "calibrated",
    "stated",
    "logprobs",
    "verdict",
    "passages",
    "decision",
    "votes",
    "panel",
)
NO_CLASS = -1  # among indices into `RELATIONS`: none of them
NOT_TWO_TEXTS = (str, bytes, Set, Mapping)  # even where it has two elements


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, perhaps with a gold label (one of `LABELS`) and a category.

    `not_contradiction` is the label of two-way datasets, which do not tell entailment from neutral.
    drawn: the probability with which it was drawn to be labelled; None where nobody says.
    weight: what it counts in a fit, beside other pairs.
    """

    text1: str
    text2: str
    id: str = ""
    label: str | None = None
    category: str = ""
    drawn: float | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.label is not None and self.label not in LABELS:
            raise ValueError(f"label {self.label!r} is not one of {', '.join(LABELS)}")

    @property
    def is_contradiction(self) -> bool | None:
        """The gold answer, or None where the pair carries no label."""
        return None if self.label is None else self.label == CONTRADICTION


def pair_of(given: object, number: int) -> Pair:
    """The pair that was given as a `Pair` or as two texts: a tuple, a list, a row of an array.

    number: its place among those given, from 0, for the message. Raises ValueError for anything else.
    """
    if isinstance(given, Pair):
        texts: tuple[object, ...] = (given.text1, given.text2)
    else:
        texts = tuple(given) if isinstance(given, Iterable) and not isinstance(given, NOT_TWO_TEXTS) else ()
    if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            f"item {number} is {given!r:.200}; expected a Pair or two texts, "
            "('...', '...'); kimera.pairs_of makes pairs of a table"
        )
    if isinstance(given, Pair):
        return given
    text1, text2 = map(str, texts)
    return Pair(text1, text2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a detector says of one pair.

    confidence: the detector's confidence in this verdict, from 0.5 to 1; a value below is clamped to 0.5,
        since a detector that believed the opposite would have said the opposite.
    latency_ms: of a judge, its successful attempt; of the reactor, its batch's time over its pairs.
    wait_ms: what the pair waited beside that: failed attempts and the pauses before retries.
    score_source: where the confidence comes from: "calibrated", "stated" or "logprobs"; "verdict" where a
        judge stated none, so that 1.0 stands for the bare verdict; "passages" where texts were too long to be
        read at once, so that it is made of what was read of them (see docs/long-texts.md); "decision" where
        it is the probability that a model of decisions gives, which writes no text; "votes" for a share of
        askings; "panel" for what several judges say together.
    screen_score: of the reactor where its cross-encoder gave the verdict, P(contradiction) by the head on
        sentence vectors.
    entailment, neutral: the probabilities of the other two classes where the detector knows them, with the
        score adding up to 1; None where it does not.
    relation: of a judge that was asked for three classes, the one of `RELATIONS` that it states; None where
        it states none. Raises ValueError where it says otherwise than `contradiction`.
    """

    contradiction: bool
    confidence: float
    reasoning: str = ""
    latency_ms: float = 0.0
    wait_ms: float = 0.0
    score_source: str = "stated"
    screen_score: float | None = None
    entailment: float | None = None
    neutral: float | None = None
    relation: str | None = None

    def __post_init__(self) -> None:
        if not self.confidence <= 1.0:  # also true of NaN
            raise ValueError(f"confidence {self.confidence!r} is not a number of at most 1")
        if self.relation is not None and self.relation not in RELATIONS:
            raise ValueError(f"relation {self.relation!r} is not one of {', '.join(RELATIONS)}")
        if self.relation is not None and self.contradiction != (self.relation == CONTRADICTION):
            raise ValueError(f"contradiction is {self.contradiction}, but relation is {self.relation!r}")
        object.__setattr__(self, "confidence", max(0.5, float(self.confidence)))

    @property
    def score(self) -> float:
        """P(contradiction)."""
        return self.confidence if self.contradiction else 1.0 - self.confidence

    @property
    def three_way(self) -> str | None:
        """Which of `RELATIONS` this is; None where the detector does not tell entailment from neutral.

        What is no contradiction is the likelier of the other two, neutral where they are equally likely.
        """
        if self.relation is not None:
            return self.relation
        if self.entailment is None or self.neutral is None:
            return None
        if self.contradiction:
            return CONTRADICTION
        return ENTAILMENT if self.entailment > self.neutral else NEUTRAL


@dataclass(frozen=True, slots=True)
class Failure:
    """A pair on which a detector gave no verdict: data, never an exception that ends a run.

    kind: a short stable word, such as "timeout", "unparseable" or "abstained".
    message: one line for a person; it never holds a key.
    """

    kind: str
    message: str
    wait_ms: float = 0.0


# The failures that are kimera's own; those of judges are in `benchmarks`.
EMPTY_TEXT = Failure("empty_text", "one of the two texts is empty, so there is nothing to compare")
