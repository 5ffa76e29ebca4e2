"""Texts to token ids, with the tokenizer that the packaged model brings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.errors import UserError
from kimera.models.cross_encoder import model_folder
from kimera.models.model_folders import DEFAULT_MODEL
from kimera.models.tokens import Tokenizer, batches_by_length

TOKENIZER = Tokenizer(model_folder(DEFAULT_MODEL), 16)


def test_a_pair_is_one_sequence_of_two_types() -> None:
    tokens = TOKENIZER.of_pairs([("The cat sleeps.", "It runs."), ("Yes", "No")])
    ids, mask, types = tokens.padded(np.array([0, 1]))
    assert ids[0].tolist() == [101, 1996, 4937, 25126, 1012, 102, 2009, 3216, 1012, 102]
    assert types[0].tolist() == [0] * 6 + [1] * 4
    assert mask.sum(axis=1).tolist() == tokens.lengths.tolist() == [10, 5]
    assert ids[1, 5:].tolist() == types[1, 5:].tolist() == [0] * 5


def test_the_longer_text_of_a_pair_is_cut_first() -> None:
    tokens = TOKENIZER.of_pairs([("cat " * 100, "a dog")])
    assert tokens.lengths.tolist() == [16]
    assert tokens.firsts.tolist() == [13]


def test_nothing_gives_nothing() -> None:
    tokens = TOKENIZER.of_texts([])
    assert len(tokens) == 0
    assert [array.shape for array in tokens.padded(np.arange(0))] == [(0, 0)] * 3


@given(st.lists(st.text(max_size=60), max_size=8))
@settings(max_examples=50, deadline=None)
def test_any_text_has_tokens_and_its_own_do_not_depend_on_its_neighbours(texts: list[str]) -> None:
    together = TOKENIZER.of_texts(texts)
    for row, text in enumerate(texts):
        alone = TOKENIZER.of_texts([text])
        ids, mask, _ = together.padded(np.array([row]))
        assert ids[0].tolist() == alone.ids.tolist()
        assert mask.all()


def test_lone_surrogates_are_read_as_question_marks() -> None:
    assert TOKENIZER.of_texts(["\ud800"]).ids.tolist() == TOKENIZER.of_texts(["?"]).ids.tolist()


def test_a_folder_without_a_tokenizer_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        Tokenizer(tmp_path, 16)


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1_000))
def test_batches_hold_each_row_once_and_keep_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(batches_by_length(np.array(lengths, dtype=np.int64), budget))
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget
