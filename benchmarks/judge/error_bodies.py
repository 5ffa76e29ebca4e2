"""What the body of an error says, wherever in it that stands.

One walk over any body (JSON, JSON inside its strings, an event stream, HTML, plain text) gives its leaves;
small functions take from them what is said in words, the codes, the names it points at, and statuses.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmarks.judge.usage import Usage

MAX_LEAVES = 500  # an error says what it has to say in a few
MAX_DEPTH = 12
MAX_TRIES = 50  # at reading JSON in one text
MAX_CHARS = 20_000
_LOCATORS = frozenset(
    ("param", "params", "parameter", "parameters", "field", "fields", "fieldname", "loc", "location", "path")
    + ("datapath", "instancepath", "pointer", "property", "argument", "target")
)
# What repeats the request, or is about the request and not about the error.
_ECHOES = {"input", "inputs", "request", "prompt", "messages", "failedgeneration", "requestbody", "ctx"}
_LABELS = frozenset(
    (
        "requestid",
        "xrequestid",
        "id",
        "traceid",
        "trackingid",
        "logid",
        "userid",
        "object",
        "model",
        "type_url",
    )
    + ("providername", "url", "helpurl", "docurl", "documentation", "links", "timestamp", "created")
)
_STATUSES = {"code", "status", "statuscode", "httpstatus", "httpcode", "errorcode", "httpstatuscode"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is no list or object. key: of the object that holds it, letters and digits only."""

    key: str
    value: str | int | float | bool | None


@dataclass(frozen=True)
class ErrorBody:
    """What an error says: leaves in the order in which they stand, and the keys of all objects."""

    leaves: tuple[Leaf, ...]
    keys: frozenset[str]

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What is said in words, each once."""
        texts = (one_line(leaf.value) for leaf in self._texts if leaf.key not in _LABELS)
        return tuple(dict.fromkeys(text for text in texts if " " in text))

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Single words, as DeploymentNotFound or insufficient_quota, written as "deployment not found"."""
        texts = (leaf.value for leaf in self._texts if leaf.key not in _LABELS | _LOCATORS and leaf.value)
        return tuple(dict.fromkeys(in_words(text) for text in texts if " " not in text.strip()))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What it points at: each param, field and part of a loc."""
        return tuple(
            dict.fromkeys(leaf.value for leaf in self._texts if leaf.key in _LOCATORS and leaf.value)
        )

    @cached_property
    def status(self) -> int | None:
        """The first number among its codes that is a status of an error."""
        for leaf in self.leaves:
            digits = str(leaf.value) if leaf.key in _STATUSES and not isinstance(leaf.value, bool) else ""
            if re.fullmatch(r"[45]\d\d", digits):
                return int(digits)
        return None

    @cached_property
    def message(self) -> str:
        """All that it says, in one line; its codes where it has no sentence."""
        return one_line(": ".join(self.sentences) or ": ".join(self.codes))[:2000]

    @property
    def _texts(self) -> Iterator[Any]:
        return (leaf for leaf in self.leaves if isinstance(leaf.value, str))


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A refusal: the status that it has, or would have had, and what it says.

    usage: of what had been written before it failed, where it says so; without it a refusal costs nothing.
    """

    status: int
    said: ErrorBody
    usage: Usage | None = None


def read_error_body(body: bytes) -> ErrorBody:
    """Of any bytes."""
    text = body[:MAX_CHARS].decode("utf-8-sig", "replace")
    return _body_of(_values_in(text))


def body_of(value: Any) -> ErrorBody:
    """Of a JSON value."""
    return _body_of([value])


def _body_of(values: list[Any]) -> ErrorBody:
    leaves: list[Leaf] = []
    keys: set[str] = set()
    for value in values:
        _walk(value, "", leaves, keys, 0)
    return ErrorBody(tuple(leaves), frozenset(keys))


def _walk(value: Any, key: str, leaves: list[Leaf], keys: set[str], depth: int) -> None:
    if len(leaves) >= MAX_LEAVES or depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            plain = re.sub(r"[^a-z0-9]", "", str(name).lower())
            keys.add(plain)
            if plain not in _ECHOES:
                _walk(inner, plain, leaves, keys, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _walk(inner, key, leaves, keys, depth + 1)
    elif isinstance(value, str):
        parts = _values_in(value[:MAX_CHARS])
        if parts == [value.strip()]:
            leaves.append(Leaf(key, value.strip()))
        else:
            for part in parts:
                _walk(part, key, leaves, keys, depth + 1)
    else:
        leaves.append(Leaf(key, value))


def _values_in(text: str) -> list[Any]:
    """The JSON values in a text and the words around them; the text itself where there are none."""
    text = text.strip()
    if text[:1] == "<":
        return [_without_tags(text)]
    text = re.sub(r"(?m)^(?:data|event|error): *(?=[\[{\w])", "", text)
    values: list[Any] = []
    decoder = json.JSONDecoder()
    end = tries = 0
    for start in re.finditer(r"[\[{](?=\s*[\"{\[])", text):
        tries += 1
        if start.start() < end or tries > MAX_TRIES:
            continue
        try:
            value, after = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        values += [words] if (words := text[end : start.start()].strip(" :-,\n")) else []
        values.append(value)
        end = after
        if len(values) > 20:
            break
    rest = text[end:].strip()
    return values + ([rest] if rest else [])


def _without_tags(text: str) -> str:
    shown = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", " ", text)
    return one_line(html.unescape(re.sub(r"<[^>]{0,1000}>", " ", shown)))


def in_words(code: str) -> str:
    """ "DeploymentNotFound", "deployment_not_found" and "deployment-not-found" as "deployment not found"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", code[:200])
    return " ".join(re.split(r"[\W_]+", spaced)).strip().lower()


def one_line(text: str) -> str:
    return " ".join(text.split())[:2000]
