"""The report: complete and honest in every format, whole on disk, and harmless whatever the texts say."""

from __future__ import annotations

import copy
import csv
import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import (
    GUESSES,
    LABELLED,
    RUNS,
    SOME_FAILED,
    UNLABELLED,
    judge,
    reactor,
    rows_of,
    run_of,
    summary_of,
)

from benchmarks.report import (
    build_summary,
    draw_comparison,
    render_markdown,
    render_text,
    write_report,
    write_results_csv,
)
from benchmarks.report.page import render_page
from benchmarks.report.pair_table import PairTable
from benchmarks.report.panel_parts import QUALITY
from benchmarks.report.results_csv import RowResult
from benchmarks.runs.run_result import RunResult
from benchmarks.stats.cost_figures import COSTS
from benchmarks.stats.results import FAILED, SCORE_SOURCES, DetectorResult
from benchmarks.stats.schema import figures, load_schema
from kimera.files.csv_cells import FORMULA_START
from kimera.pairs import LABELS, Failure, Pair, Verdict

EVERY_METRIC = {
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "mcc",
    "roc_auc",
    "average_precision",
    "brier",
    "log_loss",
    "calibration_error",
    "accuracy_failed_as_wrong",
    "pairs_per_s",
    "mean_in_flight",
}
EVERY_LATENCY = {"mean", "p50", "p95", "p99"}


@pytest.fixture(params=RUNS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(kind: str) -> RunResult:
    return RUNS[kind]()


@pytest.fixture
def summary(kind: str) -> dict[str, Any]:
    return summary_of(kind)


# summary.json


def test_each_metric_is_a_number_or_absent_with_a_reason(summary: dict[str, Any]) -> None:
    for detector in summary["detectors"].values():
        absent = detector["absent"]
        for holder, names, prefix in (
            (detector, EVERY_METRIC, ""),
            (detector["latency_ms"], EVERY_LATENCY, "latency_ms."),
        ):
            for name in names:
                assert (name in holder) != (prefix + name in absent), name
                assert absent.get(prefix + name, "a reason")


def test_every_interval_stands_beside_its_figure(summary: dict[str, Any]) -> None:
    for detector in summary["detectors"].values():
        for name, (low, high) in detector["intervals"].items():
            assert low <= high
            assert name in detector
    for entry in summary["agreement"]:
        assert set(entry["intervals"]) <= {"kappa"} & set(entry)
        assert set(entry["differences"].get("intervals", {})) <= set(entry["differences"])


def test_who_is_better_is_said_with_its_test() -> None:
    many, wrong = np.tile(LABELLED, 10), np.arange(200) % 4 == 0
    poor = np.where(wrong, 1 - many, many).astype(np.int8)
    told = flat(render_text(build_summary(run_of(many, reactor(poor), judge(many))), colour=False))
    assert "gpt-4o-mini (simulated) is better than kimera by 25.0 points" in told
    assert "McNemar's exact test: p < 0.001" in told
    alike = GUESSES.copy()
    alike[3] = 1 - alike[3]
    few = flat(render_text(build_summary(run_of(LABELLED, reactor(GUESSES), judge(alike))), colour=False))
    assert "20 pairs show neither a difference between kimera and gpt-4o-mini (simulated)" in few


def test_the_summary_is_strict_json(summary: dict[str, Any]) -> None:
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_the_summary_tells_what_was_asked_for_and_used() -> None:
    detectors = summary_of("two detectors")["detectors"]
    assert (detectors["kimera"]["workers"], detectors["kimera"]["workers_used"]) == (4, 2)
    assert (detectors["gpt-4o-mini"]["concurrency"], detectors["gpt-4o-mini"]["concurrency_used"]) == (8, 8)


def test_failed_pairs_are_counted_by_kind() -> None:
    detector = summary_of("two detectors")["detectors"]["gpt-4o-mini"]
    assert (detector["answered"], detector["failed"], detector["errors"]) == (17, 3, {"timeout": 3})


def test_every_two_detectors_have_an_agreement() -> None:
    agreement = summary_of("four detectors")["agreement"]
    assert len({(entry["a"], entry["b"]) for entry in agreement}) == 6


def test_counts_of_the_dataset_are_those_of_the_pairs_that_ran() -> None:
    assert summary_of("one pair")["dataset"]["labelled"] == 1


def test_contradictions_are_counted_where_there_are_labels_and_nowhere_else() -> None:
    some = np.where(np.arange(20) < 5, LABELLED, -1).astype(np.int8)
    counts = [build_summary(run_of(labels, reactor(GUESSES)))["dataset"] for labels in (some, UNLABELLED)]
    assert (counts[0]["labelled"], counts[0]["contradictions"]) == (5, 2)
    assert (counts[1]["labelled"], "contradictions" in counts[1]) == (0, False)


def test_detectors_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="different names"):
        build_summary(run_of(LABELLED, reactor(GUESSES), judge(GUESSES, "kimera")))


