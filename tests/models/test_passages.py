"""Long texts: split into sentences, bounded in what they cost, and the strongest contradiction counts."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.models.cross_encoder import CrossEncoder
from kimera.models.passages import MAX_PASSAGE_PAIRS, passage_pairs, sentences
from kimera.models.verification import Strongest, verify
from kimera.reactor import SHIPPED_CROSS_ENCODER, Reactor

FILLER = [f"Visitor number {number} bought a ticket and looked at the paintings." for number in range(60)]
PLANTED = "Two women are cooking in the kitchen of the museum."
CLAIM = "Nobody is in the kitchen of the museum."
LONG = " ".join([*FILLER[:40], PLANTED, *FILLER[40:]])


def test_sentences_end_where_sentences_end():
    text = "Dr. Smith went home. He slept.\n\nA new paragraph!"
    assert sentences(text) == ["Dr. Smith went home.", "He slept.", "A new paragraph!"]
    assert sentences(" ") == [" "]


# Few sentences, so that the two texts share some, and any text at all.
SENTENCES = st.sampled_from(["It rains.", "He sleeps!", "Is it so?", "?:", "rains."]) | st.text(max_size=60)
TEXTS = st.builds(
    lambda parts, times: " ".join(parts) * times, st.lists(SENTENCES, max_size=12), st.integers(1, 20)
)


@settings(max_examples=100)
@given(TEXTS, TEXTS, st.sampled_from([1, 2, 4, MAX_PASSAGE_PAIRS]))
def test_each_sentence_of_its_own_is_read_whole_on_its_side_against_all_of_the_other(one, other, maximum):
    parts = passage_pairs((one, other), maximum)
    assert 1 <= len(parts) <= maximum
    both = [set(sentences(text)) for text in (one, other)]
    own = [both[0] - both[1], both[1] - both[0]]
    passages = [{part[side] for part in parts} for side in (0, 1)]
    for side in (0, 1):
        assert [sentence for sentence in own[side] if not _whole_in_one(sentence, passages[side])] == []
    if any(own):
        assert set(parts) == set(product(*passages))


def _whole_in_one(sentence: str, passages: set[str]) -> bool:
    return any(f" {sentence} " in f" {passage} " for passage in passages)


@pytest.mark.slow
def test_the_strongest_contradiction_in_a_long_text_counts_and_is_named():
    reactor = Reactor(cache=None, stages="verify")
    planted, *harmless, short = reactor.detect(
        [
            (LONG, CLAIM),
            (" ".join(FILLER), "The paintings were seen by visitors."),
            (LONG, "Bananas are yellow."),
            (PLANTED, CLAIM),
        ]
    )
    assert planted.contradiction
    assert f'related sentences: "{PLANTED}" against "{CLAIM}"' in planted.reasoning
    assert "strongest" not in short.reasoning
    assert not any(verdict.contradiction for verdict in harmless)


def test_only_pairs_that_would_be_cut_are_split():
    cross_encoder = CrossEncoder(SHIPPED_CROSS_ENCODER)
    just_fits, too_long = ("word " * 126, "word " * 127), ("word " * 127, "word " * 127)  # 256 and 257
    assert cross_encoder.too_long([just_fits, too_long, ("a", "b")]).tolist() == [False, True, False]
    verified = verify([just_fits, (LONG, CLAIM)], cross_encoder, None)
    assert verified.strongest == {1: Strongest((PLANTED, CLAIM), of=61, cut=0)}
    assert verified.read == 1 + 61


@pytest.mark.slow
def test_a_huge_pair_costs_no_more_than_the_bound():
    """24 sentences against as many others are 576 pairs, more than twice the bound."""
    huge = [" ".join(f"Guest {number} saw {what}." for number in range(24)) for what in ("a lamp", "a vase")]
    verified = verify([(huge[0], huge[1])], CrossEncoder(SHIPPED_CROSS_ENCODER), None)
    assert 1 < verified.read <= MAX_PASSAGE_PAIRS
    assert verified.strongest[0].of == verified.read


def test_passages_that_are_themselves_too_long_are_said_to_be_cut():
    cross_encoder = CrossEncoder(SHIPPED_CROSS_ENCODER)
    verified = verify([("word " * 300, "One more sentence.")], cross_encoder, None)
    assert (verified.strongest[0].of, verified.strongest[0].cut) == (1, 1)


def test_the_score_of_a_long_pair_is_not_called_calibrated():
    [verdict] = Reactor(cache=None).detect([(LONG, CLAIM)])
    assert verdict.score_source == "passages"
    assert "weighed, the strongest of 8 pairs of related sentences" in verdict.reasoning


@pytest.mark.slow
def test_what_stands_in_both_texts_is_not_held_against_them():
    long = " ".join(FILLER * 12)
    [alike] = Reactor(cache=None).detect([(long, long)])
    assert not alike.contradiction
    assert passage_pairs(("One is. Two is.", "Two is. One is.")) == [
        ("One is.", "One is."),
        ("Two is.", "Two is."),
    ]
    assert passage_pairs(("One is. Two is.", "Two is. Three is.")) == [("One is.", "Three is.")]
