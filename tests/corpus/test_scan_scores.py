"""What tells a contradiction from a neighbour, and the scores that are made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.perf.planting import TO_MEASURE_BY
from kimera.corpus.differences import FEATURES, Differences
from kimera.corpus.scan_scores import SHIPPED_SCORES, ScanScores
from kimera.corpus.texts import NO_CONTEXT, Context, Corpus, Statement
from kimera.errors import UserError
from kimera.reactor import Reactor
from kimera.training.changed_statements import plants_of
from kimera.training.planting import planted

SAYS = "The worker closes an idle connection after 30 seconds and logs its address."
OTHERS = {
    "number": "The worker closes an idle connection after 90 seconds and logs its address.",
    "negation": "The worker never closes an idle connection after 30 seconds and logs its address.",
    "opposite": "The worker opens an idle connection after 30 seconds and logs its address.",
    "name": "The worker closes an idle connection after 30 seconds and logs its IPAddress.",
}

OTHERS_OF_A_NUMBER = (SAYS, OTHERS["number"])


def features_of(
    one: str, other: str, context: Context = NO_CONTEXT, other_context: Context = NO_CONTEXT
) -> dict[str, float]:
    corpus = Corpus()
    said = [(one, context), ("Something else is said here.", NO_CONTEXT), (other, other_context)]
    for line, (text, about) in enumerate(said, 1):
        corpus.add(Statement(text, "a.md", 20 * line, context=about))
    values = Differences(corpus).of(np.array([0]), np.array([2]), np.array([0.9]))
    return dict(zip(FEATURES, values[0].tolist(), strict=True))


@pytest.mark.parametrize("kind", ["number", "negation"])
def test_a_difference_of_one_kind_is_told_as_that_kind_alone(kind: str) -> None:
    features = features_of(SAYS, OTHERS[kind])
    assert [name for name in ("number", "negation", "opposite", "obligation") if features[name]] == [kind]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The worker no longer closes an idle connection after 30 seconds and logs its address.", "negation"),
        ("The worker closes a useless connection after 30 seconds and logs its address.", "opposite"),
    ],
)
def test_no_longer_denies_and_wordnets_antonyms_are_opposites(text: str, kind: str) -> None:
    assert features_of(SAYS.replace("an idle", "a useful"), text)[kind]


def recurring(statements: Sequence[str]) -> list[int]:
    """Of each statement and the next one in every pair, how many other pairs differ in that way."""
    corpus = Corpus()
    for line, text in enumerate(statements, 1):
        corpus.add(Statement(text, "a.md", line))
    rows = np.array([corpus.texts.index(text) for text in statements]).reshape(-1, 2)
    values = Differences(corpus).of(rows[:, 0], rows[:, 1], np.full(len(rows), 0.9))
    return [round(value) for value in np.expm1(values[:, FEATURES.index("recurring")])]


def test_what_differs_in_one_way_in_every_row_recurs() -> None:
    rows = [
        f"{maker} charges 2 dollars per million {side} tokens of {maker}-{size}."
        for maker in ("Ash", "Oak", "Elm")
        for size in range(40)
        for side in ("input", "output")
    ]
    odd = [
        "Ash charges 2 dollars per million input tokens of Ash-7.",
        "Ash charges 5 dollars per million input tokens of Ash-7.",
    ]
    denied = ["Elm charges for input tokens.", "Elm never charges for input tokens."] * 2
    told = recurring([*rows, *odd, *denied])
    assert min(told[:120]) >= 39  # of the same maker at least
    assert told[120:] == [0, 0, 0]


def test_what_differs_in_a_number_alone_recurs_where_all_else_is_the_same() -> None:
    versions = [f"Version 3.{minor} of the driver is supported on Linux." for minor in range(12)]
    assert recurring([*versions, *OTHERS_OF_A_NUMBER]) == [5] * 6 + [0]


def test_statements_whose_headings_differ_in_the_same_words_are_told_apart() -> None:
    windows, linux = "On Windows the file is kept for 30 days.", "On Linux the file is kept for 90 days."
    headed = features_of(windows, linux, Context(("Setup", "Windows")), Context(("Setup", "Linux")))
    before = features_of(windows, linux, Context(before="windows_log"), Context(before="linux_log"))
    elsewhere = features_of(windows, linux, Context(("Setup", "Windows")), Context(("Questions",)))
    assert headed["told_apart"]
    assert before["told_apart"]
    assert not elsewhere["told_apart"]
    scores = ScanScores.load()
    apart, not_apart = scores.without_reading(np.array([list(headed.values()), list(elsewhere.values())]))
    assert apart < not_apart - 3


def test_words_that_only_changed_their_place_are_no_difference() -> None:
    features = features_of("After 30 seconds the worker stops.", "The worker stops after 30 seconds.")
    assert not features["replaced"] + features["added"] + features["typed"]


def test_another_number_of_the_same_thing_scores_above_the_same_of_another_thing() -> None:
    scores = ScanScores.load()
    contradicts = features_of(SAYS, OTHERS["number"])
    neighbour = features_of(
        SAYS, "The parser closes an idle database after 90 seconds and logs its checksum."
    )
    both = np.array([list(contradicts.values()), list(neighbour.values())])
    contradicting, of_another = scores.without_reading(both)
    assert contradicting > of_another + 3


@given(st.floats(-15, 5), st.floats(0, 1), st.floats(0, 1))
def test_no_reading_takes_a_pair_above_what_it_can_reach(
    log_odds: float, contradiction: float, entailment: float
) -> None:
    scores, before = ScanScores.load(), np.array([log_odds])
    score = scores.of(before, np.array([contradiction]), np.array([entailment]))
    assert score <= scores.highest(before) + 1e-12


def test_scores_of_another_version_are_an_error(tmp_path: Path) -> None:
    content = json.loads(SHIPPED_SCORES.read_text())
    (tmp_path / "scan.json").write_text(json.dumps(content | {"format": "kimera-scan-scores-0"}))
    with pytest.raises(UserError, match="another version"):
        ScanScores.load(tmp_path / "scan.json")


def test_scores_are_refused_with_other_weights_than_they_were_fitted_with() -> None:
    scores = ScanScores.load()
    with Reactor(stages="both") as reactor:
        scores.require(reactor.weights)
        with pytest.raises(UserError, match="other weights of verify; fit them again"):
            scores.require(reactor.weights | {"verify": "sha256:0"})


def test_what_is_planted_is_the_same_each_time_and_stands_in_the_corpus() -> None:
    texts = [
        f"The option number {place} is enabled by default for {place + 7} seconds." for place in range(40)
    ]
    statements = [Statement(text, "a.md", line) for line, text in enumerate(texts, 1)]
    made = planted(statements, 12, 4, TO_MEASURE_BY, seed=3)
    assert made.plants == plants_of(texts, 12, TO_MEASURE_BY, 3)
    assert len(made.plants) == 12
    assert {plant.text for plant in (*made.plants, *made.harmless)} <= set(made.corpus.texts)
    assert made.label(made.plants[0].text, made.plants[0].source) == "planted"
