"""Bounds are found for the weights that are given, on the half of the pairs that no fit used."""

from pathlib import Path

import numpy as np
import pytest
from tiny_models import random_weights, write_tiny_model

from kimera.errors import UserError
from kimera.models import DataSet
from kimera.models.cross_encoder import CrossEncoder
from kimera.pairs import CONTRADICTION, ENTAILMENT, Pair
from kimera.reactor import Reactor
from kimera.reactor_bounds import StageBounds
from kimera.training.fitting_bounds import fit_bounds
from kimera.training.training_data import Division, LabelledFile

PAIRS = [
    Pair(f"The {thing} is {colour}.", f"The {thing} {said}.", label=label)
    for thing in ("car", "house", "door", "coat", "cup", "boat")
    for colour in ("red", "blue", "green", "white")
    for said, label in ((f"is not {colour}", CONTRADICTION), ("has a colour", ENTAILMENT))
]


def division(report: list[Pair]) -> Division:
    others = [Pair("Nothing here is read.", "By nobody.", label=CONTRADICTION)]
    parts = ([LabelledFile(DataSet("pairs"), pairs)] for pairs in (others, others, report))
    return Division(*parts, left_out=0, sources=[])


def test_three_stages_that_take_them_leave_as_many_pairs_to_deep_as_was_said(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    folder = write_tiny_model(tmp_path_factory.mktemp("deep"))
    deep = CrossEncoder(random_weights(folder), folder, precision="float32", cache_dir=tmp_path)
    bounds, told = fit_bounds(
        division(PAIRS), 0.6, {"screen": {}, "verify": {}, "deep": {"deep": deep}}, None
    )
    assert (bounds.pairs, bounds.agreement) == (len(PAIRS), 0.6)
    assert told[0].startswith(f"of {len(PAIRS)} held-out pairs screen settles ")
    bounds.save(tmp_path / "bounds.json")
    reactor = Reactor(cache=None, stages="screen,verify,deep", deep=deep, bounds=tmp_path / "bounds.json")
    outcomes = reactor.detect(PAIRS)
    assert reactor.counts["to_deep"] == round(bounds.to_deep * len(PAIRS))
    says = deep.predict([(pair.text1, pair.text2) for pair in PAIRS])[:, 0] >= 0.5
    assert np.mean([outcome.contradiction for outcome in outcomes] == says) >= 0.6
    assert StageBounds.load(tmp_path / "bounds.json") == bounds


def test_a_half_with_one_answer_alone_finds_none() -> None:
    with pytest.raises(UserError, match="the held-out part has 0 contradictions among 1 pairs"):
        fit_bounds(division([Pair("a", "b", label=ENTAILMENT)]), 0.99, {}, None)
