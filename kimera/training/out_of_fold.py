"""What does best out of fold of several ways to fit few pairs: tried, chosen, and told."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kimera.models import ContradictionHead, CrossEncoderWeights
from kimera.pairs import CONTRADICTION, Pair
from kimera.training.model_card import Description
from kimera.training.training_data import FOLDS

SEEDS, ALL = 3, -1  # ALL: the fold to leave out is none
AS_BEFORE, CALIBRATION, LAST_LAYER, NEW_WEIGHTS = "as before", "calibration", "last layer", "new weights"
BEFORE = (
    "all else is as in the weights\nthat were there before, and what these learnt from is on their own card."
)
HOW_FITTED = {
    AS_BEFORE: f"Nothing was fitted in this run: {BEFORE}",
    CALIBRATION: f"Only slope and offset were fitted in this run (L-BFGS); {BEFORE}",
    LAST_LAYER: "Only slope, offset and the last layer's weights for contradiction were fitted (L-BFGS);\n"
    + BEFORE,
    NEW_WEIGHTS: f"{{usual}}\nThe mean of {SEEDS} such fits, each of its own seed and ended by its own fold.",
}
Weights = ContradictionHead | CrossEncoderWeights
Predict = Callable[[Sequence[Pair]], np.ndarray]


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """What is fitted on. weight: what each pair counts. fold: of each pair, 0 to FOLDS - 1."""

    pairs: Sequence[Pair]
    weight: np.ndarray
    fold: np.ndarray
    truth: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", np.array([pair.label == CONTRADICTION for pair in self.pairs]))

    def of(self, rows: np.ndarray) -> list[Pair]:
        return [self.pairs[row] for row in np.flatnonzero(rows).tolist()]


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted candidate. members: what each seed alone predicts, where seeds decide anything."""

    predict: Predict
    weights: Weights
    members: Sequence[Predict] = ()


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to fit. fit: the fold to leave out, or `ALL`, to a model. how: said on the card.

    slow: given up if it is clearly worse on the first fold.
    """

    kind: str
    how: str
    fit: Callable[[int], Model]
    slow: bool = False


@dataclass(frozen=True, eq=False)
class Trial:
    """A candidate out of fold: its models, and of each pair P(contradiction) by the one that did not see it.

    members: the same by each seed alone.
    """

    candidate: Candidate
    models: Sequence[Model]
    scores: np.ndarray
    members: Sequence[np.ndarray]

    def loss(self, few: LabelledPairs) -> float:
        return float(np.average(_losses(self.scores, few.truth), weights=few.weight))

    def accuracy(self, few: LabelledPairs) -> float:
        return _accuracy(self.scores, few)

    def spread(self, few: LabelledPairs) -> str:
        """The least and the greatest accuracy of one seed alone."""
        of_each = [_accuracy(scores, few) for scores in self.members]
        return f"{min(of_each):.3f} to {max(of_each):.3f}" if of_each else "no seed"


def _accuracy(scores: np.ndarray, few: LabelledPairs) -> float:
    return float(((scores >= 0.5) == few.truth).mean())


def _losses(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Log loss of each pair."""
    likely = np.where(truth, scores, 1.0 - scores).astype(np.float64)
    return np.asarray(-np.log(np.maximum(likely, 1e-7)))


