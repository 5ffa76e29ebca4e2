"""The simulated judge behind a socket: what it counts, how a request passes through, and the HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.judge import Usage
from benchmarks.simulator import replies
from benchmarks.simulator.batches import Batches
from benchmarks.simulator.dialects import DIALECTS
from benchmarks.simulator.dialects.dialect import Dialect
from benchmarks.simulator.replies import ApiError, Reply, Said, error_reply
from benchmarks.simulator.requests import Call, RefusedError
from benchmarks.simulator.shapes import gone_error, too_many_tokens
from benchmarks.simulator.simulation import (
    BESIDE_OTHERS,
    MODEL,
    GoldAnswer,
    SimulatorConfig,
    draw_fault,
    draw_group_fault,
    draw_latency_ms,
    draw_relation,
    draw_style,
    draw_verdict,
    draw_withheld,
    drawn_by,
)
from benchmarks.simulator.throttling import RateLimiter
from kimera.errors import UserError
from kimera.pairs import NEUTRAL

if TYPE_CHECKING:
    from aiohttp import web

HOST = "127.0.0.1"
CUT = ("truncated", "cut_short")
OF_A_CONNECTION = ("dropped", "stalled", "truncated", "html_body", "hostile")
VERSIONS = ("/v1", "/v1beta", "")
MAX_BODY_BYTES = 64 * 2**20


class Simulator:
    """The judge: its state is how often each pair was asked and answered, the limits, and the counters."""

    def __init__(self, config: SimulatorConfig, answers: Mapping[bytes, GoldAnswer]) -> None:
        self.config = self._config = config
        self._answers = answers
        self._limits = RateLimiter(config)
        self._turn = asyncio.Lock() if config.one_at_a_time else contextlib.nullcontext()
        self._attempts: Counter[bytes] = Counter()
        self._answered: Counter[bytes] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._requests = self._in_flight = self._max_in_flight = self._completions = 0
        self._usage: dict[str, Usage] = {}
        self._asked_over: Counter[str] = Counter()

    def stats(self, keys: bool = False) -> dict[str, Any]:
        """Requests for a verdict since the start: their outcomes add up to those no longer in flight.

        Outcomes are "answered", the names in `FAULTS` and `WITHHELD`, the refusals (see `ApiError`),
        "over_requests", "over_tokens" and "over_cap" for the limits, "over_length" for a completion that did
        not fit into the client's limit, and "abandoned" where the client went first. Tokens are those of
        every completion sent, whole or cut. "protocols": the same requests and tokens by the API that they
        came over. keys: also "asked", how often each message (its key in hexadecimal) was answered.
        """
        asked = {key.hex(): count for key, count in self._answered.items()}
        return {
            "requests": self._requests,
            "in_flight": self._in_flight,
            "max_in_flight": self._max_in_flight,
            "outcomes": dict(self._outcomes),
            **_tokens(sum(self._usage.values(), Usage())),
            "protocols": {
                name: {"requests": count, **_tokens(self._usage.get(name, Usage()))}
                for name, count in self._asked_over.items()
            },
            **({"asked": asked} if keys else {}),
        }

    async def judge(self, request: web.Request, dialect: Dialect) -> web.StreamResponse:
        """Identify the pair, draw a fault, wait, reply."""
        self._requests += 1
        self._asked_over[dialect.name] += 1
        self._in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self._in_flight)
        outcome = "abandoned"
        try:
            call = self._admit(await request.read(), request, dialect)
            attempt = self._attempts[call.key] = self._attempts[call.key] + 1
            fault, form = draw_fault(self._config, call.key, attempt)
            if fault == "stalled":
                outcome = fault  # already: its client is meant to go first
            if fault != "rate_limited":  # a limiter refuses at the door
                async with self._turn:
                    await asyncio.sleep(self._wait_s(call.key, attempt, fault))
            reply = self._reply(call, fault, form, dialect)
            outcome = reply.outcome
        except RefusedError as refusal:
            reply = refusal.reply
            outcome = reply.outcome
        finally:
            self._in_flight -= 1
            self._outcomes[outcome] += 1
        if reply.error:
            reply = dialect.refusal(reply, self._config)
        told = {**dialect.limit_headers(self._limits.levels()), **replies.end_headers(self._config.ends_on)}
        return await _send(request, reply, told)

    def answer(self, body: bytes, dialect: Dialect) -> Reply:
        """To a request of a batch: no wait, no limit; where a connection would fail, the server does."""
        self._requests += 1
        self._asked_over[dialect.name] += 1
        try:
            call = self._read(body, "", dialect)
            attempt = self._attempts[call.key] = self._attempts[call.key] + 1
            fault, form = draw_fault(self._config, call.key, attempt)
            reply = self._reply(call, "server_error" if fault in OF_A_CONNECTION else fault, form, dialect)
        except RefusedError as refusal:
            reply = refusal.reply
        self._outcomes[reply.outcome] += 1
        return dialect.refusal(reply, self._config) if reply.error else reply

    async def models(self, request: web.Request) -> web.Response:
        """The list of the API whose header is there; chat completions' without one of theirs."""
        from aiohttp import web  # takes long, and --help need not wait for it

        shown = [dialect for dialect in DIALECTS if dialect.mark in request.headers] or DIALECTS
        config = self._config
        return web.json_response(shown[0].models(config.models or (MODEL,), config.ends_on))

    def _admit(self, body: bytes, request: web.Request, dialect: Dialect) -> Call:
        """Reads a request and charges it. Raises RefusedError where it is not let in."""
        config = self._config
        if config.api_key and dialect.key_in(request.headers) != config.api_key:
            raise RefusedError(error_reply(replies.UNAUTHORIZED))
        if config.max_in_flight_cap and self._in_flight > config.max_in_flight_cap:
            raise RefusedError(error_reply(replies.OVER_CAP, self._retry_after()))
        call = self._read(body, request.match_info.get("model", ""), dialect)
        if refusal := self._limits.admit(call.model, call.prompt_tokens):
            raise RefusedError(refusal)
        return call

    def _read(self, body: bytes, model: str, dialect: Dialect) -> Call:
        """Raises RefusedError for what nobody would be answered. model: that of the path, if it holds one."""
        config = self._config
        if config.gone:
            raise RefusedError(error_reply(gone_error(config.gone, body, model)))
        if config.quota_exhausted:
            raise RefusedError(error_reply(replies.QUOTA_EXHAUSTED))
        call = dialect.read(body, model, config, self._answers)
        if config.max_reply_tokens and (call.token_limit or 0) > config.max_reply_tokens:
            raise RefusedError(error_reply(too_many_tokens(config.max_reply_tokens)))
        if not all(key in self._answers for key in call.keys):
            raise RefusedError(error_reply(replies.UNKNOWN_PAIR))
        return call

    def _wait_s(self, key: bytes, attempt: int, fault: str | None) -> float:
        if fault == "stalled":
            return self._config.stall_s
        return draw_latency_ms(self._config, key, attempt) / 1000.0

    def _retry_after(self) -> dict[str, str]:
        return {"Retry-After": f"{self._config.retry_after_s:g}"}

    def _reply(self, call: Call, fault: str | None, form: float, dialect: Dialect) -> Reply:
        match fault:
            case "rate_limited":
                return error_reply(replies.RATE_LIMITED, self._retry_after())
            case "server_error":
                return error_reply(dialect.fault(form))
            case "dropped" | "stalled":
                return Reply(fault, b"", share_sent=0.0)
            case "html_body":
                return Reply(fault, replies.HTML_BODY, content_type="text/html")
            case "hostile":
                return replies.hostile_reply(form)
            case "malformed":
                return self._complete(call, Said(fault, replies.MALFORMED_CONTENT), dialect)
        said = dialect.format_failed() if fault == "format_failed" else self._judge(call, dialect)
        if isinstance(said, ApiError):
            return error_reply(said)
        return self._complete(call, _cut(said, fault) if fault in CUT else said, dialect)

    def _judge(self, call: Call, dialect: Dialect) -> Said | ApiError:
        """What the judge has to say when nothing goes wrong on the way."""
        for key in call.keys:
            withheld, form = draw_withheld(self._config, self._answers[key].pair)
            if withheld == "content_filter":
                return dialect.withheld(form, self._config)
        if len(call.keys) > 1:
            return self._judge_all(call)
        return self._verdict(call, call.key)

    def _judge_all(self, call: Call) -> Said:
        """Of several pairs in one reply."""
        fault, place = draw_group_fault(self._config, call.key, self._attempts[call.key])
        said = [self._verdict(replace(call, is_repair=True), key) for key in call.keys]
        content = replies.group_json([each.content or "" for each in said], fault, int(place * len(said)))
        if self._config.ignores_schema:
            content = replies.fenced(content)
        return Said("answered" if fault == "text_around" else fault or "answered", content)

    def _verdict(self, call: Call, key: bytes) -> Said:
        """Of one pair that is not withheld."""
        gold, pair, gold_relation = self._answers[key]
        withheld, _ = draw_withheld(self._config, pair)
        first = call.reasoning_first and (call.is_repair or not self._config.ignores_order)
        if withheld == "abstained" or gold is None:
            relation = NEUTRAL if call.asks_relation else None
            content = replies.verdict_json(None, 0.5, relation=relation, reasoning_first=first)
            return Said("abstained", content)
        drawn = drawn_by(self._config, call.model, pair)
        contradiction, confidence = draw_verdict(
            self._config,
            drawn,
            gold,
            repeat=self._answered[key] + BESIDE_OTHERS * (len(call.keys) > 1),
            swapped=pair != key,
        )
        hostile, form = draw_style(self._config, pair)
        reasoning = replies.HOSTILE_REASONING if hostile else replies.REASONING
        relation = (
            draw_relation(self._config, drawn, contradiction, gold_relation) if call.asks_relation else None
        )
        content = replies.verdict_json(contradiction, confidence, reasoning, relation, reasoning_first=first)
        if self._config.ignores_schema and not call.is_repair:
            content = replies.without_schema(contradiction, content, form)
        return Said("answered", content, probability=confidence)

    def _complete(self, call: Call, said: Said, dialect: Dialect) -> Reply:
        """Puts it into a completion, with the tokens that it costs."""
        config = self._config
        asked = Usage(
            call.prompt_tokens,
            cached=int(call.prompt_tokens * config.cached_share),
            reasoning=config.reasoning_tokens,
            written=int(call.prompt_tokens * config.written_share),
        )
        said, usage = replies.bounded(said, asked, call.token_limit)
        self._limits.settle(usage.completion or 0)
        self._usage[dialect.name] = self._usage.get(dialect.name, Usage()) + usage
        if said.outcome == "answered":
            self._answered.update(call.keys)
        self._completions += 1
        body = dialect.completion(self._completions, call, said, usage, self._config)
        return Reply(said.outcome, body, share_sent=0.5 if said.outcome == "truncated" else 1.0)


