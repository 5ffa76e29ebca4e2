"""The server: the page, the WebSockets, and how many connections there may be."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, cast

from aiohttp import web

from kimera.errors import UserError
from kimera.live.access import Access
from kimera.live.checker import Checker
from kimera.live.connection import Connection
from kimera.live.limits import Limits, Room
from kimera.live.page import load_page
from kimera.live.protocol import PATH
from kimera.live.session import Detector

# A client that sends nothing is asked for a sign of life after so long, and closed after half as long again.
HEARTBEAT_S = 120.0
STOP_S = 5.0  # for what is being computed when the server stops
SPARE_CONNECTIONS = 64  # beside the sessions', for the page and for those who are refused
BYTES_TO_A_CLIENT = 2**16  # what the operating system holds for a client that does not read

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LiveServer:
    """Serves one detector to many sessions, each of one connection."""

    def __init__(self, detector: Detector, access: Access, limits: Limits) -> None:
        self._access = access
        self._limits = limits
        self._checker = Checker(detector)
        self._room = Room(limits.statements_in_all)
        self._page = load_page()
        self._connections: dict[Connection, asyncio.Task[None]] = {}  # and what serves them
        self._silent: set[web.RequestHandler] = set()

    def held(self) -> dict[str, int]:
        """What is held now: sessions, and the statements of all of them."""
        statements = self._limits.statements_in_all - self._room.left
        return {"sessions": len(self._connections), "statements": statements}

    @contextlib.asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Serves for as long as the block lasts; gives the port, a free one for 0. For one use.

        At the end what is being computed is answered, what waits is refused, and every client is told.
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
            return await loop.create_server(lambda: self._new_connection(http), self._access.host, port)
        except (OSError, OverflowError) as error:
            raise UserError(
                f"{self._access.host}, port {port}, cannot be had ({error}); choose another with --host or "
                "--port, where 0 is any free port"
            ) from None

    def _new_connection(self, http: web.Server) -> asyncio.Protocol:
        """What talks to it. One too many is closed at once, and one that says nothing after a while."""
        known = max(len(http.connections), len(self._silent))  # of many at once only the latter knows yet
        if known >= self._limits.connections + SPARE_CONNECTIONS:
            return _Refusing()
        connection = http()
        self._silent.add(connection)
        asyncio.get_running_loop().call_later(self._limits.hello_s, self._close_silent, connection)
        return connection

    def _close_silent(self, connection: web.RequestHandler) -> None:
        if connection in self._silent:
            self._silent.discard(connection)
            connection.force_close()

    async def _admitted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._silent.discard(request.protocol)
        request.protocol.keep_alive(False)  # a request a connection: the next could be awaited for ever
        if told := self._access.refusal(request.host, request.headers.get("Origin")):
            return web.Response(status=403, text=f"{told}\n")
        return await handler(request)

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
        connection = Connection(talk, transport, self._checker, self._access, self._limits, self._room)
        try:
            if len(self._connections) >= self._limits.connections:
                await connection.turn_away()
            else:
                self._connections[connection] = asyncio.create_task(connection.serve())
                await self._connections[connection]
        finally:
            self._connections.pop(connection, None)
            asyncio.get_running_loop().call_later(self._limits.close_s, _drop_unsent, transport)
        return talk

    async def _say_bye(self) -> None:
        """Before aiohttp stops, which would not hear the clients' answers any more."""
        self._checker.refuse_waiting()
        for connection in self._connections:
            connection.stop()
        if self._connections:
            await asyncio.wait(self._connections.values(), timeout=STOP_S)


def _bound_kernel_buffer(transport: asyncio.Transport) -> None:
    kernel = transport.get_extra_info("socket")
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BYTES_TO_A_CLIENT)


def _drop_unsent(transport: asyncio.Transport) -> None:
    """What nobody reads would keep its connection open for ever."""
    if transport.get_write_buffer_size():
        transport.abort()


class _Refusing(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()
