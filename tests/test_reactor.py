"""Reactor: one calibrated verdict a pair, in order, the same however the work is divided."""

import io
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks.datasets import load_dataset
from benchmarks.runs.journal import Journal
from benchmarks.runs.local_detector import LocalDetector
from benchmarks.runs.recorder import Recorder
from kimera.cache.embedding_cache import EmbeddingCache
from kimera.errors import UserError
from kimera.models.cross_encoder import CrossEncoder
from kimera.models.encoder import TEXTS_WORTH_A_POOL, Encoder
from kimera.models.head import ContradictionHead
from kimera.models.verification import pairs_at_a_time, verify
from kimera.pairs import Failure, Pair, Verdict
from kimera.reactor import SHIPPED_CROSS_ENCODER, SHIPPED_HEAD, Reactor

PAIRS = [
    ("A man is sleeping on a sofa.", "A man is running a marathon."),
    ("A man is sleeping on a sofa.", "A person is asleep."),
    ("Two children play football in the park.", "Nobody is in the park."),
    ("Two children play football in the park.", "Kids are playing outside."),
]


@pytest.fixture(scope="module")
def encoder():
    with Encoder() as encoder:
        yield encoder


def scores(outcomes) -> list[float]:
    return [outcome.score for outcome in outcomes]


def test_plain_contradictions_are_told_from_paraphrases(encoder):
    verdicts = Reactor(encoder, cache=None).detect(PAIRS)
    assert [verdict.contradiction for verdict in verdicts] == [True, False, True, False]


def test_a_verdict_says_what_is_known_and_no_more(encoder):
    (verdict,) = Reactor(encoder, cache=None, stages="screen").detect(PAIRS[:1])
    assert verdict.reasoning.startswith(f"screen: P(contradiction) {verdict.score:.2f}; neutral 0.")
    assert verdict.score_source == "calibrated"
    assert verdict.latency_ms > 0
    assert verdict.screen_score is None
    assert verdict.score + verdict.entailment + verdict.neutral == pytest.approx(1.0, abs=1e-6)


@pytest.mark.slow
def test_of_both_stages_the_verdict_is_verifys_and_screens_score_stands_beside_it(encoder):
    both, screen, verify = (
        Reactor(encoder, cache=None, stages=stages).detect(PAIRS) for stages in ("both", "screen", "verify")
    )
    assert scores(both) == scores(verify)
    assert [verdict.screen_score for verdict in both] == pytest.approx(scores(screen), abs=1e-6)
    assert {verdict.screen_score for verdict in verify} == {None}
    first = both[0]
    assert first.reasoning.startswith(f"verify: P(contradiction) {first.score:.2f}; neutral 0.")
    assert first.reasoning.endswith(f"; screen: P(contradiction) {first.screen_score:.2f}")


@pytest.mark.slow
def test_both_stages_are_the_default_but_for_an_encoder_or_a_head_of_ones_own(encoder):
    assert Reactor(cache=None).stages == "both"
    assert Reactor(encoder, cache=None).stages == "both"
    assert Reactor(cache=None, head=SHIPPED_HEAD).stages == "screen"
    assert Reactor(cache=None, head=SHIPPED_HEAD, cross_encoder=SHIPPED_CROSS_ENCODER).stages == "both"


def test_symmetric_scores_are_the_mean_of_both_orders_and_do_not_depend_on_the_order(encoder):
    turned = [(second, first) for first, second in PAIRS]
    plain = Reactor(encoder, cache=None, stages="verify")
    symmetric = Reactor(encoder, cache=None, stages="verify", symmetric=True)
    mean = np.mean([scores(plain.detect(PAIRS)), scores(plain.detect(turned))], axis=0)
    np.testing.assert_allclose(scores(symmetric.detect(PAIRS)), mean, atol=1e-6)
    np.testing.assert_allclose(scores(symmetric.detect(turned)), mean, atol=1e-6)
    assert symmetric.stats.read == 4 * len(PAIRS)


def test_a_repeated_run_reads_nothing_again_and_says_the_same(encoder, tmp_path):
    first, again = (Reactor(encoder, cache=EmbeddingCache(tmp_path)) for _ in range(2))
    # A pair given twice is read once; its texts in the other order are another pair.
    pairs = [*PAIRS, PAIRS[0], PAIRS[0][::-1]]
    assert scores(first.detect(pairs)) == scores(again.detect(pairs))
    assert (first.stats.read, first.stats.read_from_cache) == (5, 0)
    assert (again.stats.read, again.stats.read_from_cache) == (0, 5)
    assert again.stats.workers_used == 0


