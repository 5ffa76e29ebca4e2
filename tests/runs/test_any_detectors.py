"""A run takes any local detectors and judges: it is written, read back, compared, gated and distilled."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from simulators import QUICK, SimulatorThread

from benchmarks.cascade.cascade import CascadePlan
from benchmarks.datasets import load_dataset
from benchmarks.detector_info import DetectorInfo, cascade_info, judge_info, local_info
from benchmarks.diff import main as diff
from benchmarks.distil import main as distil
from benchmarks.judge.prompts import DEFAULT_PROMPT, load_prompt
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.report import build_summary, write_report
from benchmarks.report.__main__ import main as report
from benchmarks.report.decision import answers
from benchmarks.runs.comparison import Comparison, compare
from benchmarks.runs.detector import Detector, detectors_header
from benchmarks.runs.finished_run import infos_in, open_run
from benchmarks.runs.journal import Journal
from benchmarks.runs.judge_detector import JudgeDetector, JudgeOptions
from benchmarks.runs.local_detector import LocalDetector
from benchmarks.runs.outcomes import rows_of
from benchmarks.runs.run_folder import JOURNAL
from benchmarks.simulator.simulation import answers_for
from benchmarks.stats.gates import check, known_figures, parse_gates, parts_of
from benchmarks.stats.schema import load_schema
from kimera.detectors import NLIModel
from kimera.detectors.verdict_source import VerdictSource
from kimera.pairs import Failure, Pair, Verdict

PROMPT = load_prompt(DEFAULT_PROMPT)
PAIRS = [
    Pair(
        f"The lamp number {number} is on.",
        f"The lamp number {number} is {'not ' if number % 3 == 0 else ''}{'on' if number % 2 else 'lit'}.",
        id=str(number),
        label="contradiction" if number % 3 == 0 else "entailment",
    )
    for number in range(150)
]
NAMES = ["negation", "overlap", "judge-a", "judge-b"]


class Negation(VerdictSource):
    """A contradiction is what says "not". It defines no more than it must."""

    def stream(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        for pair in pairs:
            yield Verdict("not" in pair.text2.split(), 0.95, score_source="verdict", latency_ms=0.5)


@dataclass
class Overlap(VerdictSource):
    """A contradiction is what shares few words; some of the pairs are none of its business."""

    minimum: float = 0.8
    kind = "overlap detector"
    trained_on: list[str] | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"minimum_overlap": self.minimum}

    @property
    def counts(self) -> Mapping[str, float]:
        return {"read": 142, "workers_used": 1}

    def stream(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        for pair in pairs:
            first, second = set(pair.text1.split()), set(pair.text2.split())
            score = float(np.clip(1.5 - len(first & second) / len(first) - self.minimum / 2, 0, 1))
            verdict = Verdict(score >= 0.5, max(score, 1 - score), score_source="calibrated", latency_ms=0.1)
            yield Failure("too_odd", "not for me") if int(pair.id) % 20 == 7 else verdict


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    with SimulatorThread(QUICK, answers_for(PAIRS, PROMPT.question)) as server:
        yield server


def judge(simulator: SimulatorThread, name: str, cascade: DetectorInfo | None = None) -> JudgeDetector:
    client = AsyncOpenAIClient("none", name, 8, simulator.base_url, prompt=PROMPT)
    return JudgeDetector(client, name, 8, simulated=True, options=JudgeOptions(cascade=cascade))


def made(
    folder: Path, detectors: Sequence[Detector], cascade: DetectorInfo | None = None
) -> tuple[Comparison, dict[str, Any]]:
    """A run in Python, as anybody may write one, and its summary."""
    folder.mkdir()
    path = folder / "pairs.jsonl"
    rows = [{"id": each.id, "text1": each.text1, "text2": each.text2, "label": each.label} for each in PAIRS]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    dataset = load_dataset(str(path), max_pairs=0)
    header = {
        "created": "2026-11-28T09:00:00+00:00",
        "dataset": {"name": str(path), "sha256": dataset.sha256, "pairs": len(dataset)},
        "options": {"dataset": str(path), "max_pairs": 0},
        **detectors_header(detectors, cascade),
    }
    with Journal(folder / JOURNAL, header=header) as journal:
        created = str(header["created"])
        done = compare(dataset, detectors, journal, created=created, combination=cascade, quiet=True)
    rows_again = rows_of(dataset, done.recorders, done.run, folder / JOURNAL)
    return done, write_report(done.run, rows_again, folder, viz=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorThread) -> Path:
    """Of two local detectors and two judges, none of which is called kimera."""
    folder = tmp_path_factory.mktemp("any") / "run"
    local = [LocalDetector(Negation(), None, "negation"), LocalDetector(Overlap(), None, "overlap")]
    made(folder, [*local, judge(simulator, "judge-a"), judge(simulator, "judge-b")])
    return folder


@pytest.fixture
def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text()))


def test_the_summary_tells_what_each_is_and_keeps_to_the_schema(summary: dict[str, Any]) -> None:
    told = {name: (part["kind"], part["role"], part["paid"]) for name, part in summary["detectors"].items()}
    assert told == {
        "negation": ("local detector", "local", False),
        "overlap": ("overlap detector", "local", False),
        "judge-a": ("judge", "judge", True),
        "judge-b": ("judge", "judge", True),
    }
    overlap = summary["detectors"]["overlap"]
    assert (overlap["failed"], overlap["errors"]) == (8, {"too_odd": 8})
    assert overlap["settings"]["minimum_overlap"] == 0.8
    assert overlap["settings"]["read"] == 142
    assert list(Draft202012Validator(load_schema()).iter_errors(summary)) == []


def test_each_two_are_compared_and_each_local_one_makes_a_cascade_with_each_judge(
    summary: dict[str, Any],
) -> None:
    assert len(summary["agreement"]) == 6
    assert [(each["reactor"], each["judge"]) for each in summary["cascade"]] == [
        ("negation", "judge-a"),
        ("negation", "judge-b"),
        ("overlap", "judge-a"),
        ("overlap", "judge-b"),
    ]


def test_a_model_of_the_users_own_shows_its_check_of_int8_and_all_three_classes(
    nli_model: Callable[..., Path], tmp_path: Path
) -> None:
    model = NLIModel(nli_model("bert", window=128), cache=None)
    local = [LocalDetector(model, None, "nli"), LocalDetector(Negation(), None, "n")]
    _, summary = made(tmp_path / "run", local)
    told = summary["detectors"]["nli"]
    assert (told["kind"], told["answered"], told["trained_on"]) == ("NLI model", len(PAIRS), None)
    assert told["settings"]["int8_parity_pairs"] == len(PAIRS)
    assert told["settings"]["precision"] in ("int8", "float32")
    assert list(Draft202012Validator(load_schema()).iter_errors(summary)) == []
    with (tmp_path / "run" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sums = [sum(float(row[f"nli_{name}"]) for name in ("score", "entailment", "neutral")) for row in rows]
    assert sums == pytest.approx([1.0] * len(rows), abs=1e-5)
    assert "n_entailment" not in rows[0]
    assert report([str(tmp_path / "run")]) == 0


@pytest.mark.parametrize("file", ["summary.md", "report.html", "results.csv"])
def test_every_file_of_the_report_names_all(folder: Path, file: str) -> None:
    told = (folder / file).read_text()
    assert [name for name in NAMES if name.replace("-", r"\-") not in told and name not in told] == []


def test_the_run_is_read_back_whole(folder: Path, summary: dict[str, Any]) -> None:
    again = open_run(folder)
    assert [each.name for each in again.run.detectors] == NAMES
    assert json.loads(json.dumps(build_summary(again.run))) == summary
    assert all(len(findings) == 4 for _, findings in again.rows())


def test_its_report_is_made_again_with_a_gate_on_any_of_them(folder: Path) -> None:
    before = (folder / "report.html").read_bytes()
    assert report([str(folder), "--no-viz"]) == 0
    assert (folder / "report.html").read_bytes() == before
    assert report([str(folder), "--no-viz", "--fail-if", "overlap/judge-b.kappa < 2"]) == 3


def test_gates_know_the_figures_of_all(folder: Path, summary: dict[str, Any]) -> None:
    known = known_figures([each.info for each in open_run(folder).run.detectors])
    gates = parse_gates(["negation.f1 < 1", "overlap.failed > 7", "judge-b.accuracy < 1"], known)
    assert [each.is_met for each in check(gates, parts_of(summary))] == [True, False, True]


def test_two_such_runs_are_compared_detector_by_detector(
    folder: Path, tmp_path: Path, simulator: SimulatorThread, capsys: pytest.CaptureFixture[str]
) -> None:
    local = [LocalDetector(Negation(), None, "negation"), LocalDetector(Overlap(0.1), None, "overlap")]
    made(tmp_path / "b", [*local, judge(simulator, "judge-b")])
    capsys.readouterr()
    assert diff([str(folder), str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["detectors"]
    assert list(found) == ["negation", "overlap", "judge-b"]
    assert [part["changed"]["all"] > 0 for part in found.values()] == [False, True, False]
    assert found["overlap"]["settings"]["minimum_overlap"] == {"a": 0.8, "b": 0.1}


def test_the_verdicts_of_either_judge_become_labelled_pairs(folder: Path, tmp_path: Path) -> None:
    assert distil([str(folder), "--judge", "judge-b", "--out", str(tmp_path / "b.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert {row["judge"] for row in rows} == {"judge-b (simulated)"}
    assert len(rows) == len(PAIRS)


def test_a_cascade_is_of_the_two_that_it_names(tmp_path: Path, simulator: SimulatorThread) -> None:
    negation, overlap = LocalDetector(Negation(), None, "negation"), LocalDetector(Overlap(), None, "overlap")
    plan = CascadePlan(0.4, seed=1)
    whole = cascade_info("both", negation.info, judge(simulator, "judge-b").info, plan.settings)
    detectors = [overlap, negation, judge(simulator, "judge-a"), judge(simulator, "judge-b", whole)]
    done, summary = made(tmp_path / "run", detectors, whole)
    assert done.run.cascade
    assert done.run.cascade.sides == ("negation", "judge-b")
    parts = summary["detectors"]
    assert (parts["both"]["role"], parts["both"]["settings"]["reactor"]) == ("combination", "negation")
    assert parts["judge-a"]["attempts"] == len(PAIRS)
    assert parts["judge-b"]["attempts"] == summary["cascade_run"]["asked"] < len(PAIRS)
    against = {each["a"] for each in summary["agreement"] if each["b"] == "both"}
    assert against == {"overlap", "negation", "judge-a"}, "it is not held against its own judge"
    again = open_run(tmp_path / "run")
    assert json.loads(json.dumps(build_summary(again.run))) == json.loads(json.dumps(summary))
    assert diff([str(tmp_path / "run"), str(tmp_path / "run")]) == 0


def test_local_detectors_go_first_in_whatever_order_they_are_given(
    tmp_path: Path, simulator: SimulatorThread
) -> None:
    local = LocalDetector(Negation(), None, "negation")
    plan = CascadePlan(0.4, seed=1)
    whole = cascade_info("both", local.info, judge(simulator, "judge-b").info, plan.settings)
    dear, other = judge(simulator, "judge-b", whole), judge(simulator, "judge-a")
    done, summary = made(tmp_path / "run", [dear, local, other], whole)
    names = ["negation", "judge-b", "judge-a"]
    assert [each.name for each in done.recorders] == names
    assert list(summary["detectors"]) == [*names, "both"]
    assert summary["detectors"]["judge-b"]["attempts"] < len(PAIRS), "it knew what the local one said"
    (quality, *_) = answers(summary)
    assert quality.conclusions[0].claim.startswith("Not known, by a smoke test of 37 labels: negation ")
    again = open_run(tmp_path / "run")
    assert json.loads(json.dumps(build_summary(again.run))) == json.loads(json.dumps(summary))


class Own(Negation):
    """With names of its own choice for what it is set to and what it counts."""

    settings: Mapping[str, Any] = {"stages": 3, "symmetric": True}
    counts: Mapping[str, float] = {"used": 5, "offset": 7, "texts": 2}


class Clashing(Negation):
    settings: Mapping[str, Any] = {"read": "aloud"}


def test_a_source_may_call_its_settings_and_counts_as_it_likes(tmp_path: Path) -> None:
    _, summary = made(tmp_path / "run", [LocalDetector(Own(), None, "own")])
    told = summary["detectors"]["own"]
    assert (told["settings"]["stages"], told["settings"]["texts"], told["workers_used"]) == (3, 2, 1)


def test_a_setting_with_the_name_of_a_count_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="own: a setting must not be called 'read'"):
        made(tmp_path / "run", [LocalDetector(Clashing(), None, "own")])


@pytest.mark.parametrize(
    "info",
    [
        local_info("a", "overlap", {"deep": {"x": [1]}}, ["SNLI"]),
        judge_info("b", is_simulated=True, repeat=3, swap=True, price={"input": 1.0}),
        cascade_info("c", local_info("a", "reactor"), judge_info("b"), CascadePlan(0.1).settings),
    ],
    ids=lambda info: info.kind,
)
def test_what_a_detector_is_goes_through_json_and_back(info: DetectorInfo) -> None:
    assert DetectorInfo.from_json(json.loads(json.dumps(info.as_json()))) == info


def test_a_local_detector_is_no_reactor_unless_it_says_so() -> None:
    with pytest.raises(TypeError, match="kind"):
        local_info("overlap")  # type: ignore[call-arg]


def test_a_header_of_version_0_5_0_tells_the_same() -> None:
    options = {"judge_only": False, "simulate": True, "repeat": 2, "swap": True, "seed": 4}
    options |= {"cascade": 0.1, "max_sent": 0.5}
    first, second, third = infos_in({"judge": {"models": ["m"]}, "options": options})
    assert first == local_info("kimera", "reactor")
    assert second == judge_info("m", is_simulated=True, repeat=2, swap=True)
    assert third.sides == ("kimera", "m")
    assert third.settings == {"risk": 0.1, "max_sent": 0.5, "seed": 4}


def test_two_detectors_of_one_name_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    twins = [LocalDetector(Negation(), None, "same"), LocalDetector(Overlap(), None, "same")]
    with pytest.raises(ValueError, match="detectors must have different names, got same, same"):
        made(tmp_path / "run", twins)
