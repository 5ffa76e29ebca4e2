"""What the cells of a label column mean: words, booleans, named classes, and integers if they are clear."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kimera.errors import UserError
from kimera.files.rows import shorten
from kimera.pairs import CONTRADICTION, ENTAILMENT, LABELS, NEUTRAL, NOT_CONTRADICTION

NO_GOLD_LABEL = "-"
"""What SNLI and MultiNLI write where the annotators did not agree."""

LABEL_MAP_EXAMPLE = "0=entailment,1=neutral,2=contradiction"

_WORDS = {
    **dict.fromkeys(("contradiction", "contradictory", "contradicts", "contradicted"), CONTRADICTION),
    **dict.fromkeys(("contradicting", "refutes", "refuted", "refute"), CONTRADICTION),
    **dict.fromkeys(("entailment", "entails", "entailed", "supports", "supported", "support"), ENTAILMENT),
    **dict.fromkeys(("neutral", "not enough info", "not enough information", "nei"), NEUTRAL),
    **dict.fromkeys(("not contradiction", "non contradiction", "no contradiction"), NOT_CONTRADICTION),
    **dict.fromkeys(("not contradictory", "non contradictory", "not contradicting"), NOT_CONTRADICTION),
    "true": CONTRADICTION,
    "false": NOT_CONTRADICTION,
    NO_GOLD_LABEL: NO_GOLD_LABEL,
}
# Only where the column's name says that it is contradictions that are asked for.
_YES_OR_NO = {
    **dict.fromkeys(("true", "yes", "y", "1"), CONTRADICTION),
    **dict.fromkeys(("false", "no", "n", "0"), NOT_CONTRADICTION),
}
_TRUTH_WORDS = ("true", "false", "yes", "no")
_BINARY = {"0": NOT_CONTRADICTION, "1": CONTRADICTION}
# What programs write where there is no value. "none" in lower case may be a class of its own.
_MISSING = frozenset({"", "nan", "null", "na", "n/a", "#n/a", "<na>", "nat", "unlabeled", "unlabelled"})
# Also "1.0": what pandas makes of an integer column with gaps. Longer numbers are nobody's classes.
_INTEGER = re.compile(r"(-?[0-9]{1,9})(?:\.0*)?")
_LABEL_NAME = re.compile(r"(?:\w+ ){0,3}(?:entail|contradict)\w*|neutral|not enough info\w*|nei")
_BETWEEN_WORDS = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
MAX_SHOWN = 10


class UnknownLabel(ValueError):  # noqa: N818 (the field's name for it, and no error of a program)
    """A cell that is no label; the message says what was expected and how to name it."""


class UnclearTruth(ValueError):  # noqa: N818 (see UnknownLabel)
    """A true or false that may speak of a claim or of a contradiction; the message says how to tell."""


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """What is known of a label column beside its cells.

    class_names: names of the classes whose indices it holds. meanings: of integers, as the header states
    them. unclear_truth: the texts are a claim and its evidence, where "true" may well say that the claim
    holds. of_contradiction: its name says that yes, true and 1 mean a contradiction.
    """

    class_names: Sequence[str] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)
    unclear_truth: bool = False
    of_contradiction: bool = False


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


def looks_like_labels(cells: Iterable[object]) -> bool:
    """Whether there are values, and all of them are words of labels, yes and no, or a few small integers."""
    words = {word for word in map(label_word, cells) if word and word != NO_GOLD_LABEL}
    integers = {word for word in words if _INTEGER.fullmatch(word)}
    if not words or len(words) > MAX_SHOWN or (words == integers and len(integers) < 2):
        return False
    return (
        all(-1 <= int(word) <= 3 for word in integers)
        and words - integers <= _WORDS.keys() | _YES_OR_NO.keys()
    )


def are_named_labels(cells: Iterable[object]) -> bool:
    """Whether there are values, and all of them name labels: so that they may say what integers mean."""
    words = {word for word in map(label_word, cells) if word and word != NO_GOLD_LABEL}
    return bool(words) and len(words) <= MAX_SHOWN and all(map(_LABEL_NAME.fullmatch, words))


class LabelReader:
    """Reads the cells of one table's label column.

    table_name: for messages. column: starts a pass over all cells of the label column; called once, and
    only if a cell holds an integer that neither `label_map` nor class names explain. Integers are then
    1 = contradiction, 0 = not, provided that the column's values are exactly 0 and 1, and that no other
    column names labels: others says which do, and is called as often.
    """

    def __init__(
        self,
        table_name: str,
        column: Callable[[], Iterable[object]],
        label_map: Mapping[str, str] | None = None,
        others: Callable[[], str] = lambda: "",
    ) -> None:
        self._table_name = table_name
        self._column = column
        self._others = others
        self._mapped = {label_word(word) or word: label for word, label in (label_map or {}).items()}
        self._words = _WORDS | self._mapped
        self._integers_are_mapped = any(map(_INTEGER.fullmatch, self._mapped))
        self._integers_are_binary = False

    def read(self, cell: object, column: LabelColumn = LabelColumn()) -> str | None:
        """One of `LABELS`, `NO_GOLD_LABEL`, or None where the cell is blank.

        Raises UnknownLabel for this cell, UnclearTruth for a truth that could be either's and that the label
        map leaves out, UserError if the column's integers could mean anything.
        """
        word = self._word(cell, column)
        if word in self._mapped:
            return self._mapped[word]
        if not word:
            return None
        if column.of_contradiction and word in _YES_OR_NO and not self._integers_are_mapped:
            return _YES_OR_NO[word]
        if column.unclear_truth and word in (*_TRUTH_WORDS, *([] if self._integers_are_mapped else _BINARY)):
            raise UnclearTruth(_unclear_truth(word))
        if word in self._words:
            return self._words[word]
        if self._integers_are_mapped or not _INTEGER.fullmatch(word):
            raise UnknownLabel(
                f"the label {shorten(cell)} is not known; expected {', '.join(LABELS)}, or else"
                " say what it means with --label-map VALUE=LABEL,..."
            )
        if not self._integers_are_binary:
            self._check_integers(column)
            self._integers_are_binary = True
        return _BINARY[word]

    def unknown(self, column: LabelColumn) -> list[object]:
        """The different cells of the whole column that are no labels, the first `MAX_SHOWN` of them.

        Reads up to the first integer that could mean anything.
        """
        unknown: dict[str, object] = {}
        for cell in self._column():
            try:
                self.read(cell, column)
            except UnknownLabel:
                unknown.setdefault(label_word(cell), cell)
            except UnclearTruth:
                continue
            except UserError:
                break
            if len(unknown) == MAX_SHOWN:
                break
        return list(unknown.values())

    def _word(self, cell: object, column: LabelColumn) -> str:
        """The cell as a word, an index replaced by its class's name unless the label map names the index."""
        word = label_word(cell)
        if word in self._mapped:
            return word
        if word in column.meanings:
            return label_word(column.meanings[word])
        return _class_name(word, column.class_names) if column.class_names else word

    def _check_integers(self, column: LabelColumn) -> None:
        """Raises UserError unless the column is 0s and 1s, both present; reads no further than it must."""
        integers: set[str] = set()
        for cell in self._column():
            word = self._word(cell, column)
            if self._words.get(word) in LABELS:
                raise self._unclear(f"the label column mixes integers with names such as {shorten(cell)}")
            if _INTEGER.fullmatch(word):
                integers.add(word)
            if len(integers) > MAX_SHOWN:
                break
        if integers != set(_BINARY):
            written = ", ".join(sorted(integers, key=int))
            raise self._unclear(
                f"the label column holds the integers {written} and carries no class names; only exactly 0"
                " and 1 (1 = contradiction) are understood without"
            )
        if others := self._others():
            raise self._unclear(
                f"the label column holds the integers 0 and 1, and what they mean may stand in {others}"
                " (--label NAME reads that)"
            )

    def _unclear(self, problem: str) -> UserError:
        return UserError(
            f"{self._table_name}: {problem}; say what each value means, as in --label-map {LABEL_MAP_EXAMPLE}"
        )


