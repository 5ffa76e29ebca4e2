"""OpenAI's decisions: what is sent, said and refused."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.judge import SIMULATED_FINGERPRINT, Usage
from benchmarks.simulator.dialects.chat_completions import CHAT_COMPLETIONS
from benchmarks.simulator.dialects.decided import Decided, decided
from benchmarks.simulator.dialects.wording import read_question, unsupported
from benchmarks.simulator.replies import CONTENT_FILTER, SERVER_ERROR, ApiError, Reply, Said
from benchmarks.simulator.requests import Call
from benchmarks.simulator.shapes import FORMAT_FAILED
from benchmarks.simulator.simulation import SimulatorConfig
from benchmarks.simulator.throttling import Level

_KNOWN = "model input questions prompt_cache_key prompt_cache_options safety_identifier"


class OpenAIDecisions:
    """A question may be refused by itself; a judge that cannot tell is as sure of either side."""

    name = "decisions"
    path = "/decisions"
    mark = ""

    def key_in(self, headers: Mapping[str, str]) -> str:
        return CHAT_COMPLETIONS.key_in(headers)

    def read(self, body: bytes, model: str, config: SimulatorConfig, known: Container[bytes]) -> Call:
        return read_question(body, _call, lambda payload: _errors(payload, config), known)

    def withheld(self, form: float, config: SimulatorConfig) -> Said | ApiError:
        return CONTENT_FILTER if form < 0.5 else Said("content_filter", "", "refusal")

    def fault(self, form: float) -> ApiError:
        return SERVER_ERROR

    def format_failed(self) -> Said | ApiError:
        return FORMAT_FAILED

    def completion(self, number: int, call: Call, said: Said, usage: Usage, config: SimulatorConfig) -> bytes:
        decision = decided(said)
        answer: dict[str, Any] = {"type": "refusal", "name": call.reply_format}
        if decision:
            answer = _choice(decision) if call.asks_relation else _predicate(decision)
            answer["name"] = call.reply_format
        answers = [answer] if decision or said.finish_reason == "refusal" else []
        counts = {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
            "output_tokens": usage.completion,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": (usage.prompt or 0) + (usage.completion or 0),
        }
        reply = {"model": call.model, "answers": answers, "usage": counts}
        return json.dumps({**reply, "system_fingerprint": SIMULATED_FINGERPRINT}).encode()

    def refusal(self, reply: Reply, config: SimulatorConfig) -> Reply:
        return CHAT_COMPLETIONS.refusal(reply, config)

    def limit_headers(self, levels: Mapping[str, Level]) -> dict[str, str]:
        return CHAT_COMPLETIONS.limit_headers(levels)

    def models(self, names: Sequence[str], ends_on: str) -> object:
        return CHAT_COMPLETIONS.models(names, ends_on)


OPENAI_DECISIONS = OpenAIDecisions()


def _call(payload: dict[str, Any]) -> tuple[list[tuple[str, str]], Call]:
    (question,) = payload["questions"]
    asked = payload["input"]
    texts = [("user", asked)] if isinstance(asked, str) else [(m["role"], m["content"]) for m in asked]
    call = Call((), payload["model"], 0, False, None, None, reply_format=question.get("name", ""))
    texts.append(("question", json.dumps(question)))
    return texts, replace(call, asks_relation=question["type"] == "choice")


def _errors(payload: dict[str, Any], config: SimulatorConfig) -> Iterator[ApiError]:
    for name in payload.keys() - set(_KNOWN.split()) if config.strict else ():
        yield unsupported(name)


def _predicate(decision: Decided) -> dict[str, Any]:
    return {"type": "predicate", "probability": decision.probability}


def _choice(decision: Decided) -> dict[str, Any]:
    shares = decision.by_relation
    chosen = max(shares, key=lambda name: shares[name])
    listed = [{"value": name, "probability": share} for name, share in shares.items()]
    return {"type": "choice", "choice": chosen, "confidence": shares[chosen], "probabilities": listed}
