"""What is read from generated replies: those of the grammar, and those that met with accidents.

Each comes in a body of a completion, of `body_grammar`. From a silent reply nothing may be read, from a
stating one its verdict or nothing; whatever is read from a mutated one, reading it may only fail with a
ReplyError.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from random import Random

from benchmarks.judge.protocols.chat_completions import read_completion
from benchmarks.judge.reply_reading import Reply, ReplyError, parse_reply
from benchmarks.perf.body_grammar import body_with, plain_body
from benchmarks.perf.reply_grammar import plain_reply, silent_reply, stating_reply

JUNK = (
    "\x00",
    "\u202e",
    "\ud800",
    "💥",
    "{",
    "}",
    '"',
    "\\",
    "```",
    "<think>",
    "</think>",
    "[",
    ":",
    "contradict",
)


def mutated(rng: Random, reply: str) -> str:
    """A reply after one to six accidents."""
    for _ in range(rng.randint(1, 6)):
        start, end = sorted(rng.choices(range(len(reply) + 1), k=2))
        piece = reply[start:end]
        accident = rng.choice(
            (
                lambda piece: "",
                lambda piece: piece * rng.choice((2, 3, 2_000 // (len(piece) + 1))),
                lambda piece: rng.choice(JUNK) * rng.choice((1, 2, 500)),
                lambda piece: piece[::-1],
                lambda piece: piece.swapcase(),
                lambda piece: rng.choice(JUNK) + piece,
                json.dumps,
                lambda piece: chr(rng.randrange(0x110000)),
            )
        )
        reply = reply[:start] + accident(piece) + reply[end:]
    return reply[:60_000]


@dataclass
class Tally:
    """What came of the replies: how many were read, and each way in which one may go wrong, with examples."""

    replies: int = 0
    read: int = 0
    crashes: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    reversed: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def parse(self, text: str, body: bytes) -> Reply | None:
        """The verdict of a reply, which this body carries."""
        self.replies += 1
        begun = time.perf_counter()
        try:
            reply = parse_reply(read_completion(body).text)
        except ReplyError:
            return None
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what is looked for)
            self.crashes.append(f"{type(error).__name__} from {text[:200]!r}")
            return None
        finally:
            self.slowest_s = max(self.slowest_s, time.perf_counter() - begun)
        self.read += 1
        return reply


def fuzz(count: int, seed: int) -> Tally:
    """So many replies, a quarter of them silent, plain, stating and mutated each."""
    rng, tally = Random(seed), Tally()  # noqa: S311 - no secrets here
    for _ in range(count // 4):
        silent = silent_reply(rng)
        if tally.parse(silent, body_with(rng, silent)):
            tally.invented.append(silent)
        plain, verdict = plain_reply(rng)
        reply = tally.parse(plain, plain_body(rng, plain))
        if reply is None:
            tally.not_understood.append(plain)
        elif reply.contradiction is not verdict:
            tally.reversed.append(plain)
        stating, verdict = stating_reply(rng)
        reply = tally.parse(stating, body_with(rng, stating))
        if reply and reply.contradiction is not verdict:
            tally.reversed.append(stating)
        damaged = mutated(rng, rng.choice((silent, plain, stating)))
        tally.parse(damaged, body_with(rng, damaged))
    return tally
