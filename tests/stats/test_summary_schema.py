"""summary.json keeps to its published schema, which knows every field and describes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from made_runs import RUNS

from benchmarks.llm_compare import main
from benchmarks.report import build_summary
from benchmarks.stats.schema import figures, load_schema
from kimera.models import Backend, Precision
from kimera.reactor_stages import Stages

SIMULATED = ("--simulate", "--judge-only", "--max-pairs", "20", "--async")
REAL_RUNS = {
    "kimera only": ("--kimera-only", "--max-pairs", "20"),
    "simulated judge": (*SIMULATED, "20", "--price", "1,2"),
    "two judges, all that can be asked of them": (
        *(*SIMULATED, "auto", "--model", "a", "--model", "b"),
        *("--swap", "--repeat", "2", "--logprobs"),
    ),
    "cascade": ("--simulate", "--cascade", "0.2", "--max-pairs", "120", "--async", "60", "--price", "1,2"),
    "both": ("--simulate", "--max-pairs", "12", "--async", "12"),
}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(load_schema())
    return Draft202012Validator(load_schema())


def faults(validator: Draft202012Validator, summary: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(summary)]


def written_by(arguments: tuple[str, ...], folder: Path, code: int = 0) -> Any:
    assert main([*arguments, "--no-viz", "--quiet", "--json", "--out", str(folder)]) == code
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def test_the_schema_knows_every_choice_of_the_reactor() -> None:
    settings = load_schema()["$defs"]["settings"]["properties"]
    for name, choices in {"stages": Stages, "backend": Backend, "precision": Precision}.items():
        assert settings[name]["enum"] == list(get_args(choices))


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL_RUNS)
def test_what_a_run_writes_keeps_to_the_schema(
    name: str, validator: Draft202012Validator, tmp_path: Path
) -> None:
    assert faults(validator, written_by(REAL_RUNS[name], tmp_path / "run")) == []


def test_so_does_a_run_without_labels(validator: Draft202012Validator, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("text1,text2\nA shop is open.,A shop is closed.\nIt rains.,It rains.\n")
    summary = written_by((str(pairs), "--kimera-only"), tmp_path / "run")
    assert summary["dataset"]["labelled"] == 0
    assert faults(validator, summary) == []


def test_so_does_a_run_in_which_nothing_was_answered(validator: Draft202012Validator, tmp_path: Path) -> None:
    nobody = ("--base-url", "http://127.0.0.1:1/v1", "--max-retries", "0", "--judge-only")
    summary = written_by((*nobody, "--max-pairs", "4"), tmp_path / "run", code=1)
    assert summary["detectors"]["gpt-4o"]["answered"] == 0
    assert faults(validator, summary) == []


@pytest.mark.parametrize("name", RUNS)
def test_so_does_every_kind_of_summary(name: str, validator: Draft202012Validator) -> None:
    assert faults(validator, json.loads(json.dumps(build_summary(RUNS[name]())))) == []


def test_a_field_that_the_schema_does_not_know_is_a_fault(validator: Draft202012Validator) -> None:
    summary = build_summary(RUNS["two detectors"]())
    summary["detectors"]["kimera"]["forgotten"] = 1
    summary["agreement"][0]["differences"]["forgotten"] = 1
    assert len(faults(validator, summary)) == 2


def objects(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the schema that names its fields, with where it stands."""
    if isinstance(node, dict):
        if "properties" in node and "type" in node:
            yield path, node
        for name, held in node.items():
            yield from objects(held, f"{path}/{name}")


def test_every_field_is_described_and_no_other_is_allowed() -> None:
    found = dict(objects(load_schema()))
    assert len(found) > 10
    for path, node in found.items():
        assert node["additionalProperties"] is False, path
        assert [name for name, field in node["properties"].items() if not field.get("description")] == [], (
            path
        )


def test_figures_are_the_numbers_of_a_summary_by_their_names() -> None:
    known = figures("detector")
    expected = {"f1", "f1.low", "latency_ms.p95", "dollars", "failed", "settings.encoded", "tokens.prompt"}
    assert expected <= known
    assert not {"kind", "simulated", "intervals", "latency_ms", "errors", "latency_ms.amortised"} & known
    assert {"kappa", "kappa.high", "differences.accuracy.low", "differences.mcnemar.p"} <= figures(
        "agreement"
    )
