"""Shards: one part of N, for a scheduler that starts N processes; `kimera.cache merge` joins their work."""

from __future__ import annotations

from hashlib import blake2b


def rows_of(shard: str) -> slice:
    """Every N-th row from the I-th on. shard: "I/N"."""
    number, total = _numbers(shard)
    return slice(number - 1, None, total)


def holds_pair(shard: str, text1: str, text2: str) -> bool:
    """Whether a pair is in this part, by a hash of its texts: on every machine, whatever else there is."""
    number, total = _numbers(shard)
    digest = blake2b(f"{text1}\0{text2}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % total == number - 1


def _numbers(shard: str) -> tuple[int, int]:
    number, total = map(int, shard.split("/"))
    return number, total
