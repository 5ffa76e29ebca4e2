"""Anthropic's Messages: POST /v1/messages, by API version 2026-10-21."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.judge.api import Api
from benchmarks.judge.chat_protocol import Messages
from benchmarks.judge.completions import Completion, texts_in
from benchmarks.judge.error_bodies import ErrorReply
from benchmarks.judge.offered_models import names_in
from benchmarks.judge.parameter_rules import FORMAT, MODEL, QUESTION, TOOLS, WHOLE, ParameterRules, taken
from benchmarks.judge.protocols.reply_bodies import (
    UNREADABLE,
    behind_version,
    count_in,
    counted,
    error_reply,
    json_in,
    no_reply,
    split_system,
    text_of,
)
from benchmarks.judge.rates import StatedLimit, stated_limits
from benchmarks.judge.request_form import PLAIN_TEXT, RequestForm
from benchmarks.judge.usage import UNKNOWN, Usage

VERSION = "2026-10-21"  # from this version on no request may hold a temperature
TOOL = "state_verdict"
# Structured outputs first; models before them are made to call a tool whose arguments are the verdict.
_FIRST = RequestForm(
    formats=("json_schema", "tool", PLAIN_TEXT), limit_parameters=("max_tokens",), says_stream=False
)
_CUT_OFF = {"max_tokens", "model_context_window_exceeded"}
_LIMIT_HEADERS = {
    unit: (f"anthropic-ratelimit-{unit}-limit", f"anthropic-ratelimit-{unit}-remaining")
    for unit in ("requests", "tokens")
}
_RULES = ParameterRules(
    taken(
        {
            MODEL: "model",
            QUESTION: "messages system",
            WHOLE: "stream",
            FORMAT: "output_config.format output_format",
            TOOLS: "tools tool_choice mcp_servers",
        }
    ),
    repricing=("service_tier", "speed", "inference_geo", "cache_control"),
    words={"format": "output config|tool choice|input schema"},
)


class AnthropicMessages:
    """The ChatProtocol of Anthropic's Messages."""

    name = "anthropic"
    api = Api(
        provider="Anthropic",
        key_variable="ANTHROPIC_API_KEY",
        base_url_variable="ANTHROPIC_BASE_URL",
        default_base_url="https://api.anthropic.com",
        spoken_at=r"api\.anthropic\.com(/v1)?",
    )
    rules = _RULES

    def url(self, base_url: str, model: str) -> str:
        return behind_version(base_url, "v1", "/messages")

    def headers(self, key: str) -> dict[str, str]:
        shown = {"x-api-key": key} if key else {}
        return {**shown, "anthropic-version": VERSION}

    def first_form(self, *, logprobs: bool = False) -> RequestForm:
        """The API has no probabilities of tokens to ask for."""
        return _FIRST

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        system, others = split_system(messages, form)
        asked = f'{{"system":{json.dumps(system)},' if system else "{"
        return f'{asked}"messages":{json.dumps(others)},{_parameters(model, form)}'.encode()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorReply | None:
        return error_reply(status, body)

    def read(self, body: bytes) -> Completion:
        usage = UNKNOWN
        try:
            reply = json_in(body)
            usage = read_usage(reply.get("usage"))
            reason = text_of(reply.get("stop_reason"))
            content = reply["content"]
            if not isinstance(content, list):
                raise TypeError("content that is no list of blocks")
            text = "".join(texts_in(content))
            return Completion(
                text=text,
                finish_reason="length" if reason in _CUT_OFF else reason,
                refusal=_refusal(reply) if reason == "refusal" else "",
                usage=counted(usage, text),
                system_fingerprint=text_of(reply.get("system_fingerprint"))[:100],
                body=body,
            )
        except UNREADABLE:
            raise no_reply("an Anthropic message", body, usage) from None

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        return stated_limits(headers, _LIMIT_HEADERS)

    def models_url(self, base_url: str) -> str:
        return behind_version(base_url, "v1", "/models?limit=1000")

    def read_models(self, body: bytes) -> list[str]:
        return names_in(body)


ANTHROPIC_MESSAGES = AnthropicMessages()


@functools.lru_cache(maxsize=64)  # a handful of small values a run
def _parameters(model: str, form: RequestForm) -> str:
    """All but the messages, as the rest of a JSON object."""
    payload: dict[str, Any] = {"model": model, "max_tokens": form.max_tokens, **dict(form.optional)}
    schema = form.schema
    if form.reply_format == "json_schema":
        payload["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    elif form.reply_format == "tool":
        description = "States whether the two statements contradict each other."
        payload["tools"] = [{"name": TOOL, "description": description, "input_schema": schema}]
        payload["tool_choice"] = {"type": "tool", "name": TOOL, "disable_parallel_tool_use": True}
    return json.dumps(payload)[1:]


def _refusal(reply: dict[str, Any]) -> str:
    """Why, as far as it says so."""
    details = reply.get("stop_details")
    told = details if isinstance(details, dict) else {}
    return text_of(told.get("explanation")) or text_of(told.get("category")) or "refusal"


def read_usage(value: Any) -> Usage:
    """Tokens of the prompt are those that were read anew, those from the cache, and those written to it.

    No prompt has no tokens: a sum of zero is that of a server that does not count.
    """
    anew, output = count_in(value, "input_tokens"), count_in(value, "output_tokens")
    if anew is None:
        return replace(UNKNOWN, completion=output or None)
    written = count_in(value, "cache_creation_input_tokens") or 0
    cached = count_in(value, "cache_read_input_tokens")
    details = value.get("output_tokens_details")
    prompt = anew + written + (cached or 0)
    thought = count_in(details, "thinking_tokens")
    usage = Usage(prompt, output, cached, thought, written)
    return usage if prompt else replace(usage, prompt=None, written=None)