def sources(*names: str) -> np.ndarray:
    return np.array([SCORE_SOURCES.index(name) for name in names], dtype=np.uint8)


def test_scores_are_counted_by_where_they_come_from() -> None:
    told = replace(judge(SOME_FAILED[:4]), score_sources=sources("stated", "verdict", "stated", ""))
    assert told_of(told, LABELLED[:4])["score_sources"] == {"stated": 2, "verdict": 1}


def told_of(detector: DetectorResult, labels: np.ndarray = LABELLED) -> dict[str, Any]:
    return build_summary(run_of(labels, detector))["detectors"][detector.name]


# Of a judge with two scores only; see `benchmarks.stats.metrics.MIN_SCORES`.
COARSE = dict.fromkeys(
    ("roc_auc", "average_precision", "brier", "log_loss", "calibration_error"),
    "there are fewer than 10 different scores",
)
UNPRICED = dict.fromkeys(("dollars", *(figure.name for figure in COSTS)), "no price is known")


def test_only_what_was_asked_of_a_judge_is_reported_as_missing() -> None:
    gaps = np.tile(np.array([1, FAILED], dtype=np.int8), (20, 1))
    once = told_of(judge(LABELLED))
    repeated = told_of(replace(judge(LABELLED, repeat=2), variants=gaps))
    swapped = told_of(replace(judge(LABELLED, swap=True), variants=gaps))
    gap = "no pair was answered every time"
    assert once["absent"] == {**COARSE, **UNPRICED}
    assert repeated["absent"] == {**COARSE, **UNPRICED, "stability.flip_rate": gap}
    assert swapped["absent"] == {**COARSE, **UNPRICED, "stability.order_disagreement": gap}


def test_a_server_without_logprobs_leaves_a_reason_for_the_missing_comparison() -> None:
    asked = replace(judge(LABELLED), settings={"logprobs": True}, stated=np.full(20, 0.7))
    absent = told_of(replace(asked, score_sources=sources(*["stated"] * 20)))["absent"]
    none = dict.fromkeys(
        ("calibration.brier", "calibration.brier_stated"), "no answer came with usable logprobs"
    )
    assert absent == {**COARSE, **UNPRICED, **none}


def test_confidences_are_compared_on_the_pairs_that_have_both() -> None:
    asked = replace(judge(LABELLED), settings={"logprobs": True}, stated=np.full(20, 0.5))
    some = replace(asked, score_sources=sources(*["logprobs"] * 15, *["verdict"] * 5))
    told = told_of(some)
    assert told["calibration"]["pairs"] == 15
    assert told["calibration"]["brier_stated"] == pytest.approx(0.25)
    assert "on the 15 labelled pairs that have both kinds" in flat(
        render_text(build_summary(run_of(LABELLED, some)), False)
    )


def flat(told: str) -> str:
    return re.sub(r"\s+", " ", told)


def test_a_judge_with_replies_from_a_cache_has_no_pairs_a_second() -> None:
    cached = told_of(replace(judge(LABELLED), from_cache=3))
    assert "pairs_per_s" not in cached
    assert cached["absent"] == {**COARSE, **UNPRICED, "pairs_per_s": "replies came from the cache"}


# The terminal


def test_the_text_fits_a_hundred_columns_of_printable_characters(summary: dict[str, Any]) -> None:
    for line in render_text(summary, colour=False).splitlines():
        assert len(line) <= 100
        assert line.isprintable()


def test_colour_changes_nothing_but_bold_headings(summary: dict[str, Any]) -> None:
    bold = render_text(summary, colour=True)
    assert "\x1b[1m" in bold
    assert re.sub(r"\x1b\[[01]m", "", bold) == render_text(summary, colour=False)


