"""Whether a network says in int8 what it says in float32: measured on real pairs, and remembered."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kimera.files import write_text

PARITY_PAIRS = 256  # the most that are compared: seconds of work, and a rank correlation to about 0.001
MIN_PARITY_PAIRS = 64  # with fewer, two ranks that change places by chance decide
# Int8 that keeps a network's sense: 0.998 to 0.9996 for the shipped cross-encoder on 256 pairs of five public
# data sets, with mean differences of 0.005 to 0.008; 0.993 to 0.996 and 0.012 to 0.015 for a fitted MPNet
# on 700 pairs of three, where its AUC moved by +0.0003 to +0.009. Where one channel is far larger than the
# rest, it takes the whole range of a scale and the others round to zero: 0.93 at thirty times, 0.3 at three
# hundred (reports have AUC go from 0.94 to 0.51).
MIN_CORRELATION = 0.99
# Ranks say nothing of a shift that all scores share, which moves verdicts and calibration.
MAX_MEAN_DIFFERENCE = 0.02


@dataclass(frozen=True, slots=True)
class Parity:
    """correlation: Spearman's, of the scores, NaN where one side does not vary. pairs: how many it is of.

    mean_difference: of the scores, each taken as its absolute value.
    """

    correlation: float
    mean_difference: float
    pairs: int

    @property
    def passes(self) -> bool:
        return (
            self.pairs >= MIN_PARITY_PAIRS
            and self.correlation >= MIN_CORRELATION
            and self.mean_difference <= MAX_MEAN_DIFFERENCE
        )

    def as_settings(self) -> dict[str, float | None]:
        """For a report, JSON-ready; the correlation is None where there is none."""
        correlation = None if math.isnan(self.correlation) else round(self.correlation, 4)
        return {
            "int8_parity": correlation,
            "int8_mean_difference": round(self.mean_difference, 4),
            "int8_parity_pairs": self.pairs,
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Parity | None:
        """What `as_settings` gave, rounded as it is there; None where that is not among these."""
        if "int8_parity_pairs" not in settings:
            return None
        correlation, difference = settings["int8_parity"], settings["int8_mean_difference"]
        return cls(
            math.nan if correlation is None else correlation, difference, settings["int8_parity_pairs"]
        )

    def __str__(self) -> str:
        return (
            f"rank correlation {self.correlation:.4f} ({MIN_CORRELATION} is required), mean difference "
            f"{self.mean_difference:.4f} (at most {MAX_MEAN_DIFFERENCE}), on {self.pairs} pairs"
        )

    @classmethod
    def read(cls, path: Path) -> Parity | None:
        """What `write` wrote; None where there is nothing, or something else."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            told = json.loads(path.read_text(encoding="utf-8"))
            return cls(float(told["correlation"]), float(told["mean_difference"]), int(told["pairs"]))
        return None

    def write(self, path: Path) -> None:
        """Nothing happens where that fails: it is measured again then."""
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(asdict(self), indent=2) + "\n")


def parity(exact: np.ndarray, rounded: np.ndarray) -> Parity:
    """exact, rounded: P(contradiction) of the same pairs in float32 and in int8, of shape (n,)."""
    from scipy.stats import rankdata  # takes a moment, and is needed once for a model

    ranks = [rankdata(scores) - (len(scores) + 1) / 2 for scores in (exact, rounded)]
    norm = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    correlation = float((ranks[0] * ranks[1]).sum()) / norm if norm else float("nan")
    difference = float(np.abs(exact - rounded).mean()) if len(exact) else float("nan")
    return Parity(correlation, difference, len(exact))
