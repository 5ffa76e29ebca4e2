"""The scan: what it finds, how it is written, the baseline, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.perf.scan_corpus import planted_corpus, recall
from kimera.console.commands import COMMANDS
from kimera.corpus.about_scan import About
from kimera.corpus.finding_files import render_csv, render_jsonl
from kimera.corpus.finding_groups import groups_of
from kimera.corpus.finding_page import render_html
from kimera.corpus.findings import Finding, read_baseline, replace_baseline, strongest_first
from kimera.corpus.folders import files_of
from kimera.corpus.statements import read_statements
from kimera.errors import UserError
from kimera.scan import build_parser, main

ROOT = Path(__file__).parent.parent
NOTES = """\
# Opening hours

The museum in the old town is open on Mondays.

Tickets are sold at the door. The garden has three fountains.
"""
NEWS = "The museum in the old town is never open on Mondays.\nA bus goes there every hour.\n"
CONTRADICTION = {
    "The museum in the old town is open on Mondays.",
    "The museum in the old town is never open on Mondays.",
}


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "notes.md").write_text(NOTES)
    (tmp_path / "docs" / "news.txt").write_text(NEWS)
    return tmp_path


def finding(text1: str = "It is so.", text2: str = "It is not so.", score: float = 0.9) -> Finding:
    return Finding(score, text1, text2, ["a.md:1"], ["b.md:2", "c.md:3"], 0.5, 0.7)


def test_a_contradiction_between_two_files_is_found_and_says_where_both_stand(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["docs"]) == 0
    told = capsys.readouterr()
    (found,) = map(json.loads, told.out.splitlines())
    assert {found["text1"], found["text2"]} == CONTRADICTION
    assert sorted(found["places1"] + found["places2"]) == ["docs/news.txt:1", "docs/notes.md:3"]
    assert found["score"] >= 0.3
    assert "5 statements, 5 distinct" in told.err
    assert "of 10 pairs" in told.err
    assert told.err.rstrip().endswith("; 1 finding")


def test_rows_of_a_table_are_scored_by_the_detector_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = "The user lives in Rome.", "The user lives in Paris.", "The cat likes fish."
    table, prose = tmp_path / "memory.csv", tmp_path / "memory.md"
    table.write_text("\n".join(("text", *facts)) + "\n")
    prose.write_text("\n\n".join(facts) + "\n")
    assert main([str(table), "--quiet"]) == main([str(prose), "--pair-scores", "--quiet"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [{each["text1"], each["text2"]} for each in found] == [set(facts[:2])] * 2
    assert main([str(prose), "--quiet"]) == 0
    assert not capsys.readouterr().out


@pytest.mark.slow
def test_a_second_scan_of_a_large_corpus_seeks_only_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its findings are those of a scan that seeks all neighbours."""
    rule = "The worker closes an idle connection after {} seconds and logs its address."
    said = [f"Number {n} is {n % 7} and {n % 11} and {n % 13}." for n in range(2100)] + [rule.format(30)]
    guide, again, anew = tmp_path / "guide.txt", tmp_path / "again.jsonl", tmp_path / "anew.jsonl"
    guide.write_text("\n\n".join(said))
    command = [str(guide), "--cache-dir", str(tmp_path / "cache")]
    main([*command, "--out", str(again)])
    assert "(2,101 encoded)" in capsys.readouterr().err
    said[70] = rule.format(90)
    guide.write_text("\n\n".join(said))
    main([*command, "--out", str(again)])
    assert "2,101 distinct (1 encoded)" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "cache" / "neighbours")
    main([*command, "--out", str(anew)])
    found, expected = (list(map(json.loads, path.read_text().splitlines())) for path in (again, anew))
    assert found == expected
    assert {said[70], said[-1]} in [{each["text1"], each["text2"]} for each in found]


