"""Google's generateContent: what is sent, said and refused."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.judge import SIMULATED_FINGERPRINT, Usage
from benchmarks.simulator.dialects.wording import extra_inputs, read_question, with_fields
from benchmarks.simulator.replies import SERVER_ERROR, ApiError, Reply, Said, token_logprobs
from benchmarks.simulator.requests import Call
from benchmarks.simulator.simulation import SimulatorConfig
from benchmarks.simulator.throttling import Level

OVERLOADED = SERVER_ERROR._replace(
    status=503, message="The model is overloaded. Please try again later.", kind="UNAVAILABLE"
)
BROKEN = SERVER_ERROR._replace(message="An internal error has occurred.", kind="INTERNAL")
_STATUSES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_BLOCKED_PROMPT = "PROHIBITED_CONTENT"
# Of a setting's name, the fields that go with it.
_REFUSED = {
    "json_schema": ("responseSchema",),
    "response_format": ("responseMimeType", "responseSchema"),
    "max_tokens": ("maxOutputTokens",),
    "max_completion_tokens": (),
    "logprobs": ("responseLogprobs",),
    "top_p": ("topP",),
}
_KNOWN = (
    "temperature topP topK seed candidateCount maxOutputTokens stopSequences responseMimeType responseSchema "
    "responseJsonSchema responseLogprobs logprobs presencePenalty frequencyPenalty thinkingConfig"
)


class Gemini:
    """No limit is stated in headers, and how long to wait in the body alone."""

    name = "gemini"
    path = "/models/{model}:generateContent"
    mark = "x-goog-api-key"

    def key_in(self, headers: Mapping[str, str]) -> str:
        return headers.get(self.mark, "")

    def read(self, body: bytes, model: str, config: SimulatorConfig, known: Container[bytes]) -> Call:
        return read_question(
            body, lambda payload: _call(payload, model), lambda payload: _errors(payload, config), known
        )

    def withheld(self, form: float, config: SimulatorConfig) -> Said | ApiError:
        reasons = (_BLOCKED_PROMPT, "SAFETY", "RECITATION")
        return Said("content_filter", None, reasons[int(form * len(reasons))])

    def fault(self, form: float) -> ApiError:
        return OVERLOADED if form < 0.5 else BROKEN

    def format_failed(self) -> Said | ApiError:
        return Said("format_failed", None, "MALFORMED_RESPONSE")

    def completion(self, number: int, call: Call, said: Said, usage: Usage, config: SimulatorConfig) -> bytes:
        reason = {"stop": "STOP", "length": "MAX_TOKENS"}.get(said.finish_reason, said.finish_reason)
        reply: dict[str, Any] = {"modelVersion": SIMULATED_FINGERPRINT, "responseId": f"simulated-{number}"}
        if reason == _BLOCKED_PROMPT:
            reply["promptFeedback"] = {"blockReason": reason}
        else:
            candidate: dict[str, Any] = {"content": {"role": "model"}, "finishReason": reason, "index": 0}
            if said.content:
                candidate["content"]["parts"] = [{"text": said.content}]
            if call.top_logprobs is not None:
                candidate["logprobsResult"] = {"chosenCandidates": _chosen(said)}
            reply["candidates"] = [candidate]
        thoughts = usage.reasoning or 0
        counts = {
            "promptTokenCount": usage.prompt,
            "candidatesTokenCount": (usage.completion or 0) - thoughts,
            "cachedContentTokenCount": usage.cached,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": (usage.prompt or 0) + (usage.completion or 0),
        }
        reply["usageMetadata"] = {name: count for name, count in counts.items() if count}
        return json.dumps(reply).encode()

    def refusal(self, reply: Reply, config: SimulatorConfig) -> Reply:
        error = reply.error or BROKEN
        status = 400 if error.outcome == "unauthorized" else error.status
        details: list[dict[str, str]] = []
        if error.outcome == "unauthorized":
            error = error._replace(message="API key not valid. Please pass a valid API key.")
            details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"})
        if wait_s := reply.headers.get("Retry-After"):
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            details.append({"@type": kind, "retryDelay": f"{wait_s}s"})
        told = {"code": status, "message": error.message, "status": _STATUSES.get(status, "UNKNOWN")}
        body = json.dumps({"error": {**told, **({"details": details} if details else {})}})
        return replace(reply, body=body.encode(), status=200 if config.errors_in_200 else status, headers={})

    def limit_headers(self, levels: Mapping[str, Level]) -> dict[str, str]:
        return {}

    def models(self, names: Sequence[str], ends_on: str) -> object:
        """Google's list says nothing of an end; the headers of replies do."""
        methods = ["generateContent"]
        return {
            "models": [{"name": f"models/{name}", "supportedGenerationMethods": methods} for name in names]
        }


GEMINI = Gemini()


def _call(payload: dict[str, Any], model: str) -> tuple[list[tuple[str, str]], Call]:
    texts = [(content["role"], _text(content)) for content in payload["contents"]]
    texts.insert(0, ("system", _text(payload.get("systemInstruction", {"parts": []}))))
    config = payload.get("generationConfig", {})
    top = 0 if config.get("responseLogprobs") else None
    call = Call((), model, 0, False, config.get("maxOutputTokens"), top)
    return texts, with_fields(call, config.get("responseSchema"), texts)


def _text(content: dict[str, Any]) -> str:
    return "".join(part["text"] for part in content["parts"])


def _errors(payload: dict[str, Any], config: SimulatorConfig) -> Iterator[ApiError]:
    asked = payload.get("generationConfig", {})
    refused = {field for name in config.refuses for field in _REFUSED.get(name, (name,))}
    for field in asked:
        if field in refused or (config.strict and field not in _KNOWN.split()):
            place = f"Unknown name \"{field}\" at 'generation_config': Cannot find field."
            yield extra_inputs(f"Invalid JSON payload received. {place}")


def _chosen(said: Said) -> list[dict[str, Any]]:
    return [
        {"token": token["token"], "logProbability": token["logprob"]} for token in token_logprobs(said, 0)
    ]
