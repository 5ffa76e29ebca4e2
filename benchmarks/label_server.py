"""Serves the place to label on this machine alone, and adds each label to a file.

The address holds a token that no other page knows; requests by another name of the host, or from pages of
another origin, are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web

from benchmarks.report import CODES, LabelFile
from benchmarks.stats import Asked
from kimera.console import note as tell_of
from kimera.errors import UserError
from kimera.live import Access
from kimera.pairs import Pair

HOST = "127.0.0.1"
BYTES_OF_A_LABEL = 2**16
STOP_S = 1.0  # that a server which stops leaves to a label that is being written
SAFE = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class LabelServer:
    """page: gives its HTML and its policy. questions: by the place of the pair. file: open."""

    page: Callable[[], tuple[str, str]]
    questions: Mapping[int, tuple[Asked, Pair]]
    file: LabelFile
    access: Access

    async def serve(self, port: int, on_start: Callable[[str], object]) -> None:
        """Until SIGTERM. on_start: is told the page's address. Raises UserError for a port that is taken."""
        stopped = asyncio.Event()
        with contextlib.suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        async with self.listening(port) as address:
            on_start(address)
            await stopped.wait()

    @contextlib.asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[str]:
        """For as long as the block lasts; gives the address of the page."""
        app = web.Application(middlewares=[self._admitting], client_max_size=BYTES_OF_A_LABEL)
        app.router.add_get("/{token}/", self._show)
        app.router.add_post("/{token}/labels", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S)
        await runner.setup()
        try:
            await _start(web.TCPSite(runner, HOST, port), port)
            yield f"http://{HOST}:{runner.addresses[0][1]}/{self.access.token}/"
        finally:
            await runner.cleanup()

    @web.middleware
    async def _admitting(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.access.refusal(request.host, request.headers.get("Origin")):
            raise web.HTTPForbidden(text="only the page that this server gives may ask it\n")
        if not self.access.admits(request.match_info.get("token")):
            raise web.HTTPNotFound
        return await handler(request)

    async def _show(self, _: web.Request) -> web.Response:
        body, policy = self.page()
        headers = {**SAFE, "Content-Security-Policy": policy}
        return web.Response(text=body, content_type="text/html", headers=headers)

    async def _take(self, request: web.Request) -> web.Response:
        try:
            given = json.loads(await request.text())
            asked, pair = self.questions[given["place"]]
            label, note, who = (str(given[name]) for name in ("label", "note", "who"))
        except (ValueError, LookupError, TypeError):
            raise web.HTTPBadRequest(text="this is no label of a pair that is asked about\n") from None
        if label not in CODES:
            raise web.HTTPBadRequest(text=f"a label is one of {', '.join(CODES)}\n")
        try:
            self.file.add(asked, pair, label, who, note)
        except UserError as error:
            tell_of(f"{error}; the label was not written")
            raise web.HTTPInsufficientStorage from None
        return web.Response(status=204)


async def _start(site: web.TCPSite, port: int) -> None:
    try:
        await site.start()
    except (OSError, OverflowError) as error:
        raise UserError(f"--port {port} cannot be used ({error}); choose another, or 0 for any") from None