@pytest.mark.slow
def test_a_second_scan_of_a_grown_corpus_computes_only_what_is_new(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["docs", "--cache-dir", str(corpus / "cache"), "--min-cosine", "0.5", "--rare-in", "0"]
    command.append("--pair-scores")
    main(command)
    assert "(5 encoded); 1 candidates of 10 pairs; 1 remain after screening; 1 verified (1 read)" in (
        capsys.readouterr().err
    )
    (corpus / "docs" / "a.md").write_text(f"\n\n{NEWS}\nThe museum in the old town is shut on Mondays.\n")
    main(command)
    told = capsys.readouterr()
    assert "8 statements, 6 distinct (1 encoded); 3 candidates of 15 pairs" in told.err
    assert "3 verified (2 read)" in told.err
    known = [
        each
        for each in map(json.loads, told.out.splitlines())
        if {each["text1"], each["text2"]} == CONTRADICTION
    ]
    assert sorted(known[0]["places1"] + known[0]["places2"]) == [
        "docs/a.md:3",
        "docs/news.txt:1",
        "docs/notes.md:3",
    ]


@pytest.mark.slow
def test_accepted_contradictions_do_not_fail_wherever_they_move(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = ["docs", "--quiet", "--fail-on-contradiction", "--baseline", "accepted.json"]
    assert main([*gate, "--write-baseline"]) == 0
    assert capsys.readouterr() == ("", "")
    (corpus / "docs" / "notes.md").write_text(f"A new beginning moves the rest.\n\n{NOTES}")
    assert main(gate) == 0
    assert capsys.readouterr() == ("", "")
    (corpus / "docs" / "notes.md").write_text(NOTES.replace("Mondays", "Sundays"))
    (corpus / "docs" / "news.txt").write_text(NEWS.replace("Mondays", "Sundays"))
    assert main(gate) == 3
    assert "Sundays" in capsys.readouterr().out


@pytest.mark.slow
def test_the_findings_go_to_a_file_in_the_format_asked_for(corpus: Path) -> None:
    assert main(["docs", "--format", "html", "--out", "found.html", "--quiet"]) == 0
    page = (corpus / "found.html").read_text()
    assert all(text in Page(page).text for text in CONTRADICTION)
    assert "1 candidate to read" in page
    assert "5 statements (5 distinct) in 2 files; score of at least 0.3 by kimera; 20" in page
    assert "<h2>docs/n" in page
    assert "<mark>never</mark>" in page
    assert "docs/notes.md:3" in page


@pytest.mark.slow
def test_standard_input_is_plain_text(corpus: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kimera.scan", "-", "--max-findings", "1", "--format", "csv"],
        input=f"{NOTES}\n{NEWS}",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert {row["text1"], row["text2"]} <= {*CONTRADICTION, f"# Opening hours {NOTES.splitlines()[2]}"}
    assert {row["places1"], row["places2"]} == {"stdin:3", "stdin:7"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["docs", "--write-baseline"], "--write-baseline writes the file that --baseline names"),
        (["docs", "--baseline", "none.json"], "none.json: cannot be read: No such file"),
        (["docs", "--out", "none/found.csv"], "--out none/found.csv: give the name of a file"),
        (["empty.txt"], "empty.txt: no statement was found"),
        (["docs", "--no-cache", "--cache-dir", "x"], "--no-cache keeps nothing"),
        (["empty.txt", "--out", "./empty.txt"], "--out empty.txt: this file is part of the corpus"),
        (["docs", "--out", "docs/news.txt"], "--out docs/news.txt: this file is part of the corpus"),
        (["docs", "--out", "b.json", "--baseline", "./b.json"], "--out b.json: this is the baseline"),
        (
            ["docs", "--baseline", "empty.txt", "--write-baseline"],
            "--baseline empty.txt: this file is not a baseline",
        ),
    ],
)
def test_wrong_usage_is_told_without_a_traceback(
    corpus: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    (corpus / "empty.txt").touch()
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {told}")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_ctrl_c_while_pairs_are_verified_writes_what_was_found_and_the_next_scan_goes_on(
    corpus: Path,
) -> None:
    """Bars show only on a terminal, so standard error is one; the signal comes once a block is verified."""
    import pty
    import termios

    lines = [
        f"Worker {number} of the night shift is asleep in hall {number % 20}.\n\n" for number in range(120)
    ]
    (corpus / "many.txt").write_text("".join(lines))
    command = [
        sys.executable,
        "-m",
        "kimera.scan",
        "many.txt",
        "--pair-scores",
        "--cache-dir",
        "cache",
        "--out",
        "found.jsonl",
    ]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(command, stderr=theirs, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        os.close(theirs)
        told = b""
        while not re.search(rb"verifying[^/]* (2[6-9]\d|[3-9]\d\d|\d{4})/", told):
            told += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        told += _rest(ours)
    assert process.returncode == 130
    verified, due = map(int, re.findall(rb"interrupted: (\d+) of (\d+) pairs", told.replace(b",", b""))[0])
    assert 256 <= verified < due
    assert b"to continue, give the same command again" in told
    assert b"Traceback" not in told
    first = (corpus / "found.jsonl").read_text().splitlines()
    assert first
    again = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )
    read = int(re.findall(r"\((\d+) read\)", again.stderr.replace(",", ""))[0])
    assert 0 < read <= due - verified
    assert _ungrouped(first) <= _ungrouped((corpus / "found.jsonl").read_text().splitlines())


def _ungrouped(lines: list[str]) -> set[tuple[str, float]]:
    """What was found, without its groups: these number findings and turn them round within one scan."""
    return {(found["key"], found["score"]) for found in map(json.loads, lines)}


def _rest(terminal: int) -> bytes:
    told = b""
    try:
        while part := os.read(terminal, 4096):
            told += part
    except OSError:  # what Linux gives when the other end is closed
        pass
    return told


class Page(HTMLParser):
    """What stands on a page: its tags, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = "<script>alert('x')</script> & \"<b>\""


def test_the_page_runs_nothing_and_shows_hostile_texts_as_they_are() -> None:
    hostile = Finding(0.9, HOSTILE, "=1+1", ["<i>.md:1"], ["b.md:2"], 0.5, 0.7)
    page = Page(render_html(groups_of([hostile]), About()))
    assert page.tags.isdisjoint({"script", "b", "i", "img", "link"})
    assert HOSTILE in page.text
    assert "<i>.md:1" in page.text


def test_a_spreadsheet_runs_no_cell_of_the_csv() -> None:
    hostile = Finding(0.9, "=1+1", "@x\r\n", ["-a.md:1"], ["b.md:2", "c.md:3"], 0.5, 0.7)
    (row,) = csv.DictReader(io.StringIO(render_csv(groups_of([hostile])), newline=""))
    assert (row["text1"], row["text2"], row["places1"]) == ("'=1+1", "'@x\\u000d\\u000a", "'-a.md:1")
    assert row["places2"] == "b.md:2; c.md:3"
    assert float(row["score"]) == 0.9


@given(st.text(), st.text())
def test_json_lines_hold_any_text(text1: str, text2: str) -> None:
    (line,) = render_jsonl(groups_of([finding(text1, text2)])).splitlines()[:1] or [""]
    whole = json.loads(render_jsonl(groups_of([finding(text1, text2)])))
    assert (whole["text1"], whole["text2"]) == (text1, text2)
    assert line.startswith("{")


@given(st.text(), st.text(), st.text())
def test_a_finding_is_known_by_its_two_texts_in_any_order(one: str, other: str, third: str) -> None:
    assert finding(one, other).key == finding(other, one, score=0.1).key
    if third not in (one, other):
        assert finding(one, other).key != finding(one, third).key


def test_the_strongest_finding_is_first_and_equal_ones_have_an_order_of_their_own() -> None:
    found = [finding("b", score=0.8), finding("c", score=0.9), finding("a", score=0.8)]
    assert [each.text1 for each in strongest_first(found)] == ["c", "a", "b"]
    assert strongest_first(found[::-1]) == strongest_first(found)


def test_a_baseline_reads_back_and_what_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "accepted.json"
    replace_baseline(path, [finding(), finding("\ud800", HOSTILE)])
    assert read_baseline(path) == {finding().key, finding("\ud800", HOSTILE).key}
    for content in ("", "[]", "{}", '{"format": "other"}', '{"format": "kimera-scan-baseline-1"}'):
        path.write_text(content)
        with pytest.raises(UserError, match="is not a baseline of this version"):
            read_baseline(path)


def test_the_hook_of_pre_commit_is_a_command_that_exists() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, command, *flags = hook["entry"].split()
    assert (program, COMMANDS[command].home) == ("kimera", "kimera.scan")
    options = build_parser().parse_args([*flags, *hook["args"]])
    assert options.fail_on_contradiction
    assert hook["pass_filenames"] is False


@pytest.mark.slow
def test_planted_contradictions_are_drawn_from_labelled_pairs_and_the_scan_misses_few_of_the_exhaustive(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [
        {
            "text1": f"The {name} in the old town is open on {day}.",
            "text2": f"The {name} is never open on {day}.",
            "label": "contradiction",
        }
        for name in ("museum", "library", "theatre", "market")
        for day in ("Mondays", "Sundays", "Fridays")
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    planted = planted_corpus([path], 20)
    assert (len(planted.texts), len(planted.contradictions)) == (20, 10)
    told = recall(planted)
    assert "20 statements, 190 pairs." in told
    share = float(told.partition("% of the exhaustive")[0].rpartition(" ")[2])
    assert share >= 95


def test_what_a_screen_would_obey_is_shown_as_its_code() -> None:
    hostile = Finding(0.9, "\u202ereversed", "\x1b[2Jcleared", ["a.md:1"], ["b.md:2"], 0.5, 0.7)
    for rendered in (render_html(groups_of([hostile]), About()), render_csv(groups_of([hostile]))):
        assert "\\u202ereversed" in rendered
        assert "\\u001b[2Jcleared" in rendered
        assert not re.search("[\u202e\x1b]", rendered)


def test_a_page_of_a_scan_that_is_not_whole_says_so() -> None:
    assert (
        "Not all: 3 of 9 pairs were not read."
        in Page(render_html(groups_of([finding()]), About(incomplete="3 of 9 pairs were not read"))).text
    )
    assert "Not all" not in Page(render_html(groups_of([finding()]), About())).text


def test_what_a_judge_is_surest_of_is_first() -> None:
    sure, unsure = (
        Finding(score, str(score), "b", [], [], 0.5, 0.5, "judge", confidence, "")
        for score, confidence in ((0.2, 0.99), (0.9, 0.6))
    )
    assert strongest_first([unsure, finding(score=0.95), sure])[:2] == [sure, unsure]


@pytest.mark.slow
def test_findings_that_leave_the_baseline_are_told(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accept = ["docs", "--quiet", "--baseline", "accepted.json", "--write-baseline"]
    assert main(accept) == 0
    assert main([*accept, "--min-score", "1"]) == 0
    assert "accepted.json: 1 accepted findings were not found again" in capsys.readouterr().err


def test_what_holds_no_statement_is_counted(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "facts.csv").write_text('fact\nThe shop is open today.\n""\nThe shop is shut today.\n')
    (corpus / "docs" / "latin.txt").write_bytes("Das Café ist zu.\nKein Caf".encode() + b"\xe9.")
    assert main(["docs", "facts.csv", "--column", "fact"]) == 2
    told = capsys.readouterr().err
    assert "docs/latin.txt, line 2: the byte 0xe9 is not valid UTF-8; save the file as UTF-8" in told
    assert main(["docs", "--column", "fact", "facts.csv", "--skip-bad-rows"]) == 0
    told = capsys.readouterr().err
    assert "1 row dropped:\n  docs/latin.txt, line 2" in told
    assert "1 rows have a blank cell and so hold no statement" in told


def test_a_markdown_file_that_begins_with_a_rule_keeps_its_text(corpus: Path) -> None:
    path = corpus / "ruled.md"
    path.write_text("---\nThe first paragraph counts.\n\n---\n\nThe second one counts too.\n")
    assert [each.text for each in read_statements(str(path))] == [
        "The first paragraph counts.",
        "The second one counts too.",
    ]


def test_a_file_counts_once_however_it_is_named(corpus: Path) -> None:
    assert files_of(["docs", "./docs/notes.md", "docs//news.txt"]) == ["docs/news.txt", "docs/notes.md"]


def test_a_gate_is_not_passed_where_most_of_a_folder_was_not_read(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "tree").mkdir()
    (corpus / "tree" / "a.md").write_text("The shop is open today.\n")
    for name in ("b.org", "c.odt", "d.png"):
        (corpus / "tree" / name).touch()
    assert main(["tree", "--quiet"]) == 0
    assert "note: 2 files were skipped, of 3: 1 .org, 1 .odt" in capsys.readouterr().err
    assert main(["tree", "--quiet", "--fail-on-contradiction"]) == 3
    assert (
        "error: the gate fails, because most of the corpus was not read: 2 files" in capsys.readouterr().err
    )
    (corpus / "tree" / "c.odt").unlink()
    assert main(["tree", "--quiet", "--fail-on-contradiction"]) == 0


def test_a_column_of_what_is_no_table_is_an_error(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", "--column", "fact"]) == 2
    assert "without effect: --column: none of docs is a table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        (
            '[{"memory": "The shop is open today.", "at": 1}, {"memory": "The shop is shut today."}]',
            (),
        ),
        ("id;fact\n1;The shop is open today.\n2;The shop is shut today.\n", ("--column", "fact")),
        ("The shop is open today. The shop is shut today.", ()),
    ],
    ids=["JSON", "CSV", "text"],
)
def test_standard_input_is_a_table_where_it_looks_like_one(
    corpus: Path, given: str, flags: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kimera.scan", "-", "--pair-scores", *flags],
        input=given,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    (found,) = map(json.loads, done.stdout.splitlines())
    assert {found["text1"], found["text2"]} == {"The shop is open today.", "The shop is shut today."}
    assert ("not used: 'at'" in done.stderr) == ("at" in given and "[" in given)


@pytest.mark.parametrize(
    ("format", "given"),
    [
        ("md", "# A title states nothing\n\nThe *shop* is open today.\n"),
        ("rst", "A title states nothing\n======================\n\nThe **shop** is open today.\n"),
        ("html", "<h1>A title states nothing</h1><p>The <i>shop</i> is open today."),
        ("csv", "text\nThe shop is open today.\n"),
        ("jsonl", '{"text": "The shop is open today."}\n'),
        ("txt", "The shop is open today."),
    ],
)
def test_standard_input_is_read_in_the_format_that_is_named(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, format: str, given: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert [each.text for each in read_statements("-", input_format=format)] == ["The shop is open today."]


def test_a_format_of_standard_input_that_is_not_read_is_an_error(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["docs", "--input-format", "md"]) == 2
    assert "--input-format says how standard input is read" in capsys.readouterr().err


def test_findings_with_accents_open_in_spreadsheets(corpus: Path) -> None:
    (corpus / "facts.csv").write_text(
        "text\nDas Café ist offen.\nDas Café ist nicht offen.\n", encoding="utf-8"
    )
    assert main(["facts.csv", "--format", "csv", "--out", "found.csv", "--min-score", "0"]) == 0
    assert Path("found.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert {each.text for each in read_statements("found.csv", column="text1")} <= {
        "Das Café ist offen.",
        "Das Café ist nicht offen.",
    }
