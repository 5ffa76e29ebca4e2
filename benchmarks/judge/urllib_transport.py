"""The standard library as a transport, where no other is installed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

from benchmarks.judge.failures import JudgeError
from benchmarks.judge.transports import HttpReply, HttpRequest, HttpTransport, check_size


class UrllibTransport(HttpTransport):
    """The standard library's client on a thread: one request at a time, a connection each."""

    errors = (OSError, http.client.HTTPException, ValueError)

    def __init__(self, *, proxies: bool = True) -> None:
        no_proxies = () if proxies else (urllib.request.ProxyHandler({}),)
        self._opener = urllib.request.build_opener(_NoRedirects, *no_proxies)

    async def round_trip(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpReply:
        return await _in_daemon_thread(functools.partial(self._send, request, timeout_s, max_bytes))

    def _send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpReply:
        """timeout_s: of each read, so that the thread ends too."""
        method, url, headers, data = request
        asked = urllib.request.Request(url, data=data, headers=dict(headers), method=method)  # noqa: S310
        try:
            response = self._opener.open(asked, timeout=timeout_s)
        except urllib.error.HTTPError as error:  # any status but 2xx: a reply all the same
            response = error
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise TimeoutError from None
            raise
        with response:
            body = response.read(max_bytes + 1)
            told = {name.lower(): value for name, value in response.headers.items()}
            status = response.status
        check_size(len(body), max_bytes)
        promised = told.get("content-length", "")
        if promised.isdigit() and len(body) < int(promised):  # read(amount) does not tell
            raise JudgeError("connection", f"the reply ended after {len(body)} of {promised} bytes")
        return HttpReply(status, told, body)

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
