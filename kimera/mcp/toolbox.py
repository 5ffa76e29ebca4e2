"""What the tools do, with models that are loaded once. Nothing here knows the protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kimera.corpus import Corpus, Rule, Scan, run_scan, strongest_first
from kimera.errors import UserError
from kimera.live import (
    Arrival,
    CandidateRule,
    ContradictionFinder,
    Found,
    LiveLimits,
    NumberedStatement,
    Session,
    SessionStore,
    numbered,
)
from kimera.mcp.confined_files import ConfinedFiles
from kimera.mcp.results import FileFinding, FilesScanned, StatementChecked, StatementFinding, TextsCompared
from kimera.pairs import Failure
from kimera.reactor import THRESHOLD, Reactor

MAX_GIVEN = 1_000  # statements of a list; each is encoded anew
MAX_STATEMENTS_OF_A_SCAN = 10_000
MAX_TOLD = 3  # reasons why nothing was read
MAX_CHARACTERS_OF_A_TEXT = 100_000
LIMITS = LiveLimits()

OnProgress = Callable[[float, str], object]  # the share of a scan that is done, what is done


class Toolbox:
    """The tools as functions. Not for two threads at once.

    files: what scans may read, None for nothing. store: keeps the sessions, None for memory alone.
    Every method raises UserError, with the remedy, for what it cannot take.
    """

    def __init__(
        self,
        reactor: Reactor,
        rule: CandidateRule,
        files: ConfinedFiles | None,
        store: SessionStore | None = None,
    ) -> None:
        self._reactor = reactor
        self._finder = ContradictionFinder(reactor, rule, store=store)
        self._store = store
        self._files = files
        self._sessions: dict[str, Session] = {}

    def load(self) -> None:
        """Loads the models, which takes seconds. Raises UserError where they cannot be."""
        self._finder.load()

    def check_against(self, statement: str, against: Sequence[str]) -> StatementChecked:
        _require_statement(statement, "statement")
        if len(against) > MAX_GIVEN:
            raise UserError(
                f"against has {len(against):,} statements and may have {MAX_GIVEN:,}; send those that are "
                "about the same thing, or remember them in a session"
            )
        for place, earlier in enumerate(against):
            _require_statement(earlier, f"against[{place}]")
        return self._checked(Session(numbered(against)), statement, remember=False)

    def check_in_session(self, statement: str, name: str, *, remember: bool) -> StatementChecked:
        _require_statement(statement, "statement")
        session = self._session(name)
        if remember and session.taken >= LIMITS.statements:
            raise UserError(
                f"the session {name!r} has {session.taken:,} statements and takes no more; give another "
                "session's name"
            )
        checked = self._checked(session, statement, remember=remember)
        if remember:
            session.taken += 1
            self._sessions[name] = session
        return checked

    def _session(self, name: str) -> Session:
        """In memory, from the store, or a new one."""
        session = self._sessions.get(name)
        if session is None:
            session = self._store.read(name) if self._store else Session((), name)
        if session.taken:
            self._sessions[name] = session
        if sum(held.taken for held in self._sessions.values()) > LIMITS.statements_in_all:
            self._sessions.pop(name, None)
            raise UserError(
                f"all sessions together would have more than {LIMITS.statements_in_all:,} statements in "
                "memory; start the server again, or use fewer sessions"
            )
        return session

    def compare(self, text1: str, text2: str) -> TextsCompared:
        for name, text in (("text1", text1), ("text2", text2)):
            _require_text(text, name, MAX_CHARACTERS_OF_A_TEXT, "compare parts of it")
        [verdict] = self._reactor.detect([(text1, text2)])
        if isinstance(verdict, Failure):
            raise UserError(f"there is no verdict: {verdict.message}")
        return TextsCompared(
            contradiction=verdict.contradiction,
            score=_rounded(verdict.score),
            entailment=None if verdict.entailment is None else _rounded(verdict.entailment),
            neutral=None if verdict.neutral is None else _rounded(verdict.neutral),
            threshold=THRESHOLD,
            in_passages=verdict.score_source == "passages",
            explanation=sendable(verdict.reasoning),
        )

    def scan(
        self,
        paths: Sequence[str],
        column: str | None,
        min_score: float,
        max_findings: int,
        on_progress: OnProgress,
    ) -> FilesScanned:
        """What on_progress raises ends the scan."""
        if self._files is None:
            raise UserError("this server was started without a folder; start it as kimera mcp FOLDER")
        corpus, not_read = self._files.corpus(paths, column, MAX_STATEMENTS_OF_A_SCAN)
        if not corpus.texts:
            told = "; ".join([f"{', '.join(paths)}: no statement was found", *not_read[:MAX_TOLD]])
            raise UserError(f"{told}; name files of prose, or tables with a column of statements")
        scan = Scan()
        run_scan(corpus, self._reactor, scan, _Bars(on_progress).bar, rule=Rule(), min_score=min_score)
        return _scanned(corpus, scan, not_read, min_score, max_findings)

    def _checked(self, session: Session, statement: str, *, remember: bool) -> StatementChecked:
        count, number = len(session.statements) + len(session.given), session.taken + 1
        later = NumberedStatement(number, str(number), statement)
        [found] = self._finder.check([Arrival(session, later, remember)])
        return StatementChecked(
            findings=_findings(found), threshold=THRESHOLD, compared_with=count, remembered=remember
        )


class _Bars:
    """A scan's four stages as one share of it that is done."""

    STAGES = ("encoding", "neighbours", "screening", "verifying")

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress

    def bar(self, title: str, total: int | None, unit: str) -> _StageBar:
        return _StageBar(self, title, total, unit)

    def reach(self, stage: str, share: float, told: str) -> None:
        self._on_progress((self.STAGES.index(stage) + share) / len(self.STAGES), told)


