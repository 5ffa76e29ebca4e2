"""The tools over streamable HTTP, with a token where there is one."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from kimera.console import say
from kimera.errors import UserError
from kimera.live import Access

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

PATH = "/mcp"
STOP_S = 5  # that a server which stops leaves to what is being answered

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Scope]]
Send: TypeAlias = Callable[[Scope], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


async def serve_http(server: MCPServer, access: Access, port: int) -> None:
    """Until a signal ends it. Raises UserError where the address cannot be had."""
    import uvicorn  # comes with mcp

    with _bound(access.host, port) as listener:
        # On loopback the SDK itself refuses pages of other sites and unknown names of the host.
        app = _TokenDoor(server.streamable_http_app(host=access.host, streamable_http_path=PATH), access)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_S)
        at = access.at(listener.getsockname()[1])
        say(f"Listening on http://{at}{PATH} Ctrl-C stops it.")
        await uvicorn.Server(config).serve(sockets=[listener])


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise UserError(
            f"--http {host}:{port} cannot be used ({error}); choose another, where port 0 is any free one"
        ) from None


class _TokenDoor:
    """Lets requests in that show the token."""

    def __init__(self, app: Application, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._access.admits_bearer(_authorization_in(scope)):
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        told = b"the token is missing or wrong; send it as Authorization: Bearer TOKEN\n"
        await send({"type": "http.response.body", "body": told})


def _authorization_in(scope: Scope) -> str:
    return str(dict(scope.get("headers", ())).get(b"authorization", b"").decode("latin-1"))
