"""python -m kimera.train: fits a stage of the reactor on labelled pairs and writes it with its model card."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.calibration import calibration_error, equal_mass_bins
from kimera.cross_encoder_weights import CrossEncoderWeights
from kimera.encoder import DEFAULT_MODEL, Encoder, embed
from kimera.errors import UserError
from kimera.head import CLASSES, Examples, FitOptions
from kimera.head import fit as fit_head
from kimera.model_card import (
    DataSet,
    Description,
    Figures,
    ModelCard,
    Source,
    description_of_cross_encoder,
    description_of_head,
    figures_table,
    read_sources,
)
from kimera.pair_files import parse_label_map
from kimera.pairs import CONTRADICTION, LABELS, Pair
from kimera.tokens import Tokenizer
from kimera.training_data import (
    Division,
    LabelledFile,
    divide,
    labels_and_weights,
    parse_source,
    read_labelled,
    require_both_answers,
)

EPOCHS = {"screen": 6, "verify": 3}
FILE_NAMES = {"screen": "head.safetensors", "verify": "verify.safetensors"}

DESCRIPTION = """\
Fit a stage of the reactor on files of labelled pairs (.jsonl, .csv, .tsv, each perhaps .gz), and write it
with a model card. --stage screen fits a small head on sentence vectors, in minutes; --stage verify fine-tunes
the encoder itself into a cross-encoder, in an hour or two on a CPU, and goes on where it was interrupted.

A row needs two texts (premise and hypothesis, or text1 and text2) and a label: contradiction, entailment,
neutral, or not_contradiction where a set does not tell the last two apart.

The pairs of 5 % of the premises, chosen by a hash, are held out in two halves that share no premise: one ends
the fit early and calibrates P(contradiction), the other is only measured, like the files of --eval. Held-out
pairs whose two texts, in either order, the fit saw elsewhere are left out. The card counts them, and the
premises of the measured sets that the fit saw.

The card calls a file by its name and its licence "not stated", unless --sources says more: JSON such as
{"pairs.csv": {"title": "My pairs", "licence": "CC BY 4.0", "remarks": "machine labels"}}
"""
EPILOG = """\
examples:
  python -m kimera.train pairs.csv                          writes head.safetensors and head.md
  python -m kimera.train a.jsonl b.jsonl=0.5 --eval c.csv   a pair of b counts half
  python -m kimera.train pairs.csv --sources sources.json   a card that states licences
  python -m kimera.train pairs.csv --encoder ./my-encoder   a head for another sentence-transformers model
  python -m kimera.train pairs.csv --stage verify --start kimera/weights/verify.safetensors
                                                            the shipped cross-encoder, and pairs of your own

then: Reactor(head="head.safetensors").detect(pairs), or Reactor(cross_encoder="verify.safetensors")
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 2 wrong usage, 130 interrupted."""
    try:
        _run(read_options(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options, with the defaults of the stage."""
    options = build_parser().parse_args(arguments)
    options.epochs = EPOCHS[options.stage] if options.epochs is None else options.epochs
    options.out = options.out or Path(FILE_NAMES[options.stage])
    return options


def build_parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(
        prog="python -m kimera.train",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="training pairs; FILE=0.5 makes each pair count half")
    add(
        "--eval", nargs="+", default=[], metavar="FILE", help="labelled pairs to measure, never to learn from"
    )
    add("--stage", choices=tuple(EPOCHS), default="screen", help="what is fitted (default: %(default)s)")
    add("--out", type=Path, metavar="WEIGHTS", help="default: head.safetensors, or verify.safetensors")
    add(
        "--card",
        type=Path,
        metavar="CARD",
        help="model card, Markdown (default: WEIGHTS with the suffix .md)",
    )
    add("--sources", type=Path, metavar="JSON", help="titles and licences of the files, for the card")
    add("--label-map", metavar="MAP", help="what labels mean, e.g. 0=entailment,1=neutral,2=contradiction")
    add("--encoder", default=DEFAULT_MODEL, metavar="NAME", help="folder or name (default: %(default)s)")
    add("--epochs", type=int, help="at most so many (default: 6 of screen, 3 of verify)")
    add("--seed", type=int, default=0, help="of the split and of the fit (default: %(default)s)")
    add(
        "--workers", type=int, metavar="N", help="encode in N processes (default: in this one, all its cores)"
    )
    add(
        "--start",
        type=Path,
        metavar="WEIGHTS",
        help="verify: go on from these, e.g. kimera/weights/verify.safetensors, instead of the encoder's own",
    )
    add(
        "--swap",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="verify: of the pairs, drawn anew each epoch, that are read in the other order, for scores that "
        "depend less on it (default: 0)",
    )
    add(
        "--compile",
        action="store_true",
        help="verify: compile the network first, which takes a C++ compiler and saves a fifth of the time",
    )
    add("--cache-dir", type=Path, metavar="DIR", help="of vectors (default: KIMERA_CACHE_DIR, or the user's)")
    add("--no-cache", action="store_true", help="keep no vectors")
    return parser


