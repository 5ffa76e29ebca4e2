"""Live sessions: the time to an answer in a long one, and many at once beside clients that misbehave.

    python -m benchmarks.perf.live_load latency                 10,000 statements in one session
    python -m benchmarks.perf.live_load load                    100 connections, 100,000 statements
    python -m benchmarks.perf.live_load load --reactor screen   without the cross-encoder
    python -m benchmarks.perf.live_load candidates              what is read, and what of it is told

A server runs in a process of its own, on the same machine as its clients. Statements are those of
kimera-everyday, numbered where there are more: in a long session each then has related ones, so that the
cross-encoder reads as many candidates as it may. In the load each session takes 50 statements, then its
client connects anew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.data import EMBEDDED
from benchmarks.datasets import load_dataset
from benchmarks.perf.setting import setting
from kimera.live.candidate_rule import CandidateRule
from kimera.live.client import Checked, LiveClient, LiveError
from kimera.live.contradictions import NumberedStatement, numbered
from kimera.live.session import Arrival, ContradictionFinder, Session
from kimera.pairs import Pair
from kimera.reactor import Reactor

HELLO = {"type": "hello", "version": 1}
STALL_S = 5
GARBAGE = ("", "not json", "[1, 2]", '{"type": "statement"}', "[" * 4_000, '{"type": "hello", "version": 1}')
MISBEHAVING_WAIT_S = 0.2  # of a client that vanished or was closed, before it comes again


@dataclass
class Server:
    """A server process."""

    url: str
    process: subprocess.Popen[str]

    def memory_mb(self, line: str = "VmRSS") -> float:
        """Resident; VmHWM is the most that it ever was."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.findall(rf"{line}:\s+(\d+) kB", status)[0]) / 1000


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "kimera.live", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 (our own programs)
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield Server(line.split()[2].rstrip("/"), process)
    finally:
        process.terminate()
        process.wait(30)


def texts(count: int) -> list[str]:
    """Distinct statements; the same whenever it is called."""
    known = list(
        dict.fromkeys(text for pair in load_dataset(max_pairs=0) for text in (pair.text1, pair.text2))
    )
    random.Random(0).shuffle(known)  # noqa: S311 (no secrets here)
    numbered = (f"{known[i % len(known)]} ({i // len(known)})" for i in range(len(known), count))
    return [*known, *numbered][:count]


def percentiles(values_ms: Sequence[float]) -> str:
    cuts = statistics.quantiles(values_ms, n=100, method="inclusive")
    return f"{cuts[49]:.1f} | {cuts[94]:.1f}"


# Latency


