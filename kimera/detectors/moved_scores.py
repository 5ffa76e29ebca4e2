"""A local detector whose verdict turns to contradiction at another score than 0.5."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from kimera.detectors.verdict_source import THRESHOLD, VerdictSource
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict


def require_threshold(threshold: float) -> None:
    """Raises `UserError` where it is not between 0 and 1."""
    if not 0 < threshold < 1:
        raise UserError(f"threshold is {threshold:g}; give a score between 0 and 1")


def moved_score(score: float, threshold: float) -> float:
    """The score whose odds are divided by those of the threshold, so that the threshold itself becomes 0.5.

    The order of scores stays. With a threshold of 0.5 so do the scores.
    """
    above, below = score * (1 - threshold), threshold * (1 - score)
    return above / (above + below)


def at_threshold(found: Verdict | Failure, threshold: float) -> Verdict | Failure:
    """The verdict at this threshold. Probabilities of other classes go on adding up to 1 with the score."""
    if isinstance(found, Failure) or threshold == THRESHOLD:
        return found
    # Moving the score, and not the place where it is cut, keeps a verdict's confidence at 0.5 or above, and
    # what reads scores (a cascade, a live session) needs to know of no threshold.
    score = moved_score(found.score, threshold)
    is_contradiction = score >= THRESHOLD
    others = (1 - score) / (1 - found.score) if found.score < 1 else 0.0
    return replace(
        found,
        contradiction=is_contradiction,
        confidence=score if is_contradiction else 1 - score,
        entailment=None if found.entailment is None else found.entailment * others,
        neutral=None if found.neutral is None else found.neutral * others,
    )


class AtThreshold(VerdictSource):
    """`source` with its scores moved: those from `threshold` on become 0.5 or more.

    Raises `UserError` for a threshold that is not between 0 and 1.
    """

    def __init__(self, source: VerdictSource, threshold: float) -> None:
        require_threshold(threshold)
        self.source, self.threshold = source, threshold

    @property
    def kind(self) -> str:
        return self.source.kind

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**self.source.settings, "threshold": self.threshold}

    @property
    def fingerprints(self) -> Mapping[str, str]:
        return {**self.source.fingerprints, "threshold": f"{self.threshold:g}"}

    @property
    def trained_on(self) -> list[str] | None:
        return self.source.trained_on

    @property
    def counts(self) -> Mapping[str, float]:
        return self.source.counts

    def take_settings(self, settings: Mapping[str, Any]) -> None:
        self.source.take_settings(settings)

    def settle(self, pairs: Sequence[Pair]) -> None:
        self.source.settle(pairs)

    def stream(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        for found in self.source.stream(pairs, workers, on_progress):
            yield at_threshold(found, self.threshold)

    def __enter__(self) -> object:
        self.source.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.source.__exit__(kind, error, traceback)
