"""NeighbourHead: what it takes of two texts, and files that may be anything."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.errors import UserError
from kimera.models.encoder import Encoder
from kimera.models.head import ContradictionHead
from kimera.models.neighbour_head import (
    BAGS,
    COUNTS,
    NeighbourHead,
    NeighbourScreen,
    Pieces,
    counts_of,
    split_pieces,
    word_vectors,
)
from kimera.models.weights_file import read_weights, write_weights
from kimera.reactor import SHIPPED_HEAD, Reactor
from kimera.shipped_weights import SHIPPED_CROSS_ENCODER, SHIPPED_NEIGHBOUR_HEAD

TEXTS = [
    "The door is open.",
    "The door is closed.",
    "A man sleeps on the old sofa.",
    "A man is awake on the old sofa.",
    "",
    "The door is open, the door is open.",
    "Unheardof Zwölfsilbigkeit!",
]
WORDS = ["door", "open", "closed", "the", "a", "man", "sofa"]
STATEMENTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


FOLDER = Encoder().folder
DIMENSION, VOCABULARY = 384, 30522
assert FOLDER


@pytest.fixture(scope="module")
def pieces() -> Pieces:
    return Pieces(FOLDER, VOCABULARY)


def head_of(width: int = 3, seed: int = 0, dimension: int = DIMENSION) -> NeighbourHead:
    draw = np.random.default_rng(seed)
    inputs = 4 * dimension + BAGS * width + COUNTS

    def drawn(*shape: int) -> np.ndarray:
        return (draw.standard_normal(shape) / shape[0] ** 0.5).astype(np.float16).astype(np.float32)

    layers = ((drawn(inputs, 8), drawn(8)), (drawn(8, 3), drawn(3)))
    floors = ((0.5, 0.1), (0.8, 0.3), (0.9, 0.2))
    return NeighbourHead(layers, drawn(dimension, width), "sha256:toy", "toy", "sha256:teacher", floors)


def test_pieces_of_a_text_are_told_once_each(pieces: Pieces) -> None:
    found = pieces.of(TEXTS)
    assert found.shape == (len(TEXTS), VOCABULARY)
    assert set(found.data.tolist()) == {1.0}
    assert set(found.indices[found.indptr[0] : found.indptr[1]]) < set(
        found.indices[found.indptr[5] : found.indptr[6]]
    )
    numbers = pieces.numbers(TEXTS)
    assert (pieces.of_numbers(numbers) != found).nnz == 0
    assert {each.dtype for each in numbers} == {np.dtype(np.int32)}


@settings(deadline=None)
@given(STATEMENTS, STATEMENTS)
def test_each_piece_is_of_one_text_or_of_both(pieces: Pieces, text: str, other: str) -> None:
    one, second = pieces.of([text]), pieces.of([other])
    split = split_pieces(one, second)
    held, held_by_other = (set(each.indices.tolist()) for each in (one, second))
    expected = [held - held_by_other, held_by_other - held, held & held_by_other]
    assert [set(each.indices.tolist()) for each in split] == expected
    vector = np.full((1, 4), 0.5, np.float32)
    cosine, share, *logs = counts_of(vector, vector, split)[0].tolist()
    assert cosine == pytest.approx(1)
    assert share == pytest.approx(len(expected[2]) / max(len(held | held_by_other), 1))
    assert np.expm1(logs) == pytest.approx([len(expected[2]), len(expected[0]), len(expected[1])], abs=1e-5)


def test_a_score_does_not_depend_on_the_pairs_beside_it(pieces: Pieces) -> None:
    screen = NeighbourScreen(head_of(), FOLDER)
    vectors = np.random.default_rng(0).standard_normal((len(TEXTS), 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first, second = (each.ravel() for each in np.meshgrid(np.arange(len(TEXTS)), np.arange(len(TEXTS))))
    of_texts = pieces.of(TEXTS)
    many = np.tile(np.arange(len(first)), 120)  # more than a block
    scores = screen.scores(vectors, of_texts, first[many], second[many])
    assert ((scores > 0) & (scores < 1)).all()
    assert np.ptp(scores) > 0.05
    alone = [screen.scores(vectors, of_texts, first[[at]], second[[at]])[0] for at in range(len(first))]
    np.testing.assert_allclose(scores, np.array(alone)[many], atol=1e-5)
    assert screen.scores(vectors, of_texts, first[:0], second[:0]).shape == (0,)


def test_a_saved_head_gives_the_same_scores(pieces: Pieces, tmp_path: Path) -> None:
    head = head_of()
    head.save(tmp_path / "a.safetensors")
    loaded = NeighbourHead.load(tmp_path / "a.safetensors")
    assert loaded.floors == head.floors
    vectors = np.random.default_rng(0).standard_normal((len(TEXTS), DIMENSION)).astype(np.float32)
    first, second = np.array([0, 2, 4]), np.array([1, 3, 5])
    given = vectors, pieces.of(TEXTS), first, second
    scores = [NeighbourScreen(each, FOLDER).scores(*given) for each in (head, loaded, head_of(seed=1))]
    assert (scores[0] == scores[1]).all()
    assert (scores[0] != scores[2]).all()


def test_the_floor_is_that_of_the_greatest_score_below() -> None:
    head, screen = head_of(), NeighbourScreen(head_of(), FOLDER)
    assert [head.floor_for(least) for least in (0.3, 0.5, 0.79, 0.8, 0.95)] == [0.0, 0.1, 0.1, 0.3, 0.2]
    assert [screen.can_drop(least) for least in (0.3, 0.5)] == [False, True]
    scores, characters = np.float32([0.05, 0.15, 0.35, 0.05]), np.array([80, 80, 80, 2000])
    assert screen.worth_reading(scores, characters, 0.8).tolist() == [False, False, True, True]
    assert screen.worth_reading(scores, characters, 0.5).tolist() == [False, True, True, True]


def test_a_head_of_other_dimensions_is_refused() -> None:
    with pytest.raises(UserError, match="does not fit"):
        _ = NeighbourScreen(head_of(dimension=100), FOLDER).pieces


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "another"}, "another"),
        ({"floors": [[0.8, 0.2], [0.5, 0.1]]}, "floors"),
        ({"floors": [[0.8, 1.2]]}, "floors"),
        ({"floors": 3}, "not iterable"),
    ],
)
def test_what_is_no_such_head_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "a.safetensors"
    head_of().save(path)
    tensors, metadata = read_weights(path)
    write_weights(path, tensors, metadata | change)
    with pytest.raises(UserError, match=message):
        NeighbourHead.load(path)


def test_layers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    head_of().save(path)
    tensors, metadata = read_weights(path)
    write_weights(path, tensors | {"projection": tensors["projection"][:, :2]}, metadata)
    with pytest.raises(UserError, match="does not fit"):
        NeighbourHead.load(path)
    with pytest.raises(UserError, match="not a head for neighbours"):
        NeighbourHead.load(SHIPPED_HEAD)
    with pytest.raises(UserError, match="there is no head for neighbours"):
        NeighbourHead.load(tmp_path / "none.safetensors")


def test_a_folder_without_word_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        word_vectors(tmp_path)


def test_the_shipped_one_is_of_the_shipped_weights() -> None:
    reactor = Reactor(cache=None)
    screen = reactor.neighbour_screen
    assert screen
    assert screen.can_drop(0.5)
    assert Reactor(cache=None, stages="screen").neighbour_screen is None  # no cross-encoder decides
    assert Reactor(cache=None, stages="verify").neighbour_screen is None  # nothing screens
    assert Reactor(cache=None, symmetric=True).neighbour_screen is None  # it was fitted to one order
    own = ContradictionHead.load(SHIPPED_HEAD)
    assert Reactor(cache=None, head=own, stages="both").neighbour_screen is None


def test_weights_of_ones_own_take_the_head_beside_them_that_was_fitted_to_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(SHIPPED_CROSS_ENCODER.read_bytes())
    assert Reactor(cache=None, cross_encoder=weights).neighbour_screen is None
    beside = tmp_path / "neighbours.safetensors"
    beside.write_bytes(SHIPPED_NEIGHBOUR_HEAD.read_bytes())
    assert Reactor(cache=None, cross_encoder=weights).neighbour_screen
    tensors, metadata = read_weights(beside)
    write_weights(beside, tensors, metadata | {"teacher": "sha256:another"})
    assert Reactor(cache=None, cross_encoder=weights).neighbour_screen is None
    assert f"note: {beside} was fitted to other weights" in capsys.readouterr().err
    beside.write_bytes(b"damaged")
    with pytest.raises(UserError, match="not a head for neighbours"):
        _ = Reactor(cache=None, cross_encoder=weights).neighbour_screen


def test_the_shipped_one_tells_neighbours_apart_better_than_the_head_for_pairs() -> None:
    """Near-copies that differ in what cannot both be, beside such as say the same."""
    contradict = [
        ("The shop opens at nine in the morning.", "The shop opens at ten in the morning."),
        ("The window of the office is open.", "The window of the office is closed."),
        ("The user is allergic to peanuts.", "The user is not allergic to peanuts."),
        ("A man is standing on the stage.", "A man is sitting on the stage."),
    ]
    agree = [
        ("The shop opens at nine in the morning.", "The shop opens at nine each morning."),
        ("The window of the office is open.", "The office's window is open."),
        ("The user is allergic to peanuts.", "The user has an allergy to peanuts."),
        ("A man is standing on the stage.", "A man stands on a stage."),
    ]
    reactor = Reactor(cache=None)
    screen = reactor.neighbour_screen
    assert screen
    texts = [text for pair in contradict + agree for text in pair]
    vectors = reactor.embed(list(dict.fromkeys(texts))).vectors
    place = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    first, second = np.array([place[text] for text in texts]).reshape(-1, 2).T
    scores = screen.scores(vectors, screen.pieces.of(list(place)), first, second)
    assert scores[:4].min() > scores[4:].max()
    floor = NeighbourHead.load(SHIPPED_NEIGHBOUR_HEAD).floor_for(0.8)
    assert scores[:4].min() > floor > np.median(scores[4:])
