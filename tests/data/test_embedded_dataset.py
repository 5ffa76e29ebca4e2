"""The embedded dataset: unique, balanced, and without a cue in the second text alone."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from benchmarks.datasets import load_dataset
from kimera.pairs import Pair


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return list(load_dataset())


def test_it_is_large_enough_and_varied(pairs: list[Pair]) -> None:
    assert len(pairs) >= 400
    assert len({pair.category for pair in pairs}) >= 12


def test_no_pair_and_no_second_text_stands_twice(pairs: list[Pair]) -> None:
    assert len({(pair.text1, pair.text2) for pair in pairs}) == len(pairs)
    assert len({pair.text2 for pair in pairs}) == len(pairs)
    assert len({pair.id for pair in pairs}) == len(pairs)


def test_every_category_is_half_contradictions(pairs: list[Pair]) -> None:
    by_category: dict[str, Counter[bool | None]] = defaultdict(Counter)
    for pair in pairs:
        by_category[pair.category][pair.is_contradiction] += 1
    assert all(counts[True] == counts[False] >= 10 for counts in by_category.values()), by_category


def test_other_pairs_are_entailments_and_neutral_ones_alike(pairs: list[Pair]) -> None:
    labels = Counter(pair.label for pair in pairs)
    assert min(labels["entailment"], labels["neutral"]) >= 0.2 * len(pairs)


def test_lengths_differ_widely(pairs: list[Pair]) -> None:
    words = np.array([len(pair.text1.split()) for pair in pairs])
    assert np.percentile(words, 10) <= 8
    assert np.percentile(words, 90) >= 28


def test_the_second_text_alone_does_not_tell_the_label(pairs: list[Pair]) -> None:
    """Words of text2, by TF-IDF and logistic regression, stay within 10 points of chance."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    accuracy = cross_val_score(
        model,
        [pair.text2 for pair in pairs],
        [pair.is_contradiction for pair in pairs],
        groups=[pair.text1 for pair in pairs],
        cv=GroupKFold(5),
    ).mean()
    assert abs(accuracy - 0.5) <= 0.1
