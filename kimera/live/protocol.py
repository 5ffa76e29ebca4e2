"""The messages, as JSON: those of a client are read here, those of the server made. See docs/live.md."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, TypeAlias

from kimera.live.capacity import LiveLimits
from kimera.live.contradictions import Contradiction, Found, NumberedStatement
from kimera.version import __version__

VERSION = 1
PATH = "/live"
CHECK_PATH = "/check"
METRICS_PATH = "/metrics"
MAX_CHARACTERS_OF_AN_ID = 64
MAX_QUOTED = 40

Message: TypeAlias = dict[str, Any]


class ProtocolError(Exception):
    """A message that cannot be taken: what the client is told. kind: one of the schema's."""

    def __init__(self, kind: str, message: str, id: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.id = id


@dataclass(frozen=True, slots=True)
class Hello:
    """A client's first message. session: the name of one that the server keeps."""

    token: str | None = field(default=None, repr=False)
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """A statement that a client sends."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Bye:
    """A client's last message."""


def read(text: str, limits: LiveLimits) -> Hello | Offered | Bye:
    """A client's message. Raises `ProtocolError` for what is none."""
    message = read_object(text)
    match message.get("type"):
        case "hello":
            return _hello(message)
        case "statement":
            return _statement(message, limits)
        case "bye":
            return Bye()
    raise ProtocolError(
        "unknown_type", f"the type is {_quoted(message.get('type'))}; send hello, statement or bye"
    )


def read_object(text: str) -> Message:
    """A JSON object. Raises `ProtocolError` for anything else."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("not_json", f"this is not JSON ({type(error).__name__})") from None
    if not isinstance(message, dict):
        raise ProtocolError("not_json", "this is not a JSON object")
    return message


def _hello(message: Message) -> Hello:
    if message.get("version") != VERSION or isinstance(message["version"], bool):
        version = _quoted(message.get("version"))
        raise ProtocolError("version", f"the version is {version}; this server speaks {VERSION}")
    token = message.get("token")
    if token is not None and not isinstance(token, str):
        raise ProtocolError("bad_field", "the token is not a string")
    return Hello(token, session_name(message))


def session_name(message: Message) -> str | None:
    """The field `session`; None where it is absent or null. Raises `ProtocolError` for what is no name."""
    name = message.get("session")
    return None if name is None else _short(name, "session")


def statement_id(message: Message, otherwise: str) -> str:
    """The field `id`. Raises `ProtocolError` for what is none."""
    return _short(message.get("id", otherwise), "id")


def _short(value: object, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CHARACTERS_OF_AN_ID:
        reason = f"the {field} is not a string of 1 to {MAX_CHARACTERS_OF_AN_ID} characters"
        raise ProtocolError("bad_field", reason)
    return value


def _statement(message: Message, limits: LiveLimits) -> Offered:
    id = _short(message.get("id"), "id")
    return Offered(id, statement_text(message.get("text"), "text", limits, id))


def statement_text(text: object, field: str, limits: LiveLimits, id: str | None = None) -> str:
    """A statement. Raises `ProtocolError`, with this field's name, for what is none."""
    if not isinstance(text, str):
        raise ProtocolError("bad_field", f"the {field} is not a string", id)
    if not text.strip():
        raise ProtocolError("empty_text", f"the {field} is empty", id)
    if len(text) > limits.characters:
        reason = f"the {field} has {len(text):,} characters; at most {limits.characters:,} are accepted"
        raise ProtocolError("too_long", reason, id)
    return text


def _quoted(value: object) -> str:
    return (
        repr(value)[:MAX_QUOTED] if isinstance(value, str | int | float | None) else "not a string or number"
    )


def hello(limits: LiveLimits, name: str = "", statements: int = 0) -> Message:
    """name, statements: of the session, where the server keeps it."""
    named = {"session": {"name": name, "statements": statements}} if name else {}
    return {
        "type": "hello",
        "version": VERSION,
        "server": f"kimera {__version__}",
        "limits": {
            "statements": limits.statements,
            "characters": limits.characters,
            "message_bytes": limits.message_bytes,
            "waiting": limits.waiting,
        },
        **named,
    }


def checked(statement: NumberedStatement, found: Found, latency_ms: float) -> Message:
    """latency_ms: from the statement's arrival, the wait for others included."""
    failed = {"failed": found.failed} if found.failed else {}
    return {
        "type": "checked",
        "id": statement.id,
        "number": statement.number,
        "contradictions": [_contradiction(contradiction) for contradiction in found.contradictions],
        "latency_ms": round(latency_ms, 3),
        **failed,
    }


def _contradiction(contradiction: Contradiction) -> Message:
    return {
        "earlier": _statement_sent(contradiction.earlier),
        "later": _statement_sent(contradiction.later),
        "score": round(contradiction.score, 4),
        "stage": contradiction.stage,
        "cosine": round(contradiction.cosine, 4),
        **({"detector": contradiction.detector} if contradiction.detector else {}),
    }


def _statement_sent(statement: NumberedStatement) -> Message:
    return {"number": statement.number, "id": statement.id, "text": statement.text}


def error(kind: str, message: str, id: str | None = None) -> Message:
    return {"type": "error", "kind": kind, "message": message} | ({} if id is None else {"id": id})


def bye(reason: str, statements: int) -> Message:
    """statements: how many the server took."""
    return {"type": "bye", "reason": reason, "statements": statements}


def written(message: Message) -> str:
    """As JSON in ASCII: a lone surrogate of a text goes back as it came."""
    return json.dumps(message, separators=(",", ":"))


def load_schema() -> Message:
    """JSON Schema, draft 2020-12: `$defs` has the messages of both sides."""
    text = (files("kimera.live") / "protocol.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
