"""Real servers on loopback: a scripted chat endpoint, one that owns the bare socket; a client to ask them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.judge.attempts import Outcome
from benchmarks.judge.retries import RetryPolicy
from benchmarks.openai_async import AsyncOpenAIClient
from kimera.pairs import Failure

HOST = "127.0.0.1"
QUICK = RetryPolicy(base_s=0.001, cap_s=0.01)


@dataclass(frozen=True)
class Canned:
    """A reply. hold: it is not sent before this event is set."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hold: threading.Event | None = None


@dataclass(frozen=True)
class Asked:
    """A request as the server saw it; `number` counts from 0, header names are in lower case."""

    number: int
    path: str
    headers: dict[str, str]
    payload: dict[str, Any]

    @property
    def question(self) -> str:
        """The first user message: the pair, even where the judge is asked again."""
        return next(message["content"] for message in self.payload["messages"] if message["role"] == "user")


def completion(content: str | None, finish_reason: str = "stop", **message: Any) -> Canned:
    """A chat completion of 7 prompt and 3 completion tokens with this content."""
    reply = {
        "choices": [{"message": {"content": content, **message}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    return Canned(body=json.dumps(reply).encode())


def verdict(contradiction: bool | None = True, confidence: float = 0.9, reasoning: str = "because") -> Canned:
    return completion(
        json.dumps({"contradiction": contradiction, "confidence": confidence, "reasoning": reasoning})
    )


def error(
    status: int, message: str, code: str | int | None = None, headers: Mapping[str, str] | None = None
) -> Canned:
    return Canned(status, json.dumps({"error": {"message": message, "code": code}}).encode(), headers or {})


class ScriptedJudge:
    """Answers chat completions from a list, whose last reply repeats, or from a function of the request."""

    def __init__(self, script: Canned | Sequence[Canned] | Callable[[Asked], Canned]) -> None:
        replies = [script] if isinstance(script, Canned) else script
        self._answer = (
            replies if callable(replies) else lambda asked: replies[min(asked.number, len(replies) - 1)]
        )
        self._lock = threading.Lock()
        self.asked: list[Asked] = []
        self.in_flight = 0
        self.peak = 0

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}/v1"

    def reply_to(self, path: str, headers: dict[str, str], body: bytes) -> Canned:
        with self._lock:
            asked = Asked(len(self.asked), path, headers, json.loads(body))
            self.asked.append(asked)
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
        canned = self._answer(asked)
        if canned.hold:
            canned.hold.wait(20)
        time.sleep(canned.delay_s)
        with self._lock:
            self.in_flight -= 1
        return canned

    def __enter__(self) -> ScriptedJudge:
        judge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # head and body in one packet

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                canned = judge.reply_to(
                    self.path, {name.lower(): value for name, value in self.headers.items()}, body
                )
                self.send_response(canned.status)
                for name, value in {"Content-Length": str(len(canned.body)), **canned.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(canned.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server((HOST, 0), Handler)
        _serve(self._server)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up first is none of the server's business."""


def _serve(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()


class RawServer:
    """Reads one request from each connection and hands the socket to `talk`, then closes it.

    `stopping` is set when the block ends: a `talk` that goes on for ever looks at it.
    """

    def __init__(
        self, talk: Callable[[RawServer, socket.socket], None], tls: ssl.SSLContext | None = None
    ) -> None:
        self._talk = talk
        self._tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()

    @property
    def address(self) -> str:
        return f"{HOST}:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.address}/v1/chat/completions"

    def read_request(self, connection: socket.socket) -> bool:
        """Whether a whole request came; it is kept in `requests`."""
        received = b""
        while b"\r\n\r\n" not in received:
            if not (chunk := connection.recv(65536)):
                return False
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [
            line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        ]
        while len(body) < int(lengths[0]):
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return True

    def __enter__(self) -> RawServer:
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                server.connections += 1
                with contextlib.suppress(OSError):
                    connection = (
                        server._tls.wrap_socket(self.request, server_side=True)
                        if server._tls
                        else self.request
                    )
                    with connection:
                        if server.read_request(connection):
                            server._talk(server, connection)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 64

        self._server = Server((HOST, 0), Handler)
        _serve(self._server)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


def http_reply(status: int = 200, body: bytes = b"", headers: str = "") -> bytes:
    """The bytes of a whole reply; headers: lines that end in CRLF."""
    return f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def saying(reply: bytes) -> Callable[[RawServer, socket.socket], None]:
    """A `talk` that sends these bytes and hangs up."""
    return lambda _, connection: connection.sendall(reply)


def dripping(server: RawServer, connection: socket.socket) -> None:
    """A `talk` that promises a body and sends a byte of it now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not server.stopping.wait(0.02):
        connection.sendall(b"x")


def silent(server: RawServer, _: socket.socket) -> None:
    """A `talk` that never says a word."""
    server.stopping.wait(30)


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def judge(base_url: str, count: int = 1, **options: Any) -> list[Outcome]:
    """The outcomes of `count` pairs, asked one after the other through one client."""

    async def run() -> list[Outcome]:
        settings = {"policy": QUICK, "max_concurrent": 1, **options}
        async with AsyncOpenAIClient(base_url=base_url, **settings) as client:
            return [await client.judge(f"It rains {number}.", "It is dry.") for number in range(count)]

    return asyncio.run(run())


def kinds(outcomes: list[Outcome]) -> list[str | bool]:
    """Of each outcome its verdict, or its failure's kind."""
    return [
        outcome.result.kind if isinstance(outcome.result, Failure) else outcome.result.contradiction
        for outcome in outcomes
    ]