async def fill_and_measure(url: str, sizes: Sequence[int], measured: int) -> None:
    """Statements one after the other, at these sizes of one session; between them it fills at full speed."""
    sent = iter(texts(sizes[-1] + measured))
    print("| statements before | from statement to answer, ms: p50 | p95 | in the server, ms: p50 | p95 |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    async with LiveClient(url) as client:
        held = 0
        for size in sizes:
            async for _ in client.check_all(next(sent) for _ in range(size - held)):
                held += 1
            seen_ms, server_ms = [], []
            for _ in range(measured):
                begun = time.perf_counter()
                answer = await client.check(next(sent))
                seen_ms.append((time.perf_counter() - begun) * 1000)
                server_ms.append(answer.latency_ms)
            held += measured
            print(f"| {size:,} | {percentiles(seen_ms)} | {percentiles(server_ms)} |", flush=True)


# Candidates


def told_contradictions(pairs: Sequence[Pair], finder: ContradictionFinder) -> str:
    """Of labelled contradictions, in one session of all first texts: is the pair told, and what is read?"""
    session = Session(numbered(pair.text1 for pair in pairs))
    places = [place for place, pair in enumerate(pairs) if pair.is_contradiction]
    told, read = 0, 0
    to_read = [0]

    def note_pairs(_read: int, of: int) -> None:
        to_read[0] = of

    for place in places:
        statement = NumberedStatement(len(pairs) + 1, "asked", pairs[place].text2)
        to_read[0] = 0
        [found] = finder.check([Arrival(session, statement, is_kept=False)], note_pairs)
        read += to_read[0]
        told += any(each.earlier.text == pairs[place].text1 for each in found.contradictions)
    return (
        f"{told} of {len(places)} contradictions are told; {read / len(places):.1f} candidates read a "
        f"statement on average, of {len(pairs)} earlier ones"
    )


# Load


@dataclass
class Tally:
    """What the well-behaved clients saw; what the others did."""

    latency_ms: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    contradictions: int = 0
    misbehaved: Counter[str] = field(default_factory=Counter)


async def send_all(url: str, statements: Sequence[str], per_session: int, tally: Tally) -> None:
    """Session after session; every answer has to be there, in order, and about these statements."""
    for start in range(0, len(statements), per_session):
        sent = statements[start : start + per_session]
        try:
            async with LiveClient(url) as client:
                answers = [answer async for answer in client.check_all(sent)]
        except LiveError as error:
            tally.wrong[f"lost: {error.kind}"] += len(sent)
            continue
        tally.wrong["lost"] += len(sent) - len(answers)
        for number, answer in enumerate(answers, 1):
            check_answer(answer, number, sent, tally)


def check_answer(answer: object, number: int, sent: Sequence[str], tally: Tally) -> None:
    if not isinstance(answer, Checked):
        tally.wrong["refused"] += 1
        return
    tally.latency_ms.append(answer.latency_ms)
    tally.contradictions += len(answer.contradictions)
    said = [(each.later.number, each.later.text, each.earlier.text) for each in answer.contradictions]
    meant = [(number, sent[number - 1], sent[each.earlier.number - 1]) for each in answer.contradictions]
    if answer.number != number or said != meant:
        tally.wrong["reordered"] += 1


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """Of a client, with the mask 0."""
    length = bytes((len(payload),)) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
    return bytes((0x80 | opcode, 0x80 | length[0])) + length[1:] + bytes(4) + payload


@contextlib.asynccontextmanager
async def bare(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A greeted session without a WebSocket library, that takes little at a time; at the end it is reset."""
    at = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (at.hostname, at.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=4096)
    try:
        head = f"GET /live HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        writer.write(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
        writer.write(frame(json.dumps(HELLO).encode()))
        await reader.readuntil(b'"type":"hello"')
        yield reader, writer
    finally:
        writer.transport.abort()


async def vanish(url: str, statement: bytes) -> None:
    """Asks, and is gone before the answer."""
    async with bare(url) as (_, writer):
        writer.write(statement * 5 + statement[:-3])
        await asyncio.sleep(0.01)


async def stall(url: str, statement: bytes) -> None:
    """Asks and asks, and reads nothing, until it is closed."""
    async with bare(url) as (_, writer):
        while True:
            writer.write(statement + frame(b"garbage") * 1_000)
            await writer.drain()


async def send_garbage(url: str, _: bytes) -> None:
    """Reads its errors, and ends with a frame that cannot be read."""
    async with bare(url) as (reader, writer):
        for text in GARBAGE * 20:
            writer.write(frame(text.encode()) + frame(b"\x00\xff", opcode=2))
            await writer.drain()
            await reader.read(65_536)
        writer.write(b"\xff" * 200)
        await reader.read()


MISBEHAVIOURS = (vanish, stall, send_garbage)


async def misbehave(how: Callable[[str, bytes], Awaitable[None]], url: str, tally: Tally) -> None:
    """Again and again, until it is cancelled."""
    statement = frame(json.dumps({"type": "statement", "id": "x", "text": "The office is closed."}).encode())
    while True:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await how(url, statement)
        tally.misbehaved[how.__name__] += 1
        await asyncio.sleep(MISBEHAVING_WAIT_S)


async def watch_memory(server: Server, every_s: float, seen_mb: list[float]) -> None:
    while True:
        seen_mb.append(server.memory_mb())
        await asyncio.sleep(every_s)


@dataclass(frozen=True)
class Load:
    """messages: statements of all connections. misbehaving: clients that vanish, stall and send garbage."""

    connections: int
    messages: int
    per_session: int
    misbehaving: int


async def load(server: Server, wanted: Load) -> bool:
    """Whether nothing was lost, refused or reordered."""
    tally, seen_mb = Tally(), [server.memory_mb()]
    known = texts(wanted.connections * wanted.per_session)
    count = wanted.messages // wanted.connections
    beside = [
        asyncio.create_task(misbehave(MISBEHAVIOURS[i % len(MISBEHAVIOURS)], server.url, tally))
        for i in range(wanted.misbehaving)
    ]
    beside.append(asyncio.create_task(watch_memory(server, 1.0, seen_mb)))
    begun = time.perf_counter()
    clients = (
        send_all(server.url, shifted(known, number * count, count), wanted.per_session, tally)
        for number in range(wanted.connections)
    )
    await asyncio.gather(*clients)
    wall_s = time.perf_counter() - begun
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    print_load(wanted, tally, wall_s, seen_mb, server.memory_mb("VmHWM"))
    return not +tally.wrong and len(tally.latency_ms) == count * wanted.connections


def shifted(known: Sequence[str], start: int, count: int) -> list[str]:
    return [known[(start + i) % len(known)] for i in range(count)]


def print_load(wanted: Load, tally: Tally, wall_s: float, seen_mb: Sequence[float], max_mb: float) -> None:
    answered = len(tally.latency_ms)
    halves = seen_mb[len(seen_mb) // 4 : len(seen_mb) // 2], seen_mb[-(len(seen_mb) // 4) or -1 :]
    second_quarter_mb, last_quarter_mb = (statistics.mean(each or seen_mb) for each in halves)
    misbehaved = ", ".join(f"{count:,} {name}" for name, count in sorted(tally.misbehaved.items())) or "none"
    rows = {
        "connections, statements of a session": f"{wanted.connections}, {wanted.per_session}",
        "statements answered": f"{answered:,} in {wall_s:,.0f} s, {answered / wall_s:,.0f}/s",
        "lost, refused or out of order": ", ".join(f"{n} {what}" for what, n in (+tally.wrong).items())
        or "0",
        "contradictions told": f"{tally.contradictions:,}",
        "in the server, ms: p50, p95": percentiles(tally.latency_ms).replace(" |", ","),
        "beside them, times": misbehaved,
        "server's memory at the start, MB": f"{seen_mb[0]:,.0f}",
        "on average in the second quarter, in the last": f"{second_quarter_mb:,.0f}, {last_quarter_mb:,.0f}",
        "at most": f"{max_mb:,.0f}",
    }
    print("| figure | value |\n| --- | --- |")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


# The command


def main(arguments: Sequence[str] | None = None) -> int:
    """1 where an answer was lost, refused or out of order."""
    options = _parse(arguments)
    if options.what == "candidates":
        with Reactor(cache=None) as reactor:
            finder = ContradictionFinder(reactor, CandidateRule())
            for name in options.data:
                pairs = list(load_dataset(name, labelled_only=True))
                print(f"{name}: {told_contradictions(pairs, finder)}", flush=True)
        return 0
    print(f"{setting()}; --reactor {options.reactor}\n", flush=True)
    limits = ["--connections", str(options.connections + options.misbehaving), "--stall-s", str(STALL_S)]
    with serving("--reactor", options.reactor, *limits) as server:
        if options.what == "latency":
            asyncio.run(fill_and_measure(server.url, options.sizes, options.measured))
            print(
                f"\nserver's memory, MB: {server.memory_mb():,.0f}, at most {server.memory_mb('VmHWM'):,.0f}"
            )
            return 0
        wanted = Load(options.connections, options.messages, options.per_session, options.misbehaving)
        return 0 if asyncio.run(load(server, wanted)) else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.perf.live_load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("latency", "load", "candidates"))
    parser.add_argument(
        "--data",
        nargs="+",
        default=[EMBEDDED],
        metavar="FILE",
        help="candidates: labelled pairs, whose first texts are all in one session",
    )
    parser.add_argument("--reactor", choices=("screen", "both"), default="both")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[100, 1_000, 9_800],
        metavar="N",
        help="latency: measured where the session has so many statements",
    )
    parser.add_argument(
        "--measured", type=int, default=200, metavar="N", help="latency: statements at each size"
    )
    parser.add_argument("--connections", type=int, default=100, metavar="N")
    parser.add_argument("--messages", type=int, default=100_000, metavar="N", help="load: of all connections")
    parser.add_argument(
        "--per-session", type=int, default=50, metavar="N", help="load: statements of a session"
    )
    parser.add_argument(
        "--misbehaving",
        type=int,
        default=12,
        metavar="N",
        help="load: clients that vanish, stall and send garbage",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
