"""Pairs whose second text alone tells the label count less, those that it would mislead about count more."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from tiny_models import write_tiny_model

from kimera.errors import UserError
from kimera.models import DataSet
from kimera.pairs import Pair
from kimera.train import main
from kimera.training.hypothesis_only import MAX_WEIGHT, MIN_WEIGHT, reweighted
from kimera.training.training_data import LabelledFile

SUBJECTS = ("harbour", "museum", "tower", "bridge", "market")


def pair(number: int, says_never: bool, label: str, weight: float = 1.0) -> Pair:
    subject = SUBJECTS[number % len(SUBJECTS)]
    second = f"The {subject} {'never opens' if says_never else 'opens each day'}"
    return Pair(f"Note {number} on the {subject}.", second, label=label, weight=weight)


def cued(count: int, share: float) -> LabelledFile:
    """Where the second text says "never", so large a share contradicts, and of the others the rest."""
    draw = Random(0)  # noqa: S311 - made data
    labels = [(number % 2 == 0, draw.random() < share) for number in range(count)]
    return LabelledFile(
        DataSet("made"),
        [
            pair(number, never, "contradiction" if never == usual else "entailment")
            for number, (never, usual) in enumerate(labels)
        ],
    )


def test_a_pair_counts_the_less_the_more_its_second_text_tells() -> None:
    file = cued(400, 0.9)
    weighted, auc = reweighted(file, "made.csv")
    assert 0.8 < auc < 1
    is_usual = np.array([each.is_contradiction == ("never" in each.text2) for each in file.pairs])
    weights = np.array([each.weight for each in weighted.pairs])
    assert weights[is_usual].max() < 1 < weights[~is_usual].min()
    assert weights.min() >= MIN_WEIGHT
    assert weights.max() <= MAX_WEIGHT


def test_where_the_second_text_tells_nothing_all_count_alike_and_own_weights_stay() -> None:
    file = cued(400, 0.5)
    doubled = LabelledFile(
        file.data_set, [Pair(p.text1, p.text2, label=p.label, weight=2) for p in file.pairs]
    )
    weighted, auc = reweighted(doubled, "made.csv")
    assert auc == pytest.approx(0.5, abs=0.1)
    assert all(each.weight == pytest.approx(2, rel=0.35) for each in weighted.pairs)


def test_a_file_of_which_nothing_can_be_learnt_is_refused() -> None:
    few = [pair(number, False, "contradiction" if number else "neutral") for number in range(3)]
    with pytest.raises(UserError, match=r"--reweight made\.csv: too few pairs"):
        reweighted(LabelledFile(DataSet("made"), few), "made.csv")
    with pytest.raises(UserError, match="0 contradictions among 1 pairs"):
        reweighted(LabelledFile(DataSet("made"), few[:1]), "made.csv")


def test_only_a_training_file_can_be_reweighted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("text1,text2,label\na,b,contradiction\n")
    assert main([str(path), "--reweight", str(tmp_path / "other.csv")]) == 2
    assert "other.csv is not one of the training files" in capsys.readouterr().err
    path.write_text("text1,text2,label\n" + "".join(f"a{n},b{n},{n % 2}\n" for n in range(40)))
    assert main([f"{path}=0.5", "--reweight", f"{path}=0.5"]) == 2
    assert "--reweight has no effect on a fit from so few pairs (40)" in capsys.readouterr().err
    assert main([str(path), "--stage", "bounds", "--reweight", str(path)]) == 2
    assert "--reweight has no effect with --stage bounds" in capsys.readouterr().err


def test_the_card_names_the_flag_and_what_it_came_to_and_the_halves_count_as_they_stand(
    tmp_path: Path,
) -> None:
    model = write_tiny_model(tmp_path / "model")
    lines = [f'"{p.text1}","{p.text2}",{p.label}\n' for p in cued(600, 0.9).pairs]
    (tmp_path / "pairs.csv").write_text("text1,text2,label\n" + "".join(lines))
    out = tmp_path / "head.safetensors"
    command = [f"{tmp_path / 'pairs.csv'}=0.5", "--encoder", str(model), "--refit", "--epochs", "1"]
    assert main([*command, "--out", str(out), "--no-cache"]) == 0
    plain = out.with_suffix(".md").read_text("utf-8")
    assert main([*command, "--out", str(out), "--no-cache", "--reweight", str(tmp_path / "pairs.csv")]) == 0
    card = out.with_suffix(".md").read_text("utf-8")
    assert "--reweight DATA/pairs.csv" in card
    assert "pairs weighted by how little their second text alone tells the label (AUC 0." in card
    assert "sample_weight" not in card
    held_out = [row for row in card.splitlines() if row.startswith("| all |")]
    assert held_out
    assert held_out[0].split("|")[2:4] == next(
        row.split("|")[2:4] for row in plain.splitlines() if row.startswith("| all |")
    )
