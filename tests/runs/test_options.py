"""The flags of the comparison: those that do nothing in a run are named, and no others."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks import distil
from benchmarks.llm_compare import build_parser, main
from benchmarks.settings import RunSettings, without_effect
from kimera import scan
from kimera.console.options import CommandLine, command_line
from kimera.errors import UserError


def told_by(words: list[str]) -> CommandLine[RunSettings]:
    return command_line(RunSettings, "compare", build_parser().parse_args(words))


def notes(given: str, run: str | None = None) -> list[str]:
    told, begun = (told_by(text.split()) for text in (given, given if run is None else run))
    return list(without_effect(told, begun.settings))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("--kimera-only --async 8 --model a", ["--kimera-only: --async, --model"]),
        ("--kimera-only --rpm 9 --simulate", ["--kimera-only: --simulate, --rpm"]),
        ("--judge-only --symmetric --mp 4", ["--judge-only: --mp, --symmetric"]),
        ("--judge-only --no-cache", ["--judge-only: --no-cache"]),
        ("--simulate --base-url http://x/v1", ["--simulate: --base-url"]),
        ("--kimera-only --mp 4 --cache-size 1G --dry-run --max-pairs 9", []),
        ("--judge-only --async auto --swap --price 1,2", []),
        ("--async 8 --mp 4 --symmetric --no-cache", []),
    ],
)
def test_flags_of_what_does_not_run_are_named(given: str, named: list[str]) -> None:
    assert notes(given) == [f"without effect beside {name}" for name in named]


def test_what_a_run_that_goes_on_was_begun_with_is_not_held_against_this_command_line() -> None:
    begun = "--kimera-only --async 8 --no-cache"
    assert notes("--resume run", begun) == []
    assert notes("--resume run --timeout 9", begun) == ["without effect beside --kimera-only: --timeout"]
    assert notes("--resume run --cache-size 1G", begun) == ["without effect beside --no-cache: --cache-size"]


@pytest.mark.parametrize("flag", ["--cache-size 1G", "--cache-dir kept"])
def test_no_cache_and_where_or_how_large_it_is_contradict_each_other(flag: str) -> None:
    with pytest.raises(UserError, match="cannot be combined"):
        notes(f"--no-cache {flag}")


def test_the_note_is_for_standard_error_and_never_holds_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--kimera-only", "--api-key", "sk-secret", "--dry-run"]) == 0
    told = capsys.readouterr()
    assert told.err == "note: without effect beside --kimera-only: --api-key\n"
    assert "sk-secret" not in told.out
    assert main(["--no-cache", "--cache-size", "1G"]) == 2
    assert capsys.readouterr().err.startswith("error: --no-cache keeps nothing")


@pytest.mark.parametrize(
    ("parser", "old", "new"),
    [
        (build_parser(), ["--most-sent", "0.5"], ["--max-sent", "0.5"]),
        (scan.build_parser(), ["x", "--least-cosine", "0.5"], ["x", "--min-cosine", "0.5"]),
        (scan.build_parser(), ["x", "--least-cosine-rare", "0.1"], ["x", "--min-cosine-rare", "0.1"]),
        (scan.build_parser(), ["x", "--least-score", "0.9"], ["x", "--min-score", "0.9"]),
        (scan.build_parser(), ["x", "--most", "3"], ["x", "--max-findings", "3"]),
        (distil.build_parser(), ["x", "--least-confidence", "0.9"], ["x", "--min-confidence", "0.9"]),
    ],
)
def test_an_earlier_spelling_goes_on_working_and_is_not_shown(
    parser: argparse.ArgumentParser, old: list[str], new: list[str]
) -> None:
    assert parser.parse_args(old) == parser.parse_args(new) != parser.parse_args(old[:-2])
    assert old[-2] + " " not in parser.format_help()
