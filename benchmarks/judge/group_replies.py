"""How a reply about several pairs is read: a verdict for each number, as far as it states them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.judge.pair_groups import NUMBER, VERDICTS
from benchmarks.judge.reply_reading import (
    MAX_REPLY_CHARS,
    Reply,
    ReplyError,
    is_meant,
    json_object,
    parse_reply,
    spoken,
)

MAX_UNREADABLE = 100  # braces; each may have to be read to the text's end
MAX_DEPTH = 4  # of what the entries are wrapped in

Entry = dict[str, Any]


def replies_in(
    text: str, pairs: int, classes: int = 2, *, reasoning_first: bool = False
) -> dict[int, tuple[Reply | ReplyError, str]]:
    """(what is stated, its JSON) by the number of the pair, from 1; each entry is read as a reply of its own.

    Only strict JSON counts, be there sentences around it or its end cut off. Never guesses: one number that
    is there twice, or that no pair has, and all numbers may have slipped, so that none is believed.
    """
    entries, around = _entries_in(spoken(text[:MAX_REPLY_CHARS]))
    numbers = [_number(entry[NUMBER]) for entry in entries]
    if len(set(numbers)) < len(numbers) or not all(1 <= number <= pairs for number in numbers):
        return {}
    if not is_meant(around):
        return {}
    stated = (json.dumps(_without_number(entry)) for entry in entries)
    return {
        number: (_read(each, classes, reasoning_first), each)
        for number, each in zip(numbers, stated, strict=True)
    }


def is_group_reply(text: str) -> bool:
    """Whether a reply is one JSON object with a list of verdicts, as the schema asks."""
    return isinstance(json_object(text).get(VERDICTS), list)


def _read(entry: str, classes: int, reasoning_first: bool) -> Reply | ReplyError:
    try:
        return parse_reply(entry, classes, reasoning_first=reasoning_first)
    except ReplyError as error:
        return error


def _entries_in(text: str) -> tuple[list[Entry], str]:
    """(the objects with a number, what stands around all objects)."""
    entries: list[Entry] = []
    around, end, unreadable = "", 0, 0
    while (start := text.find("{", end)) >= 0:
        try:
            value, after = _JSON.raw_decode(text, start)
        except (ValueError, RecursionError):
            unreadable += 1
            if unreadable > MAX_UNREADABLE:
                return [], text
            value, after = None, start + 1  # of a reply that was cut off, whole entries stand inside
        if not unreadable:
            around += text[end:start]
        entries += _numbered(value)
        end = after
    return entries, around + text[end:] if not unreadable else around


def _numbered(value: Any, depth: int = 0) -> Iterator[Entry]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict) and NUMBER in value:
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbered(inner, depth + 1)


def _number(value: Any) -> int:
    """0, which no pair has, for what is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _without_number(entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if name != NUMBER}


def _once(items: list[tuple[str, Any]]) -> Entry:
    """Of two values for one key neither can be believed."""
    value = dict(items)
    if len(value) < len(items):
        raise ValueError("a key twice")
    return value


_JSON = json.JSONDecoder(object_pairs_hook=_once, strict=False)
