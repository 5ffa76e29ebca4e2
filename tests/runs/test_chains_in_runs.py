"""Runs whose local detector is a chain: which pairs came to which of its stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.llm_compare import main

RULES = """
from pathlib import Path

def even(pairs):
    return [0.99 if int(first) % 2 == 0 else 0.6 for first, second in pairs]

def odd(pairs):
    if Path("broken").exists():
        raise ValueError("not now")
    return [0.97] * len(pairs)
"""
CHAIN = ("--local", "rules.py:even>rules.py:odd")
NAMES = ("rules.py:even", "rules.py:odd")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"id": str(n), "text1": str(n), "text2": "x", "label": str(n % 3 % 2)} for n in range(40)]
    Path("pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    Path("rules.py").write_text(RULES)


def ran(*flags: str) -> dict[str, Any]:
    """The settings of the chain as the summary has them."""
    main([*flags, *CHAIN, "--batch-size", "1", "--no-viz", "--quiet"])
    [detector] = json.loads(Path("run", "summary.json").read_text())["detectors"].values()
    return dict(detector["settings"])


def begun() -> dict[str, Any]:
    return ran("pairs.jsonl", "--local-only", "--max-pairs", "0", "--out", "run")


def counts(settings: dict[str, Any]) -> tuple[list[int], list[int]]:
    """(given, failed), in the order of the stages."""
    return [settings["given"][name] for name in NAMES], [settings["failed"][name] for name in NAMES]


def test_the_counts_of_the_stages_are_of_all_pairs_of_a_run_that_was_killed() -> None:
    assert counts(begun()) == ([40, 20], [0, 0])
    journal = Path("run", "journal.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    verdicts = [place for place, line in enumerate(lines) if '"index"' in line]
    journal.write_text("".join(lines[: verdicts[25]]))
    for name in ("results.csv", "summary.json", "summary.md", "report.html"):
        Path("run", name).unlink()
    assert counts(ran("--resume", "run")) == ([40, 20], [0, 0])
    assert "rules.py:even: 40 pairs, then rules.py:odd: 20 pairs" in Path("run", "summary.md").read_text()


def test_a_pair_that_was_asked_again_counts_once() -> None:
    Path("broken").touch()
    assert counts(begun()) == ([40, 20], [0, 20])
    Path("broken").unlink()
    assert counts(ran("--resume", "run")) == ([40, 20], [0, 0])
