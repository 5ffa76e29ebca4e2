"""Chat completions, as OpenAI's API speaks and all that imitate it: POST /chat/completions."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from benchmarks.fast_json import read_json
from benchmarks.judge.api import Api
from benchmarks.judge.chat_protocol import Messages
from benchmarks.judge.completions import ARGUMENTS, THOUGHTS, Completion, texts_in
from benchmarks.judge.error_bodies import ErrorReply, body_of, read_error_body
from benchmarks.judge.errors_inside import SENTENCE_KEYS, filter_note, status_in_words
from benchmarks.judge.event_streams import read_chunks
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.offered_models import names_in
from benchmarks.judge.parameter_rules import (
    FORMAT,
    LOGPROBS,
    MODEL,
    ONE,
    QUESTION,
    TOOLS,
    WHOLE,
    ParameterRules,
    taken,
)
from benchmarks.judge.protocols.chat_completion_chunks import whole_completion
from benchmarks.judge.protocols.reply_bodies import (
    UNREADABLE,
    counted,
    logprobs_in,
    no_reply,
    split_system,
    text_of,
)
from benchmarks.judge.rates import StatedLimit, stated_limits
from benchmarks.judge.reply_reading import MAX_REPLY_CHARS, conclusion, is_json_reply
from benchmarks.judge.request_form import PLAIN_TEXT, RequestForm
from benchmarks.judge.thinking import without_thoughts
from benchmarks.judge.usage import UNKNOWN, Usage, whole_number

_FIRST = RequestForm(
    formats=("json_schema", "json_object", PLAIN_TEXT),
    limit_parameters=("max_completion_tokens", "max_tokens", ""),
    optional=(("temperature", 0), ("seed", 0)),
)
_LIMIT_HEADERS = {
    unit: (f"x-ratelimit-limit-{unit}", f"x-ratelimit-remaining-{unit}") for unit in ("requests", "tokens")
}
_RULES = ParameterRules(
    taken(
        {
            MODEL: "model",
            QUESTION: "messages prompt system",
            WHOLE: "stream stream_options",
            ONE: "n best_of",
            FORMAT: "response_format format guided_json guided_regex guided_choice guided_grammar grammar "
            "json_schema structured_outputs modalities audio echo",
            LOGPROBS: "logprobs",
            TOOLS: "tools tool_choice functions function_call",
        }
    ),
    repricing=("service_tier", "web_search_options", "plugins"),
)


class ChatCompletions:
    """The ChatProtocol of OpenAI's chat completions."""

    name = "chat-completions"
    api = Api(
        provider="OpenAI",
        key_variable="OPENAI_API_KEY",
        base_url_variable="OPENAI_BASE_URL",
        default_base_url="https://api.openai.com/v1",
        base_url_hint="it usually ends in /v1",
    )
    rules = _RULES

    def url(self, base_url: str, model: str) -> str:
        return f"{base_url}/chat/completions"

    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def first_form(self, *, logprobs: bool = False) -> RequestForm:
        return replace(_FIRST, optional=(*_FIRST.optional, ("logprobs", True))) if logprobs else _FIRST

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        *ahead, question = messages if form.system_role else split_system(messages, form)[1]
        written = [*(_as_json(**message) for message in ahead), json.dumps(question)]
        return f'{{"messages":[{", ".join(written)}],{_parameters(model, form, sample)}'.encode()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorReply | None:
        return error_inside(body) if status == 200 else ErrorReply(status, read_error_body(body))

    def read(self, body: bytes) -> Completion:
        try:
            completion = read_completion(body)
        except JudgeError as error:
            if note := filter_note_of(body):
                message = f"the endpoint's filter withheld the reply ({note[:60]})"
                raise error.but(kind="content_filter", message=message) from None
            raise
        if not (completion.text or completion.refusal) and (note := filter_note_of(body)):
            return replace(completion, refusal=note[:60])
        return completion

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        return stated_limits(headers, _LIMIT_HEADERS)

    def models_url(self, base_url: str) -> str:
        return f"{base_url}/models"

    def read_models(self, body: bytes) -> list[str]:
        return names_in(body)


CHAT_COMPLETIONS = ChatCompletions()


@functools.lru_cache(maxsize=64)  # instructions and examples are the same in each request
def _as_json(role: str, content: str) -> str:
    return json.dumps({"role": role, "content": content})


