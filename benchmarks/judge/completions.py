"""A completion, as a judge's reply gives it over any protocol."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.judge.usage import Usage
from kimera.pairs import CONTRADICTION, ENTAILMENT, NEUTRAL

# Names of what a message holds: thoughts; what may hold the text of a part; the arguments of a call.
THOUGHTS = re.compile(r"reason|think|thought", re.IGNORECASE)
TEXTS = ("text", "content", "value", "parts", "output_text")
ARGUMENTS = ("arguments", "input", "parameters", "args")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a model of decisions says: P(contradiction), and which of three classes, where it was asked that.

    relation: contradiction from a probability of 0.5, else the likelier of the other two.
    """

    probability: float
    relation: str | None = None


def decision_of(stated: Any) -> Decision:
    """Of P(contradiction), or of the probabilities of all three classes by name.

    Raises ValueError, TypeError or KeyError for what is none.
    """
    if not isinstance(stated, dict):
        return Decision(_probability(stated))
    contradiction = _probability(stated[CONTRADICTION])
    others = {name: _probability(stated[name]) for name in (NEUTRAL, ENTAILMENT)}
    other = max(others, key=lambda name: others[name])
    return Decision(contradiction, CONTRADICTION if contradiction >= 0.5 else other)


def _probability(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("no probability")
    return float(value)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a reply says: its text, why it ended, what it cost.

    finish_reason: in the API's own word, but "length" where the reply was cut off at its limit of tokens.
    found_in: where the text stood if not in the message's content, such as "reasoning_content"; empty if it
    did. logprobs: (token, natural logarithm of its probability) of each token of the text, where they were
    asked for. decision: what is said instead of a text.
    """

    text: str
    finish_reason: str
    refusal: str
    usage: Usage
    system_fingerprint: str
    logprobs: tuple[tuple[str, float], ...] = ()
    body: bytes = field(default=b"", repr=False)
    from_cache: bool = False
    found_in: str = ""
    decision: Decision | None = None


def texts_in(value: Any) -> Iterator[str]:
    """The texts of content that may be a text, a list of texts or parts, a part, or the verdict itself."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            if not (isinstance(part, dict) and THOUGHTS.search(str(part.get("type")))):
                yield from texts_in(part)
    elif isinstance(value, dict):
        values = [value[name] for name in (*TEXTS, *ARGUMENTS) if value.get(name)]
        if any("contradict" in name.lower() for name in value):
            yield json.dumps(value)
        elif values:
            yield from texts_in(values[0])
