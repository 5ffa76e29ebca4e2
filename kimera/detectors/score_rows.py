"""Rows of a file of scores -> records: which column is what, and what its cells mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kimera.console import nearest
from kimera.detectors.answers import verdict_of_bool, verdict_of_score, why_no_distribution
from kimera.detectors.run_columns import columns_of, detectors_in, is_of_run
from kimera.detectors.score_names import GOLD, bare, hold_answers, known_in
from kimera.detectors.verdict_source import THRESHOLD
from kimera.errors import UserError
from kimera.files import (
    Cell,
    ColumnFault,
    LabelColumn,
    LabelReader,
    Roles,
    Row,
    find_columns,
    shorten,
    shown,
    text_cell,
    unused_names,
)
from kimera.pairs import CONTRADICTION, ENTAILMENT, NEUTRAL, RELATIONS, Verdict

_NOT_GIVEN = frozenset({"", "null", "none", "n/a", "na", "<na>", "#n/a", "\\n"})
_OF_CONTRADICTION = LabelColumn(of_contradiction=True)
_MAX_SHAPES = 256
_THIRD = 1 / 3  # the least that the likeliest of three classes has


@dataclass(frozen=True, slots=True)
class Record:
    """A row's content. verdict: None where the row gives none. texts: with single blanks, to be compared."""

    number: int
    id: str = ""
    texts: tuple[str, str] | None = None
    verdict: Verdict | None = None
    latency_ms: float | None = None
    cost: float | None = None


class BadCell(ValueError):  # noqa: N818 (a value on its way to the message of a UserError)
    """A cell or a header that cannot be used; the message says why and what was expected."""


def same_text(text: str) -> str:
    """A text as it is compared: whatever its blanks, without the mark against running in spreadsheets."""
    is_kept_from_running = text.startswith("'") and text_cell(text[1:]) == text
    return " ".join(text[is_kept_from_running:].split())


class ScoreColumns:
    """Where in the rows of one shape each part stands. Raises BadCell for columns that are of no use.

    stated: of any part (id, text1, text2, or a key of `KNOWN`), the name of its column.
    unclear_label: a column that may hold gold labels, or the answers whose confidence the score then is.
    """

    def __init__(self, names: Sequence[str], stated: Mapping[str, str]) -> None:
        self.names = names
        cells = {part: self._stated(part, name) for part, name in stated.items()}
        for part, known in known_in(names).items():
            if part not in cells and (cell := self._known(part, known, cells)):
                cells[part] = cell
        is_clear = "score" in stated or "verdict" in cells or "score" not in cells
        self.unclear_label = None if is_clear else self._known("label", GOLD, cells)
        self.cells = cells | self._of_pair(cells)
        if not self.cells.keys() & {"id", "text1"}:
            raise BadCell(
                f"the columns are {shown(names)}; expected an id, or the two texts, to match the rows with "
                "the pairs: call the columns id, or text1 and text2"
            )

    @property
    def unused(self) -> list[str]:
        return unused_names(self.names, {cell.index for cell in self.cells.values()})

    def _stated(self, part: str, name: str) -> Cell:
        if name not in self.names:
            raise BadCell(
                f"there is no column {shorten(name)} for {part}; the columns are {shown(self.names)}"
            )
        return Cell(self.names.index(name), name)

    def _known(self, part: str, known: Sequence[str], taken: dict[str, Cell]) -> Cell | None:
        used = {cell.index for cell in taken.values()}
        wanted = {*map(bare, known)}
        at = [index for index, name in enumerate(self.names) if bare(name) in wanted and index not in used]
        if len(at) > 1:
            which = " and ".join(shorten(self.names[index]) for index in at)
            raise BadCell(f"the columns {which} could each be the {part}; rename all but one of them")
        return Cell(at[0], self.names[at[0]]) if at else None

    def _of_pair(self, taken: dict[str, Cell]) -> dict[str, Cell]:
        """Id and texts among the columns that are left; text columns that are not clear are none."""
        used = {cell.index for part, cell in taken.items() if part not in ("id", "text1", "text2")}
        names = ["" if index in used else name for index, name in enumerate(self.names)]
        stated = {part: taken[part].name for part in ("id", "text1", "text2") if part in taken}
        try:
            found = find_columns(names, Roles(label="none", **stated))
        except ColumnFault as fault:
            if stated.keys() & {"text1", "text2"}:
                raise BadCell(str(fault)) from None
            # As it is found beside two texts; no column is called like these.
            ids = find_columns(["#1#", "#2#", *names], Roles("#1#", "#2#", "none")).id
            return {} if ids is None or "id" in taken else {"id": Cell(ids.index - 2, ids.name)}
        cells = {"id": found.id, "text1": found.text1, "text2": found.text2}
        return {part: cell for part, cell in cells.items() if cell}

    def require_answer(self) -> None:
        """Raises BadCell where nothing here is a score or a verdict."""
        if not self.cells.keys() & {"score", "verdict"}:
            hint = " (a confidence alone does not say in what)" if "confidence" in self.cells else ""
            raise BadCell(
                f"the columns are {shown(self.names)}; expected a score, named for example score or "
                f"p_contradiction, or a verdict, named verdict or contradiction{hint}"
            )


