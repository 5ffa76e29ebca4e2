"""Low-rank adapters: what they learn is all that a file of weights holds, and gives the same network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fine_tuning import OPTIONS, fit
from tiny_models import write_tiny_mpnet

from kimera.errors import UserError
from kimera.models.cross_encoder import CrossEncoder, load_tensors, open_network, tensors_of
from kimera.models.cross_encoder_weights import CrossEncoderWeights
from kimera.models.pair_model import logits_module
from kimera.training import low_rank

pytestmark = pytest.mark.slow  # whole fits

ADAPTED = replace(OPTIONS, rank=4, learning_rate=0.02, epochs=2)
PAIRS = [("The lamp is red.", "The lamp is not red."), ("The lamp is red.", "The lamp has a colour.")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_mpnet(tmp_path_factory.mktemp("mpnet"))


@pytest.fixture(scope="module")
def fitted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> CrossEncoderWeights:
    return fit(folder, tmp_path_factory.mktemp("fit") / "checkpoint", ADAPTED)


def test_the_file_holds_the_adapters_and_the_head_and_nothing_else(
    fitted: CrossEncoderWeights, tmp_path: Path
) -> None:
    assert not fitted.differences
    assert (
        len(fitted.low_rank) == 2 * 6
    )  # of two layers: query, key, value, output, and two of the feed-forward
    assert {name.partition(".")[0] for name in fitted.whole} == {"classifier"}
    assert {array.dtype for pair in fitted.low_rank.values() for array in pair} == {np.dtype("float16")}
    fitted.save(tmp_path / "deep.safetensors")
    again = CrossEncoderWeights.load(tmp_path / "deep.safetensors")
    assert again.fingerprint == fitted.fingerprint


def test_an_adapted_network_computes_what_the_file_gives(folder: Path, fitted: CrossEncoderWeights) -> None:
    import torch

    plain, _ = open_network(folder)
    before = tensors_of(plain)
    load_tensors(plain, fitted.applied_to(before))
    adapted, _ = open_network(folder)
    low_rank.adapt(adapted, 4, 0.0)
    load_tensors(adapted, {**low_rank.parameters_of(fitted.low_rank), **fitted.whole})
    ids = torch.randint(5, 30_000, (3, 9))
    inputs = (ids, torch.ones_like(ids), torch.zeros_like(ids))
    with torch.no_grad():
        expected = logits_module(plain.eval())(*inputs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = logits_module(adapted.eval())(*inputs)
    np.testing.assert_allclose(found.float().numpy(), expected.numpy(), atol=0.05)
    assert np.abs(before["mpnet.encoder.layer.0.attention.attn.q.weight"]).max() > 0


def test_what_was_prepared_for_onnxruntime_is_the_fitted_network(
    folder: Path, fitted: CrossEncoderWeights, tmp_path: Path
) -> None:
    exact = CrossEncoder(fitted, folder, backend="torch").logits(PAIRS)
    prepared = CrossEncoder(fitted, folder, precision="float32", cache_dir=tmp_path).logits(PAIRS)
    np.testing.assert_allclose(prepared, exact, atol=1e-5)


def test_an_interrupted_fit_goes_on_to_the_same_weights(
    folder: Path, fitted: CrossEncoderWeights, tmp_path: Path
) -> None:
    def interrupt(epoch: float, *_: float) -> None:
        if epoch == 1.5:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint"
    often = replace(ADAPTED, checkpoint_every_s=0.0)
    with pytest.raises(KeyboardInterrupt):
        fit(folder, checkpoint, often, interrupt)
    assert fit(folder, checkpoint, often).fingerprint == fitted.fingerprint


def test_a_fit_goes_on_from_the_weights_of_an_earlier_one(
    folder: Path, fitted: CrossEncoderWeights, tmp_path: Path
) -> None:
    nothing_learnt = replace(ADAPTED, epochs=1, learning_rate=0.0, new_layers_rate=0.0, weight_decay=0.0)
    again = fit(folder, tmp_path / "checkpoint", nothing_learnt, start=fitted)
    for name, factors in fitted.low_rank.items():
        for found, expected in zip(again.low_rank[name], factors, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_weights_of_another_rank_are_nothing_to_go_on_from(
    folder: Path, fitted: CrossEncoderWeights, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError, match="these weights hold adapters of rank 4; a fit of the stage deep goes on from rank 8"
    ):
        fit(folder, tmp_path / "checkpoint", replace(ADAPTED, rank=8), start=fitted)


def test_factors_that_do_not_fit_each_other_are_refused(fitted: CrossEncoderWeights, tmp_path: Path) -> None:
    name, (b, a) = next(iter(fitted.low_rank.items()))
    replace(fitted, low_rank={name: (b, a[:-1])}).save(tmp_path / "deep.safetensors")
    with pytest.raises(UserError, match="is a product of"):
        CrossEncoderWeights.load(tmp_path / "deep.safetensors")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 3))
def test_an_average_is_the_nearest_of_its_rank_to_the_mean_of_the_products(
    seed: int, rank: int, own: int
) -> None:
    """It is exact where the fits differ within the rank, as those do that go on from each other by little."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=(rank, 6)), random.normal(size=(9, rank))

    def fit_of(b: np.ndarray, a: np.ndarray) -> CrossEncoderWeights:
        low = {"layer.weight": (b.astype(np.float16), a.astype(np.float16))}
        return CrossEncoderWeights(
            {}, {"head": random.normal(size=3)}, 1.0, 0.0, 8, "base", "b", low_rank=low
        )

    fits = [fit_of(shared[1] + 0.1 * random.normal(size=(9, rank)), shared[0]) for _ in range(own + 1)]
    average = CrossEncoderWeights.average(fits)
    before = {"layer.weight": np.zeros((9, 6), np.float32)}
    mean = np.mean([fit.applied_to(before)["layer.weight"] for fit in fits], axis=0)
    np.testing.assert_allclose(average.applied_to(before)["layer.weight"], mean, atol=0.05)
    assert average.low_rank["layer.weight"][0].shape == (9, rank)
    head = np.mean([fit.whole["head"] for fit in fits], axis=0)
    np.testing.assert_allclose(average.whole["head"], head, atol=1e-6)
    far = fit_of(random.normal(size=(9, rank)), random.normal(size=(rank, 6)))
    b, a = CrossEncoderWeights.average([fits[0], far]).low_rank["layer.weight"]
    mean = (fits[0].applied_to(before)["layer.weight"] + far.applied_to(before)["layer.weight"]) / 2
    left = np.linalg.svd(mean, compute_uv=False)[rank:]
    assert np.linalg.norm(mean - b.astype(float) @ a.astype(float)) <= np.linalg.norm(left) + 0.05
