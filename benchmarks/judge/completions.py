"""A completion, as a judge's reply gives it over any protocol."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.judge.usage import Usage

# Names of what a message holds: thoughts; what may hold the text of a part; the arguments of a call.
THOUGHTS = re.compile(r"reason|think|thought", re.IGNORECASE)
TEXTS = ("text", "content", "value", "parts", "output_text")
ARGUMENTS = ("arguments", "input", "parameters", "args")


@dataclass(frozen=True, slots=True)
class Completion:
    """What a reply says: its text, why it ended, what it cost.

    finish_reason: in the API's own word, but "length" where the reply was cut off at its limit of tokens.
    found_in: where the text stood if not in the message's content, such as "reasoning_content"; empty if it
    did. logprobs: (token, natural logarithm of its probability) of each token of the text, where they were
    asked for.
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