@pytest.mark.parametrize("render", [lambda summary: render_text(summary, False), render_markdown])
class TestBothRenderings:
    def test_a_simulated_judge_is_called_so_wherever_it_is_named(self, render: Callable) -> None:
        told = flat(render(summary_of("two detectors")))
        assert told.count("gpt-4o-mini") == told.count("gpt-4o-mini (simulated)") > 0
        assert "not from a language model" in told

    def test_a_real_judge_is_not_called_simulated(self, render: Callable) -> None:
        run = run_of(LABELLED, reactor(GUESSES), judge(SOME_FAILED, simulated=False))
        assert "simulat" not in render(build_summary(run)).lower()

    def test_few_labels_are_called_a_smoke_test(self, render: Callable) -> None:
        assert "smoke test" in render(summary_of("two detectors"))

    def test_two_hundred_labels_carry_no_warning(self, render: Callable) -> None:
        many = np.tile(LABELLED, 10)
        assert "Few labels" not in render(build_summary(run_of(many, reactor(many), judge(many))))

    def test_missing_metrics_come_with_their_reason(self, render: Callable) -> None:
        assert "no pair carries a label" in render(summary_of("no labels"))

    @pytest.mark.parametrize(
        ("how", "cell"),
        [
            ({"mode": "async", "asked": 8, "used": 8}, "async, 8 in flight"),
            ({"mode": "async", "asked": 16, "used": 8}, "async, 8 in flight (16 requested)"),
            ({"mode": "async", "asked": "auto", "used": 40}, "async, up to 40 in flight, set automatically"),
            ({"mode": "async", "asked": "auto", "used": 0}, "async, auto requested"),
            ({"mode": "sync", "asked": 1, "used": 1}, "sync, one at a time"),
            ({"mode": "sync", "asked": "auto", "used": 1}, "sync, one at a time (auto requested)"),
            ({"mode": "sync", "asked": 8, "used": 1}, "sync, one at a time (8 requested)"),
            ({"mode": "none", "asked": 0, "used": 0}, "not run"),
        ],
    )
    def test_the_mode_of_a_judge_is_how_it_ran(
        self, render: Callable, how: dict[str, Any], cell: str
    ) -> None:
        told = render(build_summary(run_of(LABELLED, replace(judge(LABELLED), **how))))
        row = next(line for line in told.splitlines() if line.lstrip("| ").startswith("mode"))
        assert row.strip("| ").removeprefix("mode").strip("| ") == cell

    def test_processes_asked_for_and_not_used_are_shown(self, render: Callable) -> None:
        assert "2 processes (4 requested: not enough work for more)" in render(summary_of("one detector"))

    @pytest.mark.parametrize(
        ("encoded", "from_cache", "cell"),
        [
            (1067, 0, "1,067 encoded"),
            (0, 1067, "1,067 from the cache"),
            (600, 467, "600 encoded, 467 from the cache"),
        ],
    )
    def test_embeddings_are_told_by_where_they_come_from(
        self, render: Callable, encoded: int, from_cache: int, cell: str
    ) -> None:
        told = flat(
            render(
                build_summary(
                    run_of(
                        LABELLED,
                        replace(reactor(LABELLED), settings={"encoded": encoded, "from_cache": from_cache}),
                    )
                )
            )
        )
        assert cell in told
        warned = f"{from_cache:,} of 1,067 texts came from the cache"
        assert (warned in told) == (from_cache > 0)

    def test_the_stages_and_what_the_cross_encoder_read_are_shown(self, render: Callable) -> None:
        settings = {
            "stages": "both",
            "precision": "int8",
            "symmetric": True,
            "read": 30,
            "read_from_cache": 10,
        }
        settings |= {"encoded": 5, "from_cache": 15}
        told = flat(render(build_summary(run_of(LABELLED, replace(reactor(LABELLED), settings=settings)))))
        assert "screen and verify, int8, both orders" in told
        assert "30 read, 10 from the cache" in told
        assert "15 of 20 texts and 10 of 40 pairs came from the cache" in told

    def test_failed_pairs_come_with_their_kinds_and_the_remedy(self, render: Callable) -> None:
        told = flat(render(summary_of("two detectors")))
        assert "3 of 20 pairs of gpt-4o-mini (simulated) failed (timeout 3)" in told
        assert "--resume asks about them again" in told

    def test_pairs_that_were_not_asked_are_not_counted_as_failed(self, render: Callable) -> None:
        stopped = replace(judge(SOME_FAILED), errors={"timeout": 1, "not_asked": 2})
        told = flat(render(build_summary(run_of(LABELLED, stopped))))
        assert "1 of 18 pairs of gpt-4o-mini (simulated) failed (timeout 1)" in told

    def test_a_simulated_judge_costs_nothing_whatever_price_it_is_given(self, render: Callable) -> None:
        priced = replace(judge(LABELLED), dollars=0.0014)
        assert "none, simulated" in flat(render(build_summary(run_of(LABELLED, judge(LABELLED)))))
        told = flat(render(build_summary(run_of(LABELLED, priced)))).replace("\\", "")
        assert "$0.0014 if the judge were real (simulated)" in told

    def test_amortised_latency_is_called_so(self, render: Callable) -> None:
        assert "0.9 ms a pair, amortised" in render(summary_of("one detector"))


