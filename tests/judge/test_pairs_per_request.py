"""--pairs-per-request: several pairs in one request, each with an outcome and a share of the cost."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import QUICK as QUICK_RETRIES
from servers import Asked, Canned, ScriptedJudge, completion, error, verdict
from simulators import QUICK, SimulatorThread

from benchmarks.datasets import load_dataset
from benchmarks.diff import main as diff
from benchmarks.judge.attempts import Outcome
from benchmarks.judge.pair_groups import questions_in
from benchmarks.judge.pipeline import Ask, asks_of, grouped, judge_all
from benchmarks.judge.prompts import load_prompt
from benchmarks.judge.protocols import protocol_named
from benchmarks.judge.usage import Usage
from benchmarks.llm_compare import main
from benchmarks.openai_async import AsyncOpenAIClient, run_async_benchmark
from benchmarks.simulator.simulation import SimulatorConfig, answers_for
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict

Serve = Callable[[Any], ScriptedJudge]
FLAGS = ["--judge-only", "--no-viz", "--quiet", "--max-pairs", "20", "--pairs-per-request", "4"]
ALONE = [*FLAGS[:-2], "--pairs-per-request", "1"]
FAULTS = {"number_missing": 0.3, "number_twice": 0.2, "number_wrong": 0.2, "text_around": 0.3}
PAIRS = [Pair(f"Door {number} is open.", f"Door {number} is shut.") for number in range(8)]


def answers(classes: int = 2) -> Any:
    question = load_prompt("same-event", classes).question
    return answers_for(load_dataset("kimera-everyday"), question, swap=True)


def detector_of(folder: Path) -> dict[str, Any]:
    (detector,) = json.loads((folder / "summary.json").read_text())["detectors"].values()
    return dict(detector)


def verdicts_of(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """The lines of the journal that are about a pair, by its index."""
    lines: dict[int, list[dict[str, Any]]] = {}
    for line in map(json.loads, (folder / "journal.jsonl").read_text().splitlines()):
        if "index" in line:
            lines.setdefault(line["index"], []).append(line)
    return lines


def simulated_run(
    config: SimulatorConfig, folder: Path, *flags: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the detector of the summary, the simulator's own counts) of a run over 20 pairs, four a request."""
    with SimulatorThread(config, answers(3 if "--classes" in flags else 2)) as server:
        assert main([*FLAGS, *flags, "--base-url", server.base_url, "--out", str(folder)]) == 0
        return detector_of(folder), server.stats()


def group_of(asked: Asked) -> list[str]:
    """The pairs that a request is about."""
    return questions_in(asked.payload["messages"][-1]["content"])


def stating(*numbers: int) -> Canned:
    """A reply with a verdict for each of these numbers."""
    stated = {"contradiction": True, "confidence": 0.9, "reasoning": "because", "cannot_tell": False}
    return completion(json.dumps({"verdicts": [{"pair": number, **stated} for number in numbers]}))


async def judged(client: AsyncOpenAIClient, pairs: list[Pair]) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    async with client:
        await judge_all(
            client, asks_of(enumerate(pairs)), lambda ask, outcome: outcomes.update({ask.index: outcome})
        )
    return outcomes


def client_of(server: ScriptedJudge, pairs: int = 4, **options: Any) -> AsyncOpenAIClient:
    return AsyncOpenAIClient(
        base_url=server.base_url, pairs_per_request=pairs, policy=QUICK_RETRIES, **options
    )


# The requests


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("chat-completions", []),
        ("azure", ["--async", "4"]),
        ("responses", ["--async", "4", "--reasoning", "first"]),
        ("anthropic", ["--classes", "3"]),
        ("gemini", ["--async", "4", "--reasoning", "first", "--classes", "3"]),
    ],
)
def test_verdicts_are_those_of_one_pair_a_request(name: str, flags: list[str], tmp_path: Path) -> None:
    config = replace(QUICK, error_rate=0.2, cached_share=0.5, reasoning_tokens=3)
    flags = [*flags, "--protocol", name, "--model", "m"]
    detector, stats = simulated_run(config, tmp_path / "four", *flags)
    with SimulatorThread(config, answers(3 if "--classes" in flags else 2)) as server:
        assert main([*ALONE, *flags, "--base-url", server.base_url, "--out", str(tmp_path / "one")]) == 0
    of_four, of_one = verdicts_of(tmp_path / "four"), verdicts_of(tmp_path / "one")
    for index, [line] in of_one.items():
        [same] = of_four[index]
        assert same["verdict"] | {"latency_ms": 0, "wait_ms": 0} == line["verdict"] | {
            "latency_ms": 0,
            "wait_ms": 0,
        }
    assert detector["attempts"] == stats["requests"] == 5
    for kind, tokens in detector["tokens"].items():
        assert tokens == stats[f"{kind}_tokens"]


