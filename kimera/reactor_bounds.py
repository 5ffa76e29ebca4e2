"""The bounds within which a stage of the reactor leaves a pair to the next one.

Each stage costs about ten times what the one before it does and is surer. A pair whose calibrated score lies
outside a stage's bounds is settled by that stage: there, of pairs held out of every fit, it gave the verdict
of the deep stage alone in at least the stated share, by the lower limit of its interval. Nearly all of
those pairs were short, so one that does not fit the window of verify is settled by no stage before deep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kimera.detectors import THRESHOLD
from kimera.errors import UserError
from kimera.files import write_text
from kimera.reactor_stages import BOTH

Z = 1.645  # the 95 % quantile of the normal distribution
SETTLED = "pairs that fit the window"  # part of what names the bounds: which pairs they may settle


@dataclass(frozen=True, slots=True)
class Bounds:
    """Scores from `low` to `high` are left to the next stage."""

    low: float
    high: float

    def settles(self, scores: np.ndarray) -> np.ndarray:
        """Which pairs need no further stage: bool of shape (n,). scores: P(contradiction), shape (n,)."""
        return (scores < self.low) | (scores > self.high)


@dataclass(frozen=True)
class StageBounds:
    """Those of the two stages before deep.

    agreement: of the pairs settled on either side of a stage, the share that deep alone calls the same is at
    least this by its lower limit at 95 %.
    weights: fingerprints of the weights that they were found with, by stage; with others they mean nothing.
    pairs: how many they were found on; to_deep: the share of those that deep read.
    """

    screen: Bounds
    verify: Bounds
    agreement: float
    weights: Mapping[str, str]
    pairs: int
    to_deep: float

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
        write_text(Path(path), json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> StageBounds:
        """Raises `UserError` where the file is missing or not one that `save` wrote."""
        try:
            read = json.loads(Path(path).read_text(encoding="utf-8"))
            bounds = {name: Bounds(float(read[name]["low"]), float(read[name]["high"])) for name in BOTH}
            return cls(
                **bounds,
                agreement=float(read["agreement"]),
                weights=dict(read["weights"]),
                pairs=int(read["pairs"]),
                to_deep=float(read["to_deep"]),
            )
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} does not hold bounds of the reactor's stages ({type(error).__name__}: {error})"
            ) from error

    @property
    def fingerprint(self) -> str:
        """Names what decides which stage a pair comes to."""
        return json.dumps([asdict(self.screen), asdict(self.verify), SETTLED])

    def require(self, weights: Mapping[str, str]) -> None:
        """Raise `UserError` where a stage has other weights than those that the bounds were found with."""
        for stage, fingerprint in self.weights.items():
            if weights[stage] != fingerprint:
                raise UserError(
                    f"the bounds between the stages screen, verify and deep were found with other weights of "
                    f"{stage}. Use one stage, such as deep, or find the bounds of these weights"
                )


def find_bounds(
    screen: np.ndarray,
    verify: np.ndarray,
    deep: np.ndarray,
    agreement: float,
    weights: Mapping[str, str],
) -> StageBounds:
    """The widest bounds at which each stage agrees with deep so often, on either side.

    screen, verify, deep: calibrated P(contradiction) of the same n pairs, of shape (n,); none that a fit saw.
    """
    says = deep >= THRESHOLD
    first = _bounds(screen, says, agreement)
    left = ~first.settles(screen)
    second = _bounds(verify[left], says[left], agreement)
    to_deep = float((~second.settles(verify[left])).sum() / max(1, len(deep)))
    return StageBounds(first, second, agreement, dict(weights), len(deep), to_deep)


def _bounds(scores: np.ndarray, says: np.ndarray, agreement: float) -> Bounds:
    return Bounds(_low(scores, ~says, agreement), 1 - _low(1 - scores, says, agreement))


def _low(scores: np.ndarray, agrees: np.ndarray, agreement: float) -> float:
    """The greatest bound below which the pairs agree in at least this share, by its lower limit at 95 %.

    The limit is Wilson's (1927), since the bound is chosen on the pairs that it is found on. 0 where there is
    none. Half-way between two scores, and at most `THRESHOLD`, so that no stage overrules its own verdict.
    """
    order = np.argsort(scores, kind="stable")
    ordered = np.append(scores[order].astype(float), 1.0)
    share = _lower_limit(np.cumsum(agrees[order]), np.arange(1, len(order) + 1))
    middle = (ordered[:-1] + ordered[1:]) / 2
    good = np.flatnonzero((share >= agreement) & (ordered[:-1] < middle) & (middle <= THRESHOLD))
    return float(middle[good[-1]]) if len(good) else 0.0


def _lower_limit(successes: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Wilson's one-sided lower limit of a share, at 95 %."""
    p, spread = successes / n, Z**2 / n
    limit: np.ndarray = (p + spread / 2 - np.sqrt(spread * (p * (1 - p) + spread / 4))) / (1 + spread)
    return limit
