"""The command line, python -m kimera.live."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from kimera.console import PATIENCE_S, command_line, exit_code_of, note, options_of, parser_of
from kimera.deciding_detector import deciding_name, deciding_of, is_calibrated
from kimera.errors import UserError
from kimera.live.access import Access, access_of, is_loopback, token_of
from kimera.live.live_settings import TOKEN, LiveSettings
from kimera.local_names import REACTOR
from kimera.reactor_settings import ModelSettings, ReactorSettings

if TYPE_CHECKING:
    from kimera.live.server import LiveServer
    from kimera.live.store import SessionStore
    from kimera.reactor import Reactor

DESCRIPTION = """\
Serve a page and a WebSocket to which clients send statements one by one. Each statement is checked against
all earlier ones of its session, and contradictions are sent back as they are found. A session is one
connection, and nothing is kept when it ends, unless --store keeps those that clients name. POST /check takes
one statement by a request.
"""
EPILOG = """\
examples:
  kimera live                              the page is http://127.0.0.1:8765/
  kimera live --port 0                     any free port; the server prints it
  KIMERA_LIVE_TOKEN=... kimera live --host 0.0.0.0
                                                     for other machines; clients need the token
  kimera live --allow-origin https://example.org
                                                     pages of that site may connect too
  kimera live --local rules.py:contradicts           a function of yours decides
  kimera live --store memory.db                      sessions that clients name survive a restart

From Python:
  from kimera.live.client import LiveClient
  async with LiveClient("http://127.0.0.1:8765") as client:
      answer = await client.check("The office is closed on Fridays.")

A new statement is compared with the vectors of all earlier ones. The cross-encoder then reads it together
with the most similar ones. Its P(contradiction) is the score, and a contradiction is reported if the score is
at least 0.5. With --local another detector does this instead. docs/live.md describes the protocol.

exit codes: 0 ended by SIGTERM, 1 failed, 2 wrong usage, 130 ended by Ctrl-C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_args(arguments)
    return exit_code_of(lambda: _live(command_line(LiveSettings, "live", parsed).settings))


def build_parser() -> argparse.ArgumentParser:
    return parser_of(LiveSettings, "live", description=DESCRIPTION, epilog=EPILOG)


def _live(settings: LiveSettings) -> int:
    _check_stage(settings)
    token = token_of(settings.token, TOKEN)
    return _serve(access_of(settings.host, settings.allow_origin, token), settings)


def _serve(access: Access, settings: LiveSettings) -> int:
    # What serves and computes, aiohttp and numpy among it, --help need not wait for.
    from kimera.live.server import LiveServer
    from kimera.live.session import ContradictionFinder

    name = deciding_name(settings)
    reactor, source = deciding_of(_without_cache(settings), settings, name, settings.reactor)
    with source or contextlib.nullcontext(), _store(settings, reactor) as store:
        title = name.title if source else ""
        finder = ContradictionFinder(reactor, settings.rule, source, title, store)
        print("Loading the models ...", file=sys.stderr)
        finder.load()
        if not is_calibrated(name):
            note(f"{name.title} decides; its scores are not calibrated as Kimera's are, and count from 0.5")
        if settings.rule.is_own_floor:
            note(
                f"no cosine floor was measured for {settings.encoder}; each session takes its own from "
                "random pairs of its statements (--min-cosine sets one)"
            )
        server = LiveServer(finder, access, settings.limits, store)
        return asyncio.run(_serve_until_stopped(server, access, settings.port))


def _store(
    settings: LiveSettings, reactor: Reactor
) -> contextlib.AbstractContextManager[SessionStore | None]:
    from kimera.live.store import SessionStore

    if settings.store is None:
        return contextlib.nullcontext()
    return SessionStore(settings.store, reactor.encoder.output_fingerprint)


def _without_cache(settings: LiveSettings) -> ReactorSettings:
    models = {name: getattr(settings, name) for name in options_of(ModelSettings)}
    return ReactorSettings(**models, no_cache=True)


def _check_stage(settings: LiveSettings) -> None:
    """Raises UserError for a stage of the reactor beside what decides instead."""
    if settings.reactor and settings.local not in ((), (REACTOR,)):
        raise UserError(
            "--reactor chooses which stage of kimera decides, and --local chooses as well; leave out one of "
            "the two"
        )


async def _serve_until_stopped(server: LiveServer, access: Access, port: int) -> int:
    stopped = _stop_signal()
    async with server.listening(port) as port:
        _greet(access, port)
        signal_number = await stopped
        print("Stopping.", file=sys.stderr)
    return 130 if signal_number == signal.SIGINT else 0


def _stop_signal() -> asyncio.Future[int]:
    """The first SIGINT or SIGTERM. On Windows Ctrl-C interrupts the event loop instead."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    begun = [0.0]

    def handle(number: int, _: FrameType | None) -> None:
        begun[0] = begun[0] or time.monotonic()
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop, number)
        elif time.monotonic() - begun[0] > PATIENCE_S:
            os._exit(130)

    # Not the loop's own handlers: they go when it is closed, and a second Ctrl-C then has a traceback.
    if sys.platform != "win32":
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handle)
    return stopped


def _greet(access: Access, port: int) -> None:
    print(f"Listening on http://{access.at(port)}/ Ctrl-C stops it.", flush=True)
    if access.token is None and not is_loopback(access.host):
        print(
            f"warning: anybody who can reach {access.host} may connect; set {TOKEN} to require a token",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
