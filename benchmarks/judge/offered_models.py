"""Which models an endpoint offers: asked only where the one that was named is refused."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from benchmarks.judge.chat_protocol import ChatProtocol
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.transports import Transport

TIMEOUT_S = 5.0
MAX_SHOWN = 6
MAX_NAME = 60


async def offered_models(
    transport: Transport,
    protocol: ChatProtocol,
    base_url: str,
    headers: Mapping[str, str],
    timeout_s: float,
) -> list[str]:
    """The names in the list of the API's models; none where it gives no such list."""
    url = protocol.models_url(base_url)
    if not url:
        return []
    try:
        reply = await transport.get(url, headers, min(timeout_s, TIMEOUT_S))
    except JudgeError:
        return []
    names = protocol.read_models(reply.body) if reply.status == 200 else []
    return [name for name in names if name and name.isprintable() and len(name) <= MAX_NAME]


def names_in(body: bytes) -> list[str]:
    """The names in a JSON list of models, or in an object's `data` or `models`: texts, or what has one."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if isinstance(value, dict):
        value = next(
            (models for models in (value.get("data"), value.get("models")) if isinstance(models, list)), []
        )
    return [_name_of(entry) for entry in value] if isinstance(value, list) else []


def _name_of(entry: Any) -> str:
    if isinstance(entry, dict):
        entry = next((entry[key] for key in ("id", "name", "model") if isinstance(entry.get(key), str)), "")
    return entry if isinstance(entry, str) else ""


def offer_clause(names: list[str], wanted: str) -> str:
    """A clause that names them, those that are most like the one that was wanted first; empty for none."""
    if not names:
        return ""

    def likeness(name: str) -> float:
        return difflib.SequenceMatcher(None, name.lower(), wanted.lower()).ratio()

    closest = sorted(dict.fromkeys(names), key=likeness, reverse=True)
    more = f" and {len(closest) - MAX_SHOWN} more" if len(closest) > MAX_SHOWN else ""
    return f"; it offers {', '.join(closest[:MAX_SHOWN])}{more}"
