"""Clients that send garbage, flood, stall or vanish: they are refused, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
from live_servers import HELLO, PATIENCE_S, Served, Talk, serving, talking, welcomed
from servers import HOST

from kimera.live.access import Access, access_of
from kimera.live.client import LiveClient, LiveError
from kimera.live.session import ContradictionFinder

STALLED = b"\x03\xf0stalled: the answers were not read"
MANY = 180  # statements, more than a batch
TEXT = "The office is closed on Fridays."
TOKEN = "correct-horse-battery"  # noqa: S105 (of the tests)


@pytest.fixture(scope="module")
def served(live_finder: ContradictionFinder) -> Iterator[Served]:
    with serving(live_finder) as served:
        yield served


@pytest.fixture
def serve(live_finder: ContradictionFinder) -> Iterator[Callable[..., Served]]:
    """Starts a server with these limits; it ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(serving(live_finder, **options))


def is_served(served: Served) -> bool:
    """Whether another client gets its answer."""

    async def run() -> bool:
        async with LiveClient(served.url) as client:
            return (await client.check(TEXT)).number == 1

    return asyncio.run(run())


# Garbage

GARBAGE = {
    "not json": "not_json",
    "[1, 2]": "not_json",
    "[" * 5_000: "not_json",
    '{"type": "statement", "id": 1e999, "text": "a"}': "bad_field",
    "{}": "unknown_type",
    '{"type": {"type": "bye"}}': "unknown_type",
    '{"type": "hello", "version": 1}': "second_hello",
    '{"type": "statement", "text": "a"}': "bad_field",
    json.dumps({"type": "statement", "id": "x" * 65, "text": "a"}): "bad_field",
    '{"type": "statement", "id": "a", "text": ["a"]}': "bad_field",
    '{"type": "statement", "id": "a", "text": " \\n"}': "empty_text",
    json.dumps({"type": "statement", "id": "a", "text": "x" * 1_001}): "too_long",
}


def test_garbage_is_answered_in_its_order_and_the_session_goes_on(served: Served) -> None:
    async def run() -> None:
        async with welcomed(served) as talk:
            for text, kind in GARBAGE.items():
                await talk.socket.send_str(text)
                await talk.send({"type": "statement", "id": "between", "text": TEXT})
                error = await talk.receive()
                assert (error["type"], error["kind"]) == ("error", kind)
                assert (await talk.receive())["id"] == "between"
            await talk.socket.send_bytes(b"\x00\xff")
            assert (await talk.receive())["kind"] == "not_text"
            assert (await talk.say(TEXT))["number"] == len(GARBAGE) + 1

    asyncio.run(run())


def test_who_sends_garbage_is_not_read_for_a_while_and_others_are(serve: Callable[..., Served]) -> None:
    served = serve(refusal_s=10 * PATIENCE_S)

    async def run() -> None:
        async with welcomed(served) as talk, welcomed(served) as other:
            await talk.socket.send_str("not json")
            assert (await talk.receive())["kind"] == "not_json"
            await talk.send({"type": "statement", "id": "later", "text": TEXT})
            assert (await other.say(TEXT))["number"] == 1
            assert (await other.say(TEXT))["number"] == 2
            assert served.server.held() == {"sessions": 2, "statements": 2}  # none of who sent garbage
            served.stop()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\xfe\xff\xff0000" + b"x" * 65_535, 1009),  # a text of 64 kB
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff0000", 1009),  # one that is said to have 2**63 bytes
        (b"\x81\x82\x00\x00\x00\x00\xff\xff", 1007),  # no UTF-8
        (b"\xf1\x80\x00\x00\x00\x00", 1002),  # reserved bits
    ],
)
def test_a_frame_that_cannot_be_read_ends_its_connection_with_a_code(
    frame: bytes, code: int, served: Served
) -> None:
    async def run() -> None:
        async with welcomed(served) as talk:
            below = talk.socket.get_extra_info("socket")
            assert below is not None
            with socket.socket(fileno=os.dup(below.fileno())) as bare:
                bare.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(bare, frame)
            assert (await talk.closed())[0] == code

    asyncio.run(run())
    assert served.holds(sessions=0, statements=0)
    assert is_served(served)


# Before the hello


@pytest.mark.parametrize(
    ("hello", "kind"),
    [
        ({"type": "hello", "version": 2}, "version"),
        ({"type": "hello", "version": True}, "version"),
        ({"type": "hello", "version": 1, "token": 5}, "bad_field"),
        ({"type": "statement", "id": "1", "text": TEXT}, "no_hello"),
        ([], "not_json"),
    ],
)
def test_who_does_not_say_hello_is_closed_with_the_reason(hello: Any, kind: str, served: Served) -> None:
    async def run() -> None:
        async with talking(served, hello) as talk:
            error = await talk.receive()
            assert error["kind"] == kind
            assert await talk.closed() == (1008, error["message"])

    asyncio.run(run())


