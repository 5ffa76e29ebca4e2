"""Sessions that are kept: what was answered is there after the server was killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from live_servers import Served, serving
from test_live_requests import asked

from kimera.errors import UserError
from kimera.live.__main__ import main
from kimera.live.client import Checked, LiveClient, LiveError
from kimera.live.contradictions import NumberedStatement
from kimera.live.session import ContradictionFinder, KeptStatement
from kimera.live.store import SessionStore

CLOSED, OPEN = "The office is closed on Fridays.", "The office opens every day of the week."


@contextlib.contextmanager
def keeping(finder: ContradictionFinder, path: Path, **limits: int) -> Iterator[Served]:
    """A server with a store; the finder has none afterwards."""
    with contextlib.ExitStack() as stack:
        # The server's one thread uses it, as in the command.
        finder.store = stack.enter_context(SessionStore(path, "encoder"))
        stack.callback(setattr, finder, "store", None)
        yield stack.enter_context(serving(finder, store=finder.store, **limits))


async def said(served: Served, session: str | None, *texts: str) -> list[Checked]:
    async with LiveClient(served.url, session=session) as client:
        return [await client.check(text) for text in texts]


def test_a_named_session_goes_on_after_a_restart(live_finder: ContradictionFinder, tmp_path: Path) -> None:
    with keeping(live_finder, tmp_path / "store") as served:
        asyncio.run(said(served, "hours", CLOSED, "A lone surrogate \ud800 is kept."))
        asyncio.run(said(served, None, OPEN))

    async def again(served: Served) -> tuple[int, Checked]:
        async with LiveClient(served.url, session="hours") as client:
            return client.statements, await client.check(OPEN)

    with keeping(live_finder, tmp_path / "store") as served:
        had, answer = asyncio.run(again(served))
        assert (had, answer.number) == (2, 3)
        [found] = answer.contradictions
        assert found.earlier == NumberedStatement(1, "1", CLOSED)
        assert asyncio.run(said(served, "another", OPEN))[0].contradictions == ()
        assert served.holds(sessions=0, statements=0)


def test_connections_and_requests_share_a_named_session(
    live_finder: ContradictionFinder, tmp_path: Path
) -> None:
    async def run(served: Served) -> None:
        async with (
            LiveClient(served.url, session="hours") as one,
            LiveClient(served.url, session="hours") as other,
        ):
            await one.check(CLOSED)
            assert [found.earlier.text for found in (await other.check(OPEN)).contradictions] == [CLOSED]
            assert served.holds(sessions=2, statements=2)

    with keeping(live_finder, tmp_path / "store") as served:
        unknown = asked(served, {"text": OPEN, "session": "hours"})
        assert (unknown.status_code, unknown.json()["kind"]) == (404, "no_session")
        asyncio.run(run(served))
        for remember in (False, True):
            reply = asked(served, {"text": OPEN, "session": "hours", "remember": remember}).json()
            assert reply["number"] == 3
            assert [found["earlier"]["number"] for found in reply["contradictions"]] == [1]
        assert asked(served, {"text": OPEN, "session": "hours"}).json()["number"] == 4
        assert served.holds(sessions=0, statements=0)


def test_a_session_and_a_server_that_are_full_take_no_more(
    live_finder: ContradictionFinder, tmp_path: Path
) -> None:
    def remember(served: Served, session: str) -> tuple[int, str]:
        reply = asked(served, {"text": CLOSED, "session": session, "remember": True})
        return reply.status_code, reply.json().get("kind", "")

    with keeping(live_finder, tmp_path / "store", statements=2) as served:
        assert [remember(served, "a") for _ in range(3)] == [(200, ""), (200, ""), (409, "session_full")]
    with keeping(live_finder, tmp_path / "store", statements_in_all=1) as served:
        assert remember(served, "a") == (503, "server_full")
        assert remember(served, "b") == (200, "")


def test_a_name_needs_a_store(live_finder: ContradictionFinder) -> None:
    with serving(live_finder) as served, pytest.raises(LiveError, match="--store") as refused:
        asyncio.run(said(served, "hours", CLOSED))
    assert refused.value.kind == "no_store"


def test_what_cannot_be_kept_is_refused_and_is_not_part_of_the_session(
    live_finder: ContradictionFinder, tmp_path: Path
) -> None:
    async def run(served: Served) -> None:
        async with LiveClient(served.url, session="hours") as client:
            await client.check(CLOSED)
            live_finder.store._db.execute("DROP TABLE statements")  # noqa: SLF001 (as a disk that fails)
            with pytest.raises(LiveError) as refused:
                await client.check(CLOSED)
            assert refused.value.kind == "internal"

    with keeping(live_finder, tmp_path / "store") as served:
        asyncio.run(run(served))


def test_another_encoders_vectors_are_not_used(tmp_path: Path) -> None:
    statement, vector = NumberedStatement(7, "a", CLOSED), np.ones(4, np.float32)
    with SessionStore(tmp_path / "store", "old") as store:
        store.write([KeptStatement("hours", statement, vector)])
        assert store.read("hours").statements == [statement]
        np.testing.assert_array_equal(store.read("hours").vectors, [vector])
    with SessionStore(tmp_path / "store", "new") as store:
        session = store.read("hours")
        assert (session.statements, session.given, session.taken) == ([], [statement], 7)


def test_files_that_are_no_store_are_refused_and_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE theirs (x)")
    (tmp_path / "text").write_text("no database, though long enough for a header of one" * 9)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name, told in {
        "other.db": "another program",
        "text": "not a store",
        "none/store": "a folder that exists",
    }.items():
        with pytest.raises(UserError, match=told):
            SessionStore(tmp_path / name, "encoder")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_nothing_that_was_answered_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [
        sys.executable,
        "-m",
        "kimera.live",
        "--port",
        "0",
        "--reactor",
        "screen",
        "--store",
        str(store),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout
        [url] = re.findall(r"http://[\d.:]+", process.stdout.readline())
        assert main(["--port", "0", "--store", str(store)]) == 2  # it is in use

        async def until_killed() -> int:
            answered = 0
            with contextlib.suppress(LiveError):
                async with LiveClient(url, session="boxes") as client:
                    texts = (f"Box {number} holds {number} apples." for number in range(100_000))
                    async for answer in client.check_all(texts):
                        answered += isinstance(answer, Checked)
                        if answered == 50:
                            process.send_signal(signal.SIGKILL)
            return answered

        answered = asyncio.run(until_killed())
    assert answered >= 50
    with SessionStore(store, "encoder") as again:
        assert again.read("boxes").taken >= answered
