"""Fine-tuning a cross-encoder, and the small file that comes of it. The model is tiny, all else is real."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_models import write_tiny_model

from kimera.errors import UserError
from kimera.models.cross_encoder import CrossEncoder, base_fingerprint
from kimera.models.cross_encoder_weights import CrossEncoderWeights
from kimera.models.tokens import Tokenizer
from kimera.models.weights_file import METADATA_KEY
from kimera.pairs import CONTRADICTION, ENTAILMENT, LABELS, NEUTRAL, NOT_CONTRADICTION
from kimera.training.fine_tuning import FineTuneOptions, fine_tune, loss_at_best_temperature
from kimera.training.labelled_tokens import UNLABELLED, LabelledTokens

pytestmark = pytest.mark.slow  # whole runs, fits or installations

THINGS = ("car", "house", "door", "coat", "cup", "book", "boat", "chair")
COLOURS = ("red", "blue", "green", "white", "black")
OPTIONS = FineTuneOptions(
    epochs=8, patience=99, batch_size=12, learning_rate=0.004, new_layers_rate=0.01, max_tokens=32, seed=2
)


def labelled_pairs(two_way: bool = False) -> list[tuple[str, str, str]]:
    other = NOT_CONTRADICTION if two_way else ENTAILMENT
    return [
        pair
        for thing in THINGS
        for colour in COLOURS
        for pair in (
            (f"The {thing} is {colour}.", f"The {thing} is not {colour}.", CONTRADICTION),
            (f"The {thing} is {colour}.", f"The {thing} has a colour.", other),
            (f"The {thing} is {colour}.", f"The {thing} is old.", NOT_CONTRADICTION if two_way else NEUTRAL),
        )
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


def labelled(folder: Path, pairs: list[tuple[str, str, str]], turned: bool = False) -> LabelledTokens:
    texts = [pair[:2] for pair in pairs]
    texts += [(second, first) for first, second in texts] if turned else []
    tokens = Tokenizer(folder, OPTIONS.max_tokens).of_pairs(texts)
    label = np.array([LABELS.index(pair[2]) for pair in pairs], dtype=np.int64)
    return LabelledTokens(tokens, label, np.ones(len(pairs), dtype=np.float32))


def fit(
    folder: Path,
    checkpoint: Path,
    options: FineTuneOptions = OPTIONS,
    report: Callable[[float, float, float], None] = lambda *_: None,
    two_way: bool = False,
    start: CrossEncoderWeights | None = None,
) -> CrossEncoderWeights:
    pairs = labelled_pairs(two_way)
    return fine_tune(
        folder,
        labelled(folder, pairs, turned=True),
        labelled(folder, pairs),
        base=base_fingerprint(folder, str(folder)),
        base_name="tiny",
        options=options,
        checkpoint=checkpoint,
        start=start,
        report=report,
    )


@pytest.fixture(scope="module")
def fitted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> CrossEncoderWeights:
    return fit(folder, tmp_path_factory.mktemp("fit") / "checkpoint")


def test_it_learns_what_a_contradiction_is(folder: Path, fitted: CrossEncoderWeights) -> None:
    probabilities = CrossEncoder(fitted, folder).predict(
        [("The lamp is red.", "The lamp is not red."), ("The lamp is red.", "The lamp has a colour.")]
    )
    assert probabilities[0, 0] > 0.8
    assert probabilities[1, 0] < 0.2
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])


def test_pairs_read_in_both_orders_teach_scores_that_depend_less_on_the_order(
    folder: Path, fitted: CrossEncoderWeights, tmp_path: Path
) -> None:
    weights = fit(folder, tmp_path / "checkpoint", replace(OPTIONS, swap=0.5))
    pairs = [("The lamp is red.", "The lamp is not red."), ("The lamp is red.", "The lamp has a colour.")]
    turned = [(second, first) for first, second in pairs]

    def apart(weights: CrossEncoderWeights) -> float:
        model = CrossEncoder(weights, folder)
        return float(np.abs(model.predict(pairs)[:, 0] - model.predict(turned)[:, 0]).max())

    assert apart(weights) < 0.3
    assert apart(weights) < apart(fitted)


def test_two_way_labels_are_enough(folder: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=16, learning_rate=0.003, new_layers_rate=0.003)
    weights = fit(folder, tmp_path / "checkpoint", options, two_way=True)
    probabilities = CrossEncoder(weights, folder).predict(
        [("The car is red.", "The car is not red."), ("The car is red.", "The car is old.")]
    )
    assert probabilities[0, 0] > 0.8
    assert probabilities[1, 0] < 0.2


def test_what_a_teacher_says_is_learnt_from_pairs_without_a_label(folder: Path, tmp_path: Path) -> None:
    pairs = labelled_pairs()
    learn = labelled(folder, pairs)
    taught = np.eye(3, dtype=np.float32)[learn.label]
    unlabelled = replace(learn, label=np.full(len(pairs), UNLABELLED, dtype=np.int64), taught=taught)
    weights = fine_tune(
        folder,
        unlabelled,
        learn,
        base=base_fingerprint(folder, str(folder)),
        base_name="tiny",
        options=OPTIONS,
        checkpoint=tmp_path / "checkpoint",
    )
    probabilities = CrossEncoder(weights, folder).predict(
        [("The lamp is red.", "The lamp is not red."), ("The lamp is red.", "The lamp has a colour.")]
    )
    assert probabilities[0, 0] > 0.8
    assert probabilities[1, 0] < 0.2


def test_what_is_read_back_gives_the_same_scores(
    folder: Path, fitted: CrossEncoderWeights, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "verify.safetensors")
    pairs = [pair[:2] for pair in labelled_pairs()]
    read = CrossEncoder(tmp_path / "verify.safetensors", folder)
    np.testing.assert_array_equal(read.logits(pairs), CrossEncoder(fitted, folder).logits(pairs))
    assert read.weights.fingerprint == fitted.fingerprint


def test_the_same_weights_are_the_same_bytes(fitted: CrossEncoderWeights, tmp_path: Path) -> None:
    for name in ("a", "b"):
        fitted.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_file_is_a_byte_for_each_weight_and_has_no_word_embeddings(
    folder: Path, fitted: CrossEncoderWeights, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "verify.safetensors")
    assert not any("word_embeddings" in name for name in [*fitted.differences, *fitted.whole])
    weights = sum(steps.size for steps, _ in fitted.differences.values())
    assert (tmp_path / "verify.safetensors").stat().st_size < 1.6 * weights + 20_000


def test_an_interrupted_fit_goes_on_to_the_same_weights(
    folder: Path, fitted: CrossEncoderWeights, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint"

    def interrupt(epoch: float, *_: float) -> None:
        if epoch == 5.0:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(folder, checkpoint, report=interrupt)
    assert checkpoint.is_file()
    evaluated: list[float] = []
    resumed = fit(folder, checkpoint, report=lambda epoch, *_: evaluated.append(epoch))
    assert evaluated == [5.5, 6.0, 6.5, 7.0, 7.5, 8.0]
    assert resumed.fingerprint == fitted.fingerprint
    # One that was interrupted after its end, before its weights were safe, has nothing left to learn.
    evaluated.clear()
    again = fit(folder, checkpoint, report=lambda epoch, *_: evaluated.append(epoch))
    assert (evaluated, again.fingerprint) == ([], fitted.fingerprint)


def test_the_checkpoint_of_another_fit_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(folder, tmp_path / "checkpoint", report=lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(UserError, match="not a checkpoint of this fit"):
        fit(folder, tmp_path / "checkpoint", replace(OPTIONS, seed=1))
    (tmp_path / "checkpoint").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a checkpoint of this fit"):
        fit(folder, tmp_path / "checkpoint")


def test_a_fit_ends_once_it_gets_no_better(folder: Path, tmp_path: Path) -> None:
    evaluated: list[float] = []
    options = replace(OPTIONS, learning_rate=0.0, new_layers_rate=0.0, patience=1)
    fit(folder, tmp_path / "checkpoint", options, lambda epoch, *_: evaluated.append(epoch))
    assert evaluated == [0.5, 1.0, 1.5]
    fit(folder, tmp_path / "checkpoint", options, lambda epoch, *_: evaluated.append(epoch))
    assert evaluated == [0.5, 1.0, 1.5]  # after an interruption before its weights were safe, too


def test_a_fit_that_is_interrupted_as_it_ends_says_so_and_learns_no_more(
    folder: Path, tmp_path: Path
) -> None:
    evaluated: list[float] = []
    options = replace(OPTIONS, learning_rate=0.0, new_layers_rate=0.0, patience=1)

    def interrupt_at_the_end(epoch: float, *_: float) -> None:
        evaluated.append(epoch)
        if epoch == 1.5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(folder, tmp_path / "checkpoint", options, interrupt_at_the_end)
    fit(folder, tmp_path / "checkpoint", options, interrupt_at_the_end)
    assert evaluated == [0.5, 1.0, 1.5]


def test_a_fit_goes_on_from_other_weights(folder: Path, fitted: CrossEncoderWeights, tmp_path: Path) -> None:
    """With a rate of nothing it ends where it began, calibrated anew."""
    options = replace(OPTIONS, epochs=1, learning_rate=0.0, new_layers_rate=0.0)
    weights = fit(folder, tmp_path / "checkpoint", options, start=fitted)
    pairs = [pair[:2] for pair in labelled_pairs()]
    before, after = (CrossEncoder(w, folder, precision="float32").logits(pairs) for w in (fitted, weights))
    assert after == pytest.approx(before, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.5, 4), st.integers(0, 2**32 - 1))
def test_the_loss_that_ends_a_fit_does_not_depend_on_how_sure_the_logits_are(sure: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    label = random.integers(0, 4, 200)
    logits = random.normal(size=(200, 3)).astype(np.float32) + 2 * np.eye(4, 3, dtype=np.float32)[label]
    weight = random.uniform(0.1, 1, 200).astype(np.float32)
    loss = loss_at_best_temperature(logits, label, weight)
    assert loss_at_best_temperature(sure * logits, label, weight) == pytest.approx(loss, rel=0.01)


def test_the_file_says_which_commands_made_it(fitted: CrossEncoderWeights, tmp_path: Path) -> None:
    """They decide no score, so they are not part of what names the weights."""
    made = replace(fitted, commands=("first", "second"))
    made.save(tmp_path / "weights")
    assert CrossEncoderWeights.load(tmp_path / "weights").commands == ("first", "second")
    assert made.fingerprint == fitted.fingerprint


def test_a_score_belongs_to_its_pair(folder: Path, fitted: CrossEncoderWeights) -> None:
    """Whatever the order and the neighbours."""
    pairs = [pair[:2] for pair in labelled_pairs()]
    pairs += [(first * 3, second) for first, second in pairs]
    encoder = CrossEncoder(fitted, folder)
    together = encoder.predict(pairs)
    alone = np.concatenate([encoder.predict([pair]) for pair in pairs])
    backwards = encoder.predict(pairs[::-1])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, backwards, atol=1e-5)


@given(
    arrays(np.float32, (3, 4), elements=st.floats(-2, 2, width=32)),
    arrays(np.float32, (3, 4), elements=st.floats(-2, 2, width=32)),
)
@settings(deadline=None)
def test_a_difference_is_kept_to_half_a_step(before: np.ndarray, after: np.ndarray) -> None:
    weights = CrossEncoderWeights.between({"m": before}, {"m": after}, 8, "base", "name")
    kept = weights.applied_to({"m": before})["m"]
    step = np.abs(after - before).max(axis=1, keepdims=True) / 127
    assert (np.abs(kept - after) <= 0.5 * step + 1e-5).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors, metadata: metadata.update(format="other"), "format 'other'"),
        (lambda tensors, metadata: metadata.update(slope=float("inf")), "calibration of slope inf"),
        (lambda tensors, metadata: metadata.pop("base"), "'base'"),
        (
            lambda tensors, metadata: metadata.update(
                sources=[{"pairs": 1, "weight": 1, "data_set": "SNLI"}]
            ),
            "must be strings",
        ),
        (
            lambda tensors, metadata: tensors.update({"more": np.zeros(2, np.float32)}),
            "a tensor called 'more'",
        ),
        (lambda tensors, metadata: tensors.update({"whole.b": np.full(2, np.nan, np.float32)}), "not finite"),
        (lambda tensors, metadata: tensors.update({"scale.m": np.ones(2, np.float32)}), "scaled by"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(change, message: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "verify.safetensors"
    before, after = {"m": np.zeros((3, 4), np.float32)}, {"m": np.ones((3, 4), np.float32)}
    CrossEncoderWeights.between(before, after, 8, "base", "name").save(path)
    tensors = load_file(path)
    metadata = {
        "format": "kimera-cross-encoder-1",
        "classes": ["contradiction", "entailment", "neutral"],
        "slope": 1.0,
        "offset": 0.0,
        "most_tokens": 8,
        "base": "base",
        "base_name": "name",
    }
    change(tensors, metadata)
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(metadata)})
    with pytest.raises(UserError, match="does not hold a cross-encoder") as refused:
        CrossEncoderWeights.load(path)
    assert message in str(refused.value)


def test_weights_are_used_with_their_own_model_only(fitted: CrossEncoderWeights, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was made from 'tiny'"):
        CrossEncoder(fitted)
    with pytest.raises(UserError, match="there are no weights at"):
        CrossEncoder(tmp_path / "missing.safetensors")
    with pytest.raises(UserError, match="is not a folder"):
        CrossEncoder(fitted, "some/model-of-the-hub")
