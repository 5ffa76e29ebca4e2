"""What protocols share: the JSON value that a body is, the error within it, bodies that are no reply."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from benchmarks.fast_json import read_json
from benchmarks.judge.error_bodies import ErrorReply, body_of, read_error_body
from benchmarks.judge.errors_inside import status_in_words
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.request_form import RequestForm
from benchmarks.judge.usage import UNKNOWN, Usage, whole_number

UNREADABLE = (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError)


@functools.lru_cache(maxsize=1)  # a body is searched for an error, then read: it is parsed once for both
def json_in(body: bytes) -> Any:
    """The JSON value that a body is; nobody may change it. Raises ValueError or RecursionError."""
    return read_json(body.decode("utf-8-sig", "replace").strip())


def error_reply(status: int, body: bytes) -> ErrorReply | None:
    """The refusal that a reply is: by its status, or by the `error` that an object of status 200 holds."""
    if status != 200:
        return ErrorReply(status, read_error_body(body))
    try:
        value = json_in(body)
    except UNREADABLE:
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not (isinstance(value, dict) and value.get("error")):
        return None
    said = body_of({name: value[name] for name in ("error", "code", "status") if name in value})
    return ErrorReply(said.status or status_in_words(said), said)


def no_reply(noun: str, body: bytes, usage: Usage = UNKNOWN, base_url_hint: str = "") -> JudgeError:
    """The error for a body that is none of what the noun names. base_url_hint: how a base URL is to be."""
    shown = body[:200].decode("utf-8", "replace")
    is_page = shown.lstrip()[:15].lower().startswith(("<!doctype html", "<html"))
    hint = f"; it is a web page, so check --base-url{base_url_hint}" if is_page else ""
    return JudgeError("bad_response", f"not {noun}{hint}: {shown!r}", status=200, usage=usage)


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""


def count_in(value: Any, name: str) -> int | None:
    """A member that counts; None where it is none, or there is no such object."""
    return whole_number(value.get(name)) if isinstance(value, dict) else None


def counted(usage: Usage, text: str) -> Usage:
    """The same; a text that cost nothing is that of a server that does not count."""
    return replace(usage, completion=None) if text and not usage.completion else usage


def logprobs_in(tokens: Any) -> tuple[tuple[str, float], ...]:
    """What can be used of them; none where any is malformed, since the verdict's would not be found."""
    try:
        return tuple((_token(token["token"]), float(token["logprob"])) for token in tokens or ())
    except (KeyError, TypeError, ValueError, OverflowError):
        return ()


def _token(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a token that is not text")
    return value


def behind_version(base_url: str, version: str, path: str) -> str:
    """The address of a path, behind the folder of the API's version where the base URL ends in none."""
    is_version = re.search(r"/v\d\w*$", urlsplit(base_url).path)
    return f"{base_url}{path}" if is_version else f"{base_url}/{version}{path}"


def split_system(messages: list[dict[str, str]], form: RequestForm) -> tuple[str, list[dict[str, str]]]:
    """(the system message, the others); it is the beginning of the first question where the form says so."""
    if len(messages) < 2 or messages[0]["role"] != "system":
        return "", messages
    system, question, *others = messages
    if form.system_role:
        return system["content"], [question, *others]
    return "", [{**question, "content": f"{system['content']}\n\n{question['content']}"}, *others]
