"""How a request reaches an endpoint: what every transport gives, and what all of them share."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

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


def ssl_context() -> ssl.SSLContext:
    """Raises UserError where SSL_CERT_FILE or SSL_CERT_DIR names what cannot be read."""
    import httpx  # takes long, and urllib does without

    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise UserError(
            f"SSL_CERT_FILE or SSL_CERT_DIR names no certificates that can be read: {error}"
        ) from None


def decoded(headers: Mapping[str, str], body: bytes, max_bytes: int) -> bytes:
    """The body without a compression that was not asked for; what cannot be decoded stays as it is."""
    if headers.get("content-encoding", "").strip().lower() not in {"gzip", "x-gzip", "deflate"}:
        return body
    try:
        decoded = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, max_bytes + 1)
    except zlib.error:
        return body
    check_size(len(decoded), max_bytes)
    return decoded


def timed_out(timeout_s: float) -> JudgeError:
    return JudgeError("timeout", f"no whole reply within {timeout_s:g} s")


def check_size(size: int, most: int) -> None:
    if size > most:
        raise JudgeError("bad_response", f"the reply is longer than {most} bytes", status=200)


def transport_error(error: BaseException) -> JudgeError:
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
