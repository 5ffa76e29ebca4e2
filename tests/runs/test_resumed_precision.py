"""A run goes on in the number format that it began with, or not at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nli_models import pairs_of_words

from benchmarks.llm_compare import main
from benchmarks.runs.journal import result_of
from kimera.cache.embedding_cache import MODELS
from kimera.cache.sqlite_files import default_folder
from kimera.detectors import Chain, NLIModel
from kimera.pairs import Verdict

PAIRS = pairs_of_words(150)
UNSETTLED = "int8, if it passes the check"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With pairs.jsonl, and the current one."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": str(place), "text1": first, "text2": second, "label": str(place % 2)}
        for place, (first, second) in enumerate(PAIRS)
    ]
    Path("pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def ran(model: Path) -> int:
    return compared("--local", f"nli={model}", "--max-pairs", "0")


def compared(*flags: str) -> int:
    return main(["pairs.jsonl", "--local-only", "--no-cache", "--no-viz", "--quiet", "--out", "run", *flags])


def resumed() -> int:
    return main(["--resume", "run", "--no-viz", "--quiet"])


def journal() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("run", "journal.jsonl").read_text().splitlines()]


def scores() -> dict[int, float]:
    results = {line["index"]: result_of(line) for line in journal() if "index" in line}
    return {index: result.score for index, result in results.items() if isinstance(result, Verdict)}


def cut_short(keep: int) -> None:
    """Leaves of the run what a process that was killed after so many verdicts leaves."""
    lines = Path("run", "journal.jsonl").read_text().splitlines(keepends=True)
    verdicts = [place for place, line in enumerate(lines) if '"index"' in line]
    Path("run", "journal.jsonl").write_text("".join(lines[: verdicts[keep]]))
    for name in ("results.csv", "summary.json", "summary.md", "report.html"):
        Path("run", name).unlink()


def forget_what_was_found() -> None:
    for path in (default_folder() / MODELS).glob("*.parity.json"):
        path.unlink()


def test_a_run_whose_model_fails_the_check_goes_on(folder: Path, nli_model: Callable[..., Path]) -> None:
    assert ran(nli_model("bert", outlier=1000.0, seed=51)) == 0
    before = scores()
    assert len(before) == len(PAIRS)
    assert resumed() == 0
    cut_short(100)
    assert resumed() == 0
    assert scores() == before


@pytest.mark.parametrize("outlier", [1.0, 1000.0])
def test_a_run_cut_short_goes_on_in_its_precision_whatever_is_found_now(
    folder: Path, nli_model: Callable[..., Path], outlier: float
) -> None:
    assert ran(nli_model("bert", outlier=outlier, seed=53)) == 0
    before = scores()
    precisions = [line["about"]["settings"]["precision"] for line in journal() if "about" in line]
    assert precisions == [UNSETTLED, "int8" if outlier == 1 else "float32"]
    cut_short(130)
    forget_what_was_found()
    assert resumed() == 0  # with too few pairs for a check
    assert scores() == before
    detector = json.loads(Path("run", "summary.json").read_text())["detectors"]["nli"]
    assert detector["settings"]["precision"] == precisions[-1]
    assert detector["settings"]["int8_parity_pairs"] == len(PAIRS)


def test_a_run_that_had_no_verdict_yet_checks_anew(folder: Path, nli_model: Callable[..., Path]) -> None:
    assert ran(nli_model("bert", seed=55)) == 0
    before = scores()
    cut_short(0)
    forget_what_was_found()
    assert resumed() == 0
    assert scores() == before


def test_a_chain_passes_on_what_its_stages_had_settled(nli_model: Callable[..., Path]) -> None:
    def chain() -> Chain:
        return Chain({name: NLIModel(nli_model("bert", seed=57), cache=None) for name in ("a", "b")}, 0.9)

    first, again = chain(), chain()
    first.sources["a"].take_settings({"backend": "onnx", "precision": "float32"})
    again.take_settings(json.loads(json.dumps(first.settings)))
    assert [source.settings["precision"] for source in again.sources.values()] == ["float32", UNSETTLED]


@pytest.mark.slow
def test_a_run_of_the_reactor_never_turns_to_another_number_format(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared("--reactor", "verify", "--max-pairs", "8") == 0
    before = scores()
    cut_short(4)
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "onnxruntime", None)  # as where that package is damaged
        assert resumed() == 1
    assert "earlier verdicts of this run were made with one, in int8" in capsys.readouterr().err
    assert scores() == dict(list(before.items())[:4])  # kept, and none of another sort beside them
