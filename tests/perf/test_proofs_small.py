"""The proofs of benchmarks.perf.prove at small sizes: what they count must hold on any machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.reply_reading import ReplyError, parse_reply
from benchmarks.perf import (
    many_detectors,
    proofs_evidence,
    proofs_few_labels,
    proofs_judge,
    proofs_label_plan,
    proofs_speed,
)
from benchmarks.perf.judge_throughput import Interpreters, measure_here, measure_in_turn
from benchmarks.perf.proof import Bench, Proof
from benchmarks.perf.prove import PROOFS, main
from benchmarks.perf.reply_fuzzer import fuzz, mutated
from benchmarks.perf.reply_grammar import plain_reply, silent_reply, stating_reply
from benchmarks.perf.stub_server import StubServer

pytestmark = pytest.mark.slow  # whole runs, fits or installations

SEEDS = st.integers(0, 2**64).map(Random)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, small=True)


def missed(proof: Proof, bench: Bench) -> list[str]:
    """What a proof counted and did not hold; a proof that counts nothing would hold for ever."""
    counted = [finding for finding in proof(bench) if not finding.timed]
    assert counted
    return [f"{finding.what}: {finding.measured}" for finding in counted if not finding.held]


def verdict_in(reply: str) -> bool | None:
    try:
        return parse_reply(reply).contradiction
    except ReplyError:
        return None


def test_memory_does_not_grow_with_the_pairs(bench: Bench) -> None:
    assert missed(proofs_speed.memory, bench) == []


def test_a_rate_told_in_headers_costs_no_pair(bench: Bench) -> None:
    assert missed(proofs_judge.announced_rate, bench) == []


def test_a_hidden_cap_costs_no_pair(bench: Bench) -> None:
    assert missed(proofs_judge.hidden_cap, bench) == []


def test_faults_leave_every_pair_with_one_outcome(bench: Bench) -> None:
    assert missed(proofs_judge.faults, bench) == []


def test_a_killed_run_goes_on_where_it_was(bench: Bench) -> None:
    assert missed(proofs_judge.killed, bench) == []


def test_the_report_bills_what_was_served(bench: Bench) -> None:
    assert missed(proofs_judge.cost, bench) == []


def test_of_some_kinds_of_endpoint_every_pair_is_answered(bench: Bench) -> None:
    assert missed(proofs_judge.kinds, bench) == []


def test_no_generated_refusal_loses_a_pair_that_a_plain_ladder_saves(bench: Bench) -> None:
    assert missed(proofs_judge.refusals, bench) == []


def test_estimates_from_few_labels_hold_the_truth(bench: Bench) -> None:
    assert missed(proofs_few_labels.few_labels, bench) == []


def test_planned_numbers_of_labels_give_what_was_wanted(bench: Bench) -> None:
    assert missed(proofs_label_plan.label_plan, bench) == []


@pytest.mark.parametrize("proof", proofs_evidence.PROOFS.values(), ids=proofs_evidence.PROOFS)
def test_the_statistics_keep_their_word(proof: Proof, bench: Bench) -> None:
    assert missed(proof, bench) == []


def test_six_detectors_are_run_and_reported(bench: Bench) -> None:
    assert missed(many_detectors.many_detectors, bench) == []


def test_the_measured_pipeline_asks_about_each_pair_once() -> None:
    with StubServer(0.0) as judge:
        assert asyncio.run(measure_here(judge.base_url, 4, 40))["requests"] == 40


def test_a_peer_that_is_not_installed_is_left_out() -> None:
    measured = measure_in_turn(("aiohttp", "litellm"), Interpreters(), 4, 20)
    assert {client: run.requests for client, run in measured.items()} == {"aiohttp": 20}


def test_a_proof_that_does_not_exist_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["no-such-proof"])
    told = capsys.readouterr().err
    assert all(name in told for name in PROOFS)


def test_the_command_fails_where_a_figure_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["replies", "--small"])
    assert status == ("MISSED" in capsys.readouterr().out)


@settings(deadline=None)
@given(SEEDS)
def test_nothing_is_read_from_a_reply_that_states_no_verdict(rng: Random) -> None:
    reply = silent_reply(rng)
    assert verdict_in(reply) is None, reply


@settings(deadline=None)
@given(SEEDS)
def test_a_stated_verdict_is_never_read_as_its_opposite(rng: Random) -> None:
    reply, verdict = stating_reply(rng)
    assert verdict_in(reply) in (verdict, None), reply


@settings(deadline=None)
@given(SEEDS)
def test_a_verdict_in_a_plain_form_is_read(rng: Random) -> None:
    reply, verdict = plain_reply(rng)
    assert verdict_in(reply) is verdict, reply


@settings(deadline=None)
@given(st.text() | st.builds(lambda rng: mutated(rng, stating_reply(rng)[0]), SEEDS))
def test_no_text_is_more_than_a_reply_can_be(reply: str) -> None:
    verdict_in(reply)


def test_the_fuzzer_says_how_many_replies_it_made() -> None:
    assert fuzz(400, seed=0).replies == 400
