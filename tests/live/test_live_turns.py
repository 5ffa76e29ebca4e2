"""What one statement and one batch may cost; and that no session waits for all that another has sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from live_servers import HeldFinder, serving, welcomed

from kimera.live.checker import Checker
from kimera.live.contradictions import NumberedStatement
from kimera.live.session import MAX_PASSAGE_PAIRS, ContradictionFinder, Session
from kimera.live.turns import MAX_CHARACTERS_TOGETHER, MAX_TOGETHER, Job, Turns

TEXT = "The office is closed on Fridays."


def statements_of_tiny_sentences(count: int) -> list[NumberedStatement]:
    """Each of 100 sentences of its own, of which no window holds those of two."""
    texts = (" ".join(f"No {number}{place:02}a." for place in range(100)) for number in range(1, count + 1))
    return [NumberedStatement(number, str(number), text) for number, text in enumerate(texts, 1)]


@pytest.mark.slow
def test_a_statement_of_100_sentences_costs_few_pairs_a_candidate(live_finder: ContradictionFinder) -> None:
    session, to_read = Session(), []
    for statement in statements_of_tiny_sentences(3):
        to_read.clear()
        live_finder.check([(session, statement)], lambda _, of: to_read.append(of))
    assert to_read[-1] == 2 * MAX_PASSAGE_PAIRS


@pytest.mark.slow
def test_what_is_raised_after_a_batch_of_pairs_ends_the_check(live_finder: ContradictionFinder) -> None:
    session = Session()

    def give_up(read: int, of: int) -> None:
        raise InterruptedError(read, of)

    with pytest.raises(InterruptedError) as caught:
        live_finder.check([(session, each) for each in statements_of_tiny_sentences(4)], give_up)
    read, of = caught.value.args
    assert read < of


# Turns


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def ids(batch: list[Job]) -> list[str]:
    return [job.statement.id for job in batch]


def turns_of(loop: asyncio.AbstractEventLoop, waiting: dict[str, int], characters: int = 10) -> Turns:
    """So many jobs of each session, one session's after the other's: a1, a2, b1, b2."""
    turns = Turns()
    for name, count in waiting.items():
        session = Session()
        for number in range(1, count + 1):
            statement = NumberedStatement(number, f"{name}{number}", TEXT)
            turns.add(Job(session, statement, loop.create_future(), characters))
    return turns


def test_sessions_take_turns_and_each_keeps_its_order(loop: asyncio.AbstractEventLoop) -> None:
    turns = turns_of(loop, {"a": 4, "b": 1, "c": 2})
    assert ids(turns.take()) == ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]
    assert turns.take() == []


def test_the_next_batch_goes_on_with_whose_turn_it_is(loop: asyncio.AbstractEventLoop) -> None:
    turns = turns_of(loop, {"a": MAX_TOGETHER, "b": 1, "c": 2})
    first = turns.take()
    assert ids(first)[:5] == ["a1", "b1", "c1", "a2", "c2"]
    assert len(first) == MAX_TOGETHER
    for late in turns_of(loop, {"d": 3}).take():
        turns.add(late)
    assert ids(turns.take()) == [
        f"a{MAX_TOGETHER - 2}",
        "d1",
        f"a{MAX_TOGETHER - 1}",
        "d2",
        f"a{MAX_TOGETHER}",
        "d3",
    ]


def test_a_batch_has_a_bound_of_characters(loop: asyncio.AbstractEventLoop) -> None:
    half = turns_of(loop, {"a": 2, "b": 1}, MAX_CHARACTERS_TOGETHER // 2)
    assert [ids(half.take()) for _ in range(2)] == [["a1", "b1"], ["a2"]]
    more = turns_of(loop, {"a": 2}, MAX_CHARACTERS_TOGETHER + 1)
    assert [ids(more.take()) for _ in range(2)] == [["a1"], ["a2"]]


def test_who_is_gone_is_left_out(loop: asyncio.AbstractEventLoop) -> None:
    turns = turns_of(loop, {"a": 3, "b": 1})
    jobs = turns.take_all()
    for job in jobs:
        turns.add(job)
    jobs[0].answer.cancel()
    jobs[3].answer.cancel()
    assert ids(turns.take()) == ["a2", "a3"]
    assert turns.take() == []


# The thread that computes


def test_a_client_waits_for_one_long_statement_of_another_and_not_for_all(
    live_finder: ContradictionFinder,
) -> None:
    async def run() -> list[str]:
        answered: list[str] = []
        async with Checker(live_finder) as checker:
            long, short = Session(), Session()
            waiting = [
                checker.check(long, NumberedStatement(number, f"long {number}", "x" * 1_000))
                for number in range(8)
            ]
            waiting.append(checker.check(short, NumberedStatement(1, "short", TEXT)))
            for each in waiting:
                each.add_done_callback(lambda done: answered.append(done.result()["id"]))
            await asyncio.wait(waiting)
        return answered

    assert asyncio.run(run()) == ["long 0", "short", *(f"long {number}" for number in range(1, 8))]


def test_a_server_stops_also_while_a_check_does_not_end() -> None:
    held = HeldFinder()

    async def run() -> None:
        async with welcomed(served) as talk:
            for id in "ab":
                await talk.send({"type": "statement", "id": id, "text": TEXT})
            assert await asyncio.to_thread(held.is_asked.wait)
            served.stop()
            answers = [await talk.receive() for _ in "ab"]
            assert [(each["id"], each["kind"]) for each in answers] == [("a", "stopping"), ("b", "stopping")]
            assert (await talk.receive())["reason"] == "stopping"
            assert (await talk.closed())[0] == 1001

    with serving(held, stop_s=0.1) as served:
        asyncio.run(run())
