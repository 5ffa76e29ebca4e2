"""A detector of a run whose verdicts something else gave before, and wrote into a file."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.datasets import Dataset
from benchmarks.detector_info import DetectorInfo, judge_info, local_info
from benchmarks.runs.recorder import Recorder
from kimera.console import progress_bar
from kimera.detectors import ScoresFile


class FileDetector:
    """What a file says of each pair. Times and costs are the file's, where it has them.

    With the role of a judge, what each verdict cost counts as paid. Raises UserError where the file has no
    row of any pair of the dataset.
    """

    def __init__(self, source: ScoresFile, name: str, dataset: Dataset) -> None:
        source.check(dataset)
        self._source = source
        self._name = name

    @property
    def info(self) -> DetectorInfo:
        source = self._source
        if source.role == "judge":
            return judge_info(self._name, kind=source.kind, settings=source.settings, is_replayed=True)
        return local_info(self._name, source.kind, source.settings, source.trained_on, is_replayed=True)

    def take_earlier(self, recorder: Recorder) -> None:
        pass

    def run(self, dataset: Dataset, recorders: Mapping[str, Recorder], *, quiet: bool) -> None:
        recorder, source = recorders[self._name], self._source
        recorder.begin(mode="file", asked=1)
        with progress_bar(self._name, len(dataset), quiet=quiet) as bar:
            told = zip(dataset, source.with_costs(dataset, bar.update), strict=True)
            for index, (pair, (result, cost)) in enumerate(told):
                if recorder.wants(index):
                    recorder.record_verdict(index, pair, result, is_timed=source.has_latencies, dollars=cost)
        recorder.end(used=1)
