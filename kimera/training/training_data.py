"""Labelled files for a fit: read with their weights, and divided into parts that share no premise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from kimera.errors import UserError
from kimera.files import SAMPLE_WEIGHT, STANDARD_INPUT, TITLE, ReadCounts, Roles, read_pairs, spooled
from kimera.models import DataSet, Examples, TrainingSource
from kimera.pairs import LABELS, Pair

MAX_WEIGHTS_TOLD = 4
HELD_OUT_SHARE = 0.05
FOLDS = 5
LARGER_SHARES = (0.1, 0.2, 0.4, 0.6)  # where so small a share of few pairs lacks one of the answers
# Of 200 pairs with 30 contradictions an AUC of 0.8 is known to 0.1 either way (95 %; Hanley & McNeil 1982).
ENOUGH_PAIRS, ENOUGH_CONTRADICTIONS = 200, 30


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """Labelled pairs of one file; in a fit each counts `weight` times its own."""

    data_set: DataSet
    pairs: list[Pair]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Division:
    """Training files divided, file by file: no premise is in two parts, nor are two texts in either order.

    learn: to fit on. calibrate: ends the fit and calibrates it. report: only measured.
    left_out: how many held-out pairs were dropped because another part has their two texts.
    sources: what the whole files are.
    """

    learn: list[LabelledFile]
    calibrate: list[LabelledFile]
    report: list[LabelledFile]
    left_out: int
    sources: list[TrainingSource]


def read_labelled(
    path: Path,
    known: Mapping[str, DataSet],
    weight: float = 1.0,
    **reading: Any,
) -> LabelledFile:
    """The labelled pairs of a file, or of standard input where `path` is "-".

    known: describes files by their names. reading: what `read_pairs` takes as keywords. A column
    `SAMPLE_WEIGHT`, where there is one, says what each pair counts.
    Raises `UserError` if the file cannot be read or holds no labelled pair.
    """
    counts = ReadCounts()
    reading["roles"] = replace(reading.get("roles") or Roles(), sample_weight=SAMPLE_WEIGHT)
    if str(path) == STANDARD_INPUT:
        with spooled() as file:
            pairs = [pair for pair in read_pairs(file, name=TITLE, counts=counts, **reading) if pair.label]
    else:
        pairs = [pair for pair in read_pairs(path, counts=counts, **reading) if pair.label]
    unlabelled = counts.rows - counts.bad_rows - counts.labelled
    if unlabelled and pairs and reading.get("on_note"):
        reading["on_note"](f"{path}: {unlabelled} of {counts.rows} rows have no label and are left out")
    if not pairs:
        raise UserError(
            f"{path} holds no labelled pairs; expected a column 'label' with {', '.join(LABELS)}, or another "
            "that --label names"
        )
    return LabelledFile(known.get(path.name, DataSet(f"`{path.name}`")), pairs, weight)


def _source(file: LabelledFile) -> TrainingSource:
    """What the file is; weights that its pairs have of their own are among the remarks."""
    counts = Counter(pair.weight for pair in file.pairs)
    source = TrainingSource(file.data_set, len(file.pairs), file.weight)
    if counts.keys() <= {1.0}:
        return source
    told = [f"{weight:g} for {count:,} pairs" for weight, count in sorted(counts.items())]
    if len(told) > MAX_WEIGHTS_TOLD:
        told = [f"{min(counts):g} to {max(counts):g}"]
    return source.with_remark(f"{SAMPLE_WEIGHT} {', '.join(told)}")


def divide_with_both_answers(files: Sequence[LabelledFile], seed: int) -> Division:
    """`divide` with the smallest share held out that leaves contradictions and other pairs in every part.

    Raises `UserError` if none does: the files lack an answer, or have too few premises.
    """
    require_both_answers(files, "training")
    for share in (HELD_OUT_SHARE, *LARGER_SHARES):
        parts = divide(files, seed, share)
        if all(map(has_both_answers, (parts.learn, parts.calibrate, parts.report))):
            return parts
    # Of some files the half that is only measured has one answer, and the fit needs but the other two.
    parts = divide(files, seed)
    require_both_answers(parts.learn, "training")
    require_both_answers(parts.calibrate, "calibration")
    return parts


def divide(files: Sequence[LabelledFile], seed: int, share: float = HELD_OUT_SHARE) -> Division:
    """Divide files as `split` does; drop held-out pairs whose two texts an earlier part of any file has."""
    pairs = [split(file.pairs, seed, share) for file in files]
    learn, calibrate, report = (
        [replace(file, pairs=part) for file, part in zip(files, parts, strict=True)]
        for parts in zip(*pairs, strict=True)
    )
    calibrate, dropped = without_texts_of(calibrate, learn)
    report, also_dropped = without_texts_of(report, [*learn, *calibrate])
    sources = [_source(file) for file in files]
    return Division(learn, calibrate, report, dropped + also_dropped, sources)


def undivided(files: Sequence[LabelledFile]) -> Division:
    """All pairs calibrate, and all are measured: for fits that measure each pair out of fold."""
    sources = [_source(file) for file in files]
    return Division([], list(files), list(files), 0, sources)


def drawn(text: str, seed: int) -> float:
    """A number from 0 to 1 by a hash, so that a text is always in the same part."""
    content = f"{seed}\0{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big") / 2**64


def split(
    pairs: Iterable[Pair], seed: int, share: float = HELD_OUT_SHARE
) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """(learn, calibrate, report) by a hash of the premise; the last two halve the share."""
    learn: list[Pair] = []
    calibrate: list[Pair] = []
    report: list[Pair] = []
    for pair in pairs:
        draw = drawn(pair.text1, seed)
        part = calibrate if draw < share / 2 else report if draw < share else learn
        part.append(pair)
    return learn, calibrate, report


def folds_of(pairs: Sequence[Pair]) -> np.ndarray:
    """The fold of each pair, so that no text is in two folds, and folds are about as large.

    No seed decides anything. Where texts chain more than half of the pairs together, only those of one
    premise stay together, and those of the same two texts in either order, since folds without any text in
    common cannot be of a size.
    """
    group = chained(pairs)
    if max(Counter(group).values()) > len(pairs) / 2:
        given = {(pair.text1, pair.text2) for pair in pairs}
        group = [
            min(pair.text1, pair.text2) if (pair.text2, pair.text1) in given else pair.text1 for pair in pairs
        ]
    sizes = [0] * FOLDS
    fold: dict[str, int] = {}
    for name, count in sorted(Counter(group).items(), key=lambda item: (-item[1], _hash(item[0]))):
        fold[name] = sizes.index(min(sizes))
        sizes[fold[name]] += count
    return np.array([fold[name] for name in group], dtype=np.int64)


def chained(pairs: Sequence[Pair]) -> list[str]:
    """For each pair the name of its group: pairs that share a text, or that others chain together so."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = text = parent[parent[text]]
        return text

    for pair in pairs:
        first, second = sorted((root(pair.text1), root(pair.text2)))
        parent[second] = first
    return [root(pair.text1) for pair in pairs]


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


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


