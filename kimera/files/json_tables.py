"""JSON -> rows: JSON Lines, arrays of objects, objects that hold one such array, and pandas' other forms.

What lies in objects within a row has columns of its own, named by their path (`data.text1`). An array is read
value by value, so that memory does not grow with the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kimera.errors import UserError
from kimera.files.rows import Row, Table, Wanted, shorten
from kimera.files.text_files import Encoding, not_valid, text_blocks, text_head, text_lines

_BLANKS = re.compile(r"[ \t\r\n\ufeff]*")
_MAX_DEPTH = 8
_PEEKED = 64
_MAX_SHOWN = 10
_AN_EXAMPLE = 'expected an array of objects, [{"text1": "...", "text2": "..."}], or one object a line'


def json_lines_table(path: Path, name: str, encoding: Encoding) -> Table:
    """A row a line."""
    return Table(name, "line", partial(_line_rows, path, name, encoding), False, notes=_notes(name, encoding))


def json_table(path: Path, name: str, encoding: Encoding, wanted: Wanted) -> Table:
    """A row an object of the file's array of objects.

    Of several arrays it is the one whose objects have columns that are wanted. Raises UserError where there
    is none, or more than one.
    """
    notes = [*_notes(name, encoding)]
    text = partial(text_blocks, path, encoding, name)
    arrays = _arrays(name, text)
    if arrays is None:
        return Table(name, "row", _whole_rows(path, name, encoding), False, notes=notes)
    at = _chosen(name, arrays, wanted)
    if others := [other for other in arrays if other != at and any(map(wanted, arrays[other].names))]:
        notes.append(
            f"{name}: the rows are those of {_shown([at], arrays)}; not read: {_shown(others, arrays)}"
        )
    names = _class_names(name, text) if at == ("rows",) and ("features",) in arrays else {}
    return Table(
        name, "item", lambda: _item_rows(name, text, at, encoding), False, class_names=names, notes=notes
    )


def is_json_lines(path: Path, name: str, encoding: Encoding) -> bool:
    """Whether the first line that is not blank is a whole JSON value, and another line follows."""
    filled = (line for line in text_head(path, encoding, name).split("\n") if line.strip())
    first, second = next(filled, ""), next(filled, "")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(second)


def is_array_of_objects(text: str) -> bool:
    """Whether a JSON text begins like one."""
    return re.match(r"[\s\ufeff]*\[\s*\{", text) is not None


def _notes(name: str, encoding: Encoding) -> Sequence[str]:
    return [f"{name}: {encoding.note}"] if encoding.note else []


class _Decoder:
    """Decodes JSON, and remembers a key that stands twice in an object: only the last value of it is kept.

    twice: such a key of the last value, or None.
    """

    def __init__(self) -> None:
        self.twice: str | None = None
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object)

    def value(self, text: str) -> Any:
        self.twice = None
        return self._decoder.decode(text)

    def value_at(self, text: str, start: int) -> tuple[Any, int]:
        self.twice = None
        return self._decoder.raw_decode(text, start)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            self.twice = next(name for name in names if names.count(name) > 1)
        return made

    @property
    def fault(self) -> str:
        return "" if self.twice is None else f"the key {shorten(self.twice)} stands twice in one object"


def _line_rows(path: Path, name: str, encoding: Encoding) -> Iterator[Row]:
    decoder = _Decoder()
    for number, written in enumerate(text_lines(path, encoding, name, "\n"), 1):
        line = written.lstrip("\ufeff")  # of files that were joined
        if line.strip():
            yield _line_row(number, line, encoding, decoder)


def _line_row(number: int, line: str, encoding: Encoding, decoder: _Decoder) -> Row:
    if fault := not_valid(line, encoding):
        return Row(number, fault=fault)
    try:
        value = decoder.value(line)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of too many digits
        return Row(number, fault=f"{shorten(line.strip())} is not valid JSON ({error})")
    return _row(number, value, decoder.fault)


def _row(number: int, value: object, fault: str = "") -> Row:
    if fault:
        return Row(number, fault=fault)
    if not isinstance(value, dict):
        return Row(number, fault=f"{shorten(value)} is not a JSON object with a value for each column")
    if any(isinstance(member, dict) for member in value.values()):
        flat = list(_flat(value))
        value = dict(flat)
        if len(value) < len(flat):
            return Row(number, fault="two fields have the same path")
    return Row(number, tuple(value), tuple(value.values()))


def _flat(value: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict) and inner and depth < _MAX_DEPTH:
            yield from _flat(inner, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", inner


class _Stream:
    """A JSON text that is read piece by piece."""

    def __init__(self, name: str, pieces: Iterable[str]) -> None:
        self._name = name
        self._pieces = iter(pieces)
        self.decoder = _Decoder()
        self._text = ""
        self._at = 0
        self._line = 1

    def _more(self) -> bool:
        """Takes at least as much as is held already, so that a long value is not begun too often."""
        length_before = len(self._text) - self._at
        taken = []
        length = 0
        for piece in self._pieces:
            taken.append(piece)
            length += len(piece)
            if length > max(length_before, 1 << 16):
                break
        self._line += self._text.count("\n", 0, self._at)
        self._text = self._text[self._at :] + "".join(taken)
        self._at = 0
        return bool(taken)

    def peek(self) -> str:
        """The next character that is no blank; "" at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, expected: str) -> None:
        if self.peek() != expected:
            raise self.fault(f"expected {expected!r}")
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.value_at(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._more():
                    raise self.fault(str(error)) from error
                continue
            if end == len(self._text) and self._more():  # a number may go on
                continue
            self._at = end
            return value

    def fault(self, problem: str) -> UserError:
        line = self._line + self._text.count("\n", 0, self._at)
        text = self._text[self._at : self._at + 40]
        problem = re.sub(r": line \d+ column \d+ \(char \d+\)", "", problem)
        return UserError(
            f"{self._name}, line {line}: this is not valid JSON at {shorten(text)} ({problem}); correct the "
            "file, or write one object per line as .jsonl"
        )

    def members(self) -> Iterator[str]:
        """The keys of an object; the value of each has to be taken before the next."""
        self.take("{")
        while self.peek() != "}":
            key = self.value()
            if not isinstance(key, str):
                raise self.fault(f"expected a key, not {shorten(key)}")
            self.take(":")
            yield key
            if self.peek() != "}":
                self.take(",")
        self.take("}")

    def elements(self) -> Iterator[None]:
        """For each element of an array, which has to be taken before the next."""
        self.take("[")
        while self.peek() != "]":
            yield
            if self.peek() != "]":
                self.take(",")
        self.take("]")


_Path = tuple[str, ...]
_Text = Callable[[], Generator[str]]


@dataclass
class _Array:
    """names: of the columns of its first objects."""

    names: set[str]
    length: int = 0


def _arrays(name: str, text: _Text) -> dict[_Path, _Array] | None:
    """The arrays of objects in a file by where they stand; a file of objects one after another stands at "*".

    None if there is none, but a value that may be a table in another form.
    """
    arrays: dict[_Path, _Array] = {}
    with closing(text()) as pieces:
        stream = _Stream(name, pieces)
        first = stream.peek()
        if not first:
            raise UserError(f"{name}: holds no JSON; {_AN_EXAMPLE}")
        _collect(stream, (), arrays, 0)
        if stream.peek() == "{" and first == "{":
            return {("*",): _Array(set())}
        if stream.peek():
            raise stream.fault("more than one value")
    return arrays or None


def _collect(stream: _Stream, at: _Path, found: dict[_Path, _Array], depth: int) -> None:
    kind = stream.peek()
    if kind == "{" and depth < _MAX_DEPTH:
        for key in stream.members():
            _collect(stream, (*at, key), found, depth + 1)
    elif kind == "[":
        array = _Array(set())
        for _ in stream.elements():
            value = stream.value()
            if isinstance(value, dict):
                array.length += 1
                if array.length <= _PEEKED:
                    array.names |= {key for key, _ in _flat(value)}
        if array.length:
            found[at] = array
    else:
        stream.value()


def _chosen(name: str, found: Mapping[_Path, _Array], wanted: Wanted) -> _Path:
    if len(found) == 1:
        return next(iter(found))
    counts = {at: sum(map(wanted, array.names)) for at, array in found.items()}
    best = max(counts, key=lambda at: counts[at])
    # As likely as the best is what lacks some of its columns and has no others: a split without labels.
    likely = [
        at
        for at, count in counts.items()
        if count == counts[best] or (count > 1 and found[at].names <= found[best].names)
    ]
    if len(likely) == 1:
        return best
    raise UserError(
        f"{name}: holds several arrays of objects, and it is not clear which are the rows: "
        f"{_shown(likely, found)}; save the one that is meant as a file of its own"
    )


def _shown(arrays: Sequence[_Path], found: Mapping[_Path, _Array]) -> str:
    return ", ".join(f"{'.'.join(at)} ({found[at].length})" for at in arrays[:_MAX_SHOWN])


def _item_rows(name: str, text: _Text, at: _Path, encoding: Encoding) -> Iterator[Row]:
    with closing(text()) as pieces:
        stream = _Stream(name, pieces)
        for number, value in enumerate(_items(stream, at), 1):
            row = _row(number, value, stream.decoder.fault)
            fault = "".join(
                filter(None, (not_valid(cell, encoding) for cell in row.values if isinstance(cell, str)))
            )
            yield Row(number, fault=fault) if fault else row


def _items(stream: _Stream, at: _Path) -> Iterator[Any]:
    if at == ("*",):
        while stream.peek():
            yield stream.value()
    elif not at:
        for _ in stream.elements():
            yield stream.value()
    else:
        for key in stream.members():
            if key == at[0]:
                yield from _items(stream, at[1:])
            else:
                stream.value()


def _class_names(name: str, text: _Text) -> dict[str, list[str]]:
    """Of what the Hugging Face hub's server of datasets answers: it states the features beside the rows."""
    with closing(text()) as pieces:
        stream = _Stream(name, pieces)
        for key in stream.members():
            value = stream.value() if key != "rows" else None
            if key == "features":
                return {
                    f"row.{item['name']}": list(map(str, item["type"]["names"]))
                    for item in value or ()
                    if isinstance(item, dict)
                    and isinstance(item.get("type"), dict)
                    and "names" in item["type"]
                }
            if key == "rows":
                break
    return {}


def _whole_rows(path: Path, name: str, encoding: Encoding) -> Callable[[], Iterator[Row]]:
    """Of a value without an array of objects: pandas' `split`, columns of lists or objects, or by key."""
    decoder = _Decoder()
    try:
        with closing(text_blocks(path, encoding, name)) as blocks:
            value = decoder.value("".join(blocks))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: is not valid JSON ({error}); {_AN_EXAMPLE}") from error
    if decoder.fault:
        raise UserError(f"{name}: {decoder.fault}; rename one of the two")
    rows = _objects_of(value)
    if rows is None:
        raise UserError(f"{name}: {shorten(value)} holds no table; {_AN_EXAMPLE}")
    return lambda: (_row(number, row) for number, row in enumerate(rows, 1))


def _objects_of(value: Any) -> list[dict[str, Any]] | None:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return [{"text": item} for item in value]
    if not isinstance(value, dict) or not value:
        return [] if value == [] else None
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        names = list(map(str, value["columns"]))
        rows = [row for row in value["data"] if isinstance(row, list) and len(row) == len(names)]
        return (
            [dict(zip(names, row, strict=True)) for row in rows] if len(rows) == len(value["data"]) else None
        )
    inner = list(value.values())
    lengths = [len(item) for item in inner if isinstance(item, list)]
    if len(lengths) == len(inner) and len(set(lengths)) == 1:
        return _from_columns(value)
    if len(lengths) > 1 and max(lengths) > 1:
        return None  # columns that do not fit together, and no single row
    if all(isinstance(item, dict) for item in inner):
        if all(not isinstance(cell, dict) for column in inner for cell in column.values()) and _numbered(
            inner
        ):
            return _from_columns({name: list(column.values()) for name, column in value.items()})
        return [{"id": key, **member} for key, member in value.items()]
    return [value]


def _numbered(columns: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these are pandas' columns, each an object with the same index as keys."""
    first = list(columns[0])
    return all(list(column) == first for column in columns) and all(
        key.lstrip("-").isdecimal() for key in first
    )


def _from_columns(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