def _which_detector(wanted: str, choices: Sequence[str]) -> str:
    """What is said where it is not clear of which detector of a run the answers are to be."""
    if not choices:
        return (
            f"there is no column {wanted}_score or {wanted}_verdict, and these are no results of a run; "
            f"leave out #{wanted}"
        )
    near = nearest(wanted, choices)
    hint = f"; did you mean #{near}?" if near else f"; give one of them, as in FILE#{choices[0]}"
    told = f"there is no detector {wanted} here" if wanted else "several detectors have answers here"
    return f"{told}: {', '.join(choices)}{hint}"


class RecordReader:
    """Reads the rows of a file. Raises BadCell for what a header or a cell must not hold.

    has_header: all rows have the same columns, which then hold answers; else each row names its own, and one
    may name none. detector: of the several of a run, the one that is meant. pair_columns: by part (id, text1,
    text2), a name that counts where there is such a column.
    """

    def __init__(
        self,
        file: str,
        stated: Mapping[str, str],
        *,
        has_header: bool,
        detector: str = "",
        pair_columns: Mapping[str, str] | None = None,
    ) -> None:
        self._stated = stated
        self._detector = detector
        self._pair_columns = dict(pair_columns or {})
        self._has_header = has_header
        self._labels = LabelReader(file, lambda: ())
        self._shapes: dict[Sequence[str], ScoreColumns] = {}
        self._columns = ScoreColumns(("id",), {})
        self._says_label: set[bool] = set()  # what the column that may be gold says
        self._least_score = math.inf
        self.taken: dict[str, str] = {}  # of each part that was there, the name of its column
        self.unused: dict[str, None] = {}

    def read(self, row: Row) -> Record:
        self._columns = self._columns_of(row.names)
        latency = self._number(row, "latency_ms", 1.0)
        if latency is None:
            latency = self._number(row, "latency_s", 1000.0)
        self._note_label(row)
        return Record(
            row.number,
            self._id(row),
            self._texts(row),
            self._with_classes(row, self._verdict(row, latency or 0.0)),
            latency,
            self._number(row, "cost", 1.0),
        )

    def require_answer(self) -> None:
        """Raises BadCell where no row had a score or a verdict, and where it is not clear what a score is."""
        if not self.taken.keys() & {"score", "verdict"}:
            self._columns.require_answer()
        if self.may_be_confidence and self._columns.unclear_label:
            score, label = self.taken["score"], self._columns.unclear_label.name
            raise BadCell(
                f"{score} is never below 1/3, so that it may be how sure a classifier was of its {label}, or "
                f"the probability of a contradiction; rename {score} to p_contradiction if it is that, or "
                f"else {label} to verdict and {score} to confidence"
            )

    def _columns_of(self, names: Sequence[str]) -> ScoreColumns:
        names = tuple(names)
        if names not in self._shapes:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            columns = self._shapes[names] = ScoreColumns(names, self._stated_in(names))
            if self._has_header:
                columns.require_answer()
            self.taken |= {part: cell.name for part, cell in columns.cells.items()}
            self.unused |= dict.fromkeys(columns.unused)
        return self._shapes[names]

    def _stated_in(self, names: Sequence[str]) -> Mapping[str, str]:
        stated = {part: name for part, name in self._stated.items() if self._has_header or name in names}
        of_pairs = {part: name for part, name in self._pair_columns.items() if name in names}
        if self._pair_columns.keys() - of_pairs.keys() & {"text1", "text2"}:  # one text says of no pair
            of_pairs = {part: name for part, name in of_pairs.items() if part == "id"}
        return {**of_pairs, **self._of_run(names), **stated}

    def _of_run(self, names: Sequence[str]) -> Mapping[str, str]:
        """The columns of the detector that is meant, where they are those of a run's results."""
        if not self._detector and (hold_answers(names) or self._stated.keys() & {"score", "verdict"}):
            return {}
        choices = detectors_in(names)
        wanted = self._detector or (choices[0] if len(choices) == 1 else "")
        found = columns_of(wanted, names) if wanted else {}
        if not found.keys() & {"score", "verdict"} and self._has_header and (choices or wanted):
            raise BadCell(_which_detector(wanted, choices))
        return found

    @property
    def may_be_confidence(self) -> bool:
        """Whether `score` may be how sure a classifier was of its own label, and not P(contradiction)."""
        return self._says_label == {True, False} and _THIRD <= self._least_score < math.inf

    def _value(self, row: Row, part: str) -> object:
        cell = self._columns.cells.get(part)
        value = None if cell is None else cell.of(row)
        return None if isinstance(value, str) and value.strip().casefold() in _NOT_GIVEN else value

    def _name(self, part: str) -> str:
        return self._columns.cells[part].name

    def _id(self, row: Row) -> str:
        value = self._value(row, "id")
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # of a column with gaps
        if value is None or value != value:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise BadCell(f"{self._name('id')} is {shorten(value)}; expected a text or an integer")
        return str(value).strip()

    def _texts(self, row: Row) -> tuple[str, str] | None:
        if "text1" not in self._columns.cells:
            return None
        first, second = (self._text(row, part) for part in ("text1", "text2"))
        return (first, second) if first and second else None

    def _text(self, row: Row, part: str) -> str:
        value = self._columns.cells[part].of(row)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = "\n".join(value)
        if value is None or value != value:
            return ""
        if not isinstance(value, str):
            raise BadCell(f"{self._name(part)} is {shorten(value)}; expected a text")
        return same_text(value)

    def _verdict(self, row: Row, latency_ms: float) -> Verdict | None:
        score, answer, confidence = (self._value(row, part) for part in ("score", "verdict", "confidence"))
        reasoning = self._value(row, "reasoning")
        reasoning = "" if reasoning is None or reasoning != reasoning else str(reasoning)
        if score is not None:
            number = self._share(score, "score", "the probability of a contradiction")
            self._least_score = min(self._least_score, number)
            verdict = verdict_of_score(number, latency_ms, reasoning)
            return verdict if answer is None else self._agreeing(verdict, answer, number)
        if answer is None:
            return None
        as_number = _number_of(answer)
        if as_number is not None and confidence is None and as_number not in (0.0, 1.0):
            wanted = "contradiction or not, or the probability of a contradiction"
            return verdict_of_score(self._share(answer, "verdict", wanted), latency_ms, reasoning)
        verdict = verdict_of_bool(self._is_contradiction(answer), latency_ms, reasoning)
        if confidence is None:
            return verdict
        sure = self._share(confidence, "confidence", "the confidence in the verdict")
        return replace(verdict, confidence=sure, score_source="stated")

    def _agreeing(self, verdict: Verdict, answer: object, score: float) -> Verdict:
        if self._is_contradiction(answer) == verdict.contradiction or score == THRESHOLD:
            return verdict
        says, of_score, by = self._name("verdict"), self._name("score"), verdict.contradiction
        raise BadCell(
            f"{says} is {shorten(answer)}, and {of_score} is {score:g}, which as the probability of a "
            f"contradiction says that there is {'one' if by else 'none'}; rename {of_score} to confidence if "
            f"it is how sure the verdict is, or leave {says} out"
        )

    def _is_contradiction(self, answer: object) -> bool:
        return self._label(answer, "verdict") == CONTRADICTION

    def _label(self, answer: object, part: str) -> str:
        number = _number_of(answer)
        try:
            label = self._labels.read(int(number) if number in (0.0, 1.0) else answer, _OF_CONTRADICTION)
        except (ValueError, UserError):  # the latter of an integer that could mean anything
            label = None
        if label is None or label == "-":
            raise BadCell(
                f"{self._name(part)} is {shorten(answer)}; expected contradiction, entailment, neutral "
                "or not_contradiction, true or false, yes or no, 1 or 0, or a probability from 0 to 1"
            )
        return label

    def _with_classes(self, row: Row, verdict: Verdict | None) -> Verdict | None:
        """The verdict, with what the row says of entailment and neutral."""
        if verdict is None:
            return None
        verdict = replace(
            verdict,
            entailment=self._class_share(row, ENTAILMENT),
            neutral=self._class_share(row, NEUTRAL),
            relation=self._relation(row, verdict),
        )
        # A confidence is no probability, and what a run has written may be the greatest of passages.
        is_probability = self._value(row, "score") is not None and not is_of_run(self._name("score"))
        if is_probability and (fault := why_no_distribution(verdict)):
            raise BadCell(fault)
        return verdict

    def _class_share(self, row: Row, part: str) -> float | None:
        value = self._value(row, part)
        return None if value is None else self._share(value, part, f"the probability of {part}")

    def _relation(self, row: Row, verdict: Verdict) -> str | None:
        stated, answer = self._value(row, "relation"), self._value(row, "verdict")
        if stated is None and (not isinstance(answer, str) or _number_of(answer) is not None):
            return None
        part = "verdict" if stated is None else "relation"
        label = self._label(answer if stated is None else stated, part)
        agrees = (label == CONTRADICTION) == verdict.contradiction
        if not agrees and part == "relation":
            raise BadCell(f"{self._name(part)} is {label}, and the verdict says otherwise; mend one of them")
        # A score half-way goes with either verdict.
        return label if agrees and label in RELATIONS else None

    def _note_label(self, row: Row) -> None:
        cell = self._columns.unclear_label
        if cell is None or len(self._says_label) == 2:
            return
        try:
            label = self._labels.read(cell.of(row), _OF_CONTRADICTION)
        except (ValueError, UserError):  # a column of another kind, which is of no interest
            return
        if label not in (None, "-"):
            self._says_label.add(label == CONTRADICTION)

    def _share(self, value: object, part: str, what: str) -> float:
        number = _number_of(value)
        if number is None or not 0.0 <= number <= 1.0:
            hint = ", written with a point" if "," in str(value) else ""
            raise BadCell(
                f"{self._name(part)} is {shorten(value)}; expected {what}, a number from 0 to 1{hint}"
            )
        return number

    def _number(self, row: Row, part: str, factor: float) -> float | None:
        value = self._value(row, part)
        if value is None or value != value:
            return None
        number = _number_of(value)
        if number is None or not 0.0 <= number < math.inf:
            raise BadCell(f"{self._name(part)} is {shorten(value)}; expected a number of at least 0")
        return number * factor


def _number_of(value: object) -> float | None:
    """The number that a cell holds, perhaps NaN; None where it holds none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
