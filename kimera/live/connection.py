"""One client: its messages in, the answers out in the same order, and no more of either than it may have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from kimera.live import protocol
from kimera.live.access import Access
from kimera.live.capacity import LiveLimits
from kimera.live.checker import Checker
from kimera.live.contradictions import NumberedStatement
from kimera.live.protocol import ProtocolError
from kimera.live.session import Session
from kimera.live.sessions import Sessions

MAX_BYTES_OF_A_REASON = 123  # RFC 6455, 5.5
STALLED = "stalled: the answers were not read"
GONE = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


@dataclass(frozen=True, slots=True)
class _End:
    """The last message, then the connection closes with this code."""

    message: protocol.Message
    code: WSCloseCode


# What is still to be sent: a message, one to come, a pong.
_Item: TypeAlias = protocol.Message | asyncio.Future[protocol.Message] | bytes | _End


class Connection:
    """Reads as long as fewer than `limits.waiting` messages wait for their answers to be sent.

    A client that does not read its answers is thus not read either, and after `limits.stall_s` closed.
    enter: asked once the client has said hello; whether there is a session for it.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        checker: Checker,
        access: Access,
        limits: LiveLimits,
        sessions: Sessions,
        enter: Callable[[], bool],
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._checker = checker
        self._access = access
        self._limits = limits
        self._sessions = sessions
        self._enter = enter
        self._session: Session | None = None
        self._places = asyncio.Semaphore(limits.waiting)
        self._outbox: asyncio.Queue[_Item] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self._is_ending = False
        self._giving_up: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Until the client has said bye, is gone, or is closed."""
        try:
            if await self._is_welcome():
                await self._talk()
        except ConnectionError:
            pass  # gone, or given up
        finally:
            if self._session:
                self._sessions.leave(self._session)

    def stop(self) -> None:
        """Read no more; send what is answered, say bye and close. For the end of the server."""
        if self._reading is None:
            self._transport.close()  # it has not said hello
        elif not self._is_ending:
            self._outbox.put_nowait(self._end("stopping", WSCloseCode.GOING_AWAY))
            self._reading.cancel()

    async def _is_welcome(self) -> bool:
        """Whether the client's first message is a hello that is let in. It is answered either way."""
        try:
            async with asyncio.timeout(self._limits.hello_s):
                received = await self._socket.receive()
            self._session = session = await self._session_for(received)
        except TimeoutError:
            refusal = ProtocolError("no_hello", f"no hello came within {self._limits.hello_s:g} s")
        except ProtocolError as error:
            refusal = error
        else:
            await self._send(protocol.hello(self._limits, session.name, session.taken))
            return True
        code = WSCloseCode.TRY_AGAIN_LATER if refusal.kind == "busy" else WSCloseCode.POLICY_VIOLATION
        await self._send(protocol.error(refusal.kind, str(refusal)))
        await self._close(code, str(refusal))
        return False

    async def _session_for(self, received: WSMessage) -> Session:
        message = protocol.read(_text(received), self._limits)
        if not isinstance(message, protocol.Hello):
            raise ProtocolError("no_hello", "the first message has to be a hello")
        if not self._access.admits(message.token):
            raise ProtocolError("unauthorized", "the token is missing or wrong")
        if not self._enter():
            raise ProtocolError(
                "busy",
                f"the server has {self._limits.connections} sessions and accepts no more; try again later",
            )
        return await self._sessions.enter(message.session)

    async def _talk(self) -> None:
        self._reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._write())
        try:
            await asyncio.wait((self._reading, writing), return_when=asyncio.FIRST_COMPLETED)
            if writing.done() or self._is_ending:
                await self._close(await writing)
            else:
                self._reading.result()
        finally:
            self._reading.cancel()
            writing.cancel()
            self._forget_waiting()

    async def _read(self) -> None:
        """Until the client says bye or is gone."""
        while not self._is_ending:
            await self._places.acquire()
            received = await self._socket.receive()
            if received.type in GONE:
                return
            if received.type is WSMsgType.PONG:
                self._places.release()
                continue
            item = self._item_for(received)
            self._outbox.put_nowait(item)
            if isinstance(item, dict):
                await asyncio.sleep(self._limits.refusal_s)

    async def _write(self) -> WSCloseCode:
        """Until the end; gives the code to close with."""
        while not isinstance(item := await self._outbox.get(), _End):
            await self._send(await item if isinstance(item, asyncio.Future) else item)
            self._places.release()
        await self._send(item.message)
        return item.code

    def _item_for(self, received: WSMessage) -> _Item:
        if received.type is WSMsgType.PING:
            return bytes(received.data)
        try:
            message = protocol.read(_text(received), self._limits)
            match message:
                case protocol.Offered():
                    return self._take(message)
                case protocol.Bye():
                    return self._end("bye", WSCloseCode.OK)
            raise ProtocolError("second_hello", "only the first message is a hello")
        except ProtocolError as error:
            refused = protocol.error(error.kind, str(error), error.id)
            self._checker.metrics.count(refused)
            return refused

    def _take(self, offered: protocol.Offered) -> asyncio.Future[protocol.Message]:
        session = self._welcomed
        number = self._sessions.take(session, offered.id)
        return self._checker.check(session, NumberedStatement(number, offered.id, offered.text))

    @property
    def _welcomed(self) -> Session:
        if self._session is None:
            raise RuntimeError("the client has not been let in")
        return self._session

    def _end(self, reason: str, code: WSCloseCode) -> _End:
        self._is_ending = True
        return _End(protocol.bye(reason, self._welcomed.taken), code)

    def _forget_waiting(self) -> None:
        """What was not checked yet need not be."""
        while not self._outbox.empty():
            if isinstance(item := self._outbox.get_nowait(), asyncio.Future):
                item.cancel()

    async def _send(self, item: protocol.Message | bytes) -> None:
        """Raises ConnectionError where the client is gone, or does not take it in time."""
        # Not asyncio.timeout: a cancelled wait for the socket would cancel every later one too.
        timer = asyncio.get_running_loop().call_later(self._limits.stall_s, self._give_up)
        try:
            if isinstance(item, bytes):
                await self._socket.pong(item)
            else:
                await self._socket.send_str(protocol.written(item))
        finally:
            timer.cancel()
        if self._giving_up:
            raise ConnectionAbortedError

    def _give_up(self) -> None:
        """The reason goes after what is unread; a client that wakes up soon still sees it."""
        self._giving_up = asyncio.create_task(self._close(WSCloseCode.POLICY_VIOLATION, STALLED))

    async def _close(self, code: WSCloseCode, reason: str = "") -> None:
        timer = asyncio.get_running_loop().call_later(self._limits.close_s, self._transport.abort)
        try:
            await self._socket.close(code=code, message=reason.encode()[:MAX_BYTES_OF_A_REASON])
        finally:
            timer.cancel()


def _text(received: WSMessage) -> str:
    if received.type in GONE:
        raise ConnectionResetError
    if received.type is not WSMsgType.TEXT:
        raise ProtocolError("not_text", "this is not a text message; send JSON as text")
    return str(received.data)
