"""The settings of kimera.train: what they take, what is refused, and how a card shows them."""

from __future__ import annotations

import argparse
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from kimera.console import Groups, changed, option, options_of, parser_of, share, whole, words_of
from kimera.errors import UserError
from kimera.files import KINDS_OF_TABLES, PairSettings
from kimera.models import DEEP_MODEL, DEEP_NAMES, DEFAULT_MODEL, PACKAGED_NAMES, parse_source
from kimera.reactor_settings import ModelSettings
from kimera.reactor_stages import WEIGHTS
from kimera.shipped_weights import SHIPPED_CROSS_ENCODER, SHIPPED_DEEP, SHIPPED_HEAD
from kimera.training.training_data import ENOUGH_CONTRADICTIONS, ENOUGH_PAIRS, HELD_OUT_SHARE

EPOCHS = {"screen": 6, "verify": 3, "deep": 2}
NEIGHBOUR_EPOCHS = 8
STAGES = (*EPOCHS, "bounds", "scan", "neighbours")
FILE_NAMES = {
    "screen": "head.safetensors",
    "verify": "verify.safetensors",
    "deep": "deep.safetensors",
    "bounds": "stage_bounds.json",
    "scan": "scan.json",
    "neighbours": "neighbours.safetensors",
}
# With fewer pairs, fits by the usual recipe did worse than the shipped weights, or differed by seed.
FEW_PAIRS = {"screen": 3000, "verify": 1000, "deep": 1000}
AGREEMENT = 0.97
BASES = {
    "screen": DEFAULT_MODEL,
    "verify": DEFAULT_MODEL,
    "deep": DEEP_MODEL,
    "bounds": DEEP_MODEL,
    "scan": DEFAULT_MODEL,
    "neighbours": DEFAULT_MODEL,
}

DESCRIPTION = f"""\
Fit a stage of the reactor on files of labelled pairs
({KINDS_OF_TABLES}), and write it with a model card.
--stage screen fits a small head on sentence vectors, in minutes; --stage verify fine-tunes the encoder itself
into a cross-encoder, in an hour or two on a CPU; --stage deep fits adapters on a larger model, in some hours.
After an interruption of these two the same command continues.
--stage scan takes folders of maintained documentation instead: statements of theirs are changed by rule, and
the scores by which scans find them are fitted, in some minutes.
--stage neighbours: what stands near to what among the texts of the pairs is read by the cross-encoder, and a
head is fitted to what that says, so that scans of rows, and live sessions, need not read all neighbours. With
--verify-weights of your own, write it beside them as neighbours.safetensors, where these look for it.

A row needs two texts (premise and hypothesis, or text1 and text2, or the columns that flags name) and a
label: contradiction, entailment, neutral, or not_contradiction where a set does not tell the last two apart.
A column sample_weight, where there is one, says what a row counts in the fit (1 where a file has none).

Fewer than {FEW_PAIRS["screen"]:,} pairs are too few for new weights the usual way. Whatever does best
out of fold is written: the shipped weights as they are, with a new calibration or a new last layer, or new
weights, the average of a few seeds. Of verify and deep, below {FEW_PAIRS["verify"]:,} pairs, only the
calibration is new, of the shipped weights or of those of --start. --refit fits new weights the usual way.

Of more, the pairs of 5 % of the premises, chosen by a hash, are held out in two halves that share no premise:
one ends the fit early and calibrates P(contradiction), the other is only measured, like the files of --eval.
A held-out pair is left out if the fit saw the same two texts elsewhere, in either order. The card states how
many, and how many premises of the measured sets the fit saw.

The training part and the half that calibrates each need at least one contradiction and one other pair. If a
half has fewer than {ENOUGH_PAIRS} pairs or {ENOUGH_CONTRADICTIONS} contradictions its figures mean little,
and the command and the card say so; some {2 * ENOUGH_PAIRS / HELD_OUT_SHARE:,.0f} pairs in all are enough,
with 15 % contradictions.

The card shows each file's own name and the licence "not stated", unless --sources names a JSON file such as
{{"pairs.csv": {{"title": "My pairs", "licence": "CC BY 4.0", "remarks": "machine labels"}}}}
"""
EPILOG = """\
examples:
  kimera train pairs.csv                          writes head.safetensors and head.md
  kimera train a.jsonl b.jsonl=0.5 --eval c.csv   a pair of b counts half
  kimera train pairs.csv --sources sources.json   a model card that states licences
  kimera train pairs.csv --encoder ./my-encoder   a head for another sentence-transformers model
  kimera train pairs.csv --stage verify --start kimera/weights/verify.safetensors
                                                            start from the shipped cross-encoder
  kimera train docs handbook --stage scan         writes scan.json and scan.md, for kimera scan
  kimera train pairs.csv --stage verify --teacher deep.safetensors --new-pairs 100000
                                                            learn also from what the deep stage says

then: Reactor(head="head.safetensors").detect(pairs), or Reactor(cross_encoder="verify.safetensors")
"""


