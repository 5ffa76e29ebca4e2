"""KimeraClassifier: the screen stage as a scikit-learn estimator on pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.validation import check_is_fitted

from kimera.cache import EmbeddingCache
from kimera.models import (
    CLASSES,
    DEFAULT_MODEL,
    ContradictionHead,
    Encoder,
    Examples,
    FitOptions,
    distinct,
    embed,
    fit,
)
from kimera.pairs import CONTRADICTION, LABELS, NOT_CONTRADICTION, pair_of

__all__ = ["KimeraClassifier"]

HELD_OUT_SHARE = 0.1


class KimeraClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A contradiction head on frozen sentence vectors, fitted on your own pairs.

    X: n pairs: tuples of two texts, an array of shape (n, 2), or `Pair`s. y: words (contradiction,
    entailment, neutral; or contradiction, not_contradiction), or two values of which the greater means
    contradiction (0 and 1, False and True). A tenth of the pairs, with texts of their own, ends the fit and
    calibrates it.

    encoder: a sentence-transformers model, by name or folder. epochs, learning_rate, dropout, weight_decay:
    as in `kimera.models.FitOptions`. seed: of the split and of the fit. cache_dir: where vectors are kept, by
    default the user's cache folder; None keeps none.

    Attributes after `fit`: classes_, in the order of `predict_proba`'s columns; head_, the fitted
    `ContradictionHead`.
    """

    def __init__(
        self,
        encoder: str = DEFAULT_MODEL,
        epochs: int = FitOptions.epochs,
        learning_rate: float = FitOptions.learning_rate,
        dropout: float = FitOptions.dropout,
        weight_decay: float = FitOptions.weight_decay,
        seed: int = 0,
        cache_dir: str | Path | Literal["default"] | None = "default",
    ) -> None:
        self.encoder = encoder
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.seed = seed
        self.cache_dir = cache_dir

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KimeraClassifier:  # noqa: N803 (scikit-learn's)
        """Fits the head. Raises ValueError for pairs or labels of another kind than said above."""
        pairs = _pairs(X)
        self.classes_, label = _labels(y)
        if len(label) != len(pairs):
            raise ValueError(f"X has {len(pairs)} pairs and y {len(label)} labels")
        weight = np.ones(len(label)) if sample_weight is None else np.asarray(sample_weight)
        learn, held_out = self._split(pairs, label)
        with Encoder(self.encoder) as encoder:
            vectors, rows = self._embed(encoder, pairs)

            def examples(part: np.ndarray) -> Examples:
                return Examples(rows[part, 0], rows[part, 1], label[part], weight[part].astype(np.float32))

            options = FitOptions(
                epochs=self.epochs,
                learning_rate=self.learning_rate,
                dropout=self.dropout,
                weight_decay=self.weight_decay,
                seed=self.seed,
            )
            self.head_: ContradictionHead = fit(
                vectors,
                examples(learn),
                examples(held_out),
                encoder=encoder.fingerprint,
                encoder_name=encoder.name,
                options=options,
            )
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803 (scikit-learn's)
        """Calibrated probabilities, float32 of shape (n, classes), in the order of `classes_`."""
        check_is_fitted(self)
        with Encoder(self.encoder) as encoder:
            vectors, rows = self._embed(encoder, _pairs(X))
        probabilities = self.head_.predict(vectors[rows[:, 0]], vectors[rows[:, 1]])
        if len(self.classes_) == len(CLASSES):
            return probabilities[:, [CLASSES.index(name) for name in self.classes_]]
        contradiction = probabilities[:, CLASSES.index(CONTRADICTION)]
        columns = [contradiction, 1 - contradiction]
        return np.stack(columns if self.classes_[0] == CONTRADICTION else columns[::-1], axis=1)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803 (scikit-learn's)
        """The likeliest class of each pair, shape (n,)."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def _embed(self, encoder: Encoder, pairs: Sequence[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """(vectors of the distinct texts; int64 of shape (n, 2), the rows of each pair's texts)."""
        texts, rows = distinct(text for pair in pairs for text in pair)
        if self.cache_dir is None:
            cache = None
        else:
            cache = EmbeddingCache(None if self.cache_dir == "default" else self.cache_dir)
        return embed(texts, encoder, cache).vectors, rows.reshape(-1, 2)

    def _split(self, pairs: Sequence[tuple[str, str]], label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows to learn from and rows held out: of other first texts where both parts get both answers."""
        contradicts = label == LABELS.index(CONTRADICTION)
        groups = [first for first, _ in pairs]
        if len(set(groups)) > 1:
            grouped = GroupShuffleSplit(1, test_size=HELD_OUT_SHARE, random_state=self.seed)
            learn, held_out = next(grouped.split(groups, groups=groups))
            if all(0 < contradicts[part].sum() < len(part) for part in (learn, held_out)):
                return learn, held_out
        try:
            stratified = StratifiedShuffleSplit(
                1, test_size=max(HELD_OUT_SHARE, 2 / len(label)), random_state=self.seed
            )
            learn, held_out = next(stratified.split(groups, contradicts))
            return learn, held_out
        except ValueError as error:
            counts = f"{len(label)} pairs with {int(contradicts.sum())} contradictions"
            raise ValueError(f"{counts} are too few to fit on: {error}") from None


def _pairs(given: Any) -> list[tuple[str, str]]:
    pairs = [pair_of(item, number) for number, item in enumerate(given)]
    return [(pair.text1, pair.text2) for pair in pairs]


def _labels(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """(the classes, sorted; int64 of shape (n,), index into `LABELS`). Raises ValueError for others."""
    values = np.asarray(y)
    classes = np.unique(values)
    if set(classes.tolist()) in ({CONTRADICTION, NOT_CONTRADICTION}, set(CLASSES)):
        return classes, np.array([LABELS.index(value) for value in values.tolist()], dtype=np.int64)
    if len(classes) == 2 and classes.dtype.kind in "bif":
        yes, no = LABELS.index(CONTRADICTION), LABELS.index(NOT_CONTRADICTION)
        return classes, np.where(values == classes[1], yes, no).astype(np.int64)
    raise ValueError(
        f"y holds {classes.tolist()!r:.200}; expected {', '.join(CLASSES)}; or {CONTRADICTION}, "
        f"{NOT_CONTRADICTION}; or two numbers"
    )
