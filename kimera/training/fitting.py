"""The run of a fit: files read and divided, a stage fitted, measured, and written with its model card."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kimera.cache import EmbeddingCache
from kimera.console import DONE, INTERRUPTED, as_called, note, say, tell
from kimera.errors import UserError
from kimera.files import dropped_rows, reading_of
from kimera.models import DataSet, parse_source, read_sources
from kimera.reactor_stages import Stages
from kimera.training.fitting_bounds import fit_bounds
from kimera.training.hypothesis_only import reweighted
from kimera.training.measuring import measured
from kimera.training.model_card import ModelCard, figures_table
from kimera.training.stage_fits import Fitted, average_cross_encoders, fit_cross_encoder, fit_few, fit_screen
from kimera.training.train_settings import (
    AGREEMENT,
    FEW_PAIRS,
    TrainSettings,
    check_few_pairs,
    check_settings,
)
from kimera.training.training_data import (
    Division,
    LabelledFile,
    divide_with_both_answers,
    pairs_in,
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
    if settings.stage == "scan":
        return _fit_scan(settings)
    training, evaluation = _read(settings)
    if settings.stage == "neighbours":
        return _fit_neighbours(training, settings)
    known_weights = _weights_for_few(training, settings)
    if known_weights:
        check_few_pairs(settings, pairs_in(training))
        parts = undivided(training)
        require_both_answers(parts.calibrate, "training")
    else:
        parts = _reweighted(divide_with_both_answers(training, settings.seed), settings)
    if settings.stage == "bounds":
        return _fit_bounds(parts, settings)
    fit = fit_screen if settings.stage == "screen" else fit_cross_encoder
    if settings.average:
        fit = average_cross_encoders
    if known_weights:
        fit = functools.partial(fit_few, known_weights)
    elif small := too_small(parts):
        note(small)
    fitted = fit(parts, [*parts.report, *evaluation], settings)
    with _writing():
        fitted.save(settings.weights_path)  # before minutes of measuring
    card = _card(fitted, parts, evaluation, settings)
    with _writing():
        settings.card_path.write_text(card.render(), encoding="utf-8")
    if fit is fit_cross_encoder:
        settings.checkpoint_path.unlink(missing_ok=True)
    tell(figures_table([*card.held_out, *card.evaluation]))
    say(_next_step(settings))
    say(f"wrote {settings.weights_path} and {settings.card_path}")
    return DONE


def _read(settings: TrainSettings) -> tuple[list[LabelledFile], list[LabelledFile]]:
    """The files to learn from, and those that are only measured."""
    known = read_sources(settings.sources) if settings.sources else {}
    bad_rows: list[str] = []
    reading = {**reading_of(settings), "on_bad_row": bad_rows.append, "on_note": note}
    training = [
        read_labelled(path, known, weight, **reading) for path, weight in map(parse_source, settings.files)
    ]
    evaluation = [read_labelled(Path(argument), known, **reading) for argument in settings.eval]
    if bad_rows:
        note(dropped_rows(bad_rows))
    return training, evaluation


def _reweighted(parts: Division, settings: TrainSettings) -> Division:
    """With the pairs to learn from of each file of --reweight weighted anew."""
    learn, sources = list(parts.learn), list(parts.sources)
    for place, (path, _) in enumerate(map(parse_source, settings.files)):
        if path.resolve() in settings.reweighted:
            learn[place], auc = reweighted(learn[place], str(path))
            remark = f"pairs weighted by how little their second text alone tells the label (AUC {auc:.3f})"
            note(f"{path}: {remark}")
            sources[place] = sources[place].with_remark(remark)
    return replace(parts, learn=learn, sources=sources)


def _weights_for_few(training: Sequence[LabelledFile], settings: TrainSettings) -> Path | None:
    """Weights of which so few pairs can improve a part; None where new ones are fitted by the usual way."""
    if (
        settings.refit
        or settings.average
        or settings.teacher
        or pairs_in(training) >= FEW_PAIRS.get(settings.stage, 0)
    ):
        return None
    return settings.known_weights


def _card(
    fitted: Fitted, parts: Division, evaluation: Sequence[LabelledFile], settings: TrainSettings
) -> ModelCard:
    """Its figures are measured here, which takes minutes."""
    everything = LabelledFile(DataSet("all"), [pair for file in parts.report for pair in file.pairs])
    premises = {pair.text1 for file in (*parts.learn, *parts.calibrate) for pair in file.pairs}
    predict_held_out = fitted.small.out_of_fold if fitted.small else fitted.predict
    return ModelCard(
        model=fitted.description,
        weights=settings.weights_path,
        seed=settings.seed,
        sources=[] if settings.average else parts.sources,
        earlier_sources=fitted.earlier_sources,
        left_out=parts.left_out,
        precision=fitted.precision,
        too_small="" if fitted.small else too_small(parts),
        held_out=[measured(file, predict_held_out, premises) for file in (everything, *parts.report)],
        evaluation=[measured(file, fitted.predict, premises) for file in evaluation],
        commands=fitted.commands,
        tried=fitted.small.tried() if fitted.small else "",
    )


def _fit_bounds(parts: Division, settings: TrainSettings) -> int:
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)
    models: dict[Stages, dict[str, Any]] = {
        "screen": {"head": settings.head},
        "verify": {"cross_encoder": settings.verify_weights},
        "deep": {"deep": settings.deep_weights, "deep_base": settings.base},
    }
    agreement = AGREEMENT if settings.agreement is None else settings.agreement
    bounds, told = fit_bounds(parts, agreement, models, cache)
    with _writing():
        bounds.save(settings.weights_path)
    for line in told:
        say(line)
    say(f"wrote {settings.weights_path}")
    return DONE


def _fit_scan(settings: TrainSettings) -> int:
    from kimera.training.scan_command import fit_scan  # no other stage reads a corpus

    with _writing():
        for line in fit_scan(settings):
            say(line)
    return DONE


def _fit_neighbours(training: list[LabelledFile], settings: TrainSettings) -> int:
    from kimera.training.neighbour_command import fit_neighbours  # as above

    with _writing():
        for line in fit_neighbours(training, settings):
            say(line)
    return DONE


@contextmanager
def _writing() -> Iterator[None]:
    """A file that cannot be written is the user's to mend."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}") from error


def _next_step(settings: TrainSettings) -> str:
    """The command that tries the fitted stage, and says what it is worth on other pairs."""
    flag = {"screen": "--head", "verify": "--verify-weights", "deep": "--reactor deep --deep-weights"}
    base = {"deep": "--deep-base"}.get(settings.stage, "--encoder")
    words = [flag[settings.stage], shlex.quote(str(settings.weights_path))]
    words += [base, shlex.quote(settings.encoder)] if settings.encoder else []
    command = as_called("kimera compare PAIRS --kimera-only --max-pairs 0")
    return f"to measure it on other pairs: {command} {' '.join(words)}"
