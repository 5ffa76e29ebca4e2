"""Checks an installation for what Kimera 0.5.0 gave: one line a feature, exit code 1 if one is missing.

    python test_v050.py

Needs no key and no network, and leaves nothing behind. What it checks is the installed package, also where it
lies beside a checkout; it prints which one that is. pytest runs the same checks.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.simulator import SimulatorProcess
    from kimera import Failure, Pair, Verdict

HERE = Path(__file__).resolve().parent
PAIRS = 40
# An easy pair of either kind: this checks an installation, not how good the reactor is.
CONTRADICTING = ("Two women are cooking in the kitchen.", "Nobody is in the kitchen.")
COMPATIBLE = ("Two dogs run across a field.", "Animals are outside.")
RUN_FILES = {"journal.jsonl", "results.csv", "summary.json", "summary.md", "report.html", "comparison.png"}


def test_import() -> None:
    """import: kimera 0.5 or later, every public name"""
    import kimera

    version = tuple(map(int, kimera.__version__.split(".")[:2]))
    assert version >= (0, 5), f"the version is {kimera.__version__}"
    missing = [name for name in kimera.__all__ if not hasattr(kimera, name)]
    assert not missing, f"kimera lacks {', '.join(missing)}"


def test_embedded_dataset() -> None:
    """embedded dataset: at least 400 pairs, balanced"""
    from benchmarks.datasets import load_dataset

    dataset = load_dataset()
    assert len(dataset) >= 400, f"{len(dataset)} pairs"
    share = (dataset.contradictions or 0) / len(dataset)
    assert 0.45 <= share <= 0.55, f"{share:.0%} are contradictions"


def test_reactor() -> None:
    """reactor: an easy contradiction found, an easy entailment let pass"""
    from kimera import Reactor, Verdict

    contradicting, compatible = Reactor(cache=None).detect([CONTRADICTING, COMPATIBLE])
    assert isinstance(contradicting, Verdict), contradicting
    assert isinstance(compatible, Verdict), compatible
    assert contradicting.contradiction, f"not found: {contradicting.reasoning}"
    assert not compatible.contradiction, f"found where there is none: {compatible.reasoning}"


def test_warm_cache() -> None:
    """embedding cache: a second run encodes nothing and says the same"""
    from kimera import EmbeddingCache, Reactor

    with _folder() as folder:
        cold, warm = (Reactor(cache=EmbeddingCache(folder)) for _ in range(2))
        first, second = (_scores(reactor.detect([CONTRADICTING, COMPATIBLE])) for reactor in (cold, warm))
    assert (cold.stats.encoded, warm.stats.encoded) == (4, 0), f"encoded {cold.stats}, then {warm.stats}"
    assert first == second, f"scores {first}, then {second}"


def test_worker_processes() -> None:
    """--mp: two processes, the same scores as one"""
    from benchmarks.datasets import load_dataset
    from kimera import Reactor

    pairs = list(load_dataset(max_pairs=300))
    with Reactor(cache=None) as reactor:
        alone, shared = _scores(reactor.detect(pairs)), _scores(reactor.detect(pairs, workers=2))
        used = reactor.stats.workers_used
    assert used == 2, f"{used} processes were used"
    difference = max(abs(one - other) for one, other in zip(alone, shared, strict=True))
    assert difference <= 1e-5, f"scores differ by up to {difference:g}"


def test_simulator() -> None:
    """simulator: answers on loopback and counts its replies"""
    from benchmarks.openai_sync import run_sync_benchmark

    pairs, judge = _judge(latency_ms=0)
    with judge:
        run = run_sync_benchmark(pairs[:3], base_url=judge.base_url, api_key="simulated")
        outcomes = judge.stats()["outcomes"]
    assert run["stats"]["answered"] == 3, run["results"]
    assert outcomes == {"answered": 3}, outcomes


def test_async_client() -> None:
    """async client: one pair, four values"""
    from benchmarks.openai_async import AsyncOpenAIClient

    pairs, judge = _judge(latency_ms=0)

    async def ask() -> tuple[bool, float, str, float]:
        async with AsyncOpenAIClient(api_key="simulated", base_url=judge.base_url) as client:
            return await client.detect_contradiction_async(pairs[0].text1, pairs[0].text2)

    with judge:
        contradiction, confidence, reasoning, latency_ms = asyncio.run(ask())
    assert contradiction == pairs[0].is_contradiction, f"the verdict is {contradiction}"
    assert 0.5 <= confidence <= 1, f"the confidence is {confidence}"
    assert reasoning, "no reasoning"
    assert latency_ms > 0, f"the latency is {latency_ms} ms"


def test_async_judge() -> None:
    """async judge: 8 in flight, results in order"""
    from benchmarks.openai_async import run_async_benchmark

    pairs, judge = _judge(latency_ms=50, spread_ms=30)
    with judge:
        run = asyncio.run(run_async_benchmark(pairs, 8, base_url=judge.base_url, api_key="simulated"))
        in_flight = judge.stats()["max_in_flight"]
    assert in_flight == 8, f"{in_flight} were in flight"
    verdicts = [score > 0.5 for score in _scores(run["results"])]
    assert verdicts == [pair.is_contradiction for pair in pairs], "the order differs from that of the pairs"


def test_sync_mode() -> None:
    """sync mode: the same verdicts as async, one at a time"""
    from benchmarks.openai_async import run_async_benchmark
    from benchmarks.openai_sync import run_sync_benchmark

    pairs, judge = _judge(latency_ms=5, error_rate=0.2)
    with judge:
        one = run_sync_benchmark(pairs, base_url=judge.base_url, api_key="simulated")
        in_flight = judge.stats()["max_in_flight"]
        many = asyncio.run(run_async_benchmark(pairs, 8, base_url=judge.base_url, api_key="simulated"))
    assert (one["stats"]["mode"], in_flight) == ("sync", 1), f"{in_flight} were in flight"
    assert _scores(one["results"]) == _scores(many["results"]), "the verdicts differ"


def test_faults() -> None:
    """faults: every pair is answered or failed, every attempt counted"""
    from benchmarks.openai_async import run_async_benchmark

    pairs, judge = _judge(
        latency_ms=5, retry_after_s=0.1, rate_limited=0.15, server_error=0.15, dropped=0.1, html_body=0.1
    )
    options = {"api_key": "simulated", "timeout": 5, "max_retries": 2}
    with judge:
        stats = asyncio.run(run_async_benchmark(pairs, 8, base_url=judge.base_url, **options))["stats"]
        requests = judge.stats()["requests"]
    assert stats["answered"] + stats["failed"] == len(pairs), stats
    assert sum(stats["errors"].values()) == stats["failed"], stats
    assert stats["attempts"] == requests > len(pairs), f"{requests} requests, counted {stats['attempts']}"


def test_no_key() -> None:
    """no key: exit code 2 and four ways on"""
    ended = _run("benchmarks.llm_compare")
    assert ended.returncode == 2, _ending(ended)
    ways = ("OPENAI_API_KEY", "--simulate", "--base-url", "--kimera-only")
    missing = [way for way in ways if way not in ended.stderr]
    assert not missing, f"not named: {', '.join(missing)}"


def test_help() -> None:
    """--help: names the flags that keep their meaning"""
    ended = _run("benchmarks.llm_compare", "--help")
    assert ended.returncode == 0, _ending(ended)
    flags = ("DATASET", "--max-pairs", "--async", "--mp", "--kimera-only", "--model", "--out")
    missing = [flag for flag in flags if flag not in ended.stdout]
    assert not missing, f"not named: {', '.join(missing)}"


def test_whole_run() -> None:
    """comparison: reactor and simulated judge, every file of the run"""
    with _folder() as folder:
        arguments = ("--simulate", "--async", "8", "--max-pairs", str(PAIRS), "--quiet", "--out")
        ended = _run("benchmarks.llm_compare", *arguments, str(folder / "run"), cache=folder / "cache")
        assert ended.returncode == 0, _ending(ended)
        missing = RUN_FILES - {path.name for path in (folder / "run").iterdir()}
        rows = (folder / "run" / "results.csv").read_text(encoding="utf-8").count("\n") - 1
    assert not missing, f"not written: {', '.join(sorted(missing))}"
    assert rows == PAIRS, f"results.csv has {rows} rows"


def test_training() -> None:
    """training: fits a head on 200 pairs that the reactor loads"""
    from benchmarks.datasets import load_dataset
    from kimera import Reactor

    with _folder() as folder:
        rows = (
            {"text1": pair.text1, "text2": pair.text2, "label": pair.label}
            for pair in load_dataset(max_pairs=200)
        )
        (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        head = folder / "head.safetensors"
        ended = _run(
            "kimera.train",
            str(folder / "pairs.jsonl"),
            "--refit",
            "--epochs",
            "1",
            "--out",
            str(head),
            cache=folder,
        )
        assert ended.returncode == 0, _ending(ended)
        Reactor(head=head, cache=None)


def _judge(**config: Any) -> tuple[list[Pair], SimulatorProcess]:
    """Some pairs, and a simulated judge that knows them; not started yet."""
    from benchmarks.datasets import load_dataset
    from benchmarks.judge import DEFAULT_PROMPT, load_prompt
    from benchmarks.simulator import SimulatorConfig, SimulatorProcess, answers_for

    pairs = list(load_dataset(max_pairs=PAIRS))
    answers = answers_for(pairs, load_prompt(DEFAULT_PROMPT).question)
    return pairs, SimulatorProcess(SimulatorConfig(**config), answers)


def _scores(results: list[Verdict | Failure]) -> list[float]:
    from kimera import Verdict

    verdicts = [result for result in results if isinstance(result, Verdict)]
    failures = [result for result in results if not isinstance(result, Verdict)]
    assert not failures, f"{len(failures)} pairs have no verdict, the first: {failures[0]}"
    return [verdict.score for verdict in verdicts]


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kimera-check-") as name:
        yield Path(name)


def _run(module: str, *arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m MODULE` without the key, the endpoint and the cache that this user may have set."""
    mine = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "KIMERA_CACHE_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in mine}
    if cache:
        environment["KIMERA_CACHE_DIR"] = str(cache)
    command = [sys.executable, "-m", module, *arguments]
    with _folder() as elsewhere:  # -m would import what lies in the current folder
        return subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=elsewhere, env=environment, timeout=300
        )


def _ending(process: subprocess.CompletedProcess[str]) -> str:
    last_line = (process.stderr.strip() or "nothing on standard error").splitlines()[-1]
    return f"exit code {process.returncode}: {last_line}"


def _checks(names: Mapping[str, object]) -> list[Callable[[], None]]:
    return [value for name, value in names.items() if name.startswith("test_") and callable(value)]


@contextmanager
def away_from_here() -> Iterator[None]:
    """Neither this file's folder nor the current one is where this process and its children import from."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != HERE]
    began = Path.cwd()
    with _folder() as elsewhere:
        os.chdir(elsewhere)
        try:
            yield
        finally:
            os.chdir(began)


def main() -> int:
    with away_from_here():
        import kimera

        print(f"kimera from {Path(kimera.__file__).parent}", flush=True)
        return _run_checks()


def _run_checks() -> int:
    missed = 0
    for check in _checks(globals()):
        try:
            check()
        except Exception as error:  # noqa: BLE001 (whatever it is, the others are still worth checking)
            missed += 1
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            print(f"MISS {check.__doc__}: {reason}", flush=True)
        else:
            print(f"ok   {check.__doc__}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
