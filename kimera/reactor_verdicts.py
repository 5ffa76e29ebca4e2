"""What the reactor has done, and what one of its stages says of a pair."""

from __future__ import annotations

from dataclasses import dataclass

from kimera.detectors import verdict_of
from kimera.models import Strongest
from kimera.pairs import Verdict
from kimera.reactor_stages import Stage


@dataclass(frozen=True, slots=True)
class ReactorStats:
    """What a reactor has done so far.

    texts: distinct texts, counted chunk by chunk (of `pairs_at_a_time`); each was `encoded` or `from_cache`.
    read: distinct pairs that cross-encoders read. read_from_cache: those whose scores the cache had.
    to_deep: pairs that the stages before deep left to it.
    workers_asked: processes asked for; None is this process with all its cores.
    workers_used: the most processes that encoded or read; 0 while there was nothing to do.
    load_s: wall seconds to start processes and load the models; no pair's latency has them in it.
    """

    pairs: int = 0
    texts: int = 0
    encoded: int = 0
    from_cache: int = 0
    read: int = 0
    read_from_cache: int = 0
    to_deep: int = 0
    workers_asked: int | None = None
    workers_used: int = 0
    load_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Decided:
    """What is known of a pair. probabilities: in the order of `CLASSES`, by `stage`."""

    stage: Stage
    probabilities: list[float]
    screen_score: float | None
    passages: Strongest | None


def verdict_by_stage(decided: Decided, latency_ms: float) -> Verdict:
    contradiction, entailment, neutral = decided.probabilities
    known = [f"{decided.stage}: P(contradiction) {contradiction:.2f}"]
    known.append(f"neutral {neutral:.2f}, entailment {entailment:.2f}")
    if decided.screen_score is not None and decided.stage != "screen":
        known.append(f"screen: P(contradiction) {decided.screen_score:.2f}")
    return verdict_of(
        contradiction,
        known,
        decided.passages,
        latency_ms,
        "calibrated",
        screen_score=decided.screen_score,
        entailment=entailment,
        neutral=neutral,
    )