def test_what_was_read_before_an_interruption_is_kept(encoder, tmp_path):
    pairs = [(f"number {'and ' * number}one", "a number") for number in range(40)]

    def stop(done: int, of: int) -> None:
        if done > 10:
            raise KeyboardInterrupt

    cross_encoder, cache = CrossEncoder(SHIPPED_CROSS_ENCODER), EmbeddingCache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        verify(pairs, cross_encoder, cache, on_read=stop)
    assert verify(pairs, cross_encoder, cache).from_cache > 10


@pytest.mark.slow
def test_verifying_in_worker_processes_gives_the_same_scores(encoder):
    pairs = [(f"{number} people {'walk ' * (number % 3)}", "Nobody walks.") for number in range(1100)]
    with Reactor(encoder, cache=None, stages="verify") as reactor:
        here = scores(reactor.detect(pairs))
        there = scores(reactor.detect(pairs, workers=2))
        assert reactor.stats.workers_used == 2
    np.testing.assert_allclose(there, here, atol=1e-6)


def test_pairs_and_tuples_are_the_same(encoder):
    reactor = Reactor(encoder, cache=None)
    pairs = [Pair(*texts, id=str(number), label="neutral") for number, texts in enumerate(PAIRS)]
    np.testing.assert_allclose(scores(reactor.detect(pairs)), scores(reactor.detect(PAIRS)), atol=1e-6)


@pytest.mark.parametrize("empty", [("", "text"), ("text", " \n")])
def test_an_empty_text_is_a_failure_in_its_place(encoder, empty):
    outcomes = Reactor(encoder, cache=None).detect([PAIRS[0], empty, PAIRS[1]])
    assert [type(outcome) for outcome in outcomes] == [Verdict, Failure, Verdict]
    assert outcomes[1].kind == "empty_text"


def test_only_empty_pairs_and_no_pairs_are_fine(encoder):
    reactor = Reactor(encoder, cache=None)
    assert reactor.detect([]) == []
    assert [outcome.kind for outcome in reactor.detect([("", "")] * 2)] == ["empty_text"] * 2


@pytest.mark.parametrize(
    "given",
    [
        ("a",),
        ("a", "b", "c"),
        ("text", None),
        "ab",
        b"ab",
        {"a", "b"},
        {"a": 1, "b": 2},
        7,
        None,
        Pair("a", 1),
    ],
    ids=lambda given: type(given).__name__,
)
def test_something_that_is_no_pair_of_texts_is_refused_with_its_place(encoder, given):
    with pytest.raises(ValueError, match=r"item 1 is .*; expected a Pair or two texts") as caught:
        Reactor(encoder, cache=None).detect([PAIRS[0], given])
    assert repr(given) in str(caught.value)


def test_two_texts_may_come_in_any_sequence(encoder):
    forms = [list(PAIRS[0]), np.array(PAIRS[0]), iter(PAIRS[0]), Pair(*PAIRS[0])]
    assert len(set(scores(Reactor(encoder, cache=None).detect(forms)))) == 1


@pytest.mark.slow
def test_a_score_belongs_to_its_pair(encoder, tmp_path):
    """It agrees within 1e-5 here or in a worker, alone or among others, in any order, cached or not."""
    few = [(f"{number} people {'walk ' * (number % 9)}", "Nobody walks.") for number in range(70)]
    many = few + [(f"filler {number}", "Nobody walks.") for number in range(TEXTS_WORTH_A_POOL)]
    reactor = Reactor(encoder, cache=EmbeddingCache(tmp_path))
    first, again = scores(reactor.detect(few)), scores(reactor.detect(few))
    uncached = Reactor(encoder, cache=None)
    turned = scores(uncached.detect(few[::-1]))[::-1]
    alone = [scores(uncached.detect([pair]))[0] for pair in few[:10]]
    in_a_worker = scores(uncached.detect(many, workers=1))
    assert uncached.stats.workers_used == 1
    for other in (again, turned, alone, in_a_worker):
        shared = min(len(first), len(other))
        np.testing.assert_allclose(other[:shared], first[:shared], rtol=0, atol=1e-5)


def test_the_counters_say_where_the_vectors_came_from(encoder, tmp_path):
    reactor = Reactor(encoder, cache=EmbeddingCache(tmp_path), workers=3)
    reactor.detect(PAIRS[:2])
    reactor.detect(PAIRS)
    stats = reactor.stats
    assert (stats.pairs, stats.texts, stats.encoded, stats.from_cache) == (6, 9, 6, 3)
    assert (stats.workers_asked, stats.workers_used) == (3, 1)


@pytest.mark.slow
def test_no_pairs_latency_has_the_start_of_the_worker_processes_in_it():
    pairs = [(f"number {number}", "a number") for number in range(TEXTS_WORTH_A_POOL)]
    with Encoder() as encoder:
        reactor = Reactor(encoder, cache=None)
        begun = time.perf_counter()
        verdicts = reactor.detect(pairs, workers=1)
        wall_s = time.perf_counter() - begun
    assert reactor.stats.workers_used == 1
    assert reactor.stats.load_s > 0.1
    assert sum(verdict.latency_ms for verdict in verdicts) / 1000 + reactor.stats.load_s < wall_s


