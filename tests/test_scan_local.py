"""A scan in which another local detector decides, and one whose encoder is another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import write_tiny_model

from kimera.corpus import MIN_SCORE, Corpus, Scan, run_scan, scan_bar
from kimera.corpus.scan_rule import Rule
from kimera.corpus.statements import read_statements
from kimera.deciding_detector import keeps_scores
from kimera.detectors import Chain, FunctionDetector, NLIModel
from kimera.reactor import Reactor
from kimera.scan import main

OPEN = "The museum in the old town is open on Mondays."
NEVER = "The museum in the old town is never open on Mondays."
SHUT = "The museum in the old town is shut on Mondays."
NOTES = f"{OPEN}\n\nTickets are sold at the door. The garden has three fountains.\n"
NEWS = f"{NEVER}\nA bus goes there every hour.\n\n{SHUT}\n"
RULES = """\
def negates(pairs):
    return [0.9 if ("never" in first) != ("never" in second) else 0.1 for first, second in pairs]

def dislikes_shut(pairs):
    if any("shut" in text for pair in pairs for text in pair):
        raise ValueError("shut is no word of mine")
    return negates(pairs)

def raises(pairs):
    raise ValueError("never again")

def unsure(pairs):
    return [0.6] * len(pairs)
"""


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "notes.txt").write_text(NOTES)
    (tmp_path / "docs" / "news.txt").write_text(NEWS)
    (tmp_path / "rules.py").write_text(RULES)
    return tmp_path


def scan(
    capsys: pytest.CaptureFixture[str], *flags: str, code: int = 0
) -> tuple[list[dict[str, object]], str]:
    """(the findings, what was told on standard error)."""
    assert main(["docs", *flags]) == code
    told = capsys.readouterr()
    return [json.loads(line) for line in told.out.splitlines()], told.err


def texts(findings: list[dict[str, object]]) -> set[frozenset[object]]:
    return {frozenset((found["text1"], found["text2"])) for found in findings}


def test_a_function_decides_on_the_candidates_and_the_findings_name_it(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings, told = scan(capsys, "--local", "rules.py:negates")
    assert texts(findings) == {frozenset((OPEN, NEVER)), frozenset((SHUT, NEVER))}
    assert {(found["detector"], found["score"]) for found in findings} == {("rules.py:negates", 0.9)}
    assert "scores are not calibrated as Kimera's are, and --min-score 0.8 takes them" in told
    assert told.rstrip().endswith("; 1 finding (2 pairs)")
    assert {(found["text1"], found["group"]) for found in findings} == {(NEVER, 1)}


def test_the_threshold_is_of_the_scores_of_whoever_decides(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings, _ = scan(capsys, "--local", "mine=rules.py:negates", "--min-score", "0.91")
    assert findings == []
    findings, _ = scan(capsys, "--local", "mine=rules.py:negates", "--min-score", "0.05")
    assert {found["detector"] for found in findings} == {"mine"}
    assert len(findings) == 3


def test_the_default_is_the_cross_encoder_by_either_name(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_default, told = scan(capsys)
    assert "calibrated" not in told
    for name in ("kimera", "kimera:verify"):
        findings, _ = scan(capsys, "--local", name)
        assert [{**found, "detector": "kimera"} for found in findings] == by_default
        assert {found["detector"] for found in findings} == {name}


def test_the_head_decides_with_its_own_score(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    findings, told = scan(capsys, "--local", "kimera:screen", "--min-score", "0")
    assert findings
    assert all(found["score"] == found["screen_score"] for found in findings)
    assert "(0 read)" in told


def test_a_chain_asks_its_second_stage_where_the_first_is_unsure(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings, told = scan(capsys, "--local", "rules.py:unsure>rules.py:negates")
    assert "3 verified (6 read; rules.py:unsure was given 3, rules.py:negates was given 3)" in told
    assert texts(findings) == {frozenset((OPEN, NEVER)), frozenset((SHUT, NEVER))}
    assert {found["detector"] for found in findings} == {"rules.py:unsure > rules.py:negates"}


def test_an_nli_model_gives_a_scan_the_scores_it_gives_anywhere(
    corpus: Path, capsys: pytest.CaptureFixture[str], nli_model: Callable[..., Path]
) -> None:
    folder = nli_model("roberta")
    findings, told = scan(capsys, "--local", f"tiny={folder}", "--min-score", "0")
    assert {found["detector"] for found in findings} == {"tiny"}
    verdicts = NLIModel(folder, cache=None).detect(
        [(str(found["text1"]), str(found["text2"])) for found in findings]
    )
    assert [found["score"] for found in findings] == pytest.approx(
        [verdict.score for verdict in verdicts], abs=1e-5
    )
    assert f"{len(findings)} verified" in told
    _, again = scan(capsys, "--local", f"tiny={folder}", "--min-score", "0")
    assert "(0 read)" in again


def test_what_a_scan_can_continue_is_what_every_stage_keeps(nli_model: Callable[..., Path]) -> None:
    function = FunctionDetector(lambda pairs: [0.6] * len(pairs))
    model, reactor = NLIModel(nli_model("bert")), Reactor(stages="screen")
    assert keeps_scores(Chain({"a": reactor, "b": model}))
    assert not keeps_scores(Chain({"a": function, "b": model}))


def test_what_the_detector_fails_on_is_counted_and_fails_the_gate(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--local", "rules.py:dislikes_shut", "--batch-size", "1")
    findings, told = scan(capsys, *flags)
    assert texts(findings) == {frozenset((OPEN, NEVER))}
    assert "rules.py:dislikes_shut failed on 2 of 3 pairs (raised 2), which have no verdict" in told
    assert "ValueError: shut is no word of mine" in told
    assert main(["docs", *flags, "--format", "html"]) == 0
    assert "Not all: 2 of 3 pairs have no verdict" in capsys.readouterr().out
    baseline = ("--baseline", "accepted.json")
    _, told = scan(capsys, *flags, *baseline, "--write-baseline", code=1)
    assert "some pairs have no verdict, so the gate fails and no baseline is written" in told
    assert not (corpus / "accepted.json").exists()


def test_a_detector_that_fails_on_everything_fails_the_scan(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings, told = scan(capsys, "--local", "rules.py:raises", code=1)
    assert findings == []
    assert (
        "error: no pair has a verdict; the first error: rules.py:raises raised ValueError: never again"
        in told
    )


def test_a_baseline_of_one_detector_holds_for_another(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--local", "rules.py:negates", "--baseline", "accepted.json")
    scan(capsys, *flags, "--write-baseline")
    accepted, _ = scan(capsys, "--local", "rules.py:negates")
    findings, told = scan(capsys, "--baseline", "accepted.json", "--pair-scores")
    assert not texts(findings) & texts(accepted)
    assert "1 accepted beside" in told


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--local", "scores:said.csv"), "no file holds their scores"),
        (("--local", "kimera>scores:said.csv"), "--local scores:said.csv: which pairs are asked about"),
        (
            ("--local", "kimera", "--local", "rules.py:negates"),
            "several as a chain: 'kimera>rules.py:negates'",
        ),
        (("--local", "kimera:deepest"), "the reactor has no such stage"),
        (("--local", "rules.py:nothing"), "nothing"),
        (("--local", "rules.py:negates", "--labels", "consistent"), "no local detector is an NLI model"),
        (("--local", "rules.py:negates", "--verify-weights", "x"), "leave out one of --verify-weights"),
    ],
)
def test_what_cannot_decide_is_an_error(
    corpus: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str
) -> None:
    findings, errors = scan(capsys, *flags, code=2)
    assert findings == []
    assert errors.startswith("error: ")
    assert told in errors


def test_in_python_any_detector_decides_and_is_called_by_its_title(corpus: Path) -> None:
    read = Corpus()
    for name in ("docs/notes.txt", "docs/news.txt"):
        for statement in read_statements(name):
            read.add(statement)
    found = Scan()
    run_scan(
        read,
        Reactor(cache=None, stages="screen"),
        found,
        lambda *told: scan_bar(True, *told),
        rule=Rule(),
        min_score=MIN_SCORE,
        detector=FunctionDetector(lambda pairs: [0.85] * len(pairs)),
        title="all of them",
    )
    assert len(found.findings) == found.due == found.verified > 0
    assert {(each.detector, each.score) for each in found.findings} == {("all of them", 0.85)}


# Another encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


def test_another_encoder_takes_its_cosine_floors_from_the_corpus_and_needs_no_head(
    corpus: Path, capsys: pytest.CaptureFixture[str], encoder: Path
) -> None:
    flags = ("--local", "rules.py:negates", "--encoder", str(encoder))
    findings, told = scan(capsys, *flags, "--min-score", "0")
    assert f"cosine floors were not measured for {encoder}" in told
    assert "15 random pairs of the corpus" in told
    assert findings
    assert {found["screen_score"] for found in findings} == {None}
    # That of untrained vectors is near 1 for any two texts, so 0.6 would let all 15 through.
    assert "15 candidates of 15 pairs" not in told
    _, told = scan(capsys, *flags, "--min-cosine", "0.6", "--min-cosine-rare", "0.3")
    assert "cosine floors" not in told
    assert "15 candidates of 15 pairs; 15 remain" in told


def test_a_floor_that_is_given_is_kept_beside_one_that_is_derived(
    corpus: Path, capsys: pytest.CaptureFixture[str], encoder: Path
) -> None:
    flags = ("--local", "rules.py:negates", "--encoder", str(encoder), "--min-cosine", "0.123")
    _, told = scan(capsys, *flags)
    assert "15 random pairs of the corpus: --min-cosine-rare 0." in told
    assert "--min-cosine 0" not in told


def test_the_packaged_encoder_keeps_the_measured_floors(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = scan(capsys, "--local", "rules.py:negates")
    assert "cosine floors" not in told


def test_the_reactor_still_asks_for_a_head_of_another_encoder(
    corpus: Path, capsys: pytest.CaptureFixture[str], encoder: Path
) -> None:
    _, told = scan(capsys, "--encoder", str(encoder), code=2)
    assert "no head is shipped for the encoder" in told
