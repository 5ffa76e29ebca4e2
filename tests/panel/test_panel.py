"""--panel: what several judges say together, as a detector of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from servers import Asked, Canned, ScriptedJudge, completion, error, verdict
from simulators import QUICK, SimulatorThread

from benchmarks.datasets import load_dataset
from benchmarks.diff import main as diff
from benchmarks.judge.prompts import load_prompt
from benchmarks.llm_compare import main
from benchmarks.panel import RULES, Rule, decide
from benchmarks.panel.in_run import PanelRun, kind_without_verdict
from benchmarks.report.decision import answers
from benchmarks.runs import open_run
from benchmarks.simulator.simulation import answers_for
from benchmarks.stats import FAILED
from benchmarks.stats.schema import load_schema
from kimera.pairs import Failure, Verdict

Serve = Callable[[Any], ScriptedJudge]
FLAGS = ["--judge-only", "--no-viz", "--quiet", "--max-pairs", "8"]
THREE = ["--model", "a", "--model", "b", "--model", "c"]

# What members say of one pair


def arrays(results: list[Verdict | Failure]) -> tuple[np.ndarray, np.ndarray]:
    """Verdicts and scores, (members, 1)."""
    said = [[result.contradiction if isinstance(result, Verdict) else FAILED] for result in results]
    scores = [[result.score if isinstance(result, Verdict) else np.nan] for result in results]
    return np.array(said, np.int8), np.array(scores)


def panel_of(rule: Rule, results: list[Verdict | Failure]) -> Verdict | Failure:
    verdicts, scores = decide(rule, *arrays(results))
    return PanelRun(rule, (), verdicts, scores).finding(0, *results)


def said(score: float | str) -> Verdict | Failure:
    """A member's verdict of this score, or its failure of this kind."""
    if isinstance(score, str):
        return Failure(score, f"why {score}", 1.0)
    return Verdict(score > 0.5, max(score, 1 - score), f"{score}", 10.0, 1.0)


@pytest.mark.parametrize(
    ("rule", "members", "score"),
    [
        ("majority", [0.9, 0.6, 0.1], 2 / 3),
        ("majority", [0.9, 0.2, 0.1], 1 / 3),
        ("majority", [0.9, 0.8, "timeout"], 1.0),
        ("mean", [0.9, 0.3, 0.9], 0.7),
        ("mean", [0.6, 0.1, 0.1, 0.2], 0.25),
        ("mean", [0.9, 0.9, "timeout"], 0.9),
        ("unanimous", [0.9, 0.6, 0.7], 0.6),
        ("unanimous", [0.9, 0.6, 0.2], 0.2),
        ("unanimous", [0.9, "timeout", 0.2], 0.2),
    ],
)
def test_the_verdict_of_a_panel_has_the_score_of_its_rule(
    rule: Rule, members: list[float | str], score: float
) -> None:
    found = panel_of(rule, [said(member) for member in members])
    assert isinstance(found, Verdict)
    assert found.score == pytest.approx(score)
    assert found.contradiction == (score > 0.5)
    assert found.score_source == "panel"
    assert found.latency_ms == 10.0 * sum(isinstance(member, float) for member in members)
    assert found.wait_ms == len(members)
    agreeing = next(m for m in members if isinstance(m, float) and (m > 0.5) == found.contradiction)
    assert found.reasoning == f"{agreeing}"


@pytest.mark.parametrize(
    ("rule", "members", "kind"),
    [
        ("majority", [0.9, 0.1], "divided"),
        ("majority", [0.9, 0.1, "timeout"], "timeout"),
        ("majority", [0.9, "timeout"], "timeout"),
        ("mean", [0.9, 0.1], "divided"),
        ("mean", [0.7, 0.7, "abstained"], "abstained"),
        ("unanimous", [0.9, 0.9, "timeout"], "timeout"),
        ("unanimous", ["quota", "timeout", "timeout"], "timeout"),
        ("majority", ["timeout", "timeout", "not_asked"], "not_asked"),
    ],
)
def test_a_tie_or_a_member_that_might_have_decided_leaves_no_verdict(
    rule: Rule, members: list[float | str], kind: str
) -> None:
    found = panel_of(rule, [said(member) for member in members])
    assert isinstance(found, Failure)
    assert found.kind == kind
    if kind != "divided":
        assert found.message.endswith(f"why {kind}")