@dataclass(frozen=True, eq=False)
class SmallFit:
    """The candidate with the least loss out of fold, fitted on all pairs; and the best of each kind.

    given_up: kinds that were clearly worse on the first fold.
    """

    few: LabelledPairs
    best: Sequence[Trial]
    given_up: Sequence[str]
    chosen: Trial
    model: Model

    def out_of_fold(self, pairs: Sequence[Pair]) -> np.ndarray:
        """Probabilities, shape (n, 3), each by a model that did not see the pair.

        pairs: those of the fit, in either order.
        """
        few = zip(self.few.pairs, self.few.fold, strict=True)
        fold_of = {frozenset((pair.text1, pair.text2)): fold for pair, fold in few}
        fold = np.array([fold_of[frozenset((pair.text1, pair.text2))] for pair in pairs])
        probabilities = np.empty((len(pairs), 3), dtype=np.float32)
        for number, model in enumerate(self.chosen.models):
            rows = np.flatnonzero(fold == number)
            if len(rows):
                probabilities[rows] = model.predict([pairs[row] for row in rows.tolist()])
        return probabilities

    def described(self, description: Description) -> Description:
        """The description of the weights, true of such a fit."""
        fit = HOW_FITTED[self.chosen.candidate.kind].format(usual=description.fit)
        return replace(description, fit=fit, calibrated_on="as said\nunder Data")

    def tried(self) -> str:
        """What was tried, and what was chosen, as Markdown."""
        chosen = self.chosen.candidate
        text = (
            f"{len(self.few.pairs):,} pairs are too few for the usual fit. What did best out of fold was "
            f"chosen, by the log loss ({FOLDS} folds that share no text, or no premise where texts chain "
            f"most pairs together): {chosen.kind}{chosen.how and ', ' + chosen.how}."
        )
        if {trial.candidate.kind for trial in self.best} <= {AS_BEFORE, CALIBRATION}:
            text += " Of a cross-encoder, only a new calibration is tried on so few."
        return f"{textwrap.fill(text, 108)}\n\n{self.table()}\n"

    def told(self) -> str:
        """The same for the run."""
        return f"{self.tried()}--refit fits new weights the usual way."

    def table(self) -> str:
        """Of the best candidate of each kind its figures out of fold, as Markdown."""
        lines = ["| fitted | accuracy | log loss | accuracy by seed |", "| --- | --- | --- | --- |"]
        for trial in self.best:
            name = trial.candidate.kind + (" (chosen)" if trial is self.chosen else "")
            figures = (f"{figure(self.few):.3f}" for figure in (trial.accuracy, trial.loss))
            lines.append(f"| {' | '.join((name, *figures, trial.spread(self.few)))} |")
        lines += [f"| {kind} | given up after the first fold | | |" for kind in self.given_up]
        return "\n".join(lines)


def fit_small(few: LabelledPairs, candidates: Iterable[Candidate]) -> SmallFit:
    """Try the candidates out of fold, and fit the one with the least loss on all pairs.

    Of candidates of one kind only the best is shown. The one-standard-error rule, which would keep the
    calibration in case of doubt, was measured and did no better: see docs/reactor.md.
    """
    best: dict[str, Trial] = {}
    given_up = []
    for candidate in candidates:
        rival = min((trial for trial in best.values()), key=lambda trial: trial.loss(few), default=None)
        trial = _tried(candidate, few, rival if candidate.slow else None)
        if trial is None:
            given_up.append(candidate.kind)
        elif candidate.kind not in best or trial.loss(few) < best[candidate.kind].loss(few):
            best[candidate.kind] = trial
    chosen = min(best.values(), key=lambda trial: trial.loss(few))
    return SmallFit(few, list(best.values()), given_up, chosen, chosen.candidate.fit(ALL))


def _tried(candidate: Candidate, few: LabelledPairs, rival: Trial | None) -> Trial | None:
    """The candidate out of fold; None if on the first fold it is clearly worse than its rival."""
    models: list[Model] = []
    scores = np.zeros(len(few.pairs), dtype=np.float32)
    members: list[np.ndarray] = []
    for number in range(FOLDS):
        models.append(candidate.fit(number))
        members = members or [scores.copy() for _ in models[0].members]
        rows = few.fold == number
        if not rows.any():
            continue
        scores[rows] = models[-1].predict(few.of(rows))[:, 0]
        for alone, predict in zip(members, models[-1].members, strict=True):
            alone[rows] = predict(few.of(rows))[:, 0]
        if number == 0 and rival and _is_hopeless(scores[rows], rival.scores[rows], few.truth[rows]):
            return None
    return Trial(candidate, models, scores, members)


def _is_hopeless(scores: np.ndarray, of_rival: np.ndarray, truth: np.ndarray) -> bool:
    """Whether the loss is greater by more than two standard errors."""
    worse = _losses(scores, truth) - _losses(of_rival, truth)
    return bool(worse.mean() > 2 * worse.std() / np.sqrt(len(worse)))
