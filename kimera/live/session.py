"""A session's statements with their vectors, and the check of new ones against them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from threadpoolctl import ThreadpoolController

from kimera.cross_encoder import CrossEncoder
from kimera.live.candidates import CandidateRule, choose_candidates
from kimera.live.statements import Contradiction, Statement
from kimera.reactor import THRESHOLD, Reactor
from kimera.verification import verify

FIRST_ROWS = 64
MAX_PASSAGE_PAIRS = 4  # two halves of a long statement with two of another, so that most fit into the window


class Session:
    """Statements in the order of their arrival. vectors grow by doubling: 1.5 to 3 kB a statement.

    longest: characters of the longest statement that arrived, also where it is not checked yet.
    """

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.longest = 0
        self._rows = np.empty((0, 0), np.float32)

    @property
    def vectors(self) -> np.ndarray:
        """Unit vectors, float32 of shape (n, dimension)."""
        return self._rows[: len(self.statements)]

    def add(self, statement: Statement, vector: np.ndarray) -> None:
        count = len(self.statements)
        if count == len(self._rows):
            grown = np.empty((max(FIRST_ROWS, 2 * count), len(vector)), np.float32)
            grown[:count] = self._rows[:count].reshape(count, len(vector))
            self._rows = grown
        self._rows[count] = vector
        self.statements.append(statement)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Of one new statement: earlier ones that are worth reading beside it, with the head's scores."""

    earlier: list[Statement]
    cosines: list[float]
    scores: list[float]


class Detector:
    """Finds what contradicts a new statement. Not for two threads at once.

    reactor: its encoder and head choose the candidates; its cross-encoder decides where it has one, else
    its head does. The reactor's cache is not used.
    """

    def __init__(self, reactor: Reactor, rule: CandidateRule) -> None:
        if reactor.head is None:
            raise ValueError("the reactor has no head; its stages must be screen or both")
        self._encoder, self._head, self._cross_encoder = reactor.encoder, reactor.head, reactor.cross_encoder
        self._rule = rule
        # Products this small gain nothing from threads, and on busy cores these wait for each other: 64 rows
        # of the head then took 64 ms instead of 1.3.
        self._blas = ThreadpoolController().select(user_api="blas")

    def load(self) -> None:
        """Loads the models, which takes seconds."""
        self._encoder.encode(["a"])
        if self._cross_encoder:
            self._cross_encoder.predict([("a", "b")])

    def check(
        self,
        arrived: Sequence[tuple[Session, Statement]],
        on_read: Callable[[int, int], object] | None = None,
    ) -> list[list[Contradiction]]:
        """Of each statement what contradicts it, the greatest score first; they join their sessions.

        Those of one session are checked in their order here. All are encoded together, and all their
        candidates read together. on_read: see `verify`; what it raises ends the check.
        """
        vectors = self._encoder.encode([statement.text for _, statement in arrived])
        chosen = []
        with self._blas.limit(limits=1):
            for (session, statement), vector in zip(arrived, vectors, strict=True):
                chosen.append(self._candidates(session, vector))
                session.add(statement, vector)
        laters = [statement for _, statement in arrived]
        decided = [each.scores for each in chosen]
        if self._cross_encoder:
            decided = _scores_read(self._cross_encoder, laters, chosen, on_read)
        stage = "verify" if self._cross_encoder else "screen"
        return list(map(_contradictions, laters, chosen, decided, repeat(stage)))

    def _candidates(self, session: Session, vector: np.ndarray) -> Candidates:
        earlier = session.vectors
        if not len(earlier):
            return Candidates([], [], [])
        cosines = earlier @ vector

        def scores_of(rows: np.ndarray) -> np.ndarray:
            return self._head.predict(earlier[rows], np.broadcast_to(vector, (len(rows), len(vector))))[:, 0]

        rows, scores = choose_candidates(cosines, scores_of, self._rule)
        statements = [session.statements[row] for row in rows]
        return Candidates(statements, cosines[rows].tolist(), scores.tolist())


def _scores_read(
    cross_encoder: CrossEncoder,
    laters: Sequence[Statement],
    chosen: Sequence[Candidates],
    on_read: Callable[[int, int], object] | None,
) -> list[list[float]]:
    """The cross-encoder's scores of all candidates, read together."""
    pairs = [
        (earlier.text, later.text)
        for later, each in zip(laters, chosen, strict=True)
        for earlier in each.earlier
    ]
    if not pairs:
        return [[] for _ in chosen]
    verified = verify(pairs, cross_encoder, None, max_passage_pairs=MAX_PASSAGE_PAIRS, on_read=on_read)
    scores = iter(verified.probabilities[:, 0].tolist())
    return [[next(scores) for _ in each.earlier] for each in chosen]


def _contradictions(
    later: Statement, chosen: Candidates, scores: Sequence[float], stage: str
) -> list[Contradiction]:
    found = [
        Contradiction(earlier, later, score, stage, cosine)
        for earlier, score, cosine in zip(chosen.earlier, scores, chosen.cosines, strict=True)
        if score >= THRESHOLD
    ]
    return sorted(found, key=lambda each: -each.score)
