"""All pairs through one client: workers that pull from an iterator, and what ends the run early."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from benchmarks.judge.attempts import Outcome
from benchmarks.judge.failures import FATAL, InterruptedAskingError
from benchmarks.judge.pair_groups import can_be_grouped
from benchmarks.judge.slots import Slots
from kimera.pairs import Failure, Pair
from kimera.workers import rare_collections


@dataclass(frozen=True, slots=True)
class Ask:
    """One question about a pair. variant 0 is the pair as it stands, asked once; others repeat or swap it.

    vote: which of so many `votes` that decide together; 0 of 1 decides alone.
    """

    index: int
    pair: Pair
    variant: int = 0
    repeat: int = 0
    swapped: bool = False
    vote: int = 0
    votes: int = 1

    @property
    def sample(self) -> int:
        """Which of all askings of the same two texts in the same order it is."""
        return self.repeat * self.votes + self.vote

    @property
    def texts(self) -> tuple[str, str]:
        pair = self.pair
        return (pair.text2, pair.text1) if self.swapped else (pair.text1, pair.text2)


def asks_of(
    pairs: Iterable[tuple[int, Pair]],
    repeat: int = 1,
    swap: bool = False,
    wanted: Callable[[Ask], bool] = lambda ask: True,
    votes: int = 1,
) -> Iterator[Ask]:
    """Each (index, pair) `repeat` times, with `swap` as often in the other order; those that are wanted.

    votes: how many times each of these is asked, for what most answers say.
    """
    orders = (False, True) if swap else (False,)
    for index, pair in pairs:
        for variant, (swapped, number) in enumerate(product(orders, range(repeat))):
            asks = (Ask(index, pair, variant, number, swapped, vote, votes) for vote in range(votes))
            yield from filter(wanted, asks)


def grouped(asks: Iterable[Ask], size: int) -> Iterator[list[Ask]]:
    """In lists of so many at most, none of which asks about a pair in two ways: one request for each.

    In the order of the pairs, so that another run over the same ones has the same lists.
    """
    if size == 1:
        yield from ([ask] for ask in asks)
        return
    gathered: defaultdict[tuple[bool, int], list[Ask]] = defaultdict(list)
    for ask in asks:
        if not can_be_grouped(ask.texts):
            yield [ask]
            continue
        group = gathered[ask.swapped, ask.sample]
        group.append(ask)
        if len(group) == size:
            yield gathered.pop((ask.swapped, ask.sample))
    yield from gathered.values()


class JudgeClient(Protocol):
    """Who asks about one pair, in a slot that the worker holds; `AsyncOpenAIClient` does.

    `judge_in_slot` gives the slot back, and raises InterruptedAskingError once the client was stopped; so
    does `judge_together`, which asks about several pairs and hands each outcome over as it comes.
    """

    slots: Slots
    max_concurrent: int
    pairs_per_request: int

    @property
    def mode(self) -> str: ...

    @property
    def stopping(self) -> bool: ...

    def stop(self, reason: Failure) -> None: ...

    async def judge_in_slot(self, text1: str, text2: str, sample: int = 0) -> Outcome: ...

    async def judge_together(
        self, pairs: Sequence[tuple[str, str]], sample: int, record: Callable[[int, Outcome], None]
    ) -> None: ...


class ErrorWindow:
    """Says when the share of failures among the last `size` outcomes passes `maximum`."""

    def __init__(self, maximum: float | None, size: int = 100, minimum: int = 20) -> None:
        self._maximum = maximum
        self._minimum = minimum
        self._failed: deque[bool] = deque(maxlen=size)

    def passed(self, failed: bool) -> bool:
        self._failed.append(failed)
        if self._maximum is None or len(self._failed) < self._minimum:
            return False
        return sum(self._failed) > self._maximum * len(self._failed)


async def judge_all(
    client: JudgeClient,
    asks: Iterable[Ask],
    record: Callable[[Ask, Outcome], None],
    max_error_rate: float | None = None,
) -> None:
    """Asks everything and hands each outcome to `record` the moment it exists.

    Memory does not grow with the number of pairs: workers pull from the iterator. There are twice as many as
    slots, so that pairs which wait for a retry leave no slot empty; in sync mode and in batches none waits.
    What ended the run early, if anything did, is given to `client.stop`. An error of `asks` or `record` ends
    every worker and is raised.
    """
    source = grouped(asks, client.pairs_per_request)
    errors = ErrorWindow(max_error_rate)
    broken: list[Exception] = []

    def following() -> list[Ask]:
        try:
            return next(source, [])
        except Exception as error:  # noqa: BLE001 (raised once what is in flight, and paid for, is recorded)
            broken.append(error)
            client.stop(Failure("source", str(error)))
            return []

    def take(ask: Ask, outcome: Outcome) -> None:
        record(ask, outcome)
        failure = outcome.result if isinstance(outcome.result, Failure) else None
        if failure and failure.kind in FATAL:
            client.stop(failure)
        elif errors.passed(not outcome.is_answer):
            client.stop(Failure("error_rate", f"more than {max_error_rate:.0%} of the last pairs failed"))

    async def ask_about(asks: list[Ask]) -> None:
        if len(asks) == 1:
            take(asks[0], await client.judge_in_slot(*asks[0].texts, sample=asks[0].sample))
            return
        await client.judge_together(
            [ask.texts for ask in asks],
            asks[0].sample,
            lambda place, outcome: take(asks[place], outcome),
        )

    async def work() -> None:
        while True:
            await client.slots.acquire()
            asks = [] if client.stopping else following()
            if not asks:
                client.slots.release()
                return
            try:
                await ask_about(asks)
            except InterruptedAskingError:
                return

    workers = client.max_concurrent * (2 if client.mode == "async" else 1)
    with rare_collections():
        tasks = [asyncio.create_task(work()) for _ in range(workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if broken:
        raise broken[0]
