"""What a table is to those who read it: rows of named values, and what to say of how they were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Wanted = Callable[[str], bool]
"""Whether a column of this name matters to the reader."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `names` and `values` are of equal length, or `fault` says why there are no values.

    lines: over how many it goes, where `number` is the first of them.
    """

    number: int
    names: Sequence[str] = ()
    values: Sequence[object] = ()
    fault: str = ""
    lines: int = 1


@dataclass(frozen=True)
class Table:
    """Rows that can be read again and again.

    name: how messages call it; unit: what `Row.number` counts from 1, "line", "row" or "item".
    read: starts a new pass; raises UserError for a fault of the whole file.
    has_header: every row has the same columns; rows of JSON each name their own.
    class_names: of a column that holds indices of named classes, the names.
    header: reads the columns alone, as a Row without values whose number is 0 where they stand on no line;
        gives None if the file has none. Raises UserError as `read` does.
    notes: what was recognised and could have been taken otherwise, a sentence each.
    read_all: a pass with every column; None where `read` gives them all.
    """

    name: str
    unit: str
    read: Callable[[], Iterator[Row]]
    has_header: bool = True
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    header: Callable[[], Row | None] | None = None
    notes: Sequence[str] = ()
    read_all: Callable[[], Iterator[Row]] | None = None


# "none", "n/a" and "na" may be answers.
_NO_TEXT = frozenset({"null", "nan", "<na>", "#n/a", "\\n", "#ref!", "#value!", "#name?", "#div/0!", "#num!"})


def is_no_text(text: str) -> bool:
    """Whether this is what data bases and spreadsheets write where there is no text, or a faulty one."""
    return len(text) <= 8 and text.strip().casefold() in _NO_TEXT


def shorten(value: object, longest: int = 60) -> str:
    """The value as Python would write it, on one line and free of control characters, cut to `longest`."""
    text = repr(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
