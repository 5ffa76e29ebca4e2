"""Labelled files for a fit: read with their weights, and divided into parts that share no premise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from kimera.errors import UserError
from kimera.model_card import DataSet
from kimera.pair_files import read_pairs
from kimera.pairs import LABELS, Pair

HELD_OUT_SHARE = 0.05


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


def require_both_answers(files: Sequence[LabelledFile], name: str) -> None:
    """Raise `UserError` if a part lacks contradictions, or anything else."""
    answers = [pair.is_contradiction for file in files for pair in file.pairs]
    contradictions = sum(map(bool, answers))
    if not 0 < contradictions < len(answers):
        raise UserError(
            f"the {name} part has {contradictions} contradictions among {len(answers)} pairs; it needs both "
            "contradictions and others. Give more labelled pairs (some hundreds at least)."
        )


def labels_and_weights(files: Sequence[LabelledFile]) -> tuple[np.ndarray, np.ndarray]:
    """(label: int64, index into `LABELS`; weight: float32) of all pairs of the files, in their order."""
    labels = [LABELS.index(pair.label) for file in files for pair in file.pairs if pair.label]
    weights = [np.full(len(file.pairs), file.weight, dtype=np.float32) for file in files]
    return np.array(labels, dtype=np.int64), np.concatenate(weights)
