"""Both transports against real sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import HOST, RawServer, dripping, http_reply, saying, silent, unused_port

from benchmarks.judge.aiohttp_transport import AiohttpTransport
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.httpx_transport import HttpxTransport
from benchmarks.judge.transport_choice import open_transport
from benchmarks.judge.transports import MAX_BODY_BYTES, HttpReply, Transport
from benchmarks.judge.urllib_transport import UrllibTransport
from kimera.errors import UserError

Opener = Callable[[], Transport]
ROOT = Path(__file__).parents[2]


OPENERS: dict[str, Opener] = {
    "aiohttp": lambda: AiohttpTransport(1),
    "httpx": lambda: HttpxTransport(1),
    "urllib": UrllibTransport,
}


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Opener:
    """Opens the transport under test; to be called inside an event loop."""
    return OPENERS[request.param]


def post(opener: Opener, url: str, body: bytes = b"{}", timeout_s: float = 20, times: int = 1) -> HttpReply:
    """The last reply of `times` posts, one after the other over one transport."""

    async def run() -> HttpReply:
        transport = opener()
        try:
            for _ in range(times):
                reply = await transport.post(url, {"Authorization": "Bearer sk-secret"}, body, timeout_s)
            return reply
        finally:
            await transport.aclose()

    return asyncio.run(run())


def failure(opener: Opener, url: str, timeout_s: float = 20) -> JudgeError:
    with pytest.raises(JudgeError) as caught:
        post(opener, url, timeout_s=timeout_s)
    return caught.value


def test_a_reply_comes_back_with_status_body_and_lower_case_headers(opener: Opener) -> None:
    with RawServer(saying(http_reply(200, b"hello", "Retry-After: 7\r\n"))) as server:
        reply = post(opener, server.url)
    assert (reply.status, reply.body, reply.headers["retry-after"]) == (200, b"hello", "7")


def test_the_request_arrives_as_it_was_given(opener: Opener) -> None:
    with RawServer(saying(http_reply())) as server:
        post(opener, server.url, '{"text": "né"}'.encode())
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"authorization: bearer sk-secret" in head.lower()
    assert body == '{"text": "né"}'.encode()


@pytest.mark.parametrize("status", [201, 400, 401, 404, 429, 500, 503])
def test_a_status_that_says_no_is_a_reply_all_the_same(opener: Opener, status: int) -> None:
    with RawServer(saying(http_reply(status, b"why"))) as server:
        reply = post(opener, server.url)
    assert (reply.status, reply.body) == (status, b"why")


def test_a_body_without_a_length_is_read_to_its_end(opener: Opener) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with RawServer(saying(chunks)) as server:
        assert post(opener, server.url).body == b"abcde"


def test_the_time_out_bounds_the_whole_attempt_and_not_each_read(opener: Opener) -> None:
    def some_drops(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(40):
            server.stopping.wait(0.02)
            connection.sendall(b"x")

    with RawServer(some_drops) as server:
        assert failure(opener, server.url, timeout_s=0.3).kind == "timeout"


def test_a_silent_server_is_a_time_out(opener: Opener) -> None:
    with RawServer(silent) as server:
        assert failure(opener, server.url, timeout_s=0.2).kind == "timeout"


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["aiohttp", "httpx", "urllib"])
def test_a_program_ends_although_a_server_drips_for_ever(transport: str) -> None:
    script = f"""
        import asyncio, sys
        from benchmarks.judge.{transport}_transport import {transport.capitalize()}Transport
        from benchmarks.judge.failures import JudgeError

        async def main():
            transport = {transport.capitalize()}Transport({"" if transport == "urllib" else 1})
            try:
                await transport.post(sys.argv[1], {{}}, b"", 0.2)
            except JudgeError as error:
                print(error.kind)
            await transport.aclose()

        asyncio.run(main())
        """
    with RawServer(dripping) as server:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), server.url],
            cwd=ROOT, capture_output=True, text=True, timeout=6,
        )  # fmt: skip
    assert done.stdout == "timeout\n", done.stderr


def test_after_a_time_out_the_only_connection_can_be_used_again(opener: Opener) -> None:
    def slow_once(server: RawServer, connection: socket.socket) -> None:
        if len(server.requests) == 1:
            server.stopping.wait(1)
        connection.sendall(http_reply(200, b"late or not"))

    async def run(url: str) -> HttpReply:
        transport = opener()
        with pytest.raises(JudgeError, match="timeout"):
            await transport.post(url, {}, b"", 0.1)
        try:
            return await transport.post(url, {}, b"", 20)
        finally:
            await transport.aclose()

    with RawServer(slow_once) as server:
        assert asyncio.run(run(server.url)).body == b"late or not"


def test_a_body_beyond_the_bound_is_refused(opener: Opener) -> None:
    with RawServer(saying(http_reply(200, b"x" * (MAX_BODY_BYTES + 1)))) as server:
        assert failure(opener, server.url).kind == "bad_response"


def test_a_body_of_exactly_the_bound_is_read(opener: Opener) -> None:
    with RawServer(saying(http_reply(200, b"x" * MAX_BODY_BYTES))) as server:
        assert len(post(opener, server.url).body) == MAX_BODY_BYTES


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_so_the_key_goes_nowhere_else(opener: Opener, status: int) -> None:
    with (
        RawServer(saying(http_reply())) as elsewhere,
        RawServer(saying(http_reply(status, b"", f"Location: {elsewhere.url}\r\n"))) as server,
    ):
        assert post(opener, server.url).status == status
        assert elsewhere.connections == 0


def test_a_connection_cut_before_the_reply_is_a_connection_error(opener: Opener) -> None:
    with RawServer(saying(b"")) as server:
        assert failure(opener, server.url).kind == "connection"


def test_a_body_cut_short_is_a_connection_error(opener: Opener) -> None:
    with RawServer(saying(http_reply(200, b"x" * 100)[:-50])) as server:
        assert failure(opener, server.url).kind == "connection"


def test_a_chunked_body_cut_short_is_a_connection_error(opener: Opener) -> None:
    with RawServer(saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc")) as server:
        assert failure(opener, server.url).kind == "connection"


@pytest.mark.parametrize("garbage", [b"220 mail.example ESMTP\r\n", b"HTTP/1.1 okay\r\n\r\n"])
def test_what_is_not_http_is_a_connection_error(opener: Opener, garbage: bytes) -> None:
    with RawServer(saying(garbage)) as server:
        assert failure(opener, server.url).kind == "connection"


def test_a_port_where_nobody_listens_is_a_connection_error(opener: Opener) -> None:
    assert failure(opener, f"http://{HOST}:{unused_port()}/v1").kind == "connection"


def test_a_name_that_nobody_has_is_a_connection_error(opener: Opener) -> None:
    assert failure(opener, "http://no-such-host.invalid/v1").kind == "connection"


def test_a_certificate_that_nobody_vouches_for_is_a_tls_error(
    opener: Opener, certificate: tuple[ssl.SSLContext, str]
) -> None:
    with RawServer(saying(http_reply()), certificate[0]) as server:
        assert failure(opener, server.url).kind == "tls"
        assert server.requests == [], "nothing is sent to a server that is not known"


def test_a_handshake_that_is_cut_off_is_a_connection_error(opener: Opener) -> None:
    """It may work the next time; "tls" would end the run."""
    with socket.create_server((HOST, 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert failure(opener, f"https://{HOST}:{listener.getsockname()[1]}/v1").kind == "connection"


@pytest.mark.parametrize("kind", [AiohttpTransport, HttpxTransport])
def test_connections_are_kept_and_no_more_are_opened_than_may_be(kind: Callable[[int], Transport]) -> None:
    def talk_on(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(http_reply(200, b"ok"))
        while server.read_request(connection):
            connection.sendall(http_reply(200, b"ok"))

    async def run(url: str) -> list[HttpReply]:
        transport = kind(3)
        try:
            return [
                reply
                for _ in range(10)
                for reply in await asyncio.gather(*(transport.post(url, {}, b"x", 20) for _ in range(3)))
            ]
        finally:
            await transport.aclose()

    with RawServer(talk_on) as server:
        replies = asyncio.run(run(server.url))
        assert [reply.body for reply in replies] == [b"ok"] * 30
        assert server.connections <= 3


def test_a_netrc_adds_nothing_to_a_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither beside a proxy, whose address is all that is taken from the environment."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {HOST} login someone password secret\ndefault login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer(saying(http_reply(200, b"from the proxy"))) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        assert post(lambda: open_transport(1), "http://judge.example/v1").body == b"from the proxy"
        monkeypatch.setenv("no_proxy", "judge.example")
        assert failure(lambda: open_transport(1), "http://judge.example/v1").kind == "connection"
    assert len(proxy.requests) == 1
    assert b"sk-secret" in proxy.requests[0]


def test_certificates_that_cannot_be_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    for kind in (AiohttpTransport, HttpxTransport):
        with pytest.raises(UserError, match="SSL_CERT_FILE"):
            kind(1)
