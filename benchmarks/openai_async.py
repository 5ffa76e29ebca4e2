"""AsyncOpenAIClient asks one judge about pairs, many at a time; run_async_benchmark about all of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np

from benchmarks.judge import (
    CHAT_COMPLETIONS,
    DEFAULT_JUDGE,
    DEFAULT_PROMPT,
    FIRST_BATCH_SIZE,
    INTERRUPTED,
    MAX_IN_FLIGHT,
    NOT_ASKED_AGAIN,
    UNKNOWN,
    AdaptiveLimit,
    Ask,
    Asking,
    Attempt,
    BatchOptions,
    BatchTransport,
    ChatProtocol,
    Completion,
    CostLimit,
    Endpoint,
    GroupAsking,
    GroupPrompt,
    InterruptedAskingError,
    JudgeError,
    Outcome,
    PairTerms,
    Prompt,
    RateLimits,
    ReplyCache,
    Request,
    RetryBudget,
    RetryPolicy,
    Slots,
    Transport,
    Turn,
    Usage,
    asks_of,
    batch_api_at,
    billed_usage,
    httpx_available,
    internal_error,
    judge_all,
    kind_of,
    load_prompt,
    messages_about,
    open_transport,
    require_alone,
    require_text,
    resolved_base_url,
    resolved_key,
)
from benchmarks.stats import mean_in_flight, pairs_per_s, times_of
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict, pair_of

_CANCELLED = Attempt(0.0, None, "cancelled", UNKNOWN)
P = ParamSpec("P")
T = TypeVar("T")


class AsyncOpenAIClient:
    """A judge behind an OpenAI-compatible chat completions endpoint, or one of another protocol.

    api_key: default OPENAI_API_KEY, or the protocol's variable; an endpoint on loopback needs none.
    max_concurrent: requests in flight, or "auto" to find out how many the endpoint takes.
    base_url: default OPENAI_BASE_URL, then OpenAI's; or the protocol's.
    timeout: seconds for one attempt, from the moment it holds a slot. max_retries: attempts after the first.
    transport: what carries the requests; by default aiohttp, httpx where the environment names proxies, and
        where httpx is missing urllib, then one request at a time but for batches. One that is given stays
        open: whoever opened it closes it.
    rates: limits a minute; by default learnt from the replies. cost_limit: stops the run before it is passed.
    replies: a cache that makes a repeated run free. logprobs: confidence from the verdict's token.
    protocol: how the endpoint's API speaks. params: sent with each request, as {"reasoning_effort": "low"}.
    sampled: without our temperature of 0, so that the same question may be answered otherwise another time.
    batch: asks through the provider's batch API, answered later and cheaper; max_concurrent does not count.
    pairs_per_request: how many pairs one request asks about at most; those without a verdict are then asked
        about alone.

    Use it as an async context manager:

        async with AsyncOpenAIClient(max_concurrent=8) as client:
            contradiction, confidence, reasoning, latency_ms = await client.detect_contradiction_async(a, b)
    """

    def __init__(
        self,
        api_key: str | None = None,
        model: str = DEFAULT_JUDGE,
        max_concurrent: int | Literal["auto"] = 8,
        base_url: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 5,
        *,
        prompt: Prompt | None = None,
        transport: Transport | None = None,
        policy: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        rates: RateLimits | None = None,
        cost_limit: CostLimit | None = None,
        replies: ReplyCache | None = None,
        logprobs: bool = False,
        protocol: ChatProtocol = CHAT_COMPLETIONS,
        params: Mapping[str, Any] | None = None,
        sampled: bool = False,
        batch: BatchOptions | None = None,
        pairs_per_request: int = 1,
    ) -> None:
        if batch:
            max_concurrent, policy = batch.size, policy or RetryPolicy.of_batches(max_retries)
        slots = MAX_IN_FLIGHT if max_concurrent == "auto" else max_concurrent
        if slots < 1 or timeout <= 0 or max_retries < 0:
            raise UserError("max_concurrent must be at least 1, timeout above 0, max_retries at least 0")
        if transport is None and slots > 1 and not batch and not httpx_available():
            warnings.warn("httpx is not installed: sync mode, one request at a time", stacklevel=2)
            slots, max_concurrent = 1, 1
        self.prompt = prompt or load_prompt(DEFAULT_PROMPT)
        require_text(
            protocol,
            reasoning_first=self.prompt.reasoning_first,
            examples=self.prompt.examples is not None,
            votes=sampled,
            several_pairs=pairs_per_request > 1,
        )
        require_alone(pairs_per_request, batch=batch is not None, logprobs=logprobs)
        self.pairs_per_request = pairs_per_request
        self._grouped = GroupPrompt.of(self.prompt) if pairs_per_request > 1 else None
        self.endpoint = Endpoint(
            resolved_base_url(base_url, protocol),
            resolved_key(api_key, protocol),
            model,
            timeout,
            headers=headers,
            rates=rates,
            replies=replies,
            logprobs=logprobs,
            protocol=protocol,
            classes=self.prompt.classes,
            reasoning_first=self.prompt.reasoning_first,
            sampled=sampled,
            parameters=params,
            pairs_per_request=pairs_per_request,
        )
        writes_text = self.endpoint.form.writes_text
        self._wording = self.prompt if writes_text else self.prompt.for_decisions()
        self.policy = policy or RetryPolicy(max_retries=max_retries)
        self.max_concurrent = self.endpoint.adaptation.slots = slots
        # The first batch is a small one: what is wrong with a request is learnt from it.
        self.slots = Slots(min(slots, FIRST_BATCH_SIZE) if batch else slots)
        self.batch = batch
        self._batch_api = batch_api_at(protocol, self.endpoint.base_url, model) if batch else None
        self.adaptive = AdaptiveLimit(self.slots) if max_concurrent == "auto" else None
        self.cost_limit = cost_limit
        self.stopped_by: Failure | None = None
        self.peak_in_flight = 0
        self._in_flight = 0
        self._batches: BatchTransport | None = None
        self._transport = transport
        self._opened: Transport | None = None
        self._budget = RetryBudget()
        self._rng = random.Random()  # noqa: S311 - jitter, not cryptography
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        return f"AsyncOpenAIClient({self.endpoint!r}, max_concurrent={self.max_concurrent})"

    async def __aenter__(self) -> AsyncOpenAIClient:
        if self._transport is None:
            connections = 1 if self.batch else self.max_concurrent
            to = self.endpoint
            self._opened = open_transport(connections, proxies=not to.is_local, tls=to.uses_tls)
            self._transport = self._opened
        if self.batch and self._batch_api and self._batches is None:
            self._batches = BatchTransport(
                self._transport, self._batch_api, self.batch, self.endpoint.timeout_s, self.endpoint.clean
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._batches:
            await self._batches.aclose()
            self._batches = None
        if self._opened:
            await self._opened.aclose()
            self._transport = self._opened = None

    @property
    def mode(self) -> str:
        if self.batch:
            return "batch"
        return "async" if self.max_concurrent > 1 else "sync"

    def settings(self) -> dict[str, Any]:
        """What determines the verdicts, JSON-ready, without the key."""
        return {
            **self.endpoint.address(),
            **self.prompt.settings(),
            **self.endpoint.settings(),
            **({"pairs_per_request": self.pairs_per_request} if self.pairs_per_request > 1 else {}),
            "max_retries": self.policy.max_retries,
        }

    async def look_up_notice(self) -> None:
        """Asks the list of models whether this one is ending; `endpoint.notice` says so, if it is."""
        if self._transport:
            await self.endpoint.look_up_notice(self._transport)

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self, reason: Failure) -> None:
        """No further attempt starts; those in flight finish, but for batches'. The first reason stands."""
        self.stopped_by = self.stopped_by or reason
        self._stopping.set()
        if self._batches:  # which may have hours to go
            self._batches.leave()

    async def detect_contradiction_async(self, text1: str, text2: str) -> tuple[bool, float, str, float]:
        """(is_contradiction, confidence, reasoning, latency_ms). Raises JudgeError for want of a verdict."""
        try:
            result = (await self.judge(text1, text2)).result
        except InterruptedAskingError:
            result = self.stopped_by or INTERRUPTED
        if isinstance(result, Failure):
            raise JudgeError(result.kind, result.message)
        return result.contradiction, result.confidence, result.reasoning, result.latency_ms

    def messages(self, text1: str, text2: str) -> list[dict[str, str]]:
        """What is asked about a pair; where nothing is written in reply, without words on its form."""
        return self._wording.messages(text1, text2)

    def messages_about(self, pairs: Iterable[tuple[str, str]]) -> Iterator[list[dict[str, str]]]:
        """What each request asks, where none is asked again."""
        return messages_about(self._wording, pairs, self.pairs_per_request)

    async def judge(self, text1: str, text2: str) -> Outcome:
        """Asks about one pair once a slot is free; a failure is an outcome too."""
        self.messages(text1, text2)  # what is no text fails here, before it holds a slot
        await self.slots.acquire()
        return await self.judge_in_slot(text1, text2)

    async def judge_in_slot(self, text1: str, text2: str, sample: int = 0) -> Outcome:
        """The same, for a caller that holds a slot. It is given back before this returns or a retry waits.

        sample: which of several askings of the same question this is. Raises InterruptedAskingError where the
        client was stopped before there was an outcome.
        """
        question = self.messages(text1, text2)
        asking = Asking(
            question,
            self.policy,
            self._rng,
            classes=self.prompt.classes,
            reasoning_first=self.prompt.reasoning_first,
        )
        return await self._outcome_of(asking, sample, PairTerms())

    async def _outcome_of(self, asking: Asking, sample: int, terms: PairTerms) -> Outcome:
        """Asks until there is one, a failure for an error of ours. Raises InterruptedAskingError."""
        try:
            outcome = await self._ask(asking, sample, terms)
            return replace(outcome, batched=terms.batched) if terms.batched else outcome
        except InterruptedAskingError:
            if not asking.attempts or self.batch:  # what a batch brought is in its ledger
                raise
            return asking.give_up()  # what was paid for so far is in its attempts
        except JudgeError as ours:  # ends the pair: nothing is paid for it again
            return asking.fail(ours.kind, ours.message)
        finally:
            self.endpoint.adaptation.leave(terms)

    async def judge_together(
        self, pairs: Sequence[tuple[str, str]], sample: int, record: Callable[[int, Outcome], None]
    ) -> None:
        """Asks about several pairs in one request, then about each that this left open alone.

        For a caller that holds a slot, which is given back. record: is given each outcome the moment it
        exists, with the pair's place. Raises InterruptedAskingError as `judge_in_slot` does.
        """
        if self._grouped is None:
            raise RuntimeError("the client was made for one pair a request")
        begun = time.perf_counter()
        asking = GroupAsking(
            len(pairs),
            self._grouped.messages(pairs),
            self.policy,
            self._rng,
            classes=self.prompt.classes,
            reasoning_first=self.prompt.reasoning_first,
        )
        await self._outcome_of(asking, sample, PairTerms(pairs=len(pairs)))
        open_pairs: dict[int, tuple[Attempt, ...]] = {}
        for place, outcome in enumerate(asking.outcomes()):
            if isinstance(outcome, Outcome):
                record(place, outcome)
            else:
                open_pairs[place] = outcome

        async def ask_alone(place: int, earlier: tuple[Attempt, ...]) -> None:
            if outcome := await self._judge_alone(pairs[place], sample, earlier, begun):
                record(place, outcome)

        await asyncio.gather(*(ask_alone(place, earlier) for place, earlier in open_pairs.items()))

    async def _judge_alone(
        self, pair: tuple[str, str], sample: int, earlier: tuple[Attempt, ...], begun: float
    ) -> Outcome | None:
        """The outcome of a pair after attempts at it together with others; None where it was never asked."""
        waited_ms = 0.0
        try:
            await self._take_slot()
            waited_ms = (time.perf_counter() - begun) * 1000
            outcome = await self.judge_in_slot(*pair, sample)
        except InterruptedAskingError:
            if not earlier:
                return None
            outcome = Outcome(NOT_ASKED_AGAIN, ())
        result = replace(outcome.result, wait_ms=round(outcome.result.wait_ms + waited_ms, 3))
        return replace(outcome, result=result, attempts=(*earlier, *outcome.attempts))

    async def _ask(self, asking: Asking, sample: int, terms: PairTerms) -> Outcome:
        """Asks until there is an outcome. Raises JudgeError for an error of ours, the slot given back."""
        question = asking.messages
        while True:
            answer, latency_ms = await self._answer(asking, sample, terms)
            may_retry = self._rng.random() >= self._budget.refusal_probability()
            try:
                wait_s = asking.note(answer, latency_ms, may_retry)
                if wait_s is None:
                    outcome = asking.outcome
                    if isinstance(answer, Completion) and outcome.is_answer:
                        self.endpoint.keep(question, sample, answer, terms.pairs)
                    return outcome
            except Exception as error:
                raise internal_error(error, self.endpoint.redact) from error
            await self._wait_for_turn(wait_s)

    async def _answer(
        self, asking: Asking, sample: int, terms: PairTerms
    ) -> tuple[Completion | JudgeError, float]:
        """The next answer, from an earlier run's replies or by an attempt; gives the slot back either way."""
        kept = self._before_sending(self.endpoint.recall, asking.messages, sample, terms.pairs)
        if kept is not None:
            self.slots.release()
            await asyncio.sleep(0)  # nothing else here waits, and Ctrl-C has to be heard
            return kept, 0.0
        await self._wait_for_others(asking, terms)
        request = self._before_sending(self.endpoint.write, asking.messages, sample, terms)  # as was learnt
        return await self._attempt(request, asking, first=not asking.attempts)

    def _before_sending(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the endpoint makes of a pair that holds a slot, which an error of ours gives back."""
        try:
            return act(*args, **kwargs)
        except Exception as error:
            self.slots.release()
            raise internal_error(error, self.endpoint.redact) from error

    async def _wait_for_others(self, asking: Asking, terms: PairTerms) -> None:
        """Waits while another pair finds out how this endpoint wants to be asked.

        Holds no slot meanwhile, and one again in the end.
        """
        adaptation = self.endpoint.adaptation
        while adaptation.must_wait(terms):
            self.slots.release()
            begun = time.perf_counter()
            await adaptation.others(terms)
            asking.excuse(time.perf_counter() - begun)
            await self._take_slot()
        adaptation.begin(terms)

    async def _attempt(
        self, request: Request, asking: Asking, first: bool
    ) -> tuple[Completion | JudgeError, float]:
        """What one request in the slot brought, and its milliseconds. The slot is given back."""
        transport = self._batches or self._transport
        if transport is None:
            self.slots.release()
            raise RuntimeError("open the client first: async with AsyncOpenAIClient() as client: ...")
        size = len(request.body)
        turn = self.endpoint.rates.reserve(size)
        if turn.wait_s > 0:  # a pair that waits holds no slot
            self.slots.release()
            asking.excuse(turn.wait_s)
            await self._wait_for_turn(turn.wait_s)
        try:
            reserved = await self._afford(request)
            begun = time.perf_counter()
            epoch = self.adaptive.epoch if self.adaptive else 0
            attempt = _CANCELLED
            try:
                answer = await self._send(transport, request, turn)
                attempt = _attempt_of(answer, begun)
                if self.batch and attempt.status == 200:
                    self.slots.limit = self.max_concurrent
            finally:  # a request that is cancelled may have been answered, and billed, all the same
                if self.cost_limit and reserved:
                    self.cost_limit.settle(reserved, billed_usage(attempt), replied=attempt.status == 200)
            if self.adaptive:
                self.adaptive.note(attempt.error, first, epoch)
        finally:
            self.slots.release()
        counted = attempt.usage if attempt.usage.is_known else Usage()
        self.endpoint.rates.settle(size, turn, counted.prompt or 0, counted.completion or 0)
        if not (attempt.error and kind_of(attempt.error).is_limit):
            self._budget.count(accepted=attempt.error is None)
        return answer, attempt.latency_ms

    async def _send(self, transport: Transport, request: Request, turn: Turn) -> Completion | JudgeError:
        self._in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        try:
            return await self.endpoint.send(transport, request, turn)
        except JudgeError as error:
            return error
        finally:
            self._in_flight -= 1

    async def _afford(self, request: Request) -> Usage | None:
        """Sets aside the worst that the request can cost; waits for others to settle if that is too much."""
        limit = self.cost_limit
        if limit is None:
            return None
        while (reserved := limit.reserve(len(request.body), request.form.max_billed_tokens)) is None:
            if not limit.in_flight:
                self.stop(
                    Failure("max_cost", limit.explain(len(request.body), request.form.max_billed_tokens))
                )
            if self.stopping:
                raise InterruptedAskingError
            await limit.settlement()
        return reserved

    async def _wait_for_turn(self, seconds: float) -> None:
        """Waits, holding no slot, then takes one. Raises InterruptedAskingError if the client is stopped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        await self._take_slot()

    async def _take_slot(self) -> None:
        await self.slots.acquire(urgent=True)
        if self.stopping:
            self.slots.release()
            raise InterruptedAskingError


def _attempt_of(answer: Completion | JudgeError, begun: float) -> Attempt:
    latency_ms = round((time.perf_counter() - begun) * 1000, 3)
    if isinstance(answer, JudgeError):
        return Attempt(latency_ms, answer.status, answer.kind, answer.usage)
    return Attempt(latency_ms, 200, None, answer.usage)


async def run_async_benchmark(
    pairs: Iterable[Pair | tuple[str, str]], max_concurrent: int | Literal["auto"] = 8, **client_options: Any
) -> dict[str, Any]:
    """Asks a judge about all pairs, at most `max_concurrent` at a time.

    client_options: as AsyncOpenAIClient takes them. Gives {"results": [...], "stats": {...}}: results in the
    order of the pairs, each a Verdict or a Failure; stats["mode"] is "async", or "sync" where httpx is
    missing or max_concurrent is 1. Raises ValueError for what is no pair, before anything is asked.
    """
    asked = [pair_of(pair, number) for number, pair in enumerate(pairs)]
    results: list[Verdict | Failure | None] = [None] * len(asked)
    attempts: list[Attempt] = []

    def record(ask: Ask, outcome: Outcome) -> None:
        results[ask.index] = outcome.result
        attempts.extend(outcome.attempts)

    async with AsyncOpenAIClient(max_concurrent=max_concurrent, **client_options) as client:
        begun = time.perf_counter()
        await judge_all(client, asks_of(enumerate(asked)), record)
        wall_s = time.perf_counter() - begun
    reason = client.stopped_by or Failure("", "")
    unasked = Failure("not_asked", f"the run ended before this pair: {reason.kind}: {reason.message}")
    whole = [result or unasked for result in results]
    return {"results": whole, "stats": _stats(client, whole, attempts, wall_s)}


def _stats(
    client: AsyncOpenAIClient, results: list[Verdict | Failure], attempts: list[Attempt], wall_s: float
) -> dict[str, Any]:
    latencies = [result.latency_ms for result in results if isinstance(result, Verdict)]
    kinds = [result.kind for result in results if isinstance(result, Failure)]
    requests = [attempt for attempt in attempts if attempt.is_counted]
    busy_s = sum(attempt.latency_ms for attempt in requests) / 1000
    return {
        "mode": client.mode,
        "model": client.endpoint.model,
        "concurrency": client.max_concurrent,
        "peak_in_flight": client.peak_in_flight,
        "answered": len(latencies),
        "failed": len(kinds),
        "errors": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "attempts": len(requests),
        "wall_s": wall_s,
        "pairs_per_s": pairs_per_s(len(latencies), wall_s),
        "mean_in_flight": mean_in_flight(busy_s, wall_s),
        "latency_ms": times_of(np.array(latencies)),
        "tokens": sum(
            (attempt.usage for attempt in attempts if attempt.status is not None), Usage()
        ).as_dict(),
    }
