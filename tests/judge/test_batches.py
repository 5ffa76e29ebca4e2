"""--batch: the same verdicts as one by one, at half the price, whatever becomes of a batch."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators import ANSWERS, PAIRS, QUICK, SimulatorThread

from benchmarks.judge.batches.batch_ledger import LEDGER, BatchLedger, SubmittedBatch, digest_of
from benchmarks.judge.batches.batch_transport import BatchOptions, Pace
from benchmarks.judge.batches.calls import Patience
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.pricing import Price
from benchmarks.judge.prompts import Prompt, load_prompt
from benchmarks.judge.protocols import protocol_named
from benchmarks.judge.transport_choice import open_transport
from benchmarks.judge.transports import HttpReply, Transport
from benchmarks.judge.usage import Usage
from benchmarks.llm_compare import main
from benchmarks.openai_async import AsyncOpenAIClient, run_async_benchmark
from benchmarks.runs import price_for
from benchmarks.settings import RunSettings
from benchmarks.simulator.simulation import answers_for
from kimera.errors import UserError
from kimera.pairs import Failure, Verdict

NOWHERE = "http://127.0.0.1:9/v1"
AT_ONCE = Pace(quiet_s=0.02, first_look_s=0.02, appears_s=0, full_s=0.02)
SOON = replace(QUICK, batch_s=0.05)
FAULTY = replace(
    SOON, server_error=0.1, rate_limited=0.1, malformed=0.03, cut_short=0.03, format_failed=0.03,
    truncated=0.05, dropped=0.05, content_filter=0.05, abstained=0.05, cached_share=0.5, reasoning_tokens=7,
    batch_expired=0.1, batch_dropped=0.3,
)  # fmt: skip
PROTOCOLS = ("chat-completions", "responses", "anthropic")
PROMPT = load_prompt("strict")
KNOWN = answers_for(PAIRS, PROMPT.question)


def options(**changes: Any) -> BatchOptions:
    return BatchOptions(**{"size": 40, "pace": AT_ONCE, "patience": Patience(0.01, 0.05, 1.0), **changes})


def asked(base_url: str, protocol: str = PROTOCOLS[0], prompt: Prompt = PROMPT, **settings: Any) -> Any:
    settings = {"batch": options(), "protocol": protocol_named(protocol), "prompt": prompt, **settings}
    return asyncio.run(run_async_benchmark(PAIRS, base_url=base_url, **settings))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_through_every_fault_each_pair_has_one_outcome_and_every_token_is_counted(protocol: str) -> None:
    with SimulatorThread(FAULTY, KNOWN) as judge:
        batched = asked(judge.base_url, protocol)
        served = judge.stats(keys=True)
    with SimulatorThread(replace(SOON, content_filter=0.05, abstained=0.05), KNOWN) as judge:
        one_by_one = asked(judge.base_url, protocol, batch=None, max_concurrent=8)
    verdicts = [[_said(result) for result in run["results"]] for run in (batched, one_by_one)]
    assert verdicts[0] == verdicts[1]
    assert Counter(map(str, verdicts[0])).total() == len(PAIRS)
    tokens = {name: served[f"{name}_tokens"] for name in Usage().as_dict()}
    assert batched["stats"]["tokens"] == tokens
    assert max(served["asked"].values()) == 1, "no answer was paid for twice"
    assert sum(served["batches"]) > served["requests"] > len(PAIRS), "some expired, some were asked again"


def _said(result: Verdict | Failure) -> bool | str:
    return result.contradiction if isinstance(result, Verdict) else result.kind


def test_the_first_batch_is_of_one_request_from_which_the_others_learn() -> None:
    refusing = replace(SOON, refuses=("max_completion_tokens", "temperature"))
    with SimulatorThread(refusing, KNOWN) as judge:
        run = asked(judge.base_url)
        sizes = judge.stats()["batches"]
    assert run["stats"]["answered"] == len(PAIRS)
    assert sizes == [1, 1, 1, 40, 40, 40, 29]


def test_batches_cost_half_and_are_not_timed(tmp_path: Path) -> None:
    flags = ["--simulate", "--judge-only", "--no-viz", "--quiet", "--max-pairs", "20", "--price", "2,4"]
    summaries = []
    for name, extra in (("one", ["--async", "8"]), ("half", ["--batch"])):
        assert main([*flags, *extra, "--out", str(tmp_path / name)]) == 0
        whole = json.loads((tmp_path / name / "summary.json").read_text())
        summaries.append(whole["detectors"]["simulated-judge"])
    one, half = summaries
    assert one["tokens"] == half["tokens"]
    assert half["dollars"] == pytest.approx(one["dollars"] / 2)
    assert (half["mode"], half["accuracy"]) == ("batch", one["accuracy"])
    assert not {"mean_in_flight", "p50"} & {*half, *half["latency_ms"]}
    assert "p50" in one["latency_ms"]
    assert not (tmp_path / "half" / "batches").exists(), "a simulated judge's batches end with it"


def test_the_price_of_batches_is_half_or_the_one_that_is_told() -> None:
    settings = RunSettings(batch=True, price=("2,1,8",))
    halved = Price(input=1.0, cached_input=0.5, output=4.0)
    assert price_for(settings, "m", "http://127.0.0.1/v1") == halved
    told = replace(settings, batch_price=("3,4",))
    assert price_for(told, "m", "http://127.0.0.1/v1") == Price(input=3.0, cached_input=3.0, output=4.0)
    assert price_for(replace(settings, price=()), "m", "http://127.0.0.1/v1") is None


def test_votes_that_came_in_batches_are_not_timed_either(tmp_path: Path) -> None:
    flags = [
        "--simulate",
        "--judge-only",
        "--no-viz",
        "--quiet",
        "--max-pairs",
        "6",
        "--votes",
        "3",
        "--batch",
    ]
    assert main([*flags, "--out", str(tmp_path / "run")]) == 0
    detector = json.loads((tmp_path / "run" / "summary.json").read_text())["detectors"]["simulated-judge"]
    assert (detector["answered"], detector["attempts"]) == (6, 18)
    assert "p50" not in detector["latency_ms"]


def run_flags(judge: SimulatorThread, folder: Path, *flags: str) -> list[str]:
    path = folder / "pairs.jsonl"
    records = (
        {"id": str(number), "text1": pair.text1, "text2": pair.text2, "label": pair.label}
        for number, pair in enumerate(PAIRS)
    )
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    prompt = folder / "prompt.txt"
    prompt.write_text("First: {text1} Second: {text2} Reply in JSON.")
    what = [str(path), "--max-pairs", "0", "--judge-only", "--no-viz", "--prompt", str(prompt)]
    where = ["--base-url", judge.base_url, "--model", "m", "--out", str(folder / "run")]
    return [*what, *where, "--batch", "--batch-requests", "200", *flags]


def test_ctrl_c_leaves_at_once_and_what_was_submitted_is_collected_later(tmp_path: Path) -> None:
    with SimulatorThread(replace(QUICK, batch_s=2.0), ANSWERS) as judge:
        flags = run_flags(judge, tmp_path)
        run = start(*flags)
        until(lambda: judge.stats()["batches"] == [1, 149])
        run.send_signal(signal.SIGINT)
        told = run.communicate(timeout=20)[1]
        answered_first = judge.stats()["outcomes"]
        assert run.returncode == 130
        assert "--resume" in told
        assert answered_first == {"answered": 1}, "nobody waited for the second batch"
        again = start("--resume", str(tmp_path / "run"))
        told = again.communicate(timeout=60)[1]
        assert again.returncode == 0, told
        assert "of 149 requests, was submitted earlier" in told
        stats = judge.stats(keys=True)
    assert stats["batches"] == [1, 149]
    assert set(stats["asked"].values()) == {1}


def start(*flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.llm_compare", *flags]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def until(is_so: Callable[[], bool], within_s: float = 120) -> None:
    last = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < last
        time.sleep(0.02)


def test_no_key_is_in_what_a_run_in_batches_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-0123456789abcdef"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with SimulatorThread(replace(SOON, api_key=key), ANSWERS) as judge:
        assert main(run_flags(judge, tmp_path, "--quiet")) == 0
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes()


def openai_batch(status: str, *errors: dict[str, str]) -> HttpReply:
    told = {"id": "b", "status": status, "request_counts": {}, "errors": {"data": errors}}
    return HttpReply(200, {}, json.dumps(told).encode())


class ScriptedApi:
    """A transport to an API of batches, which are in one state after the other, the last for ever."""

    def __init__(self, *states: HttpReply) -> None:
        self._states = list(states)
        self.calls: list[str] = []

    async def post(self, url: str, *_: object) -> HttpReply:
        self.calls.append(f"POST {url}")
        return HttpReply(200, {}, b'{"id": "made"}') if self._states[0].status == 200 else self._states[0]

    async def get(self, url: str, *_: object) -> HttpReply:
        self.calls.append(f"GET {url}")
        if url.endswith("?limit=100"):
            return HttpReply(200, {}, b'{"data": []}')
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]

    async def aclose(self) -> None:
        raise AssertionError("whoever opened it closes it")


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ([openai_batch("failed", {"code": "x", "message": "No such model."})], "No such model"),
        ([openai_batch("failed")], "it does not say why"),
        ([openai_batch("in_progress"), openai_batch("cancelled")], "was cancelled"),
    ],
)
def test_a_batch_that_the_provider_gives_up_ends_the_run_with_its_words(
    states: list[HttpReply], told: str
) -> None:
    run = asked(NOWHERE, transport=ScriptedApi(*states))
    assert run["stats"]["errors"]["batch_refused"] == 1
    assert told in run["results"][0].message
    assert run["stats"]["tokens"]["prompt"] == 0


def test_a_full_queue_is_waited_for() -> None:
    full = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached."}
    api = ScriptedApi(openai_batch("failed", full), openai_batch("cancelled"))
    said: list[str] = []
    asked(NOWHERE, transport=api, batch=options(say=said.append))
    assert any("Enqueued token limit reached.; submitting again" in message for message in said)
    assert api.calls.count(f"POST {NOWHERE}/batches") == 2


@pytest.mark.parametrize(("status", "kind"), [(404, "batch_refused"), (401, "auth"), (400, "batch_refused")])
def test_an_endpoint_that_takes_no_batches_ends_the_run(status: int, kind: str) -> None:
    api = ScriptedApi(HttpReply(status, {}, b'{"error": {"message": "not here"}}'))
    run = asked(NOWHERE, transport=api)
    assert run["stats"]["errors"][kind] == 1
    assert kind == "auth" or "not here" in run["results"][0].message
    assert api.calls == [f"POST {NOWHERE}/files"]


@pytest.mark.parametrize("protocol", ["gemini", "azure", "decisions", "systemone"])
def test_an_api_without_batches_is_refused_at_once(protocol: str) -> None:
    with pytest.raises(UserError, match=f"--batch does not go with --protocol {protocol}"):
        AsyncOpenAIClient(
            "k", base_url="http://127.0.0.1:9/v1", protocol=protocol_named(protocol), batch=options()
        )


def test_batch_and_async_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--batch", "--async", "8", "--dry-run"]) == 2
    assert "--batch and --async contradict each other" in capsys.readouterr().err


class Troubled:
    """A transport whose first calls of each kind fail, each otherwise."""

    def __init__(self, over: Transport) -> None:
        self._over = over
        self._posts, self._gets = (
            iter(
                [JudgeError("connection", "reset"), HttpReply(503, {}, b"down"), HttpReply(429, {}, b"slow")]
            )
            for _ in range(2)
        )

    async def post(self, *call: Any) -> HttpReply:
        return self._trouble(self._posts) or await self._over.post(*call)

    async def get(self, *call: Any) -> HttpReply:
        return self._trouble(self._gets) or await self._over.get(*call)

    def _trouble(self, left: Iterator[JudgeError | HttpReply]) -> HttpReply | None:
        following = next(left, None)
        if isinstance(following, JudgeError):
            raise following
        return following

    async def aclose(self) -> None:
        await self._over.aclose()


def test_a_network_that_is_gone_for_a_while_is_told_of_and_costs_no_pair() -> None:
    said: list[str] = []

    async def run(base_url: str) -> Any:
        carrier = Troubled(open_transport(1))
        batch = options(size=200, say=said.append)
        try:
            return await run_async_benchmark(
                PAIRS, base_url=base_url, prompt=PROMPT, batch=batch, transport=carrier
            )
        finally:
            await carrier.aclose()

    with SimulatorThread(SOON, KNOWN) as judge:
        assert asyncio.run(run(judge.base_url))["stats"]["answered"] == len(PAIRS)
        assert judge.stats()["batches"] == [1, 149]
    assert sum("trying again" in message for message in said) == 2


REPLIES = st.dictionaries(
    st.integers(0, 3),
    st.builds(
        HttpReply, st.integers(200, 599), st.just({}), st.text(st.characters(codec="utf-8")).map(str.encode)
    ),
)
STEPS = st.lists(
    st.tuples(st.lists(st.text(), min_size=4, max_size=4), st.sampled_from("abcd"), REPLIES), max_size=4
)


@given(STEPS, st.data())
@settings(max_examples=30)
def test_a_ledger_that_is_cut_anywhere_knows_what_was_written_whole(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any], data: st.DataObject
) -> None:
    """a: begun, b: known to the provider, c: dropped, d: over."""
    folder = tmp_path_factory.mktemp("ledger")
    ledger = BatchLedger(folder)
    expected: list[dict[str, tuple[str, bool]]] = [{}]

    def wrote() -> None:
        expected.append({batch.mark: (batch.id, batch.is_over) for batch in ledger})

    for number, (digests, end, replies) in enumerate(steps):
        batch = SubmittedBatch(f"m{number}", 1.0, tuple(digests))
        ledger.begin(batch)
        wrote()
        if end in "bd":
            ledger.created(batch, f"id{number}")
            wrote()
        if end == "c":
            ledger.drop(batch)
            wrote()
        if end == "d":
            ledger.keep(batch, replies)
            wrote()
    path = folder / LEDGER
    content = path.read_bytes() if path.exists() else b""
    cut = data.draw(st.integers(0, len(content)))
    folder.mkdir(exist_ok=True)
    path.write_bytes(content[:cut])
    again = BatchLedger(folder)
    assert {batch.mark: (batch.id, batch.is_over) for batch in again} == expected[content[:cut].count(b"\n")]


@pytest.mark.parametrize("line", ["x", "{}", '{"batch": "m", "id": "i"}', '{"batch": 3}', "[]"])
def test_a_ledger_that_something_else_has_changed_is_refused_by_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / LEDGER).write_text(line + "\n")
    with pytest.raises(UserError, match=r"ledger\.jsonl, line 1: this is no record of batches"):
        BatchLedger(tmp_path)


def test_requests_of_the_same_text_are_known_as_one_to_the_same_address_alone() -> None:
    assert digest_of("a", b"b") == digest_of("a", b"b") != digest_of("ab", b"")
