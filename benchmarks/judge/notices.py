"""What an endpoint says of a model's end: in a reply's headers, or beside its name in the list of models.

No provider's fields are known here: whatever is named after a deprecation, a retirement or a sunset counts,
in RFC 8594's and RFC 9745's headers and in the lists of several providers alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

MAX_WORDS = 200
_BEGINS = re.compile(r"deprecat", re.IGNORECASE)
_ENDS = re.compile(
    r"sunset|retire|shut_?-?down|discontinu|decommission|expiration|end[_-]of[_-]life|\beol\b", re.IGNORECASE
)
_SUCCESSOR = re.compile(r"replace|successor|alternative", re.IGNORECASE)
_STATES = re.compile(r"status|state|lifecycle", re.IGNORECASE)
_OVER = re.compile(
    r"deprecat\w*|retir\w*|sunset|legacy|shut ?down|discontinued|decommission\w*", re.IGNORECASE
)
_IN_USE = {"inference", "chat", "completion", "generation"}  # of an object of dates, those of a judge's use
_NOT_SO = {"", "false", "0", "no", "none", "null"}


def notice_in(headers: Mapping[str, str]) -> str:
    """What the headers of a reply say, in a clause; empty for nothing. headers: names in lower case."""
    about = {name: value for name, value in headers.items() if _BEGINS.search(name) or _ENDS.search(name)}
    return _clause(about) if about else ""


def notice_of(entry: Any) -> str:
    """What an entry of a list of models says, in a clause; empty for nothing."""
    return _clause(entry) if isinstance(entry, Mapping) else ""


def _clause(about: Mapping[str, Any]) -> str:
    parts = list(dict.fromkeys(_parts(about)))
    told = (part for part in parts if not any(other.startswith(f"{part} on ") for other in parts))
    return ", ".join(told)[:MAX_WORDS]


def _parts(about: Mapping[str, Any]) -> Iterator[str]:
    for name, value in about.items():
        told = _told(value)
        if str(told).strip().lower() in _NOT_SO:
            if name == "active" and value is False:
                yield "no longer active"
        elif _BEGINS.search(name) and _SUCCESSOR.search(name):
            yield f"replaced by {told}"
        elif _ENDS.search(name):
            yield _dated("shut down", told)
        elif _BEGINS.search(name):
            yield _dated("deprecated", told)
        elif _STATES.search(name) and _OVER.search(told):
            yield f"{told}"


def _told(value: Any) -> str:
    """A value in one printable line; of an object of dates the one of a judge's use."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in value if str(key) in _IN_USE), "")
    if isinstance(value, list) or value is None:
        return ""
    return "".join(filter(str.isprintable, str(value)))[:100].strip()


def _dated(what: str, told: str) -> str:
    """With its date, where one is told: a bare yes has none, and any other words are quoted."""
    if told.lower() in {"true", "1", "yes", "?1"}:
        return what
    moment = _moment(told)
    return f"{what} on {moment:%Y-%m-%d}" if moment else f"{what}: {told}"


def _moment(told: str) -> datetime | None:
    """Of RFC 9745's "@1688169599", an ISO date such as "20261021", a number of seconds, or an HTTP date."""
    digits = told.removeprefix("@").partition(".")[0]
    readings: tuple[Callable[[], datetime], ...] = (
        lambda: datetime.fromisoformat(told.strip('"')),
        lambda: datetime.fromtimestamp(int(digits), UTC),
        lambda: parsedate_to_datetime(told),
    )
    for read in readings:
        try:
            return read()
        except (ValueError, OverflowError, OSError, TypeError):
            continue
    return None
