"""A stage of the reactor, fitted on labelled pairs, measured, and written with its model card."""

from __future__ import annotations

import functools
import hashlib
import shlex
import sys
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.console import DONE, INTERRUPTED, as_called, note, tell
from kimera.errors import UserError
from kimera.files import dropped_rows, reading_of
from kimera.models import (
    CLASSES,
    ContradictionHead,
    CrossEncoder,
    CrossEncoderWeights,
    DataSet,
    Encoder,
    FitOptions,
    Tokenizer,
    TrainingSource,
    base_fingerprint,
    calibration_error,
    embed,
    equal_mass_bins,
    model_folder,
    parse_source,
    read_sources,
    sources_named_in,
)
from kimera.models import fit as fit_head
from kimera.pairs import CONTRADICTION, LABELS, Pair
from kimera.reactor_stages import Stages
from kimera.training.fine_tuning import FINE_TUNING, fine_tune
from kimera.training.fitting_bounds import fit_bounds
from kimera.training.labelled_tokens import LabelledTokens
from kimera.training.model_card import (
    Description,
    Figures,
    ModelCard,
    description_of_cross_encoder,
    description_of_head,
    figures_table,
)
from kimera.training.out_of_fold import SmallFit
from kimera.training.small_fits import OF_FEW, small_fit
from kimera.training.teaching import lessons, read_through_cache
from kimera.training.train_settings import (
    AGREEMENT,
    FEW_PAIRS,
    TrainSettings,
    check_settings,
    public_command,
    public_name,
)
from kimera.training.training_data import (
    Division,
    LabelledFile,
    TextVectors,
    distinct_texts,
    divide_with_both_answers,
    labels_and_weights,
    read_labelled,
    require_both_answers,
    too_small,
    undivided,
)


def fit_stage(settings: TrainSettings) -> int:
    try:
        return _run(settings)
    except KeyboardInterrupt:
        print(f"interrupted; {_way_on(settings)}", file=sys.stderr)
        return INTERRUPTED


def _way_on(settings: TrainSettings) -> str:
    """What an interrupted fit has kept: a checkpoint, or what is in the cache."""
    by_cache = (settings.teacher or not settings.fine_tunes) and not settings.no_cache
    kept = by_cache or settings.checkpoint_path.exists()
    if kept:
        return "to continue, give the same command again"
    return "nothing was kept, so the same command starts again from the beginning"


def _run(settings: TrainSettings) -> int:
    check_settings(settings)
    known = read_sources(settings.sources) if settings.sources else {}
    bad_rows: list[str] = []
    reading = {**reading_of(settings), "on_bad_row": bad_rows.append, "on_note": note}
    training = [
        read_labelled(path, known, weight, **reading) for path, weight in map(parse_source, settings.files)
    ]
    evaluation = [read_labelled(Path(argument), known, **reading) for argument in settings.eval]
    if bad_rows:
        note(dropped_rows(bad_rows))
    known_weights = _weights_for_few(training, settings)
    if known_weights:
        parts = undivided(training)
        require_both_answers(parts.calibrate, "training")
    else:
        parts = divide_with_both_answers(training, settings.seed)
    everything = LabelledFile(DataSet("all"), [pair for file in parts.report for pair in file.pairs])

    if settings.stage == "bounds":
        return _fit_bounds(parts, settings)
    fit = _fit_screen if settings.stage == "screen" else _fit_cross_encoder
    if known_weights:
        fit = functools.partial(_fit_few, known_weights)
    small = "" if known_weights else too_small(parts)
    if small:
        _say(f"note: {small}")
    fitted = fit(parts, [*parts.report, *evaluation], settings)
    try:
        fitted.save(settings.weights_path)  # before minutes of measuring
    except OSError as error:
        raise _unwritable(error) from error
    premises = {pair.text1 for file in (*parts.learn, *parts.calibrate) for pair in file.pairs}
    card = ModelCard(
        model=fitted.description,
        weights=settings.weights_path,
        seed=settings.seed,
        sources=parts.sources,
        earlier_sources=fitted.earlier_sources,
        left_out=parts.left_out,
        precision=fitted.precision,
        too_small=small,
        held_out=[
            _measure(file, fitted.small.out_of_fold if fitted.small else fitted.predict, premises)
            for file in (everything, *parts.report)
        ],
        evaluation=[_measure(file, fitted.predict, premises) for file in evaluation],
        commands=fitted.commands,
        tried=fitted.small.tried() if fitted.small else "",
    )
    try:
        settings.card_path.write_text(card.render(), encoding="utf-8")
    except OSError as error:
        raise _unwritable(error) from error
    settings.checkpoint_path.unlink(missing_ok=True)
    tell(figures_table([*card.held_out, *card.evaluation]))
    _say(_next_step(settings))
    _say(f"wrote {settings.weights_path} and {settings.card_path}")
    return DONE


