"""A run as a cascade: which pairs went to which of its two sides, and what it says of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.cascade.cascade import CascadePlan, Decision, settled_verdict
from benchmarks.detector_info import DetectorInfo, Sides
from kimera.pairs import Failure, Verdict


def plan_in(info: DetectorInfo) -> CascadePlan:
    """How a cascade of a run shares out the pairs."""
    return CascadePlan(**info.settings)


def sides_in(info: DetectorInfo) -> Sides:
    """Raises ValueError for what is no cascade."""
    if info.sides is None:
        raise ValueError(f"{info.name} is made of no other detectors")
    return info.sides


@dataclass(frozen=True)
class CascadeRun:
    """A cascade in a run.

    sides: the names of its two detectors. decision: None where the run ended before the dear one was asked
    about all that was due; `unfinished` says how much.
    """

    plan: CascadePlan
    sides: Sides
    decision: Decision | None
    unfinished: str = ""

    @property
    def members(self) -> Sides:
        return self.sides

    def findings(
        self, names: Sequence[str], rows: Iterator[Sequence[Verdict | Failure]]
    ) -> Iterator[tuple[Verdict | Failure | None, ...]]:
        """What detectors of these names found of each pair in order, with the cascade's finding at the end.

        None of the dear side where it did not have to be asked.
        """
        cheap, dear = map(names.index, self.sides)
        for index, row in enumerate(rows):
            was_asked = self.decision is None or bool(self.decision.asked[index])
            seen = (finding if was_asked or place != dear else None for place, finding in enumerate(row))
            yield (*seen, self.finding(index, row[cheap], row[dear]))

    def finding(self, index: int, cheap: Verdict | Failure, dear: Verdict | Failure) -> Verdict | Failure:
        """The cascade's finding of one pair, from those of its two sides."""
        if self.decision is None:
            raise ValueError("the run ended before it was decided which pairs go to the judge")
        return dear if self.decision.asked[index] else settled_verdict(cheap, self.decision.thresholds)
