"""How the simulated judge reads a request, and which parameters it refuses, in OpenAI's words."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.judge import VERDICTS
from benchmarks.simulator.replies import BAD_REQUEST, ApiError, Reply, error_reply, tokens_in
from benchmarks.simulator.simulation import answer_keys, key_of_all

_FIELD = re.compile(r'"(contradiction|relation|reasoning)"')


class RefusedError(Exception):
    """A request that gets no verdict whatever is drawn, and the reply it gets instead."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.outcome)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Call:
    """A request for one verdict, or for those of several pairs.

    keys: of the pairs of the last user message that is known, or of the first, behind examples if there are
    any. is_repair: another user message follows.
    asks_relation: whether the reply is to state one of three classes.
    reasoning_first: whether it is to give its reasoning ahead of its verdict. reply_format: how the reply is
    wanted, in the words of its dialect, where that matters.
    token_limit: on the completion. top_logprobs: how many, None where no logprobs are wanted.
    """

    keys: tuple[bytes, ...]
    model: str
    prompt_tokens: int
    is_repair: bool
    token_limit: int | None
    top_logprobs: int | None
    asks_relation: bool = False
    reasoning_first: bool = False
    reply_format: str = ""

    @property
    def key(self) -> bytes:
        """Of all that it asks about."""
        return key_of_all(self.keys)


def read_call(
    body: bytes,
    refuses: Collection[str] = (),
    strict: bool = False,
    known: Container[bytes] = frozenset(),
) -> Call:
    """Reads a chat completions request. known: the keys of messages that hold a pair.

    Raises RefusedError for what is no such request, or asks for what is refused.
    """
    try:
        payload = json.loads(body)
        texts = [(message["role"], _text(message["content"])) for message in payload["messages"]]
        model = payload["model"]
        keys, is_repair = pairs_among(texts, known)
    except (ValueError, LookupError, TypeError, RecursionError):
        raise RefusedError(error_reply(BAD_REQUEST)) from None
    if not isinstance(model, str):
        raise RefusedError(error_reply(BAD_REQUEST))
    error = next(refused_parameters(payload, refuses), None)
    if error is None and strict:
        error = next(strict_errors(payload, "".join(text for _, text in texts)), None)
    if error:
        raise RefusedError(error_reply(error))
    wanted = payload.get("response_format")
    named = wanted.get("json_schema") if isinstance(wanted, dict) else None
    schema = named.get("schema") if isinstance(named, dict) else None
    fields = fields_of(schema, (text for _, text in texts))
    return Call(
        keys,
        model,
        prompt_tokens=max(1, sum(tokens_in(text) for _, text in texts)),
        is_repair=is_repair,
        token_limit=_whole(payload.get("max_completion_tokens", payload.get("max_tokens"))),
        top_logprobs=(_whole(payload.get("top_logprobs")) or 0) if payload.get("logprobs") is True else None,
        asks_relation="relation" in fields,
        reasoning_first=stands_first(fields),
    )


def pairs_among(texts: Sequence[tuple[str, str]], known: Container[bytes]) -> tuple[tuple[bytes, ...], bool]:
    """(the keys of the pairs of the last user message that is known, or of the first; whether one follows).

    Raises IndexError where no message is the user's.
    """
    keys = [answer_keys(text) for role, text in texts if role == "user"]
    places = (place for place, asked in enumerate(keys) if all(key in known for key in asked))
    place = max(places, default=0)
    return keys[place], place < len(keys) - 1


def fields_of(schema: object, texts: Iterable[str]) -> list[str]:
    """What a reply is to state, in its order: by its schema; without one by the messages, as a model does."""
    if not isinstance(schema, dict):
        return _FIELD.findall("\n".join(texts))
    listed = (schema.get("properties") or {}).get(VERDICTS)  # of several pairs
    if isinstance(listed, dict):
        return fields_of(listed.get("items"), texts)
    fields = schema.get("propertyOrdering") or schema.get("properties")
    return list(fields) if isinstance(fields, dict | list) else []


def stands_first(fields: Sequence[str]) -> bool:
    """Whether the reasoning is to stand ahead of the verdict."""
    places = [fields.index(name) if name in fields else -1 for name in ("reasoning", "contradiction")]
    return 0 <= places[0] < places[1]


