"""What a run asks of a detector, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from benchmarks.datasets import Dataset
from benchmarks.detector_info import DetectorInfo
from benchmarks.runs.journal import Record
from benchmarks.runs.recorder import Recorder
from kimera.pairs import Failure


class Detector(Protocol):
    """Something that gives verdicts on all pairs of a dataset to a recorder.

    | member | what it is for | when it is asked |
    | --- | --- | --- |
    | `info` | what it is and how it is set | at any time: it may learn while it runs |
    | `take_earlier` | what the run has spent before counts | once, before any detector runs |
    | `run` | its verdicts go to its recorder | once, unless nothing is left to ask |

    A detector that computes on this machine is a `kimera.detectors.VerdictSource` in a `LocalDetector`.
    """

    @property
    def info(self) -> DetectorInfo: ...

    def take_earlier(self, recorder: Recorder) -> None:
        """Takes into account what earlier sessions of the run have spent."""

    def run(self, dataset: Dataset, recorders: Mapping[str, Recorder], *, quiet: bool) -> Failure | None:
        """Asks about what its recorder wants; gives what ended it early, if anything did.

        recorders: of all detectors, by name; those that ran before are full.
        """


def in_order(detectors: Sequence[Detector]) -> list[Detector]:
    """As they run and are told of: local ones first, otherwise as given."""
    return sorted(detectors, key=lambda detector: detector.info.role != "local")


def detectors_header(detectors: Sequence[Detector], combination: DetectorInfo | None = None) -> Record:
    """What the header of a run's journal says of its detectors, for `finished_run.infos_in` to read.

    combination: a cascade of two of them or a panel of several, where the run has one.
    """
    infos = [detector.info for detector in in_order(detectors)] + ([combination] if combination else [])
    return {"detectors": [info.as_json() for info in infos]}
