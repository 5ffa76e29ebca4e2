"""The tokens that a reply cost, as far as the endpoint says: what it does not say is None, and never zero."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counts them; `cached` is a part of `prompt`, `reasoning` of `completion`."""

    prompt: int | None = 0
    completion: int | None = 0
    cached: int | None = 0
    reasoning: int | None = 0

    def __add__(self, other: Usage) -> Usage:
        """Of both together; unknown where one of them is."""
        pairs = zip(self.as_tuple(), other.as_tuple(), strict=True)
        return Usage(*(None if a is None or b is None else a + b for a, b in pairs))

    def __sub__(self, other: Usage) -> Usage:
        pairs = zip(self.as_tuple(), other.as_tuple(), strict=True)
        return Usage(*(None if a is None or b is None else a - b for a, b in pairs))

    def filled(self, other: Usage) -> Usage:
        """With the numbers of `other` where these are unknown."""
        pairs = zip(self.as_tuple(), other.as_tuple(), strict=True)
        return Usage(*(other if own is None else own for own, other in pairs))

    @property
    def is_known(self) -> bool:
        """Whether what it costs can be said: both that are billed are counted."""
        return self.prompt is not None and self.completion is not None

    def as_dict(self) -> dict[str, int | None]:
        return dict(zip(TOKENS, self.as_tuple(), strict=True))

    def as_tuple(self) -> tuple[int | None, int | None, int | None, int | None]:
        return self.prompt, self.completion, self.cached, self.reasoning


TOKENS = ("prompt", "completion", "cached", "reasoning")
UNKNOWN = Usage(None, None, None, None)


def unstated(status: int | None) -> Usage:
    """Of an attempt without a count: a refusal costs nothing, anything else may have been billed."""
    return UNKNOWN if status in {None, 200} else Usage()


def read_usage(value: Any) -> Usage:
    """What a reply's `usage` counts. Only whole numbers count, as 257, 257.0 or "257".

    No prompt has no tokens: a zero there is that of a server that does not count.
    """
    if not isinstance(value, dict):
        return UNKNOWN
    prompt = _first(value, "prompt_tokens", "input_tokens")
    completion = _first(value, "completion_tokens", "output_tokens")
    if not prompt:
        return Usage(None, completion or None, None, None)
    in_prompt = _details(value, "prompt_tokens_details", "input_tokens_details")
    in_completion = _details(value, "completion_tokens_details", "output_tokens_details")
    return Usage(
        prompt,
        completion,
        _first(in_prompt | value, "cached_tokens", "prompt_cache_hit_tokens"),
        _first(in_completion | value, "reasoning_tokens"),
    )


def _first(value: dict[str, Any], *names: str) -> int | None:
    return next((count for count in map(whole_number, map(value.get, names)) if count is not None), None)


def _details(value: dict[str, Any], *names: str) -> dict[str, Any]:
    members: Iterator[Any] = (value.get(name) for name in names)
    return next((details for details in members if isinstance(details, dict)), {})


def whole_number(value: Any) -> int | None:
    """A count, however it is written; None for what is none."""
    if isinstance(value, str) and len(value) < 20 and value.strip().isascii():
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        return None
    return int(value) if value == int(value) else None
