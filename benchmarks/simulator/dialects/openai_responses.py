"""OpenAI's Responses: what is sent, said and refused."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.judge import SIMULATED_FINGERPRINT, Usage
from benchmarks.simulator.dialects.chat_completions import CHAT_COMPLETIONS
from benchmarks.simulator.dialects.wording import read_question, unsupported, with_fields
from benchmarks.simulator.replies import (
    CONTENT_FILTER,
    REFUSAL,
    SERVER_ERROR,
    ApiError,
    Reply,
    Said,
    token_logprobs,
)
from benchmarks.simulator.requests import Call
from benchmarks.simulator.shapes import FORMAT_FAILED
from benchmarks.simulator.simulation import SimulatorConfig
from benchmarks.simulator.throttling import Level

BUSY = SERVER_ERROR._replace(status=503, message="The server is overloaded. Please try again later.")
FAILED = SERVER_ERROR._replace(status=200, code="server_error")  # while it was made
_KNOWN = (
    "model input instructions max_output_tokens text temperature top_p store include top_logprobs stream "
    "reasoning service_tier metadata user prompt_cache_key safety_identifier tools tool_choice truncation"
)


class OpenAIResponses:
    """A response that is incomplete says why; one that failed comes with status 200."""

    name = "responses"
    path = "/responses"
    mark = ""

    def key_in(self, headers: Mapping[str, str]) -> str:
        return CHAT_COMPLETIONS.key_in(headers)

    def read(self, body: bytes, model: str, config: SimulatorConfig, known: Container[bytes]) -> Call:
        return read_question(body, _call, lambda payload: _errors(payload, config), known)

    def withheld(self, form: float, config: SimulatorConfig) -> Said | ApiError:
        if form < 1 / 3:
            return CONTENT_FILTER
        return Said("content_filter", "", "content_filter", REFUSAL if form > 2 / 3 else None)

    def fault(self, form: float) -> ApiError:
        return (SERVER_ERROR, BUSY, FAILED)[int(form * 3)]

    def format_failed(self) -> Said | ApiError:
        return FORMAT_FAILED

    def completion(self, number: int, call: Call, said: Said, usage: Usage, config: SimulatorConfig) -> bytes:
        reply = _response(number, call.model)
        if usage.reasoning:
            reply["output"].append({"id": f"rs_simulated_{number}", "type": "reasoning", "summary": []})
        reply["output"].append(_message(number, call, said))
        reason = {"length": "max_output_tokens"}.get(said.finish_reason, said.finish_reason)
        if reason != "stop" and not said.refusal:
            reply |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
        reply["usage"] = {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
            "output_tokens": usage.completion,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": (usage.prompt or 0) + (usage.completion or 0),
        }
        return json.dumps(reply).encode()

    def refusal(self, reply: Reply, config: SimulatorConfig) -> Reply:
        if reply.error is not FAILED:
            return CHAT_COMPLETIONS.refusal(reply, config)
        told = {"code": FAILED.code, "message": FAILED.message}
        failed = _response(0, "") | {"status": "failed", "error": told, "usage": None}
        return replace(reply, body=json.dumps(failed).encode())

    def limit_headers(self, levels: Mapping[str, Level]) -> dict[str, str]:
        return CHAT_COMPLETIONS.limit_headers(levels)

    def models(self, names: Sequence[str], ends_on: str) -> object:
        return CHAT_COMPLETIONS.models(names, ends_on)


OPENAI_RESPONSES = OpenAIResponses()


def _call(payload: dict[str, Any]) -> tuple[list[tuple[str, str]], Call]:
    asked = payload["input"]
    if isinstance(asked, str):
        asked = [{"role": "user", "content": asked}]
    texts = [(message["role"], _text(message["content"])) for message in asked]
    texts.insert(0, ("system", payload.get("instructions") or ""))
    top = payload.get("top_logprobs") or 0 if "include" in payload else None
    call = Call((), payload["model"], 0, False, payload.get("max_output_tokens"), top)
    schema = payload.get("text", {}).get("format", {}).get("schema")
    return texts, with_fields(call, schema, texts)


def _text(content: str | list[dict[str, str]]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _errors(payload: dict[str, Any], config: SimulatorConfig) -> Iterator[ApiError]:
    wanted = payload.get("text", {}).get("format", {}).get("type")
    for name in config.refuses:
        if (name == "json_schema" and wanted == "json_schema") or (name == "response_format" and wanted):
            yield unsupported("text.format")
        elif name in payload:
            yield unsupported(name)
        elif name == "logprobs" and "include" in payload:
            yield unsupported("include", " Logprobs are not available.")
    for name in payload.keys() - set(_KNOWN.split()) if config.strict else ():
        yield unsupported(name)


def _response(number: int, model: str) -> dict[str, Any]:
    return {
        "id": f"resp_simulated_{number}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "system_fingerprint": SIMULATED_FINGERPRINT,
    }


def _message(number: int, call: Call, said: Said) -> dict[str, Any]:
    logprobs = [] if call.top_logprobs is None else token_logprobs(said, call.top_logprobs)
    part = {"type": "output_text", "text": said.content or "", "annotations": [], "logprobs": logprobs}
    if said.refusal:
        part = {"type": "refusal", "refusal": said.refusal}
    status = "completed" if said.finish_reason == "stop" or said.refusal else "incomplete"
    about = {"id": f"msg_simulated_{number}", "type": "message", "role": "assistant", "status": status}
    return {**about, "content": [part]}