@dataclass(frozen=True, kw_only=True)
class TrainSettings(PairSettings):
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {
        "": (
            *("files", "eval", "stage", "out", "card", "sources", "encoder", "epochs", "seed", "mp", "start"),
            *("average", "refit", "reweight", "swap", "teacher", "deep_base", "new_pairs", "compile"),
            *("cache_dir", "no_cache"),
        ),
        "bounds between the stages (--stage bounds), of the shipped weights unless others are given": (
            *("agreement", *WEIGHTS.values()),
        ),
        "how the files are read": (PairSettings,),
    }
    files: tuple[str, ...] = option(
        (),
        nargs="+",
        metavar="FILE",
        help="files of training pairs, or - for standard input; with FILE=0.5 each pair of the file counts "
        "half. With --stage scan, folders of documentation, each a corpus of its own",
    )
    eval: tuple[str, ...] = option(
        (),
        "--eval",
        nargs="+",
        metavar="FILE",
        help="files of labelled pairs for evaluation only; nothing is fitted on them",
    )
    stage: Literal["screen", "verify", "deep", "bounds", "scan", "neighbours"] = option(
        "screen",
        "--stage",
        choices=STAGES,
        help="stage to fit; bounds: within which each of the shipped stages leaves a pair to the next; "
        "scan: the scores of scans, fitted on folders of documentation; neighbours: the head of scans of "
        "rows, fitted to what the cross-encoder says (default: %(default)s)",
    )
    agreement: float | None = option(
        None,
        "--agreement",
        type=share,
        metavar="SHARE",
        help=f"how often a stage has to agree with deep where it settles pairs (default: {AGREEMENT:g})",
    )
    head: str | None = changed(ModelSettings, "head")
    verify_weights: str | None = changed(ModelSettings, "verify_weights")
    deep_weights: str | None = changed(ModelSettings, "deep_weights")
    out: Path | None = option(
        None,
        "--out",
        type=Path,
        metavar="WEIGHTS",
        outward=True,
        help="file to write (default: head.safetensors, verify.safetensors, "
        "deep.safetensors, stage_bounds.json, scan.json or neighbours.safetensors)",
    )
    card: Path | None = option(
        None,
        "--card",
        type=Path,
        metavar="CARD",
        outward=True,
        help="file to write the model card to (default: WEIGHTS with the suffix .md)",
    )
    sources: Path | None = option(
        None,
        "--sources",
        type=Path,
        metavar="JSON",
        help="file with the titles and licences of the training files, for the card",
    )
    encoder: str | None = option(
        None,
        "--encoder",
        metavar="NAME",
        help="sentence-transformers model to start from, by name or folder (default: "
        f"{DEFAULT_MODEL}; {DEEP_MODEL} for deep)",
    )
    epochs: int | None = option(
        None,
        "--epochs",
        type=whole(1),
        help="maximum number of epochs (default: 6 for screen, 3 for verify, 2 for deep, 8 for neighbours)",
    )
    seed: int = option(
        0, "--seed", type=whole(0), help="seed of the split and of the fit (default: %(default)s)"
    )
    mp: int | None = option(
        None,
        "--mp",
        type=whole(1),
        metavar="N",
        old=("--workers",),
        help="encode in N processes of one thread each (default: one process with all cores)",
    )
    start: Path | None = option(
        None,
        "--start",
        type=Path,
        metavar="WEIGHTS",
        help="verify, deep: start from these weights, e.g. kimera/weights/verify.safetensors, instead of the "
        "encoder's",
    )
    average: tuple[str, ...] = option(
        (),
        "--average",
        nargs="+",
        metavar="WEIGHTS",
        help="verify, deep: fit nothing; average these weights of earlier fits of one base, and calibrate, "
        "measure and describe the average as a fit",
    )
    refit: bool = option(
        False,
        "--refit",
        help="fit new weights the usual way even from few pairs "
        f"(fewer than {FEW_PAIRS['screen']:,}; verify, deep: {FEW_PAIRS['verify']:,})",
    )
    reweight: tuple[str, ...] = option(
        (),
        "--reweight",
        nargs="+",
        metavar="FILE",
        help="screen, verify, deep: of these training files, a pair counts the less the more its second text "
        "alone tells the label, so that a fit has to read both",
    )
    swap: float = option(
        0.0,
        "--swap",
        type=share,
        metavar="SHARE",
        help="verify, deep: share of the pairs to read in the other order, drawn anew in each epoch, so that "
        "scores depend less on the order (default: %(default)g)",
    )
    teacher: Path | None = option(
        None,
        "--teacher",
        type=Path,
        metavar="WEIGHTS",
        help="verify: learn also from what the deep stage with these weights says of each pair",
    )
    deep_base: str = changed(ModelSettings, "deep_base")
    new_pairs: int = option(
        0,
        "--new-pairs",
        type=whole(0),
        metavar="N",
        help="with --teacher: learn also from about N unlabelled pairs made of the training texts: near, "
        "any, swapped, negated (default: %(default)s)",
    )
    compile: bool = option(
        False,
        "--compile",
        help="verify, deep: compile the network first; this needs a C++ compiler and saves up to a fifth of "
        "the time",
    )
    cache_dir: Path | None = option(
        None,
        "--cache-dir",
        type=Path,
        metavar="DIR",
        outward=True,
        help="folder of the cache (default: KIMERA_CACHE_DIR, or the user's cache folder)",
    )
    no_cache: bool = option(False, "--no-cache", help="keep no vectors or scores on disk")

    @property
    def base(self) -> str:
        """The model that the fit starts from."""
        return self.encoder or BASES[self.stage]

    @property
    def known_weights(self) -> Path | None:
        """Weights of this stage that there are for this base: those of --start, or shipped ones."""
        if self.start:
            return self.start
        shipped, names = {
            "screen": (SHIPPED_HEAD, PACKAGED_NAMES),
            "verify": (SHIPPED_CROSS_ENCODER, PACKAGED_NAMES),
            "deep": (SHIPPED_DEEP, DEEP_NAMES),
        }.get(self.stage, (None, ()))
        return shipped if self.base in names else None

    @property
    def reweighted(self) -> set[Path]:
        """Files of --reweight, resolved."""
        return {parse_source(argument)[0].resolve() for argument in self.reweight}

    @property
    def fine_tunes(self) -> bool:
        """Whether a cross-encoder is fitted, in hours that a checkpoint keeps."""
        return self.stage in {"verify", "deep"}

    @property
    def max_epochs(self) -> int:
        if self.epochs is not None:
            return self.epochs
        return EPOCHS.get(self.stage, NEIGHBOUR_EPOCHS)

    @property
    def weights_path(self) -> Path:
        return self.out or Path(FILE_NAMES[self.stage])

    @property
    def card_path(self) -> Path:
        """Where the card goes: --card, or beside the weights."""
        return self.card or self.weights_path.with_suffix(".md")

    @property
    def checkpoint_path(self) -> Path:
        """Where an interrupted fit of a cross-encoder leaves its stand."""
        return self.weights_path.with_name(f"{self.weights_path.name}.checkpoint")


