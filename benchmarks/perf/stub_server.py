"""The fastest judge there is: one fixed verdict for every request, after a fixed delay.

Beside it, what is slow in a measurement is the client. It reads no request, knows no pair and makes no fault;
for those there is `benchmarks.simulator`.

    with StubServer(delay_s=0.1) as judge:
        ...  # ask judge.base_url

As a script it needs nothing of Kimera's, so that any Python can run it: `python stub_server.py DELAY_S`. It
uses uvloop where that Python has it, prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys

HOST = "127.0.0.1"
PROMPT_TOKENS, COMPLETION_TOKENS = 100, 20
VERDICT = {"contradiction": True, "confidence": 0.9, "reasoning": "stub"}


class StubServer:
    """A stub in a process of its own, on a free port; it ends with the block, or with this process.

    python: the interpreter that runs it; one that has uvloop leaves more of the machine to the client.
    """

    def __init__(self, delay_s: float, python: str = sys.executable) -> None:
        self._command = [python, __file__, str(delay_s)]

    def __enter__(self) -> StubServer:
        self._process = subprocess.Popen(  # noqa: S603 - our own file
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the measurement, which then ends this
        )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        line = self._process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError(f"the stub server did not start: {' '.join(self._command)}")
        self.port = int(line)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # closes its standard input, and so ends it

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}/v1"


def http_response() -> bytes:
    """A whole chat completion, head and body."""
    message = {"role": "assistant", "content": json.dumps(VERDICT)}
    body = json.dumps(
        {
            "id": "chatcmpl-stub",
            "object": "chat.completion",
            "created": 1,
            "model": "stub",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": PROMPT_TOKENS,
                "completion_tokens": COMPLETION_TOKENS,
                "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
            },
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Stub(asyncio.Protocol):
    """Finds where each request ends, and answers it later; requests on one connection may overlap."""

    def __init__(self, delay_s: float, response: bytes) -> None:
        self._delay_s = delay_s
        self._response = response
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a server is given no other kind
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head := self._received.find(b"\r\n\r\n")) >= 0:
            _, _, after = self._received[:head].lower().partition(b"content-length:")
            end = head + 4 + int(after.split(b"\r\n", 1)[0] or 0)
            if len(self._received) < end:
                return
            self._received = self._received[end:]
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay_s, self._transport.write, self._response)


async def _serve(delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    response = http_response()
    server = await loop.create_server(lambda: _Stub(delay_s, response), HOST, 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # nothing comes: whoever started this is gone, or has had enough


def main() -> None:
    loop_factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_serve(float(sys.argv[1])))


if __name__ == "__main__":
    main()
