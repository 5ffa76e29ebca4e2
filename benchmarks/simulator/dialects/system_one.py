"""System One: what is sent, said and refused."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.judge import SIMULATED_FINGERPRINT, Usage
from benchmarks.simulator.dialects.chat_completions import CHAT_COMPLETIONS
from benchmarks.simulator.dialects.decided import decided
from benchmarks.simulator.dialects.wording import extra_inputs, read_question
from benchmarks.simulator.replies import CONTENT_FILTER, SERVER_ERROR, ApiError, Reply, Said
from benchmarks.simulator.requests import Call
from benchmarks.simulator.shapes import FORMAT_FAILED
from benchmarks.simulator.simulation import SimulatorConfig
from benchmarks.simulator.throttling import Level

OVERLOADED = SERVER_ERROR._replace(status=529, message="The server is overloaded.")


class SystemOne:
    """Errors are a `detail`; nothing is said of a cache or of thoughts."""

    name = "systemone"
    path = "/systemone"
    mark = ""

    def key_in(self, headers: Mapping[str, str]) -> str:
        return CHAT_COMPLETIONS.key_in(headers)

    def read(self, body: bytes, model: str, config: SimulatorConfig, known: Container[bytes]) -> Call:
        return read_question(body, _call, lambda payload: _errors(payload, config), known)

    def withheld(self, form: float, config: SimulatorConfig) -> Said | ApiError:
        return CONTENT_FILTER

    def fault(self, form: float) -> ApiError:
        return OVERLOADED if form < 0.5 else SERVER_ERROR

    def format_failed(self) -> Said | ApiError:
        return FORMAT_FAILED

    def completion(self, number: int, call: Call, said: Said, usage: Usage, config: SimulatorConfig) -> bytes:
        answers: dict[str, Any] = {}
        if decision := decided(said):
            answers[call.reply_format] = {"type": "noul", "noul": decision.probability}
            if call.asks_relation:
                shares = decision.by_relation
                chosen = max(shares, key=lambda name: shares[name])
                about = {"choice": chosen, "confidence": shares[chosen], "probabilities": shares}
                answers[call.reply_format] = {"type": "choice", **about}
        counts = {"input_tokens": usage.prompt, "output_tokens": usage.completion}
        reply = {"model": call.model, "answers": answers, "usage": counts}
        return json.dumps({**reply, "system_fingerprint": SIMULATED_FINGERPRINT}).encode()

    def refusal(self, reply: Reply, config: SimulatorConfig) -> Reply:
        error = reply.error or SERVER_ERROR
        status = 200 if config.errors_in_200 else error.status
        return replace(reply, body=json.dumps({"detail": error.message}).encode(), status=status)

    def limit_headers(self, levels: Mapping[str, Level]) -> dict[str, str]:
        return {}

    def models(self, names: Sequence[str], ends_on: str) -> object:
        return CHAT_COMPLETIONS.models(names, ends_on)


SYSTEM_ONE = SystemOne()


def _call(payload: dict[str, Any]) -> tuple[list[tuple[str, str]], Call]:
    ((name, question),) = payload["questions"].items()
    texts = [("user", payload["state"]), ("question", json.dumps(question))]
    call = Call((), payload["model"], 0, False, None, None, reply_format=name)
    return texts, replace(call, asks_relation=question["type"] == "choice")


def _errors(payload: dict[str, Any], config: SimulatorConfig) -> Iterator[ApiError]:
    for name in payload.keys() - {"model", "state", "questions"} if config.strict else ():
        yield extra_inputs(f"{name}: Extra inputs are not permitted")
