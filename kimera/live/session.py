"""A session's statements with their vectors, and the check of new ones against them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from threadpoolctl import ThreadpoolController

from kimera.detectors import VerdictSource
from kimera.errors import UserError
from kimera.live.candidate_rule import CandidateRule, choose_candidates, own_floor
from kimera.live.contradictions import Contradiction, Found, NumberedStatement
from kimera.models import NeighbourScreen, distinct
from kimera.pairs import Failure, Pair, Verdict
from kimera.reactor import THRESHOLD, Reactor

log = logging.getLogger(__name__)

OnRead: TypeAlias = Callable[[int, int], object]

FIRST_ROWS = 64
GROWN = 1.25  # times as many statements, after which a session's own floor is taken again
FIRST_PAIR = Pair("The door is open.", "The door is closed.")
MAX_PASSAGE_PAIRS = 4  # two halves of a long statement with two of another, so that most fit into the window


class Session:
    """Statements in the order of their arrival. vectors grow by doubling: 1.5 to 3 kB a statement.

    pieces: word pieces of statements by their rows, of those that were looked at (see `Pieces`), int32.
    longest: characters of the longest statement that arrived, also where it is not checked yet.
    given: statements that it begins with; they have no vectors before its first check, and are not checked.
    name: under which the store keeps it, "" where nothing does. taken: the last number that was given away.
    """

    def __init__(self, given: Sequence[NumberedStatement] = (), name: str = "") -> None:
        self.name = name
        self.taken = given[-1].number if given else 0
        self.statements: list[NumberedStatement] = []
        self.given = list(given)
        self.pieces: dict[int, np.ndarray] = {}
        self.longest = max((len(statement.text) for statement in given), default=0)
        self._floor: float | None = None
        self._floor_of = 0  # statements
        self._rows = np.empty((0, 0), np.float32)

    @property
    def vectors(self) -> np.ndarray:
        """Unit vectors, float32 of shape (n, dimension)."""
        return self._rows[: len(self.statements)]

    def add(self, statement: NumberedStatement, vector: np.ndarray) -> None:
        count = len(self.statements)
        if count == len(self._rows):
            grown = np.empty((max(FIRST_ROWS, 2 * count), len(vector)), np.float32)
            grown[:count] = self._rows[:count].reshape(count, len(vector))
            self._rows = grown
        self._rows[count] = vector
        self.statements.append(statement)

    def cut(self, count: int) -> None:
        """Forgets all but the first `count` statements."""
        for row in range(count, len(self.statements)):
            self.pieces.pop(row, None)
        del self.statements[count:]

    def own_floor(self) -> float | None:
        """The minimum cosine of related statements as those so far have it; None where they do not tell."""
        if len(self.statements) >= GROWN * self._floor_of:
            self._floor, self._floor_of = own_floor(self.vectors), len(self.statements)
        return self._floor


class KeptStatement(NamedTuple):
    """What a store is given of a statement. session: its name. vector: float32 of shape (dimension,)."""

    session: str
    statement: NumberedStatement
    vector: np.ndarray


class StatementStore(Protocol):
    """What keeps named sessions: all of the statements that it is given, or none."""

    def write(self, kept: Sequence[KeptStatement]) -> None: ...


class Arrival(NamedTuple):
    """A statement to be checked. is_kept: whether it joins its session."""

    session: Session
    statement: NumberedStatement
    is_kept: bool = True


class Answer(NamedTuple):
    """P(contradiction) of two statements, and the stage that gave it."""

    score: float
    stage: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """Of one new statement: earlier ones that are worth reading beside it, with the head's scores."""

    earlier: list[NumberedStatement]
    cosines: list[float]
    scores: list[float]


