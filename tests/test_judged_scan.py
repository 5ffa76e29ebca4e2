"""A scan with a judge as its last stage: what is asked, what is found, and how a scan cut short goes on."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulators import QUICK, SimulatorThread

from benchmarks.judge.prompts import load_prompt
from benchmarks.llm_compare import main as compare
from benchmarks.runs.scan_candidates import CANDIDATES
from benchmarks.runs.simulated_answers import SimulatedAnswers
from benchmarks.scan import main
from benchmarks.simulator.simulation import SimulatorConfig, answers_for
from kimera.pairs import Pair
from kimera.scan import main as reactor_alone

pytestmark = pytest.mark.slow  # whole runs, fits or installations

ROOT = Path(__file__).parent.parent
PLACES = (
    "museum",
    "library",
    "harbour",
    "old theatre",
    "swimming pool",
    "town hall",
    "bakery",
    "night market",
)
OPEN = [f"The {place} is open on Mondays." for place in PLACES]
SHUT = [f"The {place} is closed on Mondays." for place in PLACES]
TEXTS = [*OPEN, *SHUT]
CONTRADICTIONS = {frozenset(pair) for pair in zip(OPEN, SHUT, strict=True)}
PROMPT = load_prompt("collection")


@pytest.fixture(scope="module")
def judge() -> Iterator[SimulatorThread]:
    """Simulated; it knows of all pairs which place they are about."""
    pairs = [
        Pair(*both, label="contradiction" if frozenset(both) in CONTRADICTIONS else "neutral")
        for both in permutations(TEXTS, 2)
    ]
    with SimulatorThread(QUICK, answers_for(pairs, PROMPT.question)) as server:
        yield server


@pytest.fixture
def command(judge: SimulatorThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "open.txt").write_text("\n".join(OPEN))
    (tmp_path / "shut.txt").write_text("\n".join(SHUT))
    return ["open.txt", "shut.txt", "--base-url", judge.base_url, "--async", "8", "--price", "1,1"]


def texts_of(lines: str) -> set[frozenset[str]]:
    return {frozenset((each["text1"], each["text2"])) for each in map(json.loads, lines.splitlines())}


def test_findings_are_what_the_judge_confirms_and_say_so(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--folder", "run"]) == 0
    told = capsys.readouterr()
    assert texts_of(told.out) == CONTRADICTIONS
    found = json.loads(told.out.splitlines()[0])
    assert found["judge"] == "gpt-4o (simulated)"
    assert found["reasoning"]
    assert sorted(each.partition(":")[0] for each in found["places1"] + found["places2"]) == [
        "open.txt",
        "shut.txt",
    ]
    assert "8 findings" in told.err
    assert "gpt-4o (simulated) judged" in told.err
    assert "; $0.0" in told.err
    run = Path("run")
    assert {path.name for path in run.iterdir()} >= {
        CANDIDATES,
        "journal.jsonl",
        "report.html",
        "results.csv",
    }
    assert (run / "findings.jsonl").read_text() == told.out
    assert "gpt-4o (simulated), confidence" in (run / "findings.html").read_text()
    assert json.loads((run / "scan.json").read_text())["rule"]["min_cosine"] == 0.6
    assert reactor_alone([*command[:2], "--pair-scores", "--quiet"]) == 0
    assert texts_of(capsys.readouterr().out) > CONTRADICTIONS  # it cannot tell which place is meant


SAYS = "The worker closes an idle connection after {} seconds and logs its address."
PROSE = [
    SAYS.format(30),
    SAYS.format(90),
    "The worker opens a connection for each client that asks for one.",
    "A client opens a connection to a worker before it asks for a file.",
    "Each connection of a client is logged with its address and its port.",
    "The address of a client is logged once.",
]


def test_likely_from_leaves_the_judge_what_a_scan_could_score_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("guide.txt").write_text("\n\n".join(PROSE))
    command = ["guide.txt", "--simulate", "--min-cosine", "0.3", "--quiet"]
    assert main([*command, "--folder", "every"]) == 0
    assert main([*command, "--folder", "likely", "--likely-from", "0.01"]) == 0
    every, likely = (texts_of(Path(folder, CANDIDATES).read_text()) for folder in ("every", "likely"))
    assert frozenset(PROSE[:2]) in likely < every
    scanned = [json.loads(Path(folder, "scan.json").read_text()) for folder in ("every", "likely")]
    assert [each["likely_from"] for each in scanned] == [None, 0.01]
    assert [each["screened"] for each in scanned] == [len(every), len(likely)]
    assert scanned[0]["candidates"] == scanned[1]["candidates"] >= len(every)
    assert "could score at least 0.01" in Path("likely", "findings.html").read_text()


def test_likely_from_is_refused_where_scans_are_not_scored_so(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("facts.csv").write_text("fact\nThe harbour is open.\nThe harbour is closed.\n")
    given = ["facts.csv", "--column", "fact", *command[2:], "--likely-from", "0.01"]
    assert main(given) == 2
    assert "--likely-from cannot be combined with a table among the files" in capsys.readouterr().err
    assert not list(Path("runs").iterdir())


def test_a_simulated_judge_answers_from_planted_pairs_and_is_called_so(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = [
        f"{json.dumps({'text1': shut, 'text2': f'{opened} ', 'label': 'contradiction'})}\n"
        for opened, shut in zip(OPEN[:3], SHUT[:3], strict=True)
    ]
    Path("planted.jsonl").write_text(
        "".join([*first, '{"text1": "a", "text2": "b", "label": "contradiction"}\n'])
    )
    flags = [*command[:2], "--simulate", "--planted", "planted.jsonl", "--async", "8", "--folder", "run"]
    assert main([*flags, "--format", "sarif"]) == 0
    told = capsys.readouterr()
    assert (
        "note: the simulated judge knows the contradictions of planted.jsonl, and no others: 3 of these 4"
        in told.err
    )
    assert "column" not in told.err
    assert "simulated-judge (simulated), which knows" in told.out
    page = Path("run", "findings.html").read_text()
    assert "16 statements (16 distinct) in 2 files; called a contradiction by simulated-judge" in page
    assert "simulated-judge (simulated), which knows" in page
    found = Path("run", "findings.jsonl").read_text()
    assert texts_of(found) == {frozenset(pair) for pair in zip(OPEN[:3], SHUT[:3], strict=True)}
    assert {json.loads(line)["judge"] for line in found.splitlines()} == {"simulated-judge (simulated)"}
    summary = json.loads(Path("run", "summary.json").read_text())
    assert "accuracy" in summary["detectors"]["simulated-judge"]["absent"]  # nobody labelled these pairs
    Path("planted.jsonl").unlink()
    assert main(["--resume", "run", "--quiet"]) == 0
    assert capsys.readouterr().out == found


@given(st.floats(0, 1), st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_a_simulated_judge_at_random_answers_alike_in_both_orders_and_never_less_for_a_larger_share(
    share: float, pairs: list[tuple[str, str]]
) -> None:
    answers, more = SimulatedAnswers(share=share), SimulatedAnswers(share=(1 + share) / 2)
    none, every = SimulatedAnswers(share=0.0), SimulatedAnswers(share=1.0)
    for one, other in pairs:
        assert answers(one, other) == answers(other, one) <= more(one, other)
        assert (none(one, other), every(one, other)) == (False, True)


def test_where_no_verdict_came_the_reason_stands_in_the_message(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("shut.txt").write_text("\n".join(SHUT[:2]))
    assert main(["shut.txt", "--base-url", "http://127.0.0.1:9/v1", "--max-retries", "0"]) == 1
    told = capsys.readouterr()
    assert re.search(
        r"^error: gpt-4o gave no verdict on any pair: connection: .*127\.0\.0\.1", told.err, re.MULTILINE
    )
    assert told.out == ""


def test_a_few_candidates_are_settled_without_the_judge(
    command: list[str], judge: SimulatorThread, capsys: pytest.CaptureFixture[str]
) -> None:
    before = judge.stats()["requests"]
    assert main([*command, "--cascade", "0.5", "--folder", "run"]) == 0
    asked = judge.stats()["requests"] - before
    candidates = len(Path("run", CANDIDATES).read_text().splitlines())
    told = capsys.readouterr()
    assert 8 < asked < candidates
    assert told.out
    assert f"judged {asked} of {candidates} pairs" in told.err
    assert f"the reactor settled {candidates - asked}" in told.err
    assert texts_of(told.out) <= CONTRADICTIONS


def test_what_is_called_without_the_judge_does_not_name_it(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--cascade", "0.5", "--max-sent", "0.5", "--quiet"]) == 0
    judges = {each["judge"] for each in map(json.loads, capsys.readouterr().out.splitlines())}
    assert judges == {"", "gpt-4o (simulated)"}


def test_what_the_reactor_is_not_sure_of_is_no_finding_without_the_judge(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--cascade", "0.5", "--max-sent", "0.35"]) == 0
    told = capsys.readouterr()
    found = [json.loads(line) for line in told.out.splitlines()]
    assert all(each["judge"] or each["score"] >= 0.8 for each in found)
    assert re.search(
        r"note: \d+ more candidates were called contradictions without the judge, with a score below 0\.8",
        told.err,
    )


def test_a_scan_that_ran_out_of_money_goes_on_and_finds_the_same(
    command: list[str], judge: SimulatorThread, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main([*command, "--folder", "run", "--max-cost", "0.006", "--baseline", "b.json", "--write-baseline"])
        == 1
    )
    told = capsys.readouterr()
    again = "python -m benchmarks.scan --baseline b.json --write-baseline --resume run --max-cost DOLLARS"
    assert f"go on with: {again}" in told.err
    assert not Path("b.json").exists()
    assert texts_of(told.out) < CONTRADICTIONS
    assert "Not all: " in Path("run", "findings.html").read_text()
    for path in Path().glob("*.txt"):
        path.unlink()  # what it goes on with is in its folder
    Path("run").rename("moved")
    Path("run").mkdir()
    Path("run", CANDIDATES).write_text('{"text1": "another", "text2": "run"}\n')
    before = judge.stats()["requests"]
    assert main(["--resume", "moved", "--max-cost", "1", "--async", "4"]) == 0
    assert 0 < judge.stats()["requests"] - before < len(Path("moved", CANDIDATES).read_text().splitlines())
    assert texts_of(capsys.readouterr().out) == CONTRADICTIONS


def test_accepted_findings_are_not_judged_again_and_pass_the_gate_and_new_ones_do_not(
    command: list[str], judge: SimulatorThread, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = [*command, "--quiet", "--fail-on-contradiction", "--baseline", "accepted.json"]
    assert main([*gate, "--write-baseline"]) == 0
    before = judge.stats()["requests"]
    assert main(gate) == 0
    assert capsys.readouterr().out == ""
    assert judge.stats()["requests"] - before == 28  # of 36 candidates those that are not accepted
    baseline = json.loads(Path("accepted.json").read_text())
    dropped = baseline["accepted"].pop()
    Path("accepted.json").write_text(json.dumps(baseline))
    assert main([*gate, "--format", "csv", "--out", "found.csv"]) == 3
    with Path("found.csv").open(newline="") as file:
        assert [row["key"] for row in csv.DictReader(file)] == [dropped["key"]]


@pytest.fixture(scope="module")
def failing_judge() -> Iterator[SimulatorThread]:
    """Gives no verdict on most pairs."""
    pairs = [Pair(*both, label="neutral") for both in permutations(TEXTS, 2)]
    config = SimulatorConfig(latency_ms=0, content_filter=0.8)
    with SimulatorThread(config, answers_for(pairs, PROMPT.question)) as server:
        yield server


@pytest.mark.parametrize("flags", [["--fail-on-contradiction"], ["--write-baseline"], []])
def test_candidates_without_a_verdict_are_told_and_nothing_rests_on_them(
    command: list[str], failing_judge: SimulatorThread, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    flags = [*flags, "--base-url", failing_judge.base_url, "--quiet", "--folder", "run"]
    Path("b.json").write_text('{"format": "kimera-scan-baseline-1", "accepted": []}')
    assert main([*command, *flags, "--baseline", "b.json"]) == (1 if len(flags) > 5 else 0)
    assert re.search(r"note: \d+ candidates have no verdict; --resume run asks", capsys.readouterr().err)
    assert json.loads(Path("b.json").read_text())["accepted"] == []


def test_a_budget_that_the_sample_would_pass_is_told_without_a_way_on_that_is_none(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("found.jsonl").write_text("an earlier scan's\n")
    assert main([*command, "--max-sent", "0.3", "--folder", "run", "--out", "found.jsonl"]) == 1
    assert Path("found.jsonl").read_text() == "an earlier scan's\n"
    told = capsys.readouterr().err
    assert "more than --max-sent 0.3 allows" in told
    assert "go on with" not in told


def test_what_was_accepted_and_not_asked_again_stays_accepted(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = ["--baseline", "accepted.json"]
    assert main([*command, "--quiet", *baseline, "--write-baseline"]) == 0
    content = json.loads(Path("accepted.json").read_text())
    Path("accepted.json").write_text(json.dumps({**content, "accepted": content["accepted"][:3]}))
    assert main([*command, "--quiet", *baseline, "--folder", "run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert main(["--resume", "run", *baseline, "--write-baseline"]) == 0
    assert json.loads(Path("accepted.json").read_text()) == content
    assert "left it" not in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--dry-run", "--max-sent", "0.3"]) == 0
    assert "The sample alone would exceed that, so the run would be refused." in capsys.readouterr().out


def test_a_dry_run_replaces_nothing(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("shut.txt").write_text("Copper melts at 1,085 degrees.")
    Path("open.txt").write_text("The museum is open on Mondays.")
    kept = '{"format": "kimera-scan-baseline-1", "accepted": []}'
    Path("b.json").write_text(kept)
    flags = ["--dry-run", "--baseline", "b.json", "--write-baseline", "--out", "found.jsonl"]
    assert main([*command, *flags]) == 0
    assert "There are no candidates" in capsys.readouterr().out
    assert Path("b.json").read_text() == kept
    assert not Path("found.jsonl").exists()


def test_a_dry_run_needs_no_key_sends_nothing_and_leaves_nothing(
    command: list[str], judge: SimulatorThread, capsys: pytest.CaptureFixture[str]
) -> None:
    before = judge.stats()["requests"]
    assert main([*command[:2], "--dry-run"]) == 0
    told = capsys.readouterr()
    assert "nothing was sent" in told.out
    assert "gpt-4o" in told.out
    assert "candidates of 120 pairs" in told.err
    assert judge.stats()["requests"] == before
    assert not Path("runs").exists()


def test_where_there_is_no_candidate_nobody_is_asked(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("open.txt").write_text("The museum is open on Mondays.")
    Path("shut.txt").write_text("Copper melts at 1,085 degrees.")
    assert main(command) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "nothing to judge: 0 findings" in told.err


def test_where_there_is_no_candidate_the_page_says_too_what_a_mark_keeps_out(command: list[str]) -> None:
    Path("open.txt").write_text("The museum is open on Mondays.")
    Path("shut.txt").write_text(
        "It is shut on Mondays. <!-- kimera: ignore -->\n\nCopper melts at 1,085 degrees."
    )
    assert main([*command, "--format", "html", "--out", "found.html"]) == 0
    assert "1 statement ignored by a mark in the text" in Path("found.html").read_text()


def test_the_ways_on_without_a_judge_stand_in_columns(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["open.txt"]) == 2
    _, *ways = capsys.readouterr().err.splitlines()
    assert len({len(way) - len(re.split(r" {3,}", way)[1]) for way in ways}) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give the files of the corpus, or --resume DIR"),
        (["open.txt"], "there is no judge to ask"),
        (["open.txt", "--resume", "run"], "--resume goes on with the candidates in the run's folder"),
        (["--resume", "run"], f"--resume run: there is no {CANDIDATES}"),
        (
            ["--resume", "run", "--min-cosine", "0.7"],
            "--resume goes on with the candidates in the run's folder",
        ),
        (
            ["open.txt", "--model", "a", "--model", "b", "--base-url", "http://x/v1"],
            "--cascade takes one judge",
        ),
        (["open.txt", "--simulate", "--planted", "none.csv"], "--planted none.csv: there is no such file"),
        (
            ["open.txt", "--planted", "open.txt", "--base-url", "http://x/v1"],
            "--planted FILE is what the judge",
        ),
        (
            ["--resume", "run", "--planted", "open.txt"],
            "--resume goes on with the candidates in the run's",
        ),
        (["open.txt", "--baseline", "none.json", "--base-url", "http://x/v1"], "none.json: cannot be read"),
        (["open.txt", "--base-url", "http://x/v1", "--prompt", "none.txt"], "prompt 'none.txt'"),
        (["open.txt", "--base-url", "http://x/v1", "--max-cost", "1"], "--max-cost needs a price"),
        (["open.txt", "--write-baseline", "--dry-run"], "--write-baseline writes the file that --baseline"),
        (["none.txt", "--base-url", "http://x/v1"], "none.txt: cannot be read"),
        (
            ["open.txt", "--folder", ".", "--out", "journal.jsonl"],
            "--out journal.jsonl: this is the run's own folder",
        ),
    ],
)
def test_wrong_usage_is_told_before_anything_is_computed(
    command: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {told}")
    assert not Path("runs").exists()


def test_the_run_is_a_run_like_others(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--folder", "run", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert compare(["--resume", "run", "--quiet"]) == 0
    assert "cascade" in capsys.readouterr().out


def test_another_local_detector_is_asked_before_the_judge(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules.py").write_text(
        "def differ(pairs):\n"
        "    return [0.9 if ('open' in first) != ('open' in second) else 0.2 for first, second in pairs]\n"
    )
    flags = [*command, "--local", "mine=rules.py:differ"]
    assert main([*flags, "--folder", "run"]) == 0
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {frozenset((found["text1"], found["text2"])) for found in findings} == CONTRADICTIONS
    assert {(found["detector"], found["judge"], found["score"]) for found in findings} == {
        ("mine", "gpt-4o (simulated)", 0.9)
    }
    with (tmp_path / "run" / "results.csv").open(newline="") as file:
        assert any(name.startswith("mine") for name in next(csv.reader(file)))
    on = ["--resume", "run", *command[2:4], "--quiet"]
    assert main(on) == 2  # a folder does not suffice to have code run
    assert "this run has code of yours, mine" in capsys.readouterr().err
    assert main([*on, "--local", "mine=rules.py:differ"]) == 0
    assert texts_of(capsys.readouterr().out) == CONTRADICTIONS


def test_a_file_of_scores_is_refused_ahead_of_the_judge(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--local", "scores:said.csv"]) == 2
    assert "no file holds their scores" in capsys.readouterr().err