@pytest.mark.parametrize("flags", [[], ["--async", "8"], ["--swap", "--votes", "3", "--async", "4"]])
def test_through_every_fault_each_pair_has_one_outcome_and_no_token_is_lost(
    flags: list[str], tmp_path: Path
) -> None:
    config = replace(
        QUICK,
        **FAULTS,
        server_error=0.1,
        malformed=0.1,
        cut_short=0.1,
        abstained=0.1,
        cached_share=0.4,
        retry_after_s=0.01,
    )
    detector, stats = simulated_run(config, tmp_path / "run", *flags, "--price", "1,0.5,3")
    assert stats["outcomes"].keys() >= {"number_missing", "number_twice", "number_wrong"}
    assert detector["answered"] + detector["failed"] == 20
    assert set(detector["errors"]) <= {"abstained"}
    assert detector["attempts"] == stats["requests"]
    for kind, tokens in detector["tokens"].items():
        assert tokens == stats[f"{kind}_tokens"], kind
    prompt, cached = stats["prompt_tokens"], stats["cached_tokens"]
    dollars = (prompt - cached + 0.5 * cached + 3 * stats["completion_tokens"]) / 1e6
    assert detector["dollars"] == pytest.approx(dollars, abs=1e-12)


def test_the_first_request_holds_each_pair_by_number_and_one_pair_is_asked_as_ever(serve: Serve) -> None:
    server = serve(lambda asked: stating(1, 2, 3, 4) if len(group_of(asked)) > 1 else verdict())
    outcomes = asyncio.run(judged(client_of(server), PAIRS[:5]))
    assert {outcome.result.score for outcome in outcomes.values() if isinstance(outcome.result, Verdict)} == {
        0.9
    }
    together, alone = (asked.payload for asked in server.asked)
    assert "Pair 4 of 4" in together["messages"][-1]["content"]
    schema = together["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["verdicts"]["items"]["required"][0] == "pair"
    assert alone["messages"] == load_prompt("same-event").messages(PAIRS[4].text1, PAIRS[4].text2)


def test_what_a_reply_leaves_out_is_asked_about_alone_and_shares_its_cost(serve: Serve) -> None:
    def answer(asked: Asked) -> Canned:
        return stating(1, 2, 4) if len(group_of(asked)) > 1 else verdict(False)

    server = serve(answer)
    outcomes = asyncio.run(judged(client_of(server), PAIRS[:4]))
    assert [outcomes[index].result.contradiction for index in range(4)] == [True, True, False, True]  # type: ignore[union-attr]
    assert len(server.asked) == 2
    assert [attempt.error for attempt in outcomes[2].attempts] == ["missing", None]
    assert sum((outcome.usage for outcome in outcomes.values()), Usage()) == Usage(14, 6, None, None)
    assert [outcomes[index].usage.prompt for index in range(4)] == [2, 2, 2 + 7, 1]
    latencies = {outcome.attempts[0].latency_ms for outcome in outcomes.values()}
    assert len(latencies) == 1, "the latency is the request's"


@pytest.mark.parametrize(
    "first",
    [
        error(400, "flagged", "content_filter"),
        completion(None, refusal="I cannot assist with that."),
        completion("No JSON here."),
        stating(1, 2, 2, 3),
        stating(0, 1, 2, 3),
    ],
)
def test_one_pair_that_spoils_a_request_costs_the_others_nothing(first: Canned, serve: Serve) -> None:
    server = serve(lambda asked: first if len(group_of(asked)) > 1 else verdict())
    outcomes = asyncio.run(judged(client_of(server), PAIRS[:4]))
    assert all(isinstance(outcome.result, Verdict) for outcome in outcomes.values())
    assert len(server.asked) == 5


def test_a_reply_that_was_cut_off_before_any_verdict_gets_more_room(serve: Serve) -> None:
    def answer(asked: Asked) -> Canned:
        return completion("", "length") if asked.number == 0 else stating(1, 2, 3, 4)

    server = serve(answer)
    asyncio.run(judged(client_of(server), PAIRS[:4]))
    rooms = [asked.payload["max_completion_tokens"] for asked in server.asked]
    assert rooms == [1024 + 3 * 256, 4 * (1024 + 3 * 256)]


def test_a_fault_that_stays_fails_each_of_its_pairs_once(serve: Serve) -> None:
    server = serve(error(503, "overloaded"))
    outcomes = asyncio.run(judged(client_of(server, max_retries=5), PAIRS[:4]))
    assert {outcome.result.kind for outcome in outcomes.values() if isinstance(outcome.result, Failure)} == {
        "server_error"
    }
    counted = [attempt for outcome in outcomes.values() for attempt in outcome.attempts if attempt.is_counted]
    assert len(counted) == len(server.asked) == 6


def test_what_ends_the_run_ends_it_with_one_request(serve: Serve) -> None:
    server = serve(error(401, "no such key"))
    client = client_of(server, max_concurrent=1)
    outcomes = asyncio.run(judged(client, PAIRS))
    assert client.stopped_by
    assert client.stopped_by.kind == "auth"
    assert len(server.asked) == 1
    assert len(outcomes) == 4


def test_in_python_a_request_is_counted_once(serve: Serve) -> None:
    server = serve(stating(1, 2, 3, 4))
    found = asyncio.run(run_async_benchmark(PAIRS, base_url=server.base_url, pairs_per_request=4))
    assert found["stats"]["answered"] == 8
    assert found["stats"]["attempts"] == len(server.asked) == 2
    assert found["stats"]["tokens"]["prompt"] == 14


def test_a_text_that_looks_like_a_heading_is_in_no_group(serve: Serve) -> None:
    server = serve(lambda asked: stating(1, 2, 3) if "Pair 3 of 3" in str(asked.payload) else verdict())
    pairs = [*PAIRS[:2], Pair("Open.\nPair 1 of 9\nStatement 1: x", "Shut."), PAIRS[2]]
    asyncio.run(judged(client_of(server), pairs))
    assert len(server.asked) == 2


# Groups


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 9), st.booleans(), st.sampled_from([1, 3]), st.integers(1, 2))
def test_each_way_of_asking_is_in_one_group_and_no_group_has_a_pair_twice(
    size: int, count: int, swap: bool, votes: int, repeat: int
) -> None:
    pairs = [Pair(f"{number}", "b") for number in range(count)]

    def asks() -> list[Ask]:
        return list(asks_of(enumerate(pairs), repeat, swap, votes=votes))

    groups = list(grouped(asks(), size))
    assert sorted(map(repr, (ask for group in groups for ask in group))) == sorted(map(repr, asks()))
    for group in groups:
        assert len({ask.index for ask in group}) == len(group) <= size
        assert len({(ask.swapped, ask.sample) for ask in group}) == 1
    ways = votes * repeat * (1 + swap)
    assert len(groups) == ways * -(-count // size)


@given(
    st.builds(Usage, *[st.none() | st.integers(0, 10**6)] * 4),
    st.integers(1, 50),
)
def test_shares_add_up_to_what_a_request_cost(usage: Usage, count: int) -> None:
    shares = usage.shares(count)
    assert sum(shares[1:], shares[0]) == usage
    assert len(shares) == count
    for share in shares:
        if None not in (usage.cached, usage.prompt) and usage.cached <= usage.prompt:  # type: ignore[operator]
            assert share.cached <= share.prompt  # type: ignore[operator]


# A run


def test_a_run_that_ends_early_asks_only_for_what_is_missing(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(asked: Asked) -> Canned:
        if asked.number == 2:
            return error(402, "no credit is left", "insufficient_quota")
        return stating(*range(1, len(group_of(asked)) + 1))

    server = serve(answer)
    assert main([*FLAGS, "--base-url", server.base_url, "--out", str(tmp_path / "run")]) == 1
    assert "stopped early: quota" in capsys.readouterr().err
    assert main(["--resume", str(tmp_path / "run"), "--quiet", "--no-viz"]) == 0
    assert [len(group_of(asked)) for asked in server.asked] == [4, 4, 4, 4, 4, 4]
    detector = detector_of(tmp_path / "run")
    assert (detector["answered"], detector["attempts"]) == (20, 6)
    assert detector["tokens"]["prompt"] == 5 * 7


@pytest.mark.parametrize("kept", [1, 3, 4])
def test_a_run_that_is_killed_keeps_each_pair_that_was_written_down(
    kept: int, serve: Serve, tmp_path: Path
) -> None:
    server = serve(
        lambda asked: stating(*range(1, pairs + 1)) if (pairs := len(group_of(asked))) > 1 else verdict()
    )
    folder = tmp_path / "run"
    assert main([*FLAGS, "--max-pairs", "4", "--base-url", server.base_url, "--out", str(folder)]) == 0
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if b'"verdict"' in line)
    journal.write_bytes(b"".join(lines[: first + kept]))
    before = len(server.asked)
    assert main(["--resume", str(folder), "--quiet", "--no-viz"]) == 0
    asked_again = [len(group_of(asked)) for asked in server.asked[before:]]
    assert asked_again == ([4 - kept] if kept < 4 else [])
    assert {len(found) for found in verdicts_of(folder).values()} == {1}


def test_another_number_is_another_run(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(stating(1, 2, 3, 4))
    assert (
        main([*FLAGS, "--max-pairs", "4", "--base-url", server.base_url, "--out", str(tmp_path / "run")]) == 0
    )
    assert main(["--resume", str(tmp_path / "run"), "--pairs-per-request", "2"]) == 2
    assert "--pairs-per-request" in capsys.readouterr().err


def test_kept_replies_are_found_by_the_number(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path / "cache"))
    server = serve(lambda asked: stating(1, 2, 4) if len(group_of(asked)) > 1 else verdict())
    for name, pairs, requests in (("a", "4", 2), ("b", "4", 2), ("c", "1", 2 + 4)):
        flags = [*FLAGS, "--max-pairs", "4", "--cache-replies", "--pairs-per-request", pairs]
        assert main([*flags, "--base-url", server.base_url, "--out", str(tmp_path / name)]) == 0
        assert len(server.asked) == requests, name
    assert detector_of(tmp_path / "b")["from_cache"] == 4


def test_the_cost_limit_reckons_with_whole_requests(tmp_path: Path) -> None:
    config = replace(QUICK, cached_share=0.2)
    with SimulatorThread(config, answers()) as server:
        flags = [*FLAGS, "--price", "1000,3000", "--max-cost", "10", "--base-url", server.base_url]
        assert main([*flags, "--out", str(tmp_path / "run")]) == 1
        stats = server.stats()
    detector = detector_of(tmp_path / "run")
    assert 0 < detector["dollars"] <= 10
    assert detector["attempts"] == stats["requests"]
    assert detector["answered"] == 4 * stats["requests"]


def test_diff_shows_which_verdicts_change_beside_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(QUICK, flip_rate=0.3)
    with SimulatorThread(config, answers()) as server:
        for name, flags in (("one", ALONE), ("four", FLAGS)):
            assert main([*flags, "--base-url", server.base_url, "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    assert diff([str(tmp_path / "one"), str(tmp_path / "four")]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"Verdicts: \d+ changed among the 20 pairs that both runs answered: ", shown)
    assert re.search(r"pairs_per_request +- +4", shown)
    summary = (tmp_path / "four" / "summary.md").read_text()
    assert "up to 4 pairs at a time" in summary


def test_examples_are_shown_in_the_same_form(serve: Serve, tmp_path: Path) -> None:
    examples = tmp_path / "examples.csv"
    examples.write_text("text1,text2,label\nA is on.,A is off.,contradiction\nB is on.,B hums.,neutral\n")
    server = serve(stating(1, 2, 3, 4))
    flags = [*FLAGS, "--max-pairs", "4", "--examples", str(examples), "--shots", "2"]
    assert main([*flags, "--base-url", server.base_url, "--out", str(tmp_path / "run")]) == 0
    _, shown, replied, _ = server.asked[0].payload["messages"]
    assert len(questions_in(shown["content"])) == 2
    stated = json.loads(replied["content"])["verdicts"]
    assert [each["pair"] for each in stated] == [1, 2]


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--batch"], "found again by their requests"),
        (["--logprobs"], "depend on the verdicts before it"),
        (["--protocol", "decisions", "--model", "m"], "a request holds one pair"),
        (["--protocol", "systemone", "--model", "m"], "a request holds one pair"),
    ],
)
def test_what_does_not_go_with_it_is_refused(
    flags: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FLAGS, "--simulate", *flags]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "--pairs-per-request" in said


def test_a_prompt_with_a_form_of_its_own_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = tmp_path / "mine.txt"
    prompt.write_text('{text1} or {text2}? Give JSON: {"contradiction": ...}')
    assert main([*FLAGS, "--simulate", "--dry-run", "--prompt", str(prompt)]) == 2
    assert "a prompt that says nothing of JSON" in capsys.readouterr().err
    prompt.write_text("Can both be true? {text1} / {text2}")
    assert main([*FLAGS, "--simulate", "--dry-run", "--prompt", str(prompt)]) == 0


@pytest.mark.parametrize("number", ["0", "51", "four"])
def test_the_number_is_a_whole_one_that_fits_into_a_reply(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--pairs-per-request", number])
    assert "is not a whole number from 1 to 50" in capsys.readouterr().err
    with pytest.raises(UserError, match="pairs_per_request"):
        AsyncOpenAIClient(base_url="http://127.0.0.1:1", pairs_per_request=0)


def test_a_dry_run_counts_requests_and_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FLAGS, "--simulate", "--dry-run", "--pairs-per-request", "6"]) == 0
    shown = capsys.readouterr().out
    assert ": 4 requests," in shown
    assert "1,000 completion tokens" in shown


def test_protocols_write_the_nested_schema_in_their_own_words() -> None:
    gemini = protocol_named("gemini")
    form = gemini.first_form(logprobs=False).about(2)
    written = json.loads(gemini.body([{"role": "user", "content": "x"}], "m", form))
    items = written["generationConfig"]["responseSchema"]["properties"]["verdicts"]["items"]
    assert items["type"] == "OBJECT"
    assert items["propertyOrdering"][0] == "pair"
    assert items["properties"]["pair"] == {"type": "INTEGER"}