class _StageBar:
    """What a scan takes for tqdm's bar."""

    def __init__(self, bars: _Bars, title: str, total: int | None, unit: str) -> None:
        self.n = 0
        self._bars, self._title, self._total, self._unit = bars, title, total, unit

    def update(self, count: int = 1) -> None:
        self.n += count
        share = min(1.0, self.n / self._total) if self._total else 0.0
        self._bars.reach(self._title, share, f"{self._title}: {self.n:,} {self._unit}s")

    def __enter__(self) -> _StageBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _findings(found: Found) -> list[StatementFinding]:
    return [
        StatementFinding(
            statement=sendable(contradiction.earlier.text),
            number=contradiction.earlier.number,
            score=_rounded(contradiction.score),
            cosine=_rounded(contradiction.cosine),
        )
        for contradiction in found.contradictions
    ]


def _scanned(
    corpus: Corpus, scan: Scan, not_read: Sequence[str], min_score: float, max_findings: int
) -> FilesScanned:
    findings = [
        FileFinding(
            text1=sendable(finding.text1),
            places1=list(map(sendable, finding.places1)),
            text2=sendable(finding.text2),
            places2=list(map(sendable, finding.places2)),
            score=_rounded(finding.score),
            cosine=_rounded(finding.cosine),
        )
        for finding in strongest_first(scan.findings)[:max_findings]
    ]
    return FilesScanned(
        findings=findings,
        found=len(scan.findings),
        threshold=min_score,
        statements=corpus.statements,
        pairs_read=scan.verified,
        not_read=list(map(sendable, not_read)),
    )


def _require_statement(text: str, name: str) -> None:
    _require_text(text, name, LIMITS.characters, "send its sentences one by one, or use compare_texts")


def _require_text(text: str, name: str, max_characters: int, remedy: str) -> None:
    if not text.strip():
        raise UserError(f"{name} is empty; give a text")
    if len(text) > max_characters:
        raise UserError(f"{name} has {len(text):,} characters and may have {max_characters:,}; {remedy}")


def sendable(text: Any) -> str:
    """A lone surrogate, which a table may hold, cannot be sent as UTF-8: it would end the connection."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


def _rounded(value: float) -> float:
    return round(value, 4)
