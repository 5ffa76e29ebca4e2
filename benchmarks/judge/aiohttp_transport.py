"""aiohttp's own session as a transport: what lies between it and the wire costs the least."""

from __future__ import annotations

import ssl
from typing import Literal

import aiohttp

from benchmarks.judge.transports import HttpReply, HttpRequest, HttpTransport, check_size, ssl_context


class AiohttpTransport(HttpTransport):
    """As many connections as requests may be in flight, so that nothing ever queues for one.

    Nothing comes from the environment, no proxy either: aiohttp would take a user name from .netrc as well.
    """

    # UnicodeError, a ValueError: a host or a header in letters that neither may have; no address at all.
    errors = (aiohttp.ClientError, OSError, ValueError)

    def __init__(self, max_connections: int, *, tls: bool = True) -> None:
        """To be called inside the event loop. tls: see `open_transport`; aiohttp's own verifies as well."""
        self._session = open_session(max_connections, ssl_context() if tls else True)

    async def round_trip(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpReply:
        method, url, headers, body = request
        async with self._session.request(
            method, url, headers=headers, data=body, allow_redirects=False
        ) as response:
            received = await _body_of(response, max_bytes)
        told = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.raw_headers
        }
        return HttpReply(response.status, told, received)

    async def aclose(self) -> None:
        await self._session.close()


async def _body_of(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if response.content_length is not None and response.content_length <= max_bytes:
        return await response.read()
    received = bytearray()
    async for chunk in response.content.iter_any():
        received += chunk
        check_size(len(received), max_bytes)
    return bytes(received)


def open_session(max_connections: int, context: ssl.SSLContext | Literal[True]) -> aiohttp.ClientSession:
    """Without the environment, cookies, or decoding of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=max_connections, ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        auto_decompress=False,
    )