def test_who_says_nothing_is_closed(serve: Callable[..., Served]) -> None:
    served = serve(hello_s=0.2)

    async def run() -> None:
        async with talking(served, hello=None) as talk:
            assert (await talk.receive())["kind"] == "no_hello"
            assert await talk.closed() == (1008, "no hello came within 0.2 s")

    asyncio.run(run())
    with socket.create_connection((HOST, served.port), timeout=PATIENCE_S) as silent:
        silent.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")  # and never the end of it
        assert silent.recv(100) == b""


@pytest.mark.parametrize("token", [None, "", "wrong", f"{TOKEN}x", TOKEN[:-1], "\ud800", "é" * 40])
def test_without_the_right_token_nobody_is_let_in(token: str | None, serve: Callable[..., Served]) -> None:
    served = serve(token=TOKEN)

    async def run() -> None:
        async with talking(served, {**HELLO, "token": token}) as talk:
            error = await talk.receive()
            assert error["kind"] == "unauthorized"
            assert TOKEN not in json.dumps(error)
            assert (await talk.closed())[0] == 1008

    asyncio.run(run())


def test_the_right_token_is_let_in_and_shown_nowhere(serve: Callable[..., Served]) -> None:
    served = serve(token=TOKEN)

    async def run() -> int:
        async with LiveClient(served.url, token=TOKEN) as client:
            return (await client.check(TEXT)).number

    assert asyncio.run(run()) == 1
    assert TOKEN not in repr(access_of(HOST, [], TOKEN))


# Pages from elsewhere


@pytest.mark.parametrize(
    ("host", "origin", "is_let_in"),
    [
        ("127.0.0.1:8765", None, True),
        ("127.0.0.1:8765", "http://127.0.0.1:8765", True),
        ("localhost:8765", "http://localhost:8765", True),
        ("[::1]:8765", "http://[::1]:8765", True),
        ("box.lan", "http://box.lan", True),  # the host it was told to listen on
        ("127.0.0.1:8765", "https://friend.example", True),
        ("friend.example", "https://friend.example", True),  # by way of a proxy there
        ("127.0.0.1:8765", "http://127.0.0.1:8766", False),
        ("127.0.0.1:8765", "http://localhost:8765", False),
        ("127.0.0.1:8765", "https://127.0.0.1:8765", False),
        ("127.0.0.1:8765", "http://evil.example", False),
        ("127.0.0.1:8765", "http://friend.example", False),
        ("127.0.0.1:8765", "https://friend.example.evil.example", False),
        ("127.0.0.1:8765", "null", False),
        ("127.0.0.1:8765", "", False),
        ("evil.example:8765", "http://evil.example:8765", False),  # a name made to lead here
        ("evil.example:8765", None, False),
        ("", None, False),
    ],
)
def test_only_known_origins_by_known_names_are_let_in(host: str, origin: str | None, is_let_in: bool) -> None:
    access = Access("box.lan", frozenset({"https://friend.example"}))
    assert (access.refusal(host, origin) is None) == is_let_in


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_a_page_from_elsewhere_gets_no_socket(headers: dict[str, str], served: Served) -> None:
    async def run() -> None:
        async with talking(served, headers=headers):
            pass

    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        asyncio.run(run())
    assert caught.value.status == 403


# Too much


def test_a_full_session_refuses_more_and_keeps_what_it_has(serve: Callable[..., Served]) -> None:
    served = serve(statements=2)

    async def run() -> None:
        async with welcomed(served) as talk:
            numbers = [(await talk.say(TEXT))["number"] for _ in range(2)]
            assert numbers == [1, 2]
            for _ in range(2):
                assert (await talk.say(TEXT, "9"))["kind"] == "session_full"
            await talk.send({"type": "bye"})
            assert (await talk.receive())["statements"] == 2

    asyncio.run(run())


def test_all_sessions_together_have_a_bound_and_give_back_what_they_held(
    serve: Callable[..., Served],
) -> None:
    served = serve(statements_in_all=2)

    async def run() -> None:
        async with welcomed(served) as one, welcomed(served) as other:
            assert (await one.say(TEXT))["number"] == 1
            assert (await other.say(TEXT))["number"] == 1
            assert (await other.say(TEXT))["kind"] == "server_full"

    asyncio.run(run())
    assert served.holds(sessions=0, statements=0)
    assert is_served(served)


def test_one_session_too_many_is_told_to_come_later(serve: Callable[..., Served]) -> None:
    served = serve(connections=1)

    async def run() -> None:
        async with welcomed(served):
            async with talking(served) as talk:
                assert (await talk.receive())["kind"] == "busy"
                assert (await talk.closed())[0] == 1013
            with pytest.raises(LiveError, match="accepts no more"):
                await LiveClient(served.url).__aenter__()

    asyncio.run(run())
    assert is_served(served)


@pytest.mark.parametrize("first_message", [None, {**HELLO, "token": "wrong"}])
def test_who_is_not_let_in_takes_no_session(first_message: Any, serve: Callable[..., Served]) -> None:
    served = serve(connections=2, token=TOKEN, hello_s=600, close_s=600)

    async def run() -> int:
        async with (
            talking(served, first_message),
            talking(served, first_message),
            LiveClient(served.url, token=TOKEN) as client,
        ):
            return (await client.check(TEXT)).number

    assert asyncio.run(run()) == 1