@pytest.mark.slow
def test_many_detectors_keep_the_text_at_a_hundred_columns_and_lose_no_name() -> None:
    many = [judge(GUESSES, f"judge-{letter}") for letter in "abcdefghijklmnopqrstuvwxyz"]
    told = render_text(build_summary(run_of(LABELLED, *many)), colour=False)
    first_cells = [line.split()[0] for line in told.splitlines() if line.startswith("judge-")]
    assert all(detector.name in first_cells for detector in many)
    assert max(map(len, told.splitlines())) <= 100


def test_hostile_names_stay_text_in_markdown() -> None:
    told = render_markdown(summary_of("hostile names"))
    assert "<script" not in told
    assert not re.search(r"(?<!\\)`|(?<!\\)\[|https?:/|\x1b", told)
    assert len(re.findall(r"^#+ ", told, re.M)) == len(re.findall(r"^#+ (?:Kimera|[A-Z“])", told, re.M))
    comparison = [line for line in told.splitlines() if line.startswith("| accuracy |")]
    assert len(re.findall(r"(?<!\\)\|", comparison[0])) == 4


# results.csv


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.builds(
    "".join, st.tuples(st.sampled_from(FORMULA_START), st.text("a1=,\"'\r\n\t", max_size=8))
)
pairs = st.builds(Pair, texts, texts, texts, st.none() | st.sampled_from(LABELS), texts)
findings = st.one_of(
    st.none(),
    st.builds(
        Verdict,
        st.booleans(),
        st.floats(0.5, 1),
        texts,
        st.floats(0, 1e6),
        score_source=st.sampled_from(SCORE_SOURCES[1:]),
    ),
    st.builds(Failure, st.just("timeout"), texts),
)


