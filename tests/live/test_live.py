"""Statements sent one by one: contradictions come back, in order, and each session knows only its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from live_servers import PATIENCE_S, HeldFinder, Served, serving, talking, welcomed
from servers import HOST, unused_port

from kimera.live.__main__ import main
from kimera.live.candidate_rule import NEARNESS, SAME_COSINE, CandidateRule, choose_candidates
from kimera.live.capacity import LiveLimits
from kimera.live.client import Checked, LiveClient, LiveError, Refused
from kimera.live.contradictions import NumberedStatement, numbered
from kimera.live.protocol import ProtocolError, load_schema, read
from kimera.live.session import Arrival, ContradictionFinder, Session
from kimera.reactor import Reactor

DOCUMENT = (Path(__file__).parents[2] / "docs" / "live.md").read_text(encoding="utf-8")
CLOSED, OPEN = "The office is closed on Fridays.", "The office opens every day of the week."
TOKEN = "correct-horse-battery"  # noqa: S105 (of the tests)


@pytest.fixture(scope="module")
def served(live_finder: ContradictionFinder) -> Iterator[Served]:
    with serving(live_finder) as served:
        yield served


async def answers_to(served: Served, *texts: str) -> list[Checked]:
    async with LiveClient(served.url) as client:
        return [await client.check(text) for text in texts]


# What is found


def test_a_contradiction_comes_back_with_both_statements(served: Served) -> None:
    first, unrelated, last = asyncio.run(answers_to(served, CLOSED, "My cat sleeps on the sofa.", OPEN))
    assert (first.number, first.contradictions, unrelated.contradictions) == (1, (), ())
    [found] = last.contradictions
    assert found.earlier == NumberedStatement(1, "1", CLOSED)
    assert found.later == NumberedStatement(3, "3", OPEN)
    assert found.stage == "verify"
    assert found.score > 0.5
    assert last.latency_ms > 0


def test_the_score_is_the_reactors(served: Served) -> None:
    *_, last = asyncio.run(answers_to(served, CLOSED, OPEN))
    [verdict] = Reactor(cache=None).detect([(CLOSED, OPEN)])
    assert last.contradictions[0].score == pytest.approx(verdict.score, abs=1e-4)


@pytest.mark.slow
def test_statements_about_different_things_are_not_compared(served: Served) -> None:
    """Though the models, asked all the same, call this a contradiction."""
    texts = ("The cat sleeps on the sofa.", "The museum is shut on Mondays.")
    [verdict] = Reactor(cache=None).detect([texts])
    assert verdict.contradiction
    assert asyncio.run(answers_to(served, *texts))[1].contradictions == ()


def test_the_same_statement_twice_does_not_hide_what_contradicts_it(served: Served) -> None:
    *_, last = asyncio.run(answers_to(served, OPEN, *[CLOSED] * 10, CLOSED))
    assert [found.earlier.number for found in last.contradictions] == [1]


def test_a_statement_that_is_not_kept_leaves_nothing_behind(live_finder: ContradictionFinder) -> None:
    session = Session(numbered([OPEN, "Anna drinks her coffee black."]))
    for _ in range(2):
        asked = Arrival(session, NumberedStatement(3, "asked", CLOSED), is_kept=False)
        [found] = live_finder.check([asked])
        assert [each.earlier.text for each in found.contradictions] == [OPEN]
        assert len(session.statements) == len(session.vectors) == 2
        assert set(session.pieces) <= {0, 1}
    [found] = live_finder.check([(session, NumberedStatement(3, "other", "Cats sleep."))])
    assert not found.contradictions
    [found] = live_finder.check([(session, NumberedStatement(4, "kept", CLOSED))])
    assert [each.earlier.text for each in found.contradictions] == [OPEN]


def test_statements_that_are_checked_together_are_checked_against_each_other(
    live_finder: ContradictionFinder,
) -> None:
    session, other = Session(), Session()
    arrived = [(session, NumberedStatement(1, "a", CLOSED)), (other, NumberedStatement(1, "b", OPEN))]
    arrived += [(session, NumberedStatement(2, "c", OPEN)), (other, NumberedStatement(2, "d", CLOSED))]
    found = live_finder.check(arrived)
    assert [[each.earlier.id for each in of_one.contradictions] for of_one in found] == [[], [], ["a"], ["b"]]


def test_a_session_keeps_every_vector_as_it_grows() -> None:
    session, random = Session(), np.random.default_rng(0)
    vectors = random.normal(size=(300, 8)).astype(np.float32)
    for number, vector in enumerate(vectors, 1):
        session.add(NumberedStatement(number, str(number), "text"), vector)
    np.testing.assert_array_equal(session.vectors, vectors)


@given(
    st.lists(st.tuples(st.floats(-1, 1, width=32), st.floats(0, 1, width=32)), max_size=40),
    st.integers(1, 10),
    st.integers(1, 5),
)
def test_candidates_are_the_strongest_of_the_nearest_related(
    given_rows: list[tuple[float, float]], scored: int, chosen: int
) -> None:
    cosines = np.array([cosine for cosine, _ in given_rows], np.float32)
    scores = np.array([score for _, score in given_rows], np.float32)
    rule = CandidateRule(0.4, scored, chosen)
    rows, of_rows = choose_candidates(cosines, lambda asked: scores[asked], rule)
    related = [row for row in range(len(cosines)) if np.float32(0.4) <= cosines[row] < SAME_COSINE]
    nearest = [row for row in sorted(related, key=lambda row: -cosines[row])[:scored] if scores[row] > 0]
    strongest = sorted(nearest, key=lambda row: -(cosines[row] ** NEARNESS * scores[row]))[:chosen]
    assert rows.tolist() == strongest
    assert of_rows.tolist() == scores[strongest].tolist()


# Order


@pytest.mark.slow
def test_nothing_is_lost_or_reordered_over_20_sessions_of_50_statements() -> None:
    finder = ContradictionFinder(Reactor(cache=None, stages="screen"), CandidateRule())

    async def session(served: Served, name: int) -> list[Checked | Refused]:
        texts = (f"Box {name} holds {number} apples." for number in range(50))
        async with LiveClient(served.url) as client:
            return [answer async for answer in client.check_all(texts)]

    async def run(served: Served) -> list[list[Checked | Refused]]:
        return await asyncio.gather(*(session(served, name) for name in range(20)))

    with serving(finder, waiting=4) as served:
        answers = asyncio.run(run(served))
        assert served.holds(sessions=0, statements=0)
    for name, of_session in enumerate(answers):
        assert [each.number for each in of_session if isinstance(each, Checked)] == list(range(1, 51))
        found = [pair for each in of_session if isinstance(each, Checked) for pair in each.contradictions]
        assert all(pair.earlier.text.startswith(f"Box {name} holds") for pair in found)
        assert all(pair.earlier.number < pair.later.number for pair in found)


# The client


def test_a_refused_statement_does_not_end_the_others(served: Served) -> None:
    async def run() -> list[Checked | Refused]:
        async with LiveClient(served.url) as client:
            return [answer async for answer in client.check_all(["a", " ", "x" * 1001, "b"])]

    first, empty, long, last = asyncio.run(run())
    assert (first.number, last.number) == (1, 2)
    assert (empty.kind, long.kind) == ("empty_text", "too_long")
    assert "1,001 characters" in long.message


def test_an_answer_does_not_wait_for_the_next_text(served: Served) -> None:
    async def run() -> list[int]:
        is_answered = asyncio.Event()
        numbers: list[int] = []

        async def typed() -> AsyncIterator[str]:
            for _ in range(3):
                yield CLOSED
                await is_answered.wait()
                is_answered.clear()

        async with LiveClient(served.url) as client, asyncio.timeout(PATIENCE_S):
            async for answer in client.check_all(typed()):
                numbers.append(answer.number)
                is_answered.set()
        return numbers

    assert asyncio.run(run()) == [1, 2, 3]


class Queued:
    """Texts from a queue, that ends with None; it can be gone through in parts."""

    def __init__(self, *texts: str | None) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()
        for text in texts:
            self.queue.put_nowait(text)

    def __aiter__(self) -> Queued:
        return self

    async def __anext__(self) -> str:
        text = await self.queue.get()
        self.queue.task_done()
        if text is None:
            raise StopAsyncIteration
        return text


def test_what_was_taken_when_the_loop_is_left_is_sent_and_the_rest_stays(served: Served) -> None:
    async def run() -> None:
        texts = Queued(*(f"Box {number} is full." for number in range(20)), None)
        async with LiveClient(served.url) as client:
            before = asyncio.all_tasks()
            async with contextlib.aclosing(client.check_all(texts)) as answers:
                async for answer in answers:
                    assert answer.number == 1
                    break
            assert asyncio.all_tasks() == before
            taken = 21 - texts.queue.qsize()
            rest = [answer.number async for answer in client.check_all(texts)]
            assert rest == list(range(taken + 1, 21))

    asyncio.run(run())


def test_a_cancelled_loop_ends_its_wait_for_a_text_and_the_session_goes_on(served: Served) -> None:
    async def run() -> None:
        texts = Queued(CLOSED)
        is_answered = asyncio.Event()

        async def watch() -> None:
            async for _ in client.check_all(texts):
                is_answered.set()

        async with LiveClient(served.url) as client:
            before = asyncio.all_tasks()
            watching = asyncio.create_task(watch())
            await is_answered.wait()
            watching.cancel()
            await asyncio.wait((watching,))
            assert watching.cancelled()
            assert asyncio.all_tasks() == before
            texts.queue.put_nowait(OPEN)
            texts.queue.put_nowait(None)
            assert [answer.number async for answer in client.check_all(texts)] == [2]

    asyncio.run(run())


def test_a_text_that_waits_for_a_place_is_sent_though_the_loop_is_cancelled() -> None:
    held = HeldFinder()

    async def run(served: Served) -> int:
        texts = Queued("b")
        async with LiveClient(served.url) as client:
            checking = asyncio.create_task(client.check("a"))
            watching = asyncio.create_task(anext(client.check_all(texts)))
            await texts.queue.join()
            watching.cancel()
            held.may_go.set()
            await asyncio.wait((checking, watching))
            return (await client.check("c")).number

    with serving(held, waiting=1) as served:
        assert asyncio.run(run(served)) == 3


def test_what_the_texts_raise_comes_after_the_answers(served: Served) -> None:
    async def run() -> None:
        def texts() -> Iterator[str]:
            yield CLOSED
            yield OPEN
            raise LookupError("no more")

        async with LiveClient(served.url) as client:
            answers = client.check_all(texts())
            assert [(await anext(answers)).number for _ in range(2)] == [1, 2]
            with pytest.raises(LookupError, match="no more"):
                await anext(answers)

    asyncio.run(run())


def test_check_raises_what_the_server_says(served: Served) -> None:
    with pytest.raises(LiveError, match="the text is empty") as caught:
        asyncio.run(answers_to(served, ""))
    assert caught.value.kind == "empty_text"


def test_a_server_that_cannot_be_reached_is_an_error_of_the_client() -> None:
    async def run() -> None:
        async with LiveClient(f"http://{HOST}:{unused_port()}"):
            pass

    with pytest.raises(LiveError, match="cannot be reached"):
        asyncio.run(run())


# The protocol


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(load_schema())


def test_the_server_tells_its_version_and_its_limits_first(live_finder: ContradictionFinder) -> None:
    async def run(served: Served) -> dict[str, object]:
        async with talking(served) as talk:
            return await talk.receive()

    with serving(live_finder, statements=7, characters=50, waiting=3) as served:
        hello = asyncio.run(run(served))
    assert hello["version"] == 1
    assert hello["limits"] == {"statements": 7, "characters": 50, "message_bytes": 1624, "waiting": 3}


def test_a_bye_comes_after_the_last_answer(served: Served) -> None:
    async def run() -> None:
        async with welcomed(served) as talk:
            for id in "ab":
                await talk.send({"type": "statement", "id": id, "text": CLOSED})
            await talk.send({"type": "bye"})
            assert [(await talk.receive())["id"] for _ in "ab"] == ["a", "b"]
            assert await talk.receive() == {"type": "bye", "reason": "bye", "statements": 2}
            assert (await talk.closed())[0] == 1000

    asyncio.run(run())


def test_a_lone_surrogate_comes_back_as_it_was_sent(served: Served) -> None:
    *_, last = asyncio.run(answers_to(served, CLOSED + "\ud800", OPEN))
    assert last.contradictions[0].earlier.text == CLOSED + "\ud800"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FIELDS = {
    "type": st.sampled_from(["hello", "statement", "bye"]) | JSON,
    "version": st.just(1) | JSON,
    "token": st.text() | JSON,
    "id": st.text() | JSON,
    "text": st.text() | JSON,
}


def test_every_kind_of_error_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE) == KINDS


def test_every_flag_that_is_documented_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert set(re.findall(r"`(--[a-z-]+)", DOCUMENT)) <= known


KINDS = load_schema()["$defs"]["error"]["properties"]["kind"]["enum"]


@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_what_is_read_keeps_to_the_schema_and_all_else_is_a_protocol_error(
    message: dict[str, object],
) -> None:
    validator = Draft202012Validator({**load_schema(), "$ref": "#/$defs/from_client"})
    try:
        read(json.dumps(message), LiveLimits())
    except ProtocolError as error:
        kind = error.kind
    else:
        kind = None
    assert validator.is_valid(message) if kind is None else kind in KINDS


@given(st.text() | st.sampled_from(["[" * 100_000, "1" * 5_000, "NaN", '"', "{}", "null", '{"type": []}']))
def test_any_text_is_a_message_or_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        read(text, LiveLimits())


# The command


@pytest.fixture
def command(live_finder: ContradictionFinder) -> Iterator[subprocess.Popen[str]]:
    """With a finder beside it, which has prepared the models by then."""
    started = subprocess.Popen(
        [sys.executable, "-m", "kimera.live", "--port", "0", "--reactor", "screen", "--token", TOKEN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield started
    started.kill()
    started.communicate()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_it_and_open_sessions_are_told(
    number: signal.Signals, code: int, command: subprocess.Popen[str]
) -> None:
    assert command.stdout
    line = command.stdout.readline()
    [url] = re.findall(r"Listening on (http://127\.0\.0\.1:\d+)/", line)

    async def run() -> str:
        async with LiveClient(url, token=TOKEN) as client:
            await client.check(CLOSED)
            command.send_signal(number)
            try:
                while True:
                    await client.check(OPEN)
            except LiveError as error:
                return str(error)

    assert asyncio.run(run()) in ("the server ended the session: stopping", "the server stops")
    output, errors = command.communicate(timeout=30)
    assert command.returncode == code
    assert (output, errors) == ("", "Loading the models ...\nStopping.\n")
    assert TOKEN not in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--allow-origin", "example.org"), "'example.org' is not an origin; expected https://example.org"),
        (("--token", "short"), "the token is too short; give 8 characters or more"),
        (("--token", ""), "the token is too short; give 8 characters or more"),
        (("--port", "70000"), "'70000' is not a port; give 0 to 65535"),
        (("--waiting", "0"), "'0' is not a whole number of at least 1"),
        (("--min-cosine", "nan"), "'nan' is not a cosine; give -1 to 1"),
    ],
)
def test_a_wrong_flag_is_told_in_one_line(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    errors = capsys.readouterr().err
    assert code == 2
    assert told in errors
    assert "short" not in errors.replace("too short", "")


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server((HOST, 0)) as taken:
        assert main(("--port", str(taken.getsockname()[1]), "--reactor", "screen")) == 2
    assert re.search(
        r"error: 127\.0\.0\.1, port \d+, cannot be used .* choose another", capsys.readouterr().err
    )


@pytest.mark.parametrize("url", ["127.0.0.1:8765", "localhost", ""])
def test_an_address_without_a_scheme_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is not an address such as http://"):
        LiveClient(url)
