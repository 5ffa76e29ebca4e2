"""Slots: a semaphore whose limit can change."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.slots import Slots


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


async def let_others_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Slots(limit)


def test_a_limit_is_refused_below_one_later_too() -> None:
    slots = Slots(1)
    with pytest.raises(ValueError, match="at least 1"):
        slots.limit = 0


@given(st.integers(1, 6), st.lists(st.integers(0, 3), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_never_more_are_held_than_the_limit_and_everybody_gets_one(limit: int, turns: list[int]) -> None:
    async def test() -> None:
        slots = Slots(limit)
        holders = 0
        maximum = 0

        async def hold(for_turns: int) -> None:
            nonlocal holders, maximum
            async with slots:
                holders += 1
                maximum = max(maximum, holders)
                for _ in range(for_turns):
                    await asyncio.sleep(0)
                holders -= 1

        await asyncio.gather(*(hold(for_turns) for for_turns in turns))
        assert maximum <= limit
        assert slots.held == 0

    run(test)


def test_waiters_are_served_in_the_order_they_came_and_urgent_ones_first() -> None:
    async def test() -> None:
        slots = Slots(1)
        served: list[str] = []

        async def wait(name: str, urgent: bool) -> None:
            await slots.acquire(urgent)
            served.append(name)
            slots.release()

        await slots.acquire()
        waiters = [
            asyncio.create_task(wait(name, urgent))
            for name, urgent in [("first", False), ("second", False), ("retry", True), ("late retry", True)]
        ]
        await let_others_run()
        slots.release()
        await asyncio.gather(*waiters)
        assert served == ["retry", "late retry", "first", "second"]

    run(test)


def test_nobody_overtakes_those_who_wait() -> None:
    """A slot given back goes to the waiter at once, although it has not run yet."""

    async def test() -> None:
        slots = Slots(1)
        served: list[str] = []

        async def wait(name: str) -> None:
            await slots.acquire()
            served.append(name)
            slots.release()

        await slots.acquire()
        waiting = asyncio.create_task(wait("waiting"))
        await let_others_run()
        slots.release()
        await wait("newcomer")
        await waiting
        assert served == ["waiting", "newcomer"]

    run(test)


def test_a_higher_limit_lets_waiters_in_at_once() -> None:
    async def test() -> None:
        slots = Slots(1)
        await slots.acquire()
        waiters = [asyncio.create_task(slots.acquire()) for _ in range(3)]
        await let_others_run()
        slots.limit = 3
        await let_others_run()
        assert [waiter.done() for waiter in waiters] == [True, True, False]
        assert slots.held == 3
        waiters[2].cancel()

    run(test)


def test_a_lower_limit_takes_nothing_away_but_lets_nobody_in_until_it_holds() -> None:
    async def test() -> None:
        slots = Slots(3)
        for _ in range(3):
            await slots.acquire()
        slots.limit = 1
        waiter = asyncio.create_task(slots.acquire())
        for still_held in (2, 1):
            slots.release()
            await let_others_run()
            assert (slots.held, waiter.done()) == (still_held, False)
        slots.release()
        await let_others_run()
        assert (slots.held, waiter.done()) == (1, True)

    run(test)


def test_a_cancelled_waiter_leaves_its_place_to_the_next() -> None:
    async def test() -> None:
        slots = Slots(1)
        await slots.acquire()
        first, second = (asyncio.create_task(slots.acquire()) for _ in range(2))
        await let_others_run()
        first.cancel()
        slots.release()
        await second
        assert first.cancelled()
        assert slots.held == 1

    run(test)


def test_a_waiter_cancelled_in_the_moment_of_its_turn_gives_the_slot_back() -> None:
    async def test() -> None:
        slots = Slots(1)
        await slots.acquire()
        waiter = asyncio.create_task(slots.acquire())
        await let_others_run()
        slots.release()  # the waiter holds the slot now, but has not run since
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert slots.held == 0
        await slots.acquire()

    run(test)


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_cancellations_and_changes_of_the_limit_leak_no_slot(seed: int) -> None:
    async def test() -> None:
        rng = random.Random(seed)  # noqa: S311 (no secrets here)
        slots = Slots(2)

        async def hold() -> None:
            await slots.acquire(urgent=rng.random() < 0.3)
            try:
                for _ in range(rng.randrange(3)):
                    await asyncio.sleep(0)
            finally:
                slots.release()

        tasks = [asyncio.create_task(hold()) for _ in range(30)]
        for _ in range(20):
            await asyncio.sleep(0)
            slots.limit = rng.randint(1, 4)
            rng.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert slots.held == 0
        slots.limit = 2
        await slots.acquire()
        await slots.acquire()
        assert slots.held == 2

    run(test)
