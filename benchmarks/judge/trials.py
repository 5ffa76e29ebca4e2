"""Finding out how an endpoint wants its requests, where its refusals say nothing of use.

While an endpoint has answered nothing, one pair is asked in one way after the other, once for the run; the
others wait. A change that alters what the endpoint says is kept, so that two things which are wrong are found
one by one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from benchmarks.judge.request_form import RequestForm

MAX_REQUESTS = 14  # of one trial
MAX_TRIALS = 2  # by as many pairs: one alone may itself be what is refused


@dataclass(eq=False)
class PairTerms:
    """What one pair needs otherwise than the run, and what it has met.

    max_tokens: its own limit, 0 for the run's. max_allowed: what that may grow to. format_steps: how far down
    the ladder of formats it alone has gone. batched: the names of its replies, where they came in batches.
    pairs: how many are asked about together, for which these terms then are.
    """

    max_tokens: int = 0
    max_allowed: int = 0
    format_steps: int = 0
    formats_failed: int = 0
    faults: int = 0
    was_asked_again: bool = False
    was_tried: bool = False
    batched: tuple[str, ...] = ()
    pairs: int = 1


@dataclass(eq=False)
class Trial:
    """The ways left to ask `pair`. base: what is refused with `words`; tried: what is asked with now."""

    pair: PairTerms
    base: RequestForm
    words: str
    is_fault: bool = False
    left: list[RequestForm] = field(default_factory=list)
    requests: int = 0
    tried: RequestForm | None = None
    first_words: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.left = list(self.base.reductions())
        self.first_words = self.words

    def following(self, words: str) -> RequestForm | None:
        """The next way to ask after one that was refused with `words`, or None when all were."""
        self.words = self.words or words
        if self.tried is not None and words != self.words:
            self._adopt(self.tried, words)
        self.requests += 1
        if not self.left or self.requests > MAX_REQUESTS:
            return None
        self.tried = self.left.pop(0)
        return self.tried

    def go_on_with(self, form: RequestForm) -> None:
        """A refusal has named what this form does otherwise; whatever it brings is new."""
        self._adopt(form, "")
        self.tried = form
        self.requests += 1

    def _adopt(self, form: RequestForm, words: str) -> None:
        """Goes on from this form: it is refused too, but otherwise."""
        self.base, self.words = form, words
        self.left = list(form.reductions())
        self.tried = None
