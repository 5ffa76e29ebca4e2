"""The standard library as a transport, where no other is installed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

from benchmarks.judge.failures import JudgeError
from benchmarks.judge.transports import (
    MAX_BODY_BYTES,
    HttpReply,
    check_size,
    decoded,
    timed_out,
    transport_error,
)


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
            raise timed_out(timeout_s) from None

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
            raise transport_error(error) from None
        check_size(len(body), max_bytes)
        promised = headers.get("content-length", "")
        if promised.isdigit() and len(body) < int(promised):  # read(amount) does not tell
            raise JudgeError("connection", f"the reply ended after {len(body)} of {promised} bytes")
        return HttpReply(status, headers, decoded(headers, body, max_bytes))

    async def aclose(self) -> None:
        self._opener.close()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another place; it is reported as a wrong URL instead."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


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