def _unclear_truth(word: str) -> str:
    yes, no = next(pair for pair in (("true", "false"), ("yes", "no"), ("1", "0")) if word in pair)
    return (
        f"the label of a claim is {word!r}, which may say that the claim holds or that there is a"
        f" contradiction; say which with --label-map {yes}=entailment,{no}=contradiction, or with the"
        f" reverse, {yes}=contradiction,{no}=entailment"
    )


def label_word(cell: object) -> str:
    """A cell as lower-case words with a blank between them, "" where it holds no value.

    Numbers without a fraction are integers. Of a list of one, which tools of annotation write, the one.
    """
    while isinstance(cell, list | tuple) and len(cell) <= 1:
        cell = cell[0] if cell else None
    if cell is None or (isinstance(cell, float) and cell != cell) or cell == "None":
        return ""
    if not isinstance(cell, str | bool | int | float):
        return shorten(cell)
    word = str(cell).strip().casefold()
    if word in _MISSING:
        return ""
    integer = _INTEGER.fullmatch(word)
    return integer[1] if integer else _BETWEEN_WORDS.sub(" ", word)


def _class_name(word: str, class_names: Sequence[str]) -> str:
    """The name of the class with this index; -1 is the `datasets` library's "no gold label"."""
    if not _INTEGER.fullmatch(word):
        return word
    if word == "-1":
        return NO_GOLD_LABEL
    return label_word(class_names[int(word)]) if 0 <= int(word) < len(class_names) else f"class {word}"