def _run(options: argparse.Namespace) -> None:
    _check_options(options)
    known = read_sources(options.sources) if options.sources else {}
    label_map = parse_label_map(options.label_map) if options.label_map else None
    read = partial(read_labelled, known=known, label_map=label_map)
    training = [read(path, weight=weight) for path, weight in map(parse_source, options.files)]
    evaluation = [read(Path(argument)) for argument in options.eval]
    parts = divide(training, options.seed)
    require_both_answers(parts.learn, "training")
    require_both_answers(parts.calibrate, "calibration")
    everything = LabelledFile(DataSet("all"), [pair for file in parts.report for pair in file.pairs])

    fit = _fit_verify if options.stage == "verify" else _fit_screen
    fitted = fit(parts, [*parts.report, *evaluation], options)
    try:
        fitted.save(options.out)  # before minutes of measuring
    except OSError as error:
        raise _unwritable(error) from error
    premises = {pair.text1 for file in (*parts.learn, *parts.calibrate) for pair in file.pairs}
    card = ModelCard(
        model=fitted.description,
        weights=options.out,
        seed=options.seed,
        sources=[Source(file.data_set, len(file.pairs), file.weight) for file in training],
        left_out=parts.left_out,
        held_out=[measure(file, fitted.predict, premises) for file in (everything, *parts.report)],
        evaluation=[measure(file, fitted.predict, premises) for file in evaluation],
        commands=fitted.commands,
    )
    try:
        card_path(options).write_text(card.render(), encoding="utf-8")
    except OSError as error:
        raise _unwritable(error) from error
    checkpoint_path(options).unlink(missing_ok=True)
    print(figures_table([*card.held_out, *card.evaluation]))
    _say(f"wrote {options.out} and {card_path(options)}")


def _unwritable(error: OSError) -> UserError:
    return UserError(f"{error.filename} cannot be written: {error.strerror}")


@dataclass(frozen=True)
class Fitted:
    """What a fit gave: what the card says of it, how it is written, its probabilities, its commands."""

    description: Description
    save: Callable[[Path], None]
    predict: Callable[[Sequence[Pair]], np.ndarray]
    commands: Sequence[str]


def _fit_screen(parts: Division, measured: Sequence[LabelledFile], options: argparse.Namespace) -> Fitted:
    """A head on sentence vectors. Every text is encoded once, also those that are only measured."""
    files = [*parts.learn, *parts.calibrate, *measured]
    rows: dict[str, int] = {}
    for text in (text for file in files for pair in file.pairs for text in (pair.text1, pair.text2)):
        rows.setdefault(text, len(rows))

    def rows_of(pairs: Iterable[Pair]) -> tuple[np.ndarray, np.ndarray]:
        first, second = zip(*((rows[pair.text1], rows[pair.text2]) for pair in pairs), strict=True)
        return np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)

    def examples(part: Sequence[LabelledFile]) -> Examples:
        return Examples(*rows_of(pair for file in part for pair in file.pairs), *labels_and_weights(part))

    learn, calibrate = examples(parts.learn), examples(parts.calibrate)
    fit_options = FitOptions(epochs=options.epochs, seed=options.seed)
    cache = None if options.no_cache else EmbeddingCache(options.cache_dir)
    with Encoder(options.encoder, precision="float32") as encoder:
        _say(f"{len(learn):,} pairs to learn from; {len(rows):,} distinct texts in all")
        vectors = embed(list(rows), encoder, cache, workers=options.workers, progress=True).vectors
        head = fit_head(
            vectors,
            learn,
            calibrate,
            encoder=encoder.fingerprint,
            encoder_name=public_name(encoder.name),
            options=fit_options,
            report=_report,
        )

    def predict(pairs: Sequence[Pair]) -> np.ndarray:
        first, second = rows_of(pairs)
        return head.predict(vectors[first], vectors[second])

    return Fitted(description_of_head(head, fit_options), head.save, predict, [public_command(options)])


def _fit_verify(parts: Division, measured: Sequence[LabelledFile], options: argparse.Namespace) -> Fitted:
    """A cross-encoder, fine-tuned from the encoder's own weights."""
    from kimera.cross_encoder import CrossEncoder, base_fingerprint, model_folder
    from kimera.fine_tuning import FineTuneOptions, LabelledTokens, fine_tune

    fit_options = FineTuneOptions(
        epochs=options.epochs, seed=options.seed, swap=options.swap, compiled=options.compile
    )
    folder = model_folder(options.encoder)
    tokenizer = Tokenizer(folder, fit_options.most_tokens)

    def tokens_of(part: Sequence[LabelledFile]) -> LabelledTokens:
        texts = [(pair.text1, pair.text2) for file in part for pair in file.pairs]
        return LabelledTokens(tokenizer.of_pairs(texts), *labels_and_weights(part))

    learn = tokens_of(parts.learn)
    _say(f"{len(learn):,} pairs to learn from, {learn.tokens.lengths.mean():.0f} tokens each on average")
    start = CrossEncoderWeights.load(options.start) if options.start else None
    base = base_fingerprint(folder, options.encoder)
    if start:
        start.require_base(base, options.encoder)
    weights = fine_tune(
        folder,
        learn,
        tokens_of(parts.calibrate),
        base=base,
        base_name=public_name(options.encoder),
        options=fit_options,
        checkpoint=checkpoint_path(options),
        start=start,
        report=_report,
    )
    commands = (*(start.commands if start else ()), public_command(options))
    weights = replace(weights, commands=commands)
    cross_encoder = CrossEncoder(weights, options.encoder, backend="torch")

    def predict(pairs: Sequence[Pair]) -> np.ndarray:
        return cross_encoder.predict([(pair.text1, pair.text2) for pair in pairs])

    return Fitted(description_of_cross_encoder(weights, fit_options), weights.save, predict, weights.commands)