def build_parser() -> argparse.ArgumentParser:
    return parser_of(TrainSettings, "train", description=DESCRIPTION, epilog=EPILOG)


def check_settings(settings: TrainSettings) -> None:
    """Refuse what would fail only after minutes of encoding."""
    of_learning = {"--swap": settings.swap, "--start": settings.start, "--compile": settings.compile}
    of_networks = {**of_learning, "--average": settings.average}
    of_lessons = {
        "--teacher": settings.teacher,
        "--deep-base": settings.deep_base != DEEP_MODEL,
        "--new-pairs": settings.new_pairs,
    }
    declared = options_of(TrainSettings)
    of_weights = {declared[name].flag: getattr(settings, name) for name in WEIGHTS.values()}
    of_bounds = {"--agreement": settings.agreement, **of_weights}
    of_fits = {
        "--eval": settings.eval,
        "--epochs": settings.epochs,
        "--card": settings.card,
        "--reweight": settings.reweight,
    }
    other: dict[str, dict[str, object]] = {
        "screen": {**of_networks, **of_lessons, **of_bounds},
        "verify": {"--mp": settings.mp, **of_bounds},
        "deep": {**of_lessons, "--mp": settings.mp, **of_bounds},
        "bounds": {
            **of_networks,
            **of_lessons,
            **of_fits,
            "--mp": settings.mp,
            "--sources": settings.sources,
            "--refit": settings.refit,
        },
        "scan": {
            **of_networks,
            **of_lessons,
            **{flag: value for flag, value in of_bounds.items() if flag in ("--agreement", "--deep-weights")},
            **{flag: value for flag, value in of_fits.items() if flag != "--card"},
            "--sources": settings.sources,
            "--encoder": settings.encoder,
            "--refit": settings.refit,
            **dict.fromkeys(list(words_of(settings, options_of(PairSettings)))[:1], True),
        },
        "neighbours": {
            **of_networks,
            **of_lessons,
            **{flag: value for flag, value in of_bounds.items() if flag != "--verify-weights"},
            "--eval": settings.eval,
            "--reweight": settings.reweight,
            "--encoder": settings.encoder,
            "--refit": settings.refit,
        },
    }
    for flag in (name for name, value in other[settings.stage].items() if value):
        raise UserError(f"{flag} has no effect with --stage {settings.stage}; leave it out")
    weighed = [path for path, weight in map(parse_source, settings.files) if weight != 1.0]
    if weighed and settings.stage == "neighbours":
        raise UserError(
            f"{weighed[0]}: with --stage neighbours all files count the same; leave its weight out"
        )
    trained = {path.resolve() for path, _ in map(parse_source, settings.files)}
    if strange := sorted(settings.reweighted - trained):
        raise UserError(f"--reweight: {strange[0]} is not one of the training files; give one of these")
    for flag in (name for name, value in of_lessons.items() if value and not settings.teacher):
        raise UserError(f"{flag} has no effect without --teacher; give both")
    if settings.average:
        unused = {
            **of_learning,
            **of_lessons,
            "--epochs": settings.epochs,
            "--refit": settings.refit,
            "--reweight": settings.reweight,
        }
        for flag in (name for name, value in unused.items() if value):
            raise UserError(f"{flag} has no effect with --average, which fits nothing; leave it out")
        if len(settings.average) < 2:
            raise UserError("--average takes two files or more")
        if settings.weights_path.resolve() in {Path(path).resolve() for path in settings.average}:
            raise UserError(f"{settings.weights_path} is one of those to average; give --out another name")
    if settings.teacher and settings.no_cache:
        raise UserError(
            "what a teacher has read is kept in the cache, without which a fit would begin anew; "
            "leave --no-cache out, or put the cache elsewhere with --cache-dir"
        )
    if settings.swap and settings.teacher:
        raise UserError(
            "a teacher has not read the pairs that --swap turns around; leave --swap out: --new-pairs makes "
            "pairs in the other order, which it reads"
        )
    described = {"--start": settings.start, "--teacher": settings.teacher, "--sources": settings.sources}
    averaged = (("--average", path) for path in settings.average)
    for flag, path in (*of_weights.items(), *described.items(), *averaged):
        if path and not Path(path).is_file():
            raise UserError(f"{flag}: there is no file {path}")
    _check_writable(settings.weights_path)
    if settings.stage == "bounds":
        return
    _check_writable(settings.card_path)
    if settings.card_path.resolve() == settings.weights_path.resolve():
        raise UserError(
            f"{settings.weights_path} cannot be both the head and its card; give --card another name"
        )


