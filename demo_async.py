"""A tour of the judge pipeline, offline: one question, sync against async, and a run full of faults.

The judge is simulated: a server on this machine that answers from the pairs' labels after a fixed delay.
For a real one leave `base_url` out, or give your endpoint's, and set OPENAI_API_KEY.
"""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.datasets import load_dataset
from benchmarks.judge import DEFAULT_PROMPT, JudgeError, httpx_available, load_prompt
from benchmarks.openai_async import AsyncOpenAIClient, run_async_benchmark
from benchmarks.openai_sync import run_sync_benchmark
from benchmarks.simulator import FAULTS, MODEL, SimulatorConfig, SimulatorProcess, answers_for
from kimera.errors import UserError
from kimera.pairs import Failure, Pair

IN_FLIGHT = (4, 8, 16)  # one in flight is sync mode
BAD_DAY = SimulatorConfig(
    rate_limited=0.10,
    server_error=0.10,
    dropped=0.05,
    stalled=0.05,
    truncated=0.05,
    malformed=0.10,
    html_body=0.05,
    retry_after_s=0.5,
)
MAX_LATENCY_MS = 10_000  # well below the client's time-out
ROW = "{:<6} {:>9} {:>6} {:>8} {:>8} {:>13} {:>9}"


def main(argv: Sequence[str] | None = None) -> int:
    options = _parse(argv)
    try:
        tour(list(load_dataset(max_pairs=options.pairs)), options.latency_ms)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except JudgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def tour(pairs: list[Pair], latency_ms: float) -> None:
    if not httpx_available():
        raise UserError("without httpx and httpx-aiohttp there is only sync mode: pip install httpx-aiohttp")
    answers = answers_for(pairs, load_prompt(DEFAULT_PROMPT).question)
    say("The judge is simulated: no model is asked, and nothing leaves this machine.")
    with SimulatorProcess(SimulatorConfig(latency_ms=latency_ms), answers) as judge:
        heading("One question")
        asyncio.run(ask_once(pairs[0], judge.base_url))
        heading(f"Sync against async: {len(pairs)} pairs, the judge takes {latency_ms:g} ms")
        compare_modes(pairs, judge.base_url)
    with SimulatorProcess(replace(BAD_DAY, latency_ms=latency_ms), answers) as judge:
        share = sum(getattr(BAD_DAY, fault) for fault in FAULTS)
        heading(f"A bad day: {share:.0%} of all requests go wrong")
        run_with_faults(pairs, judge, timeout_s=1 + 2 * latency_ms / 1000)


async def ask_once(pair: Pair, base_url: str) -> None:
    """Raises JudgeError where the judge gives no verdict; its `kind` says why."""
    async with AsyncOpenAIClient(api_key="simulated", model=MODEL, base_url=base_url) as client:
        answer = await client.detect_contradiction_async(pair.text1, pair.text2)
    contradiction, confidence, reasoning, measured_ms = answer
    say(f"1: {pair.text1}\n2: {pair.text2}")
    say(f"contradiction: {contradiction}, confidence {confidence:.2f}, {measured_ms:.0f} ms. {reasoning}")


def compare_modes(pairs: list[Pair], base_url: str) -> None:
    """The same pairs with one request at a time, then with more and more in flight."""
    endpoint = {"api_key": "simulated", "model": MODEL, "base_url": base_url}
    say(ROW.format("mode", "in flight", "pairs", "wall s", "pairs/s", "mean latency", "speed-up"))
    sync = run_sync_benchmark(pairs, **endpoint)["stats"]
    say(row(sync, sync))
    for in_flight in IN_FLIGHT:
        stats = asyncio.run(run_async_benchmark(pairs, in_flight, **endpoint))["stats"]
        say(row(stats, sync))
    speed_up = sync["wall_s"] / stats["wall_s"]
    say(bold(f"{stats['concurrency']} in flight were {speed_up:.1f} times as fast as sync mode."))


def row(stats: dict[str, Any], sync: dict[str, Any]) -> str:
    return ROW.format(
        stats["mode"],
        stats["concurrency"],
        stats["answered"],
        f"{stats['wall_s']:.2f}",
        f"{stats['pairs_per_s']:.1f}",
        f"{stats['latency_ms']['mean']:.0f} ms",
        f"{sync['wall_s'] / stats['wall_s']:.1f}x",
    )


def run_with_faults(pairs: list[Pair], judge: SimulatorProcess, timeout_s: float) -> None:
    """Every pair ends as a verdict or as a failure with a kind; each retry is counted."""
    options = {"api_key": "simulated", "model": MODEL, "base_url": judge.base_url}
    run = asyncio.run(run_async_benchmark(pairs, 8, timeout=timeout_s, max_retries=3, **options))
    stats = run["stats"]
    say("The judge's own count of its replies:")
    for outcome, count in sorted(judge.stats()["outcomes"].items()):
        say(f"  {outcome:<13} {count:>4}")
    retries = stats["attempts"] - len(pairs)
    say(f"8 in flight, {timeout_s:g} s an attempt: {stats['attempts']} attempts, {retries} of them retries")
    say(bold(f"{len(pairs)} pairs = {stats['answered']} answered + {stats['failed']} failed"))
    for pair, result in zip(pairs, run["results"], strict=True):
        if isinstance(result, Failure):
            say(f"  {pair.id}: {result.kind}: {result.message}")


def heading(text: str) -> None:
    say(f"\n{bold(text)}")


def bold(text: str) -> str:
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[1m{text}\033[0m" if colour else text


def say(text: str) -> None:
    """Each line at once, also into a pipe."""
    print(text, flush=True)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=48, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--latency-ms", type=float, default=200.0, metavar="MS", help="the judge's (default: %(default)g)"
    )
    options = parser.parse_args(argv)
    if options.pairs < 1:
        parser.error("--pairs must be at least 1")
    if not 0 <= options.latency_ms <= MAX_LATENCY_MS:
        parser.error(f"--latency-ms must lie between 0 and {MAX_LATENCY_MS}")
    return options


if __name__ == "__main__":
    sys.exit(main())
