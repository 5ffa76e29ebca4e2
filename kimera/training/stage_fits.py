"""The fit of a stage on divided files: a head, a cross-encoder, or what does best of few pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.console import note, say
from kimera.errors import UserError
from kimera.models import (
    ContradictionHead,
    CrossEncoder,
    CrossEncoderWeights,
    Encoder,
    FitOptions,
    Tokenizer,
    TrainingSource,
    base_fingerprint,
    embed,
    model_folder,
    read_sources,
    sources_named_in,
)
from kimera.models import fit as fit_head
from kimera.pairs import Pair
from kimera.training.fine_tuning import FINE_TUNING, calibrated, fine_tune
from kimera.training.labelled_tokens import LabelledTokens
from kimera.training.low_rank import require_rank
from kimera.training.model_card import (
    Description,
    description_of_average,
    description_of_cross_encoder,
    description_of_head,
)
from kimera.training.out_of_fold import SmallFit
from kimera.training.small_fits import OF_FEW, small_fit
from kimera.training.teaching import lessons, read_through_cache
from kimera.training.train_settings import TrainSettings, public_command, public_name
from kimera.training.training_data import (
    Division,
    LabelledFile,
    TextVectors,
    distinct_texts,
    labels_and_weights,
    pairs_in,
)


@dataclass(frozen=True)
class Fitted:
    """What a fit gave: what the card says of it, how it is written, its probabilities, its commands.

    earlier_sources: what the fits before it learnt from. small: of a fit on few pairs, what was tried.
    precision: the number format of the probabilities.
    """

    description: Description
    save: Callable[[Path], None]
    predict: Callable[[Sequence[Pair]], np.ndarray]
    commands: Sequence[str]
    earlier_sources: Sequence[TrainingSource] = ()
    small: SmallFit | None = None
    precision: str = "float32"


def fit_few(path: Path, parts: Division, measured: Sequence[LabelledFile], settings: TrainSettings) -> Fitted:
    """From weights that there are, what does best out of fold."""
    small = small_fit(path, parts, measured, settings)
    weights = small.model.weights
    note(small.told())
    command = public_command(settings, has_epochs=False)
    if isinstance(weights, ContradictionHead):
        described = small.described(description_of_head(weights, OF_FEW))
        return Fitted(described, weights.save, small.model.predict, [command], small=small)
    earlier = _sources_of(weights, settings)
    weights = replace(
        weights,
        commands=(*weights.commands, command),
        sources=tuple(dict.fromkeys((*earlier, *parts.sources))),
    )
    described = small.described(description_of_cross_encoder(weights, FINE_TUNING[settings.stage]))
    return Fitted(described, weights.save, small.model.predict, weights.commands, earlier, small)


def fit_screen(parts: Division, measured: Sequence[LabelledFile], settings: TrainSettings) -> Fitted:
    """A head on sentence vectors. Every text is encoded once, also those that are only measured."""
    texts = distinct_texts([*parts.learn, *parts.calibrate, *measured])
    fit_options = FitOptions(epochs=settings.max_epochs, seed=settings.seed)
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)
    with Encoder(settings.base, precision="float32") as encoder:
        say(f"{pairs_in(parts.learn):,} pairs to learn from; {len(texts):,} distinct texts in all")
        vectors = embed(texts, encoder, cache, workers=settings.mp, progress=True).vectors
        known = TextVectors(vectors, {text: row for row, text in enumerate(texts)})
        head = fit_head(
            vectors,
            known.examples(parts.learn),
            known.examples(parts.calibrate),
            encoder=encoder.fingerprint,
            encoder_name=public_name(encoder.name),
            options=fit_options,
            report=_report,
        )

    def predict(pairs: Sequence[Pair]) -> np.ndarray:
        return head.predict(*known.vectors_of(pairs))

    return Fitted(description_of_head(head, fit_options), head.save, predict, [public_command(settings)])


def fit_cross_encoder(parts: Division, measured: Sequence[LabelledFile], settings: TrainSettings) -> Fitted:
    """A cross-encoder, fine-tuned from the encoder's own weights."""
    fit_options = replace(
        FINE_TUNING[settings.stage],
        epochs=settings.max_epochs,
        seed=settings.seed,
        swap=settings.swap,
        compiled=settings.compile,
    )
    folder = model_folder(settings.base)
    tokenizer = Tokenizer(folder, fit_options.max_tokens)
    teacher = CrossEncoderWeights.load(settings.teacher) if settings.teacher else None
    held_out = [*parts.calibrate, *measured]
    learn = (
        _learnt_from(teacher, parts, held_out, tokenizer, settings)
        if teacher
        else _tokens_of(parts.learn, tokenizer, both_orders=settings.swap > 0)
    )
    say(f"{len(learn):,} pairs to learn from, {learn.tokens.lengths.mean():.0f} tokens each on average")
    start = CrossEncoderWeights.load(settings.start) if settings.start else None
    base = base_fingerprint(folder, settings.base)
    if start:
        start.require_base(base, settings.base)
    weights = fine_tune(
        folder,
        learn,
        _tokens_of(parts.calibrate, tokenizer),
        base=base,
        base_name=public_name(settings.base),
        options=fit_options,
        checkpoint=settings.checkpoint_path,
        start=start,
        report=_report,
    )
    before = [weights for weights in (teacher, start) if weights]
    lesson = _lesson(settings, len(learn), parts)
    return _cross_encoder_fitted(
        weights,
        before,
        parts,
        settings,
        lambda made: description_of_cross_encoder(made, fit_options, lesson),
    )