def _fit_bounds(parts: Division, settings: TrainSettings) -> int:
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)
    models: dict[Stages, dict[str, Any]] = {
        "screen": {"head": settings.head},
        "verify": {"cross_encoder": settings.verify_weights},
        "deep": {"deep": settings.deep_weights, "deep_base": settings.base},
    }
    agreement = AGREEMENT if settings.agreement is None else settings.agreement
    bounds, told = fit_bounds(parts, agreement, models, cache)
    try:
        bounds.save(settings.weights_path)
    except OSError as error:
        raise _unwritable(error) from error
    for line in told:
        _say(line)
    _say(f"wrote {settings.weights_path}")
    return DONE


def _unwritable(error: OSError) -> UserError:
    return UserError(f"{error.filename} cannot be written: {error.strerror}")


@dataclass(frozen=True)
class _Fitted:
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


def _weights_for_few(training: Sequence[LabelledFile], settings: TrainSettings) -> Path | None:
    """Weights of which so few pairs can improve a part; None where new ones are fitted by the usual way."""
    if settings.refit or settings.teacher or _pairs_in(training) >= FEW_PAIRS.get(settings.stage, 0):
        return None
    return settings.known_weights


def _fit_few(
    path: Path, parts: Division, measured: Sequence[LabelledFile], settings: TrainSettings
) -> _Fitted:
    """From weights that there are, what does best out of fold."""
    small = small_fit(path, parts, measured, settings)
    weights = small.model.weights
    _say(f"note: {small.told()}")
    command = public_command(settings)
    if isinstance(weights, ContradictionHead):
        described = small.described(description_of_head(weights, OF_FEW))
        return _Fitted(described, weights.save, small.model.predict, [command], small=small)
    earlier = _sources_of(weights, settings)
    weights = replace(
        weights,
        commands=(*weights.commands, command),
        sources=tuple(dict.fromkeys((*earlier, *parts.sources))),
    )
    described = small.described(description_of_cross_encoder(weights, FINE_TUNING[settings.stage]))
    return _Fitted(described, weights.save, small.model.predict, weights.commands, earlier, small)


def _fit_screen(parts: Division, measured: Sequence[LabelledFile], settings: TrainSettings) -> _Fitted:
    """A head on sentence vectors. Every text is encoded once, also those that are only measured."""
    texts = distinct_texts([*parts.learn, *parts.calibrate, *measured])
    fit_options = FitOptions(epochs=settings.max_epochs, seed=settings.seed)
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)
    with Encoder(settings.base, precision="float32") as encoder:
        _say(f"{_pairs_in(parts.learn):,} pairs to learn from; {len(texts):,} distinct texts in all")
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

    return _Fitted(description_of_head(head, fit_options), head.save, predict, [public_command(settings)])


def _pairs_in(files: Sequence[LabelledFile]) -> int:
    return sum(len(file.pairs) for file in files)


