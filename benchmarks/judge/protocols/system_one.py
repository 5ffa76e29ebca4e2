"""System One, which several servers of decision models speak: POST /v1/systemone."""

from __future__ import annotations

import functools
import json
from typing import Any

from benchmarks.judge.api import Api
from benchmarks.judge.chat_protocol import Messages
from benchmarks.judge.completions import Decision, decision_of
from benchmarks.judge.parameter_rules import MODEL, QUESTION, ParameterRules, taken
from benchmarks.judge.prompts import RELATION_CHOICES, RELATION_QUESTION, STATEMENT
from benchmarks.judge.protocols.decision_api import DecisionApi
from benchmarks.judge.protocols.reply_bodies import (
    behind_version,
    split_system,
)
from benchmarks.judge.request_form import RequestForm

NAME = "contradiction"
_RULES = ParameterRules(taken({MODEL: "model", QUESTION: "state questions"}))


class SystemOne(DecisionApi):
    """The ChatProtocol of System One: a state, questions by name, an answer to each."""

    name = "systemone"
    noun = "an answer of System One"
    api = Api(
        provider="System One",
        key_variable="SYSTEMONE_API_KEY",
        base_url_variable="SYSTEMONE_BASE_URL",
        spoken_at=r"api\.typesafe\.ai(/v1)?",
    )
    rules = _RULES

    def url(self, base_url: str, model: str) -> str:
        return behind_version(base_url, "v1", "/systemone")

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        """The pair is the state; what the prompt says of contradictions belongs to the question."""
        system, (question, *_) = split_system(messages, form)
        asked = _parameters(model, system, form.classes)
        return f'{{"state":{json.dumps(question["content"])},{asked}'.encode()

    def answer_in(self, reply: dict[str, Any]) -> Decision | None:
        answer = reply["answers"][NAME]
        return decision_of(answer["noul"] if answer["type"] == "noul" else answer["probabilities"])

    def models_url(self, base_url: str) -> str:
        return behind_version(base_url, "v1", "/models")


SYSTEM_ONE = SystemOne()


@functools.lru_cache(maxsize=64)  # a handful of small values a run
def _parameters(model: str, criterion: str, classes: int) -> str:
    """All but the state, as the rest of a JSON object."""
    asked = RELATION_QUESTION if classes == 3 else STATEMENT
    question: dict[str, Any] = {"type": "noul", "instructions": f"{criterion}\n\n{asked}".strip()}
    if classes == 3:
        question |= {"type": "choice", "criteria": RELATION_CHOICES}
    return json.dumps({"model": model, "questions": {NAME: question}})[1:]
