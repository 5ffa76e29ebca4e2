"""Proofs of what the judge pipeline does under limits, faults and a kill, what it bills, what it reads."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from benchmarks.datasets import load_dataset
from benchmarks.judge.pricing import Price
from benchmarks.judge.prompts import DEFAULT_PROMPT, load_prompt
from benchmarks.judge.usage import Usage
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.perf import peers
from benchmarks.perf.kill_and_resume import IN_FLIGHT, kill_and_resume
from benchmarks.perf.proof import Bench, Proof, ProofFinding
from benchmarks.perf.refusal_fuzzer import fuzz as fuzz_refusals
from benchmarks.perf.reply_fuzzer import fuzz
from benchmarks.report import build_summary
from benchmarks.runs.comparison import compare
from benchmarks.runs.journal import Journal, JournalReader, Record
from benchmarks.runs.judge_detector import JudgeDetector, JudgeOptions
from benchmarks.runs.run_result import RunResult
from benchmarks.simulator.process import SimulatorProcess
from benchmarks.simulator.simulation import (
    FAULTS,
    GONE,
    MODEL,
    PROFILES,
    REFUSAL_SHAPES,
    SimulatorConfig,
    answers_for,
)
from benchmarks.stats.results import DetectorResult

SEED = 5
PRICE = Price(input=2.5, cached_input=1.25, output=10.0)
LATENCY_MS = 200.0


def announced_rate(bench: Bench) -> Iterator[ProofFinding]:
    """A server that tells in headers that it takes 3,000 requests a minute: used whole, never overrun."""
    config = replace(PROFILES["openai"], latency_ms=LATENCY_MS)
    settled_s, until_s = (0, 1) if bench.small else (30, 90)
    run = _judge(bench, config, bench.size(4_800, 80), 32)
    answers = sum(settled_s <= record["s"] < until_s for record in run.records)
    used = answers / (until_s - settled_s) * 60 / config.requests_per_minute
    yield run.answered("announced rate", 1.0)
    yield ProofFinding(
        f"share used of {config.requests_per_minute:,} requests/min, second {settled_s} to {until_s}",
        "at least 95 %",
        f"{used:.1%}",
        used >= 0.95,
        timed=True,
    )
    yield run.refused("announced rate", 0.01)


def hidden_cap(bench: Bench) -> Iterator[ProofFinding]:
    """A server that takes 64 at a time and does not say so: --async auto finds out."""
    pairs = bench.size(12_000, 200)
    config = replace(PROFILES["hidden-cap"], latency_ms=LATENCY_MS)
    fixed = _judge(bench, config, pairs, config.max_in_flight_cap)
    found = _judge(bench, config, pairs, "auto")
    share = fixed.detector.wall_s / found.detector.wall_s
    rates = ", ".join(f"{pairs / run.detector.wall_s:.0f}/s" for run in (found, fixed))
    yield found.answered("hidden cap", 1.0)
    yield ProofFinding(
        f"throughput of --async auto over --async {config.max_in_flight_cap}, which is the hidden cap",
        "at least 90 %",
        f"{share:.1%} ({rates})",
        share >= 0.9,
        timed=True,
    )
    yield found.refused("hidden cap", 0.02)


def faults(bench: Bench) -> Iterator[ProofFinding]:
    """5 % 500, 2 % dropped, 2 % stalled, 3 % malformed, 1 % truncated: every pair accounted for, once."""
    pairs = bench.size(2_000, 200)
    config = SimulatorConfig(
        latency_ms=50.0, server_error=0.05, dropped=0.02, stalled=0.02, malformed=0.03, truncated=0.01
    )
    run = _judge(bench, config, pairs, 64, timeout_s=1.0 if bench.small else 5.0)
    outcomes = Counter(record["index"] for record in run.records)
    met = ", ".join(f"{count} {name}" for name, count in run.stats["outcomes"].items() if name in FAULTS)
    paid_again = sum(count > 1 for count in run.stats["asked"].values())
    yield run.answered(f"faults ({met})", 0.999)
    yield ProofFinding(
        "faults: outcomes in the journal, one a pair",
        f"{pairs:,}",
        f"{outcomes.total():,}",
        outcomes == Counter(range(pairs)),
    )
    yield ProofFinding(
        "faults: pairs asked again after a whole answer", "0", f"{paid_again}", paid_again == 0
    )


def killed(bench: Bench, batched: bool = False) -> Iterator[ProofFinding]:
    """SIGKILL at random moments, then --resume: nothing lost, nothing paid for twice, the same results."""
    pairs, kills = bench.size(2_000, 300), bench.size(20, 1)
    runs = kill_and_resume(bench.pair_file(pairs), kills, SEED, bench.folder, batched=batched)
    lost, again = sum(run.lost for run in runs), sum(run.asked_again for run in runs)
    maximum = max(run.in_flight_again for run in runs)
    same = sum(run.same and not run.unasked for run in runs)
    held = sorted(run.answered for run in runs)
    where = f"{kills} kills of a run of {pairs:,} pairs{' in batches' * batched}"
    twice = 0 if batched else IN_FLIGHT
    yield ProofFinding(
        f"{where}: answers lost", "0", f"{lost} of {held[0]:,} to {held[-1]:,} at each kill", lost == 0
    )
    yield ProofFinding(f"{where}: answered pairs asked again", "0", f"{again}", again == 0)
    yield ProofFinding(
        f"{where}: others answered twice", f"at most {twice} each", f"{maximum}", maximum <= twice
    )
    yield ProofFinding(f"{where}: same results as undisturbed", f"{kills}", f"{same}", same == kills)


def cost(bench: Bench) -> Iterator[ProofFinding]:
    """Tokens and dollars of the report are those that the judge served, failed attempts included."""
    served_in_vain = SimulatorConfig(malformed=0.1, cut_short=0.05, server_error=0.05)
    config = replace(served_in_vain, latency_ms=20.0, reasoning_tokens=40, cached_share=0.5)
    run = _judge(bench, config, bench.size(2_000, 150), 32)
    served = Usage(**{name: run.stats[f"{name}_tokens"] for name in Usage().as_dict()})
    reported = build_summary(run.result)["detectors"][MODEL]
    yield ProofFinding(
        "tokens in the report (prompt, completion, of these cached, reasoning, written)",
        _tokens(served),
        _tokens(Usage(**reported["tokens"])),
        Usage(**reported["tokens"]) == served,
    )
    yield ProofFinding(
        "dollars in the report",
        f"{PRICE.cost(served):.6f}",
        f"{reported['dollars']:.6f}",
        abs(reported["dollars"] - PRICE.cost(served)) < 1e-9,
    )


KINDS: dict[str, dict[str, Any]] = {
    **{f"errors told as {shape}": {"refusal_shape": shape} for shape in REFUSAL_SHAPES},
    "errors inside a 200": {"errors_in_200": True, "server_error": 0.1, "rate_limited": 0.1},
    "a wait told in the body": {"wait_in_body": True, "rate_limited": 0.2, "retry_after_s": 0.2},
    "a format that fails now and then": {"format_failed": 0.1},
    "a format that always fails": {"refuses": ("response_format",), "format_failed": 0.05},
    "a first limit refused": {"max_reply_tokens": 600},
    "a raised limit refused": {"max_reply_tokens": 2_000, "reasoning_tokens": 1_200},
    "filters in other words": {"content_filter": 0.2, "foreign_filters": True},
}
REFUSED = ("max_completion_tokens", "temperature", "response_format")
SMALL_STEP = 6  # tests ask simulators of every kind in threads of their own


def kind_of_endpoint(name: str) -> SimulatorConfig:
    settings = KINDS[name]
    refuses = REFUSED if "refusal_shape" in settings else ()
    told: dict[str, Any] = {"latency_ms": 5.0, "refuses": refuses, **settings}
    return SimulatorConfig(**told)


def kinds(bench: Bench) -> Iterator[ProofFinding]:
    """Ways to refuse, by shape: every pair that can be answered is, and what never heals is asked once."""
    pairs, step = bench.size(200, 20), bench.size(1, SMALL_STEP)
    tried = list(KINDS)[::step]
    unanswered: list[str] = []
    for name in tried:
        run = _judge(bench, kind_of_endpoint(name), pairs, 4)
        withheld = run.detector.errors.get("content_filter", 0)
        if int(run.detector.answered.sum()) + withheld < pairs or (withheld and "filters" not in name):
            unanswered.append(f"{name}: {run.detector.errors}")
    shown = f" ({unanswered[0]})" if unanswered else ""
    share = f"{len(tried) - len(unanswered)} of {len(tried)}"
    yield ProofFinding(
        "kinds of endpoint of which every pair that can be answered is", "all", share + shown, not unanswered
    )
    for gone in GONE[1::step]:
        run = _judge(bench, SimulatorConfig(latency_ms=5.0, gone=gone), pairs, 1)
        requests = run.stats["requests"]
        yield ProofFinding(f"requests until the run ends, {gone} gone", "1", f"{requests}", requests == 1)


def refusals(bench: Bench) -> Iterator[ProofFinding]:
    """Generated refusals through the pipeline: no crash, no pair lost that a plain ladder saves."""
    tally = fuzz_refusals(bench.size(100_000, 1_500), SEED)
    for what, examples in (
        ("exceptions", tally.crashes),
        ("pairs lost that a plain ladder saves", tally.lost),
    ):
        shown = f", such as {min(examples, key=len)}" if examples else ""
        yield ProofFinding(
            f"{tally.bodies:,} refusals: {what}", "0", f"{len(examples):,}{shown}", not examples
        )
    yield ProofFinding(
        f"{tally.bodies:,} refusals: most requests for 3 pairs",
        "at most 40",
        f"{tally.max_requests}",
        tally.max_requests <= 40,
    )


def replies(bench: Bench) -> Iterator[ProofFinding]:
    """Generated replies through the parser: no crash, no verdict that was not stated."""
    tally = fuzz(bench.size(100_000, 4_000), SEED)
    for what, examples in (
        ("exceptions other than ReplyError", tally.crashes),
        ("verdicts read where none is stated", tally.invented),
        ("verdicts read as their opposite", tally.reversed),
        ("plain verdicts not read", tally.not_understood),
    ):
        shown = f", such as {min(examples, key=len)!r}" if examples else ""
        yield ProofFinding(
            f"{tally.replies:,} replies: {what}", "0", f"{len(examples):,}{shown}", not examples
        )
    yield ProofFinding(
        f"{tally.replies:,} replies: the slowest to read",
        "at most 1 s",
        f"{tally.slowest_s * 1000:.0f} ms",
        tally.slowest_s <= 1.0,
        timed=True,
    )


@dataclass(frozen=True)
class _Judged:
    """One run of the judge phase: what it found, what its journal says, what the server counted."""

    result: RunResult
    records: list[Record]
    stats: dict[str, Any]

    @property
    def detector(self) -> DetectorResult:
        return self.result.detectors[0]

    def answered(self, where: str, minimum: float) -> ProofFinding:
        answered, pairs = int(self.detector.answered.sum()), len(self.result.labels)
        required = f"at least {minimum:.1%} of {pairs:,}"
        return ProofFinding(
            f"{where}: pairs answered", required, f"{answered:,}", answered >= minimum * pairs
        )

    def refused(self, where: str, maximum: float) -> ProofFinding:
        """The share of requests that the server answered with 429."""
        outcomes, requests = self.stats["outcomes"], self.stats["requests"]
        refused = sum(outcomes.get(name, 0) for name in ("over_requests", "over_tokens", "over_cap"))
        measured = f"{refused / requests:.2%} of {requests:,}"
        return ProofFinding(
            f"{where}: requests refused",
            f"at most {maximum:.0%}",
            measured,
            refused <= maximum * requests,
            timed=True,
        )


def _judge(
    bench: Bench,
    config: SimulatorConfig,
    pairs: int,
    in_flight: int | Literal["auto"],
    timeout_s: float = 30.0,
) -> _Judged:
    """The judge phase over so many pairs, as a comparison runs it, with its journal."""
    dataset = load_dataset(bench.pair_file(pairs))
    journal_path = Path(tempfile.mkdtemp(dir=bench.folder)) / "journal.jsonl"
    with SimulatorProcess(config, answers_for(dataset, load_prompt(DEFAULT_PROMPT).question)) as judge:
        client = AsyncOpenAIClient(peers.KEY, MODEL, in_flight, judge.base_url, timeout_s)
        detector = JudgeDetector(client, MODEL, client.max_concurrent, options=JudgeOptions(price=PRICE))
        with Journal(journal_path, header={}) as journal:
            result = compare(dataset, [detector], journal, quiet=True).run
        stats = judge.stats(keys=True)
    with JournalReader(journal_path) as reader:
        records = [record for _, record in reader if "index" in record]
    return _Judged(result, records, stats)


def _tokens(usage: Usage) -> str:
    return ", ".join(f"{count:,}" for count in usage.as_tuple())


PROOFS: dict[str, Proof] = {
    "announced-rate": announced_rate,
    "hidden-cap": hidden_cap,
    "faults": faults,
    "killed": killed,
    "killed-batches": partial(killed, batched=True),
    "cost": cost,
    "replies": replies,
    "kinds": kinds,
    "refusals": refusals,
}
