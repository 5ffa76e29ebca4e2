"""Few pairs: what does best out of fold is chosen, with no text on both sides, whatever the order."""

import numpy as np
import pytest

from kimera.models.calibration import contradiction_logit
from kimera.models.data_sets import DataSet
from kimera.models.head import ContradictionHead, FitOptions, averaged
from kimera.pairs import Pair
from kimera.training.out_of_fold import (
    AS_BEFORE,
    CALIBRATION,
    LAST_LAYER,
    NEW_WEIGHTS,
    Candidate,
    LabelledPairs,
    Model,
    fit_small,
)
from kimera.training.small_fits import LastLayer, Readings, held_to, last_layers, new_weights
from kimera.training.training_data import FOLDS, LabelledFile, TextVectors, folds_of

DIMENSION = 8
SMALL = FitOptions(hidden=(16, 8), epochs=4, patience=4, batch_size=16, learning_rate=0.02)


def made_head(seed: int = 0) -> ContradictionHead:
    draw = np.random.default_rng(seed)
    shapes = [(4 * DIMENSION, 6), (6, 5), (5, 3)]
    layers = tuple((draw.normal(0, 0.5, s).astype("f2").astype("f4"), np.zeros(s[1], "f4")) for s in shapes)
    return ContradictionHead(layers, 1.0, 0.0, "sha256:made", "made")


def labelled(scores: np.ndarray) -> list[Pair]:
    """Pairs that are contradictions as likely as sigmoid(score)."""
    likely = 1 / (1 + np.exp(-scores))
    is_contradiction = np.random.default_rng(1).random(len(scores)) < likely
    labels = np.where(is_contradiction, "contradiction", "neutral").tolist()
    return [Pair(f"premise {at}", f"hypothesis {at}", label=label) for at, label in enumerate(labels)]


def few_of(pairs: list[Pair]) -> LabelledPairs:
    return LabelledPairs(pairs, np.ones(len(pairs)), folds_of(pairs))


def read_from(pairs: list[Pair], readings: Readings):
    """A model that gives pairs, in either order, what was made up for them."""
    row_of = {frozenset((pair.text1, pair.text2)): row for row, pair in enumerate(pairs)}

    def read(asked):
        rows = [row_of[frozenset((pair.text1, pair.text2))] for pair in asked]
        return Readings(readings.logits[rows], readings.hidden[rows])

    return read


def fitted(offset: float, of_hidden: float = 0.0, count: int = 200):
    """Fits where the truth is the old weights' logit, plus an offset, plus what only `hidden` shows."""
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (count, 3)).astype(np.float32)
    hidden = draw.normal(0, 1, (count, 5)).astype(np.float32)
    pairs = labelled(contradiction_logit(logits) + offset + of_hidden * hidden[:, 0])
    few, read = few_of(pairs), read_from(pairs, Readings(logits, hidden))
    return pairs, fit_small(few, last_layers(few, made_head(), read))


def test_weights_that_suit_the_pairs_are_hardly_moved():
    _, fit = fitted(offset=0.0)
    assert abs(fit.model.weights.offset) < 0.4
    assert 0.7 < fit.model.weights.slope < 1.3


def test_an_offset_that_the_pairs_contradict_is_moved_by_the_calibration():
    _, fit = fitted(offset=2.0)
    loss = {trial.candidate.kind: trial.loss(fit.few) for trial in fit.best}
    assert loss[CALIBRATION] < loss[AS_BEFORE] - 0.1
    assert fit.model.weights.offset > 0.8


def test_what_only_the_last_layer_sees_is_learnt_by_it():
    _, fit = fitted(offset=0.0, of_hidden=4.0)
    assert fit.chosen.candidate.kind == LAST_LAYER
    before, *_, after = fit.best
    assert after.accuracy(fit.few) > before.accuracy(fit.few) + 0.1
    assert "| last layer (chosen) |" in fit.tried()


def test_each_pair_is_scored_by_a_model_that_did_not_see_it():
    pairs = labelled(np.zeros(100))
    few = few_of(pairs)

    def fit_without(left_out: int) -> Model:
        return Model(lambda asked: np.full((len(asked), 3), left_out / 10), made_head())

    fit = fit_small(few, [Candidate("made", "", fit_without)])
    swapped = [Pair(pair.text2, pair.text1) for pair in pairs]
    assert np.allclose(fit.out_of_fold(pairs)[:, 0], few.fold / 10)
    assert np.array_equal(fit.out_of_fold(pairs), fit.out_of_fold(swapped))