@functools.lru_cache(maxsize=64)  # a handful of small values a run
def _parameters(model: str, form: RequestForm, sample: int) -> str:
    """All but the messages, which alone differ from pair to pair, as the rest of a JSON object."""
    payload: dict[str, Any] = {"model": model, **dict(form.optional)}
    if form.says_stream:
        payload["stream"] = False
    if form.limit_parameter:
        payload[form.limit_parameter] = form.max_tokens
    if "seed" in payload:
        payload["seed"] = sample
    if form.reply_format == "json_schema":
        schema = {"name": "verdict", "strict": True, "schema": form.schema}
        payload["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form.reply_format == "json_object":
        payload["response_format"] = {"type": "json_object"}
    return json.dumps(payload)[1:]


@functools.lru_cache(maxsize=1)  # a body is searched for an error, then read: it is parsed once for both
def read_body(body: bytes) -> Any:
    """The JSON value that a body is, one in a string or an event stream among them; nobody may change it.

    An event stream becomes the completion that its chunks make up. Raises ValueError for anything else.
    """
    text = body.decode("utf-8-sig", "replace").strip()
    try:
        value = read_json(text)
        if isinstance(value, str):
            value = read_json(value)
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
        logprobs = choice.get("logprobs")
        return Completion(
            text=text,
            finish_reason=text_of(choice.get("finish_reason")),
            refusal=text_of(message.get("refusal")),
            usage=counted(usage, text),
            system_fingerprint=text_of(reply.get("system_fingerprint"))[:100],
            logprobs=logprobs_in(logprobs.get("content")) if isinstance(logprobs, dict) else (),
            body=body,
            found_in=found_in,
        )
    except UNREADABLE:
        raise no_reply("a chat completion", body, usage, ", which usually ends in /v1") from None


def _said(message: dict[str, Any], *, is_cut_off: bool) -> tuple[str, str]:
    """(the text that a message says, where it stood if not in its content).

    What is called with says as much as what is said. Thoughts are believed only where nothing else is there,
    and only in what they end in.
    """
    content = "".join(texts_in(message.get("content")))
    called, where = _called(message)
    if is_json_reply(content) or without_thoughts(content[:MAX_REPLY_CHARS]):
        return f"{content}\n{called}" if called else content, ""
    if called:
        return called, where
    for name, thoughts in message.items():
        if THOUGHTS.search(name) and not is_cut_off and (end := conclusion("".join(texts_in(thoughts)))):
            return end, name
    return content, ""


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
    holder = function if isinstance(function, dict) else call
    arguments = next((holder[name] for name in ARGUMENTS if holder.get(name)), "")
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _usage_in(reply: dict[str, Any]) -> Any:
    """The usage, which some endpoints state beside the choices, in the choice, or among what is theirs."""
    choices = reply.get("choices")
    beside = chain([reply], choices if isinstance(choices, list) else [], reply.values())
    stated = (holder.get("usage") for holder in beside if isinstance(holder, dict))
    return next((usage for usage in stated if isinstance(usage, dict)), None)


def read_usage(value: Any) -> Usage:
    """What a reply's `usage` counts. Only whole numbers count, as 257, 257.0 or "257".

    No prompt has no tokens: a zero there is that of a server that does not count.
    """
    if not isinstance(value, dict):
        return UNKNOWN
    prompt = _first_count(("prompt_tokens", "input_tokens"), value)
    completion = _first_count(("completion_tokens", "output_tokens"), value)
    if not prompt:
        return replace(UNKNOWN, completion=completion or None)
    in_prompt = _details(value, "prompt_tokens_details", "input_tokens_details")
    in_completion = _details(value, "completion_tokens_details", "output_tokens_details")
    reasoning = _first_count(("reasoning_tokens",), value, in_completion)
    total = whole_number(value.get("total_tokens"))
    if reasoning and completion is not None and total == prompt + completion + reasoning:
        completion += reasoning  # xAI counts it beside the completion, and bills it as such
    return Usage(
        prompt,
        completion,
        _first_count(("cached_tokens", "prompt_cache_hit_tokens"), value, in_prompt),
        reasoning,
        _first_count(("cache_write_tokens",), in_prompt) or 0,
    )


def _first_count(names: Sequence[str], *holders: Mapping[str, Any]) -> int | None:
    for name in names:
        for holder in holders:
            if name in holder and (count := whole_number(holder[name])) is not None:
                return count
    return None


def _details(value: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        details = value.get(name)
        if isinstance(details, dict):
            return details
    return {}


def error_inside(body: bytes) -> ErrorReply | None:
    """The error that a body of status 200 holds, with the status that it would have had; None without one."""
    try:
        value = read_body(body)
    except UNREADABLE:
        return None
    error = _error_in(value[0] if isinstance(value, list) and len(value) == 1 else value)
    if error is None:
        return None
    said, usage = body_of(error), _usage_in(value) if isinstance(value, dict) else None
    status = said.status or status_in_words(said)
    return ErrorReply(status, said, read_usage(usage) if usage else None)


def _error_in(value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    is_error = bool(value.get("error") or value.get("errors"))
    if not is_error:
        message = first.get("message")
        for holder in (first, message if isinstance(message, dict) else {}):
            if holder.get("error"):
                beside = {name: value[name] for name in ("code", "status") if name in value}
                return {"error": holder["error"], **beside}
        if first:
            return None
    about = {name: member for name, member in value.items() if name not in {"choices", "usage", "messages"}}
    if is_error:
        return about
    said = body_of(about)
    return about if said.keys & SENTENCE_KEYS and said.message and not filter_note(value) else None


def filter_note_of(body: bytes) -> str:
    """What a body without a text says of a filter; empty where it says nothing of one."""
    try:
        return filter_note(read_body(body))
    except UNREADABLE:
        return ""
