"""JSON as language models write it: read where it is whole, whatever it is quoted and spelt with.

Beyond JSON it takes quotes of any kind and none, quotes and line breaks inside of strings, escapes that JSON
lacks, Python's literals, comments, and commas too many or too few. It completes nothing: what breaks off
within a value is no value, since that may have been going to be any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 20
MAX_BARE_CHARS = 500  # of a value without quotes
LITERALS = {"true": True, "false": False, "null": None, "none": None}

# What may close a string that a quote opens; what stands behind decides whether it does.
_CLOSERS = {
    '"': '"',
    "'": "'",
    "`": "`",
    "“": '”“"',
    "”": '”"',
    "„": '”“"',
    "«": "»",
    "‘": "’‘'",
    "’": "’'",
    "「": "」",
}
_PIECES = {opener: re.compile(rf"\\.|[{closers}]", re.DOTALL) for opener, closers in _CLOSERS.items()}
_QUOTES = "".join(sorted({*_CLOSERS, *"".join(_CLOSERS.values())}))
_SPACE = r"\s\u200b\ufeff"
_KEY = rf"(?:[{_QUOTES}][^\n{_QUOTES}]{{1,60}}+[{_QUOTES}]|[A-Za-z_][\w-]{{0,60}}+)[{_SPACE}]*+(?:[:：]|=>)"
_KEY_HERE = re.compile(rf"({_KEY})[{_SPACE}]*+")
_BLANK = re.compile(rf"[{_SPACE}]*+")
_COMMENT = r"//[^\n]*+|/\*.{0,500}?\*/|(?<![^\s])#[^\n]*+"
_BETWEEN = re.compile(rf"(?:[{_SPACE},，;]++|{_COMMENT})*+", re.DOTALL)
# What stands behind a value of an object, and of a list.
_FIELD_END = re.compile(rf"[}}\]]|[,，;][{_SPACE},，;]*+(?:\}}|{_KEY}|{_COMMENT})|{_COMMENT}", re.DOTALL)
_ITEM_END = re.compile(rf"[\],，]|{_COMMENT}", re.DOTALL)
_TEXT_END = re.compile(rf"[{_SPACE}`]{{0,20}}+\Z")
_TEMPLATE = re.compile(
    r"\b(?:or|either|bool(?:ean)?|e\.g|example|placeholder)\b", re.IGNORECASE
)  # in a comment
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_NUMBER = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?")

Fields = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class LooseDecoder:
    """Like `json.JSONDecoder`: `object_pairs_hook` makes the objects, the innermost first."""

    object_pairs_hook: Callable[[Fields], Any] = dict

    def raw_decode(self, text: str, start: int) -> tuple[Any, int]:
        """The object whose brace stands at `start`, and where it ends.

        Where the text ends after a closed string, the last brace may be missing. Raises ValueError for what
        is no whole object.
        """
        return self._object(text, start, 1)

    def _object(self, text: str, start: int, depth: int) -> tuple[Any, int]:
        fields: Fields = []
        position = _following(text, start + 1)
        while not text.startswith("}", position):
            key = _KEY_HERE.match(text, position)
            if not key:
                raise ValueError(f"no key at {position}")
            value, position = self._value(text, key.end(), _FIELD_END, depth)
            fields.append((re.sub(r"\A\W+|\W+\Z", "", key[1]), value))
            if depth == 1 and text[position - 1] in _QUOTES and _TEXT_END.match(text, position):
                return self.object_pairs_hook(fields), len(text)
            position = _following(text, position)
        return self.object_pairs_hook(fields), position + 1

    def _array(self, text: str, start: int, depth: int) -> tuple[list[Any], int]:
        items = []
        position = _following(text, start + 1)
        while not text.startswith("]", position):
            value, position = self._value(text, position, _ITEM_END, depth)
            items.append(value)
            position = _following(text, position)
        return items, position + 1

    def _value(self, text: str, position: int, end: re.Pattern[str], depth: int) -> tuple[Any, int]:
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        first = text[position : position + 1]
        if first == "{":
            return self._object(text, position, depth + 1)
        if first == "[":
            return self._array(text, position, depth + 1)
        if first in _PIECES:
            return _string(text, position, end)
        return _bare(text, position, end)


def _following(text: str, position: int) -> int:
    """Where the next thing stands, after blanks, commas and comments.

    Raises ValueError for a comment that says what else might stand there: this is a template, then.
    """
    between = _BETWEEN.match(text, position)
    if between is None or _TEMPLATE.search(between[0]):
        raise ValueError(f"a template at {position}")
    return between.end()


def _ends_here(text: str, position: int, end: re.Pattern[str]) -> bool:
    """Whether a value may be over at `position`; a comma may be missing at a line's end or before a quote."""
    blank = _BLANK.match(text, position)
    after = blank.end() if blank else position
    if end.match(text, after):
        return True
    is_apart = "\n" in text[position:after] or (after > position and text[after : after + 1] in _CLOSERS)
    return end is _FIELD_END and is_apart and bool(_KEY_HERE.match(text, after))


def _string(text: str, start: int, end: re.Pattern[str]) -> tuple[str, int]:
    """Up to the first quote behind which a value may be over; others are a part of it."""
    for piece in _PIECES[text[start]].finditer(text, start + 1):
        after = piece.end()
        is_over = _ends_here(text, after, end) or _TEXT_END.match(text, after)
        if not piece[0].startswith("\\") and is_over:
            return unescaped(text[start + 1 : piece.start()]), after
    raise ValueError(f"the string at {start} has no end")


def unescaped(text: str) -> str:
    """The text that a string's inside stands for; what JSON knows no escape of stands for itself."""
    return _ESCAPE.sub(_character, text)


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _ESCAPED.get(escape[2], escape[2])


def _bare(text: str, start: int, end: re.Pattern[str]) -> tuple[Any, int]:
    """A literal, a number, or words without quotes; something must stand behind it."""
    for position in range(start, min(len(text), start + MAX_BARE_CHARS)):
        if _ends_here(text, position, end):
            return _meaning(text[start:position].strip()), position
    raise ValueError(f"the value at {start} has no end")


def _meaning(word: str) -> Any:
    if not word:
        raise ValueError("a key without a value")
    if word.lower() in LITERALS:
        return LITERALS[word.lower()]
    return float(word) if _NUMBER.fullmatch(word) else word
