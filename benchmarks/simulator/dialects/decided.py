"""What the simulated judge says, as the probabilities that a decision model gives."""

from __future__ import annotations

import json
from typing import NamedTuple

from benchmarks.simulator.replies import Said
from kimera.pairs import CONTRADICTION, ENTAILMENT, NEUTRAL


class Decided(NamedTuple):
    """P(contradiction), and the likelier of the other two classes."""

    probability: float
    other: str

    @property
    def by_relation(self) -> dict[str, float]:
        """Adding up to 1: the likelier of the other two has nine tenths of what is left."""
        left = 1.0 - self.probability
        less = NEUTRAL if self.other == ENTAILMENT else ENTAILMENT
        return {CONTRADICTION: self.probability, self.other: 0.9 * left, less: 0.1 * left}


def decided(said: Said) -> Decided | None:
    """None where what is said is no verdict. One that cannot tell is as sure of either side."""
    try:
        stated = json.loads(said.content or "")
        confidence = 0.5 if stated["cannot_tell"] else float(stated["confidence"])
        relation = stated.get("relation", NEUTRAL)
        probability = confidence if stated["contradiction"] else 1.0 - confidence
        return Decided(probability, NEUTRAL if relation == CONTRADICTION else relation)
    except (ValueError, TypeError, KeyError):
        return None
