"""The ways to fit few labelled pairs: a calibration, a last layer, new weights of a few seeds averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

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
from kimera.pairs import Pair
from kimera.training.out_of_fold import (
    AS_BEFORE,
    CALIBRATION,
    LAST_LAYER,
    NEW_WEIGHTS,
    SEEDS,
    Candidate,
    LabelledPairs,
    Model,
    SmallFit,
    Weights,
    fit_small,
)
from kimera.training.train_settings import TrainSettings
from kimera.training.training_data import (
    FOLDS,
    Division,
    LabelledFile,
    TextVectors,
    distinct_texts,
    folds_of,
    labels_and_weights,
)

# How strongly slope and offset are held to the old ones, in pairs that speak for them.
HOLDS = (300.0, 100.0, 30.0, 10.0, 3.0)
HOLDS_OF_LAST_LAYERS = (100.0, 10.0)  # with five, choices were no better
PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)  # of what is added to the last layer, squared
OF_FEW = FitOptions(
    hidden=(64,), epochs=30, patience=3, batch_size=64
)  # of 512 and 128 they are slower and no better
LEAST_SLOPE = 0.05  # a last layer is divided by it


@dataclass(frozen=True, eq=False)
class Readings:
    """What weights make of n pairs: logits (n, 3), and what their last layer reads, (n, d), or (n, 0)."""

    logits: np.ndarray
    hidden: np.ndarray


Read = Callable[[Sequence[Pair]], Readings]


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
        yield from (
            candidate(LAST_LAYER, hold, penalty) for hold in HOLDS_OF_LAST_LAYERS for penalty in PENALTIES
        )


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

    slope, offset, *shift = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B").x
    return LastLayer(max(float(slope), LEAST_SLOPE), float(offset), np.array(shift))


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
    fit_to = partial(fit, known.vectors, encoder=like.encoder, encoder_name=like.encoder_name)

    def fit_without(left_out: int) -> Model:
        # Each seed has a fold of its own to end its fit, and their average is calibrated on these.
        ends = [number for number in range(FOLDS) if number != left_out][:SEEDS]
        heads = []
        for member, end in enumerate(ends):
            learn = (few.fold != end) & (few.fold != left_out)
            of_seed = replace(options, seed=options.seed + member)
            ended_by = examples.of(few.fold == end)
            heads.append(fit_to(examples.of(learn), ended_by, options=of_seed))
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
        yield Candidate(NEW_WEIGHTS, f"the average of {SEEDS} seeds", fit_without, slow=True)


def small_fit(
    path: Path,
    parts: Division,
    measured: Sequence[LabelledFile],
    settings: TrainSettings,
    *,
    with_new: bool = True,
) -> SmallFit:
    """What does best of what can be fitted from the weights at a path.

    measured: read later on. with_new: whether to try new weights, which takes the most time by far.
    """
    pairs = [pair for file in parts.calibrate for pair in file.pairs]
    few = LabelledPairs(pairs, labels_and_weights(parts.calibrate)[1], folds_of(pairs))
    if settings.stage != "screen":
        weights = CrossEncoderWeights.load(path)
        return fit_small(few, last_layers(few, weights, _read_by_cross_encoder(weights, settings)))
    head = ContradictionHead.load(path)
    known = _encoded([*parts.calibrate, *measured], head, settings)
    candidates = list(last_layers(few, head, remembered(partial(_read_by_head, head, known))))
    if with_new:
        options = replace(OF_FEW, seed=settings.seed)
        candidates += new_weights(few, known.examples(parts.calibrate), known, head, options)
    return fit_small(few, candidates)


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
