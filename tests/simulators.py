"""Simulated judges for tests: in a thread, so that they start at once, with pairs that they know."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from benchmarks.simulator.http_server import HOST, Simulator, listening
from benchmarks.simulator.simulation import GoldAnswer, SimulatorConfig, answer_key, answers_for
from kimera.pairs import Pair

PAIRS = [
    Pair(f"The door {number} is open.", f"The door {number} is shut.", label=label)
    for number, label in enumerate(["contradiction", "entailment", "neutral"] * 50)
]
QUICK = SimulatorConfig(latency_ms=0)


def question(text1: str, text2: str) -> str:
    return f"First: {text1} Second: {text2} Reply in JSON."


QUESTIONS = [question(pair.text1, pair.text2) for pair in PAIRS]
ANSWERS = answers_for(PAIRS, question)
KEYS = [answer_key(text) for text in QUESTIONS]


class Served(Protocol):
    """A simulator in a thread or in a process."""

    @property
    def base_url(self) -> str: ...


class SimulatorThread:
    """What SimulatorProcess is, in a thread of this process."""

    def __init__(self, config: SimulatorConfig, answers: Mapping[bytes, GoldAnswer] = ANSWERS) -> None:
        self._simulator = Simulator(config, answers)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._started = threading.Event()

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self._port}/v1"

    def stats(self, keys: bool = False) -> dict[str, Any]:
        connection = connect(self)
        connection.request("GET", "/stats?keys=1" if keys else "/stats")
        stats: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return stats

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with listening(self._simulator) as self._port:
            self._started.set()
            await self._stopping.wait()

    def __enter__(self) -> SimulatorThread:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()


def port_of(judge: Served) -> int:
    return int(judge.base_url.removesuffix("/v1").rpartition(":")[2])


def connect(judge: Served, timeout_s: float = 30) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(HOST, port_of(judge), timeout=timeout_s)


def post(
    judge: Served, body: bytes, key: str = "", timeout_s: float = 30
) -> tuple[http.client.HTTPResponse, bytes]:
    """The reply and its whole body, over a connection of its own."""
    connection = connect(judge, timeout_s)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("POST", "/v1/chat/completions", body, headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def request_body(text: str, **parameters: Any) -> bytes:
    messages = [{"role": "system", "content": "You judge."}, {"role": "user", "content": text}]
    return json.dumps({"model": "gpt-4o", "messages": messages, **parameters}).encode()


def ask(
    judge: Served, text: str, key: str = "", timeout_s: float = 30, **parameters: Any
) -> tuple[http.client.HTTPResponse, bytes]:
    """Asks about one pair; parameters go into the request's body."""
    return post(judge, request_body(text, **parameters), key, timeout_s)


def choice(body: bytes) -> dict[str, Any]:
    """The only choice of a completion."""
    [only] = json.loads(body)["choices"]
    return dict(only)


def verdict(body: bytes) -> dict[str, Any]:
    stated: dict[str, Any] = json.loads(choice(body)["message"]["content"])
    return stated


def wait_until(holds: Callable[[], bool]) -> None:
    """Polls for what happens on another thread or process; half a minute without it is a failure."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
