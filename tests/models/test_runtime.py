"""What runs a network: what goes together, and what a GPU gives where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kimera.errors import UserError
from kimera.models.encoder import Encoder
from kimera.models.runtime import Runtime, choose_runtime
from kimera.reactor import Reactor

GPUS = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
PAIRS = [
    ("A man sleeps on the sofa.", "A man is awake."),
    ("Two dogs run along the beach.", "Two animals are outdoors."),
    ("The invoice was paid in March.", "Nobody has paid the invoice."),
]


def test_a_cpu_runs_onnxruntime_in_int8_unless_told_otherwise():
    assert choose_runtime(None, None, "cpu") == Runtime("onnx", "int8", "cpu")
    assert choose_runtime("torch", None, "cpu") == Runtime("torch", "float32", "cpu")
    assert choose_runtime("torch", "float16", "cpu") == Runtime("torch", "float16", "cpu")


def test_a_runtime_says_why_it_was_taken_and_that_makes_no_other_of_it():
    default, asked = choose_runtime(None, None, "cpu"), choose_runtime("onnx", "int8", "cpu")
    assert (default.reason, asked.reason) == ("default on a CPU", "as asked")
    assert default == asked
    assert Reactor(backend="onnx", cache=None).settings["backend_reason"] == "as asked"


@pytest.mark.parametrize(
    ("backend", "precision", "remedy"),
    [
        ("torch", "int8", "float16 or float32"),
        ("onnx", "float16", "int8 or float32"),
        (None, "float16", "int8"),
    ],
)
def test_a_precision_that_the_backend_has_not_is_refused(backend, precision, remedy):
    with pytest.raises(UserError, match=f"{precision} is not one of .*{remedy}"):
        choose_runtime(backend, precision, "cpu")


@pytest.mark.parametrize("device", [name for name, is_there in GPUS.items() if not is_there])
def test_a_device_that_is_not_there_is_an_error_with_its_remedy(device):
    with pytest.raises(UserError, match=f"sees no {device} device here. Use cpu or auto"):
        Encoder(device=device)


def test_auto_takes_a_gpu_where_there_is_one_and_else_the_cpu():
    there = [name for name, is_there in GPUS.items() if is_there]
    assert choose_runtime(None, None, "auto").device == (there or ["cpu"])[0]


@pytest.mark.slow
def test_vectors_in_half_precision_are_unit_vectors_near_those_in_full():
    texts = [text for pair in PAIRS for text in pair]
    half = Encoder(backend="torch", precision="float16").encode(texts)
    assert half.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(half, Encoder(backend="torch").encode(texts), atol=2e-3)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_gpu_gives_what_the_cpu_gives(device):
    if not GPUS[device]:
        pytest.skip(f"there is no {device} device on this machine")
    here = Reactor(backend="torch", cache=None).detect(PAIRS)
    there = Reactor(device=device, cache=None).detect(PAIRS)
    for one, other in zip(here, there, strict=True):
        assert other.contradiction == one.contradiction
        assert other.confidence == pytest.approx(one.confidence, abs=0.01)
        assert other.screen_score == pytest.approx(one.screen_score, abs=0.01)
