"""What a user's function may answer for a batch of pairs, read as verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from kimera.detectors.verdict_source import THRESHOLD
from kimera.files import shorten
from kimera.pairs import SCORE_SOURCES, Failure, Verdict

EXPECTED = (
    "a list with one answer a pair: scores from 0 to 1 (the probability of a contradiction), bools, "
    "Verdicts, or tuples (contradiction, confidence) or (contradiction, confidence, reasoning)"
)
NO_ANSWERS = (str, bytes, Mapping, Set)  # have a length, and are not one answer a pair


SUM_TOLERANCE = 0.02  # of the three classes' probabilities, which others may have rounded


class BadAnswerError(ValueError):
    """Answers that are none; the message says which, and what was expected."""


def listed(answers: object) -> object:
    """The answers as a list, where they are what one can be made of; of arrays with Python's own values.

    A generator does its work here, so that its errors are those of the function.
    """
    if hasattr(answers, "tolist"):
        return _of_array(answers)
    if isinstance(answers, Iterable) and not isinstance(answers, NO_ANSWERS):
        return list(answers)
    return answers


def verdicts_of(answers: object, count: int, latency_ms: float) -> list[Verdict | Failure]:
    """One outcome a pair, of what `listed` gave for `count` pairs. Raises BadAnswerError."""
    if not isinstance(answers, list):
        raise BadAnswerError(f"it gave {shorten(answers)}; expected {EXPECTED}")
    if len(answers) != count:
        raise BadAnswerError(f"it gave {len(answers)} answers for {count} pairs; expected {EXPECTED}")
    answers = [_plain(answer) for answer in answers]
    if {bool, float} <= {float if type(answer) is int else type(answer) for answer in answers}:
        raise BadAnswerError("it gave bools and scores in one batch; expected one or the other for all pairs")
    return [_outcome(answer, place, latency_ms) for place, answer in enumerate(answers)]


def verdict_of_score(score: float, latency_ms: float = 0.0, reasoning: str = "") -> Verdict:
    """score: P(contradiction)."""
    is_contradiction = score >= THRESHOLD
    return Verdict(
        is_contradiction, score if is_contradiction else 1.0 - score, reasoning, latency_ms=latency_ms
    )


def verdict_of_bool(contradiction: bool, latency_ms: float = 0.0, reasoning: str = "") -> Verdict:
    return Verdict(contradiction, 1.0, reasoning, latency_ms=latency_ms, score_source="verdict")


def _of_array(array: Any) -> object:
    shape = tuple(getattr(array, "shape", ()))
    if len(shape) == 1:
        return array.tolist()
    raise BadAnswerError(f"it gave an array of shape {shape}; expected one of shape (pairs,), a score each")


def _plain(answer: Any) -> Any:
    """A scalar of numpy's or torch's as Python's."""
    return answer.item() if hasattr(answer, "item") and getattr(answer, "shape", None) == () else answer


def _outcome(answer: Any, place: int, latency_ms: float) -> Verdict | Failure:
    if isinstance(answer, Failure):
        return answer
    if isinstance(answer, Verdict):
        return _checked(answer, place, latency_ms)
    if isinstance(answer, bool):
        return verdict_of_bool(answer, latency_ms)
    if isinstance(answer, int | float):
        return verdict_of_score(_probability(answer, place, "score"), latency_ms)
    if isinstance(answer, tuple | list) and len(answer) in (2, 3):
        return _of_parts(list(map(_plain, answer)), place, latency_ms)
    raise BadAnswerError(f"its answer {place} is {shorten(answer)}; expected {EXPECTED}")


def _of_parts(parts: Sequence[Any], place: int, latency_ms: float) -> Verdict:
    contradiction, confidence, reasoning = [*parts, ""][:3]
    if not isinstance(contradiction, bool):
        raise BadAnswerError(
            f"its answer {place} says {shorten(contradiction)} whether there is a contradiction; expected "
            "True or False, then the confidence in that"
        )
    sure = _probability(confidence, place, "confidence")
    return Verdict(contradiction, sure, _reasoning(reasoning, place), latency_ms=latency_ms)


def _checked(verdict: Verdict, place: int, latency_ms: float) -> Verdict:
    """Of a batch, so that its time is the batch's; with Python's own values, which can be written down."""
    contradiction = _plain(verdict.contradiction)
    if not isinstance(contradiction, bool):
        raise BadAnswerError(
            f"contradiction of its answer {place} is {shorten(contradiction)}; expected a bool"
        )
    if verdict.score_source not in SCORE_SOURCES:
        raise BadAnswerError(
            f"score_source of its answer {place} is {shorten(verdict.score_source)}; expected one of "
            f"{', '.join(SCORE_SOURCES)}"
        )
    checked = replace(
        verdict,
        contradiction=contradiction,
        confidence=_probability(verdict.confidence, place, "confidence"),
        reasoning=_reasoning(verdict.reasoning, place),
        latency_ms=latency_ms,
        wait_ms=0.0,
        screen_score=_share(verdict.screen_score, place, "screen_score"),
        entailment=_share(verdict.entailment, place, "entailment"),
        neutral=_share(verdict.neutral, place, "neutral"),
    )
    if fault := why_no_distribution(checked):
        raise BadAnswerError(f"of its answer {place} {fault}")
    return checked


def why_no_distribution(verdict: Verdict) -> str:
    """What is wrong with the probabilities of the three classes; empty where nothing is."""
    others = [share for share in (verdict.entailment, verdict.neutral) if share is not None]
    # A confidence of 0.5 may have been a lower one; a bare verdict, or the greatest of passages, is no share.
    is_share = verdict.confidence > 0.5 and verdict.score_source not in ("verdict", "passages")
    total = sum(others) + (verdict.score if is_share else 0.0)
    is_whole = is_share and len(others) == 2
    if total <= 1.0 + SUM_TOLERANCE and not (is_whole and total < 1.0 - SUM_TOLERANCE):
        return ""
    told: dict[str, float | None] = {"contradiction": verdict.score} if is_share else {}
    told |= {"entailment": verdict.entailment, "neutral": verdict.neutral}
    named = ", ".join(f"{name} {share:g}" for name, share in told.items() if share is not None)
    return f"the probabilities ({named}) add up to {total:g}; expected 1, give or take {SUM_TOLERANCE:g}"


def _probability(value: Any, place: int, what: str) -> float:
    value = _plain(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0.0 <= value <= 1.0:
        raise BadAnswerError(
            f"the {what} of its answer {place} is {shorten(value)}; expected a number from 0 to 1"
        )
    return float(value)


def _share(value: Any, place: int, what: str) -> float | None:
    return None if value is None else _probability(value, place, what)


def _reasoning(value: Any, place: int) -> str:
    if not isinstance(value, str):
        raise BadAnswerError(f"the reasoning of its answer {place} is {shorten(value)}; expected a text")
    return value