def _tokens(usage: Usage) -> dict[str, int | None]:
    return {f"{part}_tokens": count for part, count in usage.as_dict().items()}


def _cut(said: Said, fault: str) -> Said:
    """The same, of which only half will come: of its body ("truncated") or of its content ("cut_short")."""
    if fault == "truncated":
        return replace(said, outcome=fault)
    content = said.content or ""
    return replace(said, outcome=fault, content=content[: len(content) // 2], finish_reason="length")


async def _send(request: web.Request, reply: Reply, headers: Mapping[str, str]) -> web.StreamResponse:
    """Sends a reply, or as much of it as it says, and then ends the connection."""
    from aiohttp import web  # takes long, and --help need not wait for it

    headers = {**headers, **reply.headers}
    if reply.share_sent == 1.0:
        return web.Response(
            body=reply.body, status=reply.status, headers=headers, content_type=reply.content_type
        )
    if reply.share_sent == 0.0:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()  # never sent
    size = len(reply.body)
    response = web.StreamResponse(headers={**headers, "Content-Length": str(size)})
    response.content_type = reply.content_type
    response.force_close()
    await response.prepare(request)
    await response.write(reply.body[: int(size * reply.share_sent)])
    return response


@contextlib.asynccontextmanager
async def listening(simulator: Simulator, port: int = 0) -> AsyncIterator[int]:
    """Serves on loopback for as long as the block lasts; gives the port, a free one for 0.

    Raises UserError where the port cannot be had.
    """
    from aiohttp import web  # takes long, and --help need not wait for it

    batches = Batches(simulator.answer, simulator.config)

    async def stats(request: web.Request) -> web.Response:
        counted = simulator.stats(keys=request.query.get("keys") == "1")
        return web.json_response(counted | {"batches": batches.sizes})

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    for dialect in DIALECTS:
        for version in VERSIONS:
            app.router.add_post(f"{version}{dialect.path}", partial(simulator.judge, dialect=dialect))
    for version in VERSIONS:
        app.router.add_get(f"{version}/models", simulator.models)
    app.router.add_get("/stats", stats)
    for version in VERSIONS:
        batches.add_to(app.router, version)
    # A client that hangs up ends its request here too, and the end of the server waits for none.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port, backlog=4096).start()
        except (OSError, OverflowError) as error:
            raise UserError(
                f"port {port} cannot be used ({error}); choose another, or 0 for a free one"
            ) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
