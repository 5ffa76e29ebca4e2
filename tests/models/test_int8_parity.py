"""Int8 passes where it ranks pairs as float32 does, and scores them alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kimera.models.int8_parity import Parity, parity


def test_parity_is_of_ranks_and_of_scores() -> None:
    scores = np.linspace(0, 1, 100)
    assert parity(scores, scores).passes
    assert str(parity(scores, scores**2)) == str(Parity(1.0, 0.165, 100))
    assert not parity(scores, scores**2).passes
    assert not parity(scores, scores[::-1]).passes
    assert not parity(scores, np.full(100, 0.5)).passes
    assert not parity(scores[:10], scores[:10]).passes


def test_what_is_remembered_is_what_was_found(tmp_path: Path) -> None:
    found = Parity(0.9975, 0.0125, 256)
    found.write(tmp_path / "models" / "it.json")
    assert Parity.read(tmp_path / "models" / "it.json") == found
    (tmp_path / "models" / "it.json").write_text("{")
    assert Parity.read(tmp_path / "models" / "it.json") is None
    assert Parity.read(tmp_path / "none.json") is None
