"""The bounds between the reactor's stages, found on pairs that no fit saw, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.pairs import Pair
from kimera.reactor import Reactor
from kimera.reactor_bounds import StageBounds, find_bounds
from kimera.reactor_stages import Stages
from kimera.training.training_data import Division, require_both_answers


def fit_bounds(
    parts: Division, agreement: float, models: Mapping[Stages, dict[str, Any]], cache: EmbeddingCache | None
) -> tuple[StageBounds, list[str]]:
    """(the bounds; what they cost, in words). models: what `Reactor` takes for each stage alone.

    Found on the half that fits of the same files with the same seed only measure.
    """
    require_both_answers(parts.report, "held-out")
    pairs = [pair for file in parts.report for pair in file.pairs]
    scores: dict[str, np.ndarray] = {}
    weights: dict[str, str] = {}
    for stage, theirs in models.items():
        with Reactor(stages=stage, cache=cache, **theirs) as reactor:
            scores[stage] = _scores(reactor, pairs)
            weights |= reactor.weights
    bounds = find_bounds(scores["screen"], scores["verify"], scores["deep"], agreement, weights)
    truth = np.array([bool(pair.is_contradiction) for pair in pairs])
    return bounds, list(_told(bounds, scores, truth))


def _scores(reactor: Reactor, pairs: Sequence[Pair]) -> np.ndarray:
    """P(contradiction) of each pair; 0 where a text is empty."""
    return np.array([getattr(outcome, "score", 0.0) for outcome in reactor.stream(pairs)], dtype=np.float64)


def _told(bounds: StageBounds, scores: dict[str, np.ndarray], truth: np.ndarray) -> Iterator[str]:
    from sklearn.metrics import roc_auc_score  # takes a second, and mistaken flags need none

    by_screen = bounds.screen.settles(scores["screen"])
    by_verify = ~by_screen & bounds.verify.settles(scores["verify"])
    mixed = np.where(by_screen, scores["screen"], np.where(by_verify, scores["verify"], scores["deep"]))
    yield (
        f"of {bounds.pairs:,} held-out pairs screen settles {by_screen.mean():.1%}, verify "
        f"{by_verify.mean():.1%}, and deep reads {bounds.to_deep:.1%}"
    )
    alone, together = (float(roc_auc_score(truth, values)) for values in (scores["deep"], mixed))
    yield f"AUC of deep alone {alone:.4f}, of the three stages {together:.4f}"
