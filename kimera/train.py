"""python -m kimera.train: fits a contradiction head on labelled pairs and writes it with its model card."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.encoder import DEFAULT_MODEL, Encoder, embed
from kimera.errors import UserError
from kimera.head import CLASSES, ContradictionHead, Examples, FitOptions, fit
from kimera.model_card import DataSet, Figures, ModelCard, Source, figures_table, read_sources
from kimera.pair_files import parse_label_map, read_pairs
from kimera.pairs import CONTRADICTION, LABELS, Pair

HELD_OUT_SHARE = 0.05
CALIBRATION_BINS = 15

DESCRIPTION = """\
Fit a contradiction head on files of labelled pairs (.jsonl, .csv, .tsv, each perhaps .gz), and write it
with a model card. A row needs two texts (premise and hypothesis, or text1 and text2) and a label:
contradiction, entailment, neutral, or not_contradiction where a set does not tell the last two apart.

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

then: Reactor(head="head.safetensors").detect(pairs)
"""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """Labelled pairs of one file; in a fit each counts `weight`."""

    data_set: DataSet
    pairs: list[Pair]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Division:
    """Training files divided, file by file: no premise is in two parts, nor are two texts in either order.

    learn: to fit on. calibrate: ends the fit and calibrates it. report: only measured.
    left_out: how many held-out pairs were dropped because another part has their two texts.
    """

    learn: list[LabelledFile]
    calibrate: list[LabelledFile]
    report: list[LabelledFile]
    left_out: int


class TextTable:
    """Gives each distinct text a row number."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def examples(self, file: LabelledFile) -> Examples:
        """The pairs of a file as arrays; new texts get the next rows."""
        first = [self.rows.setdefault(pair.text1, len(self.rows)) for pair in file.pairs]
        second = [self.rows.setdefault(pair.text2, len(self.rows)) for pair in file.pairs]
        labels = [LABELS.index(pair.label) for pair in file.pairs if pair.label]
        return Examples(
            np.array(first, dtype=np.int64),
            np.array(second, dtype=np.int64),
            np.array(labels, dtype=np.int64),
            np.full(len(first), file.weight, dtype=np.float32),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 2 wrong usage, 130 interrupted."""
    try:
        _run(build_parser().parse_args(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was encoded is in the cache", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
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
    add("--out", type=Path, default=Path("head.safetensors"), metavar="HEAD", help="default: %(default)s")
    add("--card", type=Path, metavar="CARD", help="model card, Markdown (default: HEAD with the suffix .md)")
    add("--sources", type=Path, metavar="JSON", help="titles and licences of the files, for the card")
    add("--label-map", metavar="MAP", help="what labels mean, e.g. 0=entailment,1=neutral,2=contradiction")
    add("--encoder", default=DEFAULT_MODEL, metavar="NAME", help="folder or name (default: %(default)s)")
    add("--epochs", type=int, default=FitOptions.epochs, help="at most so many (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the split and of the fit (default: %(default)s)")
    add(
        "--workers", type=int, metavar="N", help="encode in N processes (default: in this one, all its cores)"
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
    table = TextTable()
    learn, calibrate, report = (
        [table.examples(file) for file in files] for files in (parts.learn, parts.calibrate, parts.report)
    )
    measured = [table.examples(file) for file in evaluation]
    all_learn, all_calibrate = concatenate(learn), concatenate(calibrate)
    require_both_answers(all_learn, "training")
    require_both_answers(all_calibrate, "calibration")

    fit_options = FitOptions(epochs=options.epochs, seed=options.seed)
    head, vectors = _embed_and_fit(list(table.rows), all_learn, all_calibrate, options, fit_options)
    seen = np.union1d(all_learn.first, all_calibrate.first)
    sets = [(DataSet("all"), concatenate(report))]
    sets += [(file.data_set, part) for file, part in zip(parts.report, report, strict=True)]
    card = ModelCard(
        head=head,
        weights=options.out,
        options=fit_options,
        sources=[Source(file.data_set, len(file.pairs), file.weight) for file in training],
        left_out=parts.left_out,
        held_out=[measure(data_set, head, vectors, part, seen) for data_set, part in sets],
        evaluation=[
            measure(file.data_set, head, vectors, part, seen)
            for file, part in zip(evaluation, measured, strict=True)
        ],
        command=public_command(options),
    )
    _write(card, card_path(options))
    print(figures_table([*card.held_out, *card.evaluation]))
    _say(f"wrote {options.out} and {card_path(options)}")


def _embed_and_fit(
    texts: list[str],
    learn: Examples,
    calibrate: Examples,
    options: argparse.Namespace,
    fit_options: FitOptions,
) -> tuple[ContradictionHead, np.ndarray]:
    """The head, and the vectors of the texts."""
    cache = None if options.no_cache else EmbeddingCache(options.cache_dir)
    with Encoder(options.encoder) as encoder:
        _say(f"{len(learn):,} pairs to learn from; {len(texts):,} distinct texts in all")
        vectors = embed(texts, encoder, cache, workers=options.workers, progress=True).vectors
        head = fit(
            vectors,
            learn,
            calibrate,
            encoder=encoder.fingerprint,
            encoder_name=public_name(encoder.name),
            options=fit_options,
            report=lambda *losses: _say("epoch {}: loss {:.4f}, held out {:.4f}".format(*losses)),
        )
    return head, vectors


def _write(card: ModelCard, path: Path) -> None:
    try:
        card.head.save(card.weights)
        path.write_text(card.render(), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}") from error


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _check_options(options: argparse.Namespace) -> None:
    """Refuse what would fail only after minutes of encoding."""
    if options.epochs < 1:
        raise UserError(f"--epochs is {options.epochs}; give 1 or more")
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
    """Where the card goes: --card, or beside the head."""
    return options.card or options.out.with_suffix(".md")


def parse_source(argument: str) -> tuple[Path, float]:
    """Split FILE or FILE=WEIGHT. Raises `UserError` for a weight that is not above 0."""
    name, equals, weight = argument.rpartition("=")
    if not equals or Path(argument).exists():
        return Path(argument), 1.0
    try:
        value = float(weight)
    except ValueError:
        return Path(argument), 1.0  # an equals sign in a file's name; reading says whether it exists
    if not 0.0 < value < float("inf"):
        raise UserError(f"{argument}: the weight is {weight}, expected a number above 0")
    return Path(name), value


def read_labelled(
    path: Path, known: Mapping[str, DataSet], weight: float = 1.0, label_map: Mapping[str, str] | None = None
) -> LabelledFile:
    """The labelled pairs of a file; `known` describes it by its name, `label_map` says what its labels mean.

    Raises `UserError` if it cannot be read or holds none.
    """
    pairs = [pair for pair in read_pairs(path, label_map=label_map) if pair.label]
    if not pairs:
        raise UserError(f"{path} holds no labelled pairs; expected a column 'label' with {', '.join(LABELS)}")
    return LabelledFile(known.get(path.name, DataSet(f"`{path.name}`")), pairs, weight)


def divide(files: Sequence[LabelledFile], seed: int) -> Division:
    """Divide files as `split` does; drop held-out pairs whose two texts an earlier part of any file has."""
    pairs = [split(file.pairs, seed) for file in files]
    learn, calibrate, report = (
        [replace(file, pairs=part) for file, part in zip(files, parts, strict=True)]
        for parts in zip(*pairs, strict=True)
    )
    calibrate, dropped = without_texts_of(calibrate, learn)
    report, also_dropped = without_texts_of(report, [*learn, *calibrate])
    return Division(learn, calibrate, report, left_out=dropped + also_dropped)


def split(pairs: Iterable[Pair], seed: int) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """(learn, calibrate, report) by a hash of the premise; the last two halve `HELD_OUT_SHARE`."""
    learn: list[Pair] = []
    calibrate: list[Pair] = []
    report: list[Pair] = []
    for pair in pairs:
        content = f"{seed}\0{pair.text1}".encode("utf-8", "surrogatepass")
        draw = int.from_bytes(blake2b(content, digest_size=8).digest(), "big") / 2**64
        part = calibrate if draw < HELD_OUT_SHARE / 2 else report if draw < HELD_OUT_SHARE else learn
        part.append(pair)
    return learn, calibrate, report


def without_texts_of(
    files: Sequence[LabelledFile], others: Sequence[LabelledFile]
) -> tuple[list[LabelledFile], int]:
    """The files without pairs whose two texts, in either order, `others` have; and how many those were."""
    seen = {frozenset((pair.text1, pair.text2)) for other in others for pair in other.pairs}
    kept = [
        replace(file, pairs=[pair for pair in file.pairs if frozenset((pair.text1, pair.text2)) not in seen])
        for file in files
    ]
    dropped = sum(len(file.pairs) - len(left.pairs) for file, left in zip(files, kept, strict=True))
    return kept, dropped


def concatenate(parts: Sequence[Examples]) -> Examples:
    """All parts as one."""
    return Examples(
        *(np.concatenate([getattr(part, field) for part in parts]) for field in Examples.__dataclass_fields__)
    )


def require_both_answers(examples: Examples, name: str) -> None:
    """Raise `UserError` if a part lacks contradictions, or anything else."""
    contradictions = int((examples.label == LABELS.index(CONTRADICTION)).sum())
    if not 0 < contradictions < len(examples):
        raise UserError(
            f"the {name} part has {contradictions} contradictions among {len(examples)} pairs; it needs both "
            "contradictions and others. Give more labelled pairs (some hundreds at least)."
        )


def measure(
    data_set: DataSet, head: ContradictionHead, vectors: np.ndarray, examples: Examples, seen: np.ndarray
) -> Figures:
    """AUC of contradiction against the rest, three-way accuracy, calibration error, where defined.

    seen: the rows of `vectors` that are premises of pairs that the fit saw.
    """
    from sklearn.metrics import roc_auc_score

    probabilities = head.predict(vectors[examples.first], vectors[examples.second])
    truth = examples.label == LABELS.index(CONTRADICTION)
    is_three_way = set(examples.label.tolist()) == set(range(len(CLASSES)))
    return Figures(
        data_set=data_set,
        pairs=len(examples),
        contradictions=int(truth.sum()),
        premises_in_training=len(np.intersect1d(examples.first, seen)),
        auc=float(roc_auc_score(truth, probabilities[:, 0])) if truth.any() and not truth.all() else None,
        accuracy=float((probabilities.argmax(axis=1) == examples.label).mean()) if is_three_way else None,
        calibration_error=calibration_error(probabilities[:, 0], truth) if len(examples) else None,
    )


def calibration_error(scores: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error over bins of equal mass (Nixon et al. 2019): mean |score - frequency|."""
    bins = np.array_split(np.argsort(scores, kind="stable"), min(CALIBRATION_BINS, len(scores)))
    gaps = [len(rows) * abs(float(scores[rows].mean()) - float(truth[rows].mean())) for rows in bins]
    return sum(gaps) / len(scores)


def public_command(options: argparse.Namespace) -> str:
    """The command that gives the same head, without private folders.

    Files below the current folder keep their path, data from elsewhere is below DATA/. What does not change
    the head (where vectors are kept, how many processes encode) is left out.
    """
    here = Path.cwd()
    sources = [parse_source(argument) for argument in options.files]
    described = [options.sources] if options.sources else []
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
    return f"python -m kimera.train {shlex.join(words)}"


def public_name(encoder: str) -> str:
    """An encoder's name; of a folder only its last part."""
    return Path(encoder).resolve().name if Path(encoder).is_dir() else encoder


if __name__ == "__main__":
    sys.exit(main())
