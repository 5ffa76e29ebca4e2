"""The tokens that a reply cost, as far as the endpoint says: what it does not say is None, and never zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counts them; `cached` is a part of `prompt`, `reasoning` of `completion`.

    written: what of the prompt was put into the cache, no part of `cached`. Endpoints that have no price for
    that say nothing of it: it is then 0, and unknown only where the prompt is.
    """

    prompt: int | None = 0
    completion: int | None = 0
    cached: int | None = 0
    reasoning: int | None = 0
    written: int | None = 0

    def __add__(self, other: Usage) -> Usage:
        """Of both together; unknown where one of them is."""
        pairs = zip(self.as_tuple(), other.as_tuple(), strict=True)
        return Usage(*(None if a is None or b is None else a + b for a, b in pairs))

    def __sub__(self, other: Usage) -> Usage:
        pairs = zip(self.as_tuple(), other.as_tuple(), strict=True)
        return Usage(*(None if a is None or b is None else a - b for a, b in pairs))

    def shares(self, count: int) -> list[Usage]:
        """In so many parts, as equal as whole tokens are; they add up to this. The first have more.

        What is a part of another number here is so in each share.
        """
        return [
            Usage(*(None if whole is None else (whole + place) // count for whole in self.as_tuple()))
            for place in reversed(range(count))
        ]

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

    def as_tuple(self) -> tuple[int | None, int | None, int | None, int | None, int | None]:
        return self.prompt, self.completion, self.cached, self.reasoning, self.written


MAX_COUNT = 2**40
TOKENS = ("prompt", "completion", "cached", "reasoning", "written")
UNKNOWN = Usage(None, None, None, None, None)


def unstated(status: int | None) -> Usage:
    """Of an attempt without a count: a refusal costs nothing, anything else may have been billed."""
    return UNKNOWN if status in {None, 200} else Usage()


def whole_number(value: Any) -> int | None:
    """A count, however it is written; None for what is none."""
    if type(value) is int and 0 <= value < MAX_COUNT:  # as nearly always
        return value
    if isinstance(value, str) and len(value) < 20 and value.strip().isascii():
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_COUNT:
        return None
    return int(value) if value == int(value) else None
