"""System One, which several servers of decision models speak: POST /v1/systemone."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from benchmarks.judge.api import Api
from benchmarks.judge.chat_protocol import Messages
from benchmarks.judge.completions import Completion, Decision, decision_of
from benchmarks.judge.error_bodies import ErrorReply
from benchmarks.judge.offered_models import names_in
from benchmarks.judge.parameter_rules import MODEL, QUESTION, ParameterRules, taken
from benchmarks.judge.prompts import RELATION_CHOICES, RELATION_QUESTION, STATEMENT
from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS, read_usage
from benchmarks.judge.protocols.reply_bodies import (
    UNREADABLE,
    behind_version,
    error_reply,
    json_in,
    no_reply,
    split_system,
)
from benchmarks.judge.rates import StatedLimit
from benchmarks.judge.request_form import DECISION_FORM, RequestForm
from benchmarks.judge.usage import UNKNOWN

NAME = "contradiction"


_RULES = ParameterRules(taken({MODEL: "model", QUESTION: "state questions"}))


class SystemOne:
    """The ChatProtocol of System One: a state, questions by name, an answer to each."""

    name = "systemone"
    api = Api(
        provider="System One",
        key_variable="SYSTEMONE_API_KEY",
        base_url_variable="SYSTEMONE_BASE_URL",
        spoken_at=r"api\.typesafe\.ai(/v1)?",
    )
    rules = _RULES

    def url(self, base_url: str, model: str) -> str:
        return behind_version(base_url, "v1", "/systemone")

    def headers(self, key: str) -> dict[str, str]:
        return CHAT_COMPLETIONS.headers(key)

    def first_form(self, *, logprobs: bool = False) -> RequestForm:
        """The probability comes by itself."""
        return DECISION_FORM

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        """The pair is the state; what the prompt says of contradictions belongs to the question."""
        system, (question, *_) = split_system(messages, form)
        asked = _parameters(model, system, form.classes)
        return f'{{"state":{json.dumps(question["content"])},{asked}'.encode()

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorReply | None:
        return error_reply(status, body)

    def read(self, body: bytes) -> Completion:
        usage = UNKNOWN
        try:
            reply = json_in(body)
            usage = read_usage(reply.get("usage"))
            return Completion(
                text="",
                finish_reason="stop",
                refusal="",
                usage=usage,
                system_fingerprint=str(reply.get("system_fingerprint") or "")[:100],
                decision=_decision(reply["answers"][NAME]),
                body=body,
            )
        except UNREADABLE:
            raise no_reply("an answer of System One", body, usage) from None

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        return CHAT_COMPLETIONS.limits_in(headers)

    def models_url(self, base_url: str) -> str:
        return behind_version(base_url, "v1", "/models")

    def read_models(self, body: bytes) -> list[str]:
        return names_in(body)


SYSTEM_ONE = SystemOne()


@functools.lru_cache(maxsize=64)  # a handful of small values a run
def _parameters(model: str, criterion: str, classes: int) -> str:
    """All but the state, as the rest of a JSON object."""
    asked = RELATION_QUESTION if classes == 3 else STATEMENT
    question: dict[str, Any] = {"type": "noul", "instructions": f"{criterion}\n\n{asked}".strip()}
    if classes == 3:
        question |= {"type": "choice", "criteria": RELATION_CHOICES}
    return json.dumps({"model": model, "questions": {NAME: question}})[1:]


def _decision(answer: dict[str, Any]) -> Decision:
    """Raises one of UNREADABLE for an answer of another type, and for what is no probability."""
    return decision_of(answer["noul"] if answer["type"] == "noul" else answer["probabilities"])
