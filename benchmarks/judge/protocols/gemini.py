"""Google's Gemini: POST /v1beta/models/MODEL:generateContent."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from benchmarks.judge.api import Api
from benchmarks.judge.chat_protocol import Messages
from benchmarks.judge.completions import Completion
from benchmarks.judge.error_bodies import ErrorReply, body_of
from benchmarks.judge.offered_models import names_in
from benchmarks.judge.parameter_rules import (
    FORMAT,
    LOGPROBS,
    MODEL,
    ONE,
    QUESTION,
    TOOLS,
    ParameterRules,
    taken,
)
from benchmarks.judge.protocols.reply_bodies import (
    UNREADABLE,
    behind_version,
    count_in,
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
from benchmarks.judge.usage import UNKNOWN, Usage

VERSION = "v1beta"
_FIRST = RequestForm(
    formats=("json_schema", "json_object", PLAIN_TEXT),
    limit_parameters=("maxOutputTokens", ""),
    optional=(("temperature", 0), ("seed", 0)),
    says_stream=False,
    parameters_in=("generationConfig",),
)
_ROLES = {"assistant": "model"}
_WITHHELD = {"MODEL_ARMOR", "ESCALATION"}  # beside those whose name says so
_CUT = {"MAX_TOKENS", "CONTINUATION"}
_RULES = ParameterRules(
    taken(
        {
            MODEL: "model",
            QUESTION: "contents systemInstruction",
            ONE: "generationConfig.candidateCount",
            FORMAT: "generationConfig.responseSchema generationConfig.responseJsonSchema "
            "generationConfig.responseFormat generationConfig.responseMimeType "
            "generationConfig.responseModalities",
            LOGPROBS: "generationConfig.responseLogprobs",
            TOOLS: "tools toolConfig",
        }
    ),
    repricing=("serviceTier", "cachedContent"),
    words={"format": "response mime type", "system": "system instructions?"},
)


class Gemini:
    """The ChatProtocol of Google's generateContent."""

    name = "gemini"
    api = Api(
        provider="Google",
        key_variable="GEMINI_API_KEY",
        base_url_variable="GOOGLE_GEMINI_BASE_URL",
        default_base_url="https://generativelanguage.googleapis.com",
        spoken_at=r"generativelanguage\.googleapis\.com(/v\d\w*)?",  # chat completions are behind /openai
    )
    rules = _RULES

    def url(self, base_url: str, model: str) -> str:
        resource = model if "/" in model else f"models/{model}"
        return behind_version(base_url, VERSION, f"/{quote(resource)}:generateContent")

    def headers(self, key: str) -> dict[str, str]:
        return {"x-goog-api-key": key} if key else {}

    def first_form(self, *, logprobs: bool = False) -> RequestForm:
        return replace(_FIRST, optional=(*_FIRST.optional, ("logprobs", True))) if logprobs else _FIRST

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        """The model stands in the address."""
        system, others = split_system(messages, form)
        contents = [
            {"role": _ROLES.get(message["role"], message["role"]), "parts": [{"text": message["content"]}]}
            for message in others
        ]
        asked = f'{{"systemInstruction":{json.dumps({"parts": [{"text": system}]})},' if system else "{"
        return f'{asked}"contents":{json.dumps(contents)},{_parameters(form, sample)}'.encode()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorReply | None:
        return error_reply(status, body) or _closed_account(body)

    def read(self, body: bytes) -> Completion:
        usage = UNKNOWN
        try:
            reply = json_in(body)
            usage = read_usage(reply.get("usageMetadata"))
            blocked = _block_reason(reply)
            candidate = {} if blocked else reply["candidates"][0]
            parts = (candidate.get("content") or {}).get("parts") or []
            text = "".join(text_of(part.get("text")) for part in parts if not part.get("thought"))
            reason = text_of(candidate.get("finishReason"))
            return Completion(
                text=text,
                finish_reason="length" if reason in _CUT else reason,
                refusal=blocked or (reason if reason in _WITHHELD else ""),
                usage=counted(usage, text),
                system_fingerprint=text_of(reply.get("modelVersion"))[:100],
                logprobs=_logprobs(candidate.get("logprobsResult")),
                body=body,
            )
        except UNREADABLE:
            raise no_reply("a reply of generateContent", body, usage) from None

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        """The API states none in headers."""
        return {}

    def models_url(self, base_url: str) -> str:
        return behind_version(base_url, VERSION, "/models?pageSize=1000")

    def read_models(self, body: bytes) -> list[str]:
        return [name.removeprefix("models/") for name in names_in(body)]


GEMINI = Gemini()


@functools.lru_cache(maxsize=64)  # a handful of small values a run
def _parameters(form: RequestForm, sample: int) -> str:
    """All but the messages, as the rest of a JSON object."""
    config: dict[str, Any] = dict(form.optional)
    if "seed" in config:
        config["seed"] = sample
    if config.pop("logprobs", False):
        config["responseLogprobs"] = True
    if form.limit_parameter:
        config[form.limit_parameter] = form.max_tokens
    if form.reply_format != PLAIN_TEXT:
        config["responseMimeType"] = "application/json"
    if form.reply_format == "json_schema":
        config["responseSchema"] = _schema(form.schema)
    return json.dumps({"generationConfig": config})[1:]


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema in OpenAPI's words; without an order of theirs fields come by alphabet."""
    kind = {"type": schema["type"].upper()}
    if "items" in schema:
        return {**kind, "items": _schema(schema["items"])}
    if "properties" not in schema:
        return kind
    fields = schema["properties"]
    return {
        **kind,
        "properties": {name: _schema(field) for name, field in fields.items()},
        "required": schema["required"],
        "propertyOrdering": list(fields),
    }


def _closed_account(body: bytes) -> ErrorReply | None:
    """The refusal of an account that may not generate, which comes as the end of a candidate."""
    try:
        reason = json_in(body)["candidates"][0]["finishReason"]
    except UNREADABLE:
        return None
    if reason != "PUP_LIMITED_DISABLED":
        return None
    said = "the account is limited or disabled for violations of the Prohibited Use Policy"
    return ErrorReply(402, body_of({"error": {"message": f"{said} ({reason})"}}))


def _block_reason(reply: dict[str, Any]) -> str:
    """Why the prompt was blocked; empty where there is an answer."""
    feedback = reply.get("promptFeedback")
    reason = text_of(feedback.get("blockReason")) if isinstance(feedback, dict) else ""
    return "" if reply.get("candidates") else reason


def read_usage(value: Any) -> Usage:
    """Thoughts are counted beside the answer, and billed as it is. A count of zero is left out by the API."""
    prompt = count_in(value, "promptTokenCount")
    if not prompt:
        return UNKNOWN
    parts = [count_in(value, name) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    total = count_in(value, "totalTokenCount")
    if total is None and parts == [None, None]:
        return Usage(prompt, None, count_in(value, "cachedContentTokenCount"), None)
    answer, thoughts = (count or 0 for count in parts)
    return Usage(prompt, answer + thoughts, count_in(value, "cachedContentTokenCount") or 0, thoughts)


def _logprobs(result: Any) -> tuple[tuple[str, float], ...]:
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    tokens = [
        {"token": token.get("token"), "logprob": token.get("logProbability", 0.0)} for token in chosen or ()
    ]
    return logprobs_in(tokens)
