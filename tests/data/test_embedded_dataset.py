"""The embedded datasets: unique, balanced, and without a cue in the second text alone."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks.data import EMBEDDED, EMBEDDED_FILES
from benchmarks.datasets import load_dataset
from kimera.pairs import Pair

HARD = "kimera-hard"
GRADES = {"plain", "moderate", "hard"}
DOMAINS = {"knowledge base", "support answer", "agent memory", "contract", "report"}
DATA = Path(__file__).parents[2] / "benchmarks" / "data"


@pytest.fixture(scope="module", params=[EMBEDDED, HARD])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def pairs(name: str) -> list[Pair]:
    return list(load_dataset(name))


def test_it_is_large_enough_and_varied(pairs: list[Pair], name: str) -> None:
    assert len(pairs) >= 600
    assert len({pair.category for pair in pairs}) >= (3 if name == EMBEDDED else 12)


def test_no_pair_and_no_second_text_stands_twice(pairs: list[Pair]) -> None:
    assert len({(pair.text1, pair.text2) for pair in pairs}) == len(pairs)
    assert len({pair.text2 for pair in pairs}) == len(pairs)
    assert len({pair.id for pair in pairs}) == len(pairs)


def test_every_category_has_its_share_of_contradictions(pairs: list[Pair], name: str) -> None:
    """A half in the hard set; from 42 to 48 % in the everyday one, where others are more common."""
    by_category: dict[str, Counter[bool | None]] = defaultdict(Counter)
    for pair in pairs:
        by_category[pair.category][pair.is_contradiction] += 1
    low, high = (0.42, 0.48) if name == EMBEDDED else (0.5, 0.5)
    for counts in by_category.values():
        assert min(counts.values()) >= 10
        assert low <= counts[True] / counts.total() <= high, by_category


def test_other_pairs_are_entailments_and_neutral_ones_alike(pairs: list[Pair]) -> None:
    labels = Counter(pair.label for pair in pairs)
    assert min(labels["entailment"], labels["neutral"]) >= 0.2 * len(pairs)


def test_lengths_differ_widely(pairs: list[Pair]) -> None:
    words = np.array([len(pair.text1.split()) for pair in pairs])
    assert np.percentile(words, 90) >= 2.5 * np.percentile(words, 10)
    assert np.percentile(words, 90) >= 28


def test_the_second_text_alone_does_not_tell_the_label(pairs: list[Pair]) -> None:
    """Words of text2, by TF-IDF and logistic regression, stay within 10 points of chance."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2))
    model = make_pipeline(words, LogisticRegression(max_iter=1000, class_weight="balanced"))
    accuracy = cross_val_score(
        model,
        [pair.text2 for pair in pairs],
        [pair.is_contradiction for pair in pairs],
        groups=[pair.text1 for pair in pairs],
        cv=GroupKFold(5),
        scoring="balanced_accuracy",
    ).mean()
    assert abs(accuracy - 0.5) <= 0.1


def test_neither_length_nor_a_negation_tells_a_contradiction(pairs: list[Pair]) -> None:
    """Means of text2: words within 2, the share with a negation within 10 points."""
    negations = {"not", "no", "never", "nobody", "none", "nothing", "neither", "nor", "without", "cannot"}
    is_contradiction = np.array([bool(pair.is_contradiction) for pair in pairs])
    words = [pair.text2.lower().replace(".", "").replace(",", "").split() for pair in pairs]
    lengths = np.array([len(text) for text in words])
    negated = np.array([not negations.isdisjoint(text) for text in words])
    assert abs(lengths[is_contradiction].mean() - lengths[~is_contradiction].mean()) <= 2
    assert abs(negated[is_contradiction].mean() - negated[~is_contradiction].mean()) <= 0.1


def test_each_grade_and_domain_of_the_default_has_at_least_thirty_pairs() -> None:
    lines = (DATA / EMBEDDED_FILES[EMBEDDED]).read_text(encoding="utf-8").splitlines()
    cells = Counter((row["grade"], row["domain"]) for row in map(json.loads, lines))
    assert set(cells) == {(grade, domain) for grade in GRADES for domain in DOMAINS}
    assert min(cells.values()) >= 30


def test_the_former_name_means_the_same_pairs_as_kimera_hard() -> None:
    assert load_dataset("kimera-pairs").sha256 == load_dataset(HARD).sha256 != load_dataset().sha256
