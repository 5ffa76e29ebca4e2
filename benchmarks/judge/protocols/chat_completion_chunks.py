"""Chat completions that come as a stream: the one that the chunks make up."""

from __future__ import annotations

from typing import Any

from benchmarks.judge.event_streams import MAX_EVENT_LINES, Chunk
from benchmarks.judge.reply_reading import is_json_reply


def whole_completion(value: Any) -> Any:
    """A completion as it stands; of chunks, the one that they make up. Anything else stays what it is.

    Raises ValueError for a stream that broke off before its end.
    """
    chunks = [chunk for chunk in value if isinstance(chunk, dict)] if isinstance(value, list) else [value]
    if isinstance(value, list) and len(chunks) == 1:
        value = chunks[0]
    if not (isinstance(value, list) or _is_chunk(value)) or not any(map(_is_chunk, chunks)):
        return value
    return _assembled(chunks)


def _is_chunk(value: Any) -> bool:
    choice = _first_choice(value) if isinstance(value, dict) else None
    return choice is not None and "delta" in choice and not choice.get("message")


def _first_choice(chunk: Chunk) -> Chunk | None:
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and choice.get("index") in {None, 0}:
            return choice
    return None


def _assembled(chunks: list[Chunk]) -> Chunk:
    message: Chunk = {}
    ended: Chunk = {}
    logprobs: list[Any] = []
    whole: Chunk = {}
    for chunk in chunks:
        whole |= {name: member for name, member in chunk.items() if member is not None and name != "choices"}
        choice = _first_choice(chunk)
        if choice is None:
            continue
        for name, piece in (choice.get("delta") or choice.get("message") or {}).items():
            _add(message, name, piece)
        ended |= {
            name: member for name, member in choice.items() if member and name not in {"delta", "logprobs"}
        }
        logprobs += (choice.get("logprobs") or {}).get("content") or []
    if not (ended.get("finish_reason") or "done" in whole or is_json_reply(str(message.get("content")))):
        raise ValueError("the stream broke off")
    return {**whole, "choices": [{**ended, "message": message, "logprobs": {"content": logprobs}}]}


def _add(message: Chunk, name: str, piece: Any) -> None:
    """Puts a piece of a message to what came of it before: texts and lists go on, calls by their index."""
    before = message.get(name)
    if name == "tool_calls" and isinstance(piece, list):
        calls = message.setdefault(name, [])
        for call in piece:
            _add_call(calls, call)
    elif isinstance(piece, dict):
        inner = message.setdefault(name, {})
        for key, member in piece.items():
            _add(inner, key, member)
    elif isinstance(piece, str) and isinstance(before, str) and name not in {"role", "type", "id"}:
        message[name] = before + piece
    elif isinstance(piece, list) and isinstance(before, list):
        message[name] = [*before, *piece]
    elif piece is not None:
        message[name] = piece


def _add_call(calls: list[Chunk], call: Chunk) -> None:
    """A piece of a call: it goes on with the one of its index, or the last one if it tells neither."""
    index = call.get("index", len(calls) if call.get("id") else max(0, len(calls) - 1))
    while len(calls) <= index <= MAX_EVENT_LINES:
        calls.append({})
    for key, member in call.items():
        _add(calls[index], key, member)
