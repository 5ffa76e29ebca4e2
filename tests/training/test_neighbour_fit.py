"""The fit of a head for neighbours: what is drawn, what is learnt, and the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from kimera.models.encoder import Encoder
from kimera.models.neighbour_head import NeighbourHead
from kimera.pairs import Pair
from kimera.reactor import Reactor
from kimera.train import main
from kimera.training.neighbour_fit import (
    NeighbourFitOptions,
    ReadNeighbours,
    drawn_texts,
    fit_neighbour_head,
    scores_by,
)

OPTIONS = NeighbourFitOptions(width=4, hidden=(16,), epochs=6, batch_size=64)
THINGS = ["door", "window", "gate", "shop", "office", "garage", "museum", "bridge"]
STATES = ("open", "closed", "locked", "painted")


FOLDER = Encoder().folder
assert FOLDER


def neighbours() -> ReadNeighbours:
    """Two statements of a thing contradict each other where one says open and the other closed.

    The vectors tell nothing.
    """
    texts = [
        f"The {thing} of house {number} is {state}."
        for thing in THINGS
        for number in range(12)
        for state in STATES
    ]
    draw = np.random.default_rng(0)
    vectors = draw.standard_normal((len(texts), 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.arange(len(texts)).reshape(-1, len(STATES))
    pairs = np.concatenate([rows[:, [a, b]] for a in range(4) for b in range(4) if a != b])
    opposed = {"open", "closed"}
    contradicts = np.array(
        [{texts[a].split()[-1][:-1], texts[b].split()[-1][:-1]} == opposed for a, b in pairs]
    )
    taught = np.where(contradicts[:, None], [0.96, 0.02, 0.02], [0.04, 0.48, 0.48]).astype(np.float32)
    held_out = np.isin(pairs[:, 0] // 4 % 5, [0])
    return ReadNeighbours(
        texts, vectors, *pairs.T, taught, np.zeros(len(pairs), np.float32), held_out, contradicts
    )


def fitted(read: ReadNeighbours, seed: int = 0) -> NeighbourHead:
    torch.set_num_threads(1)
    return fit_neighbour_head(
        read,
        FOLDER,
        encoder="sha256:toy",
        encoder_name="toy",
        teacher="sha256:teacher",
        options=replace(OPTIONS, seed=seed),
    )


def test_it_learns_from_words_what_the_vectors_do_not_tell() -> None:
    read = neighbours()
    head = fitted(read)
    held_out = np.flatnonzero(read.is_held_out)
    scores, findings = scores_by(head, read, held_out, FOLDER), read.is_finding()[held_out]
    assert scores[findings].min() > 0.5 > scores[~findings].max()
    # so it leaves nearly all that the teacher calls a contradiction, and drops the others
    assert (scores[findings] >= head.floor_for(0.8)).mean() >= 0.95
    assert (scores[~findings] >= head.floor_for(0.8)).mean() == 0


def test_the_same_seed_gives_the_same_weights() -> None:
    read = neighbours()
    first, again, other = (fitted(read, seed).projection for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_texts_are_drawn_from_the_files_in_turn() -> None:
    files = [
        [Pair(f"first {number}", f"second   {number}") for number in range(50)],
        [Pair(f"third {number}", "the same") for number in range(5)],
    ]
    texts = drawn_texts(files, 12, 0)
    assert len(texts) <= 12
    assert texts == drawn_texts(files, 12, 0) != drawn_texts(files, 12, 1)
    assert sum(text.startswith("third") for text in texts) == 3
    assert not any("  " in text for text in texts)
    assert len(drawn_texts(files, 10_000, 0)) == 50 + 50 + 5 + 1


def test_a_file_of_pairs_that_are_too_few_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = tmp_path / "pairs.csv"
    rows = [f"The shop {number} is open.,The shop {number} is closed.,contradiction" for number in range(9)]
    pairs.write_text("\n".join(["text1,text2,label", *rows]) + "\n")
    assert main([str(pairs), "--stage", "neighbours", "--out", str(tmp_path / "n.safetensors")]) == 2
    assert "a fit needs" in capsys.readouterr().err
    assert not (tmp_path / "n.safetensors").exists()


@pytest.mark.slow
def test_a_head_fitted_on_a_file_has_a_card_and_tells_its_own_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    draw = Random(0)  # noqa: S311
    rows = ["text1,text2,label"]
    for number in range(100):
        thing, place = draw.choice(THINGS), f"on floor {number % 9} of house {number % 40}"
        rows.append(f"The {thing} {place} is painted.,Someone painted the {thing} {place}.,entailment")
        if number % 8 == 0:
            rows.append(f"The {thing} {place} is open.,The {thing} {place} is closed.,contradiction")
    Path("pairs.csv").write_text("\n".join(rows) + "\n")
    assert main(["pairs.csv", "--stage", "neighbours", "--epochs", "2", "--seed", "3"]) == 0
    head = NeighbourHead.load("neighbours.safetensors")
    assert [least for least, _ in head.floors] == [0.5, 0.7, 0.8, 0.9]
    assert head.teacher == Reactor(cache=None).weights["verify"]
    card = Path("neighbours.md").read_text()
    assert (
        "python -m kimera.train --stage neighbours pairs.csv --out neighbours.safetensors --epochs 2" in card
    )
    assert head.teacher in card
    assert "the floors mean little" in card
    told = capsys.readouterr()
    assert "| 0.98 | " in told.out + told.err
    assert main(["pairs.csv=0.5", "--stage", "neighbours"]) == 2
    assert "all files count the same" in capsys.readouterr().err
