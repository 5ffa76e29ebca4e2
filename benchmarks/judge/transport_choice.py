"""Which transport carries the requests of a run."""

from __future__ import annotations

import importlib.util
import urllib.request

from benchmarks.judge.transports import Transport


def httpx_available() -> bool:
    """Whether httpx and its aiohttp transport are installed."""
    return all(importlib.util.find_spec(name) for name in ("httpx", "httpx_aiohttp"))


def open_transport(max_connections: int, *, proxies: bool = True, tls: bool = True) -> Transport:
    """aiohttp; httpx where the environment names proxies and they are used; urllib without either.

    tls: whether certificates will be asked for; where not, the configured ones need not be read.
    To be called inside the event loop. Each is imported here: they take long, and the others do without.
    """
    if not httpx_available():
        from benchmarks.judge.urllib_transport import UrllibTransport

        return UrllibTransport(proxies=proxies)
    if proxies and urllib.request.getproxies():
        from benchmarks.judge.httpx_transport import HttpxTransport

        return HttpxTransport(max_connections)
    from benchmarks.judge.aiohttp_transport import AiohttpTransport

    return AiohttpTransport(max_connections, tls=tls)
