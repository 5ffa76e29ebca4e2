"""What other clients make of the same server: one of them, so many requests, a line of JSON.

    python peers.py CLIENT BASE_URL IN_FLIGHT REQUESTS [MAX_SECONDS]

CLIENT is one of `CLIENTS`, or inspect-ai, which runs a whole evaluation of so many samples. This imports
nothing of Kimera's, so that it runs in an environment that holds only the peer. After MAX_SECONDS seconds no
further request is sent: a client that is slow need not be slow for minutes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

MESSAGES = [
    {"role": "user", "content": "Do these contradict? A: The cat sleeps. B: The cat runs. Reply in JSON."}
]
PAYLOAD = {"model": "stub", "messages": MESSAGES, "temperature": 0, "max_tokens": 200}
KEY = "benchmark"
HEADERS = {"Authorization": f"Bearer {KEY}"}
TIMEOUT_S = 60.0
MAX_WARM_UP = 64

Ask = Callable[[], Awaitable[str]]
Close = Callable[[], Awaitable[None]]


def _httpx(base_url: str, in_flight: int) -> tuple[Ask, Close]:
    import httpx

    return _asking_httpx(httpx.AsyncClient(**_httpx_options(in_flight)), base_url)


def _httpx_aiohttp(base_url: str, in_flight: int) -> tuple[Ask, Close]:
    import httpx_aiohttp

    return _asking_httpx(httpx_aiohttp.HttpxAiohttpClient(**_httpx_options(in_flight)), base_url)


def _httpx_options(in_flight: int) -> dict[str, Any]:
    import httpx

    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    return {"headers": HEADERS, "timeout": TIMEOUT_S, "limits": limits}


def _asking_httpx(client: Any, base_url: str) -> tuple[Ask, Close]:
    async def ask() -> str:
        reply = await client.post(f"{base_url}/chat/completions", json=PAYLOAD)
        return str(reply.json()["choices"][0]["message"]["content"])

    return ask, client.aclose


def _aiohttp(base_url: str, in_flight: int) -> tuple[Ask, Close]:
    import aiohttp

    session = aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=in_flight))

    async def ask() -> str:
        async with session.post(f"{base_url}/chat/completions", json=PAYLOAD) as reply:
            return str((await reply.json())["choices"][0]["message"]["content"])

    return ask, session.close


def _openai(base_url: str, _: int, **options: Any) -> tuple[Ask, Close]:
    import openai

    client = openai.AsyncOpenAI(api_key=KEY, base_url=base_url, **options)

    async def ask() -> str:
        reply = await client.chat.completions.create(**PAYLOAD)
        return str(reply.choices[0].message.content)

    return ask, client.close


def _openai_aiohttp(base_url: str, in_flight: int) -> tuple[Ask, Close]:
    import openai

    return _openai(base_url, in_flight, http_client=openai.DefaultAioHttpClient())


def _litellm(base_url: str, _: int) -> tuple[Ask, Close]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # its import would otherwise ask the network
    import litellm

    options = {**PAYLOAD, "model": "openai/stub", "api_base": base_url, "api_key": KEY}

    async def ask() -> str:
        reply = await litellm.acompletion(**options)
        return str(reply.choices[0].message.content)

    async def close() -> None:
        pass

    return ask, close


CLIENTS: dict[str, Callable[[str, int], tuple[Ask, Close]]] = {
    "httpx": _httpx,
    "httpx-aiohttp": _httpx_aiohttp,
    "aiohttp": _aiohttp,
    "openai": _openai,
    "openai-aiohttp": _openai_aiohttp,
    "litellm": _litellm,
}


async def measure(
    client: str, base_url: str, in_flight: int, requests: int, max_seconds: float
) -> dict[str, float]:
    """Seconds of wall clock and of processor, and requests answered, after a warm-up that is not counted."""
    ask, close = CLIENTS[client](base_url, in_flight)

    async def work(numbers: itertools.count[int], count: int, until: float) -> int:
        done = 0
        while next(numbers) < count and time.perf_counter() < until:
            json.loads(await ask())["contradiction"]
            done += 1
        return done

    async def run_all(count: int, workers: int, until: float) -> int:
        numbers = itertools.count()
        return sum(await asyncio.gather(*(work(numbers, count, until) for _ in range(workers))))

    warm_up = min(in_flight, MAX_WARM_UP)  # imports, connections
    await run_all(warm_up, warm_up, float("inf"))
    cpu_s, begun = time.process_time(), time.perf_counter()
    answered = await run_all(requests, in_flight, begun + max_seconds)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - begun
    await close()
    return {"requests": answered, "wall_s": wall_s, "cpu_s": cpu_s}


def run_inspect_ai(base_url: str, in_flight: int, samples: int) -> dict[str, float]:
    """A judge as an inspect_ai task: its own dataset, solver, scorer and log, nothing of it left out."""
    import tempfile

    import inspect_ai
    from inspect_ai import dataset, model, scorer, solver

    @scorer.scorer(metrics=[scorer.accuracy()])
    def verdict() -> Any:
        async def score(state: Any, target: Any) -> Any:
            said = str(json.loads(state.output.completion)["contradiction"]).lower()
            return scorer.Score(
                value=scorer.CORRECT if said == target.text else scorer.INCORRECT, answer=said
            )

        return score

    asked = [
        dataset.Sample(input=f"{index}: {MESSAGES[0]['content']}", target="true") for index in range(samples)
    ]
    judge = model.get_model("openai-api/stub/stub", base_url=base_url, api_key=KEY)
    task = inspect_ai.Task(dataset=dataset.MemoryDataset(asked), solver=solver.generate(), scorer=verdict())
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        [log] = inspect_ai.eval(task, model=judge, max_connections=in_flight, log_dir=folder, display="none")
        wall_s = time.perf_counter() - begun
    if log.status != "success" or log.results.completed_samples != samples:
        raise RuntimeError(f"this run measures nothing: {log.status}, {log.error}")
    return {"requests": samples, "wall_s": wall_s, "cpu_s": time.process_time()}


def main() -> None:
    client, base_url, in_flight, requests, *max_seconds = sys.argv[1:]
    if client == "inspect-ai":
        measured = run_inspect_ai(base_url, int(in_flight), int(requests))
    else:
        limit_s = float(max_seconds[0]) if max_seconds else float("inf")
        measured = asyncio.run(measure(client, base_url, int(in_flight), int(requests), limit_s))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
