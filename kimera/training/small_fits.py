"""Few labelled pairs: of calibration, last layer and new weights what does best out of fold, and how well."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.models import (
    ContradictionHead,
    CrossEncoder,
    CrossEncoderWeights,
    Encoder,
    Examples,
    FitOptions,
    averaged,
    calibrated_probabilities,
    contradiction_logit,
    embed,
    fit,
)
from kimera.pairs import CONTRADICTION, Pair
from kimera.training.model_card import Description
from kimera.training.training_data import (
    FOLDS,
    Division,
    LabelledFile,
    TextVectors,
    distinct_texts,
    folds_of,
    labels_and_weights,
)

if TYPE_CHECKING:
    from kimera.training.train_settings import TrainSettings  # which shows this module's figures

# With fewer pairs, fits by the usual recipe did worse than the shipped weights, or differed by seed.
FEW_PAIRS = {"screen": 3000, "verify": 1000, "deep": 1000}
SEEDS, ALL = 3, -1  # ALL: the fold to leave out is none
AS_BEFORE, CALIBRATION, LAST_LAYER, NEW_WEIGHTS = "as before", "calibration", "last layer", "new weights"
# How strongly slope and offset are held to the old ones, in pairs that speak for them.
HOLDS = (300.0, 100.0, 30.0, 10.0, 3.0)
PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)  # of what is added to the last layer, squared
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
OF_FEW = FitOptions(hidden=(64,), epochs=30, patience=3, batch_size=64)  # of more, seeds differed more
LEAST_SLOPE = 0.05  # a last layer is divided by it

Weights = ContradictionHead | CrossEncoderWeights
Predict = Callable[[Sequence[Pair]], np.ndarray]


@dataclass(frozen=True, eq=False)
class Readings:
    """What weights make of n pairs: logits (n, 3), and what their last layer reads, (n, d), or (n, 0)."""

    logits: np.ndarray
    hidden: np.ndarray


Read = Callable[[Sequence[Pair]], Readings]


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
        return [self.pairs[row] for row in np.flatnonzero(rows)]


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted candidate. members: what each seed alone predicts, where seeds decide anything."""

    predict: Predict
    weights: Weights
    members: Sequence[Predict] = ()


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to fit. fit: the fold to leave out, or `ALL`, to a model. how: said on the card."""

    kind: str
    how: str
    fit: Callable[[int], Model]


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
        likely = np.where(few.truth, self.scores, 1.0 - self.scores).astype(np.float64)
        return float(np.average(-np.log(np.maximum(likely, 1e-7)), weights=few.weight))

    def accuracy(self, few: LabelledPairs) -> float:
        return _accuracy(self.scores, few)

    def spread(self, few: LabelledPairs) -> str:
        """The least and the greatest accuracy of one seed alone."""
        of_each = [_accuracy(scores, few) for scores in self.members]
        return f"{min(of_each):.3f} to {max(of_each):.3f}" if of_each else "no seed"


def _accuracy(scores: np.ndarray, few: LabelledPairs) -> float:
    return float(((scores >= 0.5) == few.truth).mean())


@dataclass(frozen=True, eq=False)
class SmallFit:
    """The candidate with the least loss out of fold, fitted on all pairs; and the best of each kind."""

    few: LabelledPairs
    best: Sequence[Trial]
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
                probabilities[rows] = model.predict([pairs[row] for row in rows])
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
        return "\n".join(lines)


def fit_small(few: LabelledPairs, candidates: Iterable[Candidate]) -> SmallFit:
    """Try the candidates out of fold, and fit the one with the least loss on all pairs.

    Of candidates of one kind only the best is shown. The one-standard-error rule, which would keep the
    calibration in case of doubt, was measured and did no better: see docs/reactor.md.
    """
    best: dict[str, Trial] = {}
    for candidate in candidates:
        trial = _tried(candidate, few)
        if candidate.kind not in best or trial.loss(few) < best[candidate.kind].loss(few):
            best[candidate.kind] = trial
    chosen = min(best.values(), key=lambda trial: trial.loss(few))
    return SmallFit(few, list(best.values()), chosen, chosen.candidate.fit(ALL))


def _tried(candidate: Candidate, few: LabelledPairs) -> Trial:
    models = [candidate.fit(number) for number in range(FOLDS)]
    scores = np.empty(len(few.pairs), dtype=np.float32)
    members = [scores.copy() for _ in models[0].members]
    for number, model in enumerate(models):
        rows = few.fold == number
        left_out = few.of(rows)
        if not left_out:
            continue
        scores[rows] = model.predict(left_out)[:, 0]
        for alone, predict in zip(members, model.members, strict=True):
            alone[rows] = predict(left_out)[:, 0]
    return Trial(candidate, models, scores, members)


@dataclass(frozen=True, eq=False)
class LastLayer:
    """P(contradiction) = sigmoid(slope * logit + offset + hidden @ shift). shift: of shape (d,), or (0,)."""

    slope: float
    offset: float
    shift: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def predict(self, readings: Readings) -> np.ndarray:
        """Probabilities of shape (n, 3)."""
        logits = readings.logits.copy()
        if len(self.shift):
            logits[:, 0] += readings.hidden @ (self.shift / self.slope)
        return calibrated_probabilities(logits, self.slope, self.offset)

    def applied_to(self, weights: Weights) -> Weights:
        if isinstance(weights, ContradictionHead) and len(self.shift):
            weights = weights.shifted(self.shift / self.slope)
        return replace(weights, slope=self.slope, offset=self.offset)


def last_layers(few: LabelledPairs, weights: Weights, read: Read) -> Iterator[Candidate]:
    """The weights as they are; with a new calibration; and, where it is known, with a new last layer."""
    old, readings = LastLayer(weights.slope, weights.offset), read(few.pairs)

    def candidate(kind: str, hold: float | None, penalty: float | None) -> Candidate:
        def fit_without(left_out: int) -> Model:
            rows = few.fold != left_out
            seen = Readings(readings.logits[rows], readings.hidden[rows, : None if penalty else 0])
            fitted = old
            if hold is not None:
                fitted = held_to(old, hold, penalty or 0.0, seen, few.truth[rows], few.weight[rows])
            return Model(lambda pairs: fitted.predict(read(pairs)), fitted.applied_to(weights))

        held = f"slope and offset held to the old ones by {hold:g}" if hold else ""
        how = held + (f", with a penalty of {penalty:g} on the new last layer" if penalty else "")
        return Candidate(kind, how, fit_without)

    yield candidate(AS_BEFORE, None, None)
    yield from (candidate(CALIBRATION, hold, None) for hold in HOLDS)
    if readings.hidden.shape[1]:
        yield from (candidate(LAST_LAYER, hold, penalty) for hold in HOLDS for penalty in PENALTIES)


def held_to(
    old: LastLayer, hold: float, penalty: float, readings: Readings, truth: np.ndarray, weight: np.ndarray
) -> LastLayer:
    """The least log loss, with slope and offset held to the old ones, and the last layer to its old weights.

    hold, penalty: half of it times the squared distance is added to the loss.
    """
    from scipy.optimize import minimize  # takes a moment, and only fits need it

    logit = contradiction_logit(readings.logits)
    inputs = np.column_stack([logit, np.ones(len(logit)), readings.hidden]).astype(np.float64)
    start = np.zeros(inputs.shape[1])
    start[:2] = old.slope, old.offset
    strength = np.full(len(start), penalty)
    strength[:2] = hold

    def loss_and_gradient(values: np.ndarray) -> tuple[float, np.ndarray]:
        scores, moved = inputs @ values, values - start
        error = 0.5 * (1.0 + np.tanh(0.5 * scores)) - truth
        losses = np.logaddexp(0.0, scores) - truth * scores
        return (
            float(weight @ losses + 0.5 * strength @ moved**2),
            inputs.T @ (weight * error) + strength * moved,
        )

    found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B").x
    return LastLayer(max(float(found[0]), LEAST_SLOPE), float(found[1]), found[2:])


def new_weights(
    few: LabelledPairs,
    examples: Examples,
    known: TextVectors,
    like: ContradictionHead,
    options: FitOptions,
) -> Iterator[Candidate]:
    """Heads of a few seeds, averaged; none where a fold lacks contradictions or other pairs.

    like: names the encoder of the vectors. options: of the first seed.
    """
    names = {"encoder": like.encoder, "encoder_name": like.encoder_name}

    def fit_without(left_out: int) -> Model:
        # Each seed has a fold of its own to end its fit, and their average is calibrated on these.
        ends = [number for number in range(FOLDS) if number != left_out][:SEEDS]
        heads = []
        for member, end in enumerate(ends):
            learn = (few.fold != end) & (few.fold != left_out)
            of_seed = replace(options, seed=options.seed + member)
            ended_by = examples.of(few.fold == end)
            heads.append(fit(known.vectors, examples.of(learn), ended_by, options=of_seed, **names))
        average = _calibrated(averaged(heads), heads, [few.fold == end for end in ends])
        return Model(partial(predict, average), average, [partial(predict, head) for head in heads])

    def predict(head: ContradictionHead, pairs: Sequence[Pair]) -> np.ndarray:
        return head.predict(*known.vectors_of(pairs))

    def _calibrated(
        average: ContradictionHead, heads: Sequence[ContradictionHead], parts: Sequence[np.ndarray]
    ) -> ContradictionHead:
        logits = [
            head.logits(*known.vectors_of(few.of(rows))) for head, rows in zip(heads, parts, strict=True)
        ]
        order = np.concatenate([np.flatnonzero(rows) for rows in parts])
        seen = Readings(np.concatenate(logits), np.zeros((len(order), 0)))
        fitted = held_to(LastLayer(1.0, 0.0), HOLDS[-1], 0.0, seen, few.truth[order], few.weight[order])
        return replace(average, slope=fitted.slope, offset=fitted.offset)

    if all(len(set(few.truth[few.fold == number].tolist())) == 2 for number in range(FOLDS)):
        yield Candidate(NEW_WEIGHTS, f"the average of {SEEDS} seeds", fit_without)


def small_fit(
    path: Path, parts: Division, measured: Sequence[LabelledFile], settings: TrainSettings
) -> tuple[Weights, SmallFit]:
    """(the weights at a path, what does best of what can be fitted from them). measured: read later on."""
    pairs = [pair for file in parts.calibrate for pair in file.pairs]
    few = LabelledPairs(pairs, labels_and_weights(parts.calibrate)[1], folds_of(pairs))
    if settings.stage != "screen":
        weights = CrossEncoderWeights.load(path)
        return weights, fit_small(few, last_layers(few, weights, _read_by_cross_encoder(weights, settings)))
    head = ContradictionHead.load(path)
    known = _encoded([*parts.calibrate, *measured], head, settings)
    examples = known.examples(parts.calibrate)
    candidates = (
        *last_layers(few, head, remembered(partial(_read_by_head, head, known))),
        *new_weights(few, examples, known, head, replace(OF_FEW, seed=settings.seed)),
    )
    return head, fit_small(few, candidates)


def _encoded(files: Sequence[LabelledFile], head: ContradictionHead, settings: TrainSettings) -> TextVectors:
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)
    texts = distinct_texts(files)
    with Encoder(settings.base, precision="float32") as encoder:
        head.require_encoder(encoder.fingerprint, encoder.name)
        vectors = embed(texts, encoder, cache, workers=settings.mp, progress=True).vectors
    return TextVectors(vectors, {text: row for row, text in enumerate(texts)})


def _read_by_head(head: ContradictionHead, known: TextVectors, pairs: Sequence[Pair]) -> Readings:
    vectors = known.vectors_of(pairs)
    return Readings(head.logits(*vectors), head.hidden(*vectors))


def _read_by_cross_encoder(weights: CrossEncoderWeights, settings: TrainSettings) -> Read:
    model = CrossEncoder(weights, settings.base, backend="torch")

    def read(pairs: Sequence[Pair]) -> Readings:
        logits = model.logits([(pair.text1, pair.text2) for pair in pairs])
        return Readings(logits, np.zeros((len(pairs), 0)))

    return remembered(read)


def remembered(read: Read) -> Read:
    """As `read`, but each pair of texts is read once: the folds and candidates ask for them many times."""
    known: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}

    def of(pairs: Sequence[Pair]) -> Readings:
        asked = [(pair.text1, pair.text2) for pair in pairs]
        new = {texts: pair for texts, pair in zip(asked, pairs, strict=True) if texts not in known}
        if new:
            readings = read(list(new.values()))
            known.update(zip(new, zip(readings.logits, readings.hidden, strict=True), strict=True))
        logits, hidden = zip(*(known[texts] for texts in asked), strict=True)
        return Readings(np.array(logits), np.array(hidden))

    return of
