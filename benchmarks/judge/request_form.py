"""What may be asked of an endpoint, and what is left to ask for once it has refused something.

A `RequestForm` says what is asked for; a `ChatProtocol` begins with one and writes it in its API's words.
`Adaptation` knows a form by these alone, whatever the API calls what they are about:

    after_refusal     a refusal has named a part of the request: without that part
    reductions        a refusal has named nothing: all that may be tried, one after the other
    next_format       the reply does not keep to its format: a simpler one
    after_truncation  the reply was cut off: more room
    lowered           the room was refused: less of it
    is_about_limit    whether a refusal is of the room
    about             how many pairs a request is about
    with_room         the room of one pair, and what that may grow to
    with_format_of    the format of another form
    changes_to        what another does otherwise, in words
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.judge.pair_groups import ROOM_PER_PAIR, group_schema
from benchmarks.judge.prompts import reply_schema
from benchmarks.judge.refusals import Refusal

PLAIN_TEXT = "text"  # the last of all formats: none is asked for
DECISION = "decision"  # a probability, and no text
FIRST_MAX_TOKENS = 1024
MAX_TOKENS = 16_384
MIN_TOKENS = 256  # a verdict takes less
GROWTH = 4


@dataclass(frozen=True)
class RequestForm:
    """What is asked for. A refusal gives the next form; the value itself never changes.

    formats: of the reply, the one that is asked for and those that are left, down to PLAIN_TEXT.
    limit_parameters: what the API may call the limit on the reply's tokens, in the order in which they are
    tried; an empty name asks for no limit. limit_at: which of them is used. max_allowed: what `max_tokens`
    may grow to. optional: parameters that can be left out, by the names of the API. says_stream: whether it
    is said that no event stream is wanted. system_role: whether the system message is one of its own, or the
    beginning of the question. classes: how many the schema of the reply tells apart, 2 or 3.
    reasoning_first: whether that has the reasoning ahead of the verdict. given_limit: on the reply's tokens,
    where the user gave one in words of the API; nothing here changes that. parameters_in: the objects of the
    body, one within the other, that hold the limit and what is optional; none where it holds these itself.
    pairs: how many the reply is about.
    """

    formats: tuple[str, ...]
    limit_parameters: tuple[str, ...]
    limit_at: int = 0
    optional: tuple[tuple[str, Any], ...] = ()
    max_tokens: int = FIRST_MAX_TOKENS
    max_allowed: int = MAX_TOKENS
    says_stream: bool = True
    system_role: bool = True
    classes: int = 2
    reasoning_first: bool = False
    given_limit: int = 0
    parameters_in: tuple[str, ...] = ()
    pairs: int = 1

    @property
    def schema(self) -> dict[str, Any]:
        """Of the reply, its fields in the order in which they are to be written."""
        single = reply_schema(self.classes, self.reasoning_first)
        return single if self.pairs == 1 else group_schema(single)

    @property
    def reply_format(self) -> str:
        return self.formats[0]

    @property
    def writes_text(self) -> bool:
        """Whether a reply is one of words, and not a probability alone."""
        return self.reply_format != DECISION

    @property
    def limit_parameter(self) -> str:
        return self.limit_parameters[self.limit_at]

    @property
    def max_billed_tokens(self) -> int:
        """How long a reply may become, as far as this can bound it."""
        if self.given_limit:
            return self.given_limit
        return self.max_tokens if self.limit_parameter or not self.writes_text else MAX_TOKENS

    def next_format(self) -> RequestForm | None:
        """One step down the ladder of reply formats, or None at its foot."""
        return replace(self, formats=self.formats[1:]) if len(self.formats) > 1 else None

    def with_format_of(self, other: RequestForm) -> RequestForm:
        return replace(self, formats=other.formats)

    def with_room(self, max_tokens: int = 0, max_allowed: int = 0) -> RequestForm:
        """With another limit, and another bound on that; 0 leaves what is there."""
        return replace(
            self, max_tokens=max_tokens or self.max_tokens, max_allowed=max_allowed or self.max_allowed
        )

    def about(self, pairs: int) -> RequestForm:
        """The same for a request about so many pairs."""
        return self if self.pairs == pairs else replace(self, pairs=pairs)

    def with_room_for(self, pairs: int) -> RequestForm:
        """For a run whose requests are about so many pairs each."""
        return self.with_room(min(self.max_tokens + (pairs - 1) * ROOM_PER_PAIR, self.max_allowed))

    def after_refusal(self, refusal: Refusal) -> RequestForm | None:
        """The form for an endpoint that refused this one, or None if it names nothing of ours.

        Of the first limit on tokens; a raised one is the business of the pair that needed it.
        """
        if self.is_about_limit(refusal) and refusal.is_range and "limit" in (*refusal.names, "limit")[:1]:
            return self.lowered(refusal) or self.without("limit")
        following = (self.without(name) for name in refusal.names)
        return next((form for form in following if form), None)

    def is_about_limit(self, refusal: Refusal) -> bool:
        """Whether it refuses how long the reply may be: it names the limit, or the number that was sent."""
        return bool(self.limit_parameter) and ("limit" in refusal.names or self.max_tokens in refusal.numbers)

    def lowered(self, refusal: Refusal) -> RequestForm | None:
        """With a lower limit: the largest that the refusal names below this one, else half as much."""
        named = [number for number in refusal.numbers if MIN_TOKENS // 4 <= number < self.max_tokens]
        lower = max(named, default=self.max_tokens // 2)
        if not named and lower < MIN_TOKENS:
            return None
        return self.with_room(lower, lower)

    def without(self, name: str) -> RequestForm | None:
        """Without one of `benchmarks.judge.refusals.PARTS`, or with what takes its place; None without it."""
        if name == "format":
            return self.next_format()
        if name == "limit" and self.limit_at < len(self.limit_parameters) - 1:
            return replace(self, limit_at=self.limit_at + 1)
        if name == "stream" and self.says_stream:
            return replace(self, says_stream=False)
        if name == "system" and self.system_role:
            return replace(self, system_role=False)
        if name in dict(self.optional):
            return replace(self, optional=tuple(item for item in self.optional if item[0] != name))
        return None

    def reductions(self) -> Iterator[RequestForm]:
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
        last = len(self.limit_parameters) - 1
        bare = replace(lower, limit_at=last, optional=(), says_stream=False)
        yield bare
        if last:
            yield replace(bare, limit_at=last - 1)
        yield replace(bare, system_role=False)

    def after_truncation(self) -> RequestForm | None:
        """More room for a judge that was cut off, as one that thinks first may be; None at the most."""
        raised = min(self.max_tokens * GROWTH, self.max_allowed)
        return self.with_room(raised) if raised > self.max_tokens and not self.given_limit else None

    def changes_to(self, other: RequestForm) -> str:
        """What the other does otherwise, in words."""
        return ", ".join(_changes(self, other))


# What a model of decisions is asked; nothing of it can be left out.
DECISION_FORM = RequestForm(
    formats=(DECISION,), limit_parameters=("",), max_tokens=MIN_TOKENS, says_stream=False
)


def _changes(before: RequestForm, after: RequestForm) -> Iterator[str]:
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
