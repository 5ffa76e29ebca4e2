"""What the simulated judge's replies look like: completions, OpenAI's errors, and bodies nobody expects."""

from __future__ import annotations

import functools
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, NamedTuple

from benchmarks.judge import NUMBER, SIMULATED_FINGERPRINT, VERDICTS, Usage

REASONING = "Simulated: drawn from the gold label, no model was asked."
HOSTILE_REASONING = "=cmd() \x00\x1b[2J\u202e\ud800<script>alert(1)</script>\r\n| Simulated"
MALFORMED_CONTENT = "Both statements were read with care; more could be said of them."
REFUSAL = "I'm sorry, but I cannot assist with that request."
HTML_BODY = b"<!DOCTYPE html><html><body><h1>Please sign in to the network</h1></body></html>"
HUGE_BYTES = 5 * 2**20
DEPTH = 100_000
SURE = -1e-4  # log probability of every token that settles nothing


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply and the name under which it is counted.

    share_sent: below 1 the connection is cut. error: what the body tells, where it is a refusal; each dialect
    words it in its own way.
    """

    outcome: str
    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    share_sent: float = 1.0
    error: ApiError | None = None


class ApiError(NamedTuple):
    """An error instead of a completion, as OpenAI words it. outcome: what it is counted as."""

    outcome: str
    status: int
    message: str
    kind: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None


RATE_LIMITED = ApiError(
    "rate_limited", 429, "Rate limit reached. Please try again later.", "requests", "rate_limit_exceeded"
)
OVER_CAP = RATE_LIMITED._replace(outcome="over_cap", message="Too many requests at once. Please slow down.")
SERVER_ERROR = ApiError(
    "server_error", 500, "The server had an error while processing your request.", "server_error"
)
UNAUTHORIZED = ApiError("unauthorized", 401, "Incorrect API key provided.", code="invalid_api_key")
QUOTA_EXHAUSTED = ApiError(
    "quota_exhausted",
    429,
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota",
    "insufficient_quota",
)
BAD_REQUEST = ApiError(
    "bad_request",
    400,
    "The body must be a JSON object with 'model' and 'messages', one of them a user message of text.",
)
UNKNOWN_PAIR = ApiError(
    "unknown_pair",
    400,
    "The simulator does not know this pair: start it with the dataset and the prompt that you use.",
    code="unknown_pair",
)
CONTENT_FILTER = ApiError(
    "content_filter",
    400,
    "The response was filtered due to the prompt triggering the content management policy.",
    code="content_filter",
    param="prompt",
)


def error_reply(error: ApiError, headers: Mapping[str, str] | None = None) -> Reply:
    fields = {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    body = json.dumps({"error": fields}).encode()
    return Reply(error.outcome, body, error.status, headers or {}, error=error)


@dataclass(frozen=True, slots=True)
class Said:
    """A completion's message before it is put into a body. probability: of the verdict's token."""

    outcome: str
    content: str | None
    finish_reason: str = "stop"
    refusal: str | None = None
    probability: float | None = None


def verdict_json(
    contradiction: bool | None,
    confidence: float,
    reasoning: str = REASONING,
    relation: str | None = None,
    *,
    reasoning_first: bool = False,
) -> str:
    """The reply that the schema asks for.

    contradiction: None where the judge cannot tell. relation: None where it was not asked for.
    """
    stated: dict[str, Any] = {"reasoning": reasoning} if reasoning_first else {}
    stated["contradiction"] = bool(contradiction)
    if relation is not None:
        stated["relation"] = relation
    stated |= {"confidence": confidence, "reasoning": reasoning}
    return json.dumps({**stated, "cannot_tell": contradiction is None})


def group_json(entries: Sequence[str], fault: str | None, place: int) -> str:
    """The reply about several pairs, each as `verdict_json` states it.

    fault: one of `GROUP_FAULTS`, at this place.
    """
    numbered = [(number, json.loads(entry)) for number, entry in enumerate(entries, start=1)]
    match fault:
        case "number_missing":
            del numbered[place]
        case "number_twice":
            numbered[place] = (numbered[place - 1][0], numbered[place][1])
        case "number_wrong":
            numbered[place] = (len(entries) + 1, numbered[place][1])
    content = json.dumps({VERDICTS: [{NUMBER: number, **stated} for number, stated in numbered]})
    if fault != "text_around":
        return content
    return f"These are my verdicts.\n```json\n{content}\n```\nEach pair was judged on its own."


def fenced(content: str) -> str:
    return f"Here is my verdict.\n```json\n{content}\n```"


def without_schema(contradiction: bool, content: str, form: float) -> str:
    """The same verdict as a model words it that heeds no schema: a sentence or fenced JSON.

    form: a number from 0 to 1 that settles which.
    """
    if form < 0.5:
        return fenced(content)
    does = "Yes, the statements" if contradiction else "No, the statements do not"
    return f"{does} contradict each other."


def withheld(form: float, foreign: bool = False) -> Said | ApiError:
    """One of the three ways in which a filter shows itself; form: a number from 0 to 1 that settles which.

    foreign: in the words of others than OpenAI.
    """
    if foreign:
        return Said("content_filter", "", "SAFETY" if form < 0.5 else "recitation_blocked")
    if form < 1 / 3:
        return CONTENT_FILTER
    if form < 2 / 3:
        return Said("content_filter", "", "content_filter")
    return Said("content_filter", None, refusal=REFUSAL)


def tokens_in(text: str | None) -> int:
    """Four characters count as one token."""
    return math.ceil(len(text or "") / 4)


def bounded(said: Said, usage: Usage, limit: int | None) -> tuple[Said, Usage]:
    """What fits into the client's limit on completion tokens, and the usage with what it comes to.

    usage: of the prompt, and of the thinking.
    Thinking comes first: where the limit leaves no room after it, the content is empty.
    """
    thought = usage.reasoning or 0
    needed = thought + tokens_in(said.content or said.refusal)
    if limit is None or needed <= limit:
        return said, replace(usage, completion=needed)
    limit = max(0, limit)
    room = max(0, limit - thought)
    cut = replace(
        said, outcome="over_length", content=(said.content or "")[: 4 * room], finish_reason="length"
    )
    return cut, replace(usage, completion=limit, reasoning=min(thought, limit))


def completion_body(
    number: int,
    model: str,
    said: Said,
    usage: Usage,
    top_logprobs: int | None,
    *,
    reasoning_beside: bool = False,
) -> bytes:
    """The body of a chat completion. top_logprobs: how many alternatives a token, None for no logprobs.

    reasoning_beside: the tokens of the completion are counted without those of its reasoning.
    """
    logprobs = None
    if top_logprobs is not None:
        logprobs = {"content": token_logprobs(said, top_logprobs), "refusal": None}
    message = {"role": "assistant", "content": said.content, "refusal": said.refusal}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": said.finish_reason}
    body = {
        "id": f"chatcmpl-simulated-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": {
            "prompt_tokens": usage.prompt,
            "completion_tokens": (usage.completion or 0) - (usage.reasoning or 0) * reasoning_beside,
            "total_tokens": (usage.prompt or 0) + (usage.completion or 0),
            "prompt_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        },
        "system_fingerprint": SIMULATED_FINGERPRINT,
    }
    return json.dumps(body).encode()


def end_headers(ends_on: str) -> dict[str, str]:
    """What replies say of a model's end, as RFC 8594 has it."""
    if not ends_on:
        return {}
    return {"Sunset": format_datetime(datetime.fromisoformat(ends_on).replace(tzinfo=UTC), usegmt=True)}


