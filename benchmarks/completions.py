"""A chat completion, as the body of a 200 reply says it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from benchmarks.judge import JudgeError
from benchmarks.usage import Usage


@dataclass(frozen=True, slots=True)
class Completion:
    """What a chat completion says: its text, why it ended, what it cost.

    logprobs: (token, natural logarithm of its probability) of each token of the text, where they were asked
    for.
    """

    text: str
    finish_reason: str
    refusal: str
    usage: Usage
    system_fingerprint: str
    logprobs: tuple[tuple[str, float], ...] = ()
    body: bytes = field(default=b"", repr=False)
    from_cache: bool = False


def read_completion(body: bytes) -> Completion:
    """Reads a 200 reply of any bytes. Raises JudgeError("bad_response") for what is no chat completion."""
    usage = Usage()
    try:
        reply = json.loads(body)
        usage = _usage(reply.get("usage"))
        choice = reply["choices"][0]
        message = choice["message"]
        content = message.get("content")
        if isinstance(content, list):  # content in parts, as some servers send it
            content = "".join(part["text"] for part in content if isinstance(part.get("text"), str))
        return Completion(
            text=content if isinstance(content, str) else "",
            finish_reason=_text(choice.get("finish_reason")),
            refusal=_text(message.get("refusal")),
            usage=usage,
            system_fingerprint=_text(reply.get("system_fingerprint"))[:100],
            logprobs=_logprobs(choice.get("logprobs")),
            body=body,
        )
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        shown = body[:200].decode("utf-8", "replace")
        raise JudgeError(
            "bad_response", f"not a chat completion: {shown!r}", status=200, usage=usage
        ) from None


def _usage(value: Any) -> Usage:
    if not isinstance(value, dict):
        return Usage()
    details = value.get("prompt_tokens_details"), value.get("completion_tokens_details")
    in_prompt, in_completion = (detail if isinstance(detail, dict) else {} for detail in details)
    return Usage(
        _count(value.get("prompt_tokens")),
        _count(value.get("completion_tokens")),
        _count(in_prompt.get("cached_tokens")),
        _count(in_completion.get("reasoning_tokens")),
    )


def _logprobs(value: Any) -> tuple[tuple[str, float], ...]:
    """What can be used of them; none where any is malformed, since the verdict's would not be found."""
    tokens = value.get("content") if isinstance(value, dict) else None
    try:
        return tuple((_token(token["token"]), float(token["logprob"])) for token in tokens or ())
    except (KeyError, TypeError, ValueError, OverflowError):
        return ()


def _token(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a token that is no text")
    return value


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
