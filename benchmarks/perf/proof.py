"""What a proof is: figures beside what is required of them, and what it takes to measure them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.perf.judge_throughput import Interpreters
from kimera.pairs import CONTRADICTION, NOT_CONTRADICTION, Pair


@dataclass(frozen=True)
class ProofFinding:
    """One figure. held: None where it could not be measured. timed: it depends on the machine's speed."""

    what: str
    required: str
    measured: str
    held: bool | None
    timed: bool = False


@dataclass(frozen=True)
class Bench:
    """What a proof works with. small: sizes for continuous integration, at which times prove nothing."""

    folder: Path
    small: bool = False
    interpreters: Interpreters = field(default_factory=Interpreters)

    def size(self, full: int, small: int) -> int:
        return small if self.small else full

    def pair_file(self, count: int) -> Path:
        """A file of so many labelled pairs, no two alike."""
        path = self.folder / f"{count}_pairs.jsonl"
        if not path.exists():
            with path.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(_row(pair)) + "\n" for pair in made_pairs(count))
        return path


Proof = Callable[[Bench], Iterable[ProofFinding]]


def made_pairs(count: int) -> Iterator[Pair]:
    for number in range(count):
        label = CONTRADICTION if number % 2 else NOT_CONTRADICTION
        shop = f"The shop at {number} High Street"
        yield Pair(f"{shop} is open on Sundays.", f"{shop} is shut on Sundays.", f"shop-{number}", label)


def _row(pair: Pair) -> dict[str, str | None]:
    return {"id": pair.id, "text1": pair.text1, "text2": pair.text2, "label": pair.label}
