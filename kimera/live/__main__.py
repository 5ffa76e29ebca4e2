"""The command line, python -m kimera.live."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.interrupts import exit_quietly

    exit_quietly()

import argparse
import asyncio
import contextlib
import ipaddress
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kimera.commands import as_called
from kimera.errors import UserError
from kimera.live.access import Access, access_of
from kimera.live.candidate_rule import CandidateRule
from kimera.live.capacity import Limits
from kimera.reactor_flags import add_model_flags, add_old_name

if TYPE_CHECKING:
    from kimera.live.session import ContradictionFinder

TOKEN = "KIMERA_LIVE_TOKEN"  # noqa: S105 (its name)
DESCRIPTION = """\
Serve a page and a WebSocket to which clients send statements one by one. Each statement is checked against
all earlier ones of its session, and contradictions are sent back as they are found. A session is one
connection; nothing is kept when it ends.
"""
EPILOG = """\
examples:
  kimera live                              the page is http://127.0.0.1:8765/
  kimera live --port 0                     any free port; the server prints it
  KIMERA_LIVE_TOKEN=... kimera live --host 0.0.0.0
                                                     for other machines; clients need the token
  kimera live --allow-origin https://example.org
                                                     pages of that site may connect too

From Python:
  from kimera.live.client import LiveClient
  async with LiveClient("http://127.0.0.1:8765") as client:
      answer = await client.check("The office is closed on Fridays.")

A new statement is compared with the vectors of all earlier ones. The cross-encoder then reads it together
with the most similar ones. Its P(contradiction) is the score, and a contradiction is reported if the score is
at least 0.5. docs/live.md describes the protocol.

exit codes: 0 ended by SIGTERM, 1 failed, 2 wrong usage, 130 ended by Ctrl-C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    try:
        token = os.environ.get(TOKEN) or None if options.token is None else options.token
        access = access_of(options.host, options.allow_origin, token)
        return _serve(access, _limits(options), options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    rule, limits = CandidateRule(), Limits()
    parser = argparse.ArgumentParser(
        prog=as_called("kimera live"),
        description=DESCRIPTION,
        epilog=as_called(EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument_group("server").add_argument
    add("--host", default="127.0.0.1", metavar="NAME", help="address to listen on (default: %(default)s)")
    add(
        "--port",
        type=_port,
        default=8765,
        metavar="N",
        help="port to listen on; 0 takes any free one (default: %(default)s)",
    )
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin connect, e.g. https://example.org; may be given several times",
    )
    add(
        "--token",
        metavar="TEXT",
        help="token that clients have to send. Other users of this machine can read the command line, so "
        f"prefer to set {TOKEN}",
    )
    add = parser.add_argument_group("detection").add_argument
    add(
        "--reactor",
        choices=("screen", "both"),
        help="screen: sentence vectors and a head decide, which is fast but less accurate; both: a "
        "cross-encoder then reads the best candidates (default: both; screen if --encoder or --head is "
        "given)",
    )
    add(
        "--min-cosine",
        type=_cosine,
        default=rule.min_cosine,
        metavar="X",
        help="minimum cosine of two statements' vectors; statements below it are not compared "
        "(default: %(default)s)",
    )
    add_old_name(parser, "--least-cosine", "min_cosine", _cosine)
    add(
        "--verify",
        type=_positive,
        default=rule.max_chosen,
        metavar="N",
        help="maximum number of candidates that the cross-encoder reads for a statement (default: "
        "%(default)s)",
    )
    add_model_flags(parser.add_argument_group("models"))
    add = parser.add_argument_group("limits").add_argument
    counts = {
        "connections": "maximum number of sessions at a time",
        "statements": "maximum number of statements of one session",
        "statements-in-all": "maximum number of statements of all sessions; each takes 1.5 to 3 kB of memory "
        "besides its text",
        "characters": "maximum length of a statement in characters",
        "waiting": "maximum number of unanswered statements of one session; the server reads no more until "
        "some are answered",
    }
    for name, told in counts.items():
        value = getattr(limits, name.replace("-", "_"))
        add(f"--{name}", type=_positive, default=value, metavar="N", help=f"{told} (default: %(default)s)")
    add(
        "--stall-s",
        type=_positive,
        default=limits.stall_s,
        metavar="S",
        help="disconnect a client that has not read its answers for this many seconds (default: %(default)g)",
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give 0 to 65535")
    return int(text)


def _cosine(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -1.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a cosine; give -1 to 1")
    return value


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(
        connections=options.connections,
        statements=options.statements,
        statements_in_all=options.statements_in_all,
        characters=options.characters,
        waiting=options.waiting,
        stall_s=float(options.stall_s),
    )


def _serve(access: Access, limits: Limits, options: argparse.Namespace) -> int:
    from kimera.live.session import ContradictionFinder
    from kimera.reactor import Reactor

    rule = CandidateRule(min_cosine=options.min_cosine, max_chosen=options.verify)
    reactor = Reactor(
        options.encoder,
        options.head,
        None,
        stages=options.reactor,
        cross_encoder=options.verify_weights,
        backend=options.backend,
        precision=options.precision,
        device=options.device,
    )
    finder = ContradictionFinder(reactor, rule)
    print("Loading the models ...", file=sys.stderr)
    finder.load()
    return asyncio.run(_serve_until_stopped(finder, access, limits, options.port))


async def _serve_until_stopped(finder: ContradictionFinder, access: Access, limits: Limits, port: int) -> int:
    from kimera.live.server import LiveServer

    stopped = _stop_signal()
    async with LiveServer(finder, access, limits).listening(port) as port:
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

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop, number)
    return stopped


def _greet(access: Access, port: int) -> None:
    host = f"[{access.host}]" if ":" in access.host else access.host
    print(f"Listening on http://{host}:{port}/ Ctrl-C stops it.", flush=True)
    if access.token is None and not _is_loopback(access.host):
        print(
            f"warning: anybody who can reach {access.host} may connect; set {TOKEN} to require a token",
            file=sys.stderr,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
