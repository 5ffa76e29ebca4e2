"""aiohttp's own session as a transport: what lies between it and the wire costs the least."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import aiohttp

from benchmarks.judge.transports import (
    MAX_BODY_BYTES,
    HttpReply,
    check_size,
    decoded,
    ssl_context,
    timed_out,
    transport_error,
)

_NOT_OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class AiohttpTransport:
    """As many connections as requests may be in flight, so that nothing ever queues for one.

    Nothing comes from the environment, no proxy either: aiohttp would take a user name from .netrc as well.
    """

    def __init__(self, max_connections: int) -> None:
        """To be called inside the event loop."""
        self._session = open_session(max_connections, ssl_context())

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> HttpReply:
        return await self._exchange("POST", url, headers, body, timeout_s)

    async def get(
        self, url: str, headers: Mapping[str, str], timeout_s: float, max_bytes: int = MAX_BODY_BYTES
    ) -> HttpReply:
        return await self._exchange("GET", url, headers, None, timeout_s, max_bytes)

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> HttpReply:
        try:
            async with (
                asyncio.timeout(timeout_s),  # the whole attempt; aiohttp's own are of its parts
                self._session.request(
                    method, url, headers=headers, data=body, allow_redirects=False
                ) as response,
            ):
                received = await _body_of(response, max_bytes)
        except TimeoutError:
            raise timed_out(timeout_s) from None
        # UnicodeError: a host or a header in letters that neither may have; ValueError: no address at all.
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise transport_error(error) from None
        told = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.raw_headers
        }
        return HttpReply(response.status, told, decoded(told, received, max_bytes))

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


def open_session(max_connections: int, context: ssl.SSLContext) -> aiohttp.ClientSession:
    """Without the environment, cookies, or headers and decoding of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=max_connections, ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        auto_decompress=False,
        skip_auto_headers=_NOT_OURS,
    )
