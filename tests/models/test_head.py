"""ContradictionHead: probabilities, fitting, and files that may be anything."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from kimera.errors import UserError
from kimera.models.head import CLASSES, ContradictionHead, Examples, FitOptions, fit
from kimera.models.weights_file import METADATA_KEY
from kimera.pairs import LABELS

DIMENSION = 8


def unit_vectors(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def toy_head(seed: int = 0) -> ContradictionHead:
    draw = np.random.default_rng(seed)
    widths = (4 * DIMENSION, 16, len(CLASSES))
    layers = tuple(
        (
            draw.standard_normal((inputs, outputs)).astype(np.float16).astype(np.float32),
            draw.standard_normal(outputs).astype(np.float16).astype(np.float32),
        )
        for inputs, outputs in pairwise(widths)
    )
    return ContradictionHead(layers, slope=0.8, offset=-0.1, encoder="sha256:toy", encoder_name="toy")


def toy_examples(
    count: int, seed: int, labels: tuple[str, ...] = ("contradiction", "entailment")
) -> Examples:
    """Pairs of a table of (v, v, -v, -v, ...): a pair is a contradiction where the two point apart."""
    draw = np.random.default_rng(seed)
    first, second = draw.integers(0, 400, count), draw.integers(0, 400, count)
    second = np.where(draw.random(count) < 0.5, first, first ^ 1)
    label = np.where(first == second, LABELS.index(labels[1]), LABELS.index(labels[0]))
    return Examples(first, second, label, np.ones(count, dtype=np.float32))


def toy_vectors() -> np.ndarray:
    vectors = unit_vectors(400, seed=1)
    vectors[1::2] = -vectors[::2]
    return vectors


def fitted(labels: tuple[str, ...] = ("contradiction", "entailment"), **options) -> ContradictionHead:
    torch.set_num_threads(1)  # steps this small spend their time waiting for a second thread
    return fit(
        toy_vectors(),
        toy_examples(2000, 2, labels),
        toy_examples(400, 3, labels),
        encoder="sha256:toy",
        encoder_name="toy",
        options=FitOptions(hidden=(16,), batch_size=64, epochs=4, **options),
    )


def test_probabilities_are_probabilities():
    probabilities = toy_head().predict(unit_vectors(50), unit_vectors(50, seed=1))
    assert probabilities.shape == (50, 3)
    assert probabilities.dtype == np.float32
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)


def test_a_pairs_probabilities_do_not_depend_on_its_neighbours():
    head, first, second = toy_head(), unit_vectors(3000), unit_vectors(3000, seed=1)
    together = head.predict(first, second)
    np.testing.assert_allclose(head.predict(first[::-1], second[::-1])[::-1], together, atol=1e-6)
    np.testing.assert_allclose(
        head.predict(first[1500:1501], second[1500:1501])[0], together[1500], atol=1e-6
    )


def test_no_pairs_are_no_rows():
    assert toy_head().predict(unit_vectors(0), unit_vectors(0)).shape == (0, 3)


def test_calibration_keeps_the_order_of_the_pairs():
    head, first, second = toy_head(), unit_vectors(200), unit_vectors(200, seed=1)
    raw = ContradictionHead(head.layers, 1.0, 0.0, head.encoder, head.encoder_name)
    order = np.argsort(raw.predict(first, second)[:, 0], kind="stable")
    assert (np.diff(head.predict(first, second)[order, 0]) >= -1e-6).all()


def test_saving_and_loading_changes_no_score(tmp_path):
    head, first, second = toy_head(), unit_vectors(20), unit_vectors(20, seed=1)
    head.save(tmp_path / "head.safetensors")
    loaded = ContradictionHead.load(tmp_path / "head.safetensors")
    np.testing.assert_array_equal(loaded.predict(first, second), head.predict(first, second))
    assert (loaded.slope, loaded.offset, loaded.encoder) == (head.slope, head.offset, head.encoder)


def test_the_same_head_is_the_same_bytes(tmp_path):
    toy_head().save(tmp_path / "one")
    toy_head().save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_head_of_another_encoder_is_refused():
    toy_head().require_encoder("sha256:toy", "toy")
    with pytest.raises(UserError, match=r"fitted on the encoder 'toy'.*not on 'mine'.*kimera\.train"):
        toy_head().require_encoder("sha256:mine", "mine")


def test_a_missing_head_names_the_path(tmp_path):
    with pytest.raises(UserError, match=r"no head at .*absent"):
        ContradictionHead.load(tmp_path / "absent")


GOOD = {
    "format": "kimera-contradiction-head-1",
    "classes": CLASSES,
    "encoder": "e",
    "encoder_name": "e",
    "slope": 1.0,
    "offset": 0.0,
}


@pytest.mark.parametrize(
    ("metadata", "shape"),
    [
        (None, (8, 3)),
        ("not json", (8, 3)),
        ("[]", (8, 3)),
        (json.dumps({**GOOD, "format": "kimera-contradiction-head-2"}), (8, 3)),
        (json.dumps({**GOOD, "classes": CLASSES[::-1]}), (8, 3)),
        (json.dumps({**GOOD, "slope": "steep"}), (8, 3)),
        (json.dumps({**GOOD, "offset": float("nan")}), (8, 3)),
        (json.dumps({key: value for key, value in GOOD.items() if key != "encoder"}), (8, 3)),
        (json.dumps(GOOD), (8, 2)),
        (json.dumps(GOOD), (7, 3)),
        (json.dumps(GOOD), (8,)),
        (json.dumps(GOOD), ()),
        (json.dumps(GOOD), (0, 3)),
    ],
)
def test_a_file_that_is_not_a_head_is_the_users_mistake(tmp_path, metadata, shape):
    tensors = {
        "layers.0.weight": np.ones(shape, np.float16),
        "layers.0.bias": np.ones(shape[-1:], np.float16),
    }
    save_file(tensors, tmp_path / "head", metadata=None if metadata is None else {METADATA_KEY: metadata})
    with pytest.raises(UserError, match="is not a head"):
        ContradictionHead.load(tmp_path / "head")


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    head = toy_head()
    head.layers[0][0][0, 0] = np.nan
    head.save(tmp_path / "head")
    with pytest.raises(UserError, match="not finite"):
        ContradictionHead.load(tmp_path / "head")


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("head") / "head.safetensors"
    toy_head().save(path)
    return path


@settings(deadline=None, max_examples=60)
@given(cut=st.integers(0, 600), noise=st.binary(max_size=40), at=st.integers(0, 600))
def test_a_damaged_file_loads_or_is_refused_and_nothing_else(saved, cut, noise, at):
    content = bytearray(saved.read_bytes())
    content[at : at + len(noise)] = noise
    damaged = saved.with_name("damaged")
    damaged.write_bytes(content[: len(content) - cut])
    try:
        head = ContradictionHead.load(damaged)
    except UserError:
        return
    assert head.predict(unit_vectors(1)[:, : head.dimension], unit_vectors(1)[:, : head.dimension]).shape == (
        1,
        3,
    )


@pytest.mark.slow
def test_a_fit_learns_to_tell_apart_what_can_be_told_apart():
    examples = toy_examples(200, 4)
    vectors = toy_vectors()
    score = fitted().predict(vectors[examples.first], vectors[examples.second])[:, 0]
    assert ((score > 0.5) == (examples.label == 0)).all()


def test_two_way_labels_are_enough_to_fit_on():
    examples = toy_examples(200, 4)
    vectors = toy_vectors()
    head = fitted(("contradiction", "not_contradiction"))
    score = head.predict(vectors[examples.first], vectors[examples.second])[:, 0]
    assert ((score > 0.5) == (examples.label == 0)).all()


def test_the_same_seed_gives_the_same_head():
    one, two, other = fitted(seed=5), fitted(seed=5), fitted(seed=6)
    np.testing.assert_array_equal(one.layers[0][0], two.layers[0][0])
    assert (one.layers[0][0] != other.layers[0][0]).any()


def test_predicting_needs_no_torch(saved):
    check = f"""
import sys
import numpy as np
from kimera.models.head import ContradictionHead
head = ContradictionHead.load({str(saved)!r})
head.predict(np.eye(8, dtype=np.float32), np.eye(8, dtype=np.float32))
assert not {{"torch", "sklearn", "scipy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", check], check=True)