def _fit_cross_encoder(parts: Division, measured: Sequence[LabelledFile], settings: TrainSettings) -> _Fitted:
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

    def tokens_of(part: Sequence[LabelledFile]) -> LabelledTokens:
        texts = [(pair.text1, pair.text2) for file in part for pair in file.pairs]
        if settings.swap and part is parts.learn:
            texts += [(second, first) for first, second in texts]
        return LabelledTokens(tokenizer.of_pairs(texts), *labels_and_weights(part))

    teacher = CrossEncoderWeights.load(settings.teacher) if settings.teacher else None
    held_out = [*parts.calibrate, *measured]
    learn = _learnt_from(teacher, parts, held_out, tokenizer, settings) if teacher else tokens_of(parts.learn)
    _say(f"{len(learn):,} pairs to learn from, {learn.tokens.lengths.mean():.0f} tokens each on average")
    start = CrossEncoderWeights.load(settings.start) if settings.start else None
    base = base_fingerprint(folder, settings.base)
    if start:
        start.require_base(base, settings.base)
    weights = fine_tune(
        folder,
        learn,
        tokens_of(parts.calibrate),
        base=base,
        base_name=public_name(settings.base),
        options=fit_options,
        checkpoint=settings.checkpoint_path,
        start=start,
        report=_report,
    )
    before = [weights for weights in (teacher, start) if weights]
    commands = (*(command for weights in before for command in weights.commands), public_command(settings))
    earlier = list(dict.fromkeys(source for weights in before for source in _sources_of(weights, settings)))
    weights = replace(weights, commands=commands, sources=tuple(dict.fromkeys((*earlier, *parts.sources))))
    cross_encoder = CrossEncoder(weights, settings.base)
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)

    def predict(pairs: Sequence[Pair]) -> np.ndarray:
        return read_through_cache([(p.text1, p.text2) for p in pairs], cross_encoder, cache, "measuring")

    described = description_of_cross_encoder(weights, fit_options, _lesson(settings, len(learn), parts))
    cross_encoder.settle()
    precision = cross_encoder.runtime.precision
    return _Fitted(described, weights.save, predict, weights.commands, earlier, precision=precision)


def _lesson(settings: TrainSettings, pairs: int, parts: Division) -> str:
    """The teacher in words, and how many pairs it alone has labelled; empty without one."""
    if settings.teacher is None:
        return ""
    digest = hashlib.sha256(settings.teacher.read_bytes()).hexdigest()
    name = f"`{settings.teacher.name}`, SHA-256 `{digest}`"
    return f"{name}, which also read {pairs - _pairs_in(parts.learn):,} new pairs made of the texts"


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
        found = lessons(parts.learn, model, settings.new_pairs, settings.seed, cache, held_out)
    return LabelledTokens(tokenizer.of_pairs(found.texts), found.label, found.weight, found.taught)


def _sources_of(weights: CrossEncoderWeights, settings: TrainSettings) -> list[TrainingSource]:
    """What weights were fitted on: as they record it, or else as their commands name it."""
    known = read_sources(settings.sources) if settings.sources else {}
    return list(dict.fromkeys(weights.sources or sources_named_in(weights.commands, known)))


def _report(epoch: float, train_loss: float, held_out_loss: float) -> None:
    _say(f"epoch {epoch:g}: loss {train_loss:.4f}, held out {held_out_loss:.4f}")


def _next_step(settings: TrainSettings) -> str:
    """The command that tries the fitted stage, and says what it is worth on other pairs."""
    flag = {"screen": "--head", "verify": "--verify-weights", "deep": "--reactor deep --deep-weights"}
    base = {"deep": "--deep-base"}.get(settings.stage, "--encoder")
    words = [flag[settings.stage], shlex.quote(str(settings.weights_path))]
    words += [base, shlex.quote(settings.encoder)] if settings.encoder else []
    command = as_called("kimera compare PAIRS --kimera-only --max-pairs 0")
    return f"to measure it on other pairs: {command} {' '.join(words)}"


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _measure(
    file: LabelledFile, predict: Callable[[Sequence[Pair]], np.ndarray], premises: Set[str]
) -> Figures:
    """AUC of contradiction against the rest, three-way accuracy, calibration error, where defined.

    predict: n pairs to probabilities of shape (n, 3). premises: those of pairs that the fit saw.
    """
    from sklearn.metrics import roc_auc_score  # takes a second, and mistaken flags need none

    label, _ = labels_and_weights([file])
    truth = label == LABELS.index(CONTRADICTION)
    probabilities = predict(file.pairs)
    swapped = predict([replace(pair, text1=pair.text2, text2=pair.text1) for pair in file.pairs])
    has_both = truth.any() and not truth.all()
    is_three_way = set(label.tolist()) == set(range(len(CLASSES)))
    return Figures(
        data_set=file.data_set,
        pairs=len(label),
        contradictions=int(truth.sum()),
        premises_in_training=len({pair.text1 for pair in file.pairs} & premises),
        auc=float(roc_auc_score(truth, probabilities[:, 0])) if has_both else None,
        swapped_auc=float(roc_auc_score(truth, swapped[:, 0])) if has_both else None,
        accuracy=float((probabilities.argmax(axis=1) == label).mean()) if is_three_way else None,
        calibration_error=calibration_error(probabilities[:, 0], truth) if len(label) else None,
        reliability=[(score, share) for _, score, share in equal_mass_bins(probabilities[:, 0], truth, 5)],
    )