def _report(epoch: float, train_loss: float, held_out_loss: float) -> None:
    _say(f"epoch {epoch:g}: loss {train_loss:.4f}, held out {held_out_loss:.4f}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _check_options(options: argparse.Namespace) -> None:
    """Refuse what would fail only after minutes of encoding."""
    if options.epochs < 1:
        raise UserError(f"--epochs is {options.epochs}; give 1 or more")
    if not 0 <= options.swap <= 1:
        raise UserError(f"--swap is {options.swap:g}; give a share from 0 to 1")
    other = {
        "screen": {"--swap": options.swap, "--start": options.start, "--compile": options.compile},
        "verify": {
            "--workers": options.workers,
            "--cache-dir": options.cache_dir,
            "--no-cache": options.no_cache,
        },
    }
    for flag in (name for name, value in other[options.stage].items() if value):
        raise UserError(f"{flag} does nothing with --stage {options.stage}; leave it out")
    for flag, path in (("--start", options.start), ("--sources", options.sources)):
        if path and not path.is_file():
            raise UserError(f"{flag}: there is no file {path}")
    if options.workers is not None and options.workers < 1:
        raise UserError(f"--workers is {options.workers}; give 1 or more")
    _check_writable(options.out)
    _check_writable(card_path(options))
    if card_path(options).resolve() == options.out.resolve():
        raise UserError(f"{options.out} cannot be both the head and its card; give --card another name")


def _check_writable(path: Path) -> None:
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UserError(f"{path} cannot be written: give the name of a file in a folder that exists")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise UserError(f"{path} cannot be written: you have no permission to; give another folder")


def card_path(options: argparse.Namespace) -> Path:
    """Where the card goes: --card, or beside the weights."""
    return options.card or options.out.with_suffix(".md")


def checkpoint_path(options: argparse.Namespace) -> Path:
    """Where an interrupted fit of the verify stage leaves its stand."""
    return Path(options.out.with_name(f"{options.out.name}.checkpoint"))


def measure(
    file: LabelledFile, predict: Callable[[Sequence[Pair]], np.ndarray], premises: Set[str]
) -> Figures:
    """AUC of contradiction against the rest, three-way accuracy, calibration error, where defined.

    predict: n pairs to probabilities of shape (n, 3). premises: those of pairs that the fit saw.
    """
    from sklearn.metrics import roc_auc_score

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


def public_command(options: argparse.Namespace) -> str:
    """The command that gives the same head, without private folders.

    Files below the current folder keep their path, data from elsewhere is below DATA/. What does not change
    the head (where vectors are kept, how many processes encode) is left out.
    """
    here = Path.cwd()
    sources = [parse_source(argument) for argument in options.files]
    described = [path for path in (options.sources, options.start) if path]
    read = [*(path for path, _ in sources), *map(Path, options.eval), *described]
    paths = [path.resolve() for path in read]
    elsewhere = [path.parent for path in paths if not path.is_relative_to(here)]
    data = Path(os.path.commonpath(elsewhere)) if elsewhere else here

    def public(path: Path) -> str:
        path = path.resolve()
        if path.is_relative_to(here):
            return path.relative_to(here).as_posix()
        return f"DATA/{path.relative_to(data).as_posix()}" if path.is_relative_to(data) else path.name

    words = [public(path) + ("" if weight == 1.0 else f"={weight:g}") for path, weight in sources]
    if options.eval:
        words += ["--eval", *(public(Path(argument)) for argument in options.eval)]
    if options.label_map:
        words += ["--label-map", options.label_map]
    if options.sources:
        words += ["--sources", public(options.sources)]
    words += ["--out", public(options.out), *(["--card", public(options.card)] if options.card else [])]
    words += ["--encoder", public_name(options.encoder)]
    words += ["--epochs", str(options.epochs), "--seed", str(options.seed)]
    words += ["--start", public(options.start)] if options.start else []
    words += ["--swap", f"{options.swap:g}"] if options.swap else []
    words += ["--compile"] if options.compile else []
    stage = [] if options.stage == "screen" else ["--stage", options.stage]
    return f"python -m kimera.train {shlex.join([*stage, *words])}"


def public_name(encoder: str) -> str:
    """An encoder's name; of a folder only its last part."""
    return Path(encoder).resolve().name if Path(encoder).is_dir() else encoder


if __name__ == "__main__":
    sys.exit(main())
