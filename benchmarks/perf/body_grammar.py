"""Bodies of chat completions that carry one text, in each of the places and forms that endpoints use."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any


def plain_body(rng: Random, text: str) -> bytes:
    """The text as content, as what a tool is called with, or in an event stream: it must be found."""
    return rng.choice(PLAIN)(rng, text)


def body_with(rng: Random, text: str) -> bytes:
    """The text in any place, also among thoughts, which may say nothing that counts."""
    return rng.choice((*PLAIN, _thoughts))(rng, text)


def _body(message: dict[str, Any]) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return json.dumps({"object": "chat.completion", "choices": [choice]}).encode()


def _content(rng: Random, text: str) -> bytes:
    return _body({"content": text})


def _parts(rng: Random, text: str) -> bytes:
    """A list of texts or of parts, with or without a part that is a thought."""
    pieces = _split(rng, text)
    form: Callable[[str], Any] = rng.choice(
        (
            lambda piece: piece,
            lambda piece: {"type": "text", "text": piece},
            lambda piece: {"type": "output_text", "text": {"value": piece, "annotations": []}},
            lambda piece: {"text": piece},
        )
    )
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "They contradict each other."}]}
    return _body({"content": [thought] * (rng.random() < 0.3) + [form(piece) for piece in pieces]})


def _call(rng: Random, text: str) -> bytes:
    function = {"name": "verdict", "arguments": text}
    message = rng.choice(
        (
            {"tool_calls": [{"id": "1", "type": "function", "function": function}]},
            {"tool_calls": [function]},
            {"function_call": function},
        )
    )
    return _body({"content": rng.choice((None, "", "\n", "<think>Hm.</think>")), **message})


def _thoughts(rng: Random, text: str) -> bytes:
    name = rng.choice(("reasoning_content", "reasoning", "thinking"))
    return _body({"content": rng.choice((None, "")), name: text})


def _stream(rng: Random, text: str) -> bytes:
    """The text in chunks, with line ends, comments and an end of any kind."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if rng.random() < 0.2:
        deltas.append({"reasoning_content": "They contradict each other."})
    deltas += [{"content": piece} for piece in _split(rng, text)]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
    if rng.random() < 0.2:
        return "\n".join(map(json.dumps, chunks)).encode()
    end = rng.choice(("\n", "\r\n"))
    before = rng.choice(("", f"event: message{end}", f": keep-alive{end}{end}"))
    field = rng.choice(("data: ", "data:"))
    lines = [f"{before}{field}{json.dumps(chunk)}{end}{end}" for chunk in chunks]
    return ("".join(lines) + rng.choice(("", f"{field}[DONE]{end}{end}"))).encode()


def _split(rng: Random, text: str) -> list[str]:
    cuts = sorted(rng.choices(range(len(text) + 1), k=rng.randint(0, 6)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


PLAIN: tuple[Callable[[Random, str], bytes], ...] = (_content, _parts, _call, _stream)
