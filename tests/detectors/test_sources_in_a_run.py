"""A function and a file of scores through a real run: written down, read back, compared, gone on with."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from benchmarks.datasets import load_dataset
from benchmarks.report import build_summary, write_report
from benchmarks.report.results_csv import write_results_csv
from benchmarks.runs.comparison import compare
from benchmarks.runs.detector import detectors_header
from benchmarks.runs.finished_run import open_run
from benchmarks.runs.journal import Journal, JournalReader
from benchmarks.runs.local_detector import LocalDetector
from benchmarks.runs.outcomes import rows_of
from benchmarks.runs.run_folder import JOURNAL
from benchmarks.stats.schema import load_schema
from kimera.detectors import FunctionDetector, ScoresFile
from kimera.detectors.verdict_source import COUNTED, VerdictSource
from kimera.errors import UserError
from kimera.pairs import SCORE_SOURCES, Failure, Pair, Verdict

PAIRS = [
    Pair(
        f"The lamp number {number} is on.",
        f"The lamp number {number} is {'not ' if number % 3 == 0 else ''}{'on' if number % 2 else 'lit'}.",
        id=f"lamp-{number}",
        label="contradiction" if number % 3 == 0 else "entailment",
    )
    for number in range(90)
]


def detect(pairs: list[tuple[str, str]]) -> list[tuple[bool, float, str]]:
    """Of one batch it knows nothing."""
    if any("number 41 " in first for first, _ in pairs):
        raise LookupError("lamp 41")
    return [("not" in second, 0.9, f"it says {second!r}") for _, second in pairs]


def scores_file(folder: Path) -> Path:
    """Of all pairs but one, in an order of its own."""
    rows = [{"pair_id": pair.id, "score": number % 10 / 10} for number, pair in enumerate(PAIRS[1:], 1)]
    random.Random(1).shuffle(rows)  # noqa: S311 (no secret)
    path = folder / "scores.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def made(folder: Path, sources: dict[str, VerdictSource]) -> dict[str, Any]:
    """A run in Python, as anybody may write one, and its summary."""
    folder.mkdir()
    path = folder / "pairs.jsonl"
    rows = [{"id": each.id, "text1": each.text1, "text2": each.text2, "label": each.label} for each in PAIRS]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    dataset = load_dataset(str(path), max_pairs=0)
    detectors = [LocalDetector(source, None, name) for name, source in sources.items()]
    header = {
        "created": "2026-11-28T09:00:00+00:00",
        "dataset": {"name": str(path), "sha256": dataset.sha256, "pairs": len(dataset)},
        "options": {"dataset": str(path), "max_pairs": 0},
        **detectors_header(detectors, None),
    }
    with Journal(folder / JOURNAL, header=header) as journal:
        done = compare(dataset, detectors, journal, created=str(header["created"]), quiet=True)
    written = write_report(
        done.run, rows_of(dataset, done.recorders, done.run, folder / JOURNAL), folder, viz=False
    )
    return dict(written)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    sources = {"rule": FunctionDetector(detect, batch_size=8), "table": ScoresFile(scores_file(folder))}
    made(folder / "run", sources)
    return folder / "run"


def test_the_summary_tells_what_each_is_and_what_failed(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    parts = summary["detectors"]
    assert {name: (part["kind"], part["role"]) for name, part in parts.items()} == {
        "rule": ("function", "local"),
        "table": ("scores file", "local"),
    }
    assert {name: part["errors"] for name, part in parts.items()} == {
        "rule": {"raised": 8},
        "table": {"no_row": 1},
    }
    assert parts["table"]["settings"]["columns"] == {"id": "pair_id", "score": "score"}
    assert list(Draft202012Validator(load_schema()).iter_errors(summary)) == []


def test_the_run_is_read_back_whole(folder: Path) -> None:
    again = open_run(folder)
    assert [each.name for each in again.run.detectors] == ["rule", "table"]
    summary = json.loads((folder / "summary.json").read_text())
    assert json.loads(json.dumps(build_summary(again.run))) == summary


def test_the_journal_holds_what_the_file_says_of_each_pair(folder: Path) -> None:
    with JournalReader(folder / JOURNAL) as journal:
        records = [each for _, each in journal if each.get("detector") == "table" and "index" in each]
    found = {each["id"]: each["verdict"] for each in records if "verdict" in each}
    assert len(found) == len(PAIRS) - 1
    assert found["lamp-7"] == {
        "contradiction": True,
        "confidence": 0.7,
        "reasoning": "",
        "latency_ms": 0.0,
        "wait_ms": 0.0,
        "score_source": "stated",
    }


def test_a_function_that_breaks_its_contract_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"batch 1 .* 'maybe'"):
        made(tmp_path / "run", {"rule": FunctionDetector(lambda pairs: ["maybe"] * len(pairs))})


def test_a_file_of_other_pairs_ends_the_run_before_anything_is_written_down(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("id,score\nx,0.5\n")
    with pytest.raises(UserError, match="no row is of any of the pairs"):
        made(tmp_path / "run", {"table": ScoresFile(path)})
    with JournalReader(tmp_path / "run" / JOURNAL) as journal:
        assert [each for _, each in journal if "index" in each] == []


@pytest.fixture(params=["function", "async function", "scores file"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> VerdictSource:
    async def detect_async(pairs: list[tuple[str, str]]) -> list[bool]:
        return ["not" in second for _, second in pairs]

    makers: dict[str, Callable[[], VerdictSource]] = {
        "function": lambda: FunctionDetector(lambda pairs: [len(second) / 99 for _, second in pairs]),
        "async function": lambda: FunctionDetector(detect_async, batch_size=7, concurrency=3),
        "scores file": lambda: ScoresFile(scores_file(tmp_path)),
    }
    return makers[request.param]()


def scores_by_id(source: VerdictSource, pairs: Sequence[Pair]) -> dict[str, float | str]:
    outcomes = source.stream(pairs)
    return {
        pair.id: one.kind if isinstance(one, Failure) else one.score
        for pair, one in zip(pairs, outcomes, strict=True)
    }


def test_a_score_belongs_to_its_pair_in_any_order(source: VerdictSource) -> None:
    shuffled = random.Random(2).sample(PAIRS, len(PAIRS))  # noqa: S311 (no secret)
    assert scores_by_id(source, PAIRS) == scores_by_id(source, shuffled)


def test_a_source_says_what_it_is_before_it_is_entered_and_works_again_after_it_is_left(
    source: VerdictSource,
) -> None:
    settings = json.loads(json.dumps(dict(source.settings)))
    assert settings.keys().isdisjoint(COUNTED)
    assert isinstance(source.kind, str)
    assert source.trained_on is None
    for _ in range(2):
        with source:
            told: list[int] = []
            outcomes = list(source.stream(iter(PAIRS), None, told.append))
        assert len(outcomes) == sum(told) == len(PAIRS)
        assert all(isinstance(one, Verdict | Failure) for one in outcomes)
    assert json.loads(json.dumps(dict(source.settings))) == settings
    assert set(source.counts) <= {*COUNTED, "workers_used"}


def test_no_pair_gives_no_verdict(source: VerdictSource) -> None:
    assert list(source.stream([])) == []


def test_a_time_limit_of_a_batch_is_in_the_summary(tmp_path: Path) -> None:
    summary = made(tmp_path / "run", {"rule": FunctionDetector(detect, batch_size=90, timeout_s=60)})
    assert summary["detectors"]["rule"]["settings"]["timeout_s"] == 60
    assert list(Draft202012Validator(load_schema()).iter_errors(summary)) == []


def test_the_results_of_a_run_are_a_file_of_scores_whose_columns_are_named(folder: Path) -> None:
    columns = {"score": "rule_score", "reasoning": "rule_reasoning", "latency_ms": "rule_latency_ms"}
    again = scores_by_id(ScoresFile(folder / "results.csv", columns=columns), PAIRS)
    before = scores_by_id(FunctionDetector(detect, batch_size=8), PAIRS)
    assert {id for id, score in again.items() if score == "no_verdict"} == {
        id for id, score in before.items() if score == "raised"
    }
    assert {id: score for id, score in again.items() if score != "no_verdict"} == pytest.approx(
        {id: score for id, score in before.items() if score != "raised"}
    )


def test_the_results_of_a_run_say_where_each_score_comes_from(tmp_path: Path) -> None:
    said = [Verdict(True, 0.75, score_source=source) for source in SCORE_SOURCES]
    rows = [(pair, [verdict]) for pair, verdict in zip(PAIRS, said, strict=False)]
    write_results_csv(tmp_path / "results.csv", rows, ["rule"])
    assert list(ScoresFile(tmp_path / "results.csv").stream(PAIRS[: len(said)])) == said
    text = (tmp_path / "results.csv").read_text()
    (tmp_path / "results.csv").write_text(text.replace("logprobs", "guessed"))
    with pytest.raises(UserError, match="rule_score_source is 'guessed'; expected one of calibrated, stated"):
        ScoresFile(tmp_path / "results.csv")
