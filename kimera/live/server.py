"""The server: the page, the WebSockets, and how many connections there may be."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias, cast

from aiohttp import web

from kimera.errors import UserError
from kimera.live.access import Access
from kimera.live.capacity import LiveLimits, Room
from kimera.live.checker import Checker
from kimera.live.connection import Connection
from kimera.live.metrics import CONTENT_TYPE
from kimera.live.protocol import CHECK_PATH, METRICS_PATH, PATH
from kimera.live.requests import RequestedCheck, preflight
from kimera.live.served_page import load_page
from kimera.live.session import ContradictionFinder, Session
from kimera.live.sessions import Sessions
from kimera.live.store import SessionStore

# A client that sends nothing is asked for a sign of life after so long, and closed after half as long again.
HEARTBEAT_S = 120.0
BYTES_TO_A_CLIENT = 2**16  # what the operating system holds for a client that does not read

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LiveServer:
    """Serves one finder to many sessions, each of one connection."""

    def __init__(
        self,
        finder: ContradictionFinder,
        access: Access,
        limits: LiveLimits,
        store: SessionStore | None = None,
    ) -> None:
        self._access = access
        self._limits = limits
        self._checker = Checker(finder)
        self._room = Room(limits.statements_in_all)
        self._named = Sessions(limits, self._room, partial(self._read, store) if store else None)
        self._page = load_page()
        self._connections: dict[Connection, asyncio.Task[None]] = {}  # and what serves them
        self._requests: set[asyncio.Task[Any] | None] = set()
        self._sessions: set[asyncio.Transport] = set()
        # Connections that have no session, the oldest first; and what closes those that send no request.
        self._ungreeted: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    async def _read(self, store: SessionStore, name: str) -> Session:
        return await self._checker.run(partial(store.read, name))

    def held(self) -> dict[str, int]:
        """What is held now: sessions, and the statements of all of them."""
        statements = self._limits.statements_in_all - self._room.left
        return {"sessions": len(self._sessions), "statements": statements}

    @contextlib.asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Serves for as long as the block lasts; gives the port, a free one for 0. For one use.

        At the end what is being computed is answered, unless it takes over `LiveLimits.stop_s`; what waits
        is refused, and every client is told.
        Raises `UserError` where the port or the host cannot be had.
        """
        async with self._checker, self._set_up() as http:
            listener = await self._bound(http, port)
            try:
                yield listener.sockets[0].getsockname()[1]
            finally:
                listener.close()
                await self._say_bye()

    @contextlib.asynccontextmanager
    async def _set_up(self) -> AsyncIterator[web.Server]:
        @web.middleware
        async def admitting(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._admitted(request, handler)

        app = web.Application(middlewares=[admitting])
        app.router.add_get("/", self._show_page)
        app.router.add_get(PATH, self._talk)
        app.router.add_post(CHECK_PATH, self._check)
        app.router.add_get(METRICS_PATH, self._show_metrics)
        app.router.add_options(CHECK_PATH, preflight)
        # A client that hangs up ends what is done for it.
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=self._limits.close_s
        )
        await runner.setup()
        try:
            yield cast(web.Server, runner.server)
        finally:
            await runner.cleanup()

    async def _bound(self, http: web.Server, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                lambda: _Door(partial(self._new_connection, http)), self._access.host, port
            )
        except (OSError, OverflowError) as error:
            raise UserError(
                f"{self._access.host}, port {port}, cannot be used ({error}); choose another with --host or "
                "--port, where 0 is any free port"
            ) from None

    def _new_connection(self, http: web.Server, transport: asyncio.Transport) -> asyncio.Protocol:
        """What talks to it. It is closed where it says nothing for a while.

        Where too many have no session, the oldest of these is hung up on, which had the most time for its
        hello: clients that say nothing do not keep others out.
        """
        for gone in [other for other in self._ungreeted if other.is_closing()]:
            self._ungreeted.pop(gone).cancel()
        if len(self._ungreeted) >= self._limits.ungreeted:
            next(iter(self._ungreeted)).abort()
        timer = asyncio.get_running_loop().call_later(self._limits.hello_s, transport.close)
        self._ungreeted[transport] = timer
        return http()

    def _enter(self, transport: asyncio.Transport) -> bool:
        """A session for who has said hello, if there is one."""
        if len(self._sessions) >= self._limits.connections:
            return False
        self._ungreeted.pop(transport, None)
        self._sessions.add(transport)
        return True

    async def _admitted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.transport in self._ungreeted:
            self._ungreeted[request.transport].cancel()
        request.protocol.keep_alive(False)  # a request a connection: the next could be awaited for ever
        if reason := self._access.refusal(request.host, request.headers.get("Origin")):
            return web.Response(status=403, text=f"{reason}\n")
        return await handler(request)

    async def _show_metrics(self, request: web.Request) -> web.Response:
        if not self._access.admits_bearer(request.headers.get("Authorization")):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        text = self._checker.metrics.text(self.held())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _check(self, request: web.Request) -> web.Response:
        """One statement by a request, which counts as a session for as long as it lasts."""
        if request.transport is None:
            return web.Response()  # gone
        enter = partial(self._enter, request.transport)
        check = RequestedCheck(self._checker, self._access, self._limits, self._named, enter)
        task = asyncio.current_task()
        try:
            self._requests.add(task)
            return await check.answer(request)
        finally:
            self._requests.discard(task)
            self._sessions.discard(request.transport)

    async def _show_page(self, _: web.Request) -> web.Response:
        return web.Response(text=self._page.body, content_type="text/html", headers=self._page.headers)

    async def _talk(self, request: web.Request) -> web.WebSocketResponse:
        talk = web.WebSocketResponse(
            autoping=False,  # a pong waits its turn, like all that is sent
            compress=False,
            heartbeat=HEARTBEAT_S,
            max_msg_size=self._limits.message_bytes,
            timeout=self._limits.close_s,
            writer_limit=0,  # every message waits until the client takes some, or the next could not
        )
        await talk.prepare(request)
        if request.transport is None:
            return talk  # gone
        transport = request.transport
        _bound_kernel_buffer(transport)
        enter = partial(self._enter, transport)
        connection = Connection(
            talk, transport, self._checker, self._access, self._limits, self._named, enter
        )
        try:
            self._connections[connection] = asyncio.create_task(connection.serve())
            await self._connections[connection]
        finally:
            del self._connections[connection]
            self._sessions.discard(transport)
            asyncio.get_running_loop().call_later(self._limits.close_s, _drop_unsent, transport)
        return talk

    async def _say_bye(self) -> None:
        """Before aiohttp stops, which would not hear the clients' answers any more."""
        self._checker.stop()
        for connection in self._connections:
            connection.stop()
        await self._wait_for_ends(self._limits.stop_s)
        self._checker.give_up()
        await self._wait_for_ends(self._limits.close_s)

    async def _wait_for_ends(self, timeout_s: float) -> None:
        if ending := {*self._connections.values(), *filter(None, self._requests)}:
            await asyncio.wait(ending, timeout=timeout_s)


def _bound_kernel_buffer(transport: asyncio.Transport) -> None:
    kernel = transport.get_extra_info("socket")
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BYTES_TO_A_CLIENT)


def _drop_unsent(transport: asyncio.Transport) -> None:
    """What nobody reads would keep its connection open for ever."""
    if transport.get_write_buffer_size():
        transport.abort()


class _Door(asyncio.Protocol):
    """Leaves a new connection to what `enter` gives."""

    def __init__(self, enter: Callable[[asyncio.Transport], asyncio.Protocol]) -> None:
        self._enter = enter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connected = cast(asyncio.Transport, transport)
        protocol = self._enter(connected)
        connected.set_protocol(protocol)
        protocol.connection_made(connected)
