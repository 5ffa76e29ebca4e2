"""Shards: one part of N, for a scheduler that starts N processes; `kimera.cache merge` joins their work."""

from __future__ import annotations

import argparse


def shard(text: str) -> str:
    """For argparse: I/N, the I-th part of N."""
    number, _, of = text.partition("/")
    if all(part.isascii() and part.isdigit() for part in (number, of)) and 1 <= int(number) <= int(of):
        return f"{int(number)}/{int(of)}"
    raise argparse.ArgumentTypeError(f"{text!r} is not I/N, the I-th part of N, such as 2/4")


def rows_of(shard: str | None) -> slice:
    """Every N-th row from the I-th on; of no shard all rows."""
    number, of = map(int, shard.split("/")) if shard else (1, 1)
    return slice(number - 1, None, of)