def as_read(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_START) else text


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(pairs, st.tuples(findings, findings)), max_size=4))
def test_results_read_back_as_they_went_in(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    path = tmp_path_factory.mktemp("csv") / "results.csv"
    write_results_csv(path, rows, ["a", "b"])
    read = read_csv(path)
    assert len(read) == len(rows)
    for cells, (pair, said) in zip(read, rows, strict=True):
        assert [as_read(cells[name]) for name in ("id", "text1", "text2", "category", "label")] == [
            as_read(text) for text in (pair.id, pair.text1, pair.text2, pair.category, pair.label or "")
        ]
        for name, finding in zip("ab", said, strict=True):
            check_finding(
                {key[2:]: cell for key, cell in cells.items() if key.startswith(f"{name}_")}, finding
            )


def check_finding(cells: dict[str, str], finding: RowResult) -> None:
    if isinstance(finding, Verdict):
        assert cells["contradiction"] == str(finding.contradiction).lower()
        assert float(cells["confidence"]) == pytest.approx(finding.confidence, abs=1e-6)
        assert float(cells["score"]) == pytest.approx(finding.score, abs=1e-6)
        assert cells["score_source"] == finding.score_source
        assert float(cells["latency_ms"]) == pytest.approx(finding.latency_ms, abs=1e-3)
        assert as_read(cells["reasoning"]) == as_read(finding.reasoning)
    else:
        error = f"{finding.kind}: {finding.message}" if finding else ""
        assert cells["error"] == error
        assert not any(cell for column, cell in cells.items() if column != "error")


@pytest.mark.parametrize(
    ("said", "agreement"),
    [
        ((Verdict(True, 0.9), Verdict(True, 0.6)), "true"),
        ((Verdict(True, 0.9), Verdict(False, 0.6)), "false"),
        ((Verdict(True, 0.9), Failure("timeout", "too slow")), ""),
        ((Verdict(True, 0.9), None), ""),
    ],
)
def test_agreement_is_empty_unless_two_answered(
    tmp_path: Path, said: tuple[RowResult, RowResult], agreement: str
) -> None:
    write_results_csv(tmp_path / "results.csv", [(Pair("x", "y"), said)], ["a", "b"])
    assert read_csv(tmp_path / "results.csv")[0]["agreement"] == agreement


def test_what_the_reactors_first_stage_said_is_a_column_of_its_own(tmp_path: Path) -> None:
    both = Verdict(True, 0.9, screen_score=0.25)
    rows = [(Pair("x", "y"), [both, Verdict(True, 0.8)]), (Pair("x", "z"), [Failure("empty_text", ""), both])]
    write_results_csv(tmp_path / "results.csv", rows, ["kimera", "judge"], screened=True)
    assert [row["kimera_screen_score"] for row in read_csv(tmp_path / "results.csv")] == ["0.25", "0.25"]
    write_results_csv(tmp_path / "results.csv", [(Pair("x", "y"), [None])], ["kimera"], screened=True)
    assert read_csv(tmp_path / "results.csv")[0]["kimera_screen_score"] == ""
    write_results_csv(tmp_path / "results.csv", [(Pair("x", "y"), [both])], ["kimera"])
    assert "kimera_screen_score" not in read_csv(tmp_path / "results.csv")[0]


def test_the_other_two_classes_are_columns_of_whom_knows_them(tmp_path: Path) -> None:
    knows, half = Verdict(True, 0.7, entailment=0.1, neutral=0.2), Verdict(True, 0.7, entailment=0.3)
    rows = [(Pair("x", "y"), [knows, Verdict(True, 0.8)]), (Pair("x", "z"), [half, None])]
    rows.append((Pair("x", "w"), [Failure("empty_text", ""), None]))
    path = tmp_path / "results.csv"
    write_results_csv(path, rows, ["nli", "judge"], with_classes=[True, False])
    cells = [(row["nli_entailment"], row["nli_neutral"], row["nli_relation"]) for row in read_csv(path)]
    assert cells == [("0.1", "0.2", "contradiction"), ("0.3", "", ""), ("", "", "")]
    assert "judge_entailment" not in read_csv(path)[0]
    write_results_csv(path, rows, ["nli", "judge"])
    assert "nli_entailment" not in read_csv(path)[0]


@pytest.mark.parametrize("start", FORMULA_START)
def test_a_text_that_a_spreadsheet_would_run_is_neutralised(tmp_path: Path, start: str) -> None:
    text = f"{start}1+1"
    pair = Pair(text, text, id=text, category=text)
    write_results_csv(tmp_path / "results.csv", [(pair, [Verdict(True, 0.9, text)])], [text])
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not any(cell.startswith(FORMULA_START) for cell in cells)


def test_a_lone_surrogate_does_not_end_the_report(tmp_path: Path) -> None:
    write_results_csv(tmp_path / "results.csv", [(Pair("\ud800", "y"), [])], [])
    assert read_csv(tmp_path / "results.csv")[0]["text1"] == "\\ud800"


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="1 findings for 2 detectors"):
        write_results_csv(path, [(Pair("x", "y"), [None])], ["a", "b"])
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]
    assert path.read_text() == "old"


# comparison.png and the whole


