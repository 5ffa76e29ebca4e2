"""The votes on pairs that have no verdict yet, so that none is asked for twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.judge import decided
from benchmarks.runs.journal import is_timed
from kimera.pairs import Failure, Verdict

_HEAD = ("detector", "index", "id", "variant", "repeat", "swapped")  # of a record, whose vote it is


@dataclass
class OpenPair:
    """One asking of a pair: how its records begin, how many votes decide it, and those that are in by number.

    is_timed: whether none of them came from the cache or in a batch. was_asked: whether any came in this
    session.
    """

    head: dict[str, Any]
    votes: int
    results: dict[int, Verdict | Failure] = field(default_factory=dict)
    is_timed: bool = True
    was_asked: bool = True

    @property
    def is_full(self) -> bool:
        return len(self.results) == self.votes

    def decided(self) -> Verdict | Failure:
        return decided([self.results[vote] for vote in sorted(self.results)], self.votes)


class OpenVotes:
    """By pair and variant. A pair that has its verdict is dropped, so that no text is held for long."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[int, int], OpenPair] = {}

    def __iter__(self) -> Iterator[OpenPair]:
        return iter(list(self._pairs.values()))

    def at(self, index: int, variant: int) -> OpenPair | None:
        return self._pairs.get((index, variant))

    def note(self, record: dict[str, Any], result: Verdict | Failure) -> None:
        """One vote; of the same vote the later one counts."""
        key = (record["index"], record.get("variant", 0))
        if key not in self._pairs:
            head = {name: record[name] for name in _HEAD if name in record}
            self._pairs[key] = OpenPair(head, record["votes"])
        pair = self._pairs[key]
        pair.results[record["vote"]] = result
        pair.is_timed &= is_timed(record)
        pair.was_asked = True

    def has(self, index: int, variant: int, vote: int) -> bool:
        """Whether this vote was given, and not a failure."""
        pair = self.at(index, variant)
        return pair is not None and isinstance(pair.results.get(vote), Verdict)

    def drop(self, index: int, variant: int) -> None:
        self._pairs.pop((index, variant), None)

    def begin_again(self) -> None:
        """Another session: votes that failed are asked for again."""
        for pair in self._pairs.values():
            pair.was_asked = False
            pair.results = {
                vote: result for vote, result in pair.results.items() if isinstance(result, Verdict)
            }
