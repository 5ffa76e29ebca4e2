"""How a request reaches an endpoint: over httpx, or over urllib where httpx is not installed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import importlib.util
import ssl
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from benchmarks.judge.failures import JudgeError
from kimera.errors import UserError

if TYPE_CHECKING:
    import aiohttp
    import httpx

MAX_BODY_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class HttpReply:
    """headers: with names in lower case. name: of the request in its batch, where it was one of a batch."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    name: str = ""


class Transport(Protocol):
    """Posts or gets once. Raises JudgeError of kind "timeout", "connection" or "tls"; never retries."""

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> HttpReply: ...

    async def get(
        self, url: str, headers: Mapping[str, str], timeout_s: float, max_bytes: int = MAX_BODY_BYTES
    ) -> HttpReply:
        """max_bytes: of the reply's body; a longer one is an error of kind "bad_response"."""
        ...

    async def aclose(self) -> None: ...


def httpx_available() -> bool:
    """Whether httpx and its aiohttp transport are installed."""
    return all(importlib.util.find_spec(name) for name in ("httpx", "httpx_aiohttp"))


def open_transport(max_connections: int, *, proxies: bool = True) -> Transport:
    """The best transport there is. proxies: whether those that the environment names are used."""
    return (
        HttpxTransport(max_connections, proxies=proxies)
        if httpx_available()
        else UrllibTransport(proxies=proxies)
    )


class HttpxTransport:
    """httpx over aiohttp: httpx's own pool slows down with requests x connections.

    The pool has exactly as many connections as requests may be in flight, so that nothing ever queues in it.
    Requests go to the transport itself: redirects, cookies and authentication flows of a whole httpx client
    are not wanted here. Proxies and certificate authorities come from the usual environment variables.
    """

    def __init__(self, max_connections: int, *, proxies: bool = True) -> None:
        # They take long, and urllib does without.
        import aiohttp
        import httpx
        import httpx_aiohttp

        self._httpx = httpx
        # UnicodeError: a reason phrase in other letters than UTF-8's, which httpx-aiohttp encodes again.
        self._errors = (httpx.TransportError, httpx.InvalidURL, aiohttp.ClientError, OSError, UnicodeError)
        context = _ssl_context()
        self._transport = httpx_aiohttp.AiohttpTransport(
            verify=context, client=functools.partial(_open_session, max_connections, context)
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
            request = self._httpx.Request(method, self._parse_url(url), headers=headers, content=body)
            self._transport.proxy = self._proxy_of(url)  # the same for a whole run
            async with asyncio.timeout(timeout_s):  # the whole attempt; httpx bounds only its parts
                response = await self._transport.handle_async_request(request)
                try:
                    received = bytearray()
                    async for chunk in response.aiter_raw():
                        received += chunk
                        _check_size(len(received), max_bytes)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise JudgeError("timeout", f"no whole reply within {timeout_s:g} s") from None
        except self._errors as error:
            raise _transport_error(error) from None
        headers = {
            name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw
        }
        return HttpReply(response.status_code, headers, _decoded(headers, bytes(received), max_bytes))

    async def aclose(self) -> None:
        await self._transport.aclose()


def _open_session(max_connections: int, context: ssl.SSLContext) -> aiohttp.ClientSession:
    """Without the environment: aiohttp would take a user name from .netrc as well."""
    import aiohttp  # as above

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=max_connections, ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _ssl_context() -> ssl.SSLContext:
    """Raises UserError where SSL_CERT_FILE or SSL_CERT_DIR names what cannot be read."""
    import httpx  # as above

    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise UserError(
            f"SSL_CERT_FILE or SSL_CERT_DIR names no certificates that can be read: {error}"
        ) from None


def _proxy_of(url: str) -> httpx.Proxy | None:
    """The proxy that the environment names for this address, if any."""
    import httpx  # as above

    parts = urlsplit(url)
    named = urllib.request.getproxies()
    proxy = named.get(parts.scheme) or named.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")


def _decoded(headers: Mapping[str, str], body: bytes, max_bytes: int) -> bytes:
    """The body without a compression that was not asked for; what cannot be decoded stays as it is."""
    if headers.get("content-encoding", "").strip().lower() not in {"gzip", "x-gzip", "deflate"}:
        return body
    try:
        decoded = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, max_bytes + 1)
    except zlib.error:
        return body
    _check_size(len(decoded), max_bytes)
    return decoded


class UrllibTransport:
    """The standard library's client on a thread: one request at a time, a connection each."""

    def __init__(self, *, proxies: bool = True) -> None:
        no_proxies = () if proxies else (urllib.request.ProxyHandler({}),)
        self._opener = urllib.request.build_opener(_NoRedirects, *no_proxies)

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
        request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310
        try:
            async with asyncio.timeout(timeout_s):  # urllib's own bound is one for each read
                return await _in_daemon_thread(functools.partial(self._send, request, timeout_s, max_bytes))
        except TimeoutError:
            raise JudgeError("timeout", f"no whole reply within {timeout_s:g} s") from None

    def _send(self, request: urllib.request.Request, timeout_s: float, max_bytes: int) -> HttpReply:
        try:
            try:
                response = self._opener.open(request, timeout=timeout_s)
            except urllib.error.HTTPError as error:  # any status but 2xx: a reply all the same
                response = error
            with response:
                body = response.read(max_bytes + 1)
                headers = {name.lower(): value for name, value in response.headers.items()}
                status = response.status
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(getattr(error, "reason", None), TimeoutError):
                raise TimeoutError from None
            raise _transport_error(error) from None
        _check_size(len(body), max_bytes)
        promised = headers.get("content-length", "")
        if promised.isdigit() and len(body) < int(promised):  # read(amount) does not tell
            raise JudgeError("connection", f"the reply ended after {len(body)} of {promised} bytes")
        return HttpReply(status, headers, _decoded(headers, body, max_bytes))

    async def aclose(self) -> None:
        self._opener.close()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another place; it is reported as a wrong URL instead."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise JudgeError("bad_response", f"the reply is longer than {most} bytes", status=200)


def _transport_error(error: BaseException) -> JudgeError:
    chain = [error]
    while (below := chain[-1].__cause__ or getattr(chain[-1], "reason", None)) and isinstance(
        below, BaseException
    ):
        chain.append(below)
    text = " ".join(str(chain[-1]).split())[:2000] or type(chain[-1]).__name__
    refused = any(isinstance(link, ssl.SSLCertVerificationError) or _is_certificate(link) for link in chain)
    return JudgeError("tls" if refused else "connection", text)


def _is_certificate(error: BaseException) -> bool:
    """aiohttp wraps the error of a certificate in one of its own, without a cause."""
    return isinstance(getattr(error, "certificate_error", None), Exception)


async def _in_daemon_thread(work: Callable[[], HttpReply]) -> HttpReply:
    """The result of a blocking call. Unlike an executor's, its thread keeps no program from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[HttpReply] = loop.create_future()

    def settle(result: HttpReply | BaseException) -> None:
        if done.done():  # the time-out was faster
            return
        if isinstance(result, BaseException):
            done.set_exception(result)
        else:
            done.set_result(result)

    def run() -> None:
        result: HttpReply | BaseException
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 (raised in the thread that waits for it)
            result = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name="urllib", daemon=True).start()
    return await done
