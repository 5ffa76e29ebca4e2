"""How likely a candidate of a scan is a contradiction, at the base rate of scans.

The cross-encoder was calibrated on labelled pairs, of which a third contradict; of a scan's candidates hardly
one in a thousand does, and most of what it finds are statements about different things. Two logistic
regressions put that right: one on what two statements share and in what they differ (`differences.FEATURES`),
and one on its log-odds together with those of the cross-encoder, which reads both orders.
`kimera/weights/SCAN_CARD.md` holds the figures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kimera.console import as_called
from kimera.corpus.differences import FEATURES
from kimera.errors import UserError
from kimera.files import write_text

SHIPPED_SCORES = Path(__file__).parents[1] / "weights" / "scan.json"
FORMAT = "kimera-scan-scores-2"
ROUNDING = 1e-9
CLIP = 5.0  # log-odds of the cross-encoder beyond this count as this
READ = ("without reading", "contradiction", "entailment")
"""What the second regression takes: the first one's log-odds; the cross-encoder's of the contradiction, the
lower of both orders; its log-odds of the entailment, the higher."""


@dataclass(frozen=True)
class ScanScores:
    """weights, intercept: of the first regression, by feature; read_weights, read_intercept: of the second.

    base_rate: the share of contradictions among candidates for which scores are calibrated. stages:
    fingerprints of the weights that they were fitted with, by stage. corpora: what they were fitted on.
    """

    weights: dict[str, float]
    intercept: float
    read_weights: dict[str, float]
    read_intercept: float
    base_rate: float
    stages: Mapping[str, str]
    corpora: Sequence[str]

    @classmethod
    def load(cls, path: Path = SHIPPED_SCORES) -> ScanScores:
        """Raises UserError for a file that cannot be read, or is of another version."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT or tuple(content["weights"]) != FEATURES:
                raise ValueError("it is of another version of Kimera")
            content["weights"] = {name: float(value) for name, value in content["weights"].items()}
            return cls(**content)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}; {_way_on()}") from error
        except (ValueError, TypeError, LookupError) as error:
            raise UserError(f"{path}: not a file of scan scores ({error}); {_way_on()}") from error

    def require(self, stages: Mapping[str, str]) -> None:
        """Raise `UserError` where a stage has other weights than those that the scores were fitted with."""
        for stage, fingerprint in self.stages.items():
            if stages.get(stage) != fingerprint:
                raise UserError(
                    f"the scores of scans were fitted with other weights of {stage}; fit them again with "
                    f"these ({as_called('kimera train')} FOLDER --stage scan), or take --pair-scores"
                )

    def save(self, path: Path) -> None:
        write_text(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    def without_reading(self, features: np.ndarray) -> np.ndarray:
        """Log-odds, float64 of shape (n,). features: of shape (n, features), as `Differences.of`."""
        return np.asarray(features @ np.array(list(self.weights.values())) + self.intercept)

    def of(self, log_odds: np.ndarray, contradiction: np.ndarray, entailment: np.ndarray) -> np.ndarray:
        """P(contradiction), float64 of shape (n,).

        log_odds: as `without_reading`. contradiction, entailment: probabilities by the cross-encoder, the
        lower and the higher one of both orders.
        """
        read = np.stack([log_odds, clipped(contradiction), clipped(entailment)], axis=1)
        logits = read @ np.array([self.read_weights[name] for name in READ]) + self.read_intercept
        return np.asarray(1 / (1 + np.exp(-logits)))

    def least_log_odds(self, score: float) -> float:
        """Without at least these from `without_reading`, no reading takes a pair to this score."""
        without, *reading = (self.read_weights[name] for name in READ)
        if not 0.0 < score < 1.0 or without <= 0:
            return -math.inf
        said = self.read_intercept + CLIP * sum(map(abs, reading))
        return (math.log(score / (1 - score)) - said) / without - ROUNDING

    def highest(self, log_odds: np.ndarray) -> np.ndarray:
        """What `of` can give at most, whatever the cross-encoder says."""
        sure, surely_not = np.ones(len(log_odds)), np.zeros(len(log_odds))
        ends = [
            self.of(log_odds, contradiction, entailment)
            for contradiction in (sure, surely_not)
            for entailment in (sure, surely_not)
        ]
        return np.asarray(np.max(ends, axis=0))


def _way_on() -> str:
    return f"fit scores with {as_called('kimera train')} --stage scan, or install Kimera again"


def clipped(probabilities: np.ndarray) -> np.ndarray:
    """As log-odds between -CLIP and CLIP."""
    inside = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-9, 1 - 1e-9)
    return np.clip(np.log(inside / (1 - inside)), -CLIP, CLIP)