@pytest.mark.parametrize("truth", [True, False])
def test_pairs_of_one_answer_still_give_a_finite_calibration(truth):
    readings = Readings(np.random.default_rng(0).normal(0, 1, (20, 3)), np.zeros((20, 0)))
    found = held_to(LastLayer(1.0, 0.0), 3.0, 0.0, readings, np.full(20, truth), np.ones(20))
    assert np.isfinite([found.slope, found.offset]).all()


def test_no_text_is_in_two_folds_in_any_order_of_the_pairs():
    pairs = [Pair(f"a {number // 3}", f"b {number // 4}") for number in range(120)]
    fold = folds_of(pairs)
    for text in {text for pair in pairs for text in (pair.text1, pair.text2)}:
        assert len({fold[row] for row, pair in enumerate(pairs) if text in (pair.text1, pair.text2)}) == 1
    assert max(np.bincount(fold, minlength=FOLDS)) - min(np.bincount(fold, minlength=FOLDS)) <= 12
    assert np.array_equal(folds_of(pairs[::-1])[::-1], fold)


def test_where_one_text_chains_all_pairs_only_premises_stay_together():
    pairs = [Pair(f"a {number // 2}", "It is so.") for number in range(50)]
    fold = folds_of(pairs)
    assert np.bincount(fold).tolist() == [10] * FOLDS
    assert np.array_equal(fold[::2], fold[1::2])


def test_the_same_two_texts_stay_together_in_either_order_also_where_one_text_chains_all_pairs():
    texts = [(f"a {number}", "It is so.") for number in range(50)]
    texts += [(f"a {number}", f"a {number + 1}") for number in range(49)]
    texts += [(second, first) for first, second in texts[::2]]
    fold_of: dict[frozenset[str], set[int]] = {}
    for both, fold in zip(texts, folds_of([Pair(*both) for both in texts]).tolist(), strict=True):
        fold_of.setdefault(frozenset(both), set()).add(fold)
    assert {len(folds) for folds in fold_of.values()} == {1}


def test_an_averaged_head_gives_the_mean_of_the_logits_also_once_it_is_read_back(tmp_path):
    heads = [made_head(seed) for seed in range(3)]
    first, second = np.random.default_rng(0).normal(0, 0.3, (2, 40, DIMENSION)).astype(np.float32)
    average = averaged(heads)
    mean = np.mean([head.logits(first, second) for head in heads], axis=0)
    assert np.allclose(average.logits(first, second), mean, atol=2e-3)
    average.save(tmp_path / "head.safetensors")
    again = ContradictionHead.load(tmp_path / "head.safetensors")
    assert np.array_equal(again.logits(first, second), average.logits(first, second))


def vectors_and_pairs(contradictions: int, count: int = 100) -> tuple[TextVectors, list[Pair]]:
    """Contradictions are told by the first component of their second text's vector."""
    pairs = [
        Pair(f"a {at}", f"b {at}", label="contradiction" if at < contradictions else "neutral")
        for at in range(count)
    ]
    texts = [text for pair in pairs for text in (pair.text1, pair.text2)]
    vectors = np.random.default_rng(0).normal(0, 0.2, (len(texts), DIMENSION)).astype(np.float32)
    vectors[1::2, 0] = [1.0 if pair.label == "contradiction" else -1.0 for pair in pairs]
    return TextVectors(vectors, {text: row for row, text in enumerate(texts)}), pairs


def new_weights_of(contradictions: int):
    known, pairs = vectors_and_pairs(contradictions)
    examples = known.examples([LabelledFile(DataSet("made"), pairs)])
    return few_of(pairs), list(new_weights(few_of(pairs), examples, known, made_head(), SMALL))


def test_new_weights_are_the_average_of_seeds_whose_spread_is_told():
    few, candidates = new_weights_of(contradictions=50)
    fit = fit_small(few, candidates)
    assert fit.chosen.candidate.kind == NEW_WEIGHTS
    assert fit.chosen.accuracy(few) > 0.9
    assert " to 1.000 |" in fit.tried()


def test_no_new_weights_are_tried_where_a_fold_lacks_contradictions():
    _, candidates = new_weights_of(contradictions=FOLDS - 1)
    assert candidates == []
