"""A detector of a run that computes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import repeat, tee

from benchmarks.datasets import Dataset, pairs_at
from benchmarks.detector_info import DetectorInfo, local_info
from benchmarks.runs.journal import Record
from benchmarks.runs.recorder import Recorder
from kimera.console import progress_bar
from kimera.detectors import COUNTED, Chain, VerdictSource
from kimera.pairs import Failure, Pair, Verdict


class LocalDetector:
    """Its source on one process and all its cores, or on `workers` processes of one thread each.

    on_ray: whether these are workers of a Ray cluster; then without `workers` on as many as the cluster has
    CPUs, and 0 is how many were asked for.
    """

    def __init__(
        self, source: VerdictSource, workers: int | None, name: str, *, on_ray: bool = False
    ) -> None:
        self._source = source
        self._workers = workers
        self._name = name
        self._on_ray = on_ray

    @property
    def info(self) -> DetectorInfo:
        """Raises ValueError where a setting has the name of a count: the summary has both side by side."""
        source = self._source
        settings = dict(source.settings)
        if taken := [name for name in COUNTED if name in settings]:
            raise ValueError(f"{self._name}: a setting must not be called {taken[0]!r}; a count is called so")
        return local_info(self._name, source.kind, settings, source.trained_on)

    def take_earlier(self, recorder: Recorder) -> None:
        if (recorder.verdicts >= 0).any():
            self._source.take_settings(recorder.about.get("settings", {}))

    def run(self, dataset: Dataset, recorders: Mapping[str, Recorder], *, quiet: bool) -> None:
        recorder = recorders[self._name]
        wanted = [index for index in range(len(dataset)) if recorder.wants(index)]
        pairs, copies = tee(pairs_at(dataset, wanted))
        recorder.begin(**self._how())
        with self._source, progress_bar(self._name, len(wanted), quiet=quiet) as bar:
            told = zip(wanted, pairs, self._told(copies, bar.update), strict=True)
            for place, (index, pair, (result, stages)) in enumerate(told):
                if not place:  # what the first pairs settled has to be known even if the process is killed
                    recorder.describe(self.info)
                recorder.record_verdict(index, pair, result, stages=stages)
        counts = self._source.counts
        counted = {name: counts[name] for name in COUNTED if name in counts}
        recorder.end(used=max(1, int(counts.get("workers_used", 1))), **counted)

    def _told(
        self, pairs: Iterable[Pair], on_progress: Callable[[int], object]
    ) -> Iterator[tuple[Verdict | Failure, Mapping[str, bool]]]:
        """Each outcome, and of a chain the stages that the pair came to."""
        if isinstance(self._source, Chain):
            return self._source.with_stages(pairs, self._workers, on_progress)
        return zip(self._source.stream(pairs, self._workers, on_progress), repeat({}))

    def _how(self) -> Record:
        if self._on_ray:
            return {"mode": "ray", "asked": self._workers or 0}
        return {"mode": "mp" if self._workers else "single", "asked": self._workers or 1}
