"""Which models an endpoint offers, and which of them it says are ending."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.judge.chat_protocol import ChatProtocol
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.notices import notice_of
from benchmarks.judge.transports import Transport

TIMEOUT_S = 5.0
MAX_SHOWN = 20
MAX_NAME = 60


@dataclass(frozen=True)
class Offer:
    """What a list of models holds: their names, and what it says of the end of some of them, by name."""

    names: tuple[str, ...] = ()
    notices: Mapping[str, str] = field(default_factory=dict)

    def notice(self, model: str) -> str:
        """What is said of the end of this model, whatever stands before its name; empty for nothing."""
        told = (self.notices[name] for name in self.notices if name.rpartition("/")[2] == model)
        return self.notices.get(model) or next(told, "")


async def offered_models(
    transport: Transport,
    protocol: ChatProtocol,
    base_url: str,
    headers: Mapping[str, str],
    timeout_s: float,
) -> Offer:
    """What the list of the API's models holds; nothing where it gives no such list."""
    url = protocol.models_url(base_url)
    if not url:
        return Offer()
    try:
        reply = await transport.get(url, headers, min(timeout_s, TIMEOUT_S))
    except JudgeError:
        return Offer()
    if reply.status != 200:
        return Offer()
    names = protocol.read_models(reply.body)
    usable = (name for name in names if name and name.isprintable() and len(name) <= MAX_NAME)
    return Offer(tuple(dict.fromkeys(usable)), dict(_notices_in(reply.body)))


def _notices_in(body: bytes) -> Iterator[tuple[str, str]]:
    for entry in _entries_in(body):
        if (name := _name_of(entry)) and (notice := notice_of(entry)):
            yield name, notice


def names_in(body: bytes) -> list[str]:
    """The names in a JSON list of models, or in an object's `data` or `models`: texts, or what has one."""
    return [_name_of(entry) for entry in _entries_in(body)]


def _entries_in(body: bytes) -> list[Any]:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if isinstance(value, dict):
        value = next(
            (models for models in (value.get("data"), value.get("models")) if isinstance(models, list)), []
        )
    return value if isinstance(value, list) else []


def _name_of(entry: Any) -> str:
    if isinstance(entry, dict):
        entry = next((entry[key] for key in ("id", "name", "model") if isinstance(entry.get(key), str)), "")
    return entry if isinstance(entry, str) else ""


def offer_clause(offer: Offer, wanted: str) -> str:
    """A clause that names them, those that are most like the one that was wanted first; empty for none."""
    if not offer.names:
        return ""

    def likeness(name: str) -> float:
        return difflib.SequenceMatcher(None, name.lower(), wanted.lower()).ratio()

    closest = sorted(offer.names, key=likeness, reverse=True)
    shown = [f"{name} ({offer.notices[name]})" if name in offer.notices else name for name in closest]
    more = f" and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
    return f"; the endpoint offers {', '.join(shown[:MAX_SHOWN])}{more}"
