"""Shards: each pair is in one of them, and merged caches leave nothing to compute for the whole."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.datasets import load_dataset
from benchmarks.llm_compare import main as compare
from benchmarks.runs.finished_run import open_run
from kimera.cache.__main__ import main as cache
from kimera.console.argument_types import shard_of_n
from kimera.files.shards import holds_pair, rows_of
from kimera.scan import main as scan

PLACES = ("museum", "library", "harbour", "old theatre", "swimming pool", "town hall")
TEXTS = [f"The {place} is {state} on Mondays." for place in PLACES for state in ("open", "closed")]


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@given(st.integers(0, 200), st.integers(1, 30))
def test_each_row_is_in_one_shard(rows: int, of: int) -> None:
    shards = [f"{number}/{of}" for number in range(1, of + 1)]
    parts = [list(range(rows))[rows_of(each)] for each in shards]
    assert sorted(row for part in parts for row in part) == list(range(rows))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.text(), st.text(), st.integers(1, 9))
def test_each_pair_is_in_one_shard(text1: str, text2: str, of: int) -> None:
    assert sum(holds_pair(f"{number}/{of}", text1, text2) for number in range(1, of + 1)) == 1


def test_a_part_of_a_scan_is_no_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--shard", "1/2", "--baseline", "b.json", "--write-baseline"]
    assert scan(["facts.txt", *flags]) == 2
    assert "cannot be combined with --shard" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "1", "/", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "²/3", "1.0/2"])
def test_what_is_no_shard_is_wrong_usage(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not of the form I/N"):
        shard_of_n(text)


def ungrouped(lines: list[str]) -> list[tuple[str, float]]:
    """What was found, without its groups: these number findings and turn them round within one scan."""
    return sorted((found["key"], found["score"]) for found in map(json.loads, lines))


@pytest.mark.slow
def test_merged_caches_of_a_scans_shards_hold_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    Path("facts.txt").write_text("\n".join(TEXTS))
    parts = []
    for number in (1, 2, 3):
        assert (
            scan(["facts.txt", "--pair-scores", "--shard", f"{number}/3", "--cache-dir", f"part_{number}"])
            == 0
        )
        told = capsys.readouterr()
        assert "of them in this shard" in told.err
        parts += told.out.splitlines()
    assert cache(["merge", "part_1", "part_2", "part_3", "--cache-dir", "whole"]) == 0
    capsys.readouterr()
    assert scan(["facts.txt", "--pair-scores", "--cache-dir", "whole"]) == 0
    told = capsys.readouterr()
    assert "(0 encoded)" in told.err
    assert "(0 read)" in told.err
    assert ungrouped(told.out.splitlines()) == ungrouped(parts)
    assert len(parts) >= len(PLACES)


@pytest.mark.slow
def test_merged_caches_of_a_runs_shards_hold_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"text1": text, "text2": other} for text in TEXTS[:3] for other in TEXTS[3:6]]
    Path("pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    flags = ["pairs.jsonl", "--kimera-only", "--max-pairs", "0", "--no-viz", "--quiet"]
    for number in (1, 2):
        part = ["--shard", f"{number}/2", "--cache-dir", f"part_{number}", "--out", f"run_{number}"]
        assert compare([*flags, *part]) == 0
        assert f"pairs.jsonl, {6 - number} pairs, shard {number}/2, none labelled" in capsys.readouterr().out
        assert len(open_run(f"run_{number}").dataset) == 6 - number
    assert compare(["--resume", "run_2", "--shard", "1/2"]) == 2
    assert "--shard was '2/2' when this run began" in capsys.readouterr().err
    cache(["merge", "part_1", "part_2", "--cache-dir", "whole"])
    assert compare([*flags, "--cache-dir", "whole", "--out", "run", "--verbose"]) == 0
    assert "6 of 6 texts and 9 of 9 pairs came from the cache" in " ".join(capsys.readouterr().out.split())


def test_a_shard_is_a_part_of_the_sample(tmp_path: Path) -> None:
    Path("pairs.jsonl").write_text(
        "".join(f'{{"text1": "a {number}", "text2": "b"}}\n' for number in range(20))
    )
    sample = [pair.id for pair in load_dataset("pairs.jsonl", max_pairs=9)]
    parts = [
        [pair.id for pair in load_dataset("pairs.jsonl", max_pairs=9, shard=f"{i}/4")] for i in (1, 2, 3, 4)
    ]
    assert sorted(each for part in parts for each in part) == sorted(sample)
    with pytest.raises(Exception, match="--shard 9/10: none of the 1 pairs falls into this part"):
        load_dataset("pairs.jsonl", max_pairs=1, shard="9/10")
