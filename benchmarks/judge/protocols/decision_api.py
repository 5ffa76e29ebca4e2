"""What APIs of decisions share: a typed question in, a probability out, and no text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from benchmarks.judge.completions import Completion, Decision
from benchmarks.judge.error_bodies import ErrorReply
from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS, read_usage
from benchmarks.judge.protocols.reply_bodies import UNREADABLE, error_reply, json_in, no_reply, text_of
from benchmarks.judge.rates import StatedLimit
from benchmarks.judge.request_form import DECISION_FORM, RequestForm
from benchmarks.judge.usage import UNKNOWN


class DecisionApi:
    """All of a ChatProtocol but its address and its body; `answer_in` says where the answer stands.

    noun: what a reply is, for messages.
    """

    noun: ClassVar[str]

    def answer_in(self, reply: dict[str, Any]) -> Decision | None:
        """None for a question that was refused. Raises one of UNREADABLE for what is no answer."""
        raise NotImplementedError

    def headers(self, key: str) -> dict[str, str]:
        return CHAT_COMPLETIONS.headers(key)

    def first_form(self, *, logprobs: bool = False) -> RequestForm:
        """The probability comes by itself."""
        return DECISION_FORM

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorReply | None:
        return error_reply(status, body)

    def read(self, body: bytes) -> Completion:
        usage = UNKNOWN
        try:
            reply = json_in(body)
            usage = read_usage(reply.get("usage"))
            decision = self.answer_in(reply)
            return Completion(
                text="",
                finish_reason="stop",
                refusal="" if decision else "the question was refused",
                usage=usage,
                system_fingerprint=text_of(reply.get("system_fingerprint"))[:100],
                decision=decision,
                body=body,
            )
        except UNREADABLE:
            raise no_reply(self.noun, body, usage) from None

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        return CHAT_COMPLETIONS.limits_in(headers)

    def read_models(self, body: bytes) -> list[str]:
        return CHAT_COMPLETIONS.read_models(body)
