"""All pairs through one client: pulled as they are needed, and what ends the run early."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from servers import Asked, Canned, ScriptedJudge, completion, error, verdict

from benchmarks.judge.pipeline import asks_of, judge_all
from benchmarks.judge.retries import RetryPolicy
from benchmarks.openai_async import AsyncOpenAIClient
from kimera.errors import UserError
from kimera.pairs import Failure, Pair

Serve = Callable[[Any], ScriptedJudge]
QUICK = RetryPolicy(base_s=0.001, cap_s=0.02)


def pairs(count: int) -> list[Pair]:
    return [Pair(f"Pair {number}: it rains.", "It is dry.") for number in range(count)]


def number_of(asked: Asked) -> int:
    return int(asked.question.split("Pair ")[1].split(":")[0])


def outcomes_of(
    server: ScriptedJudge, source: Any, stop_after: int | None = None, limit: int = 2
) -> list[int]:
    """The pairs whose outcome was recorded; the client is stopped after so many."""
    recorded: list[int] = []

    async def run() -> None:
        async with AsyncOpenAIClient(base_url=server.base_url, max_concurrent=limit, policy=QUICK) as client:

            def record(ask: Any, _: Any) -> None:
                recorded.append(ask.index)
                if len(recorded) == stop_after:
                    client.stop(Failure("interrupted", "by hand"))

            await judge_all(client, asks_of(enumerate(source)), record)

    asyncio.run(run())
    return recorded


def test_a_stopped_client_finishes_what_is_in_flight_and_asks_no_more(serve: Serve) -> None:
    server = serve(Canned(body=verdict().body, delay_s=0.01))
    recorded = outcomes_of(server, pairs(100), stop_after=10, limit=4)
    assert 10 <= len(recorded) <= 13
    assert sorted(recorded) == sorted(number_of(asked) for asked in server.asked)


def test_pairs_are_pulled_as_they_are_needed(serve: Serve) -> None:
    """A run over a million pairs holds as few as it works on."""
    pulled = 0

    def source() -> Iterator[Pair]:
        nonlocal pulled
        for pair in pairs(1000):
            pulled += 1
            yield pair

    recorded = outcomes_of(serve(verdict()), source(), stop_after=20, limit=4)
    assert pulled <= len(recorded) + 8


def test_no_retry_starts_once_a_fatal_error_has_stopped_the_client(serve: Serve) -> None:
    """The first pair waits for a slot to ask again, which the second gives back with its fatal error."""
    both_asked = threading.Event()
    third_asked = threading.Event()

    def answer(asked: Asked) -> Canned:
        match number_of(asked), asked.number:
            case (
                0,
                0 | 1,
            ):  # an unusable reply: its repair comes at once, but the slot has gone to the third pair
                both_asked.wait(10)
                return completion("Hard to say, is it?")
            case 1, _:
                both_asked.set()
                third_asked.wait(10)
                return replace(error(401, "no"), delay_s=0.1)
            case 2, _:
                third_asked.set()
                return Canned(body=verdict().body, delay_s=0.5)
            case _:
                return verdict()

    server = serve(answer)
    outcomes_of(server, pairs(8))
    assert [number_of(asked) for asked in server.asked].count(0) == 1


def test_a_fault_in_the_source_costs_no_answer_that_was_paid_for(serve: Serve) -> None:
    """Pair 0 is in flight when reading the third fails; its answer is recorded before the error is raised."""
    recorded: list[int] = []

    def source() -> Iterator[Pair]:
        yield from pairs(2)
        raise UserError("line 3 of the dataset is no pair")

    server = serve(
        lambda asked: Canned(body=verdict().body, delay_s=0.2 if "Pair 0" in asked.question else 0)
    )

    async def run() -> None:
        async with AsyncOpenAIClient(base_url=server.base_url, max_concurrent=2) as client:
            await client.judge("It snows.", "It is dry.")  # the first request of all goes ahead of the others
            await judge_all(client, asks_of(enumerate(source())), lambda ask, _: recorded.append(ask.index))

    with pytest.raises(UserError, match="line 3"):
        asyncio.run(run())
    assert sorted(recorded) == [0, 1]


def test_an_error_while_recording_ends_the_run_and_is_raised(serve: Serve) -> None:
    def record(*_: object) -> None:
        raise OSError("No space left on device")

    async def run(base_url: str) -> None:
        async with AsyncOpenAIClient(base_url=base_url, max_concurrent=2) as client:
            await judge_all(client, asks_of(enumerate(pairs(50))), record)

    server = serve(verdict())
    with pytest.raises(OSError, match="No space"):
        asyncio.run(run(server.base_url))
    assert len(server.asked) <= 4
