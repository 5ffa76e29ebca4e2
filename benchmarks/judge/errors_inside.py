"""What replies of status 200 say that are no answer: the status that an error means, the note of a filter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from benchmarks.judge.error_bodies import ErrorBody, body_of

# In this order: which status words mean where no number says it.
_STATUS_OF_WORDS = (
    (429, r"rate ?limit|too many|throttl|resource exhausted|slow down|concurren|requests? per"
    r"|overloaded requests"),
    (402, r"insufficient (?:quota|balance|credits?|funds?)|payment|billing|arrear|out of credits?|\bquota"),
    (401, r"(?:invalid|incorrect|wrong|missing|no|bad) (?:\w+ )?(?:api )?key|unauthori[sz]ed"
    r"|unauthenticated|authenticat"
     r"|invalid token"),
    (403, r"forbidden|permission|access denied|not allowed to access"),
    (404, r"not found|(?:not|n t) exist|no such|unknown model|unknown url"),
    (503, r"overload|unavailable|capacity|time ?d? ?out|internal|server error|busy|try again"),
    (400, r"invalid|bad request|unsupported|not support|validation|unknown|content (?:filter|policy)"
    r"|must be|required"),
)  # fmt: skip
UNKNOWN_FAULT = 502
SENTENCE_KEYS = {
    "message",
    "msg",
    "detail",
    "error",
    "errors",
    "errormessage",
    "errormsg",
    "statusmsg",
    "reason",
    "title",
}
_ENDINGS = {"finishreason", "stopreason", "nativefinishreason"}
_MARKS = re.compile(
    r"^(?:block(?:ed|reason)?|blockreasonmessage|filtered|flagged|refusal|moderated|censored)$"
)
# Why a reply ended, in the words of any filter.
FILTERED = re.compile(
    r"filter|safety|recitation|block|prohibit|spii|sensitive|refus|guardrail|moderat|polic|violat|censor|harm",
    re.IGNORECASE,
)
_NO_MARKS = {"", "none", "false", "null", "stop", "block_reason_unspecified", "blocked_reason_unspecified"}


def status_in_words(told: ErrorBody) -> int:
    said = re.sub(r"[^a-z0-9]+", " ", " . ".join((*told.codes, *told.sentences)).lower())
    return next((status for status, words in _STATUS_OF_WORDS if re.search(words, said)), UNKNOWN_FAULT)


def filter_note(value: Any) -> str:
    """The first mark of a filter in a reply without a text: a reason to block, a flag, an ending."""
    return next(_marks(value), "")


def _marks(value: Any) -> Iterator[str]:
    for leaf in body_of(value).leaves:
        said = str(leaf.value).strip()
        is_set = leaf.value is True or (isinstance(leaf.value, str) and said.lower() not in _NO_MARKS)
        if is_set and _MARKS.search(leaf.key):
            yield said if isinstance(leaf.value, str) else leaf.key
        elif isinstance(leaf.value, str) and leaf.key in _ENDINGS and FILTERED.search(said):
            yield said