SCORES = st.floats(0, 1).filter(lambda score: abs(score - 0.5) > 0.01)
MEMBERS = st.lists(st.one_of(SCORES, st.just("timeout")), min_size=2, max_size=5)


def contradiction_of(found: Verdict | Failure) -> bool | None:
    return found.contradiction if isinstance(found, Verdict) else None


def said_of_one(rule: Rule, scores: list[float]) -> bool | None:
    """The rule in plain words, for members that all answered; None for a tie."""
    yes, n = sum(score > 0.5 for score in scores), len(scores)
    if rule == "unanimous":
        return yes == n
    share = yes / n if rule == "majority" else sum(scores) / n
    return None if abs(share - 0.5) < 1e-9 else share > 0.5


@given(st.sampled_from(RULES), st.lists(SCORES, min_size=2, max_size=5))
def test_a_panel_whose_members_all_answered_says_what_its_rule_says(rule: Rule, scores: list[float]) -> None:
    found = panel_of(rule, [said(score) for score in scores])
    assert contradiction_of(found) == said_of_one(rule, scores)


@given(st.sampled_from(RULES), MEMBERS, st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_no_missing_member_could_have_changed_a_verdict(
    rule: Rule, members: list[float | str], instead: list[float]
) -> None:
    found = panel_of(rule, [said(member) for member in members])
    for extreme in ([0.0] * 5, [1.0] * 5, [score if abs(score - 0.5) > 0.01 else 0.0 for score in instead]):
        told = zip(members, extreme, strict=False)
        whole = [other if isinstance(member, str) else member for member, other in told]
        if isinstance(found, Verdict):
            assert said_of_one(rule, whole) == found.contradiction


@given(st.sampled_from(RULES), MEMBERS)
def test_without_a_verdict_the_missing_members_could_have_decided_or_it_is_a_tie(
    rule: Rule, members: list[float | str]
) -> None:
    found = panel_of(rule, [said(member) for member in members])
    outcomes = {
        said_of_one(rule, [told if isinstance(member, str) else member for member in members])
        for told in (0.0, 1.0)
    }
    if isinstance(found, Failure):
        assert None in outcomes or len(outcomes) == 2


@given(st.sampled_from(RULES), st.lists(st.one_of(SCORES, st.just("timeout")), min_size=2, max_size=4))
def test_the_order_of_the_members_and_the_other_pairs_change_nothing(
    rule: Rule, members: list[float | str]
) -> None:
    orders = [[said(member) for member in order] for order in permutations(members)]
    verdicts, scores = (np.concatenate(parts, axis=1) for parts in zip(*map(arrays, orders), strict=True))
    together = decide(rule, verdicts, scores)
    assert len(set(together[0].tolist())) == 1
    assert together[1] == pytest.approx(decide(rule, *arrays(orders[0]))[1].repeat(len(orders)), nan_ok=True)


def test_a_pair_that_nobody_was_asked_about_is_unasked_whatever_else_failed() -> None:
    assert kind_without_verdict(["timeout", "timeout", "not_asked"]) == "not_asked"
    assert kind_without_verdict([]) == "divided"


# A run


def summary_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def by_model(answers: Mapping[str, Canned | list[Canned]]) -> Callable[[Asked], Canned]:
    """Each model's reply to each of its requests, the last one again and again."""
    numbers = dict.fromkeys(answers, 0)

    def answer(asked: Asked) -> Canned:
        model = asked.payload["model"]
        replies = answers[model]
        if isinstance(replies, Canned):
            return replies
        numbers[model] += 1
        return replies[min(numbers[model], len(replies)) - 1]

    return answer


def billed(reply: Canned, tokens: int) -> Canned:
    """The same reply of so many tokens."""
    said = json.loads(reply.body)
    said["usage"]["completion_tokens"] = tokens
    return replace(reply, body=json.dumps(said).encode())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A panel of three over the simulator, each of which errs on pairs of its own."""
    folder = tmp_path_factory.mktemp("panel") / "run"
    answers = answers_for(load_dataset("kimera-everyday"), load_prompt("same-event").question)
    with SimulatorThread(replace(QUICK, error_rate=0.3), answers) as server:
        flags = [*FLAGS, "--max-pairs", "40", *THREE, "--panel", "majority", "--price", "1,2", "--async", "8"]
        assert main([*flags, "--base-url", server.base_url, "--out", str(folder)]) == 0
    return folder


def test_a_panel_costs_what_its_members_cost_and_asks_nothing_itself(run: Path) -> None:
    detectors = summary_of(run)["detectors"]
    *members, panel = detectors.values()
    assert list(detectors) == ["a", "b", "c", "panel"]
    assert panel["dollars"] == pytest.approx(sum(member["dollars"] for member in members))
    assert panel["attempts"] == 120
    for kind in ("prompt", "completion"):
        assert panel["tokens"][kind] == sum(member["tokens"][kind] for member in members)
    assert panel["score_sources"] == {"panel": 40}
    assert (panel["role"], panel["kind"], panel["simulated"]) == ("combination", "panel", True)
    assert panel["settings"] == {"panel": "majority", "members": "a, b, c"}
    assert b'"detector":"panel"' not in (run / "journal.jsonl").read_bytes()


def test_the_majority_of_the_members_is_in_the_results_and_in_the_figures(run: Path) -> None:
    whole = open_run(run)
    called = 0
    for _, (*members, panel) in whole.rows():
        assert isinstance(panel, Verdict)
        yes = sum(isinstance(member, Verdict) and member.contradiction for member in members)
        assert panel.contradiction == (yes >= 2)
        called += panel.contradiction
    assert summary_of(run)["detectors"]["panel"]["called"] == called
    assert "panel (simulated)_contradiction" in (run / "results.csv").read_text().splitlines()[0]


def test_what_a_panel_bought_is_told_beside_its_best_and_its_cheapest_member(
    serve: Serve, tmp_path: Path
) -> None:
    dear, cheap = billed(verdict(True), 90), billed(verdict(False), 5)
    server = serve(by_model({"a": dear, "b": [dear, dear, cheap], "c": cheap}))
    flags = [*FLAGS, *THREE, "--panel", "majority", "--price", "1,2", "--base-url", server.base_url]
    assert main([*flags, "--out", str(tmp_path / "run")]) == 0
    summary = summary_of(tmp_path / "run")
    told, detectors = summary["panel_run"], summary["detectors"]
    best = max(("a", "b", "c"), key=lambda name: detectors[name]["accuracy"])
    assert detectors[told["best"]["name"]]["accuracy"] == detectors[best]["accuracy"]
    assert told["cheapest"]["name"] == "c"
    for place in ("best", "cheapest"):
        member = detectors[told[place]["name"]]
        gained = detectors["panel"]["accuracy"] - member["accuracy"]
        assert told[place]["accuracy_gained"] == pytest.approx(gained)
        low, high = told[place]["intervals"]["accuracy_gained"]
        assert low <= gained <= high
        assert told[place]["dollars_more"] == pytest.approx(detectors["panel"]["dollars"] - member["dollars"])
    assert [member["name"] for member in told["members"]] == ["a", "b", "c"]
    rates = {entry["a"]: entry["rate"] for entry in summary["agreement"] if entry["b"] == "panel"}
    assert {member["name"]: member["agreement"] for member in told["members"]} == rates
    assert list(Draft202012Validator(load_schema()).iter_errors(summary)) == []


def test_each_judge_is_priced_as_the_flags_say_of_it(serve: Serve, tmp_path: Path) -> None:
    server = serve(by_model({"a": verdict(), "b": verdict(), "c": verdict()}))
    flags = [*FLAGS, *THREE, "--panel", "majority", "--price", "1,2", "--price", "b:10,20"]
    assert main([*flags, "--base-url", server.base_url, "--out", str(tmp_path / "run")]) == 0
    dollars = {name: each["dollars"] for name, each in summary_of(tmp_path / "run")["detectors"].items()}
    assert dollars["a"] == dollars["c"] > 0
    assert dollars["b"] == pytest.approx(10 * dollars["a"])
    assert dollars["panel"] == pytest.approx(12 * dollars["a"])


def test_where_all_members_cost_the_same_none_is_the_cheapest(run: Path) -> None:
    told = summary_of(run)["panel_run"]
    assert told["absent"] == {"cheapest": "all members cost the same"}
    assert list(Draft202012Validator(load_schema()).iter_errors(summary_of(run))) == []


@pytest.mark.parametrize("name", ["summary.md", "report.html"])
def test_people_read_it_too(name: str, run: Path) -> None:
    text = (run / name).read_text(encoding="utf-8")
    assert "more than half of 3 judges decide" in text
    assert "Panel beside its best member" in text
    assert "picked on these very pairs" in text
    assert "panel, majority" in text


def test_a_gate_may_ask_for_what_a_panel_bought(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = ["panel.accuracy < 0", "panel_run.best.accuracy_gained < -1", "a/panel.rate < 0"]
    gates += ["panel_run.cheapest.dollars_more > 1", "panel_run.best.accuracy_gained.low > 1"]
    server = serve(by_model({"a": verdict(), "b": billed(verdict(), 90), "c": verdict()}))
    flags = [*FLAGS, *THREE, "--panel", "mean", "--price", "1,2", "--base-url", server.base_url]
    flags += [word for gate in gates for word in ("--fail-if", gate)]
    assert main([*flags, "--out", str(tmp_path / "run")]) == 0
    assert main([*flags, "--fail-if", "panel_run.best.gained < 0", "--out", str(tmp_path / "no")]) == 2
    assert "panel_run has no figure 'best.gained'; " in capsys.readouterr().err


def test_two_panels_are_compared_like_any_detector(
    run: Path, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*FLAGS, "--max-pairs", "40", *THREE, "--panel", "unanimous"]
    assert main([*flags, "--base-url", serve(verdict()).base_url, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert diff([str(run), str(tmp_path / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["detectors"]["panel"]
    assert found["settings"]["panel"] == {"a": "majority", "b": "unanimous"}
    assert found["b"]["answered"] == 40
    assert diff([str(run), str(tmp_path / "run"), "--csv", str(tmp_path / "changes.csv")]) == 0
    assert "panel" in (tmp_path / "changes.csv").read_text()


def test_members_that_fail_leave_pairs_without_a_verdict_where_they_might_have_decided(
    serve: Serve, tmp_path: Path
) -> None:
    filtered = completion("", "content_filter")
    yes, no = verdict(True), verdict(False)
    server = serve(by_model({"a": yes, "b": [yes, no, no, filtered, filtered], "c": [yes, yes, filtered]}))
    flags = [*FLAGS, "--max-pairs", "5", *THREE, "--panel", "majority", "--max-failed", "1"]
    assert main([*flags, "--base-url", server.base_url, "--out", str(tmp_path / "run")]) == 0
    panel = summary_of(tmp_path / "run")["detectors"]["panel"]
    assert (panel["answered"], panel["called"], panel["failed"]) == (2, 2, 3)
    assert panel["errors"] == {"content_filter": 3}
    text = (tmp_path / "run" / "summary.md").read_text(encoding="utf-8")
    assert "Panel without a verdict on 3 pairs: on 3 a member without a verdict might have decided" in text


def test_a_run_that_ends_early_goes_on_and_asks_only_what_is_missing(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_credit = error(402, "no credit is left", "insufficient_quota")
    server = serve(by_model({"a": verdict(), "b": [verdict(), no_credit, verdict()], "c": verdict()}))
    flags = [*FLAGS, "--max-pairs", "3", *THREE, "--panel", "unanimous", "--base-url", server.base_url]
    assert main([*flags, "--out", str(tmp_path / "run")]) == 1
    assert "stopped early: quota" in capsys.readouterr().err
    cut = summary_of(tmp_path / "run")["detectors"]["panel"]
    assert cut["answered"] == 1
    assert cut["errors"] == {"not_asked": 1, "quota": 1}
    assert main(["--resume", str(tmp_path / "run"), "--quiet", "--no-viz"]) == 0
    panel = summary_of(tmp_path / "run")["detectors"]["panel"]
    assert (panel["answered"], panel["failed"], panel["attempts"]) == (3, 0, 10)
    assert len(server.asked) == 10
    assert open_run(tmp_path / "run").run.detector("panel").answered.all()


def test_of_costs_that_are_not_known_there_is_no_sum(serve: Serve, tmp_path: Path) -> None:
    silent = Canned(body=verdict().body.replace(b'"prompt_tokens"', b'"words"'))
    server = serve(by_model({"a": verdict(), "b": silent, "c": verdict()}))
    flags = [*FLAGS, *THREE, "--panel", "mean", "--price", "1,2", "--base-url", server.base_url]
    assert main([*flags, "--out", str(tmp_path / "run")]) == 0
    summary = summary_of(tmp_path / "run")
    told, panel = summary["panel_run"], summary["detectors"]["panel"]
    assert (told["dollars"], panel["dollars"]) == (None, None)
    assert panel["absent"]["dollars"] == "b: none of the 8 replies states its tokens"
    assert told["absent"]["cheapest"] == "not every member's cost is known"
    assert "at a price that is not known" in (tmp_path / "run" / "summary.md").read_text(encoding="utf-8")


def test_verdicts_that_are_read_from_files_make_a_panel_as_well(run: Path, tmp_path: Path) -> None:
    files = [f"--local={name}=judge:{run / 'results.csv'}#{name} (simulated)" for name in "abc"]
    flags = ["--kimera-only", "--no-viz", "--quiet", "--max-pairs", "40", *files, "--panel", "majority"]
    assert main([*flags, "--out", str(tmp_path / "again")]) == 0
    again, before = summary_of(tmp_path / "again")["detectors"], summary_of(run)["detectors"]
    assert again["panel"]["accuracy"] == before["panel"]["accuracy"]


def test_votes_of_each_member_come_first(serve: Serve, tmp_path: Path) -> None:
    server = serve(verdict())
    flags = [*FLAGS, "--max-pairs", "2", *THREE, "--panel", "majority", "--votes", "3"]
    assert main([*flags, "--base-url", server.base_url, "--out", str(tmp_path / "run")]) == 0
    panel = summary_of(tmp_path / "run")["detectors"]["panel"]
    assert (panel["answered"], panel["attempts"]) == (2, 2 * 3 * 3)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--model", "a"], "takes two judges or more, and this run has 1"),
        (["--model", "a", "--kimera-only"], "takes two judges or more, and this run has none"),
        ([*THREE, "--cascade", "0.1"], "--cascade takes one judge, and --panel two or more"),
        (["--model", "a", "--model", "panel"], "Kimera uses that name itself"),
    ],
)
def test_a_panel_that_cannot_be_is_refused_before_anything_is_asked(
    flags: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--simulate", "--panel", "mean", *flags]) == 2
    assert told in capsys.readouterr().err


def test_an_even_number_of_members_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--simulate", "--judge-only", "--model", "a", "--model", "b", "--dry-run", "--panel"]
    assert main([*flags, "majority"]) == 0
    assert "gives no verdict where as many say yes as no" in capsys.readouterr().err
    assert main([*flags, "mean"]) == 0
    assert "no verdict" not in capsys.readouterr().err


def test_the_decision_tells_a_panel_once(run: Path) -> None:
    decided = answers(summary_of(run))
    claims = [conclusion.claim for question in decided for conclusion in question.conclusions]
    assert sum("Panel beside its best member" in claim for claim in claims) == 1
    assert not any("and panel" in claim for claim in claims)
