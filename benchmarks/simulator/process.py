"""The simulator in a process of its own, so that it shares no event loop with the client under test."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import multiprocessing
import signal
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.simulator.http_server import HOST, Simulator, listening
from benchmarks.simulator.simulation import KEY_BYTES, GoldAnswer, SimulatorConfig
from kimera.console import starting_processes
from kimera.errors import UserError
from kimera.pairs import RELATIONS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

START_TIMEOUT_S = 60.0
_PACKED = struct.Struct(f"{KEY_BYTES}sb{KEY_BYTES}sb")
_CODES = {None: -1, False: 0, True: 1}
_MEANINGS = {code: answer for answer, code in _CODES.items()}
_RELATIONS = (*RELATIONS, None)


class SimulatorProcess:
    """A simulator in a process of its own, so that it shares no event loop with the client under test.

        with SimulatorProcess(SimulatorConfig(), answers) as judge:
            ...  # ask judge.base_url

    The process ends with the block, or by itself when this one is gone, however that came about. It is
    spawned: a script that uses it needs `if __name__ == "__main__"`. Entering raises UserError where the
    server cannot start.
    """

    def __init__(self, config: SimulatorConfig, answers: Mapping[bytes, GoldAnswer]) -> None:
        self._config = config
        self._answers = answers
        self._port = 0

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"http://{HOST}:{self._port}/v1"

    def stats(self, keys: bool = False) -> dict[str, Any]:
        """The counters so far: see `Simulator.stats`."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=30)
        try:
            connection.request("GET", f"/stats?keys={keys:d}")
            stats: dict[str, Any] = json.loads(connection.getresponse().read())
            return stats
        finally:
            connection.close()

    def __enter__(self) -> SimulatorProcess:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # One string of bytes instead of 100,000 objects.
        answers = b"".join(
            _PACKED.pack(key, _CODES[gold], pair, _RELATIONS.index(relation))
            for key, (gold, pair, relation) in self._answers.items()
        )
        self._process = context.Process(
            target=_serve_child, args=(self._config, answers, theirs), name="simulator", daemon=True
        )
        try:
            with starting_processes():
                self._process.start()
            theirs.close()  # the child's copy is then the only one: its death shows as the end of the pipe
            self._port = self._receive_port()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _receive_port(self) -> int:
        if not self._pipe.poll(START_TIMEOUT_S):
            raise UserError(f"the simulated judge did not start within {START_TIMEOUT_S:g} s")
        try:
            reply = json.loads(self._pipe.recv_bytes())
        except EOFError:
            raise UserError("the simulated judge ended while starting; its error is printed above") from None
        if "error" in reply:
            raise UserError(f"the simulated judge could not start: {reply['error']}")
        return int(reply["port"])

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        if self._process.pid is None:
            return
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve_child(config: SimulatorConfig, packed: bytes, pipe: Connection) -> None:
    """The child's side of SimulatorProcess: tells its port, then serves until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both processes; the parent decides
    answers = {
        key: GoldAnswer(_MEANINGS[gold], pair, _RELATIONS[relation])
        for key, gold, pair, relation in _PACKED.iter_unpack(packed)
    }

    async def serve() -> None:
        async with listening(Simulator(config, answers)) as port:
            pipe.send_bytes(json.dumps({"port": port}).encode())
            await asyncio.to_thread(pipe.poll, None)  # nothing is ever sent: ready means the parent is gone

    with contextlib.suppress(BrokenPipeError):  # the parent ended meanwhile, by Ctrl-C for example
        try:
            asyncio.run(serve())
        except (UserError, ImportError) as error:
            pipe.send_bytes(json.dumps({"error": str(error)}).encode())
