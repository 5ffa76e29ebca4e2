"""Runs detectors over the same pairs, one after the other, and merges what they say.

Local detectors go first and alone, so that neither disturbs the other's timing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.datasets import Dataset
from benchmarks.detector_info import DetectorInfo
from benchmarks.judge import INTERRUPTED
from benchmarks.runs.detector import Detector, in_order
from benchmarks.runs.journal import Journal, JournalReader
from benchmarks.runs.outcomes import merge, take_journal
from benchmarks.runs.recorder import Recorder
from benchmarks.runs.run_result import RunResult
from kimera.pairs import Failure


@dataclass(frozen=True)
class Comparison:
    """What came of comparing: the numbers, how to read the rows back, and what ended a detector early."""

    run: RunResult
    recorders: tuple[Recorder, ...]
    stopped_by: dict[str, Failure]


def compare(
    dataset: Dataset,
    detectors: Sequence[Detector],
    journal: Journal,
    earlier: JournalReader | None = None,
    *,
    created: str = "",
    seed: int = 0,
    combination: DetectorInfo | None = None,
    quiet: bool = False,
) -> Comparison:
    """Runs each detector over the dataset, local ones first, asking only what `earlier` holds no verdict on.

    created: when the run began, ISO 8601. seed: of the dataset's sample. combination: a cascade of two of the
    detectors or a panel of several, where the run has one. The journal's header should hold what
    `detector.detectors_header` gives for these: `open_run` reads it. Raises ValueError where two detectors
    have one name.
    """
    detectors = in_order(detectors)
    infos = [detector.info for detector in detectors]
    recorders = {info.name: Recorder(info, len(dataset), journal) for info in infos}
    if len(recorders) < len(detectors):
        raise ValueError(f"detectors must have different names, got {', '.join(info.name for info in infos)}")
    if earlier:
        take_journal(recorders, earlier)
    stopped_by: dict[str, Failure] = {}
    in_turn = list(zip(detectors, recorders.values(), strict=True))
    for detector, recorder in in_turn:
        detector.take_earlier(recorder)
    for detector, recorder in in_turn:
        if recorder.complete or INTERRUPTED in stopped_by.values():
            continue
        recorder.describe(detector.info)
        try:
            ended_by = detector.run(dataset, recorders, quiet=quiet)
        finally:  # an endpoint teaches a client what it takes
            recorder.describe(detector.info)
        if ended_by:
            stopped_by[recorder.name] = ended_by
    run = merge(dataset, tuple(recorders.values()), created, seed, combination)
    return Comparison(run, tuple(recorders.values()), stopped_by)
