"""What sessions hold and find."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NumberedStatement:
    """number: its place in the session, from 1. id: the client's name for it."""

    number: int
    id: str
    text: str


def numbered(texts: Iterable[str]) -> list[NumberedStatement]:
    """Statements for a session to begin with, each with its number as its id."""
    return [NumberedStatement(number, str(number), text) for number, text in enumerate(texts, 1)]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """score: P(contradiction), by the stage that decided. cosine: how related both are.

    stage: "screen", "verify" or "deep", of the reactor; "local" where another one decided, which `detector`
    names.
    """

    earlier: NumberedStatement
    later: NumberedStatement
    score: float
    stage: str
    cosine: float
    detector: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Of one statement: what contradicts it, the greatest score first.

    failed: how many of its candidates have no verdict, because the detector failed on them.
    """

    contradictions: Sequence[Contradiction]
    failed: int = 0
