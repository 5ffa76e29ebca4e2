"""What the dialects share in how they read a request, and how they name what they refuse in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import replace
from typing import Any

from benchmarks.simulator.replies import BAD_REQUEST, ApiError, error_reply, tokens_in
from benchmarks.simulator.requests import Call, RefusedError, fields_of, pairs_among, stands_first
from benchmarks.simulator.throttling import Level, duration

Texts = list[tuple[str, str]]


def read_question(
    body: bytes,
    read: Callable[[dict[str, Any]], tuple[Texts, Call]],
    errors: Callable[[dict[str, Any]], Iterator[ApiError]],
    known: Container[bytes],
) -> Call:
    """The call that a request makes, with the key and the tokens of its messages.

    read: gives the messages as (role, text), and the call without these. errors: what is refused. known: the
    keys of messages that hold a pair. Raises RefusedError for what is none of the API's requests, and for the
    first error.
    """
    try:
        payload = json.loads(body)
        texts, call = read(payload)
        keys, is_repair = pairs_among(texts, known)
        if not isinstance(call.model, str):
            raise TypeError("a model without a name")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise RefusedError(error_reply(BAD_REQUEST)) from None
    if error := next(errors(payload), None):
        raise RefusedError(error_reply(error))
    tokens = sum(tokens_in(text) for _, text in texts)
    return replace(call, keys=keys, prompt_tokens=max(1, tokens), is_repair=is_repair)


def with_fields(call: Call, schema: object, texts: Texts) -> Call:
    """The same, with what the schema asks for; or the messages, where there is none."""
    fields = fields_of(schema, (text for _, text in texts))
    return replace(call, asks_relation="relation" in fields, reasoning_first=stands_first(fields))


def unsupported(param: str, more: str = "") -> ApiError:
    """As OpenAI words it."""
    message = f"Unsupported parameter: '{param}' is not supported with this model.{more}"
    return extra_inputs(message)._replace(code="unsupported_parameter", param=param)


def extra_inputs(message: str) -> ApiError:
    return ApiError("refused_parameter", 400, message)


def bearer_key(headers: Mapping[str, str]) -> str:
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    return key if scheme == "Bearer" else ""


def openai_limit_headers(levels: Mapping[str, Level]) -> dict[str, str]:
    headers = {}
    for unit, level in levels.items():
        headers[f"x-ratelimit-limit-{unit}"] = str(level.per_minute)
        headers[f"x-ratelimit-remaining-{unit}"] = str(level.remaining)
        headers[f"x-ratelimit-reset-{unit}"] = duration(level.full_in_s)
    return headers
