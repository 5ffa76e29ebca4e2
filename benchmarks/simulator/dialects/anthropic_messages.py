"""Anthropic's Messages: what it is sent, what it says, how it refuses."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.judge import SIMULATED_FINGERPRINT, Usage
from benchmarks.simulator.dialects.wording import bearer_key, extra_inputs, read_question, with_fields
from benchmarks.simulator.replies import REFUSAL, SERVER_ERROR, ApiError, Reply, Said
from benchmarks.simulator.requests import Call
from benchmarks.simulator.shapes import FORMAT_FAILED
from benchmarks.simulator.simulation import SimulatorConfig
from benchmarks.simulator.throttling import Level

OVERLOADED = SERVER_ERROR._replace(status=529, message="Overloaded", kind="overloaded_error")
BROKEN = SERVER_ERROR._replace(message="Internal server error", kind="api_error")
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_KNOWN = (
    "model messages max_tokens system output_config tools tool_choice thinking metadata service_tier "
    "stop_sequences stream cache_control inference_geo speed container"
)


class AnthropicMessages:
    """A request without its version or its limit is refused, and so is one with a temperature."""

    name = "anthropic"
    path = "/messages"
    mark = "anthropic-version"

    def key_in(self, headers: Mapping[str, str]) -> str:
        return headers.get("x-api-key", "") or bearer_key(headers)  # the SDK's of today sends the latter

    def read(self, body: bytes, model: str, config: SimulatorConfig, known: Container[bytes]) -> Call:
        return read_question(body, _call, lambda payload: _errors(payload, config), known)

    def withheld(self, form: float, config: SimulatorConfig) -> Said | ApiError:
        return Said("content_filter", None, "refusal", REFUSAL if form < 0.5 else None)

    def fault(self, form: float) -> ApiError:
        return OVERLOADED if form < 0.5 else BROKEN

    def format_failed(self) -> Said | ApiError:
        return FORMAT_FAILED

    def completion(self, number: int, call: Call, said: Said, usage: Usage, config: SimulatorConfig) -> bytes:
        content: list[dict[str, Any]] = []
        reason = {"stop": "end_turn", "length": "max_tokens"}.get(said.finish_reason, said.finish_reason)
        if said.content and call.reply_format == "tool" and _is_object(said.content):
            used = {"id": f"toolu_simulated_{number}", "name": "state_verdict"}
            content.append({"type": "tool_use", **used, "input": json.loads(said.content)})
            reason = "tool_use" if reason == "end_turn" else reason
        elif said.content:
            content.append({"type": "text", "text": said.content})
        thought = [{"type": "thinking", "thinking": "", "signature": "c2ln"}] if usage.reasoning else []
        reply = {
            "id": f"msg_simulated_{number}",
            "type": "message",
            "role": "assistant",
            "model": call.model,
            "content": thought + content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": _usage(usage),
            "system_fingerprint": SIMULATED_FINGERPRINT,
        }
        if reason == "refusal":
            reply["stop_details"] = {"type": "refusal", "category": None, "explanation": said.refusal}
        return json.dumps(reply).encode()

    def refusal(self, reply: Reply, config: SimulatorConfig) -> Reply:
        error = reply.error or BROKEN
        if error.outcome == "quota_exhausted":
            told = "Your credit balance is too low to access the Anthropic API."
            error = error._replace(status=402, message=told)
        shown = {"type": _TYPES.get(error.status, "invalid_request_error"), "message": error.message}
        body = {"type": "error", "error": shown, "request_id": "req_simulated"}
        headers = {name: value for name, value in reply.headers.items() if name == "Retry-After"}
        status = 200 if config.errors_in_200 else error.status
        return replace(reply, body=json.dumps(body).encode(), status=status, headers=headers)

    def limit_headers(self, levels: Mapping[str, Level]) -> dict[str, str]:
        headers = {}
        for unit, level in levels.items():
            full_at = datetime.now(UTC) + timedelta(seconds=level.full_in_s)
            headers[f"anthropic-ratelimit-{unit}-limit"] = str(level.per_minute)
            headers[f"anthropic-ratelimit-{unit}-remaining"] = str(level.remaining)
            headers[f"anthropic-ratelimit-{unit}-reset"] = full_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers

    def models(self, names: Sequence[str], ends_on: str) -> object:
        about = {"type": "model", "created_at": "2026-01-01T00:00:00Z", "lifecycle": "active"}
        if ends_on:
            ends = f"{ends_on}T00:00:00Z"
            about |= {"lifecycle": "deprecated", "deprecated_at": "2026-01-01T00:00:00Z", "retires_at": ends}
        listed = [{"id": name, "display_name": name, **about} for name in names]
        return {"data": listed, "has_more": False, "first_id": names[0], "last_id": names[-1]}


ANTHROPIC_MESSAGES = AnthropicMessages()


def _call(payload: dict[str, Any]) -> tuple[list[tuple[str, str]], Call]:
    messages = [(message["role"], _text(message["content"])) for message in payload["messages"]]
    schema: object = None
    reply_format = ""
    if "output_config" in payload:
        reply_format, schema = "json_schema", payload["output_config"]["format"]["schema"]
    elif payload.get("tool_choice", {}).get("type") == "tool":
        reply_format, schema = "tool", payload["tools"][0]["input_schema"]
    texts = [("system", _text(payload.get("system", ""))), *messages]
    call = Call((), payload["model"], 0, False, payload["max_tokens"], None, reply_format=reply_format)
    return texts, with_fields(call, schema, texts)


def _text(content: str | list[dict[str, str]]) -> str:
    if isinstance(content, str):
        return content
    return "".join(block["text"] for block in content if block["type"] == "text")


def _errors(payload: dict[str, Any], config: SimulatorConfig) -> Iterator[ApiError]:
    """A temperature is refused whatever the settings say: that API version knows none."""
    known = set(_KNOWN.split()) if config.strict else payload.keys()
    refused = {"json_schema": "output_config", "response_format": "output_config"}
    named = {refused.get(name, name) for name in config.refuses}
    for name in payload:
        if name in {"temperature", "top_p", "top_k"} | named or name not in known:
            yield extra_inputs(f"{name}: Extra inputs are not permitted")
    if "response_format" in config.refuses and "tools" in payload:
        yield extra_inputs("tools: Extra inputs are not permitted")


def _is_object(content: str) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except ValueError:
        return False


def _usage(usage: Usage) -> dict[str, Any]:
    anew = (usage.prompt or 0) - (usage.cached or 0) - (usage.written or 0)
    return {
        "input_tokens": anew,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
    }
