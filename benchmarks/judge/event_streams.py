"""Event streams that nobody asked for: the JSON objects in one, whatever API sends them."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_EVENT_LINES = 200

Chunk = dict[str, Any]


def read_chunks(text: str) -> list[Chunk]:
    """The JSON objects of server-sent events, or one a line; the last is {"done": True} if the end was told.

    Raises ValueError for what is no such stream.
    """
    chunks: list[Chunk] = []
    event: list[str] = []
    for line in re.split(r"\r\n|\n|\r", text):
        if line.startswith((":", "event:", "id:", "retry:")):
            continue
        event.append(line.removeprefix("data:").strip())
        if event == ["[DONE]"]:
            return [*chunks, {"done": True}]
        if event == [""] or len(event) > MAX_EVENT_LINES:
            event = []
        elif line.rstrip().endswith(("}", "]")) and (chunk := _object("\n".join(event))) is not None:
            chunks.append(chunk)
            event = []
    if not chunks or any(event):
        raise ValueError("the reply is not a stream of JSON objects")
    return chunks


def _object(text: str) -> Chunk | None:
    try:
        value = json.loads(text, strict=False)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
