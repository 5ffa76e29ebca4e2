"""Who may connect: pages of these origins, by these names of the host, with this token."""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kimera.errors import UserError

MIN_CHARACTERS_OF_A_TOKEN = 8


@dataclass(frozen=True, slots=True)
class Access:
    """host: what the server listens on. origins: of pages elsewhere that may connect, "https://example.org".

    token: what clients have to show, None for nothing.
    """

    host: str
    origins: frozenset[str] = frozenset()
    token: str | None = field(default=None, repr=False)

    def refusal(self, host: str, origin: str | None) -> str | None:
        """Why a request is refused, None where it is not. host, origin: its headers.

        A browser always says which page connects. A name of the host that is not known may be another site's
        that was made to lead here (DNS rebinding); then "the same origin" would mean nothing.
        """
        name = _host_name(host)
        if not (_is_address(name) or name in self._names):
            return "the server does not know this host name; start it with --host or --allow-origin to add it"
        if origin is None or origin.lower() in {f"http://{host.lower()}", *self.origins}:
            return None
        return "pages of this origin may not connect; start the server with --allow-origin to let them"

    def at(self, port: int) -> str:
        """HOST:PORT as URLs write it, an IPv6 address in brackets."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    @property
    def _names(self) -> set[str]:
        pages = {_host_name(urlsplit(origin).netloc) for origin in self.origins}
        return {"localhost", self.host.lower()} | pages

    def admits(self, token: str | None) -> bool:
        """Whether this token is the right one; how long that takes does not tell how much of it is right."""
        if self.token is None:
            return True
        return hmac.compare_digest(_bytes(token or ""), _bytes(self.token))

    def admits_bearer(self, authorization: str | None) -> bool:
        """The same of the token in the header Authorization of a request."""
        kind, _, token = (authorization or "").partition(" ")
        return self.admits(token.strip() if kind.lower() == "bearer" else None)


def access_of(host: str, origins: Iterable[str], token: str | None) -> Access:
    """Raises `UserError` for an origin that is none, and for a token that is easily guessed."""
    if token is not None and len(token) < MIN_CHARACTERS_OF_A_TOKEN:
        raise UserError(f"the token is too short; give {MIN_CHARACTERS_OF_A_TOKEN} characters or more")
    return Access(host, frozenset(map(_origin, origins)), token)


def token_of(stated: str | None, variable: str) -> str | None:
    """The token of the command line, which wins over that of the environment."""
    return os.environ.get(variable) or None if stated is None else stated


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(given: str) -> str:
    try:
        parts = urlsplit(given)
        is_origin = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_origin = False
    if not is_origin or given.lower() != f"{parts.scheme}://{parts.netloc.lower()}" or "@" in given:
        raise UserError(f"{given!r} is not an origin; expected https://example.org or http://localhost:3000")
    return given.lower()


def _host_name(host: str) -> str:
    """Without the port, and an IPv6 address without its brackets."""
    name = host.lower()
    return name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _bytes(token: str) -> bytes:
    return token.encode("utf-8", "surrogatepass")