_TOKEN = re.compile(r" ?\w+|[^\w\s]+|\s")
_OPPOSITES = {"true": "false", "false": "true", "yes": "No", "no": "Yes"}


def token_logprobs(said: Said, top: int) -> list[dict[str, Any]]:
    """The content's tokens; the first to state a verdict has its probability, its opposite the rest."""
    tokens: list[dict[str, Any]] = []
    settled = said.probability is None
    for text in _TOKEN.findall(said.content or ""):
        opposite = None if settled else _OPPOSITES.get(text.strip().lower())
        if opposite is None or said.probability is None:
            token = _token(text, SURE)
            alternatives = [token]
        else:
            settled = True
            token = _token(text, math.log(said.probability))
            blank = " " if text.startswith(" ") else ""
            alternatives = [token, _token(blank + opposite, math.log1p(-said.probability))]
        tokens.append({**token, "top_logprobs": alternatives[:top]})
    return tokens


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def hostile_reply(form: float) -> Reply:
    """One of `hostile_bodies`, settled by `form`, a number from 0 to 1; none of them states a verdict."""
    bodies = list(hostile_bodies().items())
    name, body = bodies[int(form * len(bodies))]
    headers = {"Content-Encoding": "gzip"} if name == "no gzip" else {}
    return Reply("hostile", body, headers=headers)


@functools.cache
def hostile_bodies() -> dict[str, bytes]:
    """Bodies that a client must survive, by name. "no gzip" is sent with a header that says it is."""

    def saying(content: Any, **more: Any) -> bytes:
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        return json.dumps({"object": "chat.completion", "choices": [choice], **more}).encode()

    return {
        "huge": saying("So it goes. " * (HUGE_BYTES // 12)),
        "deep": b'{"choices": ' + b"[" * DEPTH + b"]" * DEPTH + b"}",
        "deep content": saying('{"contradiction": ' + "[" * 10_000 + "]" * 10_000 + "}"),
        "no UTF-8": saying("@").replace(b"@", b"\xff\xfe\xc3"),
        "mistyped": json.dumps({"choices": {"0": [1]}, "usage": "many", "model": None}).encode(),
        "mistyped content": saying(17, usage=[-1, True], system_fingerprint={}),
        "absurd numbers": saying(
            "?", usage={"prompt_tokens": -5, "completion_tokens": 10**30, "x": math.inf}
        ),
        "long number": b'{"choices": ' + b"9" * 10_000 + b"}",
        "no choices": json.dumps({"object": "chat.completion", "choices": []}).encode(),
        "null": b"null",
        "empty": b"",
        "no gzip": saying("This is no gzip."),
    }
