"""Statements, and a corpus of them: distinct texts, where each stands, of what and of when it speaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple

from kimera.errors import UserError
from kimera.files import shorten


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A rank or a date, by its value (of a date in seconds). told: as the table has it."""

    value: float
    is_date: bool = field(compare=False)
    told: str = field(compare=False)


def moment_of(cell: object) -> Moment | None:
    """None for a blank cell. Raises ValueError for what is neither a number nor a date."""
    if cell is None or cell != cell or (isinstance(cell, str) and not cell.strip()):
        return None
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return moment_of(datetime(cell.year, cell.month, cell.day))
    if isinstance(cell, datetime):
        aware = cell if cell.tzinfo else cell.replace(tzinfo=UTC)
        midnight = (cell.hour, cell.minute, cell.second, cell.microsecond) == (0, 0, 0, 0)
        return Moment(aware.timestamp(), True, str(cell.date() if midnight else cell))
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return Moment(float(cell), False, f"{cell:g}" if isinstance(cell, float) else str(cell))
    text = str(cell).strip()
    try:
        return Moment(float(text), False, text)
    except ValueError:
        pass
    try:
        whole = moment_of(datetime.fromisoformat(text))
    except ValueError:
        raise ValueError(f"{shorten(text)} is neither a number nor a date such as 2026-01-31") from None
    return Moment(whole.value, True, text) if whole else None


class Context(NamedTuple):
    """What goes with a statement of prose: the headings above it, the outermost first, and the one before.

    before: the sentence before it under the same headings, "" without one and for rows of tables.
    """

    headings: tuple[str, ...] = ()
    before: str = ""


NO_CONTEXT = Context()


@dataclass(frozen=True, slots=True)
class Statement:
    """A text, and where it stands: a file, and a line of it (of Parquet a row), counted from 1.

    table: of prose, the line on which the table begins that it is a row of; 0 elsewhere. end: the last line;
    0 where it is the first. subject, moment: of a table, what its columns say.
    by_line: whether `line` is one. unit: of a document, what `line` counts instead: cells, pages, paragraphs.
    is_row: whether it is a row of a table file, not of prose.
    """

    text: str
    file: str
    line: int
    table: int = 0
    end: int = 0
    subject: str = ""
    moment: Moment | None = None
    by_line: bool = True
    unit: str = ""
    is_row: bool = False
    context: Context = NO_CONTEXT

    @property
    def place(self) -> str:
        """ "file:3", or "file:page 3"."""
        return f"{self.file}:{self.unit}{' ' if self.unit else ''}{self.line}"


@dataclass
class Corpus:
    """Distinct texts in the order in which they were met, and the places of each (`Statement.place`).

    A text that is said of two subjects counts twice. subjects, moments, tables: of each text; the latest
    moment of several, and the table ("file:line") that it is a row of if it stands nowhere else. contexts: of
    each text, that of its first place.
    is_changed: of each text, whether a place of it is among the lines to look at. ignored: statements that a
    mark keeps out. has_rows: whether any is a row of a table file. not_read: why these are not most of what
    was to be read, "" where they are.
    """

    texts: list[str] = field(default_factory=list)
    not_read: str = ""
    places: list[list[str]] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    moments: list[Moment | None] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    contexts: list[Context] = field(default_factory=list)
    is_changed: list[bool] = field(default_factory=list)
    ignored: int = 0
    has_rows: bool = False
    _rows: dict[tuple[str, str], int] = field(default_factory=dict)
    _has_dates: bool | None = None

    def add(self, statement: Statement, *, is_changed: bool = True) -> None:
        """Raises UserError where some times are dates and some are ranks."""
        row = self._rows.setdefault((statement.text, statement.subject), len(self.texts))
        table = f"{statement.file}:{statement.table}" if statement.table else ""
        if row == len(self.texts):
            self.texts.append(statement.text)
            self.places.append([])
            self.subjects.append(statement.subject)
            self.moments.append(None)
            self.tables.append(table)
            self.contexts.append(statement.context)
            self.is_changed.append(False)
        self.has_rows |= statement.is_row
        self.places[row].append(statement.place)
        self.is_changed[row] |= is_changed
        if self.tables[row] != table:
            self.tables[row] = ""
        if statement.moment:
            self._note(row, statement, statement.moment)

    def _note(self, row: int, statement: Statement, moment: Moment) -> None:
        if self._has_dates not in (None, moment.is_date):
            raise UserError(
                f"{statement.place}: the time {moment.told} cannot be compared with the ones "
                "before: give dates in all rows, or numbers in all"
            )
        self._has_dates = moment.is_date
        known = self.moments[row]
        self.moments[row] = moment if known is None else max(known, moment)

    def newer(self, first: int, second: int) -> int:
        """Which of two rows is newer, 1 or 2; 0 where they are of one time, or one of them of none."""
        one, other = self.moments[first], self.moments[second]
        if one is None or other is None or one.value == other.value:
            return 0
        return 1 if one > other else 2

    def time(self, row: int) -> str:
        """In the words of the table; "" without one."""
        moment = self.moments[row]
        return moment.told if moment else ""

    def first_place(self, row: int) -> tuple[str, int]:
        """(the file in which a text was first met, the number of its line, page or the like)."""
        file, _, at = self.places[row][0].rpartition(":")
        return file, int(at.rpartition(" ")[2])

    @property
    def statements(self) -> int:
        return sum(map(len, self.places))

    @property
    def files(self) -> int:
        return len({place.rpartition(":")[0] for places in self.places for place in places})
