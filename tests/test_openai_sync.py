"""Sync mode: the same structure and verdicts as async, one request at a time, with or without httpx."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import ScriptedJudge, verdict

from benchmarks.judge.prompts import DEFAULT_PROMPT, load_prompt
from benchmarks.judge.retries import RetryPolicy
from benchmarks.judge.urllib_transport import UrllibTransport
from benchmarks.openai_async import AsyncOpenAIClient, run_async_benchmark
from benchmarks.openai_sync import run_sync_benchmark
from benchmarks.simulator.process import SimulatorProcess
from benchmarks.simulator.simulation import SimulatorConfig, answers_for
from kimera.pairs import Pair, Verdict

ROOT = Path(__file__).parent.parent
PAIRS = [
    Pair(f"The door {number} is open.", f"The door {number} is shut.", label=label)
    for number, label in enumerate(["contradiction", "entailment", "neutral"] * 10)
]
CONFIG = SimulatorConfig(
    latency_ms=1,
    error_rate=0.2,
    rate_limited=0.1,
    server_error=0.05,
    dropped=0.05,
    html_body=0.05,
    retry_after_s=0.01,
)
PATIENT = RetryPolicy(max_retries=10, base_s=0.005, cap_s=0.05)
WITHOUT_HTTPX = """
import sys
sys.modules["httpx"] = sys.modules["httpx_aiohttp"] = sys.modules["aiohttp"] = None
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[SimulatorProcess]:
    """A judge with faults, which are drawn anew for each attempt."""
    with SimulatorProcess(CONFIG, answers_for(PAIRS, load_prompt(DEFAULT_PROMPT).question)) as process:
        yield process


def said(results: list[Any]) -> list[Any]:
    return [(result.contradiction, result.confidence, result.reasoning) for result in results]


@pytest.fixture(scope="module")
def expected(judge: SimulatorProcess) -> dict[str, Any]:
    """What async mode gives."""
    return asyncio.run(run_async_benchmark(PAIRS, 8, base_url=judge.base_url, policy=PATIENT))


def test_sync_mode_gives_the_same_structure_and_the_same_verdicts_as_async(
    judge: SimulatorProcess, expected: dict[str, Any]
) -> None:
    run = run_sync_benchmark(PAIRS, base_url=judge.base_url, policy=PATIENT)
    assert said(run["results"]) == said(expected["results"])
    assert set(run) == set(expected) == {"results", "stats"}
    assert set(run["stats"]) == set(expected["stats"])
    assert (run["stats"]["mode"], expected["stats"]["mode"]) == ("sync", "async")


def test_sync_mode_asks_one_request_at_a_time(serve: Callable[[Any], ScriptedJudge]) -> None:
    server = serve(verdict())
    run = run_sync_benchmark([("a", "b")] * 10, base_url=server.base_url)
    assert server.peak == 1 == run["stats"]["peak_in_flight"]
    assert all(isinstance(result, Verdict) for result in run["results"])


def test_urllib_gives_the_same_verdicts_as_httpx(judge: SimulatorProcess, expected: dict[str, Any]) -> None:
    run = run_sync_benchmark(PAIRS, base_url=judge.base_url, policy=PATIENT, transport=UrllibTransport())
    assert said(run["results"]) == said(expected["results"])


def run_without_httpx(script: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_HTTPX + textwrap.dedent(script), *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_without_httpx_async_mode_becomes_sync_mode_with_the_same_verdicts(
    judge: SimulatorProcess, expected: dict[str, Any]
) -> None:
    script = """
        import asyncio, json, warnings
        from benchmarks.openai_async import run_async_benchmark
        from benchmarks.judge.retries import RetryPolicy
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            policy = RetryPolicy(max_retries=10, base_s=0.005)
            pairs = json.loads(sys.argv[2])
            run = asyncio.run(run_async_benchmark(pairs, 8, base_url=sys.argv[1], policy=policy))
        print(json.dumps({
            "mode": run["stats"]["mode"],
            "said": [[r.contradiction, r.confidence, r.reasoning] for r in run["results"]],
            "warned": [str(warning.message) for warning in caught],
        }))
        """
    texts = json.dumps([(pair.text1, pair.text2) for pair in PAIRS])
    found = run_without_httpx(script, judge.base_url, texts)
    assert found["mode"] == "sync"
    assert [tuple(one) for one in found["said"]] == said(expected["results"])
    assert any("httpx is not installed" in warning for warning in found["warned"])


def test_every_module_of_the_pipeline_imports_without_httpx() -> None:
    script = """
        import importlib, json
        names = "judge.asking judge.endpoint judge.failures judge.pipeline judge.prompts "
        names += "judge.protocols.chat_completions judge.retries judge.slots judge.transports "
        names += "judge.urllib_transport openai_async openai_sync runs.journal"
        print(json.dumps([importlib.import_module(f"benchmarks.{name}").__name__ for name in names.split()]))
        """
    assert len(run_without_httpx(script)) == 13


def test_importing_the_client_imports_no_http_library() -> None:
    script = """
        import sys
        import benchmarks.openai_async, benchmarks.openai_sync
        print(sorted({"httpx", "httpx_aiohttp", "aiohttp", "torch", "scipy", "sklearn"} & set(sys.modules)))
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_client_of_one_request_at_a_time_is_in_sync_mode() -> None:
    assert AsyncOpenAIClient(base_url="http://127.0.0.1:9/v1", max_concurrent=1).mode == "sync"


def test_without_httpx_batches_are_as_large_as_with_it(judge: SimulatorProcess) -> None:
    script = """
        import json, warnings
        warnings.simplefilter("error")
        from benchmarks.judge import BatchOptions
        from benchmarks.openai_async import AsyncOpenAIClient
        client = AsyncOpenAIClient(base_url=sys.argv[1], batch=BatchOptions(size=40))
        print(json.dumps([client.mode, client.max_concurrent]))
        """
    assert run_without_httpx(script, judge.base_url) == ["batch", 40]


def test_within_a_running_loop_it_says_what_to_await() -> None:
    async def notebook() -> None:
        with pytest.raises(RuntimeError, match=r"async with AsyncOpenAIClient"):
            run_sync_benchmark([("The lamp is on.", "The lamp is off.")])

    asyncio.run(notebook())