class ContradictionFinder:
    """Finds what contradicts a new statement. Not for two threads at once.

    reactor: its screen chooses the candidates, and its deciding stage gives their scores, unless `detector`
    does, which is open already, and which answers call by its title. Without a head the nearest are chosen.
    The reactor's cache is not used: nothing of a session is kept, but what named sessions have in `store`.
    """

    def __init__(
        self,
        reactor: Reactor,
        rule: CandidateRule,
        detector: VerdictSource | None = None,
        title: str = "",
        store: StatementStore | None = None,
    ) -> None:
        if reactor.head is None and detector is None:
            raise ValueError("the reactor has no head; its stages must be screen or both")
        self._reactor = reactor.without_cache()
        self._rule = rule
        self._detector = detector
        self.store = store
        self._neighbours_of = None if detector else reactor  # this one, so that it loads them once
        self._title = title or (detector.kind if detector else "")
        # Products this small gain nothing from threads, and on busy cores these wait for each other: 64 rows
        # of the head then took 64 ms instead of 1.3.
        self._blas = ThreadpoolController().select(user_api="blas")

    def load(self) -> None:
        """Loads the models, which takes seconds, and tries the detector on one pair.

        Raises UserError where that fails: what fails on two plain sentences would hardly ever decide.
        """
        if self._detector:
            self._reactor.encoder.load()
            for outcome in self._detector.stream([FIRST_PAIR]):
                self._require_verdict(outcome)
        else:
            self._reactor.load()
            if self._neighbours:
                self._neighbours.pieces.of([FIRST_PAIR.text1])

    def check(
        self,
        arrived: Sequence[Arrival | tuple[Session, NumberedStatement]],
        on_read: OnRead | None = None,
    ) -> list[Found]:
        """What contradicts each statement; they join their sessions, unless an `Arrival` is not to be kept.

        Those of one session are checked in their order here. All are encoded together, and all their
        candidates read together. on_read: see `verify`; what it raises ends the check. Where it ends by an
        error, the sessions are as they were.
        """
        arrivals = [Arrival(*arrival) for arrival in arrived]
        sessions = {arrival.session for arrival in arrivals}
        for session in sessions:
            self._encode_given(session)
        counts = {session: len(session.statements) for session in sessions}
        try:
            return self._check(arrivals, on_read)
        except BaseException:
            for session, count in counts.items():
                session.cut(count)
            raise

    def _encode_given(self, session: Session) -> None:
        for statement, vector in zip(session.given, self._vectors(session.given), strict=True):
            session.add(statement, vector)
        if session.given and self._neighbours:
            _note_pieces(self._neighbours, session, range(len(session.statements)))
        session.given = []

    def _vectors(self, statements: Sequence[NumberedStatement]) -> np.ndarray:
        texts, rows = distinct(statement.text for statement in statements)
        return self._reactor.embed(texts).vectors[rows] if texts else np.empty((0, 0), np.float32)

    def _check(self, arrivals: Sequence[Arrival], on_read: OnRead | None) -> list[Found]:
        laters = [arrival.statement for arrival in arrivals]
        vectors = self._vectors(laters)
        chosen = []
        pieces = self._neighbours.pieces.numbers([each.text for each in laters]) if self._neighbours else []
        with self._blas.limit(limits=1):
            for place, (arrival, vector) in enumerate(zip(arrivals, vectors, strict=True)):
                session = arrival.session
                session.add(arrival.statement, vector)
                if pieces:
                    session.pieces[len(session.statements) - 1] = pieces[place]
                chosen.append(self._candidates(session))
                if not arrival.is_kept:
                    session.cut(len(session.statements) - 1)
        if self._stage == "screen":
            answers = [[Answer(score, "screen") for score in candidates.scores] for candidates in chosen]
        else:
            answers = self._answers_read(laters, chosen, on_read)
        self._keep(arrivals, vectors)
        return list(map(self._found, laters, chosen, answers))

    def _keep(self, arrivals: Sequence[Arrival], vectors: np.ndarray) -> None:
        """Before anybody is told that a statement was taken."""
        kept = [
            KeptStatement(session.name, statement, vector)
            for (session, statement, is_kept), vector in zip(arrivals, vectors, strict=True)
            if is_kept and session.name
        ]
        if self.store and kept:
            self.store.write(kept)

    @property
    def _neighbours(self) -> NeighbourScreen | None:
        screen = self._neighbours_of.neighbour_screen if self._neighbours_of else None
        return screen if screen and screen.can_drop(THRESHOLD) else None

    @property
    def _stage(self) -> str:
        return "local" if self._detector else self._reactor.deciding_stage

    def _candidates(self, session: Session) -> Candidates:
        """Of its last statement."""
        earlier, vector = session.vectors[:-1], session.vectors[-1]
        if not len(earlier):
            return Candidates([], [], [])
        cosines = earlier @ vector

        def scores_of(rows: np.ndarray) -> np.ndarray:
            if self._neighbours:
                return self._scores_of_neighbours(self._neighbours, session, rows)
            if self._reactor.head is None:
                return np.ones(len(rows), np.float32)
            later = np.broadcast_to(vector, (len(rows), len(vector)))
            return self._reactor.screen(earlier[rows], later)[:, 0]

        rows, scores = choose_candidates(cosines, scores_of, self._rule_of(session))
        statements = [session.statements[row] for row in rows]
        return Candidates(statements, cosines[rows].tolist(), scores.tolist())

    def _scores_of_neighbours(
        self, screen: NeighbourScreen, session: Session, rows: np.ndarray
    ) -> np.ndarray:
        """Of a session's last statement with earlier ones, 0 for those that are not worth reading.

        The longer text is first, as in the fit, also where the cross-encoder reads the other first.
        """
        every = [*rows.tolist(), len(session.statements) - 1]
        _note_pieces(screen, session, every)
        pieces = screen.pieces.of_numbers([session.pieces[row] for row in every])
        lengths = np.array([len(session.statements[row].text) for row in every])
        places, last = np.arange(len(rows)), np.full(len(rows), len(rows))
        is_longer = lengths[:-1] >= lengths[-1]
        first, second = np.where(is_longer, places, last), np.where(is_longer, last, places)
        scores = screen.scores(session.vectors[every], pieces, first, second)
        return np.where(screen.worth_reading(scores, lengths[:-1] + lengths[-1], THRESHOLD), scores, 0)

    def _rule_of(self, session: Session) -> CandidateRule:
        floor = session.own_floor() if self._rule.is_own_floor else None
        return self._rule if floor is None else replace(self._rule, min_cosine=floor)

    def _answers_read(
        self,
        laters: Sequence[NumberedStatement],
        chosen: Sequence[Candidates],
        on_read: OnRead | None,
    ) -> list[list[Answer]]:
        """What is said of all candidates, read together; a score of NaN where the detector failed."""
        pairs = [
            (earlier.text, later.text)
            for later, candidates in zip(laters, chosen, strict=True)
            for earlier in candidates.earlier
        ]
        if not pairs:
            return [[] for _ in chosen]
        answers = iter(self._answers_of(pairs, on_read))
        return [[next(answers) for _ in candidates.earlier] for candidates in chosen]

    def _answers_of(self, pairs: Sequence[tuple[str, str]], on_read: OnRead | None) -> list[Answer]:
        if self._detector is None:
            verified = self._reactor.verify(pairs, on_read=on_read, max_passage_pairs=MAX_PASSAGE_PAIRS)
            stages = (self._reactor.reader_of(verified, place) for place in range(len(pairs)))
            return list(map(Answer, verified.scores.tolist(), stages))
        read = 0

        def on_progress(count: int) -> None:
            nonlocal read
            read += count
            if on_read:
                on_read(read, len(pairs))

        outcomes = list(self._detector.stream([Pair(*texts) for texts in pairs], on_progress=on_progress))
        self._tell_failures(outcomes)
        scores = (math.nan if isinstance(outcome, Failure) else outcome.score for outcome in outcomes)
        return [Answer(score, "local") for score in scores]

    def _require_verdict(self, outcome: Verdict | Failure) -> None:
        if isinstance(outcome, Failure):
            raise UserError(
                f"{self._title} failed on the pair that it is tried on before the server listens, "
                f"{FIRST_PAIR.text1!r} and {FIRST_PAIR.text2!r}; {outcome.kind}: {outcome.message}; mend it "
                "and start again"
            )

    def _tell_failures(self, outcomes: Sequence[Verdict | Failure]) -> None:
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if failures:
            first = f"{failures[0].kind}: {failures[0].message}"
            log.warning("%s failed on %d of %d pairs; %s", self._title, len(failures), len(outcomes), first)

    def _found(self, later: NumberedStatement, chosen: Candidates, answers: Sequence[Answer]) -> Found:
        contradictions = [
            Contradiction(earlier, later, answer.score, answer.stage, cosine, self._title)
            for earlier, answer, cosine in zip(chosen.earlier, answers, chosen.cosines, strict=True)
            if answer.score >= THRESHOLD
        ]
        contradictions.sort(key=lambda contradiction: -contradiction.score)
        return Found(contradictions, sum(math.isnan(answer.score) for answer in answers))


def _note_pieces(screen: NeighbourScreen, session: Session, rows: Iterable[int]) -> None:
    """Of the statements that lack them: those of a session that a store kept."""
    unknown = [row for row in rows if row not in session.pieces]
    if unknown:
        found = screen.pieces.numbers([session.statements[row].text for row in unknown])
        session.pieces |= dict(zip(unknown, found, strict=True))