@pytest.mark.slow
def test_a_figure_is_drawn_for_every_kind_of_run(
    run: RunResult, summary: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "comparison.png"
    draw_comparison(summary, run, path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    are_many = len(run.detectors) > 4  # and have a row each
    assert struct.unpack(">II", content[16:24]) == (1440, 1168 if are_many else 1240)
    assert len(content) > 20_000


@pytest.mark.slow
def test_the_report_is_five_files_and_the_summary(tmp_path: Path) -> None:
    run = RUNS["hostile names"]()
    summary = write_report(run, rows_of(run), tmp_path / "run")
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert names == {"results.csv", "summary.json", "summary.md", "report.html", "comparison.png"}
    assert json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8")) == summary
    assert len(read_csv(tmp_path / "run" / "results.csv")) == run.labels.size


def test_without_viz_there_is_no_figure_nor_an_old_one(tmp_path: Path) -> None:
    run = RUNS["two detectors"]()
    (tmp_path / "comparison.png").write_bytes(b"of an earlier run")
    write_report(run, rows_of(run), tmp_path, viz=False)
    assert not (tmp_path / "comparison.png").exists()


# Figures that are absent

EVERYTHING = replace(
    judge(SOME_FAILED, repeat=2, swap=True),
    stated=np.where(SOME_FAILED != FAILED, 0.7, np.nan),
    settings={"logprobs": True},
    score_sources=np.full(20, SCORE_SOURCES.index("logprobs"), np.uint8),
    variants=np.stack([SOME_FAILED] * 4, axis=1),
    dollars=0.2,
    dollars_of_pair=np.full(20, 0.01),
)
# Counts and facts that every detector has; the schema requires the rest of what is never absent.
ALWAYS = {
    "called",
    "workers",
    "workers_used",
    "concurrency",
    "concurrency_used",
    "attempts",
    "from_cache",
    "dollars",
}


def figures_that_may_be_absent(part: str) -> list[str]:
    """By dotted name: those that the schema does not require beside others of their group."""
    definitions = load_schema()["$defs"]

    def names(node: dict[str, Any], prefix: str) -> Iterator[str]:
        for name, field in node["properties"].items():
            held = definitions[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
            if name in node.get("required", ()) and prefix:
                continue
            if "properties" in held and name not in ("intervals", "settings", "tokens"):
                yield from names(held, f"{prefix}{name}.")
            elif f"{prefix}{name}" in known - set(node.get("required", ())) - ALWAYS:
                yield prefix + name

    known = figures(part)
    return sorted(names(definitions[part], ""))


def without(part: dict[str, Any], figure: str) -> None:
    """Takes a figure with its interval from a summary as `build_summary` does where it is undefined."""
    *groups, name = figure.split(".")
    holder = part
    for group in groups:
        holder = holder.get(group, {})
    holder.pop(name, None)
    holder.get("intervals", {}).pop(name, None)
    part["absent"][figure] = "the moon is full"


WHOLE_RUN = run_of(LABELLED, reactor(GUESSES), EVERYTHING)


@pytest.fixture(scope="module")
def whole_summary() -> dict[str, Any]:
    return build_summary(WHOLE_RUN, prevalence=0.1)


@pytest.fixture
def everything(whole_summary: dict[str, Any]) -> dict[str, Any]:
    """The summary of a run that has each figure; the test's own, to take some away."""
    return copy.deepcopy(whole_summary)


@pytest.mark.slow
@pytest.mark.parametrize("figure", figures_that_may_be_absent("detector"))
def test_whichever_figure_of_a_detector_is_absent_every_format_says_so(
    figure: str, everything: dict[str, Any], tmp_path: Path
) -> None:
    for part in everything["detectors"].values():
        without(part, figure)
    for text in (render_text(everything, colour=False), render_markdown(everything)):
        assert "the moon is full" in " ".join(text.split())
    assert "the moon is full" in render_page(everything, WHOLE_RUN, PairTable())
    if figure in QUALITY:  # the others are in no picture
        draw_comparison(everything, WHOLE_RUN, tmp_path / "comparison.png")


@pytest.mark.parametrize("figure", figures_that_may_be_absent("agreement"))
def test_whichever_figure_of_two_detectors_is_absent_every_format_says_so(
    figure: str, everything: dict[str, Any]
) -> None:
    (entry,) = everything["agreement"]
    without(entry, figure)
    for text in (render_text(everything, colour=False), render_markdown(everything)):
        assert "the moon is full" in " ".join(text.split())
    assert "the moon is full" in render_page(everything, WHOLE_RUN, PairTable())


def test_a_figure_without_a_label_is_called_by_its_name(everything: dict[str, Any]) -> None:
    everything["detectors"]["kimera"]["absent"]["brand_new.figure_of_merit"] = "the moon is full"
    told = render_text(everything, colour=False)
    assert "No brand new: figure of merit for kimera: the moon is full." in told
