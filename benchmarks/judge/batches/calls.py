"""Calls to a batch API, which has hours: faults, limits and a network that is gone are waited out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.judge.failures import JudgeError, kind_of
from benchmarks.judge.transports import MAX_BODY_BYTES, HttpReply, Transport
from benchmarks.judge.waits import server_wait_s

JSON_TYPE = "application/json"
MAX_SHOWN = 300
BYTES_PER_S = 1e5  # of the slowest connection on which a large file still comes through


class RefusedCallError(Exception):
    """The API has refused a call, and would refuse it again."""

    def __init__(self, call: str, reply: HttpReply) -> None:
        super().__init__(f"{call} was refused with {reply.status}: {shown(reply.body)}")
        self.reply = reply


@dataclass(frozen=True)
class Patience:
    """Seconds between tries of a call, doubled each time, and after how many without any reply it is over."""

    first_s: float = 0.5
    longest_s: float = 60.0
    gives_up_s: float = 900.0


class Calls:
    """Gets and posts over a transport, with the headers that the API wants.

    say: is told once for each call what it waits for. clean: takes secrets out of what a server quotes.
    """

    def __init__(
        self,
        transport: Transport,
        headers: Mapping[str, str],
        timeout_s: float,
        say: Callable[[str], None] = lambda message: None,
        patience: Patience | None = None,
        clean: Callable[[bytes], bytes] = lambda body: body,
    ) -> None:
        self._transport = transport
        self._headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        self._timeout_s = timeout_s
        self._say = say
        self._patience = patience or Patience()
        self._clean = clean

    async def get(self, url: str, max_bytes: int = MAX_BODY_BYTES) -> bytes:
        """The body. Raises RefusedCallError, or JudgeError "unreachable" where nobody replies for long."""
        timeout_s = self._timeout_s_for(max_bytes)
        return await self._call(
            f"GET {url}", lambda: self._transport.get(url, self._headers, timeout_s, max_bytes)
        )

    async def post(
        self, url: str, body: bytes, content_type: str = JSON_TYPE, *, repeats: bool = True
    ) -> bytes:
        """The same for a post. repeats: whether it may be made twice.

        If not, it is sent again only after a reply which says that nothing was done; a JudgeError of a
        silence or a fault then says that nobody knows.
        """
        headers = {**self._headers, "Content-Type": content_type}
        timeout_s = self._timeout_s_for(len(body))
        return await self._call(
            f"POST {url}", lambda: self._transport.post(url, headers, body, timeout_s), repeats=repeats
        )

    def _timeout_s_for(self, size: int) -> float:
        return self._timeout_s + size / BYTES_PER_S

    async def _call(
        self, call: str, send: Callable[[], Awaitable[HttpReply]], *, repeats: bool = True
    ) -> bytes:
        heard = time.monotonic()
        is_told = False
        waits = doubling_waits(self._patience.first_s, self._patience.longest_s)
        while True:
            asked_s = 0.0
            try:
                reply = await send()
            except JudgeError as error:
                if not (repeats and kind_of(error.kind).is_silence):
                    raise
                trouble = error.message
                if time.monotonic() - heard > self._patience.gives_up_s:
                    raise error.but(kind="unreachable", message=f"{call}: {trouble}") from None
            else:
                if reply.status < 300:
                    return reply.body
                reply = replace(reply, body=self._clean(reply.body))  # before a part of a key is cut off
                heard = time.monotonic()
                trouble = f"{reply.status}: {shown(reply.body)}"
                if _is_fault(reply) and not repeats:
                    raise JudgeError("server_error", f"{call}: {trouble}")
                if not (_is_fault(reply) or _is_limit(reply)):
                    raise RefusedCallError(call, reply)
                asked_s = server_wait_s(reply.headers, time.time(), limited=reply.status == 429) or 0.0
            if not is_told:
                is_told = True
                self._say(f"{call}: {trouble}; trying again until it works")
            await asyncio.sleep(max(asked_s, next(waits)))


def doubling_waits(first_s: float, longest_s: float) -> Iterator[float]:
    """Seconds, without an end."""
    wait_s = first_s
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, longest_s)


def lines_in(body: bytes, *needed: str) -> Iterator[dict[str, Any]]:
    """The objects that the lines of a file are; raises as `told_in`, for a line that is torn too."""
    return (told_in(line, *needed) for line in body.splitlines() if line.strip())


def told_in(body: bytes, *needed: str) -> dict[str, Any]:
    """The object that a reply is. Raises JudgeError "bad_response" for what is none, or lacks what is needed.

    A proxy's page, with a status that says all is well, comes here too.
    """
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not all(told.get(name) is not None for name in needed):
        raise JudgeError("bad_response", f"this is no reply of a batch API: {shown(body)}")
    return told


def id_in(told: Mapping[str, Any]) -> str:
    """The id of what was made, which becomes a part of addresses. Raises JudgeError "bad_response"."""
    with as_documented(told):
        if not re.fullmatch(r"[\w.:-]+", told["id"], re.ASCII):
            raise ValueError
        return str(told["id"])


@contextlib.contextmanager
def as_documented(told: object) -> Iterator[None]:
    """Reads what an API told. Raises JudgeError "bad_response" where a part of it is missing or mistyped."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        said = shown(json.dumps(told).encode())
        raise JudgeError("bad_response", f"this is no reply of a batch API: {said}") from None


def _is_fault(reply: HttpReply) -> bool:
    return reply.status >= 500 or reply.status == 408


def _is_limit(reply: HttpReply) -> bool:
    """One that lifts, and not an account without credit."""
    return reply.status == 429 and b"insufficient_quota" not in reply.body


def shown(body: bytes) -> str:
    """The beginning of what a body says, on one line."""
    return " ".join(body[:MAX_SHOWN].decode("utf-8", "replace").split())
