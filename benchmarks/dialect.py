"""What an endpoint takes: the form of a structured reply and the parameters, learnt from what it refuses."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.prompts import REPLY_SCHEMA
from benchmarks.refusals import Refusal

FORMATS = ("json_schema", "json_object", "text")  # from the most to the least that can be asked for
LIMIT_PARAMETERS = ("max_completion_tokens", "max_tokens", "")  # in the order in which they are tried
FIRST_MAX_TOKENS = 1024
MAX_TOKENS = 16_384
MIN_TOKENS = 256  # a verdict takes less
GROWTH = 4


@dataclass(frozen=True)
class Dialect:
    """How requests are written. A refusal gives the next dialect; the value itself never changes.

    says_stream: whether it is said that no event stream is wanted. system_role: whether the system message is
    one of its own, or the beginning of the question.
    """

    reply_format: str = "json_schema"
    limit_parameter: str = LIMIT_PARAMETERS[0]
    max_tokens: int = FIRST_MAX_TOKENS
    max_allowed: int = MAX_TOKENS  # what `max_tokens` may grow to
    optional: tuple[tuple[str, Any], ...] = (("temperature", 0), ("seed", 0))
    says_stream: bool = True
    system_role: bool = True

    @classmethod
    def with_logprobs(cls) -> Dialect:
        return cls(optional=(("temperature", 0), ("seed", 0), ("logprobs", True)))

    def body(self, model: str, messages: list[dict[str, str]], sample: int = 0) -> bytes:
        """The request. sample: which of several askings of the same question; each has a seed of its own."""
        written = messages if self.system_role else _without_system(messages)
        return f'{{"messages":{json.dumps(written)},{self._parameters(model, sample)}'.encode()

    @functools.lru_cache(maxsize=64)  # noqa: B019 - a handful of small values a run
    def _parameters(self, model: str, sample: int) -> str:
        """All but the messages, which alone differ from pair to pair, as the rest of a JSON object."""
        payload: dict[str, Any] = {"model": model, **dict(self.optional)}
        if self.says_stream:
            payload["stream"] = False
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

    def after_refusal(self, refusal: Refusal) -> Dialect | None:
        """The dialect for an endpoint that refused this one, or None if it names nothing of ours.

        Of the first limit on tokens; a raised one is the business of the pair that needed it.
        """
        if self.is_about_limit(refusal) and refusal.is_range and "limit" in (*refusal.names, "limit")[:1]:
            return self.lowered(refusal) or self.without("limit")
        following = (self.without(name) for name in refusal.names)
        return next((dialect for dialect in following if dialect), None)

    def is_about_limit(self, refusal: Refusal) -> bool:
        """Whether it refuses how long the reply may be: it names the limit, or the number that was sent."""
        return bool(self.limit_parameter) and ("limit" in refusal.names or self.max_tokens in refusal.numbers)

    def lowered(self, refusal: Refusal) -> Dialect | None:
        """With a lower limit: the largest that the refusal names below this one, else half as much."""
        named = [number for number in refusal.numbers if MIN_TOKENS // 4 <= number < self.max_tokens]
        lower = max(named, default=self.max_tokens // 2)
        if not named and lower < MIN_TOKENS:
            return None
        return replace(self, max_tokens=lower, max_allowed=lower)

    def without(self, name: str) -> Dialect | None:
        """Without one of `benchmarks.refusals.FIELDS`, or with what takes its place; None without it."""
        if name == "response_format":
            return self.next_format()
        if name == "limit" and self.limit_parameter:
            following = LIMIT_PARAMETERS[LIMIT_PARAMETERS.index(self.limit_parameter) + 1]
            return replace(self, limit_parameter=following)
        if name == "stream" and self.says_stream:
            return replace(self, says_stream=False)
        if name == "system" and self.system_role:
            return replace(self, system_role=False)
        if name in dict(self.optional):
            return replace(self, optional=tuple(item for item in self.optional if item[0] != name))
        return None

    def reductions(self) -> Iterator[Dialect]:
        """What else to try of an endpoint that says nothing of use.

        Each format below, each part left out alone, the limit by its other name, then the model and the
        messages alone, and the system message as their part.
        """
        lower = self
        while (step := lower.next_format()) is not None:
            lower = step
            yield lower
        for name in (*dict(self.optional), "limit", "stream", "system"):
            if (without := self.without(name)) is not None:
                yield without
        bare = replace(lower, optional=(), says_stream=False)
        yield from (replace(bare, limit_parameter=name) for name in ("", "max_tokens"))
        yield replace(bare, limit_parameter="", system_role=False)

    def after_truncation(self) -> Dialect | None:
        """More room for a judge that was cut off, as one that thinks first may be; None at the most."""
        raised = min(self.max_tokens * GROWTH, self.max_allowed)
        return replace(self, max_tokens=raised) if raised > self.max_tokens else None

    def changes_to(self, other: Dialect) -> str:
        """What the other does otherwise, in words."""
        return ", ".join(_changes(self, other))


def _changes(before: Dialect, after: Dialect) -> Iterator[str]:
    if before.reply_format != after.reply_format:
        yield f"reply format {after.reply_format} instead of {before.reply_format}"
    for name, _ in before.optional:
        if name not in dict(after.optional):
            yield f"without {name}"
    if before.limit_parameter != after.limit_parameter:
        yield f"{after.limit_parameter or 'nothing'} instead of {before.limit_parameter}"
    if before.max_tokens != after.max_tokens:
        yield f"replies of at most {after.max_tokens:,} tokens instead of {before.max_tokens:,}"
    if before.says_stream > after.says_stream:
        yield "without stream"
    if before.system_role > after.system_role:
        yield "the system message as part of the question"


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same, the system message being the beginning of the first question."""
    if len(messages) < 2 or messages[0]["role"] != "system":
        return messages
    question = f"{messages[0]['content']}\n\n{messages[1]['content']}"
    return [{**messages[1], "content": question}, *messages[2:]]
