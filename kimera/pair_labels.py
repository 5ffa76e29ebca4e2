"""What the cells of a label column mean: words, booleans, named classes, and integers if they are clear."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from kimera.errors import UserError
from kimera.pairs import CONTRADICTION, ENTAILMENT, LABELS, NEUTRAL, NOT_CONTRADICTION
from kimera.tables import shorten

NO_GOLD_LABEL = "-"
"""What SNLI and MultiNLI write where the annotators did not agree."""

LABEL_MAP_EXAMPLE = "0=entailment,1=neutral,2=contradiction"

_TRUTH_WORDS = ("true", "false")

_WORDS = {label: label for label in LABELS} | {
    "supports": ENTAILMENT,
    "refutes": CONTRADICTION,
    "not enough info": NEUTRAL,
    "true": CONTRADICTION,
    "false": NOT_CONTRADICTION,
    NO_GOLD_LABEL: NO_GOLD_LABEL,
}
_BINARY = {"0": NOT_CONTRADICTION, "1": CONTRADICTION}
# Also "1.0": what pandas makes of an integer column with gaps. Longer numbers are nobody's classes.
_INTEGER = re.compile(r"(-?[0-9]{1,9})(?:\.0)?")
_MAX_SHOWN = 10


class UnknownLabel(ValueError):  # noqa: N818 (the field's name for it, and no error of a program)
    """A cell that is no label; the message says what was expected and how to name it."""


def parse_label_map(text: str) -> dict[str, str]:
    """`"0=entailment,1=neutral,2=contradiction"` -> `{"0": "entailment", ...}`.

    The left sides are what the file says, in any case; the right sides one of `LABELS`, or "-" for rows
    without a gold label, which are dropped. Raises UserError.
    """
    meanings: dict[str, str] = {}
    for entry in text.split(","):
        written, equals, label = (part.strip().casefold() for part in entry.rpartition("="))
        if not (equals and written and label):
            raise UserError(
                f"--label-map: {shorten(entry)} is not VALUE=LABEL; expected, say, {LABEL_MAP_EXAMPLE}"
            )
        if label not in (*LABELS, NO_GOLD_LABEL):
            raise UserError(
                f"--label-map: {shorten(label)} is not a label; expected {', '.join(LABELS)},"
                f" or {NO_GOLD_LABEL} for rows to drop"
            )
        if meanings.setdefault(written, label) != label:
            raise UserError(
                f"--label-map: {shorten(written)} is given two meanings, {meanings[written]} and {label}"
            )
    return meanings


class UnclearTruth(ValueError):  # noqa: N818 (see UnknownLabel)
    """A true or false that may speak of a claim or of a contradiction; the message says how to tell."""


class LabelReader:
    """Reads the cells of one table's label column.

    table_name: for messages. column: starts a pass over all cells of the label column; called once, and
    only if a cell holds an integer that neither `label_map` nor class names explain. Integers are then
    1 = contradiction, 0 = not, provided that the column's values are exactly 0 and 1.
    """

    def __init__(
        self,
        table_name: str,
        column: Callable[[], Iterable[object]],
        label_map: Mapping[str, str] | None = None,
    ) -> None:
        self._table_name = table_name
        self._column = column
        mapped = {word.strip().casefold(): label for word, label in (label_map or {}).items()}
        self._words = _WORDS | mapped
        self._unmapped_truth = set(_TRUTH_WORDS) - set(mapped)
        self._integers_are_mapped = any(map(_INTEGER.fullmatch, self._words))
        self._integers_are_binary = False

    def read(self, cell: object, class_names: Sequence[str] = (), of_claim: bool = False) -> str | None:
        """One of `LABELS`, `NO_GOLD_LABEL`, or None where the cell is blank.

        of_claim: the row is a claim and its evidence, where "true" may well say that the claim holds.
        Raises UnknownLabel for this cell, UnclearTruth for true or false `of_claim` that the label map leaves
        out, UserError if the column's integers could mean anything.
        """
        word = self._word(cell, class_names)
        if not word:
            return None
        if of_claim and word in self._unmapped_truth:
            raise UnclearTruth(
                f"the label of a claim is {word!r}, which may say that the claim holds or that there is a"
                " contradiction; say which with --label-map true=entailment,false=contradiction, or with the"
                " reverse, true=contradiction,false=entailment"
            )
        if word in self._words:
            return self._words[word]
        if self._integers_are_mapped or not _INTEGER.fullmatch(word):
            raise UnknownLabel(
                f"the label {shorten(cell)} is not known; expected {', '.join(LABELS)}, or else"
                " say what it means with --label-map VALUE=LABEL"
            )
        if not self._integers_are_binary:
            self._check_integers(class_names)
            self._integers_are_binary = True
        return _BINARY[word]

    def _word(self, cell: object, class_names: Sequence[str]) -> str:
        """The cell as a word, an index replaced by its class's name unless the label map names the index."""
        word = _as_word(cell)
        return word if word in self._words or not class_names else _class_name(word, class_names)

    def _check_integers(self, class_names: Sequence[str]) -> None:
        """Raises UserError unless the column is 0s and 1s, both present; reads no further than it must."""
        integers: set[str] = set()
        for cell in self._column():
            word = self._word(cell, class_names)
            if self._words.get(word) in LABELS:
                raise self._unclear(f"the label column mixes integers with names such as {shorten(cell)}")
            if _INTEGER.fullmatch(word):
                integers.add(word)
            if len(integers) > _MAX_SHOWN:
                break
        if integers != set(_BINARY):
            shown = ", ".join(sorted(integers, key=int))
            raise self._unclear(
                f"the label column holds the integers {shown} and carries no class names; only exactly 0"
                " and 1 (1 = contradiction) are clear without"
            )

    def _unclear(self, problem: str) -> UserError:
        return UserError(
            f"{self._table_name}: {problem}; say what each value means, as in --label-map {LABEL_MAP_EXAMPLE}"
        )


def _as_word(cell: object) -> str:
    """A cell as lower-case text, blanks around it left out; numbers without a fraction as integers."""
    if cell is None:
        return ""
    if not isinstance(cell, str | bool | int | float):
        return shorten(cell)
    word = str(cell).strip().casefold()
    integer = _INTEGER.fullmatch(word)
    return integer[1] if integer else word


def _class_name(word: str, class_names: Sequence[str]) -> str:
    """The name of the class with this index; -1 is the `datasets` library's "no gold label"."""
    if not _INTEGER.fullmatch(word):
        return word
    if word == "-1":
        return NO_GOLD_LABEL
    return _as_word(class_names[int(word)]) if 0 <= int(word) < len(class_names) else f"class {word}"
