"""Long texts: split into sentences, bounded in what they cost, and the strongest contradiction counts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.cross_encoder import CrossEncoder
from kimera.passages import MAX_PASSAGE_PAIRS, passage_pairs, sentences
from kimera.reactor import SHIPPED_CROSS_ENCODER, Reactor
from kimera.verification import Strongest, verify

FILLER = [f"Visitor number {number} bought a ticket and looked at the paintings." for number in range(60)]
PLANTED = "Two women are cooking in the kitchen of the museum."
CLAIM = "Nobody is in the kitchen of the museum."
LONG = " ".join([*FILLER[:40], PLANTED, *FILLER[40:]])


def test_sentences_end_where_sentences_end():
    text = "Dr. Smith went home. He slept.\n\nA new paragraph!"
    assert sentences(text) == ["Dr. Smith went home.", "He slept.", "A new paragraph!"]
    assert sentences(" ") == [" "]


@settings(deadline=None, max_examples=50)
@given(
    st.text(max_size=400),
    st.integers(1, 40),
    st.text(max_size=400),
    st.integers(1, 40),
    st.sampled_from([1, 2, 4, MAX_PASSAGE_PAIRS]),
)
def test_every_sentence_of_its_own_is_in_a_passage_and_the_pairs_are_bounded(
    one, times, other, as_often, maximum
):
    pair = (one * times, other * as_often)
    parts = passage_pairs(pair, maximum)
    assert 1 <= len(parts) <= maximum
    both = [sentences(text) for text in pair]
    shared = set(both[0]) & set(both[1])
    for side in (0, 1):
        passages = list(dict.fromkeys(part[side] for part in parts))
        own = [sentence for sentence in both[side] if sentence not in shared] or both[side]
        assert set(" ".join(passages).split()) == set(" ".join(own).split())


def test_the_strongest_contradiction_in_a_long_text_counts_and_is_named():
    planted, harmless = Reactor(cache=None, stages="verify").detect(
        [(LONG, CLAIM), (" ".join(FILLER), "The paintings were seen by visitors.")]
    )
    assert planted.contradiction
    assert f'passages: "{PLANTED}" against "{CLAIM}"' in planted.reasoning
    (short,) = Reactor(cache=None, stages="verify").detect([(PLANTED, CLAIM)])
    assert planted.score == pytest.approx(short.score, abs=1e-6)
    assert "strongest" not in short.reasoning
    assert not harmless.contradiction


def test_only_pairs_that_would_be_cut_are_split():
    cross_encoder = CrossEncoder(SHIPPED_CROSS_ENCODER)
    just_fits, too_long = ("word " * 126, "word " * 127), ("word " * 127, "word " * 127)  # 256 and 257
    assert cross_encoder.too_long([just_fits, too_long, ("a", "b")]).tolist() == [False, True, False]
    verified = verify([just_fits, (LONG, CLAIM)], cross_encoder, None)
    assert verified.strongest == {1: Strongest((PLANTED, CLAIM), of=61, cut=0)}
    assert verified.read == 1 + 61


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
    assert "strongest of 61 pairs of passages" in verdict.reasoning


def test_what_stands_in_both_texts_is_not_held_against_them():
    long = " ".join(FILLER * 12)
    [alike] = Reactor(cache=None).detect([(long, long)])
    assert not alike.contradiction
    assert passage_pairs(("One is. Two is.", "Two is. One is.")) == [
        ("One is.", "One is."),
        ("Two is.", "Two is."),
    ]
    assert passage_pairs(("One is. Two is.", "Two is. Three is.")) == [("One is.", "Three is.")]
