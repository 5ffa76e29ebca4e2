"""Gates: read exactly, or refused before anything is asked; an absent figure meets none."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import GUESSES, LABELLED, RUNS, UNLABELLED, judge, reactor, run_of
from servers import ScriptedJudge, verdict

from benchmarks.detector_info import DetectorInfo, default_infos, judge_info, local_info
from benchmarks.llm_compare import main
from benchmarks.report import build_summary
from benchmarks.stats.gates import (
    OPERATORS,
    Gate,
    GateResult,
    Prospect,
    check,
    exit_code_with,
    known_figures,
    parse_gates,
    parts_of,
)
from benchmarks.stats.schema import figures
from kimera.console.exit_codes import GATE_NOT_MET
from kimera.errors import UserError


def judges(*names: str) -> list[DetectorInfo]:
    return [judge_info(name) for name in names]


KNOWN = known_figures(judges("kimera", "gpt-4.1", "gpt-4"))
SUMMARY = build_summary(RUNS["two detectors"]())

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name == name.strip()
)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(names, st.sampled_from(sorted(figures("detector"))), st.sampled_from(list(OPERATORS)), numbers)
def test_a_gate_reads_back_as_it_is_written(name: str, metric: str, operator: str, number: float) -> None:
    gate = Gate(name, metric, operator, number)
    assert parse_gates([str(gate)], known_figures(judges(name))) == (gate,)


@given(
    st.text()
    | st.builds(
        "".join,
        st.lists(st.sampled_from(["kimera", "/", "gpt-4", ".1", ".", "f1", " ", "<", "=", "0.8", "e", "9"])),
    )
)
def test_whatever_is_no_gate_is_a_clear_error(text: str) -> None:
    with contextlib.suppress(UserError):
        parse_gates([text], KNOWN)


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("kimera.f1 < 0.8", Gate("kimera", "f1", "<", 0.8)),
        ("  kimera.f1<.8 ", Gate("kimera", "f1", "<", 0.8)),
        ("gpt-4.1.latency_ms.p95 >= 2e3", Gate("gpt-4.1", "latency_ms.p95", ">=", 2000)),
        ("gpt-4.failed == 0", Gate("gpt-4", "failed", "==", 0)),
        ("kimera/gpt-4.1.kappa <= 0.6", Gate("kimera/gpt-4.1", "kappa", "<=", 0.6)),
        (
            "gpt-4.1/gpt-4.differences.accuracy.high > -1",
            Gate("gpt-4.1/gpt-4", "differences.accuracy.high", ">", -1),
        ),
    ],
)
def test_the_longest_name_that_fits_counts(text: str, gate: Gate) -> None:
    assert parse_gates([text], KNOWN) == (gate,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kimra.f1 < 0.8", "NAME one of kimera/gpt-4.1, kimera/gpt-4, gpt-4.1/gpt-4, kimera, gpt-4.1,"),
        ("gpt-4/kimera.kappa < 1", "with NAME one of"),
        ("kimera.f1 < 80%", "with NAME 'kimera' and OP one of <= >= == < >"),
        ("kimera.f1 = 0.8", "OP one of"),
        ("kimera.f1 < 1e999", "OP one of"),
        ("kimera.f1 < nan", "OP one of"),
        ("kimera.f_1 < 0.8", "kimera has no figure 'f_1'; did you mean f1? It has accuracy, "),
        ("gpt-4.1.presicion < 0.8", "gpt-4.1 has no figure 'presicion'; did you mean precision?"),
        ("kimera.threeway < 0.8", "stability.*, three_way.*, thresholds.*, "),
        ("kimera.three_way < 0.8", "t has three_way.accuracy, three_way.confusion.*, three_way.macro_f1, "),
        ("kimera.calibrated.roc_auc < 0.8", "it has calibrated.accuracy, calibrated.brier, "),
        ("kimera/gpt-4.differences.zzz < 0.8", "t has differences.accuracy, "),
        ("kimera.kind == 1", "kimera has no figure 'kind'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_there_is(text: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        parse_gates([text], KNOWN)
    assert str(error.value).startswith(f"--fail-if {text!r}: ")
    assert told in str(error.value)


def met(summary: dict, *texts: str) -> list[bool]:
    known = known_figures(judges(*summary["detectors"]))
    return [each.is_met for each in check(parse_gates(texts, known), parts_of(summary))]


def test_a_gate_is_met_unless_its_condition_holds() -> None:
    f1 = SUMMARY["detectors"]["kimera"]["f1"]
    low, high = SUMMARY["detectors"]["kimera"]["intervals"]["f1"]
    assert low < f1 < high
    conditions = (f"f1 < {f1}", f"f1 <= {f1}", f"f1 == {f1}", f"f1.low < {f1}", f"f1.high < {f1}")
    assert met(SUMMARY, *(f"kimera.{each}" for each in conditions)) == [True, False, False, False, True]
    assert met(SUMMARY, "gpt-4o-mini.failed > 2", "gpt-4o-mini.latency_ms.p95 > 1e9") == [False, True]
    kappa = SUMMARY["agreement"][0]["kappa"]
    assert met(SUMMARY, f"kimera/gpt-4o-mini.kappa < {kappa}", "kimera/gpt-4o-mini.kappa < 1") == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("kimera.f1", "no pair carries a label"),
        ("kimera.f1.low", "no pair carries a label"),
        ("kimera.latency_ms.p95", "pairs are timed by the batch"),
        ("kimera.dollars", "this run has none"),
        ("gpt-4o-mini.dollars", "no price is known"),
        ("kimera/gpt-4o-mini.both_right", "no pair carries a label"),
        ("kimera/gpt-4o-mini.differences.accuracy", "no labelled pair was answered by both"),
        ("kimera/gpt-4o-mini.differences.accuracy.low", "no labelled pair was answered by both"),
    ],
)
def test_a_figure_that_is_absent_meets_no_gate_and_says_why(metric: str, reason: str) -> None:
    summary = build_summary(run_of(UNLABELLED, reactor(GUESSES), judge(LABELLED)))
    gates = parse_gates([f"{metric} < 0"], known_figures(judges(*summary["detectors"])))
    (checked,) = check(gates, parts_of(summary))
    assert not checked.is_met
    assert f"no such figure: {reason}" in str(checked)


PLANNED = default_infos([local_info("mine", "overlap detector")], ["m"], repeat=2, cascade={"risk": 0.1})


@pytest.mark.parametrize(
    ("name", "has", "lacks"),
    [
        (
            "mine",
            ("f1", "roc_auc.low", "latency_ms.mean", "workers", "thresholds.default", "at_prevalence.f1"),
            ("latency_ms.p95", "pair_ms.mean", "dollars", "tokens.prompt", "cost.per_correct", "concurrency")
            + ("stability.flip_rate", "calibration.pairs", "at_prevalence.dollars_per_contradiction"),
        ),
        (
            "m",
            ("roc_auc", "latency_ms.p95", "pair_ms.mean", "dollars", "stability.repeat", "concurrency_used"),
            ("workers", "thresholds.f1", "thresholds.default"),
        ),
        (
            "cascade",
            ("f1.high", "latency_ms.mean", "dollars", "cost.per_correct", "concurrency", "pairs_per_s"),
            ("stability.flip_rate", "latency_ms.p95", "pair_ms.p95", "mean_in_flight", "calibration.brier")
            + ("thresholds.f1.low", "workers", "roc_auc", "log_loss.high"),
        ),
    ],
)
def test_a_figure_that_a_detector_never_has_is_refused_beforehand(
    name: str, has: tuple[str, ...], lacks: tuple[str, ...]
) -> None:
    prospect = Prospect({info.name: info for info in PLANNED}, True, {})
    known = known_figures(PLANNED)
    prospect.require(parse_gates([f"{name}.{metric} < 1" for metric in has], known))
    for metric in lacks:
        with pytest.raises(UserError, match=f"cannot have such a figure: {name} has none"):
            prospect.require(parse_gates([f"{name}.{metric} < 1"], known))


def test_a_run_that_failed_keeps_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    gates = parse_gates(["kimera.f1 < 2", "kimera.failed > 0"], known_figures(judges(*SUMMARY["detectors"])))
    codes = [exit_code_with(gates, parts_of(SUMMARY), code) for code in (0, 1, 130)]
    assert codes == [GATE_NOT_MET, 1, 130]
    assert exit_code_with(gates[1:], parts_of(SUMMARY)) == 0
    told = capsys.readouterr().err
    assert told.count("error: 1 of 2 gates failed\n") == 3
    assert '  failed: --fail-if "kimera.f1 < 2", it is 0.444444' in told
    assert '  passed: --fail-if "kimera.failed > 0", it is 0\n' in told


@pytest.mark.parametrize(
    ("value", "told"), [(4 / 9, "0.444444"), (0.79999999, "0.79999999"), (1234567.0, "1234567"), (0.8, "0.8")]
)
def test_a_figure_is_told_shortly_and_never_as_if_it_were_on_its_gate(value: float, told: str) -> None:
    (gate,) = parse_gates(["kimera.f1 < 0.8"], known_figures(judges(*SUMMARY["detectors"])))
    assert str(GateResult(gate, value)).endswith(f"it is {told}")


# On the command line


def run(*arguments: str) -> int:
    return main([*arguments, "--quiet", "--no-viz", "--json"])


@pytest.mark.slow
def test_gates_end_a_run_with_their_code_once_everything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run")]
    gates = ["--fail-if", "kimera.accuracy < 0.1", "--fail-if", "kimera.pairs_per_s > 0"]
    assert run("--kimera-only", "--max-pairs", "8", *out, *gates) == 3
    captured = capsys.readouterr()
    assert "1 of 2 gates failed" in captured.err
    assert json.loads(captured.out) == json.loads((tmp_path / "run" / "summary.json").read_text())
    again = ["--resume", str(tmp_path / "run")]
    assert run(*again) == 3, "a run goes on with its gates"
    assert run(*again, "--fail-if", "kimera.accuracy < 0.1") == 0, "or with others"


@pytest.mark.parametrize(
    "gate", ["gpt-4o.f2 < 0.8", "gpt4o.f1 < 0.8", "gpt-4o.f1 below 0.8", "gpt-4o/kimera.kappa < 1"]
)
def test_a_gate_that_is_mistyped_costs_no_call(
    gate: str,
    serve: Callable[..., ScriptedJudge],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = serve(verdict())
    asked = ["--base-url", server.base_url, "--out", str(tmp_path / "run")]
    assert run(*asked, "--fail-if", gate) == 2
    assert server.asked == []
    assert f"error: --fail-if {gate!r}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_cascade_has_gates_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--simulate", "--cascade", "0.2", "--max-pairs", "60", "--async", "60"]
    gates = ["cascade.failed > 0", "kimera/cascade.kappa < -1", "cascade_run.asked > 0"]
    asked = [*flags, *(part for gate in gates for part in ("--fail-if", gate))]
    assert run(*asked, "--out", str(tmp_path / "run")) == 3
    assert "error: 1 of 3 gates failed" in capsys.readouterr().err
    with_own_judge = [*flags, "--fail-if", "simulated-judge/cascade.kappa < -1"]
    assert run(*with_own_judge, "--out", str(tmp_path / "none")) == 2, (
        "a cascade is not held against its judge"
    )
