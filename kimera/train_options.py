"""The flags of kimera.train: what they take, what is refused, and how a card shows them."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from kimera.commands import as_called
from kimera.data_sets import parse_source
from kimera.errors import UserError
from kimera.model_folders import DEFAULT_MODEL
from kimera.pair_flags import FLAGS as PAIR_FLAGS
from kimera.pair_flags import add_pair_flags
from kimera.reactor_flags import add_old_name, whole
from kimera.training_data import ENOUGH_CONTRADICTIONS, ENOUGH_PAIRS, HELD_OUT_SHARE

EPOCHS = {"screen": 6, "verify": 3}
FILE_NAMES = {"screen": "head.safetensors", "verify": "verify.safetensors"}

DESCRIPTION = f"""\
Fit a stage of the reactor on files of labelled pairs (CSV, TSV, JSON, JSON Lines, each also .gz;
Parquet), and write it with a model card. --stage screen fits a small head on sentence vectors, in minutes;
--stage verify fine-tunes the encoder itself into a cross-encoder, in an hour or two on a CPU; after an
interruption the same command continues it.

A row needs two texts (premise and hypothesis, or text1 and text2, or the columns that flags name) and a
label: contradiction, entailment, neutral, or not_contradiction where a set does not tell the last two apart.

The pairs of 5 % of the premises, chosen by a hash, are held out in two halves that share no premise: one ends
the fit early and calibrates P(contradiction), the other is only measured, like the files of --eval. A
held-out pair is left out if the fit saw the same two texts elsewhere, in either order. The card states how
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

then: Reactor(head="head.safetensors").detect(pairs), or Reactor(cross_encoder="verify.safetensors")
"""


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options, with the defaults of the stage."""
    options = build_parser().parse_args(arguments)
    options.epochs = EPOCHS[options.stage] if options.epochs is None else options.epochs
    options.out = options.out or Path(FILE_NAMES[options.stage])
    return options


def build_parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(
        prog=as_called("kimera train"),
        description=DESCRIPTION,
        epilog=as_called(EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "files",
        nargs="+",
        metavar="FILE",
        help="files of training pairs, or - for standard input; with FILE=0.5 each pair of the file counts "
        "half",
    )
    add(
        "--eval",
        nargs="+",
        default=[],
        metavar="FILE",
        help="files of labelled pairs for evaluation only; nothing is fitted on them",
    )
    add("--stage", choices=tuple(EPOCHS), default="screen", help="stage to fit (default: %(default)s)")
    add(
        "--out",
        type=Path,
        metavar="WEIGHTS",
        help="file to write (default: head.safetensors, or verify.safetensors)",
    )
    add(
        "--card",
        type=Path,
        metavar="CARD",
        help="file to write the model card to (default: WEIGHTS with the suffix .md)",
    )
    add(
        "--sources",
        type=Path,
        metavar="JSON",
        help="file with the titles and licences of the training files, for the card",
    )
    add(
        "--encoder",
        default=DEFAULT_MODEL,
        metavar="NAME",
        help="sentence-transformers model to start from, by name or folder (default: %(default)s)",
    )
    add("--epochs", type=int, help="maximum number of epochs (default: 6 for screen, 3 for verify)")
    add("--seed", type=int, default=0, help="seed of the split and of the fit (default: %(default)s)")
    add(
        "--mp",
        type=whole(1),
        metavar="N",
        help="encode in N processes of one thread each (default: one process with all cores)",
    )
    add_old_name(parser, "--workers", "mp", whole(1))
    add(
        "--start",
        type=Path,
        metavar="WEIGHTS",
        help="verify: start from these weights, e.g. kimera/weights/verify.safetensors, instead of the "
        "encoder's",
    )
    add(
        "--swap",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="verify: share of the pairs to read in the other order, drawn anew in each epoch, so that "
        "scores depend less on the order (default: 0)",
    )
    add(
        "--compile",
        action="store_true",
        help="verify: compile the network first; this needs a C++ compiler and saves a fifth of the time",
    )
    add(
        "--cache-dir",
        type=Path,
        metavar="DIR",
        help="folder of the cache of vectors (default: KIMERA_CACHE_DIR, or the user's cache folder)",
    )
    add("--no-cache", action="store_true", help="keep no vectors on disk")
    add_pair_flags(parser.add_argument_group("how the files are read"))
    return parser


def check_options(options: argparse.Namespace) -> None:
    """Refuse what would fail only after minutes of encoding."""
    if options.epochs < 1:
        raise UserError(f"--epochs is {options.epochs}; give 1 or more")
    if not 0 <= options.swap <= 1:
        raise UserError(f"--swap is {options.swap:g}; give a share from 0 to 1")
    other = {
        "screen": {"--swap": options.swap, "--start": options.start, "--compile": options.compile},
        "verify": {
            "--mp": options.mp,
            "--cache-dir": options.cache_dir,
            "--no-cache": options.no_cache,
        },
    }
    for flag in (name for name, value in other[options.stage].items() if value):
        raise UserError(f"{flag} has no effect with --stage {options.stage}; leave it out")
    for flag, path in (("--start", options.start), ("--sources", options.sources)):
        if path and not path.is_file():
            raise UserError(f"{flag}: there is no file {path}")
    _check_writable(options.out)
    _check_writable(card_path(options))
    if card_path(options).resolve() == options.out.resolve():
        raise UserError(f"{options.out} cannot be both the head and its card; give --card another name")


def _check_writable(path: Path) -> None:
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UserError(f"{path} cannot be written: give the name of a file in a folder that exists")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise UserError(f"{path} cannot be written: you lack the permission; give another folder")


def card_path(options: argparse.Namespace) -> Path:
    """Where the card goes: --card, or beside the weights."""
    card: Path = options.card or options.out.with_suffix(".md")
    return card


def checkpoint_path(options: argparse.Namespace) -> Path:
    """Where an interrupted fit of the verify stage leaves its stand."""
    return Path(options.out.with_name(f"{options.out.name}.checkpoint"))


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
    for name, flag in PAIR_FLAGS.items():
        value = getattr(options, name)
        words += [flag, *([value] if value is not True else [])] if value else []
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
