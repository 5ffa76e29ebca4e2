"""OpenAI's chat completions, and what imitates them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from benchmarks.judge import Usage
from benchmarks.simulator import replies
from benchmarks.simulator.dialects.wording import bearer_key, openai_limit_headers
from benchmarks.simulator.replies import ApiError, Reply, Said, completion_body
from benchmarks.simulator.requests import Call, read_call
from benchmarks.simulator.shapes import FORMAT_FAILED, reshaped
from benchmarks.simulator.simulation import SimulatorConfig
from benchmarks.simulator.throttling import Level


class ChatCompletions:
    """The only dialect that knows the shapes of other endpoints' refusals."""

    name = "chat-completions"
    path = "/chat/completions"
    mark = ""

    def key_in(self, headers: Mapping[str, str]) -> str:
        return bearer_key(headers)

    def read(self, body: bytes, model: str, config: SimulatorConfig, known: Container[bytes]) -> Call:
        return read_call(body, config.refuses, config.strict, known)

    def withheld(self, form: float, config: SimulatorConfig) -> Said | ApiError:
        return replies.withheld(form, config.foreign_filters)

    def fault(self, form: float) -> ApiError:
        return replies.SERVER_ERROR

    def format_failed(self) -> Said | ApiError:
        return FORMAT_FAILED

    def completion(self, number: int, call: Call, said: Said, usage: Usage, config: SimulatorConfig) -> bytes:
        beside = config.reasoning_beside
        return completion_body(number, call.model, said, usage, call.top_logprobs, reasoning_beside=beside)

    def refusal(self, reply: Reply, config: SimulatorConfig) -> Reply:
        return reshaped(
            reply, config.refusal_shape, wait_in_body=config.wait_in_body, inside_200=config.errors_in_200
        )

    def limit_headers(self, levels: Mapping[str, Level]) -> dict[str, str]:
        return openai_limit_headers(levels)

    def models(self, names: Sequence[str], ends_on: str) -> object:
        end = {"shutdown_date": ends_on} if ends_on else {}
        about = {"object": "model", "created": 0, "owned_by": "kimera", **end}
        return {"object": "list", "data": [{"id": name, **about} for name in names]}


CHAT_COMPLETIONS = ChatCompletions()
