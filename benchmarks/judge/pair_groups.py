"""Several pairs in one request: how they are asked about, by number, and the schema of the reply."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchmarks.judge.prompts import IN_JSON, REPLY_FORMAT, Prompt, reply_format, without_reply_format
from kimera.errors import UserError

VERDICTS, NUMBER = "verdicts", "pair"
MAX_PAIRS_PER_REQUEST = 50  # their verdicts fit into the longest reply that is asked for
ROOM_PER_PAIR = 256  # tokens of a reply, for each pair but the first
_HEADING = re.compile(r"^Pair \d+ of \d+$\n?", re.MULTILINE)
_ONE_OBJECT = REPLY_FORMAT.partition(":")[0]


def pairs_per_request(text: str) -> int:
    """Of a flag. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PAIRS_PER_REQUEST):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MAX_PAIRS_PER_REQUEST}")
    return int(text)


def require_alone(pairs: int, *, batch: bool, logprobs: bool) -> None:
    """Raises UserError for what does not go with so many pairs in one request, or for such a number."""
    if not 1 <= pairs <= MAX_PAIRS_PER_REQUEST:
        raise UserError(f"pairs_per_request is {pairs}; give a number from 1 to {MAX_PAIRS_PER_REQUEST}")
    for flag, is_given, reason in (
        (
            "--batch",
            batch,
            "replies of a batch are found again by their requests, and a run that goes on would ask about "
            "the rest of these pairs in others",
        ),
        ("--logprobs", logprobs, "the token of one verdict would depend on the verdicts before it"),
    ):
        if is_given and pairs > 1:
            raise UserError(f"{flag} does not go with --pairs-per-request: {reason}; leave one of them out")


@dataclass(frozen=True)
class GroupPrompt:
    """A prompt that asks about several pairs at once.

    The system message is the same whatever the pairs and however many there are. single: without its words on
    the form of a reply.
    """

    system: str
    single: Prompt

    @classmethod
    def of(cls, prompt: Prompt) -> GroupPrompt:
        """Raises UserError for a prompt that says itself what a reply looks like."""
        single = prompt.for_decisions()
        if "json" in f"{single.system}{single.user}".lower():
            raise UserError(
                f"prompt {prompt.name}: --pairs-per-request needs a prompt that says nothing of JSON, since "
                "the reply to several pairs looks otherwise; leave that out, and the reply's format is added"
            )
        words = _reply_format(prompt.classes, prompt.reasoning_first)
        return cls(f"{single.system}\n\n{words}" if single.system else words, single)

    def messages(self, texts: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
        """texts: of each pair, in the order of the numbers from 1."""
        return [
            {"role": "system", "content": self.system},
            *self._shown(),
            {"role": "user", "content": _asked([self.single.question(*pair) for pair in texts])},
        ]

    def _shown(self) -> list[dict[str, str]]:
        """The examples, as one earlier turn of the same form."""
        if self.single.examples is None:
            return []
        turns = self.single.examples.turns
        replies = (
            f'{{"{NUMBER}": {number}, {reply.removeprefix("{")}' for number, (_, reply) in enumerate(turns, 1)
        )
        return [
            {"role": "user", "content": _asked([without_reply_format(question) for question, _ in turns])},
            {"role": "assistant", "content": f'{{"{VERDICTS}": [{", ".join(replies)}]}}'},
        ]


def messages_about(
    prompt: Prompt, pairs: Iterable[tuple[str, str]], size: int
) -> Iterator[list[dict[str, str]]]:
    """Those of each request, about so many pairs at most, where none is asked about again."""
    if size == 1:
        yield from (prompt.messages(*pair) for pair in pairs)
        return
    grouped, source = GroupPrompt.of(prompt), iter(pairs)
    while group := list(islice(source, size)):
        yield grouped.messages(group) if len(group) > 1 else prompt.messages(*group[0])


def can_be_grouped(texts: tuple[str, str]) -> bool:
    """Whether no text looks like the heading of another pair."""
    return not any(_HEADING.search(text) for text in texts)


def questions_in(message: str) -> list[str]:
    """What a user message asks about each of its pairs; the message itself where it is about one."""
    _, *blocks = _HEADING.split(message)
    return [block.strip() for block in blocks] or [message]


def group_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Of the reply to several pairs. schema: of that to one."""
    entry = {
        **schema,
        "properties": {NUMBER: {"type": "integer"}, **schema["properties"]},
        "required": [NUMBER, *schema["required"]],
    }
    return {
        "type": "object",
        "properties": {VERDICTS: {"type": "array", "items": entry}},
        "required": [VERDICTS],
        "additionalProperties": False,
    }


def _asked(questions: Sequence[str]) -> str:
    count = len(questions)
    blocks = (f"Pair {number} of {count}\n{question}" for number, question in enumerate(questions, 1))
    head = (
        f"Below are {count} pairs, numbered from 1 to {count}. Judge each pair on its own, as if it were the "
        f"only one. {IN_JSON}"
    )
    return "\n\n".join((head, *blocks))


def _reply_format(classes: int, reasoning_first: bool) -> str:
    """That for one pair, with the number ahead."""
    words = reply_format(classes, reasoning_first)
    listed = (
        f'{_ONE_OBJECT}, {{"{VERDICTS}": [...]}}: a list with one entry for each pair, in the order of their '
        "numbers. An entry is one JSON object"
    )
    return words.replace('{"', f'{{"{NUMBER}": its number, "').replace(_ONE_OBJECT, listed)
