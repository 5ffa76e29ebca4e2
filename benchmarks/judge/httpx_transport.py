"""httpx as a transport, over aiohttp's connections: it knows proxies."""

from __future__ import annotations

import asyncio
import functools
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
import httpx
import httpx_aiohttp

from benchmarks.judge.aiohttp_transport import open_session
from benchmarks.judge.transports import (
    MAX_BODY_BYTES,
    HttpReply,
    check_size,
    decoded,
    ssl_context,
    timed_out,
    transport_error,
)

# UnicodeError: a reason phrase in other letters than UTF-8's, which httpx-aiohttp encodes again.
_ERRORS = (httpx.TransportError, httpx.InvalidURL, aiohttp.ClientError, OSError, UnicodeError)


class HttpxTransport:
    """httpx over aiohttp: httpx's own pool slows down with requests x connections.

    The pool has exactly as many connections as requests may be in flight, so that nothing ever queues in it.
    Requests go to the transport itself: redirects, cookies and authentication flows of a whole httpx client
    are not wanted here. Proxies and certificate authorities come from the usual environment variables.
    """

    def __init__(self, max_connections: int, *, proxies: bool = True) -> None:
        context = ssl_context()
        self._transport = httpx_aiohttp.AiohttpTransport(
            verify=context, client=functools.partial(open_session, max_connections, context)
        )
        self._proxy_of = functools.cache(_proxy_of) if proxies else lambda url: None
        # A run has one URL, and parsing it costs as much as sending.
        self._parse_url = functools.cache(httpx.URL)

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
            request = httpx.Request(method, self._parse_url(url), headers=headers, content=body)
            self._transport.proxy = self._proxy_of(url)  # the same for a whole run
            async with asyncio.timeout(timeout_s):  # the whole attempt; httpx bounds only its parts
                response = await self._transport.handle_async_request(request)
                try:
                    received = bytearray()
                    async for chunk in response.aiter_raw():
                        received += chunk
                        check_size(len(received), max_bytes)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise timed_out(timeout_s) from None
        except _ERRORS as error:
            raise transport_error(error) from None
        headers = {
            name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw
        }
        return HttpReply(response.status_code, headers, decoded(headers, bytes(received), max_bytes))

    async def aclose(self) -> None:
        await self._transport.aclose()


def _proxy_of(url: str) -> httpx.Proxy | None:
    """The proxy that the environment names for this address, if any."""
    parts = urlsplit(url)
    named = urllib.request.getproxies()
    proxy = named.get(parts.scheme) or named.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
