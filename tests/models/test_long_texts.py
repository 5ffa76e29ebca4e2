"""Long evidence: what is read of it, and what the rule makes of what was read."""

from dataclasses import replace

import numpy as np
import pytest

from kimera.errors import UserError
from kimera.models.long_texts import (
    LONG_TEXT_RULE,
    MAX_SENTENCE_BYTES,
    is_fragment,
    related_sentences,
    split_sentence,
)
from kimera.reactor import Reactor

CLAIM = "The red door is closed today."
EVIDENCE = (
    "Definitions. 2. The red door is open today. A cat sleeps on the mat. Many people like green apples."
)


def by_shared_words(texts):
    """Unit vectors of the words that texts have: a stand-in for an encoder."""
    words = sorted({word for text in texts for word in text.lower().split()})
    rows = np.array([[word in text.lower().split() for word in words] for text in texts], np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_headings_and_numbers_are_fragments_and_statements_are_not():
    assert all(map(is_fragment, ["2.", "Definitions.", "# What this is about now", "3.1.4", ""]))
    assert not any(map(is_fragment, ["The door is open.", "A cat sleeps on mats."]))


def test_the_nearest_sentences_are_read_and_no_fragments():
    (related,) = related_sentences([(EVIDENCE, CLAIM)], by_shared_words, maximum=256, nearest=2)
    assert related.texts[0] == ("The red door is open today.", CLAIM)
    assert (len(related.texts), related.sentences) == (2, 3)


def test_the_longer_text_is_the_evidence_whichever_comes_first():
    (related,) = related_sentences([(CLAIM, EVIDENCE)], by_shared_words, maximum=1)
    assert related.texts == [("The red door is open today.", CLAIM)]
    assert related.as_given(0) == (CLAIM, "The red door is open today.")


def test_a_pair_of_long_texts_costs_no_more_than_the_bound():
    long = " ".join(f"Guest number {number} saw a lamp." for number in range(50))
    other = " ".join(f"Guest number {number} saw a vase." for number in range(50))
    (related,) = related_sentences([(long, other)], by_shared_words, maximum=16)
    assert len(related.texts) <= 16


def test_a_claim_that_stands_in_the_evidence_is_stated_whatever_the_network_says():
    (related,) = related_sentences([(EVIDENCE, "A cat sleeps on the mat.")], by_shared_words, maximum=256)
    whole, _ = LONG_TEXT_RULE.weigh(related, np.array([[0.9, 0.0, 0.1]] * len(related.texts)))
    assert whole[0] < 0.01
    assert whole[1] > 0.99  # entailed, not neutral


def test_where_both_texts_have_as_many_sentences_the_first_is_the_evidence():
    first, second = "Ann sold the red car. Bob left the town.", "Ann kept the red car. Bob left in May."
    for pair in ((first, second), (second, first)):
        (related,) = related_sentences([pair], by_shared_words, maximum=256)
        assert not related.is_swapped
        assert all(sentence in pair[0] for sentence, _ in related.texts)


def test_a_part_of_a_sentence_is_not_stated():
    evidence = "Nobody believes that Ann stole the ring. It was found later. Ann stole the show"
    claims = ["Ann stole the ring.", "It was found later", "Ann stole the show."]
    related = related_sentences([(evidence, claim) for claim in claims], by_shared_words, maximum=256)
    assert [bool(of_claim.is_copy.all()) for of_claim in related] == [False, True, True]


@pytest.mark.parametrize("text", ["x = 1; y = 2\n" * 200, "word " * 500, "é" * 900, "長" * 300])
def test_what_has_no_full_stops_is_split_and_nothing_is_lost(text):
    parts = split_sentence(text)
    assert max(len(part.encode("utf-8", "replace")) for part in parts) <= MAX_SENTENCE_BYTES
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_a_run_knows_the_rule_and_the_encoder_also_where_only_pairs_are_read():
    screen, verify = (Reactor(cache=None, stages=stages).fingerprints for stages in ("screen", "verify"))
    assert verify["long_texts"] == LONG_TEXT_RULE.fingerprint
    assert "long_texts" not in screen
    assert verify["encoder"] == screen["encoder"]
    assert replace(LONG_TEXT_RULE, offset=0.0).fingerprint != LONG_TEXT_RULE.fingerprint


def test_a_run_that_only_reads_goes_on_in_the_encoders_number_format_too():
    """Its vectors choose what is read of long texts."""
    reactor = Reactor(cache=None, stages="verify")
    reactor.take_settings(reactor.settings)
    with pytest.raises(UserError, match=r"the encoder .* would compute on"):
        reactor.take_settings({**reactor.settings, "encoder_fingerprint": "of another number format"})


def test_an_entailment_answers_a_weak_contradiction_elsewhere():
    (related,) = related_sentences([(EVIDENCE, CLAIM)], by_shared_words, maximum=256, nearest=2)
    alone, _ = LONG_TEXT_RULE.weigh(related, np.array([[0.6, 0.0, 0.4], [0.0, 0.0, 1.0]]))
    answered, _ = LONG_TEXT_RULE.weigh(related, np.array([[0.6, 0.0, 0.4], [0.0, 1.0, 0.0]]))
    assert answered[0] < alone[0]
