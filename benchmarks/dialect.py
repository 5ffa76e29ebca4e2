"""What an endpoint takes: the form of a structured reply and the parameters, learnt from what it refuses."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.prompts import REPLY_SCHEMA

FORMATS = ("json_schema", "json_object", "text")  # from the most to the least that can be asked for
LIMIT_PARAMETERS = ("max_completion_tokens", "max_tokens", "")  # in the order in which they are tried
FIRST_MAX_TOKENS = 1024
MAX_TOKENS = 16_384
GROWTH = 4


@dataclass(frozen=True)
class Dialect:
    """How requests are written. A refusal gives the next dialect; the value itself never changes."""

    reply_format: str = "json_schema"
    limit_parameter: str = LIMIT_PARAMETERS[0]
    max_tokens: int = FIRST_MAX_TOKENS
    max_allowed: int = MAX_TOKENS  # what `max_tokens` may grow to
    optional: tuple[tuple[str, Any], ...] = (("temperature", 0), ("seed", 0))

    @classmethod
    def with_logprobs(cls) -> Dialect:
        return cls(optional=(("temperature", 0), ("seed", 0), ("logprobs", True)))

    def body(self, model: str, messages: list[dict[str, str]], sample: int = 0) -> bytes:
        """The request. sample: which of several askings of the same question; each has a seed of its own."""
        return f'{{"messages":{json.dumps(messages)},{self._parameters(model, sample)}'.encode()

    @functools.lru_cache(maxsize=64)  # noqa: B019 - a handful of small values a run
    def _parameters(self, model: str, sample: int) -> str:
        """All but the messages, which alone differ from pair to pair, as the rest of a JSON object."""
        payload: dict[str, Any] = {"model": model, "stream": False, **dict(self.optional)}
        if self.limit_parameter:
            payload[self.limit_parameter] = self.max_tokens
        if "seed" in payload:
            payload["seed"] = sample
        if self.reply_format == "json_schema":
            schema = {"name": "verdict", "strict": True, "schema": REPLY_SCHEMA}
            payload["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self.reply_format == "json_object":
            payload["response_format"] = {"type": "json_object"}
        return json.dumps(payload)[1:]

    def next_format(self) -> Dialect | None:
        """One step down the ladder of reply formats, or None at its foot."""
        step = FORMATS.index(self.reply_format) + 1
        return replace(self, reply_format=FORMATS[step]) if step < len(FORMATS) else None

    @property
    def max_billed_tokens(self) -> int:
        """How long a reply may become, as far as this can bound it."""
        return self.max_tokens if self.limit_parameter else MAX_TOKENS

    def after_refusal(self, parameter: str, message: str) -> Dialect | None:
        """The dialect for an endpoint that answered 400, or None if it names nothing of ours.

        parameter: what the error names as at fault, if it does. Otherwise the names in quotes in its message
        count, or any word of one that speaks of what is not supported: it may quote the pair's own texts too.
        A value that is too large is no name refused: if it was raised, it goes back, and stays there.
        """
        if re.search(r"too (?:large|long|many)|at most|maximum|exceed", message):
            before = self.max_tokens // GROWTH
            return replace(self, max_tokens=before, max_allowed=before) if self._is_raised else None
        named = {parameter} if parameter else set(re.findall(r"['\"`]([\w.]+)['\"`]", message))
        if not named and re.search(
            r"support|permit|allow|unknown|unrecognized|unexpected|extra", message, re.IGNORECASE
        ):
            named = set(re.findall(r"\w+", message))
        if self.limit_parameter in named:
            following = LIMIT_PARAMETERS[LIMIT_PARAMETERS.index(self.limit_parameter) + 1]
            return replace(self, limit_parameter=following)
        for name, _ in self.optional:
            if name in named:
                return replace(self, optional=tuple(item for item in self.optional if item[0] != name))
        if any(name.startswith(("response_format", "json_schema", "json_object")) for name in named):
            return self.next_format()
        return None

    def after_truncation(self) -> Dialect | None:
        """More room for a judge that was cut off, as one that thinks first may be; None at the most."""
        raised = self.max_tokens * GROWTH
        return replace(self, max_tokens=raised) if raised <= self.max_allowed else None

    @property
    def _is_raised(self) -> bool:
        return self.max_tokens > FIRST_MAX_TOKENS
