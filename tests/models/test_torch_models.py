"""Networks on torch: copies on several devices give what one gives, in order. Here the devices are CPUs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.models.cross_encoder import CrossEncoder
from kimera.models.encoder import Encoder, torch_work
from kimera.models.model_folders import DEFAULT_MODEL, find_folder
from kimera.models.runtime import TORCH_ON_CPU, Runtime
from kimera.models.torch_models import AHEAD, copies, spread
from kimera.reactor import SHIPPED_CROSS_ENCODER

PAIRS = [(f"{number} people {'walk ' * (number % 40)}", f"{number} do not.") for number in range(200)]
TEXTS = [text for pair in PAIRS for text in pair] + ["", "\ud800 a lone surrogate", "a" * 5000]


class TwoCpus(Runtime):
    """Stands for a machine with two GPUs."""

    def torch_devices(self) -> list[str]:
        return ["cpu", "cpu"]


@given(st.integers(0, 30), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_results_come_in_the_order_of_the_batches(batches: int, works: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return 2 * number

    assert list(spread([work] * works, range(batches))) == list(range(0, 2 * batches, 2))


def test_each_work_does_one_batch_at_a_time_and_all_work_at_once() -> None:
    both = threading.Barrier(2, timeout=10)
    at_work = [threading.Lock(), threading.Lock()]

    def work_of(number: int) -> Callable[[int], int]:
        def work(batch: int) -> int:
            with_others = at_work[number].acquire(blocking=False)
            assert with_others
            both.wait()
            at_work[number].release()
            return batch

        return work

    assert list(spread([work_of(0), work_of(1)], range(20))) == list(range(20))


def test_few_batches_are_taken_ahead_and_an_error_ends_it() -> None:
    taken = []

    def batches() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        if number == 7:
            raise ValueError(f"cannot do {number}")
        return number

    results = spread([work, work], batches())
    for number in range(7):
        assert next(results) == number
        assert len(taken) - number <= AHEAD * 2
    with pytest.raises(ValueError, match="cannot do 7"):
        next(results)
    assert len(taken) < 20


@pytest.mark.slow
def test_copies_read_pairs_as_one_network_does() -> None:
    one, two = (CrossEncoder(SHIPPED_CROSS_ENCODER, backend="torch") for _ in range(2))
    two.runtime = TwoCpus("torch", "float32", "cpu")
    np.testing.assert_allclose(two.logits(PAIRS), one.logits(PAIRS), atol=1e-4)


def test_each_device_has_a_copy_of_its_own() -> None:
    networks = copies(torch.nn.Linear(2, 2), TwoCpus("torch", "float32", "cpu"))
    assert len({id(each) for each in networks}) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("float16", 2e-3)])
def test_vectors_by_batches_of_tokens_are_those_of_sentence_transformers(
    precision: str, tolerance: float
) -> None:
    folder = find_folder(DEFAULT_MODEL)
    assert isinstance(folder, Path)
    texts = TEXTS if precision == "float32" else TEXTS[:30]  # CPUs are slow in float16
    vectors = torch_work(DEFAULT_MODEL, folder, TwoCpus("torch", precision, "cpu"))(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, Encoder(backend="torch").encode(texts), atol=tolerance)


def test_a_cpu_is_one_device() -> None:
    assert TORCH_ON_CPU.torch_devices() == ["cpu"]