def _text(content: str | list[dict[str, str]]) -> str:
    """A message's text; of a list of parts, that of its text parts."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def refused_parameters(payload: Mapping[str, Any], refuses: Collection[str]) -> Iterator[ApiError]:
    """The errors for the parameters in `refuses` that a request sets, one each."""
    for name in refuses:
        parameter = "response_format" if name == "json_schema" else name
        value = payload.get(parameter)
        if value is None or value is False:
            continue
        match name:
            case "temperature" if value != 1:
                message = f"'temperature' does not support {value} with this model. "
                yield _refused(
                    f"Unsupported value: {message}Only the default (1) value is supported.",
                    name,
                    "unsupported_value",
                )
            case "response_format" | "json_schema":
                kind = value.get("type") if isinstance(value, dict) else None
                if kind == "json_schema" or (name == "response_format" and kind != "text"):
                    message = f"'response_format' of type '{kind}' is not supported with this model."
                    yield _refused(f"Invalid parameter: {message}", parameter, None)
            case "max_tokens" | "max_completion_tokens":
                other = "max_tokens" if name == "max_completion_tokens" else "max_completion_tokens"
                yield _unsupported(name, f" Use '{other}' instead.")
            case "temperature":
                continue
            case _:
                yield _unsupported(name)


def _unsupported(name: str, remedy: str = "") -> ApiError:
    message = f"Unsupported parameter: '{name}' is not supported with this model.{remedy}"
    return _refused(message, name, "unsupported_parameter")


def _refused(message: str, param: str | None, code: str | None) -> ApiError:
    return ApiError("refused_parameter", 400, message, code=code, param=param)


# The parameters of https://platform.openai.com/docs/api-reference/chat/create that a judge may have use for.
_KNOWN = (
    "model messages temperature top_p n stop seed user store metadata service_tier max_tokens "
    "max_completion_tokens response_format logprobs top_logprobs logit_bias presence_penalty "
    "frequency_penalty reasoning_effort verbosity prompt_cache_key safety_identifier stream"
)


def strict_errors(payload: Mapping[str, Any], prompt: str) -> Iterator[ApiError]:
    """What OpenAI's endpoint finds wrong with a request that a more lenient one takes."""
    for name in sorted(payload.keys() - set(_KNOWN.split())):
        yield _refused(f"Unrecognized request argument supplied: {name}", None, None)
    if {"max_tokens", "max_completion_tokens"} <= payload.keys():
        both = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        yield _refused(both, "max_tokens", "invalid_parameter_combination")
    temperature = payload.get("temperature")
    if temperature is not None and not (isinstance(temperature, int | float) and 0 <= temperature <= 2):
        yield _refused("Invalid 'temperature': expected a number from 0 to 2.", "temperature", None)
    if "top_logprobs" in payload and payload.get("logprobs") is not True:
        yield _refused("'logprobs' must be true to use 'top_logprobs'.", "top_logprobs", None)
    yield from _format_errors(payload.get("response_format") or {"type": "text"}, prompt)


def _format_errors(response_format: Any, prompt: str) -> Iterator[ApiError]:
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind == "json_object" and "json" not in prompt.lower():
        message = "'messages' must contain the word 'json' in some form"
        yield _refused(f"{message}, to use 'response_format' of type 'json_object'.", "messages", None)
    elif kind == "json_schema":
        flaw = _schema_flaw(response_format.get("json_schema"))
        if flaw:
            yield _refused(f"Invalid schema for response_format: {flaw}", "response_format", None)
    elif kind not in ("text", "json_object"):
        yield _refused(
            f"Invalid value: 'response_format' of type {kind!r}.", "response_format", "invalid_value"
        )


def _schema_flaw(named: Any) -> str | None:
    """Why a named schema is not accepted; a strict one must be closed and require all that it names."""
    if not isinstance(named, dict) or not isinstance(named.get("name"), str):
        return "'name' is required."
    schema = named.get("schema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "schema must be a JSON Schema of 'type: \"object\"'."
    if not named.get("strict"):
        return None
    if schema.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return "'properties' and 'required' are required to be supplied."
    if sorted(properties) != sorted(map(str, required)):
        return "'required' is required to be supplied and to be an array including every key in properties."
    return None
