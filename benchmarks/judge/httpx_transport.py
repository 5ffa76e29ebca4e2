"""httpx as a transport, over aiohttp's connections: it knows proxies."""

from __future__ import annotations

import functools
import urllib.request
from urllib.parse import urlsplit

import aiohttp
import httpx
import httpx_aiohttp

from benchmarks.judge.aiohttp_transport import open_session
from benchmarks.judge.transports import HttpReply, HttpRequest, HttpTransport, check_size, ssl_context


class HttpxTransport(HttpTransport):
    """httpx over aiohttp: httpx's own pool slows down with requests x connections.

    The pool has exactly as many connections as requests may be in flight, so that nothing ever queues in it.
    Requests go to the transport itself: redirects, cookies and authentication flows of a whole httpx client
    are not wanted here. Proxies and certificate authorities come from the usual environment variables.
    """

    # UnicodeError: a reason phrase in other letters than UTF-8's, which httpx-aiohttp encodes again.
    errors = (httpx.TransportError, httpx.InvalidURL, aiohttp.ClientError, OSError, UnicodeError)

    def __init__(self, max_connections: int) -> None:
        context = ssl_context()
        self._transport = httpx_aiohttp.AiohttpTransport(
            verify=context, client=functools.partial(open_session, max_connections, context)
        )
        self._proxy_of = functools.cache(_proxy_of)
        # A run has one URL, and parsing it costs as much as sending.
        self._parse_url = functools.cache(httpx.URL)

    async def round_trip(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpReply:
        method, url, headers, body = request
        asked = httpx.Request(method, self._parse_url(url), headers=headers, content=body)
        self._transport.proxy = self._proxy_of(url)  # the same for a whole run
        response = await self._transport.handle_async_request(asked)
        try:
            received = bytearray()
            async for chunk in response.aiter_raw():
                received += chunk
                check_size(len(received), max_bytes)
        finally:
            await response.aclose()
        told = {
            name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw
        }
        return HttpReply(response.status_code, told, bytes(received))

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
