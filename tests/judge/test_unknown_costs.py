"""A run whose endpoint does not say what replies cost: unknown stays unknown, from reply to report."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import ended
from servers import Asked, Canned, ScriptedJudge

from benchmarks.detector_info import judge_info
from benchmarks.judge.pricing import in_dollars
from benchmarks.llm_compare import main
from benchmarks.runs.outcomes import Outcomes

VERDICT = '{"contradiction": true, "confidence": 0.9, "reasoning": "x"}'
COUNTED = {"prompt_tokens": 300, "completion_tokens": 50}


def told(usage: Any, **message: Any) -> Canned:
    choice = {"message": {"content": VERDICT, **message}, "finish_reason": "stop"}
    return Canned(body=json.dumps({"choices": [choice], "usage": usage}).encode())


def run(cwd: Path, script: Canned | Callable[[Asked], Canned], *options: object, status: int = 0) -> Any:
    """(the judge's part of the summary, standard output, standard error) of a run over six pairs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "KIMERA_"))}
    with ScriptedJudge(script) as judge:
        told_to = [
            "--judge-only",
            "--base-url",
            judge.base_url,
            "--max-pairs",
            6,
            "--verbose",
            "--out",
            "run",
        ]
        where = {**kept, "KIMERA_CACHE_DIR": str(cwd / "cache")}
        done = ended(main, [*told_to, "--verbose", *options], cwd, where)
    assert done.returncode == status, done.stderr
    summary = json.loads((cwd / "run" / "summary.json").read_text(encoding="utf-8"))
    return summary["detectors"]["gpt-4o"], done.stdout, done.stderr


def cost_line(output: str) -> str:
    return next(line for line in output.splitlines() if line.strip().startswith("cost "))


UNCOUNTED = [
    None,
    {},
    {"total_tokens": 9},
    {"prompt_tokens": 0, "completion_tokens": 0},
    {"prompt_tokens": None},
]


@pytest.mark.parametrize("usage", UNCOUNTED)
def test_replies_without_usage_leave_tokens_and_cost_absent_with_the_reason(
    tmp_path: Path, usage: Any
) -> None:
    judge, output, _ = run(tmp_path, told(usage), "--price", "2.5,10")
    assert judge["answered"] == 6
    assert (judge["dollars"], judge["tokens"]) == (None, {})
    reason = "none of the 6 replies states"
    for name in (
        "dollars",
        "tokens.prompt",
        "tokens.completion",
        "cost.per_correct",
        "cost.per_contradiction",
    ):
        assert reason in judge["absent"][name]
    assert "$0.0000" not in output
    assert "not known" in cost_line(output)
    assert "none of the 6 replies states its tokens" in " ".join(output.split())


def test_the_journal_keeps_null_for_what_is_unknown_and_a_report_of_it_says_the_same(tmp_path: Path) -> None:
    judge, _, _ = run(tmp_path, told({"prompt_tokens": 300}), "--price", "2.5,10")
    lines = (tmp_path / "run" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    attempts = [attempt for line in lines for attempt in json.loads(line).get("attempts", ())]
    assert [attempt[3:] for attempt in attempts] == [[300, None, None, None, 0]] * 6
    assert judge["tokens"] == {"prompt": 1800, "written": 0}


def test_some_replies_without_usage_leave_a_lower_bound(tmp_path: Path) -> None:
    judge, output, _ = run(
        tmp_path, lambda asked: told(COUNTED if asked.number else None), "--price", "2.5,10"
    )
    assert (judge["dollars"], judge["tokens"]) == (None, {})
    assert judge["absent"]["dollars"] == "1 of 6 replies do not state their tokens"
    assert judge["dollars_at_least"] == pytest.approx(0.00625)
    assert "at least $0.0063 (1 of 6 replies do not state their tokens)" in " ".join(output.split())
    assert judge["absent"]["tokens.prompt"] == "1 of 6 replies do not state them; the others come to 1,500"
    assert "$0.0000" not in output


def test_whole_numbers_in_any_type_count_and_details_that_are_missing_are_absent_alone(
    tmp_path: Path,
) -> None:
    judge, output, _ = run(
        tmp_path, told({"prompt_tokens": 300.0, "completion_tokens": "50"}), "--price", "2.5,10"
    )
    assert judge["tokens"] == {"prompt": 1800, "completion": 300, "written": 0}
    assert judge["dollars"] == pytest.approx(0.0075)
    assert {"tokens.cached", "tokens.reasoning"} <= judge["absent"].keys()
    assert "$0.0075" in cost_line(output)


def test_a_cost_limit_reckons_replies_without_usage_at_their_worst_and_says_so_once(tmp_path: Path) -> None:
    flags = ("--price", "2.5,10", "--max-cost", "0.04", "--async", 1)
    judge, _, errors = run(tmp_path, told(None), *flags, status=1)
    assert 1 <= judge["answered"] < 6
    assert errors.count("did not state its tokens") == 1


def test_a_cost_limit_that_is_large_enough_holds_nobody_back(tmp_path: Path) -> None:
    judge, _, errors = run(tmp_path, told(None), "--price", "2.5,10", "--max-cost", "1")
    assert judge["answered"] == 6
    assert errors.count("did not state its tokens") == 1


def test_a_local_endpoint_without_a_price_costs_none_and_not_zero_dollars(tmp_path: Path) -> None:
    judge, output, _ = run(tmp_path, told(COUNTED))
    assert judge["dollars"] is None
    assert "none (local endpoint)" in cost_line(output)
    assert "$0.0000" not in output


def test_where_replies_stood_is_in_the_settings_and_in_the_notes(tmp_path: Path) -> None:
    judge, output, _ = run(tmp_path, told(COUNTED, content=None, reasoning_content=VERDICT))
    assert judge["answered"] == 6
    assert judge["settings"]["found_in"] == {"reasoning_content": 6}
    assert "had their text in reasoning_content (6) instead of content" in " ".join(output.split())


def record(index: int, *counts: int | None, status: int | None = 200) -> dict[str, Any]:
    verdict = {"contradiction": True, "confidence": 0.9, "reasoning": "", "latency_ms": 1.0}
    return {"index": index, "s": 1.0, "verdict": verdict, "attempts": [[1.0, status, None, *counts]]}


def outcomes(*records: dict[str, Any]) -> dict[str, Any]:
    price = {"input": 2.5, "cached_input": 1.25, "output": 10.0}
    read = Outcomes(judge_info("judge", price=price), len(records))
    for offset, each in enumerate(records):
        read.take(offset, each)
    found = read.result()
    return {
        "tokens": found.tokens,
        "dollars": found.dollars,
        "why": found.dollars_absent,
        "n": read.maybe_billed,
    }


def test_a_journal_of_version_0_5_reads_zeros_of_a_reply_as_unknown() -> None:
    found = outcomes(record(0, 0, 0, 0, 0), record(1, 0, 0, 0, 0))
    assert (found["dollars"], found["n"]) == (None, 2)
    assert found["tokens"] == {}
    counted = outcomes(record(0, 300, 50, 100, 0), record(1, 0, 0, 0, 0, status=429))
    assert counted["tokens"] == {"prompt": 300, "completion": 50, "cached": 100, "reasoning": 0, "written": 0}
    assert counted["dollars"] == pytest.approx((200 * 2.5 + 100 * 1.25 + 50 * 10) / 1e6)


def test_attempts_without_a_reply_may_have_been_billed_and_take_nothing_from_what_is_counted() -> None:
    found = outcomes(record(0, 300, 50, 0, 0), record(1, None, None, None, None, status=None))
    assert (found["n"], found["why"]) == (1, "")
    assert found["dollars"] == pytest.approx(0.00125)


@pytest.mark.parametrize(
    ("dollars", "written"),
    [
        (0.0, "$0.0000"),
        (0.00001, "$0.00001"),
        (0.000049, "$0.00005"),
        (0.00123, "$0.0012"),
        (1234.5, "$1,234.5000"),
    ],
)
def test_only_nothing_is_written_as_zeros(dollars: float, written: str) -> None:
    assert in_dollars(dollars) == written
