"""The command line, python -m kimera.mcp."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kimera.console import command_line, exit_code_of, how_to_install, options_of, parser_of
from kimera.errors import UserError
from kimera.live import Access, CandidateRule, access_of, is_loopback, token_of
from kimera.mcp.mcp_settings import TOKEN, McpSettings
from kimera.models import PACKAGED_NAMES
from kimera.reactor_settings import ModelSettings, ReactorSettings, reactor_of

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

DESCRIPTION = """\
Serve tools that find contradictions to agents, over the Model Context Protocol: check_statement (against a
list or a session), compare_texts, and scan_files within FOLDER. Standard input and output carry the protocol;
everything else is said on standard error.
"""
EPILOG = """\
examples:
  kimera mcp                                 started by a client, over standard input and output
  kimera mcp docs                            with scan_files, for the files in docs
  kimera mcp --store memory.db               what agents let it remember is there the next time
  kimera mcp docs --http 127.0.0.1:8766      over HTTP, at http://127.0.0.1:8766/mcp

A client such as an editor starts it by its own configuration; docs/mcp.md has examples. Sessions of
remembered statements are held in memory, and are gone when the server ends unless --store keeps them.

exit codes: 0 the client left, or SIGTERM; 1 failed, 2 wrong usage, 130 ended by Ctrl-C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_args(arguments)
    return exit_code_of(lambda: _serve(command_line(McpSettings, "mcp", parsed).settings))


def build_parser() -> argparse.ArgumentParser:
    return parser_of(McpSettings, "mcp", description=DESCRIPTION, epilog=EPILOG)


def _serve(settings: McpSettings) -> int:
    access = _access(settings.http, settings.token)
    # A library that says something while it loads must not say it into the protocol.
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):
            server = _server(settings, stack)
        if settings.http and access:
            return _serve_http(server, access, settings.http[1])
        return _serve_standard_streams(server)


def _access(http: tuple[str, int] | None, given: str | None) -> Access | None:
    """Who may come over HTTP; None where nobody is served so. Raises UserError for a server open to all.

    given: the token of the command line, which wins over that of the environment.
    """
    if http is None:
        if given is not None:
            raise UserError("--token is for --http; over standard streams nobody but the client comes in")
        return None
    token = token_of(given, TOKEN)
    if token is None and not is_loopback(http[0]):
        raise UserError(
            f"--http {http[0]}: other machines can reach this, so a token is needed; set {TOKEN}, or take "
            "127.0.0.1"
        )
    return access_of(http[0], (), token)


def _server(settings: McpSettings, stack: contextlib.ExitStack) -> MCPServer:
    """stack: closes the store in the end."""
    try:
        from kimera.mcp.server import server_of
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "pydantic", "anyio"):
            raise
        raise UserError(f"the MCP server needs the package mcp; run: {how_to_install('mcp')}") from None
    from kimera.live import SessionStore
    from kimera.mcp.confined_files import ConfinedFiles
    from kimera.mcp.toolbox import Toolbox

    files = ConfinedFiles(Path(settings.folder)) if settings.folder else None
    models = {name: getattr(settings, name) for name in options_of(ModelSettings)}
    reactor = reactor_of(ReactorSettings(**models, no_cache=settings.no_cache), "both")
    rule = CandidateRule(is_own_floor=settings.encoder not in PACKAGED_NAMES)
    store = None
    if settings.store:
        store = stack.enter_context(SessionStore(settings.store, reactor.encoder.output_fingerprint))
    toolbox = Toolbox(reactor, rule, files, store)
    toolbox.load()
    return server_of(toolbox, scans=files is not None)


def _serve_http(server: MCPServer, access: Access, port: int) -> int:
    import asyncio

    from kimera.mcp.http_server import serve_http

    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again once it has stopped
    asyncio.run(serve_http(server, access, port))
    return 0


def _serve_standard_streams(server: MCPServer) -> int:
    if sys.platform != "win32":
        # The thread that waits for a line of standard input would keep a process that ends in another way.
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with contextlib.suppress(BrokenPipeError):  # the client is gone
        server.run("stdio")
    return 0


if __name__ == "__main__":
    sys.exit(main())
