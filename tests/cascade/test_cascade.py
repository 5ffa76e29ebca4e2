"""The cascade: what goes to the judge and what does not, in a run and in a service."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulators import QUICK, SimulatorThread

from benchmarks.cascade.bounds import Thresholds
from benchmarks.cascade.cascade import Cascade, CascadePlan, Decision, settled_verdict
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.prompts import DEFAULT_PROMPT, load_prompt
from benchmarks.llm_compare import main
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.report import build_summary
from benchmarks.runs.finished_run import open_run
from benchmarks.simulator.simulation import answers_for
from kimera.detectors.verdict_source import VerdictSource
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict

PROMPT = load_prompt(DEFAULT_PROMPT)
PAIRS = [
    Pair(
        f"The lamp number {number} is on.",
        f"The lamp number {number} is {'off' if number % 2 else 'bright'}.",
        label="contradiction" if number % 2 else "entailment",
    )
    for number in range(600)
]


class KnownScores(VerdictSource):
    """Its score of a pair is what the test says of the number in its first text. read: how many it gave."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores
        self.read = 0

    def stream(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        for pair in pairs:
            score = float(self.scores[int(pair.text1.split()[3])])
            self.read += 1
            yield Verdict(score >= 0.5, max(score, 1 - score))


def sure_scores() -> np.ndarray:
    """Right and sure about most pairs, in doubt about a tenth of them."""
    random = np.random.default_rng(0)
    scores = np.where(np.arange(len(PAIRS)) % 2 == 1, 0.97, 0.03) + random.uniform(-0.02, 0.02, len(PAIRS))
    doubtful = random.random(len(PAIRS)) < 0.1
    return np.where(doubtful, random.uniform(0.3, 0.5, len(PAIRS)), scores)


@pytest.fixture(scope="module")
def judge() -> Iterator[SimulatorThread]:
    """Simulated, and right about every pair."""
    with SimulatorThread(QUICK, answers_for(PAIRS, PROMPT.question)) as server:
        yield server


def client(judge: SimulatorThread) -> AsyncOpenAIClient:
    return AsyncOpenAIClient(base_url=judge.base_url, max_concurrent=16)


def test_a_service_asks_the_judge_only_where_the_reactor_is_in_doubt(judge: SimulatorThread) -> None:
    reactor = KnownScores(sure_scores())

    async def serve() -> tuple[Cascade, list[Verdict | Failure]]:
        async with Cascade([reactor, client(judge)], risk=0.02) as cascade:
            await cascade.calibrate_async(PAIRS[:450])
            return cascade, await cascade.detect_async(PAIRS[450:])

    cascade, results = asyncio.run(serve())
    assert [result.contradiction for result in results] == [pair.is_contradiction for pair in PAIRS[450:]]
    assert cascade.thresholds
    expected = ~cascade.thresholds.settled(reactor.scores[450:])
    assert (cascade.sent, cascade.settled) == (expected.sum(), 150 - expected.sum())
    assert 0 < cascade.sent < 50
    assert cascade.bounds
    assert cascade.bounds.missed == 0.02


def test_code_without_an_event_loop_does_the_same(judge: SimulatorThread) -> None:
    reactor = KnownScores(sure_scores())
    with Cascade([reactor, client(judge)], risk=0.02) as cascade:
        cascade.calibrate(PAIRS[:450])
        first = cascade.detect(PAIRS[450:])
        again = cascade.detect([(pair.text1, pair.text2) for pair in PAIRS[450:]])
    assert [each.contradiction for each in first] == [each.contradiction for each in again]
    assert cascade.sent + cascade.settled == 300


def test_of_several_local_detectors_each_gets_what_those_before_it_are_not_sure_of(
    judge: SimulatorThread,
) -> None:
    truth = np.arange(len(PAIRS)) % 2
    quick = KnownScores(np.where(np.arange(len(PAIRS)) % 3 == 0, 0.6, np.where(truth == 1, 0.99, 0.01)))
    slow = KnownScores(sure_scores())
    with Cascade([quick, slow, client(judge)], risk=0.02) as cascade:
        cascade.calibrate(PAIRS)
        assert (quick.read, slow.read) == (600, 200)
        results = cascade.detect(PAIRS)
    assert (quick.read, slow.read) == (1200, 400)
    calls = np.array([isinstance(result, Verdict) and result.contradiction for result in results])
    assert 0 < (truth - calls).sum() <= 0.02 * truth.sum()
    assert (calls <= truth).all()
    assert 0 < cascade.sent < 100
    with pytest.raises(UserError, match="local detectors, at least one, and a judge after them"):
        Cascade([client(judge), quick])


def test_thresholds_of_an_earlier_calibration_are_enough(judge: SimulatorThread) -> None:
    reactor = KnownScores(sure_scores())
    with Cascade([reactor, client(judge)], thresholds=Thresholds(0.2, 0.8)) as cascade:
        assert len(cascade.detect(PAIRS[:20])) == 20
    with (
        Cascade([reactor, client(judge)]) as cascade,
        pytest.raises(UserError, match="calibrate the cascade first"),
    ):
        cascade.detect(PAIRS[:20])


def test_too_few_contradictions_to_calibrate_on_are_said_so(judge: SimulatorThread) -> None:
    reactor = KnownScores(sure_scores())
    with Cascade([reactor, client(judge)], risk=0.02) as cascade:
        with pytest.raises(UserError, match=r"50 contradictions, and a risk of 0\.02 needs 149"):
            cascade.calibrate(PAIRS[:100])
        assert cascade.thresholds is None


class Unopenable(AsyncOpenAIClient):
    loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> AsyncOpenAIClient:
        self.loop = asyncio.get_running_loop()
        raise OSError("no more files")


class Opened(KnownScores):
    is_open = False

    def __enter__(self) -> Opened:
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False


def test_a_cascade_whose_judge_cannot_be_opened_leaves_nothing_open(judge: SimulatorThread) -> None:
    local, dear = Opened(sure_scores()), Unopenable(base_url=judge.base_url)
    cascade = Cascade([local, dear])
    with pytest.raises(OSError, match="no more files"), cascade:
        pass
    assert dear.loop
    assert dear.loop.is_closed()
    assert not local.is_open
    with pytest.raises(RuntimeError, match="open the cascade first"):
        cascade.detect(PAIRS)

    async def serve() -> None:
        async with cascade:
            pass

    with pytest.raises(OSError, match="no more files"):
        asyncio.run(serve())
    assert not local.is_open


def test_a_cascade_closes_what_it_opened_and_can_be_opened_again(judge: SimulatorThread) -> None:
    local = Opened(sure_scores())
    cascade = Cascade([local, client(judge)], thresholds=Thresholds(0.1, 0.9))
    for _ in range(2):
        with cascade:
            assert local.is_open
            assert len(cascade.detect(PAIRS[:20])) == 20
        assert not local.is_open


def test_a_cascade_that_was_not_opened_says_so(judge: SimulatorThread) -> None:
    reactor = KnownScores(sure_scores())
    with pytest.raises(RuntimeError, match="open the cascade first"):
        Cascade([reactor, client(judge)]).detect(PAIRS[:1])


def test_a_verdict_follows_the_thresholds_where_they_are_not_the_reactors_own() -> None:
    doubtful = Verdict(False, 0.6, "verify: P(contradiction) 0.40")
    assert settled_verdict(doubtful, Thresholds(0.1, 0.3)) == Verdict(True, 0.5, doubtful.reasoning)
    assert settled_verdict(doubtful, Thresholds(0.45, 0.9)) is doubtful
    assert settled_verdict(failure := Failure("empty_text", ""), Thresholds()) is failure


def test_more_is_sampled_where_the_reactor_saw_more_contradictions_than_there_are() -> None:
    plan = CascadePlan(0.02)
    scores = np.full(5000, 0.5)
    verdicts = np.full(5000, -1, np.int8)
    truth = np.random.default_rng(0).random(5000) < 0.1
    sizes = []
    for chosen, _ in plan.rounds(scores, verdicts):
        sizes.append(int((chosen & (verdicts < 0)).sum()))
        verdicts[chosen] = truth[chosen]
    assert len(sizes) >= 3
    assert plan.decide(scores, verdicts).sample.contradictions.size >= 149


def test_a_share_outside_of_0_and_1_is_refused() -> None:
    for risk, maximum in ((0.0, None), (1.0, None), (0.02, 1.5)):
        with pytest.raises(UserError, match=r"is not a share (between 0 and 1|above 0 and at most 1)"):
            CascadePlan(risk, maximum)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as a cascade over 240 pairs, the judge simulated with 5 % errors."""
    base = tmp_path_factory.mktemp("cascade")
    rows = [{"text1": pair.text1, "text2": pair.text2, "label": pair.label} for pair in PAIRS[:240]]
    (base / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--max-pairs", "0", "--simulate", "--async", "64", "--price", "1,2", "--cascade", "0.1"]
    assert main([str(base / "pairs.jsonl"), *flags, "--no-viz", "--json", "--out", str(base / "out")]) == 0
    return base / "out"


@pytest.mark.slow
def test_a_run_asks_the_judge_about_the_sample_and_what_is_in_doubt(run_folder: Path) -> None:
    summary = json.loads((run_folder / "summary.json").read_text())
    run, judge = summary["cascade_run"], summary["detectors"]["simulated-judge"]
    assert judge["attempts"] == run["asked"]
    assert run["asked"] + run["spared"] == 240
    assert run["spared"] > 0
    assert judge["labelled_answered"] == run["sampled"]
    assert judge["failed"] == 0
    assert summary["detectors"]["cascade"]["answered"] == 240
    assert {(each["a"], each["b"]) for each in summary["agreement"]} == {
        ("kimera", "simulated-judge"),
        ("kimera", "cascade"),
    }
    assert run["dollars_saved"] == pytest.approx(judge["dollars"] / run["asked"] * run["spared"], rel=0.05)


@pytest.mark.slow
def test_every_row_says_what_the_cascade_made_of_it(run_folder: Path) -> None:
    with (run_folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    thresholds = json.loads((run_folder / "summary.json").read_text())["cascade_run"]["thresholds"]
    for row in rows:
        by_judge = row["simulated-judge (simulated)_contradiction"]
        said = row["cascade (simulated)_contradiction"]
        called = "true" if float(row["kimera_score"]) > thresholds["upper"] else "false"
        assert said == (by_judge or called)


def test_a_run_as_a_cascade_is_read_back_whole(run_folder: Path) -> None:
    written = json.loads((run_folder / "summary.json").read_text())
    assert json.loads(json.dumps(build_summary(open_run(run_folder).run))) == written


@pytest.mark.slow
def test_a_cascade_that_was_cut_short_goes_on_and_ends_the_same(run_folder: Path, tmp_path: Path) -> None:
    lines = (run_folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[: 240 + 40]))
    cut = build_summary(open_run(tmp_path).run)
    assert cut["cascade_run"]["absent"]
    assert "cascade" not in cut["detectors"]
    assert main(["--resume", str(tmp_path), "--no-viz", "--quiet", "--json"]) == 0
    whole, again = (json.loads((each / "summary.json").read_text()) for each in (run_folder, tmp_path))
    assert again["cascade_run"]["thresholds"] == whole["cascade_run"]["thresholds"]
    assert again["detectors"]["cascade"]["accuracy"] == whole["detectors"]["cascade"]["accuracy"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cascade", "2"], "not a share between 0 and 1"),
        (["--cascade", "0.02", "--kimera-only"], "not allowed with argument"),
        (["--max-sent", "0.5", "--simulate"], "give both"),
        (["--cascade", "0.02", "--simulate", "--model", "a", "--model", "b"], "one judge"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: Any = main(flags)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert message in capsys.readouterr().err


def test_a_services_budget_is_that_of_the_pairs_to_come(judge: SimulatorThread) -> None:
    """What the sample cost is paid once; of new pairs at most the share that was allowed is sent."""
    random = np.random.default_rng(1)
    reactor: Any = KnownScores(
        np.where(np.arange(600) % 2 == 1, random.beta(4, 2, 600), random.beta(2, 4, 600))
    )
    with Cascade([reactor, client(judge)], risk=0.05, max_sent=0.4) as cascade:
        cascade.calibrate(PAIRS[:400])
        cascade.detect(PAIRS[400:])
    assert 0.25 * 200 < cascade.sent < 0.5 * 200


def test_a_dead_judge_is_named_and_not_taken_for_too_few_contradictions() -> None:
    reactor = KnownScores(sure_scores())
    dead = AsyncOpenAIClient(base_url="http://127.0.0.1:9/v1", max_concurrent=4, max_retries=0)
    with Cascade([reactor, dead]) as cascade, pytest.raises(JudgeError, match=r"unreachable|connection"):
        cascade.calibrate(PAIRS[:300])


def test_a_limit_that_the_sample_alone_would_pass_is_refused() -> None:
    plan = CascadePlan(0.05, max_sent=0.3)
    with pytest.raises(
        UserError, match=r"needs a sample of \d+ of 300 pairs, which is more than --max-sent 0\.3 allows"
    ):
        plan.require_budget(np.full(300, 0.5))


def test_pairs_without_a_score_go_to_the_judge_and_count_for_nothing_in_the_sample() -> None:
    random = np.random.default_rng(0)
    truth = random.random(3000) < 0.4
    scores = np.where(truth, random.beta(5, 2, 3000), random.beta(2, 5, 3000))
    scores[truth & (random.random(3000) < 0.5)] = np.nan
    plan, verdicts = CascadePlan(0.05, max_sent=0.6), np.full(3000, -1, np.int8)
    for chosen, _ in plan.rounds(scores, verdicts):
        verdicts[chosen] = truth[chosen]
    decision = plan.decide(scores, verdicts)
    assert decision.enough
    assert decision.asked[np.isnan(scores)].all()
    assert decision.asked.mean() <= 0.6 + 1e-9


def asked_in_rounds(
    plan: CascadePlan, scores: np.ndarray, truth: np.ndarray, fails: np.ndarray
) -> tuple[int, Decision]:
    """How many pairs a judge is asked about that fails on some, and what follows."""
    verdicts = np.full(scores.size, -1, np.int8)
    asked = np.zeros(scores.size, dtype=bool)
    for chosen, _ in plan.rounds(scores, verdicts):
        asked |= chosen
        verdicts[chosen & ~fails] = truth[chosen & ~fails]
    return int(asked.sum()), plan.decide(scores, verdicts)


@pytest.mark.slow
def test_where_all_in_doubt_may_be_sent_nothing_is_called_a_contradiction_without_the_judge() -> None:
    """Also where the judge fails on many, so that the sample shows less than its size promised."""
    for seed in range(150):
        random = np.random.default_rng(seed)
        truth = random.random(700) < 0.15
        scores = np.clip(np.where(truth, 0.7, 0.4) + random.normal(size=700) / 6, 0, 1)
        plan = CascadePlan(0.08, max_sent=1.0, seed=seed)
        _, decision = asked_in_rounds(plan, scores, truth, random.random(700) < 0.3)
        assert decision.thresholds.upper == 1, seed


def test_a_sample_that_has_to_grow_stays_within_what_may_be_sent_and_then_nothing_is_promised() -> None:
    """The reactor expects far more contradictions than the judge sees, as in the scan of a corpus."""
    random = np.random.default_rng(0)
    truth = random.random(1000) < 0.075
    scores = np.clip(random.normal(0.62, 0.2, 1000), 0, 1)
    plan = CascadePlan(0.05, max_sent=0.3)
    asked, decision = asked_in_rounds(plan, scores, truth, np.zeros(1000, bool))
    assert plan.first_sample(scores) < asked <= 300
    assert not decision.enough
    assert not decision.bounds.promised
    assert decision.bounds.missed > 0.05
    rest = ~decision.asked
    called = decision.thresholds.called(scores[rest])
    assert (called == (scores[rest] > 0.5)).all()  # as the reactor alone has it
    missed = (~called & truth[rest]).sum() / truth[rest].sum()
    assert missed <= decision.bounds.missed
    CascadePlan(0.05, max_sent=0.3, sampled_before=300).require_budget(scores)  # so that it can go on


def test_a_sample_that_an_earlier_session_paid_for_never_shrinks() -> None:
    """Failures made it grow; mended, the pairs already asked still count."""
    random = np.random.default_rng(3)
    truth = random.random(4000) < 0.15
    scores = np.clip(np.where(truth, 0.7, 0.2) + random.normal(size=4000) / 8, 0, 1)
    fails = random.random(4000) < 0.5
    plan, verdicts = CascadePlan(0.05), np.full(4000, -1, np.int8)
    grown = 0
    for chosen, is_sample in plan.rounds(scores, verdicts):
        verdicts[chosen & ~fails] = truth[chosen & ~fails]
        grown = int(chosen.sum()) if is_sample else grown
    assert grown > plan.first_sample(scores)
    verdicts[fails & (plan.decide(scores, verdicts).sampled)] = 0
    again = CascadePlan(0.05, sampled_before=grown).decide(scores, verdicts)
    assert int(again.sampled.sum()) >= grown


@pytest.mark.slow
def test_a_cascade_that_a_cost_limit_ended_claims_nothing(tmp_path: Path) -> None:
    rows = [{"text1": pair.text1, "text2": pair.text2, "label": pair.label} for pair in PAIRS[:120]]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--max-pairs", "0", "--simulate", "--async", "4", "--price", "10,10", "--cascade", "0.2"]
    flags += ["--max-cost", "0.15", "--repeat", "2", "--no-viz", "--quiet", "--json"]
    assert main([str(tmp_path / "pairs.jsonl"), *flags, "--out", str(tmp_path / "out")]) == 1
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "the run ended before the judge was asked about" in summary["cascade_run"]["absent"]["bounds"]
    assert "cascade" not in summary["detectors"]


@pytest.mark.slow
def test_what_each_step_costs_is_said_before_it_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text1": pair.text1, "text2": pair.text2, "label": pair.label} for pair in PAIRS[:100]]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = [
        "--max-pairs",
        "0",
        "--simulate",
        "--async",
        "64",
        "--price",
        "10,10",
        "--cascade",
        "0.2",
        "--no-viz",
    ]
    assert main([str(tmp_path / "pairs.jsonl"), *flags, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert "of 100 pairs, drawn at random, go to both" in told.err
    assert "(about $" in told.err
    assert main(["--resume", str(tmp_path / "out"), "--no-viz"]) == 0
    assert "cascade: " not in capsys.readouterr().err, "nothing is left to ask"


def test_a_promise_that_few_contradictions_rule_out_is_said_before_anything_is_paid() -> None:
    few, many = (np.full(size, 0.3) for size in (300, 10_000))
    plan = CascadePlan(0.02)
    assert "at least 149 contradictions, which is all of these 300 pairs" in plan.why_nothing_saved(few)
    assert plan.why_nothing_saved(many) == ""
    assert CascadePlan(0.02, endless=True).why_nothing_saved(few) == ""