def test_progress_is_told_while_a_chunks_texts_are_encoded_and_adds_up_to_the_pairs(encoder, tmp_path):
    pairs = [*PAIRS, ("", "text"), *((f"number {number}", "a number") for number in range(300))]
    reactor = Reactor(encoder, cache=EmbeddingCache(tmp_path))
    told = []
    next(reactor.stream(pairs, on_progress=told.append))
    assert len(told) > 3
    assert sum(told) == len(pairs)
    told.clear()
    next(reactor.stream(pairs, on_progress=told.append))
    assert told == [len(pairs)]  # all in the cache


class Terminal(io.StringIO):
    """A screen that notes, of each count that a bar shows, how many pairs had been recorded by then."""

    recorder: Recorder
    shown: list[tuple[int, int]]

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        recorded = int((self.recorder.offsets >= 0).sum())
        self.shown += [(int(count), recorded) for count in re.findall(r" (\d+)/\d+ ", text)]
        return len(text)


@pytest.mark.slow
def test_a_comparisons_bar_moves_before_a_chunk_is_done_and_ends_full(encoder, tmp_path, monkeypatch):
    dataset = load_dataset(max_pairs=150)
    terminal = Terminal()
    terminal.shown = []
    monkeypatch.setattr(sys, "stderr", terminal)
    with Journal(tmp_path / "journal.jsonl", header={}) as journal:
        detector = LocalDetector(Reactor(encoder, cache=None), None, "kimera")
        terminal.recorder = Recorder(detector.info, len(dataset), journal)
        detector.run(dataset, {"kimera": terminal.recorder}, quiet=False)
    assert any(0 < count < len(dataset) and not recorded for count, recorded in terminal.shown)
    assert terminal.shown[-1] == (len(dataset), len(dataset))


def test_a_stream_takes_pairs_only_as_it_needs_them(encoder):
    taken = []

    def endless():
        while True:
            taken.append(PAIRS[0])
            yield taken[-1]

    stream = Reactor(encoder, cache=None).stream(endless())
    assert isinstance(next(stream), Verdict)
    assert len(taken) == 4096


def test_a_stream_takes_more_pairs_for_more_workers_up_to_a_bound():
    """Pairs with an empty text, so that no worker has to start."""
    reactor = Reactor(cache=None)
    taken = {}
    for workers in (None, 1, 4, 16, 64, 1000):
        pairs = iter([("", "")] * 70_000)
        next(reactor.stream(pairs, workers=workers))
        taken[workers] = 70_000 - len(list(pairs))
    assert taken == {None: 4096, 1: 4096, 4: 4096, 16: 16_384, 64: 65_536, 1000: 65_536}


@pytest.mark.parametrize("workers", [2, 16, 64, 256])
def test_as_many_workers_as_were_asked_for_are_busy(workers):
    cross_encoder = CrossEncoder(SHIPPED_CROSS_ENCODER)
    assert cross_encoder.processes_for(pairs_at_a_time(workers), workers) == workers


@pytest.mark.slow
def test_a_warm_cache_needs_no_deep_learning_framework(encoder, tmp_path):
    Reactor(encoder, cache=EmbeddingCache(tmp_path)).detect(PAIRS)
    check = f"""
import sys
from kimera import EmbeddingCache, Reactor
reactor = Reactor(cache=EmbeddingCache({str(tmp_path)!r}))
assert len(reactor.detect({PAIRS!r}, workers=2)) == {len(PAIRS)}
assert (reactor.stats.encoded, reactor.stats.workers_used) == (0, 0)
assert not {{"torch", "transformers", "sentence_transformers", "sklearn", "scipy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", check], check=True)


def test_another_encoder_needs_a_head_of_its_own(tmp_path):
    with pytest.raises(
        UserError, match=r"python -m kimera\.train .* --head HEAD .* Reactor\(encoder=.*, head=HEAD\)"
    ):
        Reactor(encoder=tmp_path)


def test_a_head_of_another_encoder_is_refused(encoder):
    layers = ((np.zeros((4 * 384, 3), np.float32), np.zeros(3, np.float32)),)
    with pytest.raises(UserError, match="fitted on the encoder 'other'"):
        Reactor(encoder, head=ContradictionHead(layers, 1.0, 0.0, "sha256:other", "other"))


def test_less_than_one_worker_is_refused(encoder):
    with pytest.raises(UserError, match="workers is 0"):
        Reactor(encoder, cache=None).detect(PAIRS, workers=0)


def test_the_public_names_are_all_there():
    import kimera

    assert all(hasattr(kimera, name) for name in kimera.__all__)
