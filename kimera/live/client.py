"""A client in Python: statements out, answers in, one at a time or many on their way at once.

async with LiveClient("http://127.0.0.1:8765") as client:
    answer = await client.check("The office is closed on Fridays.")
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from dataclasses import dataclass
from typing import Self, TypeAlias

import aiohttp

from kimera.live.contradictions import Contradiction, NumberedStatement
from kimera.live.protocol import PATH, VERSION, Message, written

__all__ = ["Answer", "Checked", "LiveClient", "LiveError", "Refused"]

CONNECT_S = 30.0
BYE_S = 30.0


class LiveError(Exception):
    """kind: what the server says ("unauthorized", "busy", "too_long"; see docs/live.md), or "closed"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Checked:
    """number: of the statement in its session, from 1. contradictions: the greatest score first.

    latency_ms: from the statement's arrival at the server to the answer. failed: earlier statements that were
    candidates, and on which the server's detector gave no verdict.
    """

    number: int
    contradictions: tuple[Contradiction, ...]
    latency_ms: float
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A statement that the server did not take."""

    kind: str
    message: str


Answer: TypeAlias = Checked | Refused


class LiveClient:
    """One session. url: what `python -m kimera.live` prints. token: if the server wants one.

    session: the name of one that the server keeps; by default it is gone with the connection. statements: how
    many it had when the client came. limits: the server's, from its hello. Entering raises `LiveError` where
    the server cannot be reached or does not let the client in.
    """

    def __init__(self, url: str, *, token: str | None = None, session: str | None = None) -> None:
        if not url.startswith(("http://", "https://", "ws://", "wss://")):
            raise ValueError(
                f"{url!r} is not an address such as http://127.0.0.1:8765, as the server prints it"
            )
        self._url = f"{url.rstrip('/')}{PATH}"
        self._token = token
        self._session = session
        self.statements = 0
        self._awaited: deque[asyncio.Future[Answer]] = deque()
        self._sent = 0
        self._reading: asyncio.Task[None] | None = None
        self._is_over = False
        self._end = ("closed", "the connection was lost")
        self.limits: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S))
        try:
            async with asyncio.timeout(CONNECT_S):
                self._socket = await self._http.ws_connect(self._url, max_msg_size=0)
                self.limits = await self._greeted()
        except (aiohttp.ClientError, TimeoutError) as error:
            await self._http.close()
            raise LiveError("closed", f"{self._url} cannot be reached: {error or 'timeout'}") from None
        except BaseException:
            await self._http.close()
            raise
        self._places = asyncio.Semaphore(self.limits["waiting"])
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and not self._socket.closed and self._reading:
                await self._socket.send_str(written({"type": "bye"}))
                await asyncio.wait((self._reading,), timeout=BYE_S)
        except ConnectionError:
            pass  # it went first
        finally:
            if self._reading:
                self._reading.cancel()
            await self._socket.close()
            await self._http.close()

    async def check(self, text: str) -> Checked:
        """What contradicts this statement of those before it. Raises `LiveError` where it is refused."""
        answer = await (await self._send(text))
        if isinstance(answer, Refused):
            raise LiveError(answer.kind, answer.message)
        return answer

    async def check_all(self, texts: Iterable[str] | AsyncIterable[str]) -> AsyncGenerator[Answer]:
        """The answer to each statement, in their order, with as many on their way as the server allows.

        An answer is given when it is there, also while the next text is not. What is on its way when the
        connection ends is refused as "closed"; the next raises `LiveError`. What `texts` raises is raised
        after the answers to those before. Where the loop is left early the wait for the next text is
        cancelled; every text that was taken is sent.
        """
        on_their_way: asyncio.Queue[asyncio.Future[Answer] | None] = asyncio.Queue()
        places = asyncio.Semaphore(self.limits["waiting"])
        sending = asyncio.create_task(self._send_each(texts, places, on_their_way))
        try:
            while coming := await on_their_way.get():
                answer = await coming
                places.release()
                yield answer
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send_each(
        self,
        texts: Iterable[str] | AsyncIterable[str],
        places: asyncio.Semaphore,
        on_their_way: asyncio.Queue[asyncio.Future[Answer] | None],
    ) -> None:
        """Takes a text when there is a place for it; puts its answer to come, and None at the end."""
        try:
            await places.acquire()
            async with contextlib.aclosing(_each(texts)) as source:
                async for text in source:
                    sending = asyncio.create_task(self._send(text))
                    try:
                        on_their_way.put_nowait(await asyncio.shield(sending))
                    except asyncio.CancelledError:
                        await sending
                        raise
                    await places.acquire()
        finally:
            on_their_way.put_nowait(None)

    async def _greeted(self) -> dict[str, int]:
        told = {"token": self._token, "session": self._session}
        hello = {"type": "hello", "version": VERSION} | {name: text for name, text in told.items() if text}
        await self._socket.send_str(written(hello))
        message = await self._receive()
        if message is None or message["type"] != "hello":
            raise LiveError(*_end_of(message))
        self.statements = message.get("session", {}).get("statements", 0)
        return dict(message["limits"])

    async def _send(self, text: str) -> asyncio.Future[Answer]:
        await self._places.acquire()
        if self._is_over:
            self._places.release()
            raise LiveError(*self._end)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._awaited.append(answer)
        self._sent += 1
        with contextlib.suppress(ConnectionError):  # the reader finds out too
            await self._socket.send_str(written({"type": "statement", "id": str(self._sent), "text": text}))
        return answer

    async def _read(self) -> None:
        """Hands each answer to who awaits it: they come in the order of the statements."""
        try:
            while (message := await self._receive()) and message["type"] in ("checked", "error"):
                self._hand_over(_answer_of(message))
            self._end = _end_of(message)
        finally:
            self._is_over = True
            while self._awaited:
                self._hand_over(Refused(*self._end))

    def _hand_over(self, answer: Answer) -> None:
        awaited = self._awaited.popleft()
        self._places.release()
        if not awaited.done():
            awaited.set_result(answer)

    async def _receive(self) -> Message | None:
        """The next message, None where there is no more, or something else than a message."""
        received = await self._socket.receive()
        if received.type is not aiohttp.WSMsgType.TEXT:
            return None
        try:
            message = json.loads(received.data)
        except ValueError:
            return None
        return message if isinstance(message, dict) and "type" in message else None


def _answer_of(message: Message) -> Answer:
    if message["type"] == "error":
        return Refused(message["kind"], message["message"])
    contradictions = tuple(map(_contradiction, message["contradictions"]))
    return Checked(message["number"], contradictions, message["latency_ms"], message.get("failed", 0))


def _contradiction(sent: Message) -> Contradiction:
    both = {which: NumberedStatement(**sent[which]) for which in ("earlier", "later")}
    return Contradiction(**(sent | both))


def _end_of(message: Message | None) -> tuple[str, str]:
    """Kind and message, where no more answers come."""
    match message:
        case {"type": "error", "kind": kind, "message": text}:
            return kind, text
        case {"type": "bye", "reason": reason}:
            return "closed", f"the server ended the session: {reason}"
    return "closed", "the connection was lost"


async def _each(texts: Iterable[str] | AsyncIterable[str]) -> AsyncGenerator[str]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            yield text
    else:
        for text in texts:
            yield text
