"""Few pairs: a calibration held to the old one, the same for every order of the pairs."""

import numpy as np
import pytest

from kimera.models.calibration import contradiction_logit
from kimera.pairs import Pair
from kimera.training.small_fits import FOLDS, HOLDS, Calibration, fit_small, held_to

OLD = Calibration(1.0, 0.0)


def labelled(offset: float, count: int = 300) -> tuple[list[Pair], np.ndarray]:
    """Pairs whose contradictions are as likely as sigmoid(logit + offset) says."""
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (count, 3)).astype(np.float32)
    likely = 1 / (1 + np.exp(-contradiction_logit(logits) - offset))
    labels = np.where(draw.random(count) < likely, "contradiction", "neutral").tolist()
    pairs = [Pair(f"premise {at}", f"hypothesis {at}", label=label) for at, label in enumerate(labels)]
    return pairs, logits


def test_a_calibration_that_fits_is_kept():
    pairs, logits = labelled(offset=0.0)
    fit = fit_small(pairs, logits, np.ones(len(pairs)), OLD)
    assert fit.hold is HOLDS[0]
    assert fit.calibration == OLD


def test_an_offset_that_the_pairs_contradict_is_moved():
    pairs, logits = labelled(offset=2.0)
    fit = fit_small(pairs, logits, np.ones(len(pairs)), OLD)
    assert fit.calibration.offset > 0.8


def test_each_pair_is_scored_by_a_calibration_that_did_not_see_it():
    pairs, logits = labelled(offset=2.0)
    fit = fit_small(pairs, logits, np.ones(len(pairs)), OLD)
    swapped = [Pair(pair.text2, pair.text1) for pair in pairs]
    assert len(fit.folds) == FOLDS
    assert np.array_equal(fit.out_of_fold(pairs, logits), fit.out_of_fold(swapped, logits))


@pytest.mark.parametrize("truth", [True, False])
def test_pairs_of_one_answer_still_give_a_finite_calibration(truth):
    fitted = held_to(OLD, 3.0, np.linspace(-2, 2, 20), np.full(20, truth), np.ones(20))
    assert np.isfinite([fitted.slope, fitted.offset]).all()
