"""KimeraClassifier in the company of scikit-learn's own tools, with the packaged encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from kimera.classifier import KimeraClassifier

pytestmark = pytest.mark.slow  # whole runs, fits or installations

THINGS = ("car", "house", "door", "coat", "cup", "book", "boat", "chair")
COLOURS = ("red", "blue", "green", "white")
X = [
    (f"The {thing} is {colour}.", second)
    for thing in THINGS
    for colour in COLOURS
    for second in (f"The {thing} is not {colour}.", f"The {thing} has a colour.", "Somebody sings a song.")
]
THREE_WAY = ["contradiction", "entailment", "neutral"] * (len(X) // 3)
TWO_WAY = [int(label == "contradiction") for label in THREE_WAY]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> KimeraClassifier:
    return KimeraClassifier(epochs=12, cache_dir=tmp_path_factory.mktemp("cache"))


def test_it_learns_three_classes(classifier: KimeraClassifier) -> None:
    fitted = clone(classifier).fit(X, THREE_WAY)
    assert fitted.classes_.tolist() == ["contradiction", "entailment", "neutral"]
    assert fitted.score(X, THREE_WAY) > 0.9
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (len(X), 3)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(X)))


@pytest.mark.parametrize(
    "y",
    [
        TWO_WAY,
        np.array(TWO_WAY, dtype=bool),
        ["contradiction" if contradicts else "not_contradiction" for contradicts in TWO_WAY],
    ],
)
def test_it_learns_two_classes_in_every_form(classifier: KimeraClassifier, y) -> None:
    fitted = clone(classifier).fit(np.array(X), y)
    assert fitted.classes_.tolist() == np.unique(y).tolist()
    assert fitted.score(X, y) > 0.9
    column = fitted.classes_.tolist().index(np.asarray(y)[0])
    assert fitted.predict_proba(X[:1])[0, column] > 0.5


def test_it_works_in_a_pipeline_in_a_grid_search_and_in_cross_validation(
    classifier: KimeraClassifier,
) -> None:
    lower = FunctionTransformer(lambda pairs: [(first.lower(), second.lower()) for first, second in pairs])
    pipeline = Pipeline([("lower", lower), ("kimera", clone(classifier))])
    search = GridSearchCV(pipeline, {"kimera__learning_rate": [1e-9, 2e-3]}, cv=2).fit(X, THREE_WAY)
    assert search.best_params_ == {"kimera__learning_rate": 2e-3}
    assert cross_val_score(clone(classifier), X, TWO_WAY, cv=2).min() > 0.8


def test_a_weight_of_nothing_teaches_nothing(classifier: KimeraClassifier) -> None:
    """The labels of pairs that count for nothing may be turned round."""
    wrong = [
        1 - label if pair[0].startswith("The car") else label for pair, label in zip(X, TWO_WAY, strict=True)
    ]
    weight = [0.0 if pair[0].startswith("The car") else 1.0 for pair in X]
    assert clone(classifier).fit(X, wrong, sample_weight=weight).score(X, TWO_WAY) > 0.9


def test_the_same_seed_gives_the_same_head(classifier: KimeraClassifier) -> None:
    first, second = (clone(classifier).fit(X, TWO_WAY).head_.fingerprint for _ in range(2))
    assert first == second


def test_before_it_is_fitted_it_says_so() -> None:
    with pytest.raises(NotFittedError):
        KimeraClassifier().predict(X)


@pytest.mark.parametrize(
    ("pairs", "y", "message"),
    [
        (["a", "b"], [0, 1], "item 0 is 'a'; expected a Pair or two texts"),
        ([X[0], ("a", 1)], [0, 1], r"item 1 is \('a', 1\)"),
        (X, [0, 1], "96 pairs and y 2 labels"),
        (X[:3], [0, 1, 2], "expected contradiction, entailment, neutral"),
        (X[:3], ["yes", "no", "no"], "expected contradiction, entailment, neutral"),
        (X[:3], [0, 1, 0], "too few to fit on"),
    ],
)
def test_what_cannot_be_fitted_on_is_refused(pairs, y, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        KimeraClassifier(cache_dir=tmp_path).fit(pairs, y)
