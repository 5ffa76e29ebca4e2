"""OpenAI's decisions: POST /decisions. A typed question in, a probability out, and no text."""

from __future__ import annotations

import functools
import json
from typing import Any

from benchmarks.judge.api import Api
from benchmarks.judge.chat_protocol import Messages
from benchmarks.judge.completions import Decision, decision_of
from benchmarks.judge.parameter_rules import MODEL, QUESTION, ParameterRules, taken
from benchmarks.judge.prompts import RELATION_CHOICES, RELATION_QUESTION, STATEMENT
from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS
from benchmarks.judge.protocols.decision_api import DecisionApi
from benchmarks.judge.protocols.reply_bodies import split_system
from benchmarks.judge.request_form import RequestForm

NAME = "contradiction"
_RULES = ParameterRules(taken({MODEL: "model", QUESTION: "input questions"}), repricing=("service_tier",))


class OpenAIDecisions(DecisionApi):
    """The ChatProtocol of OpenAI's decisions."""

    name = "decisions"
    noun = "a decision"
    api: Api = CHAT_COMPLETIONS.api
    rules = _RULES

    def url(self, base_url: str, model: str) -> str:
        return f"{base_url}/decisions"

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        """The prompt is what the question is about."""
        system, (question, *_) = split_system(messages, form)
        about = [{"role": "system", "content": system}] if system else []
        about.append({"role": "user", "content": question["content"]})
        return f'{{"input":{json.dumps(about)},{_parameters(model, form.classes)}'.encode()

    def answer_in(self, reply: dict[str, Any]) -> Decision | None:
        (answer,) = reply["answers"]
        if answer["type"] == "refusal":
            return None
        if answer["type"] == "predicate":
            return decision_of(answer["probability"])
        return decision_of({each["value"]: each["probability"] for each in answer["probabilities"]})

    def models_url(self, base_url: str) -> str:
        return CHAT_COMPLETIONS.models_url(base_url)


OPENAI_DECISIONS = OpenAIDecisions()


@functools.lru_cache(maxsize=64)  # a handful of small values a run
def _parameters(model: str, classes: int) -> str:
    """All but the input, as the rest of a JSON object."""
    question: dict[str, Any] = {"type": "predicate", "name": NAME, "instructions": STATEMENT}
    if classes == 3:
        choices = [{"value": name, "description": meaning} for name, meaning in RELATION_CHOICES.items()]
        question = {"type": "choice", "name": NAME, "instructions": RELATION_QUESTION, "choices": choices}
    return json.dumps({"model": model, "questions": [question]})[1:]
