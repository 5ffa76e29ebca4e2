"""--plan, as a user gives it: what it reckons with, what it answers, and that nothing is sent or written."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from benchmarks.llm_compare import main

PAIRS = 2000
RULE = """
def rule(pairs):
    return ["not" in second for _, second in pairs]

def never(pairs):
    return [False for _ in pairs]
"""


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """2,000 pairs, every 20th labelled, half of these contradictions, of which the rule misses a fifth."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "KIMERA_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.py").write_text(RULE, encoding="utf-8")
    return written(tmp_path / "pairs.csv", labelled=20)


def written(path: Path, labelled: int = 0, pairs: int = PAIRS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text1", "text2", "label", "drawn"])
        for number in range(pairs):
            place = number // labelled if labelled else 0
            label = (
                "" if not labelled or number % labelled else ("contradiction", "not_contradiction")[place % 2]
            )
            seen = place % 2 == 0 and place % 10 != 0 if label else number % 3 == 0
            texts = f"Box {number} is open.", f"Box {number} is {'not ' * seen}open."
            rows.writerow([*texts, label, (0.2, 0.05)[place % 2]])
    return path


def told(capsys: pytest.CaptureFixture[str], *flags: object) -> str:
    assert main([*map(str, flags), "--quiet"]) == 0
    return re.sub(r" +", " ", capsys.readouterr().out)


def test_a_width_is_planned_for_all_pairs_without_a_key_and_nothing_is_written(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(pairs.parent.iterdir())
    out = told(capsys, pairs, "--local", "rules.py:rule", "--plan", "width=0.03", "--price", "2.5,10")
    assert "2,000 pairs, 100 of them labelled" in out
    assert "share of contradictions 0.50 from 100 labels" in out
    assert "accuracy of rules.py:rule 0.90 from 100 labels" in out
    assert "accuracy of gpt-4o 0.90 assumed; judge-accuracy= changes it" in out
    answer = re.search(
        r"±3 points of accuracy: ([\d,]+) labels \(([\d,]+) more\), 2,000 judge calls, about \$", out
    )
    assert answer
    assert int(answer[1].replace(",", "")) - int(answer[2].replace(",", "")) == 100
    assert "By the labels alone: " in out
    assert out.endswith("Nothing was sent.\n")
    assert [path for path in sorted(pairs.parent.iterdir()) if path.name != "__pycache__"] == before


def test_labels_that_were_drawn_more_often_count_less(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = "--local", "rules.py:rule", "--label-weights", "drawn"
    out = told(capsys, pairs, *flags, "--plan", "width=0.05")
    assert "share of contradictions 0.20 from 100 labels" in out  # (50 / 0.2) / (50 / 0.2 + 50 / 0.05)
    assert "accuracy of rules.py:rule 0.96 from 100 labels" in out


def test_what_is_told_is_reckoned_with_in_the_place_of_what_was_measured(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assumed = "contradictions=0.1,local-accuracy=0.7,judge-accuracy=0.95,agreement=0.7,labels-per-hour=60"
    out = told(capsys, pairs, "--local", "rules.py:rule", "--plan", f"difference=0.1,{assumed}")
    assert out.count("as given") == 5
    assert "A difference of 10 points of accuracy, told 4 times of 5: " in out


def test_without_a_judge_there_are_no_calls_and_dollars(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = "--local", "rules.py:rule", "--local", "rules.py:never"
    out = told(capsys, pairs, "--kimera-only", *both, "--plan", "width=0.05,difference=0.1")
    assert "agreement of the two 0." in out
    assert "judge calls" not in out
    assert "$" not in out


def test_a_plan_with_a_simulated_judge_is_of_all_pairs_too(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = "--local", "rules.py:rule", "--simulate", "--plan", "width=0.05"
    assert "2,000 pairs, 100 of them labelled" in told(capsys, pairs, *flags)
    assert "2,000 pairs, 0 of them labelled" in told(capsys, written(pairs), *flags)


def test_too_few_pairs_are_said_to_be_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = written(tmp_path / "few.csv", pairs=100)
    out = told(capsys, few, "--judge-only", "--plan", "width=0.02")
    assert re.search(
        r"not with these 100 pairs, all labelled give ±\d\.\d points; about 868 labelled pairs", out
    )
    assert "contradictions 0.33 assumed" in out


def test_a_risk_that_the_pairs_cannot_keep_is_told_before_anything_is_paid(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = pairs, "--local", "rules.py:rule", "--cascade", "0.02", "--plan"
    out = told(capsys, *flags, "width=0.05,contradictions=0.02")
    assert "These pairs cannot keep that promise: a risk of 0.02 takes a sample with at least 149" in out
    assert "misses 20% of the 50 labelled contradictions (11% to 33%), so that at least 18% of all" in out
    assert "cannot keep that promise" not in told(capsys, *flags, "width=0.05")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--plan", "width"], "is none of width=, difference="),
        (["--plan", "width=3"], "width: '3' is not a share"),
        (["--plan", "agreement=0.8"], "width= or difference= is needed"),
        (["--plan", "width=0.1,width=0.2"], "given twice"),
        (["--plan", "width=0.1", "--dry-run"], "not allowed with"),
        (["--plan", "width=0.1", "--json", "--kimera-only"], "--json"),
        (["--plan", "width=0.1", "--resume", "nowhere"], "--plan estimates a whole run"),
        (["--plan", "difference=0.1", "--judge-only"], "is of two detectors"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code: object
    try:
        code = main(flags)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert complaint in capsys.readouterr().err