def check_few_pairs(settings: TrainSettings, pairs: int) -> None:
    """Refuse what bears on new weights alone, where so few pairs are fitted in another way."""
    of_new_weights = {
        "--epochs": settings.epochs,
        "--swap": settings.swap,
        "--compile": settings.compile,
        "--reweight": settings.reweight,
    }
    for flag in (name for name, value in of_new_weights.items() if value):
        raise UserError(
            f"{flag} has no effect on a fit from so few pairs ({pairs:,}); leave it out, or fit new weights "
            "the usual way with --refit"
        )


def _check_writable(path: Path) -> None:
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UserError(f"{path} cannot be written: give the name of a file in a folder that exists")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise UserError(f"{path} cannot be written: you lack the permission; give another folder")


def public_command(settings: TrainSettings, *, has_epochs: bool = True) -> str:
    """The command that gives the same weights, without private folders.

    Files below the current folder keep their path, data from elsewhere is below DATA/. What does not change
    the weights (where vectors are kept, how many processes encode) is left out. has_epochs: whether the fit
    has any, which one from few pairs has not.
    """
    here = Path.cwd()
    sources = [parse_source(argument) for argument in settings.files]
    described = [path for path in (settings.sources, settings.start, settings.teacher) if path]
    read = [*(path for path, _ in sources), *map(Path, (*settings.eval, *settings.average)), *described]
    paths = [path.resolve() for path in read]
    elsewhere = [path.parent for path in paths if not path.is_relative_to(here)]
    data = Path(os.path.commonpath(elsewhere)) if elsewhere else here

    def public(path: Path) -> str:
        path = path.resolve()
        if path.is_relative_to(here):
            return path.relative_to(here).as_posix()
        return f"DATA/{path.relative_to(data).as_posix()}" if path.is_relative_to(data) else path.name

    words = [public(path) + ("" if weight == 1.0 else f"={weight:g}") for path, weight in sources]
    if settings.eval:
        words += ["--eval", *(public(Path(argument)) for argument in settings.eval)]
    reweighted = [public(path) for path, _ in sources if path.resolve() in settings.reweighted]
    words += ["--reweight", *reweighted] if reweighted else []
    words += words_of(settings, options_of(PairSettings))
    if settings.sources:
        words += ["--sources", public(settings.sources)]
    words += ["--out", public(settings.weights_path)]
    words += ["--card", public(settings.card)] if settings.card else []
    if settings.stage not in ("scan", "neighbours"):
        words += ["--encoder", public_name(settings.base)]
    words += ["--epochs", str(settings.max_epochs)] if has_epochs else []
    words += ["--seed", str(settings.seed)]
    words += ["--start", public(settings.start)] if settings.start else []
    words += (
        ["--average", *(public(Path(argument)) for argument in settings.average)] if settings.average else []
    )
    words += ["--teacher", public(settings.teacher)] if settings.teacher else []
    if settings.stage == "neighbours" and settings.verify_weights:
        words += ["--verify-weights", public(Path(settings.verify_weights))]
    words += ["--deep-base", public_name(settings.deep_base)] if settings.deep_base != DEEP_MODEL else []
    words += ["--new-pairs", str(settings.new_pairs)] if settings.new_pairs else []
    words += ["--swap", f"{settings.swap:g}"] if settings.swap else []
    words += ["--refit"] if settings.refit else []
    words += ["--compile"] if settings.compile else []
    stage = [] if settings.stage == "screen" else ["--stage", settings.stage]
    return f"python -m kimera.train {shlex.join([*stage, *words])}"


def public_name(encoder: str) -> str:
    """An encoder's name; of a folder only its last part."""
    return Path(encoder).resolve().name if Path(encoder).is_dir() else encoder
