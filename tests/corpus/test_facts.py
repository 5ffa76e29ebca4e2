"""Statements with a subject and a time, marks that keep statements out, and scans of what changed."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest

from kimera.corpus.changed_lines import ChangedLines
from kimera.corpus.ignore_marks import without_marks
from kimera.corpus.statements import read_statements
from kimera.corpus.texts import Corpus, Statement, moment_of
from kimera.errors import UserError
from kimera.scan import main

FACTS = """\
who,when,fact
Ann,2025-03-01,The customer lives in the city of Rome.
Ann,2026-01-31,The customer does not live in the city of Rome.
Ann,2026-01-31,It is in the city of Rome that the customer lives.
Bob,2024-01-01,The customer lives in the city of Rome.
"""
RULES = """\
from kimera import Verdict

def negates(pairs):
    return [of(*pair) for pair in pairs]

def of(first, second):
    if ("not" in first) != ("not" in second):
        return Verdict(True, 0.9, entailment=0.05, neutral=0.05)
    return Verdict(False, 0.95, entailment=0.92, neutral=0.03)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "facts.csv").write_text(FACTS)
    (tmp_path / "rules.py").write_text(RULES)
    return tmp_path


def scan(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[list[dict[str, object]], str]:
    """(the findings, what was told)."""
    assert main([*words, "--local", "rules.py:negates"]) == 0
    told = capsys.readouterr()
    return [json.loads(line) for line in told.out.splitlines()], told.err


def test_a_newer_fact_of_the_same_subject_supersedes_an_older_one_and_copies_are_duplicates(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("facts.csv", "--column", "fact", "--subject", "who", "--time", "when")
    found, _ = scan(capsys, *flags, "--fail-on-contradiction", "--min-score", "0.91")
    assert [each["kind"] for each in found] == ["duplicates"]
    capsys.readouterr()
    assert main([*flags, "--local", "rules.py:negates", "--fail-on-contradiction"]) == 3
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["subject"] for each in found} == {"Ann"}
    by_kind = {str(each["kind"]): each for each in found}
    assert set(by_kind) == {"supersedes", "duplicates", "contradicts"}
    newer = by_kind["supersedes"]
    assert newer[f"time{newer['newer']}"] == "2026-01-31"
    assert "not" in str(newer[f"text{newer['newer']}"])
    assert {by_kind["contradicts"]["time1"], by_kind["contradicts"]["time2"]} == {"2026-01-31"}
    assert by_kind["duplicates"]["score"] == 0.92


def test_every_format_says_of_which_kind_a_finding_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["facts.csv", "--column", "fact", "--subject", "who", "--time", "when"]
    told = {}
    for format in ("csv", "html", "sarif"):
        main([*flags, "--local", "rules.py:negates", "--format", format, "--quiet"])
        told[format] = capsys.readouterr().out
    assert all(kind in told["csv"] for kind in ("duplicates", "supersedes", "contradicts"))
    assert "may say the same as" in told["html"]
    assert "of 2026-01-31" in told["html"]
    rules = {result["ruleId"] for result in json.loads(told["sarif"])["runs"][0]["results"]}
    assert rules == {"supersedes", "duplicates", "contradicts"}


@pytest.mark.parametrize(
    ("older", "newer"),
    [("3", "12"), (2, 2.5), ("2025-12-31", "2026-01-01T00:00:00+00:00"), ("2026-01-01 10:00", "2026-01-02")],
)
def test_times_are_ranks_or_dates(older: object, newer: object) -> None:
    first, second = moment_of(older), moment_of(newer)
    assert first is not None
    assert second is not None
    assert first < second
    assert moment_of(" ") is None


def test_what_is_no_time_and_a_mixture_of_kinds_are_errors(folder: Path) -> None:
    (folder / "bad.csv").write_text("text,at\nThe shop is open today.,yesterday\n")
    with pytest.raises(UserError, match="line 2: 'yesterday' is neither a number nor a date"):
        list(read_statements("bad.csv", time="at"))
    with pytest.raises(UserError, match="there is no such column"):
        list(read_statements("bad.csv", subject="who"))
    corpus = Corpus()
    corpus.add(Statement("a", "f.csv", 1, moment=moment_of(3)))
    with pytest.raises(UserError, match=r"f\.csv:2: the time 2026-01-31 cannot be compared"):
        corpus.add(Statement("b", "f.csv", 2, moment=moment_of("2026-01-31")))


MARKED = """\
The first one counts here. <!-- kimera: ignore -->

The second one counts.
<!-- kimera: ignore -->
It has another line.

- The third is a point.
- The fourth is left out. <!-- kimera: ignore -->

<!-- kimera: ignore -->

The fifth is left out.

The sixth one counts.
"""


def test_a_mark_keeps_out_its_line_or_its_paragraph_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(MARKED)
    ignored: list[None] = []
    kept = list(read_statements(str(path), on_ignored=lambda: ignored.append(None)))
    assert [each.text for each in kept] == ["The third is a point.", "The sixth one counts."]
    assert len(ignored) == 5
    assert without_marks(MARKED)[0].count("\n") == MARKED.count("\n")


@pytest.mark.parametrize(
    ("name", "mark"),
    [("a.rst", ".. kimera: ignore"), ("a.mdx", "{/* kimera: ignore */}"), ("a.txt", "<!--kimera:ignore-->")],
)
def test_each_kind_of_text_has_a_mark(tmp_path: Path, name: str, mark: str) -> None:
    (tmp_path / name).write_text(f"{mark}\n\nThis one is left out.\n\nThis one counts here.\n")
    assert [each.text for each in read_statements(str(tmp_path / name))] == ["This one counts here."]


@pytest.fixture
def repository(folder: Path) -> Path:
    def git(*words: str) -> None:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)

    lines = [f"Line number {number} is here.\n" for number in range(1, 7)]
    (folder / "a b.txt").write_text("\n".join(lines))
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    lines[2] = "++ The third line is\nanother one now.\n"
    del lines[4]
    (folder / "a b.txt").write_text("\n".join(lines))
    (folder / "new.txt").write_text("All of this file is new.\n")
    return folder


