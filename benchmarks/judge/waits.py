"""How long a server asks to wait, wherever it says so: in headers, in fields of the body, in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from benchmarks.judge.error_bodies import ErrorBody, Leaf

MOMENT_S, MOMENT_MS = 1e9, 1e12  # numbers above are moments: seconds, and milliseconds, since 1970
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_ISO = r"\d{4}-\d\d-\d\d[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?\s?(?:z|utc|gmt|[+-]\d\d:?\d\d)?"
_RESET = re.compile(r"rate-?limit.*reset|reset.*rate-?limit")
_SHORT_RESET = re.compile(r"(?:^|[;,\s])(?:t|reset)=(\d+)")
_NONE_LEFT = re.compile(r"(?:^|[;,\s])(?:r|remaining)=([1-9]\d*)")
# Keys of a body's fields: what asks for a pause whatever went wrong, and what only a limit means by it.
_PAUSE_KEY = re.compile(
    r"retry.{0,3}(?:after|delay|in|time)|^retry(?:s|ms|seconds)?$|wait|estimatedtime|cool.?down|backoff"
)
_RESET_KEY = re.compile(r"reset|availableat|until|nextrequest|expires")
_NUMBER = r"\d{1,16}(?:\.\d{1,12})?"
_UNIT = (
    r"(?:milliseconds?|millis|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|hr|h|days?|d)(?![a-z])"
)
_IN_WORDS = re.compile(
    rf"\b(?:in|after|for|wait|within|another|about|approximately|of)[\s:]*(?:at least |about )?"
    rf"((?:{_NUMBER}\s*{_UNIT}[\s,]*(?:and\s+)?)+)"
)
_WORD_PART = re.compile(rf"({_NUMBER})\s*({_UNIT})")
_ASKS_TO_WAIT = re.compile(
    r"retr(?:y|ies)|again|wait|reset|available|slow|come back|cool|resume|until|renew|refresh"
)
_MOMENT_IN_WORDS = re.compile(rf"({_ISO})|\b(\d{{10}}(?:\.\d+)?|\d{{13}})\b")
_WHOLE_DAY = re.compile(
    r"(?:per|a|each|every|/).?(?:day|week|month)\b|daily|weekly|monthly|\brpd\b|\btpd\b|24.?h"
)


def server_wait_s(headers: Mapping[str, str], now: float, limited: bool = True) -> float | None:
    """Seconds that a server asks to wait, from its reply's headers (names in lower case), or None.

    In this order: retry-after-ms; retry-after as seconds, an HTTP date, `1m30s` or `500ms`, a moment; then
    the longest of the resets of rate limits, but of those of which something is left. now: seconds since the
    epoch, for moments. limited: whether the reply is a 429; on any other the resets say nothing of a pause.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = parse_wait_s(headers.get("retry-after"), now)
    if after is not None or not limited:
        return after
    return max((reset for reset in _resets(headers, now) if reset is not None), default=None)


def _resets(headers: Mapping[str, str], now: float) -> Iterator[float | None]:
    for name, value in headers.items():
        left = _number(headers.get(name.replace("reset", "remaining")))
        if _RESET.search(name) and not left:
            yield parse_wait_s(value, now)
        elif name in {"ratelimit", "x-ratelimit"} and not _NONE_LEFT.search(value):
            short = _SHORT_RESET.search(value)
            yield parse_wait_s(short[1], now) if short else None


def body_wait_s(body: ErrorBody, now: float, limited: bool = True) -> float | None:
    """The longest pause that a body asks for, in its fields or in words, or None."""
    waits = [wait for leaf in body.leaves if (wait := _field_wait_s(leaf, now, limited)) is not None]
    waits += [wait for sentence in body.sentences for wait in _waits_in_words(sentence.lower(), now, limited)]
    return max(waits, default=None)


def never_today(body: ErrorBody) -> bool:
    """Whether the limit that it speaks of is one of a day, or of longer."""
    return bool(_WHOLE_DAY.search(" ".join((*body.sentences, *body.codes)).lower()))


def _field_wait_s(leaf: Leaf, now: float, limited: bool) -> float | None:
    if not (_PAUSE_KEY.search(leaf.key) or (limited and _RESET_KEY.search(leaf.key))):
        return None
    if isinstance(leaf.value, bool) or leaf.value is None:
        return None
    wait = parse_wait_s(str(leaf.value), now)
    if wait is None or not re.search(r"(?:ms|millis|milliseconds)$", leaf.key):
        return wait
    is_bare = _number(str(leaf.value))
    return wait / 1000 if is_bare is not None and is_bare <= MOMENT_S else wait


def _waits_in_words(sentence: str, now: float, limited: bool) -> Iterator[float]:
    if not _ASKS_TO_WAIT.search(sentence):
        return
    for match in _IN_WORDS.finditer(sentence):
        if _ASKS_TO_WAIT.search(sentence, max(0, match.start() - 60), match.end() + 40):
            parts = _WORD_PART.findall(match[1])
            yield math.fsum(float(number) * _unit_s(unit) for number, unit in parts)
    for moment in _MOMENT_IN_WORDS.finditer(sentence) if limited else ():
        wait = parse_wait_s(moment[0], now)
        if wait is not None:
            yield wait


def _unit_s(unit: str) -> float:
    return _UNITS_S["ms" if unit.startswith(("ms", "mil")) else unit[0]]


def parse_wait_s(value: str | None, now: float) -> float | None:
    """Seconds from "1.5", "500ms", "1m30s", an HTTP date, an ISO time or a moment; None for anything else.

    A number above 10^9 is a moment in seconds since 1970, one above 10^12 in milliseconds.
    """
    if not value:
        return None
    value = value.strip().lower()
    seconds = _number(value)
    if seconds is not None:
        return _until(seconds, now)
    if _DURATION.fullmatch(value):
        return math.fsum(float(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(value))
    try:
        if re.fullmatch(_ISO, value):
            return max(0.0, _iso_moment(value) - now)
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _until(number: float, now: float) -> float:
    if number >= MOMENT_MS:
        return max(0.0, number / 1000 - now)
    return max(0.0, number - now) if number >= MOMENT_S else number


def _iso_moment(value: str) -> float:
    moment = datetime.fromisoformat(re.sub(r"\s?(?:z|utc|gmt)$", "+00:00", value).replace(" +", "+"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(value: str | None) -> float | None:
    """A plain non-negative decimal; float() alone would take "nan" and "1e999"."""
    return float(value) if value and re.fullmatch(_NUMBER, value.strip()) else None


def come_back(wait_s: float, now: datetime | None = None) -> str:
    """When a pause is over, in local time: "at 14:05", "on 2026-01-31 at 14:05"."""
    begun = (now or datetime.now()).astimezone()
    over = datetime.fromtimestamp(min(begun.timestamp() + wait_s, 2**34)).astimezone()
    day = "" if over.date() == begun.date() else f"on {over:%Y-%m-%d} "
    return f"{day}at {over:%H:%M} local time"
