"""What detectors that read chunk by chunk share: their size, verdicts and their words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kimera.detectors.verdict_source import THRESHOLD
from kimera.errors import UserError
from kimera.models import Strongest, pairs_at_a_time
from kimera.pairs import Verdict
from kimera.workers import Engine

MAX_QUOTED = 200  # characters of a passage in a verdict's reasoning


def require_workers(workers: int | None) -> None:
    """Raises `UserError` for fewer than one process. None is this process alone."""
    if workers is not None and workers < 1:
        raise UserError(f"workers is {workers}; give 1 or more, or None for this process alone")


def chunk_size(workers: int | None, engine: Engine, workers_used: int) -> int:
    """How many pairs to do in one go, so that the workers are busy and memory is bounded.

    How many CPUs a cluster has, where no number of workers is asked for, is known once they have worked.
    """
    if workers is None and not engine.is_local:
        workers = workers_used
    return pairs_at_a_time(workers)


def verdict_of(
    contradiction: float,
    known: Sequence[str],
    passages: Strongest | None,
    latency_ms: float,
    score_source: str,
    **others: Any,
) -> Verdict:
    """The verdict of P(contradiction). known: what its reasoning says. others: further fields of it.

    passages: those that decided, where the texts were too long to be read at once.
    """
    is_contradiction = contradiction >= THRESHOLD
    return Verdict(
        contradiction=is_contradiction,
        confidence=contradiction if is_contradiction else 1.0 - contradiction,
        reasoning="; ".join([*known, *([_told_passages(passages)] if passages else [])]),
        latency_ms=latency_ms,
        score_source="passages" if passages else score_source,
        **others,
    )


def _told_passages(passages: Strongest) -> str:
    """What a verdict's reasoning says of a pair that was read passage by passage."""
    cut = f", {passages.cut} of them cut" if passages.cut else ""
    chosen = "weighed, the strongest" if passages.is_weighed else "strongest"
    what = "related sentences" if passages.is_weighed else "passages"
    return (
        f"too long to be read at once; {chosen} of {passages.of} pairs of {what}{cut}: "
        + " against ".join(map(_quoted, passages.texts))
    )


def _quoted(passage: str) -> str:
    whole = len(passage) <= MAX_QUOTED
    return f'"{passage}"' if whole else f'"{passage[:MAX_QUOTED]}..."'