def test_only_statements_on_changed_lines_and_of_new_files_are_new(repository: Path) -> None:
    changed = ChangedLines("HEAD")
    every = [
        each for name in ("a b.txt", "facts.csv", "new.txt") for each in read_statements(name, column="fact")
    ]
    assert [each.text for each in every if changed.hold(each)] == [
        "++ The third line is another one now.",
        "All of this file is new.",
    ]


@pytest.mark.parametrize(
    ("name", "before", "after", "changed"),
    [
        ("a.md", "The pump\nis not\never on at night.\n", "The pump\never on at night.\n", [True]),
        ("a.md", "The pump is on,\nand not off.\n", "The pump is on,\n", [True]),
        ("a.md", "The pump is on,\nand not off.\n", "The pump is on,\n\n", [True]),
        ("a.md", "Never say that\nthe pump is on.\n", "the pump is on.\n", [True]),
        ("a.md", "The pump is on.\nIt is not off.\n", "The pump is on.\n", [False]),
        ("a.md", "- the pump is on\n- it is not off\n", "- the pump is on\n", [False]),
        ("a.md", "One is here.\n\nThe pump is on.\n", "The pump is on.\n", [False]),
        (
            "a.csv",
            'text\n"The pump is\non"\nOne is here.\n',
            'text\n"The pump is\noff"\nOne is here.\n',
            [True, False],
        ),
        (
            "a.txt",
            "The pump is on.\n\nAn old one is here.\n\nThe lamp is off.\n",
            "The pump is off.\n\nAn old one is here.\n\nThe lamp is on.\n",
            [True, False, True],
        ),
    ],
)
def test_a_statement_of_several_lines_is_new_where_one_of_them_changed_or_is_gone(
    folder: Path, name: str, before: str, after: str, changed: list[bool]
) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)

    git("init", "--quiet")
    git("config", "diff.interHunkContext", "9")  # would join what changed apart
    (folder / name).write_text(before)
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    (folder / name).write_text(after)
    lines = ChangedLines("HEAD")
    assert [lines.hold(each) for each in read_statements(name)] == changed


def test_a_scan_of_a_diff_finds_what_a_change_contradicts(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "facts.csv").write_text(
        FACTS + "Cid,2026-02-01,The customer never lives in the city of Rome.\n"
    )
    (repository / "rules.py").write_text(RULES.replace('"not" in', '"n" in'))
    found, told = scan(capsys, "facts.csv", "--column", "fact", "--diff", "HEAD", "--min-score", "0")
    assert "1 of 4 distinct statements stand on lines changed since HEAD" in told
    assert found
    assert all("never" in f"{each['text1']} {each['text2']}" for each in found)
    assert main(["facts.csv", "--column", "fact", "--diff", "nowhere"]) == 2
    assert "--diff: git diff in" in capsys.readouterr().err


def test_standard_input_is_new_and_a_file_of_its_name_is_like_any_other(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "stdin").write_text("The pump is on.\n\nThe lamp is off.\n")
    subprocess.run(["git", "-C", str(repository), "add", "stdin"], check=True)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"The pump is not on.\n")))
    _, told = scan(capsys, "-", "--diff", "HEAD")
    assert "1 of 1 distinct statements stand on lines changed since HEAD" in told
    subprocess.run(
        ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@example.org"]
        + ["commit", "--quiet", "-m", "second"],
        check=True,
    )
    _, told = scan(capsys, "stdin", "--diff", "HEAD")
    assert "0 of 2 distinct statements stand on lines changed since HEAD" in told


def test_a_baseline_needs_a_whole_scan(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new.txt", "--diff", "HEAD", "--baseline", "b.json", "--write-baseline"]) == 2
    assert "leave out --diff" in capsys.readouterr().err
