"""What sessions hold and find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """number: its place in the session, from 1. id: the client's name for it."""

    number: int
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Contradiction:
    """score: P(contradiction), by the stage that decided. cosine: how related both are."""

    earlier: Statement
    later: Statement
    score: float
    stage: str
    cosine: float