def has_both_answers(files: Sequence[LabelledFile]) -> bool:
    """Whether there are contradictions and other pairs."""
    return len({pair.is_contradiction for file in files for pair in file.pairs}) == 2


def require_both_answers(files: Sequence[LabelledFile], name: str) -> None:
    """Raise `UserError` if a part lacks contradictions, or anything else."""
    answers = [pair.is_contradiction for file in files for pair in file.pairs]
    contradictions = sum(map(bool, answers))
    if not 0 < contradictions < len(answers):
        raise UserError(
            f"the {name} part has {contradictions} contradictions among {len(answers)} pairs; it needs both "
            "contradictions and other pairs. Give more labelled pairs (some hundreds at least)."
        )


def too_small(division: Division) -> str:
    """Which held-out halves are too small for their figures to mean much; empty where none is."""
    small_halves = []
    for name, files in (("calibrates", division.calibrate), ("is only measured", division.report)):
        answers = [pair.is_contradiction for file in files for pair in file.pairs]
        if len(answers) < ENOUGH_PAIRS or sum(map(bool, answers)) < ENOUGH_CONTRADICTIONS:
            small_halves.append(
                f"the half that {name} has {len(answers)} pairs, {sum(map(bool, answers))} contradictions"
            )
    if not small_halves:
        return ""
    return (
        f"Too small for figures to mean much (fewer than {ENOUGH_PAIRS} pairs or {ENOUGH_CONTRADICTIONS} "
        f"contradictions): {'; '.join(small_halves)}."
    )


@dataclass(frozen=True, eq=False)
class TextVectors:
    """Sentence vectors of texts, float32 of shape (texts, dimension), and the row of each text."""

    vectors: np.ndarray
    row_of: Mapping[str, int]

    def rows(self, pairs: Iterable[Pair]) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the first and of the second texts: int64."""
        first, second = zip(
            *((self.row_of[pair.text1], self.row_of[pair.text2]) for pair in pairs), strict=True
        )
        return np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)

    def vectors_of(self, pairs: Iterable[Pair]) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of the first and of the second texts."""
        first, second = self.rows(pairs)
        return self.vectors[first], self.vectors[second]

    def examples(self, files: Sequence[LabelledFile]) -> Examples:
        return Examples(*self.rows(pair for file in files for pair in file.pairs), *labels_and_weights(files))


def pairs_in(files: Sequence[LabelledFile]) -> int:
    return sum(len(file.pairs) for file in files)


def distinct_texts(files: Sequence[LabelledFile]) -> list[str]:
    return list(dict.fromkeys(text for f in files for pair in f.pairs for text in (pair.text1, pair.text2)))


def labels_and_weights(files: Sequence[LabelledFile]) -> tuple[np.ndarray, np.ndarray]:
    """(label: int64, index into `LABELS`; weight: float32) of all pairs of the files, in their order."""
    labels = [LABELS.index(pair.label) for file in files for pair in file.pairs if pair.label]
    weights = [file.weight * pair.weight for file in files for pair in file.pairs if pair.label]
    return np.array(labels, dtype=np.int64), np.array(weights, dtype=np.float32)
