"""What the judge pipeline makes of generated refusals: no exception, no pair lost that a plain ladder saves.

Each endpoint refuses some of what a request may hold, and says so in generated words, in a generated shape:
named, misleading, opaque or damaged. A plain ladder leaves out one thing after the other until the request is
bare, and is always answered in the end: so must every pair be here. No body claims what ends a run, such as a
wrong key.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from benchmarks.judge.pipeline import asks_of, judge_all
from benchmarks.judge.protocols.chat_completions import error_inside, filter_note_of
from benchmarks.judge.refusals import read_refusal
from benchmarks.judge.retries import RetryPolicy
from benchmarks.judge.transports import HttpReply
from benchmarks.openai_async import AsyncOpenAIClient
from kimera.pairs import Pair, Verdict

PARTS = ("json_schema", "json_object", "temperature", "seed", "max_completion_tokens", "max_tokens", "stream")
NAMING = (
    "Parameter {} is not supported.",
    "'{}' cannot be used here",
    "unexpected keyword argument '{}'",
    "We do not take {} yet, sorry",
    "{}: extra inputs are not permitted",
    "the value of {} was rejected by upstream",
)
OPAQUE = (
    "",
    "Bad request",
    "gremlins",
    "Upstream said no.",
    "invalid_request_error",
    "Ungültige Anfrage",
    "\u202e\x00?",
)
PAIRS = [Pair(f"The lamp {number} is lit.", f"The lamp {number} is dark.") for number in range(3)]
VERDICT = {"contradiction": True, "confidence": 0.9, "reasoning": "", "cannot_tell": False}
ANSWER = json.dumps(
    {"choices": [{"message": {"content": json.dumps(VERDICT)}, "finish_reason": "stop"}]}
).encode()


def error_body(rng: Random, refused: str) -> bytes:
    """One refusal of this part: the words drawn, then the shape, then perhaps an accident."""
    kind = rng.random()
    named = refused if kind < 0.5 else rng.choice(PARTS) if kind < 0.7 else ""
    name = "response_format" if named.startswith("json") and rng.random() < 0.5 else named
    words = rng.choice(NAMING).format(name) if name else rng.choice(OPAQUE)
    body = _shaped(rng, words, name).encode("utf-8", "surrogatepass")
    return _damaged(rng, body) if rng.random() < 0.2 else body


def _shaped(rng: Random, words: str, name: str) -> str:
    inner = {
        "message": words,
        "param": name or None,
        "code": rng.choice((None, 400, "400", "invalid_request_error")),
    }
    wrapped = json.dumps({"error": inner})
    value: Any = rng.choice(
        (
            {"error": inner},
            [{"error": inner}],
            {"error": words},
            {"errors": [inner]},
            {"detail": words},
            {"detail": [{"loc": ["body", name or "messages"], "msg": words, "input": {"seed": 0}}]},
            {"object": "error", "message": words},
            {"error": {"message": "The provider answered with an error", "metadata": {"raw": wrapped}}},
            {"message": f"Error code: 400 - {wrapped}"},
            {"a": [[[{"b": {"title": words}}]]]},
            None,
        )
    )
    if value is None:
        return rng.choice(
            (words, f"<html><body><h1>Error</h1><p>{words}</p></body></html>", f"data: {wrapped}\n\n")
        )
    return json.dumps(value)


def _damaged(rng: Random, body: bytes) -> bytes:
    start = rng.randrange(len(body) + 1)
    end = min(len(body), start + rng.randrange(1, 9))
    middle = rng.choice(
        (b"", bytes(rng.randrange(256) for _ in range(4)), b"[" * 400, b'"', b"\\ud800", b"{" * 30)
    )
    return body[:start] + middle + body[end:]


@dataclass
class Tally:
    """What came of the bodies; each way in which it may go wrong, with examples."""

    bodies: int = 0
    crashes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    max_requests: int = 0
    slowest_s: float = 0.0

    def read(self, status: int, body: bytes) -> None:
        """Reads a body in all ways in which one is read, under any status."""
        self.bodies += 1
        begun = time.perf_counter()
        try:
            read_refusal(
                status, body, {"retry-after": body[:20].decode("latin-1")}, model="model", question="Q"
            )
            error_inside(body)
            filter_note_of(body)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what is looked for)
            self.crashes.append(f"{type(error).__name__} from {body[:200]!r}")
        self.slowest_s = max(self.slowest_s, time.perf_counter() - begun)


class FuzzedTransport:
    """An endpoint in this process that refuses `refused` with generated bodies."""

    def __init__(self, rng: Random, refused: tuple[str, ...], tally: Tally) -> None:
        self._rng = rng
        self._refused = refused
        self._tally = tally
        self._status = rng.choice((400, 400, 400, 422, 500))
        self.requests = 0

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> HttpReply:
        self.requests += 1
        payload = json.loads(body)
        held = {*payload, (payload.get("response_format") or {}).get("type")}
        refused = [part for part in self._refused if part in held]
        if not refused:
            return HttpReply(200, {}, ANSWER)
        told = error_body(self._rng, refused[0])
        self._tally.read(self._rng.choice((200, 400, 402, 403, 404, 429, 500, 503)), told)
        return HttpReply(self._status, {}, told)

    async def get(self, url: str, *_: object) -> HttpReply:
        return HttpReply(404, {}, b"")

    async def aclose(self) -> None:
        pass


def fuzz(count: int, seed: int) -> Tally:
    """At least so many bodies."""
    rng, tally = Random(seed), Tally()  # noqa: S311 - no secrets here
    asyncio.run(_fuzz(count, rng, tally))
    return tally


async def _fuzz(count: int, rng: Random, tally: Tally) -> None:
    while tally.bodies < count:
        refused = tuple(rng.sample(PARTS, rng.choice((1, 1, 2, 3))))
        transport = FuzzedTransport(rng, refused, tally)
        answered = await _answered(transport)
        tally.max_requests = max(tally.max_requests, transport.requests)
        if answered < len(PAIRS):
            tally.lost.append(
                f"{len(PAIRS) - answered} pairs of an endpoint that refuses {', '.join(refused)}"
            )


async def _answered(transport: FuzzedTransport) -> int:
    """How many pairs get a verdict, two in flight."""
    results: list[object] = []
    client = AsyncOpenAIClient(
        "", "model", 2, "http://localhost:9/v1", policy=RetryPolicy(base_s=0.0), transport=transport
    )
    async with client:
        await judge_all(client, asks_of(enumerate(PAIRS)), lambda _, outcome: results.append(outcome.result))
    return sum(isinstance(result, Verdict) for result in results)
