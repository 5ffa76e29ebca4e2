"""Live servers on loopback, each in a thread; a bare client that holds both sides to the schema."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from jsonschema import Draft202012Validator
from servers import HOST

from kimera.live.access import access_of
from kimera.live.capacity import LiveLimits
from kimera.live.contradictions import Found, NumberedStatement
from kimera.live.protocol import load_schema
from kimera.live.server import LiveServer
from kimera.live.session import ContradictionFinder, Session
from kimera.live.store import SessionStore

HELLO = {"type": "hello", "version": 1}
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Served:
    """A server that runs, and the end of it."""

    server: LiveServer
    port: int
    stop: Callable[[], None]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def holds(self, sessions: int, statements: int) -> bool:
        """Whether the server comes to hold so much."""
        wanted = {"sessions": sessions, "statements": statements}
        deadline = time.monotonic() + PATIENCE_S
        while self.server.held() != wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.server.held() == wanted


@contextlib.contextmanager
def serving(
    finder: ContradictionFinder,
    *,
    token: str | None = None,
    origins: tuple[str, ...] = (),
    store: SessionStore | None = None,
    **limits: Any,
) -> Iterator[Served]:
    started: list[Served] = []
    is_up = threading.Event()

    async def run() -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        server = LiveServer(finder, access_of(HOST, origins, token), LiveLimits(**limits), store)
        async with server.listening() as port:
            started.append(Served(server, port, lambda: loop.call_soon_threadsafe(stopped.set)))
            is_up.set()
            await stopped.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    assert is_up.wait(PATIENCE_S)
    try:
        yield started[0]
    finally:
        with contextlib.suppress(RuntimeError):  # its loop has ended already
            started[0].stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({**load_schema(), "$ref": f"#/$defs/{name}"})


FROM_CLIENT, FROM_SERVER = _validator("from_client"), _validator("from_server")


class Talk:
    """A bare WebSocket. What is received is validated; what is sent too, where it is sent as a message."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, message: dict[str, Any]) -> None:
        FROM_CLIENT.validate(message)
        await self.socket.send_str(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.receive_str(timeout=PATIENCE_S))
        FROM_SERVER.validate(message)
        return message

    async def say(self, text: str, id: str = "1") -> dict[str, Any]:
        await self.send({"type": "statement", "id": id, "text": text})
        return await self.receive()

    async def closed(self) -> tuple[int | None, str]:
        """(code, reason) of the end, which has to come next."""
        end = await self.socket.receive(timeout=PATIENCE_S)
        assert end.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), end
        return self.socket.close_code, end.extra or ""


@contextlib.asynccontextmanager
async def talking(served: Served, hello: Any = HELLO, **options: Any) -> AsyncIterator[Talk]:
    """A connection; hello: the first message, whose answer is left to be received; None for none."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{served.url}/live", **options) as socket,
    ):
        talk = Talk(socket)
        if hello is not None:
            await socket.send_str(json.dumps(hello))
        yield talk


@contextlib.asynccontextmanager
async def welcomed(served: Served, **options: Any) -> AsyncIterator[Talk]:
    """A connection that was let in."""
    async with talking(served, **options) as talk:
        assert (await talk.receive())["type"] == "hello"
        yield talk


class HeldFinder(ContradictionFinder):
    """Finds nothing, and that only once it is let go."""

    def __init__(self) -> None:
        self.is_asked, self.may_go = threading.Event(), threading.Event()

    def check(
        self,
        arrived: Sequence[tuple[Session, NumberedStatement]],
        on_read: Callable[[int, int], object] | None = None,
    ) -> list[Found]:
        self.is_asked.set()
        while not self.may_go.wait(0.01):
            if on_read:
                on_read(0, 1)
        return [Found([]) for _ in arrived]