def average_cross_encoders(
    parts: Division, measured: Sequence[LabelledFile], settings: TrainSettings
) -> Fitted:
    """The mean of earlier fits' weights, calibrated on these pairs; nothing else is learnt from them."""
    folder = model_folder(settings.base)
    fits = [CrossEncoderWeights.load(path) for path in settings.average]
    base, options = base_fingerprint(folder, settings.base), FINE_TUNING[settings.stage]
    for path, weights in zip(settings.average, fits, strict=True):
        weights.require_base(base, settings.base)
        if options.rank:
            require_rank(weights, options.rank, f"--average {path}")
        if weights.kind != fits[0].kind or bool(weights.low_rank) != bool(options.rank):
            raise UserError(
                f"--average: {path} is not of the kind of {settings.average[0]}, or of another stage than "
                f"{settings.stage}; give weights of fits that go on from each other"
            )
    mean = CrossEncoderWeights.average(fits)
    weights = calibrated(mean, folder, _tokens_of(parts.calibrate, Tokenizer(folder, mean.max_tokens)))
    return _cross_encoder_fitted(
        weights, fits, parts, settings, lambda made: description_of_average(made, options, len(fits))
    )


def _cross_encoder_fitted(
    weights: CrossEncoderWeights,
    before: Sequence[CrossEncoderWeights],
    parts: Division,
    settings: TrainSettings,
    describe: Callable[[CrossEncoderWeights], Description],
) -> Fitted:
    """New weights with what they were made of. before: those that the fit began with or learnt from."""
    commands = dict.fromkeys(command for other in before for command in other.commands)
    earlier = list(dict.fromkeys(source for other in before for source in _sources_of(other, settings)))
    weights = replace(
        weights,
        commands=(*commands, public_command(settings, has_epochs=not settings.average)),
        sources=tuple(dict.fromkeys((*earlier, *(() if settings.average else parts.sources)))),
    )
    cross_encoder = CrossEncoder(weights, settings.base)
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)

    def predict(pairs: Sequence[Pair]) -> np.ndarray:
        return read_through_cache([(p.text1, p.text2) for p in pairs], cross_encoder, cache, "measuring")

    cross_encoder.settle()
    precision = cross_encoder.runtime.precision
    return Fitted(describe(weights), weights.save, predict, weights.commands, earlier, precision=precision)


def _tokens_of(
    part: Sequence[LabelledFile], tokenizer: Tokenizer, *, both_orders: bool = False
) -> LabelledTokens:
    texts = [(pair.text1, pair.text2) for file in part for pair in file.pairs]
    if both_orders:
        texts += [(second, first) for first, second in texts]
    return LabelledTokens(tokenizer.of_pairs(texts), *labels_and_weights(part))


def _lesson(settings: TrainSettings, pairs: int, parts: Division) -> str:
    """The teacher in words, and how many pairs it alone has labelled; empty without one."""
    if settings.teacher is None:
        return ""
    digest = hashlib.sha256(settings.teacher.read_bytes()).hexdigest()
    name = f"`{settings.teacher.name}`, SHA-256 `{digest}`"
    return f"{name}, which also read {pairs - pairs_in(parts.learn):,} new pairs made of the texts"


def _learnt_from(
    teacher: CrossEncoderWeights,
    parts: Division,
    held_out: Sequence[LabelledFile],
    tokenizer: Tokenizer,
    settings: TrainSettings,
) -> LabelledTokens:
    """The pairs to learn from, and new ones, with what a teacher says of them."""
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)
    with CrossEncoder(teacher, settings.deep_base) as model:
        taught = lessons(parts.learn, model, settings.new_pairs, settings.seed, cache, held_out)
    return LabelledTokens(tokenizer.of_pairs(taught.texts), taught.label, taught.weight, taught.taught)


def _sources_of(weights: CrossEncoderWeights, settings: TrainSettings) -> list[TrainingSource]:
    """What weights were fitted on: as they record it, or else as their commands name it."""
    known = read_sources(settings.sources) if settings.sources else {}
    return list(dict.fromkeys(weights.sources or sources_named_in(weights.commands, known)))


def _report(epoch: float, train_loss: float, held_out_loss: float) -> None:
    say(f"epoch {epoch:g}: loss {train_loss:.4f}, held out {held_out_loss:.4f}")
