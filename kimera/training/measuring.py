"""What a fitted model is worth on a set of labelled pairs: its figures, for the card."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace

import numpy as np

from kimera.models import CLASSES, calibration_error, equal_mass_bins
from kimera.pairs import CONTRADICTION, LABELS, Pair
from kimera.training.model_card import Figures
from kimera.training.training_data import LabelledFile, labels_and_weights


def measured(
    file: LabelledFile, predict: Callable[[Sequence[Pair]], np.ndarray], premises: Set[str]
) -> Figures:
    """AUC of contradiction against the rest, three-way accuracy, calibration error, where defined.

    predict: n pairs to probabilities of shape (n, 3). premises: those of pairs that the fit saw.
    """
    from sklearn.metrics import roc_auc_score  # takes a second, and mistaken flags need none

    label, _ = labels_and_weights([file])
    truth = label == LABELS.index(CONTRADICTION)
    probabilities = predict(file.pairs)
    swapped = predict([replace(pair, text1=pair.text2, text2=pair.text1) for pair in file.pairs])
    has_both = truth.any() and not truth.all()
    is_three_way = set(label.tolist()) == set(range(len(CLASSES)))
    return Figures(
        data_set=file.data_set,
        pairs=len(label),
        contradictions=int(truth.sum()),
        premises_in_training=len({pair.text1 for pair in file.pairs} & premises),
        auc=float(roc_auc_score(truth, probabilities[:, 0])) if has_both else None,
        swapped_auc=float(roc_auc_score(truth, swapped[:, 0])) if has_both else None,
        accuracy=float((probabilities.argmax(axis=1) == label).mean()) if is_three_way else None,
        calibration_error=calibration_error(probabilities[:, 0], truth) if len(label) else None,
        reliability=[(score, share) for _, score, share in equal_mass_bins(probabilities[:, 0], truth, 5)],
    )