def test_of_too_many_that_say_nothing_the_oldest_is_hung_up_on(serve: Callable[..., Served]) -> None:
    served = serve(connections=2, hello_s=600)

    async def run(stack: contextlib.ExitStack) -> None:
        async with welcomed(served) as talk:
            silent = [
                stack.enter_context(socket.create_connection((HOST, served.port), timeout=PATIENCE_S))
                for _ in range(2 + 64 + 1)
            ]
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(silent[0].recv, 1) == b""
            assert (await talk.say(TEXT))["number"] == 1

    with contextlib.ExitStack() as stack:
        asyncio.run(run(stack))
        assert is_served(served)


def test_pings_are_answered_in_turn(served: Served) -> None:
    async def run() -> None:
        async with welcomed(served, autoping=False) as talk:
            await talk.send({"type": "statement", "id": "1", "text": TEXT})
            await talk.socket.ping(b"still there?")
            assert (await talk.receive())["id"] == "1"
            pong = await talk.socket.receive(timeout=PATIENCE_S)
            assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"still there?")

    asyncio.run(run())


# Clients that do not read, or go


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A client's frame with the mask 0."""
    assert len(payload) < 126
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


def bare_session(served: Served) -> socket.socket:
    """A session on a bare socket, that is greeted and has a small buffer for what it receives."""
    bare = socket.socket()
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    bare.settimeout(PATIENCE_S)
    bare.connect((HOST, served.port))
    head = f"GET /live HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    bare.sendall(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
    bare.sendall(frame(json.dumps(HELLO).encode()))
    received = b""
    while b'"type":"hello"' not in received:
        received += bare.recv(4096)
    return bare


@pytest.mark.slow
def test_who_does_not_read_is_told_why_it_was_closed_when_it_wakes_up(serve: Callable[..., Served]) -> None:
    served = serve(stall_s=0.1, close_s=PATIENCE_S, refusal_s=0.0)
    with bare_session(served) as bare:
        bare.sendall(frame(b"x") * 10_000)  # the errors are more than all buffers hold
        time.sleep(1.0)
        received = b""
        while STALLED not in received:
            received += bare.recv(65_536)
        bare.sendall(frame(b"", opcode=8))
    assert received.endswith(STALLED)
    assert served.holds(sessions=0, statements=0)


def flood(bare: socket.socket, frames: bytes) -> int:
    """Sends without reading, until no more is taken for a second; gives the bytes that were."""
    bare.settimeout(1.0)
    sent = 0
    with contextlib.suppress(TimeoutError, ConnectionError):
        while sent < 50_000_000:
            sent += bare.send(frames)
    return sent


@pytest.mark.slow
def test_who_never_reads_its_pongs_is_cut_off_and_others_are_served(serve: Callable[..., Served]) -> None:
    served = serve(stall_s=0.1, close_s=0.1)
    with bare_session(served) as bare:
        assert flood(bare, frame(b"", opcode=9) * 1_000) < 20_000_000
        assert is_served(served)
        assert served.holds(sessions=0, statements=0)
        watch = select.poll()
        watch.register(bare, select.POLLHUP)
        assert watch.poll(PATIENCE_S * 1000)


def test_who_vanishes_leaves_nothing_behind(served: Served) -> None:
    statements = b"".join(
        frame(json.dumps({"type": "statement", "id": str(i), "text": TEXT}).encode()) for i in range(6)
    )
    for _ in range(5):
        bare = bare_session(served)
        bare.sendall(statements)
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        bare.close()  # a reset
    half = bare_session(served)
    half.sendall(statements[:-5])
    half.close()
    assert is_served(served)
    assert served.holds(sessions=0, statements=0)


def test_a_stopping_server_answers_or_refuses_all_it_took_and_says_bye(serve: Callable[..., Served]) -> None:
    served = serve(waiting=200)

    async def run() -> list[dict[str, Any]]:
        async with welcomed(served) as talk:
            for number in range(MANY):
                await talk.send({"type": "statement", "id": str(number), "text": f"{TEXT} {number}"})
            assert await asyncio.to_thread(served.holds, 1, MANY)
            served.stop()
            return await all_until_bye(talk)

    *answers, bye = asyncio.run(run())
    assert bye == {"type": "bye", "reason": "stopping", "statements": MANY}
    assert [answer["id"] for answer in answers] == [str(number) for number in range(MANY)]
    assert {answer.get("kind") for answer in answers} == {None, "stopping"}


async def all_until_bye(talk: Talk) -> list[dict[str, Any]]:
    received = [await talk.receive()]
    while received[-1]["type"] != "bye":
        received.append(await talk.receive())
    assert (await talk.closed())[0] == 1001
    return received


def test_garbage_instead_of_http_is_a_bad_request(served: Served) -> None:
    with socket.create_connection((HOST, served.port), timeout=PATIENCE_S) as bare:
        bare.sendall(b"\x16\x03\x01 GARBAGE\r\n\r\n")
        assert b" 400 " in bare.recv(1_000)
    assert is_served(served)
