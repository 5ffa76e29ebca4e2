"""OpenAI's Responses: POST /responses."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from benchmarks.judge.api import Api
from benchmarks.judge.chat_protocol import Messages
from benchmarks.judge.completions import Completion
from benchmarks.judge.error_bodies import ErrorReply
from benchmarks.judge.offered_models import names_in
from benchmarks.judge.parameter_rules import (
    ALONE,
    FORMAT,
    LOGPROBS,
    MODEL,
    QUESTION,
    TOOLS,
    WHOLE,
    ParameterRules,
    taken,
)
from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS, read_usage
from benchmarks.judge.protocols.reply_bodies import (
    UNREADABLE,
    counted,
    error_reply,
    json_in,
    logprobs_in,
    no_reply,
    split_system,
    text_of,
)
from benchmarks.judge.rates import StatedLimit
from benchmarks.judge.request_form import PLAIN_TEXT, RequestForm
from benchmarks.judge.usage import UNKNOWN

_FIRST = RequestForm(
    formats=("json_schema", "json_object", PLAIN_TEXT),
    limit_parameters=("max_output_tokens", ""),
    optional=(("temperature", 0), ("store", False)),  # stored for a month unless it says otherwise
    says_stream=False,
)
_STATUS_OF_CODE = {
    "server_error": 500,
    "rate_limit_exceeded": 429,
    "data_residency_mismatch": 403,  # the key's project may not be served there
}
_WITHHELD = {"bio_policy", "misalignment_policy_violation"}
_RULES = ParameterRules(
    taken(
        {
            MODEL: "model",
            QUESTION: "input instructions prompt",
            WHOLE: "stream stream_options",
            FORMAT: "text.format response_format",
            LOGPROBS: "include",
            TOOLS: "tools tool_choice",
            ALONE: "background conversation previous_response_id",
        }
    ),
    repricing=("service_tier",),
    words={"format": "text format|format type", "system": "(?:developer|system) instructions?"},
)


class OpenAIResponses:
    """The ChatProtocol of OpenAI's Responses."""

    name = "responses"
    api: Api = CHAT_COMPLETIONS.api
    rules = _RULES

    def url(self, base_url: str, model: str) -> str:
        return f"{base_url}/responses"

    def headers(self, key: str) -> dict[str, str]:
        return CHAT_COMPLETIONS.headers(key)

    def first_form(self, *, logprobs: bool = False) -> RequestForm:
        return replace(_FIRST, optional=(*_FIRST.optional, ("logprobs", True))) if logprobs else _FIRST

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        system, others = split_system(messages, form)
        asked = f'{{"instructions":{json.dumps(system)},' if system else "{"
        return f'{asked}"input":{json.dumps(others)},{_parameters(model, form)}'.encode()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorReply | None:
        """What was to fail while it was made comes with status 200, and its own code."""
        refusal = error_reply(status, body)
        if status != 200 or refusal is None or not (code := _code_of_failed(body)):
            return refusal
        if code in _WITHHELD:
            return None
        usage = read_usage(json_in(body).get("usage"))
        return replace(refusal, status=_STATUS_OF_CODE.get(code, 400), usage=usage)

    def read(self, body: bytes) -> Completion:
        usage = UNKNOWN
        try:
            reply = json_in(body)
            usage = read_usage(reply.get("usage"))
            parts = list(_parts(reply.get("output") or () if _withheld(reply) else reply["output"]))
            said = [part for part in parts if part.get("type") == "output_text"]
            text = "".join(text_of(part.get("text")) for part in said)
            return Completion(
                text=text,
                finish_reason=_finish_reason(reply),
                refusal="".join(text_of(part.get("refusal")) for part in parts) or _withheld(reply),
                usage=counted(usage, text),
                system_fingerprint=text_of(reply.get("system_fingerprint"))[:100],
                logprobs=logprobs_in([token for part in said for token in part.get("logprobs") or ()]),
                body=body,
            )
        except UNREADABLE:
            raise no_reply("a response of OpenAI's API", body, usage) from None

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        return CHAT_COMPLETIONS.limits_in(headers)

    def models_url(self, base_url: str) -> str:
        return f"{base_url}/models"

    def read_models(self, body: bytes) -> list[str]:
        return names_in(body)


OPENAI_RESPONSES = OpenAIResponses()


@functools.lru_cache(maxsize=64)  # a handful of small values a run
def _parameters(model: str, form: RequestForm) -> str:
    """All but the messages, as the rest of a JSON object."""
    payload: dict[str, Any] = {"model": model, **dict(form.optional)}
    if payload.pop("logprobs", False):
        payload["include"] = ["message.output_text.logprobs"]
    if form.limit_parameter:
        payload[form.limit_parameter] = form.max_tokens
    if form.reply_format == "json_schema":
        schema = {"name": "verdict", "strict": True, "schema": form.schema}
        payload["text"] = {"format": {"type": "json_schema", **schema}}
    elif form.reply_format == "json_object":
        payload["text"] = {"format": {"type": "json_object"}}
    return json.dumps(payload)[1:]


def _parts(output: Any) -> Iterator[dict[str, Any]]:
    """The parts of its messages; thoughts are items of another type."""
    for item in output:
        if item.get("type") == "message":
            yield from item["content"]


def _finish_reason(reply: dict[str, Any]) -> str:
    """ "length" also where nobody says why it is incomplete."""
    status = text_of(reply.get("status"))
    if status != "incomplete":
        return status
    details = reply.get("incomplete_details")
    reason = text_of(details.get("reason")) if isinstance(details, dict) else ""
    return "length" if reason in {"", "max_output_tokens"} else reason


def _withheld(reply: dict[str, Any]) -> str:
    """Which policy a response failed by; empty for any other."""
    error = reply.get("error")
    code = text_of(error.get("code")) if isinstance(error, dict) else ""
    return code if code in _WITHHELD else ""


def _code_of_failed(body: bytes) -> str:
    """Of a response that failed; empty for an error of another kind."""
    value = json_in(body)
    error = value.get("error") if isinstance(value, dict) and value.get("status") == "failed" else None
    return text_of(error.get("code")) if isinstance(error, dict) else ""
