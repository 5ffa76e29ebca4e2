"""A chat completion, as the body of a 200 reply says it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.event_streams import read_chunks, whole_completion
from benchmarks.failures import JudgeError
from benchmarks.reply_reading import MAX_REPLY_CHARS, conclusion
from benchmarks.thinking import without_thoughts
from benchmarks.usage import UNKNOWN, Usage, read_usage

_THOUGHTS = re.compile(r"reason|think|thought", re.IGNORECASE)
# What may hold the text of a part of a message, and the arguments of a call.
_TEXTS = ("text", "content", "value", "parts", "output_text")
_ARGUMENTS = ("arguments", "input", "parameters", "args")


@dataclass(frozen=True, slots=True)
class Completion:
    """What a chat completion says: its text, why it ended, what it cost.

    found_in: where the text stood if not in the message's content, such as "reasoning_content"; empty if it
    did. logprobs: (token, natural logarithm of its probability) of each token of the text, where they were
    asked for.
    """

    text: str
    finish_reason: str
    refusal: str
    usage: Usage
    system_fingerprint: str
    logprobs: tuple[tuple[str, float], ...] = ()
    body: bytes = field(default=b"", repr=False)
    from_cache: bool = False
    found_in: str = ""


def read_body(body: bytes) -> Any:
    """The JSON value that a body is, one in a string or an event stream among them.

    An event stream becomes the completion that its chunks make up. Raises ValueError for anything else.
    """
    text = body.decode("utf-8-sig", "replace").strip()
    try:
        value = json.loads(text, strict=False)
        if isinstance(value, str):
            value = json.loads(value, strict=False)
    except ValueError:
        value = read_chunks(text)
    return whole_completion(value)


def read_completion(body: bytes) -> Completion:
    """Reads a 200 reply of any bytes. Raises JudgeError("bad_response") for what is no chat completion."""
    usage = UNKNOWN
    try:
        reply = read_body(body)
        usage = read_usage(_usage_in(reply))
        choice = reply["choices"][0]
        message = choice.get("message", {"content": choice["text"]} if "text" in choice else None)
        if isinstance(message, str):
            message = {"content": message}
        text, found_in = _said(message, is_cut_off=choice.get("finish_reason") == "length")
        if text and not usage.completion:  # a zero there is that of a server that does not count
            usage = replace(usage, completion=None)
        return Completion(
            text=text,
            finish_reason=_text(choice.get("finish_reason")),
            refusal=_text(message.get("refusal")),
            usage=usage,
            system_fingerprint=_text(reply.get("system_fingerprint"))[:100],
            logprobs=_logprobs(choice.get("logprobs")),
            body=body,
            found_in=found_in,
        )
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        shown = body[:200].decode("utf-8", "replace")
        hint = "; it is a web page, so check --base-url, which usually ends in /v1" if is_page(body) else ""
        raise JudgeError(
            "bad_response", f"not a chat completion{hint}: {shown!r}", status=200, usage=usage
        ) from None


def is_page(body: bytes) -> bool:
    """Whether a body is a web page, which nobody sends who serves completions."""
    return body.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


def _said(message: dict[str, Any], *, is_cut_off: bool) -> tuple[str, str]:
    """(the text that a message says, where it stood if not in its content).

    What is called with says as much as what is said. Thoughts are believed only where nothing else is there,
    and only in what they end in.
    """
    content = "".join(_texts(message.get("content")))
    called, where = _called(message)
    if without_thoughts(content[:MAX_REPLY_CHARS]):
        return f"{content}\n{called}" if called else content, ""
    if called:
        return called, where
    for name, thoughts in message.items():
        if _THOUGHTS.search(name) and not is_cut_off and (end := conclusion("".join(_texts(thoughts)))):
            return end, name
    return content, ""


def _texts(value: Any) -> Iterator[str]:
    """The texts of content that may be a text, a list of texts or parts, a part, or the verdict itself."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            if not (isinstance(part, dict) and _THOUGHTS.search(str(part.get("type")))):
                yield from _texts(part)
    elif isinstance(value, dict):
        held = [value[name] for name in (*_TEXTS, *_ARGUMENTS) if value.get(name)]
        if any("contradict" in name.lower() for name in value):
            yield json.dumps(value)
        elif held:
            yield from _texts(held[0])


def _called(message: dict[str, Any]) -> tuple[str, str]:
    """(the arguments that tools are called with, what they are)."""
    calls = message.get("tool_calls")
    said = [_arguments(call) for call in (calls if isinstance(calls, list) else [calls])]
    if any(said):
        return "\n".join(said), "tool_calls"
    return _arguments(message.get("function_call")), "function_call"


def _arguments(call: Any) -> str:
    if not isinstance(call, dict):
        return ""
    function = call.get("function")
    held = function if isinstance(function, dict) else call
    given = next((held[name] for name in _ARGUMENTS if held.get(name)), "")
    return given if isinstance(given, str) else json.dumps(given)


def _usage_in(reply: dict[str, Any]) -> Any:
    """The usage, which some endpoints state beside the choices, in the choice, or among what is theirs."""
    choices = reply.get("choices")
    beside = [reply, *(choices if isinstance(choices, list) else []), *reply.values()]
    stated = (each.get("usage") for each in beside if isinstance(each, dict))
    return next((usage for usage in stated if isinstance(usage, dict)), None)


def _logprobs(value: Any) -> tuple[tuple[str, float], ...]:
    """What can be used of them; none where any is malformed, since the verdict's would not be found."""
    tokens = value.get("content") if isinstance(value, dict) else None
    try:
        return tuple((_token(token["token"]), float(token["logprob"])) for token in tokens or ())
    except (KeyError, TypeError, ValueError, OverflowError):
        return ()


def _token(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a token that is not text")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
