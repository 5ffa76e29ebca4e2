"""Replies of status 200 that are no answer: an error inside, or the note of a filter in place of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from benchmarks.completions import read_body
from benchmarks.error_bodies import ErrorBody, body_of

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
_TEXTS = {
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


def error_inside(body: bytes) -> tuple[int, ErrorBody] | None:
    """(the status that it would have had, what it says) of an error in a reply's body; None without one."""
    try:
        value = read_body(body)
    except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
        return None
    held = _error_in(value[0] if isinstance(value, list) and len(value) == 1 else value)
    if held is None:
        return None
    told = body_of(held)
    return told.status or _status_in_words(told), told


def _error_in(value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    about = {name: held for name, held in value.items() if name not in {"choices", "usage", "messages"}}
    if value.get("error") or value.get("errors"):
        return about
    message = first.get("message")
    within = message if isinstance(message, dict) else {}
    for holder in (first, within):
        if holder.get("error"):
            return {
                "error": holder["error"],
                **{name: about[name] for name in ("code", "status") if name in about},
            }
    if first:
        return None
    told = body_of(about)
    return about if told.keys & _TEXTS and told.message and not filter_note(value) else None


def _status_in_words(told: ErrorBody) -> int:
    said = re.sub(r"[^a-z0-9]+", " ", " . ".join((*told.codes, *told.sentences)).lower())
    return next((status for status, words in _STATUS_OF_WORDS if re.search(words, said)), UNKNOWN_FAULT)


def filter_note_of(body: bytes) -> str:
    """What a body without a text says of a filter; empty where it says nothing of one."""
    try:
        return filter_note(read_body(body))
    except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
        return ""


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
