"""How a request reaches an endpoint: what every transport gives, and what all of them share."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol

from benchmarks.judge.failures import JudgeError
from kimera.errors import UserError

MAX_BODY_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class HttpReply:
    """headers: with names in lower case. name: of the request in its batch, where it was one of a batch."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    name: str = ""


class HttpRequest(NamedTuple):
    """What is sent; the body is None where there is none."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


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


class HttpTransport(ABC):
    """A Transport over a library: `round_trip` is the library's part, and all else is the same for each.

    errors: what the library raises where no whole reply comes.
    """

    errors: ClassVar[tuple[type[Exception], ...]]

    @abstractmethod
    async def round_trip(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpReply:
        """The reply as it came, compressed if it is, and cut off after timeout_s.

        Raises one of `errors`, TimeoutError, or JudgeError for more than max_bytes.
        """

    @abstractmethod
    async def aclose(self) -> None: ...

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> HttpReply:
        return await self._exchange(HttpRequest("POST", url, headers, body), timeout_s, MAX_BODY_BYTES)

    async def get(
        self, url: str, headers: Mapping[str, str], timeout_s: float, max_bytes: int = MAX_BODY_BYTES
    ) -> HttpReply:
        return await self._exchange(HttpRequest("GET", url, headers, None), timeout_s, max_bytes)

    async def _exchange(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpReply:
        try:
            async with asyncio.timeout(timeout_s):  # the whole attempt; libraries bound only its parts
                reply = await self.round_trip(request, timeout_s, max_bytes)
        except TimeoutError:
            raise JudgeError("timeout", f"no whole reply within {timeout_s:g} s") from None
        except self.errors as error:
            raise _transport_error(error) from None
        return _decoded(reply, max_bytes)


def ssl_context() -> ssl.SSLContext:
    """Raises UserError where SSL_CERT_FILE or SSL_CERT_DIR names what cannot be read."""
    import httpx  # takes long, and urllib does without

    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise UserError(
            f"SSL_CERT_FILE or SSL_CERT_DIR names no certificates that can be read: {error}"
        ) from None


def _decoded(reply: HttpReply, max_bytes: int) -> HttpReply:
    """Without a compression that was not asked for; what cannot be decoded stays as it is."""
    if reply.headers.get("content-encoding", "").strip().lower() not in {"gzip", "x-gzip", "deflate"}:
        return reply
    try:
        body = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(reply.body, max_bytes + 1)
    except zlib.error:
        return reply
    check_size(len(body), max_bytes)
    return replace(reply, body=body)


def check_size(size: int, most: int) -> None:
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
