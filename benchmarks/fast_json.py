"""JSON by orjson where that is installed; what it refuses, Python's own json reads and writes."""

from __future__ import annotations

import contextlib
import json
from typing import Any

__all__ = ["read_json", "write_json"]


def _orjson() -> Any:
    try:
        import orjson  # an extra
    except ImportError:
        return None
    return orjson


_ORJSON = _orjson()
_DECODER = json.JSONDecoder(strict=False)  # json.loads and json.dumps would make one each time
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def read_json(text: str) -> Any:
    """The JSON value that a text is; an integer of more than 64 bits may come as the nearest float.

    Raises ValueError or RecursionError for none.
    """
    if _ORJSON:
        with contextlib.suppress(ValueError):  # of NaN, and of line breaks in strings
            return _ORJSON.loads(text)
    return _DECODER.decode(text)


def write_json(value: Any) -> bytes:
    """A value as a line of JSON, without the line break. Numbers in it are finite, as JSON's are.

    Raises TypeError or ValueError for what is no JSON.
    """
    if _ORJSON:
        with contextlib.suppress(TypeError):  # of lone surrogates, of keys that are numbers, of long integers
            written: bytes = _ORJSON.dumps(value)
            return written
    return _ENCODER.encode(value).encode()
