"""OpenAI's decisions: POST /decisions. A typed question in, a probability out, and no text."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from benchmarks.judge.api import Api
from benchmarks.judge.chat_protocol import Messages
from benchmarks.judge.completions import Completion, Decision, decision_of
from benchmarks.judge.error_bodies import ErrorReply
from benchmarks.judge.parameter_rules import MODEL, QUESTION, ParameterRules, taken
from benchmarks.judge.prompts import RELATION_CHOICES, RELATION_QUESTION, STATEMENT
from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS, read_usage
from benchmarks.judge.protocols.reply_bodies import UNREADABLE, error_reply, json_in, no_reply, split_system
from benchmarks.judge.rates import StatedLimit
from benchmarks.judge.request_form import DECISION_FORM, RequestForm
from benchmarks.judge.usage import UNKNOWN

NAME = "contradiction"


_RULES = ParameterRules(taken({MODEL: "model", QUESTION: "input questions"}), repricing=("service_tier",))


class OpenAIDecisions:
    """The ChatProtocol of OpenAI's decisions."""

    name = "decisions"
    api: Api = CHAT_COMPLETIONS.api
    rules = _RULES

    def url(self, base_url: str, model: str) -> str:
        return f"{base_url}/decisions"

    def headers(self, key: str) -> dict[str, str]:
        return CHAT_COMPLETIONS.headers(key)

    def first_form(self, *, logprobs: bool = False) -> RequestForm:
        """The probability comes by itself."""
        return DECISION_FORM

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        """The prompt is what the question is about."""
        system, (question, *_) = split_system(messages, form)
        about = [{"role": "system", "content": system}] if system else []
        about.append({"role": "user", "content": question["content"]})
        return f'{{"input":{json.dumps(about)},{_parameters(model, form.classes)}'.encode()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorReply | None:
        return error_reply(status, body)

    def read(self, body: bytes) -> Completion:
        usage = UNKNOWN
        try:
            reply = json_in(body)
            usage = read_usage(reply.get("usage"))
            (answer,) = reply["answers"]
            is_refused = answer["type"] == "refusal"
            return Completion(
                text="",
                finish_reason="stop",
                refusal="the question was refused" if is_refused else "",
                usage=usage,
                system_fingerprint=str(reply.get("system_fingerprint") or "")[:100],
                decision=None if is_refused else _decision(answer),
                body=body,
            )
        except UNREADABLE:
            raise no_reply("a decision", body, usage) from None

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        return CHAT_COMPLETIONS.limits_in(headers)

    def models_url(self, base_url: str) -> str:
        return CHAT_COMPLETIONS.models_url(base_url)

    def read_models(self, body: bytes) -> list[str]:
        return CHAT_COMPLETIONS.read_models(body)


OPENAI_DECISIONS = OpenAIDecisions()


@functools.lru_cache(maxsize=64)  # a handful of small values a run
def _parameters(model: str, classes: int) -> str:
    """All but the input, as the rest of a JSON object."""
    question: dict[str, Any] = {"type": "predicate", "name": NAME, "instructions": STATEMENT}
    if classes == 3:
        choices = [{"value": name, "description": meaning} for name, meaning in RELATION_CHOICES.items()]
        question = {"type": "choice", "name": NAME, "instructions": RELATION_QUESTION, "choices": choices}
    return json.dumps({"model": model, "questions": [question]})[1:]


def _decision(answer: dict[str, Any]) -> Decision:
    """Raises one of UNREADABLE for an answer of another type, and for what is no probability."""
    if answer["type"] == "predicate":
        return decision_of(answer["probability"])
    return decision_of({each["value"]: each["probability"] for each in answer["probabilities"]})
