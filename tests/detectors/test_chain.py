"""Several local detectors as one: each settles what it is sure of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from nli_models import pairs_of_words

from kimera.detectors import FunctionDetector, NLIModel, ScoresFile
from kimera.detectors.chain import Chain
from kimera.detectors.verdict_source import VerdictSource
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict

PAIRS = [Pair(str(number), "x") for number in range(10_000)]


class Modulo(VerdictSource):
    """Sure of the pairs whose number it divides, fails on those that leave one, in doubt about the others."""

    trained_on: list[str] | None = None

    def __init__(self, divisor: int, doubt: float = 0.6) -> None:
        self.divisor = divisor
        self.doubt = doubt
        self.opened = 0

    @property
    def counts(self) -> dict[str, float]:
        return {"read": 3, "load_s": 0.5, "workers_used": self.divisor}

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"divisor": str(self.divisor)}

    def __enter__(self) -> object:
        self.opened += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.opened -= 1

    def stream(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        for pair in pairs:
            left = int(pair.text1) % self.divisor
            if left == 1:
                yield Failure("odd", "not for me")
            else:
                yield Verdict(left == 0, 0.99 if left == 0 else self.doubt, latency_ms=1.0)


def test_the_next_one_gets_only_what_the_one_before_is_not_sure_of() -> None:
    chain = Chain({"a": Modulo(2), "b": Modulo(3), "c": Modulo(5, doubt=0.7)})
    results = list(chain.stream(PAIRS))
    assert chain.given == {"a": 10_000, "b": 5_000, "c": 3_333}
    assert results[0] == Verdict(True, 0.99, latency_ms=1.0)
    assert results[9] == Verdict(True, 0.99, latency_ms=1.0)  # a failed, so that its time is none
    assert results[5] == Verdict(True, 0.99, latency_ms=2.0)
    assert results[11] == Failure("odd", "not for me")  # a and c failed, and what b said is not enough
    assert chain.failed == {"a": 5_000, "b": 1_667, "c": 667}
    assert results[1] == Failure("odd", "not for me")


def test_a_verdict_does_not_depend_on_the_company() -> None:
    chain = Chain({"a": Modulo(2), "b": Modulo(3)})
    together = list(chain.stream(PAIRS[:100]))
    assert [next(chain.stream([pair])) for pair in reversed(PAIRS[:100])] == together[::-1]


class InDoubtAbout(VerdictSource):
    """Sure of all other pairs."""

    def __init__(self, doubtful: set[Pair]) -> None:
        self.doubtful = doubtful

    def stream(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        return (Verdict(False, 0.6 if pair in self.doubtful else 0.99) for pair in pairs)


def test_a_model_has_one_precision_over_all_chunks_of_a_call(nli_model: Callable[..., Path]) -> None:
    folder = nli_model("bert", seed=91)
    pairs = [Pair(*texts) for texts in pairs_of_words(5000)]
    # Too few of the first chunk to check int8 by, enough of the next one.
    doubtful = dict.fromkeys(pairs[:20] + pairs[4200:4300])
    chain = Chain({"a": InDoubtAbout(set(doubtful)), "model": NLIModel(folder, cache=None)})
    verdicts = list(chain.stream(pairs))
    alone = NLIModel(folder, cache=None)
    alone.settle(pairs[:4096])
    assert alone.settings["precision"] == chain.sources["model"].settings["precision"] == "int8"
    said = [verdict for pair, verdict in zip(pairs, verdicts, strict=True) if pair in doubtful]
    expected = list(alone.stream(doubtful))
    assert [verdict.score for verdict in said if isinstance(verdict, Verdict)] == pytest.approx(
        [verdict.score for verdict in expected if isinstance(verdict, Verdict)], abs=1e-6
    )


def test_a_first_chunk_that_is_too_uniform_for_a_check_settles_on_float32_for_all(
    nli_model: Callable[..., Path],
) -> None:
    few, many = pairs_of_words(20, seed=1), pairs_of_words(100, seed=2)
    pairs = [Pair(*texts) for texts in [*few * 205, *many]]
    chain = Chain(
        {
            "a": InDoubtAbout(set(pairs)),
            "model": NLIModel(nli_model("bert", seed=92), cache=None),
        }
    )
    list(chain.stream(pairs))
    assert chain.sources["model"].settings["precision"] == "float32"


def test_it_tells_of_all_its_parts() -> None:
    first, second = Modulo(2), Modulo(3)
    chain = Chain({"a": first, "b": second}, sure=0.9)
    assert chain.counts == {"read": 6, "load_s": 1.0, "workers_used": 3}
    assert chain.fingerprints == {"a.divisor": "2", "b.divisor": "3"}
    assert chain.settings["sure"] == 0.9
    assert chain.trained_on is None
    first.trained_on, second.trained_on = ["SNLI", "MultiNLI"], ["SNLI"]
    assert chain.trained_on == ["SNLI", "MultiNLI"]
    with chain:
        assert (first.opened, second.opened) == (1, 1)
    assert (first.opened, second.opened) == (0, 0)


def test_progress_comes_to_the_number_of_pairs() -> None:
    seen: list[int] = []
    list(Chain({"a": Modulo(2), "b": Modulo(3)}).stream(PAIRS, on_progress=seen.append))
    assert sum(seen) == len(PAIRS)


def test_progress_moves_before_a_chunk_has_come_to_its_end() -> None:
    """And by no more than the pairs there are, whether or not a stage tells of its own."""
    seen: list[int] = []
    function = FunctionDetector(lambda pairs: [0.6] * len(pairs), batch_size=16)
    outcomes = Chain({"a": function, "b": Modulo(3)}).stream(PAIRS[:300], on_progress=seen.append)
    next(outcomes)
    assert len(seen) > 10
    assert 128 <= sum(seen) <= 256
    list(outcomes)
    assert sum(seen) == 300


def test_the_first_verdicts_do_not_wait_for_thousands_of_pairs() -> None:
    chain = Chain({"a": Modulo(2), "b": Modulo(3)})
    next(chain.stream(PAIRS))
    assert chain.given["a"] <= 256


def test_a_stage_that_counts_no_reading_reads_what_it_is_given() -> None:
    chain = Chain({"a": FunctionDetector(lambda pairs: [0.6] * len(pairs)), "b": Modulo(3)})
    list(chain.stream(PAIRS[:100]))
    assert chain.counts["read"] == 100 + 3


def test_a_file_reads_nothing(tmp_path: Path) -> None:
    """No model does: its rows were written before."""
    file = tmp_path / "scores.csv"
    file.write_text("text1,text2,score\n" + "".join(f"{pair.text1},x,0.6\n" for pair in PAIRS[:100]))
    chain = Chain({"file": ScoresFile(file), "b": Modulo(3)})
    list(chain.stream(PAIRS[:100]))
    assert chain.given["file"] == 100
    assert chain.counts["read"] == 3


def test_one_detector_is_no_chain_and_a_confidence_has_its_range() -> None:
    with pytest.raises(UserError, match="two detectors or more"):
        Chain({"a": Modulo(2)})
    with pytest.raises(UserError, match=r"no confidence between 0\.5 and 1"):
        Chain({"a": Modulo(2), "b": Modulo(3)}, sure=0.2)
